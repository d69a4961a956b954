"""Templates of deals: what they may say, what a payload has in their place, and that they reach nothing else."""

from __future__ import annotations

from datetime import date

import pytest

from massconvert.errors import OptionsError
from massconvert.model.template import TemplateError, fields_of, filled, placeholder
from massconvert.options import Deal, Options, deal_templates, resolve_body

LEAD = {"Company": "Acme", "Last_Name": "Ng"}
TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("template", "name", "in_payload"),
    [
        ("{Company} {Last_Name}", "Acme Ng", "Deal"),
        ("Renewal of {Company}", "Renewal of Acme", "Renewal of"),
        ("{Company}: {Missing} renewal", "Acme: renewal", ": renewal"),
        ("{{{Company}}}", "{Acme}", "{}"),
        ("plain", "plain", "plain"),
        ("50 % {{off}}", "50 % {off}", "50 % {off}"),
        ("{Company}{Company}", "AcmeAcme", "Deal"),
    ],
)
def test_a_template_is_filled_with_the_fields_of_a_lead(template: str, name: str, in_payload: str) -> None:
    assert filled(template, LEAD) == name
    assert placeholder(template) == in_payload


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "{Company",
        "Company}",
        "{}",
        "{0}",
        "{Company.name}",
        "{Company[0]}",
        "{Company!r}",
        "{Company:>9}",
        "{a b}",
    ],
)
def test_whatever_str_format_could_do_besides_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        fields_of(text)
    with pytest.raises(OptionsError) as caught:
        Deal(name=text, stage="Qualification", closing_date="+30d")
    assert caught.value.path == "$.Deals.Deal_Name"


def test_what_a_lead_holds_is_never_a_template() -> None:
    assert filled("{Company}", {"Company": "{Last_Name} {{"}) == "{Last_Name} {{"


def test_a_payload_has_placeholders_and_the_options_keep_what_was_written() -> None:
    options = Options(deal=Deal(name="{Company}", stage="Qualification", closing_date="+1d", extra={"Note": "{{x}}"}))
    body = options.body()
    assert deal_templates(body) == {"Deal_Name": "{Company}"}
    assert Options.parse(body) == options
    sent = {"Deal_Name": "Deal", "Stage": "Qualification", "Closing_Date": "2026-11-25", "Note": "{x}"}
    assert resolve_body(body, TODAY) == {"Deals": sent}


@pytest.mark.parametrize("key", ["Stage", "Pipeline"])
def test_what_zoho_checks_before_it_converts_cannot_name_fields(key: str) -> None:
    deal = {"Deal_Name": "x", "Stage": "Qualification", "Closing_Date": "+1d", key: "{Company}"}
    with pytest.raises(OptionsError) as caught:
        Options.parse({"Deals": deal})
    assert caught.value.path == f"$.Deals.{key}"


def test_options_of_before_there_were_templates_are_sent_as_they_are() -> None:
    assert resolve_body({"Deals": {"Deal_Name": "50 {"}}, TODAY) == {"Deals": {"Deal_Name": "50 {"}}
