"""Whatever Zoho leaves open can be set, and shows: the profiles, what a wrong one is told, and the page about them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from massconvert.simulator import Response, Rules, SimulatorError
from massconvert.simulator.behaviour import NAMES, PROFILES, Behaviour, checked, profile
from massconvert.simulator.command import main
from tests.documented import ROOT
from tests.unit.simulated_crm import ANN, DEAL, Crm, code, only

BOB = "3652397000000282001"
X, Y = "3652397000070000001", "3652397000070000002"


def known(**rules: Any) -> Crm:
    """Ten leads; the first two are of the company Acme, and the first is that of contact Y in account X."""
    crm = Crm(10, unknown=0, job_seconds=rules.pop("job_seconds", 0.0), **rules)
    lead = {"Last_Name": "Ng", "Email": "ng@example.com", "Company": "Acme", "Owner": BOB}
    crm.organisation.give_leads({crm.ids[0]: lead, crm.ids[1]: {"Company": "acme "}, crm.ids[2]: {"Company": None}})
    crm.organisation.put_records("Accounts", [{"id": X, "Account_Name": "Acme"}])
    crm.organisation.put_records("Contacts", [{"id": Y, "Last_Name": "Ng", "Email": "ng@example.com"}])
    return crm


def made(crm: Crm, number: int) -> dict[str, Any]:
    return crm.organisation.truth()[crm.ids[number]]


def unassigned(crm: Crm) -> Response:
    """A payload of the first lead that names no owner."""
    return crm.call("POST", "/crm/v8/Leads/actions/mass_convert", body={"ids": crm.ids[:1]})


def counted(crm: Crm, *ids: str, **options: Any) -> tuple[int, int]:
    """How many leads a job of these converted, and how many not."""
    status = crm.status(crm.job_of(ids, **options))
    return status["Converted_Count"], status["Failed_Count"]


# --- what a mass convert makes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duplicates", "account", "contact"),
    [("create", False, False), ("link_account", True, False), ("link_both", True, True)],
)
def test_duplicates(duplicates: str, account: bool, contact: bool) -> None:
    crm = known(duplicates=duplicates)
    crm.post(crm.ids[:1])
    lead = made(crm, 0)
    assert (lead["account_id"] == X, lead["contact_id"] == Y) == (account, contact)


@pytest.mark.parametrize(("changes", "name"), [(False, None), (True, "Trade Show")])
def test_linking_changes(changes: bool, name: str | None) -> None:
    crm = known(duplicates="link_both", linking_changes=changes)
    crm.organisation.give_leads({crm.ids[0]: {"Lead_Source": "Trade Show"}})
    crm.post(crm.ids[:1])
    assert crm.organisation.records("Contacts")[Y]["Lead_Source"] == name


@pytest.mark.parametrize(("new_accounts", "count"), [("each_lead", 2), ("each_company", 1)])
def test_new_accounts(new_accounts: str, count: int) -> None:
    crm = known(new_accounts=new_accounts)
    crm.post(crm.ids[:2])
    assert len({made(crm, 0)["account_id"], made(crm, 1)["account_id"]}) == count


@pytest.mark.parametrize(("without_company", "name"), [("no_account", None), ("account_of_name", "Lead 2")])
def test_without_company(without_company: str, name: str | None) -> None:
    crm = known(without_company=without_company)
    crm.post(crm.ids[2:3])
    account = crm.organisation.records("Accounts").get(made(crm, 2)["account_id"])
    assert (account and account["Account_Name"]) == name


@pytest.mark.parametrize(("unassigned_owner", "owner"), [("lead_owner", BOB), ("caller", ANN)])
def test_unassigned_owner(unassigned_owner: str, owner: str) -> None:
    crm = known(unassigned_owner=unassigned_owner)
    unassigned(crm)
    assert crm.organisation.records("Contacts")[made(crm, 0)["contact_id"]]["Owner"] == owner


@pytest.mark.parametrize(
    ("unknown_keys", "status", "account"), [("ignored", 200, False), ("refused", 400, False), ("obeyed", 200, True)]
)
def test_unknown_keys(unknown_keys: str, status: int, account: bool) -> None:
    crm = known(unknown_keys=unknown_keys)
    assert crm.post(crm.ids[:1], add_to_existing_record=True).status == status
    assert (made(crm, 0)["account_id"] == X) == account


# --- what is accepted -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "word"), [(200, ""), (202, "SUCCESS")])
def test_accepted_status_and_code(status: int, word: str) -> None:
    crm = known(accepted_status=status, accepted_code=word)
    assert code(crm.post(crm.ids[:1])) == (status, word or "SCHEDULED")


def test_assign_to_mandatory() -> None:
    crm = known(assign_to_mandatory=True)
    assert code(unassigned(crm)) == (400, "MANDATORY_NOT_FOUND")
    assert crm.post(crm.ids[:1], assign_to={"id": ANN}).status == 200


@pytest.mark.parametrize("deal", [{**DEAL, "Stage": "Nowhere"}, {"Deal_Name": "x"}, {**DEAL, "Closing_Date": "soon"}])
def test_wrong_deal(deal: dict[str, Any]) -> None:
    assert known().post(["3652397000009850001"], Deals=deal).status == 400
    crm = known(wrong_deal="in_job")
    assert counted(crm, *crm.ids[3:5], Deals=deal) == (0, 2)
    assert not made(crm, 3)["converted"]
    assert crm.post(crm.ids[3:4], assign_to={}).status == 400


@pytest.mark.parametrize("which", ["unknown", "converted", "locked", "unapproved"])
@pytest.mark.parametrize("counts", [False, True])
def test_a_bad_lead_refuses_all_or_is_counted(which: str, counts: bool) -> None:
    names = {
        "unknown": "one_bad_id",
        "converted": "converted_lead",
        "locked": "locked_lead",
        "unapproved": "unapproved_lead",
    }
    crm = known(**({names[which]: "count_failed"} if counts else {}))
    ids = [crm.ids[3], "1" if which == "unknown" else crm.ids[4]]
    if which == "converted":
        crm.organisation.convert_by_hand(ids[1])
    elif which != "unknown":
        crm.organisation.make_special(ids[1], {"unapproved": "not_approved"}.get(which, which))
    if counts:
        assert counted(crm, *ids) == (1, 1)
    else:
        assert crm.post(ids).status == 400
    assert made(crm, 3)["converted"] is counts


def test_an_unapproved_lead_may_be_converted() -> None:
    crm = known(unapproved_lead="convert")
    crm.organisation.make_special(crm.ids[3], "not_approved")
    assert counted(crm, crm.ids[3]) == (1, 0)
    crm.organisation.make_special(crm.ids[4], "not_approved")
    assert crm.convert(crm.ids[4]).status == 200


@pytest.mark.parametrize(
    ("rules", "path"), [({}, "$.ids[1]"), ({"names_bad_leads": "none", "duplicate_status": 401}, None)]
)
def test_a_lead_whose_contact_is_not_unique_refuses_all_or_is_counted(rules: dict[str, Any], path: str | None) -> None:
    unique = {"unique_fields": frozenset({"Contacts.Email"})}
    crm = known(**unique)
    assert counted(crm, crm.ids[3], crm.ids[0]) == (1, 1)
    crm = known(**unique, duplicate_lead="refuse_all", **rules)
    answer = crm.post([crm.ids[3], crm.ids[0]])
    assert code(answer) == (rules.get("duplicate_status", 400), "DUPLICATE_DATA")
    assert isinstance(answer.body, dict)
    details = answer.body["details"]
    assert (details.get("json_path"), details["duplicate_record"]["id"]) == (path, Y)
    assert not made(crm, 3)["converted"]
    assert crm.post(crm.ids[3:5]).status == 200
    assert crm.convert(crm.ids[0]).status == rules.get("duplicate_status", 400)


@pytest.mark.parametrize(("first", "path"), [("in_order", 1), ("unknown", 2), ("converted", 1)])
def test_first_named(first: str, path: int) -> None:
    crm = known(first_named=first)
    crm.organisation.convert_by_hand(crm.ids[4])
    answer = crm.post([crm.ids[3], crm.ids[4], "1"])
    assert isinstance(answer.body, dict)
    assert answer.body["details"]["json_path"] == f"$.ids[{path}]"


@pytest.mark.parametrize(
    ("two_jobs", "second", "conversions"),
    [("second_fails", (0, 1), 1), ("refuse", None, 1), ("convert_twice", (1, 0), 2)],
)
def test_two_jobs_one_lead(two_jobs: str, second: tuple[int, int] | None, conversions: int) -> None:
    crm = known(two_jobs_one_lead=two_jobs, job_seconds=10.0)
    crm.job_of(crm.ids[3:4])
    crm.clock.now += 1
    answer = crm.post(crm.ids[3:4])
    crm.clock.now += 20
    if second is None:
        assert code(answer) == (400, "ALREADY_SCHEDULED")
    else:
        assert isinstance(answer.body, dict)
        status = crm.status(answer.body["details"]["job_id"])
        assert (status["Converted_Count"], status["Failed_Count"]) == second
    assert made(crm, 3)["conversions"] == conversions
    assert len([each for each in crm.organisation.records("Contacts").values() if each["made_by"]]) == conversions


# --- jobs and reads ---------------------------------------------------------------------------------------


def test_converts_one_by_one() -> None:
    crm = known(converts="one_by_one", job_seconds=10.0, scheduled_share=0.0)
    job = crm.job_of(crm.ids[3:7])
    crm.clock.now += 5
    status = crm.status(job)
    assert (status["Status"], status["Converted_Count"], status["Not_Converted_Count"]) == ("IN PROGRESS", 2, 2)
    assert [made(crm, number)["converted"] for number in range(3, 7)] == [True, True, False, False]
    crm.clock.now += 5
    assert crm.status(job)["Status"] == "COMPLETED"


def test_counts_need_not_add_up() -> None:
    crm = known(counts="too_many")
    status = crm.status(crm.job_of(crm.ids[:8]))
    assert (status["Total_Count"], status["Converted_Count"], status["Failed_Count"]) == (8, 9, 1)


def test_a_status_is_known_later_and_not_for_ever() -> None:
    crm = known(status_known_after=2.0, status_lives=60.0)
    job = crm.job_of(crm.ids[3:4])
    asked = {}
    for seconds in (0, 2, 59, 61):
        at = crm.clock.now
        crm.clock.now += seconds
        asked[seconds] = crm.call("GET", "/crm/v8/Leads/actions/mass_convert", {"job_id": job}).status
        crm.clock.now = at
    assert asked == {0: 400, 2: 200, 59: 200, 61: 400}


def test_reads_lag() -> None:
    crm = known(reads_lag=5.0)
    crm.clock.now += 5
    crm.post(crm.ids[:1])
    crm.status(crm.job_of(crm.ids[3:4]))
    assert [row["Converted__s"] for row in only(crm.read([crm.ids[0], crm.ids[3]]))] == [False, False]
    query = "select id from Contacts where Email = 'lead3@example.com'"
    assert crm.call("POST", "/crm/v8/coql", body={"select_query": query}).status == 204
    crm.clock.now += 5
    assert [row["Converted__s"] for row in only(crm.read([crm.ids[0], crm.ids[3]]))] == [True, True]
    assert crm.call("POST", "/crm/v8/coql", body={"select_query": query}).status == 200


# --- one lead at a time -----------------------------------------------------------------------------------


def test_single_convert_may_be_a_job() -> None:
    crm = known(single_convert="scheduled", job_seconds=5.0)
    answer = crm.convert(crm.ids[0], Accounts={"id": X})
    (item,) = only(answer)
    assert (answer.status, item["code"]) == (202, "SCHEDULED")
    assert not made(crm, 0)["converted"]
    crm.clock.now += 5
    assert crm.status(item["details"]["job_id"])["Converted_Count"] == 1
    assert made(crm, 0)["account_id"] == X


@pytest.mark.parametrize("finds", [False, True])
def test_single_matches(finds: bool) -> None:
    crm = known(single_matches=finds)
    crm.convert(crm.ids[0], add_to_existing_record=True)
    assert ((made(crm, 0)["account_id"], made(crm, 0)["contact_id"]) == (X, Y)) is finds


@pytest.mark.parametrize(
    ("strictness", "lead", "status"),
    [("exact", 0, 200), ("exact", 1, 400), ("folded", 1, 200), ("folded", 3, 400), ("unchecked", 3, 200)],
)
def test_linking_strictness(strictness: str, lead: int, status: int) -> None:
    crm = known(linking_strictness=strictness)
    assert crm.convert(crm.ids[lead], Accounts={"id": X}).status == status


@pytest.mark.parametrize(("match", "status"), [("email_and_name", 400), ("email_or_name", 200)])
def test_contact_match(match: str, status: int) -> None:
    crm = known(contact_match=match, mismatch_code="DATA_MISMATCH")
    crm.organisation.give_leads({crm.ids[0]: {"First_Name": "Ann"}})
    answer = crm.convert(crm.ids[0], Contacts={"id": Y})
    assert (answer.status, only(answer)[0]["code"]) == (status, "SUCCESS" if status == 200 else "DATA_MISMATCH")


def test_where_and_how_a_single_refusal_stands() -> None:
    crm = known(single_refusal="bare", single_refusal_status=202)
    assert code(crm.convert(crm.ids[0], Contacts={"id": "1"})) == (202, "INVALID_DATA")
    forbidden = known(single_refusal_status=202, without_permissions=frozenset({"Crm_Implied_Convert_Leads"}))
    assert forbidden.convert(forbidden.ids[0]).status == 403


# --- limits, reads, queries -------------------------------------------------------------------------------


def test_what_a_call_costs_and_whether_it_is_told() -> None:
    crm = known(
        call_cost={"POST mass_convert": 50, "POST coql": 7, "GET Leads": 0}, credits=1000, credits_header="always"
    )
    calls: tuple[tuple[int, Callable[[], Response]], ...] = (
        (50, lambda: crm.post(crm.ids[3:4])),
        (7, lambda: crm.call("POST", "/crm/v8/coql", body={"select_query": "select id from Leads where id > 1"})),
        (0, lambda: crm.read(crm.ids)),
        (1, lambda: crm.call("GET", "/crm/v8/org")),
    )
    for cost, call in calls:
        before = crm.organisation.load()["credits_used"]
        left = call().headers["X-API-CREDITS-REMAINING"]
        assert crm.organisation.load()["credits_used"] == before + cost
        assert int(left) == 1000 - before - cost
    assert "X-API-CREDITS-REMAINING" not in known(credits=0, credits_header="never").call("GET", "/crm/v8/org").headers


def test_after_a_429() -> None:
    crm = known(concurrency=0, throttled_seconds=5.0, retry_after=3)
    crm.access_token()
    refused = crm.call("GET", "/crm/v8/org")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "3")
    crm.organisation.set_behaviour({"concurrency": 10})
    crm.clock.now += 4
    assert crm.call("GET", "/crm/v8/org").status == 429
    crm.clock.now += 1
    assert crm.call("GET", "/crm/v8/org").status == 200


def test_most_ids() -> None:
    crm = Crm(60, most_ids=50)
    assert code(crm.read(crm.ids[:51])) == (400, "LIMIT_EXCEEDED")
    assert crm.read(crm.ids[:50]).status == 200


@pytest.mark.parametrize(
    ("rules", "text", "found"),
    [
        ({"query_case": "exact"}, "'ACME'", False),
        ({"query_case": "folded"}, "'ACME'", True),
        ({"query_spaces": "kept"}, "'Acme '", False),
        ({"query_spaces": "trimmed"}, "'Acme '", True),
        ({"query_quotes": "backslash"}, "'O\\'Neill'", True),
        ({"query_quotes": "backslash"}, "'O''Neill'", None),
        ({"query_quotes": "doubled"}, "'O''Neill'", True),
        ({"query_quotes": "doubled"}, "'O\\'Neill'", None),
        ({"most_values": 0}, "'Acme'", None),
    ],
)
def test_how_a_query_reads_its_texts(rules: dict[str, Any], text: str, found: bool | None) -> None:
    crm = known(**rules)
    crm.organisation.put_records("Accounts", [{"Account_Name": "O'Neill"}])
    query = f"select id from Accounts where Account_Name in ({text})"
    status = crm.call("POST", "/crm/v8/coql", body={"select_query": query}).status
    assert status == {True: 200, False: 204, None: 400}[found]


@pytest.mark.parametrize(("shown", "wanted"), [("id", {"id": X}), ("id_and_name", {"id": X, "name": "Acme"})])
def test_query_lookups(shown: str, wanted: dict[str, str]) -> None:
    crm = known(query_lookups=shown)
    crm.organisation.put_records("Contacts", [{"id": Y, "Last_Name": "Ng", "Account_Name": X}])
    text = "select Account_Name from Contacts where id > 1"
    (row,) = only(crm.call("POST", "/crm/v8/coql", body={"select_query": text}))
    assert row["Account_Name"] == wanted


@pytest.mark.parametrize(("rule", "done"), [("allowed", "SUCCESS"), ("refused", "CANNOT_PERFORM_ACTION")])
def test_delete_converted(rule: str, done: str) -> None:
    crm = known(delete_converted=rule)
    crm.organisation.convert_by_hand(crm.ids[3])
    assert [each["code"] for each in only(crm.call("DELETE", "/crm/v8/Leads", {"ids": crm.ids[3]}))] == [done]
    assert (
        only(crm.call("PUT", "/crm/v8/Leads", body={"data": [{"id": crm.ids[3], "Company": "B"}]}))[0]["status"]
        == "error"
    )


# --- profiles ---------------------------------------------------------------------------------------------


def test_a_behaviour_is_changed_while_calls_are_made_and_is_told() -> None:
    crm = known()
    crm.organisation.set_behaviour({"duplicates": "link_both", "reads_lag": 1})
    assert crm.organisation.behaviour()["duplicates"] == "link_both"
    assert set(crm.organisation.behaviour()) == set(NAMES)
    assert Behaviour(**crm.organisation.behaviour()).reads_lag == 1
    with pytest.raises(SimulatorError):
        crm.organisation.set_behaviour({"duplicates": "create", "nonsense": 1})
    assert crm.organisation.behaviour()["duplicates"] == "link_both"
    crm.post(crm.ids[:1])
    assert made(crm, 0)["contact_id"] == Y


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "a profile is an object"),
        ({"one_bad_ids": "refuse_all"}, "there is no behaviour 'one_bad_ids'; perhaps 'one_bad_id' is meant"),
        ({"colour": 1}, "there is no behaviour 'colour'; docs/simulator.md has them all"),
        ({"one_bad_id": "x"}, '\'one_bad_id\' is "x"; it must be one of "refuse_all", "count_failed"'),
        ({"accepted_status": True}, "it must be one of 200, 202"),
        ({"reads_lag": -1}, "it must be a number of seconds, 0 or more"),
        ({"status_lives": "long"}, "it must be a number of seconds, 0 or more, or null"),
        ({"most_leads": 1.5}, "it must be a whole number, 0 or more"),
        ({"leads_first": 1}, "it must be true or false"),
        ({"call_cost": {"POST mass_convert": "x"}}, "it must be an object of calls and their credits"),
        (
            {"call_cost": {"POST mass convert": 5}},
            "there is no call 'POST mass convert', only POST mass_convert, ",
        ),
        ({"scheduled_share": 2}, "it must be a part of a job's time, from 0 to 1"),
        ({"behaviour": {"retry_after": -1}}, "it must be a whole number, 0 or more, or null"),
    ],
)
def test_a_wrong_profile_is_told_in_a_line(given: Any, words: str) -> None:
    with pytest.raises(SimulatorError, match=re.escape(words)):
        checked(given)


def test_a_profile_is_a_name_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Behaviour(**profile("as-unkind")) == PROFILES["as-unkind"]
    path = tmp_path / "seen.json"
    path.write_text(json.dumps({"behaviour": {"reads_lag": 2, "status_lives": None}, "seen": ["whatever"]}))
    assert profile(str(path)) == {"reads_lag": 2, "status_lives": None}
    for text in ("{", '{"reads_lag": null}'):
        path.write_text(text)
        assert main(["--profile", str(path)]) == 2
        assert str(path) in capsys.readouterr().err
    assert main(["--profile", "as-wished"]) == 2
    assert "as-documented and as-unkind" in capsys.readouterr().err


def test_the_page_has_every_behaviour_what_it_may_be_and_what_it_is_without_a_profile() -> None:
    page = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8").partition("\n| behaviour |")[2]
    rows = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|", page, re.M)}
    kinds = get_type_hints(Behaviour)
    for each in fields(Behaviour):
        default, may_be = rows.pop(each.name)
        value = each.default if each.default is not MISSING else {}
        shown = value if isinstance(value, str) and value else json.dumps(value)
        assert default.strip("` ") == shown, each.name
        if get_origin(kinds[each.name]) is Literal:
            choices = [choice for choice in get_args(kinds[each.name]) if choice]
            assert re.findall(r"`([^`]+)`", may_be) == [str(choice) for choice in choices], each.name
    assert rows == {}


def test_the_unkind_one_differs_and_rules_take_it() -> None:
    unkind = PROFILES["as-unkind"]
    assert Rules(**profile("as-unkind")).one_bad_id == "count_failed"
    assert sum(getattr(unkind, name) != getattr(Behaviour(), name) for name in NAMES) >= 20
