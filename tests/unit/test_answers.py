"""What came over the wire becomes exactly one value of the model, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from massconvert.model import (
    Accepted,
    JobStatus,
    LeadsRead,
    LeadState,
    PerhapsAccepted,
    Progress,
    Refused,
)
from massconvert.zoho.answers import Body, parse_body, parse_post, parse_read, parse_status

JOB = "3652397000009835020"
LEAD = "3652397000009850001"


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def post(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Any:
    return parse_post(status, headers or {}, value if isinstance(value, bytes) else body(value))


def status_of(*items: Any, status: int = 200) -> Any:
    return parse_status(status, {}, body({"data": list(items)}))


def read(*records: Any, **more: Any) -> Any:
    return parse_read(200, {}, body({"data": list(records), **more}))


def error(code: str, details: Any = None, message: str = "no") -> dict[str, Any]:
    return {"code": code, "details": {} if details is None else details, "message": message, "status": "error"}


# --- the POST


@pytest.mark.parametrize("code", ["SUCCESS", "SCHEDULED"])
def test_a_job_id_with_status_success_is_accepted_whatever_the_code(code: str) -> None:
    answer = {"code": code, "details": {"job_id": JOB}, "message": "scheduled", "status": "success"}
    assert post(answer) == Accepted(JOB)


@pytest.mark.parametrize(
    "answer",
    [
        {"code": "SUCCESS", "details": {"job_id": int(JOB)}, "status": "success"},  # a number
        {"status": "Success", "details": {"job_id": JOB, "new": [1]}, "more": {}},  # letter case, extra fields
        {"data": [{"code": "SCHEDULED", "details": {"job_id": JOB}, "status": "success"}]},  # as other writes answer
        {"status": "success", "job_id": JOB},  # not inside details
    ],
)
def test_other_spellings_of_acceptance_are_understood(answer: Any) -> None:
    assert post(answer, 201) == Accepted(JOB)


@pytest.mark.parametrize(
    "job_id",
    [None, "", "abc", -5, True, 1.5, {"id": JOB}, "\u0661\u0662"],  # digits, but not ASCII ones
)
def test_success_without_a_usable_job_id_is_perhaps_accepted(job_id: Any) -> None:
    answer = post({"code": "SUCCESS", "details": {"job_id": job_id}, "status": "success"})
    assert isinstance(answer, PerhapsAccepted)
    assert (answer.status, answer.code) == (200, "SUCCESS")


@pytest.mark.parametrize(
    ("status", "answer", "paths"),
    [
        (
            400,
            error("MANDATORY_NOT_FOUND", {"api_name": "Deal_Name", "json_path": "$.Deals.Deal_Name"}),
            ("$.Deals.Deal_Name",),
        ),
        (
            400,
            error(
                "EXPECTED_FIELD_MISSING",
                {
                    "expected_fields": [
                        {"api_name": "name", "json_path": "$.assign_to.name"},
                        {"api_name": "id", "json_path": "$.assign_to.id"},
                    ]
                },
            ),
            ("$.assign_to.name", "$.assign_to.id"),
        ),
        (400, error("INVALID_DATA", {"api_name": "ids", "json_path": "$.ids[3]"}), ("$.ids[3]",)),
        (
            400,
            error("INVALID_DATA", [{"json_path": "$.ids[3]"}, {"json_path": "$.ids[7]"}, {"json_path": "$.ids[3]"}]),
            ("$.ids[3]", "$.ids[7]"),
        ),
        (400, error("INVALID_DATA", {"expected_data_type": "jsonobject", "json_path": "$.Deals"}), ("$.Deals",)),
        (400, error("RECORD_LIMIT_EXCEEDED", {"limit": 50, "json_path": "$.ids"}), ("$.ids",)),
        (400, error("AMBIGUITY_DURING_PROCESSING", {"json_path": "$.related_modules[0]"}), ("$.related_modules[0]",)),
        (400, error("INVALID_REQUEST_METHOD"), ()),
        (400, error("REQUIRED_PARAM_MISSING", {"param": "job_id"}), ("job_id",)),
        (400, error("INVALID_DATA", {"param_name": "job_id"}), ("job_id",)),
        (401, error("INVALID_TOKEN", message="invalid oauth token"), ()),
        (401, error("OAUTH_SCOPE_MISMATCH"), ()),
        (403, error("NO_PERMISSION", {"permissions": ["Crm_Implied_Convert_Leads"]}), ()),
        (404, error("INVALID_URL_PATTERN"), ()),
    ],
)
def test_every_documented_error_is_refused_with_its_code_and_all_its_paths(
    status: int, answer: Any, paths: tuple[str, ...]
) -> None:
    refused = post(answer, status)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code, refused.message) == (status, answer["code"], answer["message"])
    assert refused.paths == paths
    if isinstance(answer["details"], dict):
        assert refused.details == answer["details"]


def test_an_error_with_status_200_is_refused() -> None:
    assert post(error("INVALID_DATA"), 200) == Refused(200, "INVALID_DATA", "no")


def test_an_error_inside_a_data_list_is_refused() -> None:
    assert post({"data": [error("INVALID_DATA", {"json_path": "$.ids[0]"})]}, 207) == Refused(
        207, "INVALID_DATA", "no", ("$.ids[0]",), {"json_path": "$.ids[0]"}
    )


LOCKED = error("RECORD_LOCKED", {"id": LEAD, "action": "zia_vision_processing"}, "locked")
MULTI = error("MULTIPLE_OR_MULTI_ERRORS", {"id": LEAD, "errors": [error("NOT_APPROVED", {"json_path": "$.ids[3].x"})]})


@pytest.mark.parametrize("status", [200, 202, 207, 400, 409])
@pytest.mark.parametrize(
    "shape", [lambda e: e, lambda e: {"data": [e]}, lambda e: {"errors": [e]}, lambda e: {"data": e}]
)
def test_an_error_is_found_bare_in_data_and_in_errors(status: int, shape: Any) -> None:
    assert post(shape(LOCKED), status) == Refused(status, "RECORD_LOCKED", "locked", (), LOCKED["details"], ids=(LEAD,))


@pytest.mark.parametrize("shape", [lambda e: e, lambda e: {"data": [e]}, lambda e: {"errors": [e]}])
def test_an_error_of_errors_is_looked_into(shape: Any) -> None:
    inside = post(shape(MULTI), 400)
    assert (inside.code, inside.message, inside.paths, inside.ids) == ("NOT_APPROVED", "no", ("$.ids[3].x",), (LEAD,))
    bare = {"code": "NOT_REVIEWED", "message": "no"}  # without a status of its own
    assert post(shape({**error("MULTIPLE_OR_MULTI_ERRORS"), "errors": [bare]}), 400).code == "NOT_REVIEWED"
    assert post(shape(error("MULTIPLE_OR_MULTI_ERRORS", {"errors": []})), 400).code == "MULTIPLE_OR_MULTI_ERRORS"


def test_of_several_errors_those_of_the_first_code_are_named_together() -> None:
    other = str(int(LEAD) + 1)
    answer = {
        "data": [
            error("RECORD_LOCKED", {"id": LEAD}),
            error("NOT_APPROVED", {"json_path": "$.ids[1]"}),
            error("RECORD_LOCKED", {"id": int(other)}),
        ]
    }
    refused = post(answer, 400)
    assert (refused.code, refused.paths, refused.ids) == ("RECORD_LOCKED", (), (LEAD, other))


@pytest.mark.parametrize(
    ("details", "paths", "ids"),
    [
        ({"limit": 50, "limit_due_to": [{"api_name": "ids", "json_path": "$.ids"}]}, ("$.ids",), ()),
        ({"ambiguity_due_to": [{"json_path": "$.related_modules[0].id"}]}, ("$.related_modules[0].id",), ()),
        ({"limit_due_to": ["$.ids", "$.Deals"]}, ("$.ids", "$.Deals"), ()),
        ({"resource_path_index": 1}, (), ()),
        ({"id": LEAD}, (), (LEAD,)),
        ({"id": int(LEAD)}, (), (LEAD,)),
        ({"ids": [LEAD, "7", None, "x"]}, (), (LEAD, "7")),
        ([{"id": LEAD, "json_path": "$.data[0]"}], ("$.data[0]",), (LEAD,)),
        # The record that is there already is not the one that is wrong.
        ({"api_name": "Email", "duplicate_record": {"id": LEAD, "module": {"id": "7"}}}, (), ()),
    ],
)
def test_details_name_places_and_records(details: Any, paths: tuple[str, ...], ids: tuple[str, ...]) -> None:
    refused = post(error("SOME_CODE", details), 400)
    assert (refused.paths, refused.ids) == (paths, ids)


def test_a_job_that_was_accepted_is_followed_whatever_stands_beside_it() -> None:
    accepted = {"code": "SCHEDULED", "details": {"job_id": JOB}, "status": "success"}
    assert post({"data": [LOCKED, accepted]}, 207) == Accepted(JOB)
    half = {"data": [LOCKED, {"code": "SUCCESS", "details": {"id": LEAD}, "status": "success"}]}
    for status in (207, 400):
        assert isinstance(post(half, status), PerhapsAccepted)


@pytest.mark.parametrize("status", [200, 201, 202, 207])
def test_any_2xx_accepts(status: int) -> None:
    assert post({"code": "SCHEDULED", "details": {"job_id": JOB}, "status": "success"}, status) == Accepted(JOB)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_a_5xx_is_perhaps_accepted_and_keeps_zohos_code(status: int) -> None:
    answer = post(error("INTERNAL_ERROR", message="Internal Server Error"), status)
    assert answer == PerhapsAccepted(f"HTTP {status}: Internal Server Error", status, "INTERNAL_ERROR")


def test_a_5xx_with_a_success_body_is_still_perhaps_accepted() -> None:
    assert isinstance(post({"status": "success", "details": {"job_id": JOB}}, 500), PerhapsAccepted)


@pytest.mark.parametrize("status", [200, 301, 302, 303, 307, 400, 401, 403, 404, 500])
@pytest.mark.parametrize("garbage", [b"", b"  ", b"<html>Bad Gateway</html>", b"\xff\xfe\x00", b"[1]", b'"x"', b"nu"])
def test_what_is_not_zohos_json_is_perhaps_accepted(status: int, garbage: bytes) -> None:
    assert isinstance(post(garbage, status), PerhapsAccepted)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_perhaps_accepted_whatever_it_says(status: int) -> None:
    assert isinstance(post(error("INVALID_DATA"), status), PerhapsAccepted)
    assert isinstance(post({"status": "success", "details": {"job_id": JOB}}, status), PerhapsAccepted)


@pytest.mark.parametrize("answer", [{}, {"message": "forbidden by the gateway"}, {"error": "x"}, {"status": "error"}])
def test_a_4xx_whose_json_is_no_error_of_zohos_is_perhaps_accepted(answer: Any) -> None:
    assert isinstance(post(answer, 403), PerhapsAccepted)


@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_an_error_that_does_not_call_itself_one_is_known_by_its_code(status: int) -> None:
    found = post({"code": "RECORD_LOCKED", "details": {"id": LEAD}, "message": "locked"}, status)
    assert isinstance(found, Refused)
    assert (found.code, found.ids) == ("RECORD_LOCKED", (LEAD,))
    token = post({"code": "INVALID_TOKEN"}, 401)
    assert isinstance(token, Refused)
    assert token.code == "INVALID_TOKEN"
    assert isinstance(post({"code": "NEW_CODE"}, 400), PerhapsAccepted)
    assert isinstance(post({"code": "SCHEDULED"}, 400), PerhapsAccepted)


# --- 429


@pytest.mark.parametrize("answer", [b"", b"<html>slow down</html>", b"\xff", b"[]", b"{}"])
def test_any_429_is_refused_as_too_many_requests(answer: bytes) -> None:
    refused = post(answer, 429)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code) == (429, "TOO_MANY_REQUESTS")


def test_a_429_keeps_zohos_words_and_its_headers() -> None:
    headers = {"Retry-After": "7", "X-API-CREDITS-REMAINING": "0"}
    refused = post(error("TOO_MANY_REQUESTS", message="You have…"), 429, headers)
    assert (refused.message, refused.retry_after, refused.credits_left) == ("You have…", 7.0, 0)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"RETRY-AFTER": " 12 "}, 12.0),
        ({"Retry-After": "999999999"}, 86_400.0),  # never longer than credits take to come back
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"Retry-After": "Tue, 24 Nov 2026 10:00:30 GMT"}, None),
        ({"Retry-After": "Tue, 24 Nov 2026 09:00:00 GMT", "Date": "Tue, 24 Nov 2026 10:00:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], wait: float | None) -> None:
    assert post(b"", 429, headers).retry_after == wait


# --- the status


@pytest.mark.parametrize(
    ("word", "progress"),
    [
        ("COMPLETED", Progress.COMPLETED),
        ("completed", Progress.COMPLETED),
        ("In Progress", Progress.IN_PROGRESS),
        ("in_progress", Progress.IN_PROGRESS),
        ("IN-PROGRESS", Progress.IN_PROGRESS),
        ("Scheduled", Progress.SCHEDULED),
        (" failed ", Progress.FAILED),
        ("Finished", Progress.COMPLETED),
        ("COMPLETED_WITH_ERRORS", Progress.COMPLETED),
        ("Partially Completed", Progress.COMPLETED),
        ("Cancelled", Progress.FAILED),
        ("ABORTED", Progress.FAILED),
    ],
)
def test_a_jobs_status_is_understood_in_any_spelling(word: str, progress: Progress) -> None:
    answer = status_of(
        {"Status": word, "Total_Count": 28, "Converted_Count": 20, "Not_Converted_Count": 5, "Failed_Count": 3}
    )
    assert answer == JobStatus(progress, 28, 20, 5, 3)


def test_counts_may_be_strings_and_keys_may_change_case() -> None:
    answer = status_of({"status": "completed", "total_count": "28", "CONVERTED_COUNT": " 27 ", "new": 1})
    assert answer == JobStatus(Progress.COMPLETED, 28, 27, 0, 0)


@pytest.mark.parametrize("word", ["completed", "COMPLETED", "Completed", " com-pleted ", "COM_PLETED"])
@pytest.mark.parametrize("count", [50, 50.0, "50", " 50 ", "50.0"])
def test_a_count_is_the_same_in_any_spelling(word: str, count: Any) -> None:
    answer = status_of({"Status": word, "Total_Count": count, "Converted_Count": count, "Failed_Count": 0})
    assert answer == JobStatus(Progress.COMPLETED, 50, 50, 0, 0)
    assert answer.all_converted(50)


@pytest.mark.parametrize("count", [None, "", "many", True, -1, 10**9, 2.5, float("inf"), [50], {}, "5e1", "\u0665"])
def test_a_count_that_is_none_is_not_known_and_the_job_has_ended_all_the_same(count: Any) -> None:
    raw = json.dumps({"data": [{"Status": "completed", "Total_Count": count, "Converted_Count": 5}]}).encode()
    answer = parse_status(200, {}, raw)
    assert answer == JobStatus(Progress.COMPLETED, 0, 5, 0, 0)
    assert not answer.all_converted(5)


def test_counts_may_be_missing() -> None:
    assert status_of({"Status": "scheduled"}) == JobStatus(Progress.SCHEDULED, 0, 0, 0, 0)
    assert status_of({"Status": "completed"}) == JobStatus(Progress.COMPLETED, 0, 0, 0, 0)


def test_counts_need_not_add_up() -> None:
    """An example of Zoho's own."""
    counts = {"Status": "completed", "Total_Count": 40, "Converted_Count": 45, "Not_Converted_Count": 0}
    assert status_of({**counts, "Failed_Count": 5}) == JobStatus(Progress.COMPLETED, 40, 45, 0, 5)
    assert parse_status(200, {}, body({**counts, "Failed_Count": 5})) == JobStatus(Progress.COMPLETED, 40, 45, 0, 5)


