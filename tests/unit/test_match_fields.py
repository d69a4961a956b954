"""Leads are matched by a field of the organisation's own, if that is unique and a field of leads fills it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from massconvert.errors import OptionsError
from massconvert.model import Code, Kind, Listing, Matching, MatchKey, OnMatch, State
from massconvert.options import Options, examine, fingerprint, listings_for, matching_of, resolve_names, unresolved
from massconvert.options.match_fields import LISTINGS, match_field
from massconvert.policy import Row
from massconvert.steps.advance import advance
from massconvert.steps.check import check
from tests.unit.listed import listed
from tests.unit.simulated_crm import ANN, DEAL, Crm
from tests.unit.test_match import contact, run, town

UNIQUE: dict[str, Any] = {"unique_fields": frozenset({"Contacts.Mobile"})}
BY_MOBILE = {"Deals": DEAL, "assign_to": ANN, "on_match": "link", "match": ["Mobile"]}
MOBILE = MatchKey("Mobile", "Contacts", "Mobile")


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Mobile", MOBILE),
        ("Leads.Mobile", MOBILE),
        ("Phone", MatchKey("Phone", "Accounts", "Phone")),  # of the two that it fills the one that is unique
        ("Mobil", "names Mobil, which is no field of the Leads module that this user may see; nearest: Mobile"),
        ("Lead_Status", "names Lead_Status, which fills no field of contacts or accounts; map it in Zoho"),
        ("Email", 'names Email, which fills Contacts.Email; Zoho does not keep that unique.*; for that, write "email"'),
        ("Website", "names Website, which fills Accounts.Website; Zoho does not keep that unique"),
    ],
)
def test_the_field_that_it_fills_is_compared_if_zoho_keeps_it_unique(written: str, found: Any) -> None:
    rows = listed(Crm(unique_fields=frozenset({"Contacts.Mobile", "Accounts.Phone"})), *LISTINGS)
    got = match_field(written, rows)
    if isinstance(found, str):
        assert isinstance(got, str)
        assert re.match(found, got), got
    else:
        assert got == found


def test_a_number_is_not_compared() -> None:
    rows: dict[Listing, Any] = {
        Listing.LEAD_FIELDS: [{"api_name": "No", "label": "", "fills": "", "contact": "No", "account": ""}],
        Listing.CONTACT_FIELDS: [{"api_name": "No", "type": "bigint", "unique": True}],
        Listing.ACCOUNT_FIELDS: [],
    }
    assert (
        match_field("No", rows) == "names No, which fills Contacts.No; its type is bigint, and only texts are compared"
    )


def test_it_is_a_name_until_it_is_looked_up_and_then_says_what_is_compared() -> None:
    options = Options(on_match="link", match=["Mobile", "email"])
    body = options.body()
    assert body == {"$": {"on_match": "link", "match": ["email", "Mobile"]}}
    assert [reference.text for reference in unresolved(body)] == ["Mobile"]
    assert set(listings_for(body)) == set(LISTINGS)
    assert matching_of(body) == Matching(OnMatch.LINK, ("email",))
    rows = listed(Crm(**UNIQUE), *LISTINGS)
    found = resolve_names(body, rows)
    assert matching_of(found.body) == Matching(OnMatch.LINK, ("email",), (MOBILE,))
    assert not unresolved(found.body)
    again = Options.parse(found.body)  # as a retry takes the options of its batch
    assert fingerprint(again.body()) == fingerprint(found.body)
    assert [each.path for each in examine({"$": {**body["$"], "match": ["Fax_No"]}}, rows).problems] == ["$.match"]
    assert resolve_names(body, {Listing.LEAD_FIELDS: rows[Listing.LEAD_FIELDS]}).left


@pytest.mark.parametrize("key", ["fax", "Fax No", "", 7, {"lead_field": "X"}, None])
def test_what_cannot_be_a_field_is_refused_at_once(key: Any) -> None:
    with pytest.raises(OptionsError) as caught:
        Options.parse(json.dumps({"on_match": "link", "match": ["email", key]}))
    assert caught.value.path == "$.match[1]"


def test_a_lead_is_linked_to_the_contact_with_its_value() -> None:
    line = town(**UNIQUE)
    crm = line.crm.organisation
    lead = line.crm.ids[0]
    crm.put_records("Contacts", [{**contact("62", "Kim Fox", "kim@example.com"), "Mobile": "555 7"}])
    crm.give_leads({lead: {"Email": "", "First_Name": "Kim", "Last_Name": "Fox", "Company": "", "Mobile": "555 7"}})
    line.enqueue(BY_MOBILE, leads=[lead])
    (ended,) = run(line).values()
    assert ended is not None
    assert (ended.kind, ended.contact_id) == (Kind.CONVERTED, "62")
    assert Row.LINKED in line.rows


def test_a_field_that_tells_nobody_apart_converts_no_lead() -> None:
    """Where no producer could ask, a worker does before it sends anything."""
    line = town()
    line.enqueue(BY_MOBILE)
    ended = run(line)
    assert {outcome and (outcome.kind, outcome.code) for outcome in ended.values()} == {
        (Kind.FAILED, Code.UNKNOWN_NAME)
    }
    assert {outcome and "Zoho does not keep that unique" in outcome.message for outcome in ended.values()} == {True}
    assert (line.posts(), line.calls("POST coql")) == (0, 0)


def test_a_field_that_cannot_be_looked_up_makes_the_leads_wait() -> None:
    scopes = frozenset({"ZohoCRM.modules.leads.READ", "ZohoCRM.coql.READ", "ZohoCRM.modules.contacts.READ"})
    line = town(scopes=scopes, **UNIQUE)
    line.enqueue(BY_MOBILE)
    for chunk_id in line.ledger.chunks.form().chunk_ids:
        advance(line.ports, chunk_id, [*State])
    assert all(row.outcome is None for row in line.outcomes("k"))
    assert line.posts() == 0


def test_a_check_before_tells_it() -> None:
    line = town()
    checked = check(line.ports, Options.parse(BY_MOBILE).body())
    assert [problem.path for problem in checked.problems] == ["$.match"]
    assert not check(town(**UNIQUE).ports, Options.parse(BY_MOBILE).body()).problems
