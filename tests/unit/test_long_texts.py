"""A deal's text that gets too long for its field is cut to what the field takes, and the lead's deal has it."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.model import DealUpdate, Kind, Listing
from massconvert.options import Options, examine, fitted
from massconvert.options.lengths import cut
from massconvert.testing import FakeCrm

LEAD = "3652397000009850001"
LONG = "{Company} " * 20 + "{Last_Name}"
FIELDS = [
    {"api_name": name, "label": name, "type": kind, "length": length, "mandatory": False, "computed": False}
    | {"default": False, "values": []}
    for name, kind, length in (
        ("Deal_Name", "text", 100),
        ("Next_Step", "text", 20),
        ("Description", "textarea", 0),
        ("Stage", "picklist", 0),
        ("Closing_Date", "date", 0),
    )
]


def options(**deal: Any) -> dict[str, Any]:
    named = {"Deal_Name": LONG, "Stage": "Needs Analysis", "Closing_Date": "2026-12-24", **deal}
    return Options.parse({"Deals": named}).body()


def converted(crm: FakeCrm, body: dict[str, Any], **how: Any) -> dict[str, Any]:
    """The deal of a lead that was converted so."""
    batch = crm.intake.take([LEAD], body, key="k", **how)
    (row,) = batch.outcomes()
    assert row.outcome is not None
    assert (row.outcome.kind, row.outcome.code) == (Kind.CONVERTED, "")
    deal: dict[str, Any] = crm.truth()[LEAD]["deal"]
    return deal


def test_a_name_is_cut_at_zohos_own_limit_where_nothing_has_been_read() -> None:
    name = converted(FakeCrm(), options())["Deal_Name"]
    assert name.startswith("Company ")
    assert 110 < len(name) <= 120
    assert name == name.strip()


def test_texts_are_cut_at_what_the_organisation_lists() -> None:
    crm = FakeCrm()
    crm.ledger.shelf.keep(Listing.FIELDS, FIELDS, now=crm.clock.now())
    deal = converted(crm, options(Next_Step="Call {Company} of {Company} again"))
    assert 90 < len(deal["Deal_Name"]) <= 100
    assert deal["Next_Step"].startswith("Call Company ")
    assert len(deal["Next_Step"]) <= 20


def test_what_a_lead_brings_is_not_cut() -> None:
    update = DealUpdate(LEAD, "1", "2", "3", {"Deal_Name": "x" * 130, "Next_Step": "y" * 30, "Amount": 5})
    templates = {"Deal_Name": "{Company}", "Next_Step": "{Company}"}
    (fit,) = fitted([update], templates, {LEAD: {"Deal_Name": "x" * 130}}, FIELDS)
    assert fit.values == {"Deal_Name": "x" * 130, "Next_Step": "y" * 20, "Amount": 5}
    (fit,) = fitted([update], {}, {}, FIELDS)
    assert fit is update


@pytest.mark.parametrize(
    ("text", "most", "left"),
    [
        ("", 3, ""),
        ("abc", 3, "abc"),
        ("abcd", 3, "abc"),
        ("ab cd", 3, "ab"),
        ("äöüß", 3, "äöü"),
        ("a\U0001f600b", 3, "a\U0001f600"),
        ("ab\U0001f600", 3, "ab"),
        ("A" * 150 + " Smith", 120, "A" * 120),
    ],
)
def test_a_text_is_cut_between_characters_and_leaves_no_blank(text: str, most: int, left: str) -> None:
    assert cut(text, most) == left


def test_it_is_said_where_options_are_checked_and_is_no_fault() -> None:
    found = examine(options(Next_Step="{Company}"), {Listing.FIELDS: FIELDS})
    assert [(note.path, "more than" in note.reason) for note in found.notes] == [
        ("$.Deals.Deal_Name", True),
        ("$.Deals.Next_Step", True),
    ]
    assert "100 characters" in found.notes[0].reason
    assert "20 characters" in found.notes[1].reason
    assert not [problem for problem in found.problems if problem.path == "$.Deals.Next_Step"]
    (note,) = examine(options(Next_Step="{Company}"), {}).notes
    assert "more than 120 characters is cut to 120" in note.reason


def test_what_is_too_long_for_any_lead_is_refused() -> None:
    found = examine(options(Next_Step="y" * 30 + "{Company}"), {Listing.FIELDS: FIELDS})
    reasons = {problem.path: problem.reason for problem in found.problems}
    assert reasons["$.Deals.Next_Step"] == "without the lead's fields has 30 characters; at most 20 are taken"