@pytest.mark.parametrize(
    ("counts", "leads", "all_of_them"),
    [
        ((50, 50, 0, 0), 50, True),
        ((50, 50, 0, 0), 49, False),  # of another payload
        ((40, 45, 0, 5), 40, False),
        ((45, 45, 0, 0), 40, False),
        ((50, 50, 0, 1), 50, False),
        ((50, 50, 1, 0), 50, False),
        ((0, 50, 0, 0), 50, False),
        ((50, 0, 0, 0), 50, False),
        ((0, 0, 0, 0), 50, False),
        ((50, 49, 0, 1), 50, False),
    ],
)
def test_only_counts_that_say_so_of_exactly_this_payload_convert_all(
    counts: tuple[int, ...], leads: int, all_of_them: bool
) -> None:
    assert JobStatus(Progress.COMPLETED, *counts).all_converted(leads) is all_of_them
    assert not JobStatus(Progress.FAILED, *counts).all_converted(leads)
    assert not JobStatus(Progress.IN_PROGRESS, *counts).all_converted(leads)


@pytest.mark.parametrize(
    "item",
    [
        {"Status": "teleported", "Total_Count": 5, "Converted_Count": 5},
        {"Status": 7},
        {"Total_Count": 5},
        {"Status": "success"},  # of the whole answer, not of a job
        "completed",
        None,
    ],
)
def test_a_status_that_cannot_be_believed_is_no_usable_answer(item: Any) -> None:
    assert isinstance(status_of(item), PerhapsAccepted)


