"""A deal against the organisation's metadata: all that is wrong at once, and nothing that Zoho would take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massconvert.model import Listing
from massconvert.options.deals import SHAPE, check_deal
from tests.unit.listed import Rows, listed
from tests.unit.simulated_crm import ANN, Crm

DEAL = {"Deal_Name": "Renewal", "Stage": "Needs Analysis", "Closing_Date": "2026-12-20"}
WITH_PIPELINE = {**DEAL, "Pipeline": "Standard (Standard)"}
Listings = dict[Listing, Rows]


@pytest.fixture(scope="module")
def plain() -> Listings:
    return listed(Crm(), *SHAPE)


@pytest.fixture(scope="module")
def strict() -> Listings:
    """Pipelines are enabled, and the layout wants more."""
    return listed(Crm(pipelines=True, mandatory_deal_fields=frozenset({"Type", "Budget_Code"})), *SHAPE)


def problems(deal: Any, listings: Listings) -> dict[str, str]:
    return dict(check_deal(deal, listings).problems)


def warnings(deal: Any, listings: Listings) -> dict[str, str]:
    return dict(check_deal(deal, listings).warnings)


def test_a_deal_with_what_the_organisation_wants_has_no_problem(plain: Listings, strict: Listings) -> None:
    assert check_deal(DEAL, plain).problems == []
    full = {**WITH_PIPELINE, "Type": "New Business", "Budget_Code": "B7"}
    found = check_deal(full, strict)
    assert (found.problems, found.warnings) == ([], [])


def test_all_that_is_wrong_is_told_at_once_with_the_nearest(strict: Listings) -> None:
    deal = {"Deal_Name": 7, "Stage": "Need Analysis", "Closing_Date": "24.12.2026", "Amout": 1, "Probability": "90"}
    found = problems(deal, strict)
    assert found["$.Deals.Pipeline"] == (
        "is missing, but is mandatory in the layout; there are: Standard (Standard), Renewals"
    )
    assert found["$.Deals.Type"].endswith("; there are: Existing Business, New Business")
    assert found["$.Deals.Deal_Name"] == "must be a text, not a number"
    assert "nearest: Needs Analysis" in found["$.Deals.Stage"]
    assert "a date like 2026-12-24" in found["$.Deals.Closing_Date"]
    assert found["$.Deals.Amout"].endswith("nearest: Amount")
    assert found["$.Deals.Probability"] == "must be a number, not a text"
    assert len(found) == 7


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"Type": "Old Business"}, "nearest: "),
        ({"Type": ["New Business"]}, "one of the picklist's values, not a list"),
        ({"Sales_Regions": "North"}, "a list of the picklist's values"),
        ({"Sales_Regions": ["North", "Nort"]}, "nearest: North"),
        ({"Amount": "10000"}, "must be a number, not a text"),
        ({"Amount": True}, "must be a number, not true"),
        ({"Probability": 90.5}, "must be a whole number"),
        ({"Renewal": "yes"}, "must be true or false"),
        ({"Demo_At": "2026-12-24"}, "a time with its offset"),
        ({"Owner": "Ann"}, "the id of a record"),
        ({"Next_Step": "x" * 121}, "has 121 characters; at most 120 are taken"),
        ({"Layout": {"id": "1"}}, "there is no such layout"),
        ({"Budget Code": "B7"}, "nearest: Budget_Code"),
    ],
)
def test_a_wrong_value_is_told_by_its_path(field: dict[str, Any], reason: str, plain: Listings) -> None:
    ((path, words),) = problems({**DEAL, **field}, plain).items()
    (name,) = field
    assert path == (f"$.Deals.{name}" if name.isidentifier() else f"$.Deals[{name!r}]")
    assert reason in words


@pytest.mark.parametrize(
    "field",
    [
        {"Closing_Date": "+30d"},
        {"Amount": 10000},
        {"Amount": None},
        {"Owner": {"id": ANN}},
        {"Owner": ANN},
        {"Sales_Regions": ["North", "East"]},
        {"Type": "-None-"},
        {"Demo_At": "2026-12-24T09:00:00Z"},
        {"Probability": 90.0},
        {"Layout": {"id": "3652397000000091058"}},
        {"Layout": "Standard"},
        {"$approved": True},
        {"Tag": [{"name": "x"}]},
    ],
)
def test_what_zoho_takes_is_no_problem(field: dict[str, Any], plain: Listings) -> None:
    assert problems({**DEAL, **field}, plain) == {}


def test_a_stage_must_be_in_its_pipeline(strict: Listings) -> None:
    deal = {**DEAL, "Type": "New Business", "Budget_Code": "B7"}
    assert problems({**deal, "Pipeline": "Renewals"}, strict) == {
        "$.Deals.Stage": "is 'Needs Analysis', but there is no such stage in the pipeline Renewals; "
        "there are: Qualification, Negotiation/Review, Closed Won"
    }
    assert problems({**deal, "Pipeline": "Renewal"}, strict)["$.Deals.Pipeline"].endswith("nearest: Renewals")
    assert problems({**deal, "Pipeline": "Standard(Standard)"}, strict) == {}  # as the page's own sample writes it
    assert problems({**deal, "Pipeline": {"id": "1"}}, strict) == {
        "$.Deals.Pipeline": "must be the name of a pipeline, not an object"
    }


def test_what_the_conversion_fills_in_is_not_asked_for(strict: Listings) -> None:
    """The layout calls Owner and Account_Name mandatory; a conversion makes them."""
    found = check_deal(WITH_PIPELINE, strict)
    told = {path for path, _ in (*found.problems, *found.warnings)}
    assert told == {"$.Deals.Type", "$.Deals.Budget_Code"}


def test_a_mandatory_field_that_a_lead_field_fills_is_a_warning(strict: Listings) -> None:
    deal = {**WITH_PIPELINE, "Type": "New Business"}
    assert problems(deal, strict) == {}
    assert (
        "is filled from the lead's Budget_Code where that is not empty" in warnings(deal, strict)["$.Deals.Budget_Code"]
    )


def test_a_field_that_zoho_computes_is_a_warning(plain: Listings) -> None:
    assert warnings({**DEAL, "Expected_Revenue": 5}, plain) == {
        "$.Deals.Expected_Revenue": "is set by Zoho itself and cannot be given"
    }


@pytest.mark.parametrize("unread", list(SHAPE))
def test_what_could_not_be_read_is_not_held_against_a_deal(unread: Listing, strict: Listings) -> None:
    rest = {listing: rows for listing, rows in strict.items() if listing is not unread}
    full = {**WITH_PIPELINE, "Type": "New Business", "Budget_Code": "B7"}
    assert problems(full, rest) == {}
    odd = {**full, "Stage": "Closed Lost", "Pipeline": "Renewals"}
    assert list(problems(odd, rest)) == ([] if unread is Listing.PIPELINES else ["$.Deals.Stage"])
    typo = {**full, "Typo": 1}
    assert problems(typo, rest) == ({} if unread is Listing.FIELDS else problems(typo, strict))


def test_without_the_mapping_a_layouts_mandatory_field_is_only_a_warning(strict: Listings) -> None:
    rest = {**strict}
    del rest[Listing.LEAD_FIELDS]
    assert "$.Deals.Type" not in problems(WITH_PIPELINE, rest)
    assert "Zoho may ask for it" in warnings(WITH_PIPELINE, rest)["$.Deals.Type"]


def test_another_layouts_mandatory_fields_are_only_a_warning(strict: Listings) -> None:
    """The page: custom-defined mandatory fields of layouts other than Standard are not processed."""
    (standard,) = strict[Listing.LAYOUTS]
    both = {**strict, Listing.LAYOUTS: ({**standard, "required": []}, {**standard, "id": "9", "name": "Partners"})}
    deal = {**WITH_PIPELINE, "Layout": {"id": "9"}}
    assert problems(deal, both) == {}
    assert "$.Deals.Type" in warnings(deal, both)


VALUES = (
    st.sampled_from(
        ["", "x", "North", "New Business", "Renewals", "Qualification", "Closed Won", "2026-12-24T09:00:00Z"]
    )
    | st.none()
    | st.booleans()
    | st.integers(-5, 10**6)
    | st.lists(st.sampled_from(["North", "Up", 7]), max_size=2)
    | st.just({"id": ANN})
)
FIELDS = ("Type", "Sales_Regions", "Amount", "Next_Step", "Probability", "Renewal", "Demo_At", "Pipeline", "Stage")


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
def test_a_deal_without_a_problem_is_one_that_the_simulated_zoho_takes(fields: dict[str, Any]) -> None:
    """What `Options` has checked before is left out: that the stage is a text."""
    deal = {**WITH_PIPELINE, **fields}
    if check_deal(deal, ENDLESS_SHAPE).problems or not (isinstance(deal["Stage"], str) and deal["Stage"]):
        return
    answer = ENDLESS.post(ENDLESS.ids[:1], Deals=deal)
    assert answer.status == 200, (deal, answer.body)


ENDLESS = Crm(pipelines=True, job_seconds=10**6)
ENDLESS_SHAPE = listed(ENDLESS, *SHAPE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{Company} {Last_Name}", ""),
        ("{Compny} {Last_Name} {id}", "names {Compny}, which is no field of the Leads module that this user may see"),
        ("{Annual Revenue}", ""),  # no template at all: told elsewhere
    ],
)
def test_a_template_names_fields_that_leads_have(text: str, told: str, plain: Listings) -> None:
    """Else every deal would be called by what is left of it."""
    found = problems({**DEAL, "Deal_Name": text}, plain)
    assert found.get("$.Deals.Deal_Name", "").partition(";")[0] == told
    if told:
        assert found["$.Deals.Deal_Name"].endswith("nearest: Company")
    unread = {**plain, Listing.LEAD_FIELDS: ()}
    assert problems({**DEAL, "Deal_Name": text}, unread) == {}
