"""What an organisation lists, read page by page: cut down to what is needed, and never half believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from massconvert.model import Listing, Page, PerhapsAccepted, Refused
from massconvert.zoho.answers import Body
from massconvert.zoho.listings import read_page
from tests.unit.listed import client_of, listed
from tests.unit.simulated_crm import ANN, Crm


def answering(*bodies: Any) -> tuple[Any, list[tuple[str, Mapping[str, str]]]]:
    """A ``get`` that answers each call with the next of ``bodies``, and what it was asked."""
    asked: list[tuple[str, Mapping[str, str]]] = []
    waiting = list(bodies)

    def get(path: str, query: Mapping[str, str] | None = None, /) -> Any:
        asked.append((path, query or {}))
        answer = waiting.pop(0)
        return Body(answer) if isinstance(answer, dict) else answer

    return get, asked


def test_active_users_are_read_page_by_page_with_the_three_things_that_tell_them_apart() -> None:
    rows = listed(Crm(more_users=450), Listing.USERS)[Listing.USERS]
    assert len(rows) == 452
    assert rows[0] == {"id": ANN, "name": "Ann Archer", "email": "ann@example.com"}
    assert "carol@example.com" not in {row["email"] for row in rows}  # who is not active


def test_modules_and_portal_user_types_are_read_with_their_ids() -> None:
    rows = listed(Crm(), Listing.MODULES, Listing.PORTALS)
    assert {row["name"]: row["id"] for row in rows[Listing.MODULES]}["Contacts"] == "3652397000000002179"
    assert rows[Listing.PORTALS][1] == {"id": "3652397000000432005", "name": "Partner", "portal": "ExamplePortal"}


def test_the_shape_of_deals_is_read_from_fields_layouts_pipelines_and_the_mapping_of_leads() -> None:
    rows = listed(Crm(pipelines=True, mandatory_deal_fields=frozenset({"Type"})))
    fields = {row["api_name"]: row for row in rows[Listing.FIELDS]}
    assert fields["Stage"]["values"][0] == ["Qualification"]
    assert (fields["Stage"]["type"], fields["Stage"]["mandatory"], fields["Stage"]["computed"]) == (
        "picklist",
        True,
        False,
    )
    assert fields["Expected_Revenue"]["computed"]
    (layout,) = rows[Listing.LAYOUTS]
    assert layout["name"] == "Standard"
    assert "Type" in layout["required"]
    assert [row["name"] for row in rows[Listing.PIPELINES]] == [["Standard (Standard)"], ["Renewals"]]
    assert rows[Listing.PIPELINES][1]["layout"] == layout["id"]
    assert rows[Listing.PIPELINES][1]["stages"][-1] == ["Closed Won"]
    lead_fields = {row["api_name"]: row["fills"] for row in rows[Listing.LEAD_FIELDS]}
    assert {name for name, fills in lead_fields.items() if fills} == {"Budget_Code"}
    assert {"Last_Name", "Company", "Full_Name"} <= set(lead_fields)


def test_an_organisation_without_pipelines_or_portals_lists_none() -> None:
    assert listed(Crm(), Listing.PIPELINES)[Listing.PIPELINES] == ()
    get, _ = answering({})
    assert read_page(get, Listing.PORTALS, "") == Page(())


def test_a_portals_name_is_quoted_in_the_path() -> None:
    get, asked = answering({"portals": [{"name": "A/B portal"}]}, {"user_type": []})
    assert read_page(get, Listing.PORTALS, "") == Page((), ("A/B portal",))
    read_page(get, Listing.PORTALS, "A/B portal")
    assert asked[1][0] == "settings/portals/A%2FB%20portal/user_type"


def test_a_picklists_value_keeps_both_its_forms_and_loses_those_that_are_not_used() -> None:
    values = [
        {"display_value": "East", "actual_value": "IN_East"},
        {"display_value": "West", "actual_value": "West", "type": "used"},
        {"display_value": "Gone", "actual_value": "Gone", "type": "unused"},
    ]
    get, _ = answering({"fields": [{"api_name": "Region", "data_type": "picklist", "pick_list_values": values}]})
    page = read_page(get, Listing.FIELDS, "")
    assert isinstance(page, Page)
    assert page.rows[0]["values"] == [["East", "IN_East"], ["West"]]


def test_the_field_that_one_of_a_leads_fills_may_be_a_name_or_an_object() -> None:
    leads = [
        {"api_name": "A", "field_label": "An A", "convert_mapping": {"Deals": "X", "Contacts": {"api_name": "Z"}}},
        {"api_name": "B", "convert_mapping": {"Deals": {"api_name": "Y", "id": "1"}}},
        {"api_name": "C", "convert_mapping": {"Deals": None}},
        {"api_name": "D"},
    ]
    get, _ = answering({"fields": leads})
    assert read_page(get, Listing.LEAD_FIELDS, "") == Page(
        (
            {"api_name": "A", "label": "An A", "fills": "X", "contact": "Z", "account": ""},
            {"api_name": "B", "label": "", "fills": "Y", "contact": "", "account": ""},
            {"api_name": "C", "label": "", "fills": "", "contact": "", "account": ""},
            {"api_name": "D", "label": "", "fills": "", "contact": "", "account": ""},
        )
    )


@pytest.mark.parametrize(
    "listing", [Listing.USERS, Listing.MODULES, Listing.FIELDS, Listing.LAYOUTS, Listing.LEAD_FIELDS]
)
@pytest.mark.parametrize("answer", [{}, {"info": {}}, {"users": "many", "modules": 1, "fields": None, "layouts": [7]}])
def test_what_is_no_list_says_nothing_so_that_no_name_is_unknown_because_of_it(listing: Listing, answer: Any) -> None:
    get, _ = answering(answer)
    assert isinstance(read_page(get, listing, ""), PerhapsAccepted)


@pytest.mark.parametrize("listing", list(Listing))
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"do": "status", "status": 500}, PerhapsAccepted),
        ({"do": "garbage"}, PerhapsAccepted),
        ({"do": "drop"}, PerhapsAccepted),
        ({"do": "status", "status": 429}, Refused),
        ({"do": "status", "status": 401, "code": "OAUTH_SCOPE_MISMATCH"}, Refused),
        ({"do": "status", "status": 403}, Refused),
    ],
)
def test_each_way_to_fail_comes_back_as_it_is(listing: Listing, fault: dict[str, Any], kind: type) -> None:
    answer = client_of(Crm(faults=[{"method": "*", **fault}])).read_page(listing, "")
    assert isinstance(answer, kind)


@pytest.mark.parametrize(
    ("listing", "scope"),
    [
        (Listing.USERS, "ZohoCRM.users.READ"),
        (Listing.MODULES, "ZohoCRM.settings.modules.READ"),
        (Listing.PORTALS, "ZohoCRM.settings.clientportal.READ"),
        (Listing.FIELDS, "ZohoCRM.settings.fields.READ"),
        (Listing.LAYOUTS, "ZohoCRM.settings.layouts.READ"),
        (Listing.PIPELINES, "ZohoCRM.settings.layouts.READ"),
        (Listing.LEAD_FIELDS, "ZohoCRM.settings.fields.READ"),
    ],
)
def test_each_listing_needs_its_scope_and_no_other(listing: Listing, scope: str) -> None:
    from massconvert.simulator.rules import SCOPES  # noqa: PLC0415 - the simulator's own list, for this test alone
    from massconvert.zoho.listings import SCOPES as NEEDED  # noqa: PLC0415 - as above

    answer = client_of(Crm(scopes=SCOPES - {scope})).read_page(listing, "")
    assert isinstance(answer, Refused)
    assert answer.code == "OAUTH_SCOPE_MISMATCH"
    assert scope in NEEDED[listing]
    assert listed(Crm(scopes=frozenset(NEEDED[listing].split(" and "))), listing)