def test_two_jobs_that_say_different_things_say_nothing_of_ours() -> None:
    done = {"Status": "completed", "Total_Count": 4, "Converted_Count": 4}
    assert isinstance(status_of(done, {"Status": "failed"}), PerhapsAccepted)
    assert isinstance(status_of(done, done), JobStatus)


def test_a_status_answer_without_items_is_no_usable_answer() -> None:
    assert isinstance(status_of(), PerhapsAccepted)
    assert isinstance(parse_status(204, {}, b""), PerhapsAccepted)


def test_an_unknown_job_is_refused() -> None:
    answer = parse_status(400, {}, body(error("INVALID_DATA", {"param_name": "job_id"})))
    assert isinstance(answer, Refused)
    assert answer.paths == ("job_id",)


# --- the read


def test_204_says_that_none_of_the_leads_is_there() -> None:
    assert parse_read(204, {}, b"") == LeadsRead({})


def test_the_native_fields_tell_a_leads_state() -> None:
    record = {
        "id": LEAD,
        "Converted__s": True,
        "Converted_Date_Time": "2026-11-24T15:30:00+05:30",
        "Converted_Contact": {"id": "11", "name": "Ann"},
        "Converted_Account": {"id": 22, "name": "Acme"},
        "Converted_Deal": "33",
        "$locked_for_me": True,
    }
    assert read(record) == LeadsRead({LEAD: LeadState(LEAD, True, True, 1795514400.0, "11", "22", "33")})


