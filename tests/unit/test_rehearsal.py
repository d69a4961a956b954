"""Each question finds what the organisation does: it is told to do it differently, and the run must see that."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from massconvert.errors import InputError, ZohoError
from massconvert.rehearsal.question import NOT_SEEN
from massconvert.rehearsal.result import facts_in
from massconvert.rehearsal.run import QUESTIONS, chosen, costs, records
from massconvert.simulator.behaviour import AS_UNKIND, checked, told
from massconvert.simulator.rules import ALL_SCOPES
from tests.unit.rehearsal_hall import MARK, Hall

THERE = "the one that is there"
#: What the organisation does, which questions show it, and what is seen.
VARIANTS: list[tuple[dict[str, Any], tuple[int, ...], dict[str, Any]]] = [
    ({}, (3,), {"accepted_status": 200, "accepted_code": "SCHEDULED"}),
    ({"accepted_status": 202}, (3,), {"accepted_status": 202}),
    ({"accepted_code": "SUCCESS"}, (3,), {"accepted_code": "SUCCESS"}),
    ({"status_case": "title"}, (4,), {"job_words": ["Scheduled", "In Progress", "Completed"]}),
    ({"status_case": "lower"}, (4,), {"job_words": ["scheduled", "in progress", "completed"]}),
    ({"status_known_after": 4.0, "job_seconds": 10.0}, (4,), {"job_known_after": 5.0}),
    ({"job_seconds": 20.0}, (4,), {"job_seconds": {"10": 21.0}}),
    ({"counts": "too_many"}, (4,), {"job_counts_add_up": False}),
    ({"reads_lag": 6.0}, (5,), {"read_lag": 7.0}),
    ({"converts": "one_by_one", "job_seconds": 10.0}, (5,), {"reads_in_part": True, "reads_ahead": True}),
    ({"duplicates": "link_account"}, (1,), {"match_company": THERE, "match_email": "a new one"}),
    ({"duplicates": "link_both"}, (1,), {"match_company": THERE, "match_email": THERE, "match_all": THERE}),
    ({"duplicates": "link_both", "linking_changes": True}, (1,), {"matched_contact_changed": True}),
    ({"new_accounts": "each_lead"}, (2,), {"same_company": "an account each"}),
    ({"new_accounts": "each_company"}, (2,), {"same_company": "one account"}),
    ({"without_company": "account_of_name"}, (2,), {"without_company": "an account"}),
    ({}, (6,), {"one_bad_id": "refuses all", "one_bad_id_names": "$.ids[1]"}),
    ({"one_bad_id": "count_failed"}, (6,), {"one_bad_id": "fails alone"}),
    ({"names_bad_leads": "all"}, (7,), {"bad_ids_named": "all"}),
    ({"names_bad_leads": "none"}, (7,), {"bad_ids_named": "none"}),
    ({"first_named": "converted"}, (7,), {"named_first": "a converted one"}),
    ({"first_named": "unknown"}, (7,), {"named_first": "a deleted one"}),
    ({}, (7,), {"named_first": "the first", "looked_at_first": "the options"}),
    ({"leads_first": True}, (7,), {"looked_at_first": "the leads"}),
    ({}, (8,), {"alone_unapproved": "NOT_APPROVED", "alone_unknown": "INVALID_DATA", "alone_contact": "INVALID_DATA"}),
    ({"unapproved_lead": "convert"}, (8,), {"alone_unapproved": "converted"}),
    ({"unapproved_lead": "count_failed"}, (8,), {"alone_unapproved": "fails in the job"}),
    ({"converted_lead": "count_failed"}, (8,), {"alone_converted": "fails in the job"}),
    ({"two_jobs_one_lead": "refuse"}, (9,), {"two_jobs": "one payload is refused"}),
    ({"two_jobs_one_lead": "convert_twice"}, (9,), {"two_jobs": "converts it twice"}),
    ({"two_jobs_one_lead": "second_fails"}, (9,), {"two_jobs": "converts it once"}),
    ({}, (10,), {"deal_with_date_in_words": "refused at once", "deal_without_stage": "refused at once"}),
    ({"wrong_deal": "in_job"}, (10,), {"deal_with_date_in_words": "fails in the job"}),
    ({"pipelines": True}, (10,), {"deal_with_unknown_stage": "refused at once"}),
    ({"assign_to_mandatory": True}, (11,), {"no_assign_to": "refused: MANDATORY_NOT_FOUND"}),
    ({"unassigned_owner": "caller"}, (11,), {"owner_without_assign_to": "the user who converts"}),
    ({}, (11,), {"owner_without_assign_to": "the lead's owner", "too_many_leads": "LIMIT_EXCEEDED", "most_leads": 50}),
    ({"too_many_code": "RECORD_LIMIT_EXCEEDED"}, (11,), {"too_many_leads": "RECORD_LIMIT_EXCEEDED"}),
    ({"unknown_keys": "refused"}, (12,), {"unknown_key": "refused: INVALID_DATA"}),
    ({"unknown_keys": "obeyed"}, (12,), {"unknown_key": "obeyed"}),
    ({"unknown_keys": "ignored"}, (12,), {"unknown_key": "ignored"}),
    ({"single_convert": "scheduled"}, (13,), {"single_convert": "a job"}),
    ({"single_matches": True}, (13,), {"single_add_to_existing": THERE}),
    (
        {},
        (13,),
        {"single_link_of_another_name": "refused: INVALID_DATA", "single_link_in_capitals": "refused: INVALID_DATA"},
    ),
    ({"mismatch_code": "DATA_MISMATCH"}, (13,), {"single_link_of_another_name": "refused: DATA_MISMATCH"}),
    ({"linking_strictness": "folded"}, (13,), {"single_link_in_capitals": THERE}),
    ({"linking_strictness": "unchecked"}, (13,), {"single_link_of_another_name": THERE}),
    ({"contact_match": "email_or_name"}, (13,), {"single_link_by_email": THERE}),
    ({"single_refusal": "bare"}, (13,), {"single_refusal": "bare, status 400"}),
    ({"single_refusal_status": 202}, (13,), {"single_refusal": "in data, status 202"}),
    ({"credits_header": "always", "credits": 5000}, (14,), {"cost_mass_convert": 5, "cost_status": 1, "cost_read": 1}),
    (
        {"credits_header": "always", "credits": 5000, "call_cost": {"POST mass_convert": 50}},
        (14,),
        {"cost_mass_convert": 50},
    ),
    ({"most_ids": 50}, (16,), {"ids_a_read": 50, "ids_a_read_limit": "50 ids"}),
    ({"most_id_characters": 1024}, (16,), {"ids_a_read": 51, "ids_a_read_limit": "1024 characters"}),
    ({"query_case": "exact"}, (16,), {"query_other_case": "finds nothing"}),
    ({"query_spaces": "trimmed"}, (16,), {"query_outer_space": "finds it"}),
    ({"query_quotes": "doubled"}, (16,), {"query_quote_doubled": "finds it"}),
    ({"query_lookups": "id"}, (16,), {"query_lookup": "id"}),
    ({"most_values": 100}, (16,), {"query_51_values": "taken"}),
    ({"delete_converted": "refused"}, (3, 4), {"left_behind": 10}),
]
#: What the profile need not give back: it is not told apart, or is not what an organisation does.
NO_BEHAVIOUR = {
    "job_seconds",
    "credits",
    "credits_header",
    "pipelines",
    "reads_lag",
    "status_known_after",
    "most_values",
}


@pytest.mark.parametrize(("rules", "only", "expected"), VARIANTS, ids=lambda value: json.dumps(value)[:60])
def test_what_an_organisation_does_is_seen(
    tmp_path: Path, rules: dict[str, Any], only: tuple[int, ...], expected: dict[str, Any]
) -> None:
    found, _ = Hall(tmp_path, **rules).rehearse(only)
    assert {name: found["seen"][name] for name in expected} == expected
    assert not [value for value in found["seen"].values() if "not understood" in str(value)]
    expected = {name: value for name, value in rules.items() if name not in NO_BEHAVIOUR}
    behaviour = {name: found["behaviour"].get(name) for name in expected}
    if priced := expected.get("call_cost"):
        behaviour["call_cost"] = {call: behaviour["call_cost"][call] for call in priced}
    assert behaviour == expected
    assert checked(found) == found["behaviour"]  # the simulator takes the file as a profile


# --- whole runs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "code", "limit"),
    [
        ("v5", "SUCCESS", "RECORD_LIMIT_EXCEEDED"),
        ("v7", "SCHEDULED", "LIMIT_EXCEEDED"),
        ("v8", "SCHEDULED", "LIMIT_EXCEEDED"),
    ],
)
def test_a_whole_run_sees_each_version_and_leaves_nothing(tmp_path: Path, version: str, code: str, limit: str) -> None:
    hall = Hall(tmp_path, version=version)
    found, cleaned = hall.rehearse()
    assert found["seen"]["accepted_code"] == code
    assert found["seen"]["too_many_leads"] == limit
    assert [question["number"] for question in found["questions"]] == list(range(1, 19))
    assert not [value for value in found["seen"].values() if "not understood" in str(value)]
    assert cleaned.left == {}
    assert hall.everything() == hall.before


def test_as_documented_nothing_differs_that_matters(tmp_path: Path) -> None:
    found, _ = Hall(tmp_path).rehearse()
    differs = [
        point["name"] for question in found["questions"] for point in question["points"] if point.get("fits") is False
    ]
    assert differs == []


def test_an_organisation_as_unkind_as_can_be_is_seen_as_it_is(tmp_path: Path) -> None:
    """Late reads, late jobs, counts that do not add up: no question takes them for something else."""
    hall = Hall(tmp_path, **told(AS_UNKIND))
    found, cleaned = hall.rehearse()
    seen = found["seen"]
    assert not [value for value in seen.values() if "not understood" in str(value)]
    assert seen["two_jobs"] == "converts it twice"
    assert (seen["single_convert"], seen["single_link"]) == ("a job", THERE)
    assert 1.0 <= seen["read_lag"] <= 3.0
    assert (seen["job_counts_add_up"], seen["reads_in_part"]) == (False, True)
    assert checked(found) == found["behaviour"]
    assert {module for module, _ in cleaned.left} == {"Leads"}  # converted ones, which it does not let go
    after = hall.everything()
    assert {name: after[name] for name in ("Contacts", "Accounts", "Deals")} == {
        name: hall.before[name] for name in ("Contacts", "Accounts", "Deals")
    }


def test_a_job_of_fifty_is_timed_too(tmp_path: Path) -> None:
    hall = Hall(tmp_path, job_seconds=1.0, job_seconds_per_lead=0.1)
    found, _ = hall.rehearse((4,), fifty=True)
    assert found["seen"]["job_seconds"] == {"10": 2.0, "50": 8.0}
    assert hall.everything() == hall.before


def test_the_file_holds_no_id_no_mark_and_no_name(tmp_path: Path) -> None:
    found, _ = Hall(tmp_path).rehearse()
    text = json.dumps(found)
    assert not re.search(r"\d{15,}", text)
    assert MARK not in text
    assert "Example Ltd" not in text
    assert "ann@example.com" not in text
    assert "Zoho-oauthtoken" not in text


def test_the_journal_is_for_its_user_alone_and_holds_no_secret(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    hall.rehearse((3,))
    assert hall.path.stat().st_mode & 0o777 == 0o600
    text = hall.path.read_text()
    for secret in ("not-a-secret", "not-a-token", "Zoho-oauthtoken", "Example Ltd"):
        assert secret not in text


def test_a_scope_that_is_missing_stops_it_before_anything_is_made(tmp_path: Path) -> None:
    hall = Hall(tmp_path, scopes=ALL_SCOPES - {"ZohoCRM.modules.contacts.DELETE"})
    with pytest.raises(ZohoError, match=r"contacts\.DELETE"):
        hall.rehearse()
    assert hall.everything() == hall.before
    assert "DELETE" in hall.path.read_text()
    assert hall.clean_up().number == 0


def test_what_cannot_be_asked_says_why(tmp_path: Path) -> None:
    without = {"ZohoCRM.coql.READ", "ZohoCRM.settings.fields.READ", "ZohoCRM.composite_requests.CUSTOM"}
    hall = Hall(tmp_path, scopes=ALL_SCOPES - without)
    found, cleaned = hall.rehearse()
    assert "settings.fields.READ" in found["seen"]["deal_without_stage"]
    assert found["seen"]["composite"] == "refused: OAUTH_SCOPE_MISMATCH"
    assert cleaned.left == {}
    assert hall.everything() == hall.before  # without a query, what the journal names is found all the same


def test_the_facts_of_a_file_are_what_the_pipeline_can_use(tmp_path: Path) -> None:
    rules: dict[str, Any] = {
        "reads_lag": 6.0,
        "job_seconds": 20.0,
        "most_ids": 50,
        "credits_header": "always",
        "credits": 5000,
    }
    found, _ = Hall(tmp_path, **rules).rehearse()
    facts = facts_in(json.loads(json.dumps(found)), file="seen.json")
    assert facts.read_lag is not None
    assert 6.0 <= facts.read_lag <= 15.0
    assert facts.job_seconds == {10: 21.0}
    assert facts.ids_a_read == 50
    assert facts.post_credits == 5
    assert facts.one_bad_id_refuses_all is True
    assert facts.links is False
    with pytest.raises(InputError, match="is not the file of a rehearsal"):
        facts_in({"form": 2}, file="other.json")


# --- what is chosen ---------------------------------------------------------------------------------------


def test_a_question_brings_those_that_it_builds_on() -> None:
    assert [question.number for question in chosen([7])] == [3, 4, 7, 18]
    assert [question.number for question in chosen()] == [question.number for question in QUESTIONS]
    with pytest.raises(InputError, match="no question 19"):
        chosen([19, 3])


def test_a_run_is_as_small_as_it_says(tmp_path: Path) -> None:
    calls, cost = costs(QUESTIONS)
    assert len(records(QUESTIONS)) <= 45
    assert cost < 500
    hall = Hall(tmp_path)
    hall.rehearse()
    used = hall.organisation.load()["credits_used"]
    assert used < 500
    assert 0.5 < used / cost < 1.5
    made = sum(hall.organisation.calls().values())
    assert 0.5 < made / calls < 1.5


def test_every_point_has_its_words() -> None:
    names = [point.name for question in QUESTIONS for point in question.points]
    assert len(names) == len(set(names))
    for question in QUESTIONS:
        for point in question.points:
            assert point.asked
            assert point.assumes
            assert not point.setting or re.fullmatch(r"(MASSCONVERT|ZOHO)_[A-Z_]+", point.setting)
            assert point.judge(f"{NOT_SEEN}: why", 8) is None


# --- credits that a person reads ---------------------------------------------------------------------------


def test_credits_are_told_by_a_person_where_zoho_does_not(tmp_path: Path) -> None:
    hall = Hall(tmp_path, call_cost={"POST mass_convert": 50})
    asked: list[str] = []

    def figure(after: str) -> int:
        asked.append(after)
        return hall.organisation.load()["credits_used"]

    found, cleaned = hall.rehearse((14,), figure=figure)
    seen = found["seen"]
    assert (seen["cost_mass_convert"], seen["cost_status"], seen["cost_read"]) == (50, 1, 1)
    assert found["behaviour"]["call_cost"]["POST mass_convert"] == 50
    assert asked[0] == "before the calls that are counted"
    assert cleaned.left == {}
    assert hall.everything() == hall.before


def test_who_does_not_know_the_credits_is_asked_once(tmp_path: Path) -> None:
    asked: list[str] = []
    found, _ = Hall(tmp_path).rehearse((14,), figure=asked.append)
    assert len(asked) == 1
    assert found["seen"]["cost_mass_convert"].startswith(NOT_SEEN)
