"""Names in options become the ids that somebody who knows them would have written, or a problem with the nearest."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from massconvert.model import Listing
from massconvert.options import Options, fingerprint, resolve_names, unresolved
from massconvert.options.names import check_ids
from tests.unit.listed import Rows, listed
from tests.unit.simulated_crm import ANN, Crm

CONTACTS, TASKS = "3652397000000002179", "3652397000000002193"
CLIENT = "3652397000000432001"
NAMED = {
    "assign_to": "ann@example.com",
    "portal_user_type": "Client",
    "related_modules": ["Tasks"],
    "carry_over_tags": ["Contacts"],
    "move_attachments_to": "Contacts",
}


@pytest.fixture(scope="module")
def listings() -> dict[Listing, Rows]:
    return listed(Crm(), Listing.USERS, Listing.MODULES, Listing.PORTALS)


def body_of(options: Any) -> dict[str, Any]:
    return Options.parse(options).body()


def test_every_name_becomes_an_id_and_the_options_are_those_of_who_wrote_the_ids(listings: dict[Listing, Rows]) -> None:
    found = resolve_names(body_of(NAMED), listings)
    by_id = {
        "assign_to": ANN,
        "portal_user_type": {"id": CLIENT, "name": "Client"},
        "related_modules": [{"api_name": "Tasks", "id": TASKS}],
        "carry_over_tags": [{"api_name": "Contacts", "id": CONTACTS}],
        "move_attachments_to": {"api_name": "Contacts", "id": CONTACTS},
    }
    assert (found.problems, found.left) == ((), ())
    assert found.body == body_of(by_id)
    assert fingerprint(found.body) == fingerprint(body_of(by_id))
    assert unresolved(found.body) == []


def test_what_is_resolved_is_what_the_simulated_zoho_takes(listings: dict[Listing, Rows]) -> None:
    crm = Crm()
    assert crm.post(crm.ids[:1], **resolve_names(body_of(NAMED), listings).body).status == 200


@pytest.mark.parametrize(
    "name", ["ann@example.com", "ANN@Example.com", "Ann Archer", " ann   archer ", {"email": "ann@example.com"}]
)
def test_a_user_goes_by_address_or_full_name_whatever_the_letter_case(name: Any, listings: dict[Listing, Rows]) -> None:
    assert resolve_names(body_of({"assign_to": name}), listings).body == {"assign_to": {"id": ANN}}


def test_neither_the_body_nor_its_lists_are_changed(listings: dict[Listing, Rows]) -> None:
    body = body_of(NAMED)
    before = copy.deepcopy(body)
    resolve_names(body, listings)
    assert body == before


@pytest.mark.parametrize(
    ("options", "path", "reason"),
    [
        ({"assign_to": "anne@example.com"}, "$.assign_to", "nearest: Ann Archer <ann@example.com>"),
        ({"assign_to": "Bob Backer"}, "$.assign_to", "nearest: Bob Baker <bob@example.com>"),
        ({"assign_to": "carol@example.com"}, "$.assign_to", "there is no active user of that name"),
        ({"assign_to": "zz"}, "$.assign_to", "there are: Ann Archer <ann@example.com>, Bob Baker <bob@example.com>"),
        ({"portal_user_type": "Clients"}, "$.portal_user_type", "nearest: Client (portal ExamplePortal)"),
    ],
)
def test_an_unknown_name_is_told_with_its_path_and_the_nearest(
    options: Any, path: str, reason: str, listings: dict[Listing, Rows]
) -> None:
    body = body_of(options)
    found = resolve_names(body, listings)
    ((told, words),) = found.problems
    assert told == path
    assert reason in words
    assert found.body == body  # it stays a name, and is not sent


def test_a_full_name_of_two_is_ambiguous_and_both_are_told() -> None:
    twins = (
        {"id": "1", "name": "Kim Lee", "email": "kim@example.com"},
        {"id": "2", "name": "Kim Lee", "email": "lee@example.com"},
    )
    found = resolve_names(body_of({"assign_to": "Kim Lee"}), {Listing.USERS: twins})
    ((path, reason),) = found.problems
    assert path == "$.assign_to"
    assert "which 2 go by: Kim Lee <kim@example.com> has id 1, Kim Lee <lee@example.com> has id 2" in reason
    assert resolve_names(body_of({"assign_to": "lee@example.com"}), {Listing.USERS: twins}).body["assign_to"] == {
        "id": "2"
    }


def test_an_address_that_is_also_anothers_full_name_is_the_addresss_owner() -> None:
    rows = (
        {"id": "1", "name": "x@example.com", "email": "y@example.com"},
        {"id": "2", "name": "X", "email": "x@example.com"},
    )
    assert resolve_names(body_of({"assign_to": "x@example.com"}), {Listing.USERS: rows}).body["assign_to"] == {
        "id": "2"
    }


def test_what_no_listing_is_there_for_is_left_and_the_rest_is_resolved(listings: dict[Listing, Rows]) -> None:
    found = resolve_names(body_of(NAMED), {Listing.MODULES: listings[Listing.MODULES]})
    assert [reference.path for reference in found.left] == ["$.assign_to", "$.portal_user_type"]
    assert found.problems == ()
    assert found.body["carry_over_tags"] == [{"api_name": "Contacts", "id": CONTACTS}]
    assert found.body["assign_to"] == {"name": "ann@example.com"}


def test_ids_that_were_given_stay_as_they_are_with_all_that_came_with_them() -> None:
    tags = [{"api_name": "Contacts", "id": "9"}]
    body = body_of({"assign_to": {"id": "7", "name": "whoever"}, "carry_over_tags": tags})
    assert resolve_names(body, {}).body == body


@pytest.mark.parametrize(
    ("options", "path", "reason"),
    [
        ({"assign_to": "3652397000000289001"}, "$.assign_to.id", "which is the id of no active user"),
        ({"assign_to": "3652397000000283001"}, "$.assign_to.id", "which is the id of no active user"),
        ({"portal_user_type": "1"}, "$.portal_user_type.id", "the id of no portal user type"),
        ({"carry_over_tags": [{"api_name": "Contacts", "id": "1"}]}, "$.carry_over_tags[0].id", "of no module"),
        (
            {"move_attachments_to": {"api_name": "Contacts", "id": TASKS}},
            "$.move_attachments_to",
            "the id is that of Tasks",
        ),
    ],
)
def test_an_id_that_is_listed_nowhere_or_belongs_to_another_name_is_told(
    options: Any, path: str, reason: str, listings: dict[Listing, Rows]
) -> None:
    ((told, words),) = check_ids(body_of(options), listings)
    assert told == path
    assert reason in words
    assert check_ids(body_of(NAMED), listings) == []
    assert check_ids(resolve_names(body_of(NAMED), listings).body, listings) == []