@pytest.mark.parametrize(
    ("record", "converted"),
    [
        ({"Converted__s": False, "$converted": True}, False),  # the native field is the better witness
        ({"Converted__s": None, "$converted": True}, True),
        ({"$converted": False}, False),
        ({"$converted_detail": {"contact": "11"}}, True),
        ({"$converted_detail": {}}, False),
        ({"Converted_Date_Time": "2026-11-24T10:00:00Z"}, True),
    ],
)
def test_older_witnesses_are_heard_where_the_native_field_is_missing(record: dict[str, Any], converted: bool) -> None:
    assert read({"id": LEAD, **record}).states[LEAD].converted is converted


def test_the_details_of_an_old_answer_give_the_ids() -> None:
    detail = {"contact": "11", "account": {"id": "22"}, "deal": None, "converted_date": "2026-11-24T10:00:00+00:00"}
    state = read({"id": int(LEAD), "$converted": True, "$converted_detail": detail}).states[LEAD]
    assert (state.contact_id, state.account_id, state.deal_id, state.converted_at) == ("11", "22", "", 1795514400.0)


def test_a_lead_of_which_nothing_is_known_is_not_called_unconverted() -> None:
    """The others of the same read are what it says of them."""
    answer = read({"id": LEAD, "Converted__s": True}, {"id": "5"})
    assert isinstance(answer, LeadsRead)
    assert (set(answer.states), answer.unclear, answer.nameless) == ({LEAD}, frozenset({"5"}), False)
    assert [answer.is_unclear(lead) for lead in (LEAD, "5", "6")] == [False, True, False]


def test_where_no_lead_tells_its_state_the_user_may_not_see_it() -> None:
    """Which is nothing about the leads, however many there are."""
    answer = read({"id": "5"}, {"id": "6"})
    assert isinstance(answer, PerhapsAccepted)
    assert "lead 5 without Converted__s" in answer.detail


@pytest.mark.parametrize(
    ("row", "converted"),
    [
        ({"Converted__s": None}, None),
        ({"Converted__s": None, "$converted": False}, False),
        ({"Converted__s": None, "$converted": True}, True),
        ({"Converted__s": "true"}, True),
        ({"Converted__s": " False "}, False),
        ({"Converted__s": "perhaps"}, None),
        ({"Converted__s": 0}, None),
        ({"Converted__s": 1}, None),
        ({"Converted__s": []}, None),
        ({"Converted__s": None, "Converted_Contact": {"id": "11", "name": "Ann"}}, True),
        ({"Converted__s": None, "Converted_Contact": None, "Converted_Date_Time": None}, None),
        ({"Converted__s": False, "Converted_Contact": {"id": "11"}}, False),  # the lead's own word comes first
        ({"$converted_detail": {}}, False),
    ],
)
def test_a_lead_s_state_is_told_by_the_best_witness_or_not_at_all(row: dict[str, Any], converted: bool | None) -> None:
    answer = read({"id": LEAD, **row}, {"id": "6", "Converted__s": False})
    assert isinstance(answer, LeadsRead)
    assert answer.is_unclear(LEAD) is (converted is None)
    assert answer.states["6"].converted is False
    if converted is not None:
        assert answer.states[LEAD].converted is converted


def test_rows_that_contradict_each_other_say_nothing_of_their_lead() -> None:
    answer = read(
        {"id": LEAD, "Converted__s": True}, {"id": LEAD, "Converted__s": False}, {"id": "6", "$converted": True}
    )
    assert isinstance(answer, LeadsRead)
    assert (set(answer.unclear), set(answer.states)) == ({LEAD}, {"6"})
    again = read({"id": LEAD, "Converted__s": True}, {"id": LEAD, "Converted__s": True})
    assert isinstance(again, LeadsRead)
    assert (again.unclear, again.states[LEAD].converted) == (frozenset(), True)


@pytest.mark.parametrize("row", [7, None, "x", [], {}, {"Converted__s": True}, {"id": None, "Converted__s": True}])
def test_a_row_that_names_no_lead_may_be_any_that_is_missing(row: Any) -> None:
    answer = parse_read(200, {}, body({"data": [{"id": LEAD, "Converted__s": False}, row]}))
    assert isinstance(answer, LeadsRead)
    assert [answer.is_unclear(lead) for lead in (LEAD, "5")] == [False, True]


def test_a_page_of_the_records_is_no_usable_answer() -> None:
    """The leads on the next page would be taken for deleted ones."""
    assert isinstance(read({"id": LEAD, "Converted__s": True}, info={"more_records": True}), PerhapsAccepted)


@pytest.mark.parametrize(
    "answer", [{}, {"data": None}, {"data": {}}, {"data": [7]}, {"data": [{"Converted__s": True}]}]
)
def test_an_empty_or_broken_read_says_nothing_about_the_leads(answer: Any) -> None:
    assert isinstance(parse_read(200, {}, body(answer)), PerhapsAccepted)


@pytest.mark.parametrize("moment", ["2026-11-24T10:00:00", "yesterday", 17, "0001-01-01T00:00:00+14:00", ""])
def test_a_time_that_is_none_is_left_out(moment: Any) -> None:
    state = read({"id": LEAD, "Converted__s": True, "Converted_Date_Time": moment}).states[LEAD]
    assert state.converted_at is None or moment.startswith("0001")


# --- any other GET


def test_any_other_get_gives_its_json() -> None:
    assert parse_body(200, {}, body({"org": []})) == Body({"org": []})
    assert parse_body(204, {}, b"") == Body({})
    assert isinstance(parse_body(401, {}, body(error("OAUTH_SCOPE_MISMATCH"))), Refused)


# --- nothing raises

NAMES = [
    *("code", "status", "details", "data", "job_id", "json_path", "expected_fields", "message", "info"),
    *("Status", "Total_Count", "Converted_Count", "id", "Converted__s", "Converted_Date_Time"),
    *("Converted_Contact", "$converted", "$converted_detail", "more_records"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([JOB, "error", "success"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=20,
)
STATUS = st.sampled_from([200, 201, 202, 204, 207, 301, 400, 401, 403, 404, 429, 500, 503]) | st.integers(100, 599)
HEADERS = st.dictionaries(st.sampled_from(["Retry-After", "X-API-CREDITS-REMAINING", "Date"]), st.text())


@settings(deadline=None)  # a slow machine is no failure
@given(status=STATUS, headers=HEADERS, raw=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_that_comes_over_the_wire_raises_or_claims_too_much(
    status: int, headers: dict[str, str], raw: bytes
) -> None:
    for parse, good in ((parse_post, Accepted), (parse_status, JobStatus), (parse_read, LeadsRead), (parse_body, Body)):
        answer = parse(status, headers, raw)
        assert isinstance(answer, good | Refused | PerhapsAccepted)
        if isinstance(answer, good):
            assert 200 <= status < 300
        if isinstance(answer, Refused):
            assert status < 500
            assert not 300 <= status < 400
        repr(answer).encode()  # what goes on to the ledger and the log can be encoded


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"details":' * 50_000, b"1" * 10_000, b'{"data": [' * 900])
def test_json_that_nobody_would_send_is_no_usable_answer(raw: bytes) -> None:
    assert isinstance(post(raw), PerhapsAccepted)


def test_half_a_character_does_not_reach_the_ledger() -> None:
    refused = post(
        b'{"code": "X\\ud800", "message": "\\udfff", "details": {"\\ud800": "\\ud800"}, "status": "error"}', 400
    )
    assert isinstance(refused, Refused)
    json.dumps([refused.code, refused.message, dict(refused.details)], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "answer",
    [
        lambda headers: parse_post(200, headers, body({"status": "success", "details": {"job_id": "7"}})),
        lambda headers: parse_post(500, headers, b"<html>"),
        lambda headers: parse_post(429, headers, b""),
        lambda headers: parse_status(200, headers, body({"data": [{"Status": "scheduled"}]})),
        lambda headers: parse_read(204, headers, b""),
        lambda headers: parse_read(200, headers, body({"data": []})),
        lambda headers: parse_body(204, headers, b""),
    ],
)
def test_every_answer_carries_the_credits_that_its_header_tells(answer: Any) -> None:
    """The governor hears them from whatever call comes next."""
    assert answer({"X-API-CREDITS-REMAINING": " 41 "}).credits_left == 41
    for headers in ({}, {"x-api-credits-remaining": "many"}):
        assert answer(headers).credits_left is None
