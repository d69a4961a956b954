"""Zoho's codes, each by what it is about; what an answer names is stronger than its code."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.model import Refused
from massconvert.policy import (
    CODES,
    HINTS,
    MEANINGS,
    SAY_CONVERTED,
    STATUS_MEANINGS,
    Meaning,
    Retry,
    meaning,
    named_leads,
    words_of,
)
from massconvert.policy.codes import hint_of, reason_of

A, B, C = "3652397000009850001", "3652397000009851001", "3652397000009852001"

#: What each code is about, with the HTTP status that it comes with, where the answer names nothing.
ABOUT: dict[Meaning, list[tuple[str, int]]] = {
    Meaning.LEADS: [
        ("INVALID_DATA", 400),
        ("ID_ALREADY_CONVERTED", 400),
        ("CONVERTED_RECORD", 400),
        ("NOT_APPROVED", 400),
        ("NOT_REVIEWED", 400),
        ("RECORD_LOCKED", 400),
        ("RECORD_IN_BLUEPRINT", 400),
        ("DUPLICATE_DATA", 400),
        ("DUPLICATE_DATA", 401),
        ("DATA_MISMATCH", 400),
        ("NOT_APPROVED", 202),
    ],
    Meaning.OPTIONS: [
        ("MANDATORY_NOT_FOUND", 400),
        ("EXPECTED_FIELD_MISSING", 400),
        ("AMBIGUITY_DURING_PROCESSING", 400),
        ("MAPPING_MISMATCH", 400),
        ("MAPPING_MISMATCH", 202),
        ("SYNTAX_ERROR", 400),
        ("INVALID_QUERY", 400),
        ("DUPLICATE_ALIAS", 400),
        ("INVALID_ALIAS", 400),
    ],
    Meaning.UNEXPLAINED: [
        ("MULTIPLE_OR_MULTI_ERRORS", 400),
        ("CANNOT_PERFORM_ACTION", 400),
        ("NOT_ALLOWED", 400),
        ("REQUIRED_PARAM_MISSING", 400),
        ("EXPECTED_PARAM_MISSING", 400),
        ("NEW_CODE", 400),
        ("NEW_CODE", 200),
        ("NEW_CODE", 202),
        ("NEW_CODE", 207),
        ("NEW_CODE", 409),
        ("NEW_CODE", 422),
    ],
    Meaning.TOO_MANY: [("LIMIT_EXCEEDED", 400), ("RECORD_LIMIT_EXCEEDED", 400), ("NEW_CODE", 413), ("NEW_CODE", 414)],
    Meaning.NOT_ALLOWED: [
        ("NO_PERMISSION", 403),
        ("AUTHORIZATION_FAILED", 400),
        ("OAUTH_SCOPE_MISMATCH", 401),
        ("OAUTH_SCOPE_MISMATCH", 403),
        ("API_NOT_SUPPORTED", 400),
        ("FEATURE_NOT_SUPPORTED", 400),
        ("LICENSE_LIMIT_EXCEEDED", 403),
        ("LICENSE_EXPIRED", 400),
        ("LIMIT_REACHED", 400),
        ("STORAGE_SPACE_EXCEEDED", 400),
        ("INVALID_MODULE", 400),
        ("INVALID_URL_PATTERN", 404),
        ("INVALID_REQUEST_METHOD", 400),
        ("INVALID_REQUEST_METHOD", 405),
        ("NEW_CODE", 401),
        ("NEW_CODE", 402),
        ("NEW_CODE", 403),
        ("NEW_CODE", 451),
    ],
    Meaning.TOKEN: [("INVALID_TOKEN", 401), ("AUTHENTICATION_FAILURE", 401), ("INVALID_OAUTHTOKEN", 401)],
    Meaning.THROTTLED: [("TOO_MANY_REQUESTS", 429), ("INVALID_DATA", 429), ("NEW_CODE", 429)],
    Meaning.UNCLEAR: [
        ("INTERNAL_ERROR", 400),
        ("ALREADY_SCHEDULED", 400),
        ("ALREADY_MODIFIED", 412),
        ("NEW_CODE", 408),
        ("NEW_CODE", 425),
    ],
}


@pytest.mark.parametrize(
    ("code", "status", "means"), [(code, status, means) for means, rows in ABOUT.items() for code, status in rows]
)
def test_each_code_is_about_what_it_is_about(code: str, status: int, means: Meaning) -> None:
    assert meaning(Refused(status, code, "no")) is means
    assert meaning(Refused(status, code.lower(), "no")) is means


def test_every_row_of_the_table_has_its_case() -> None:
    assert {code for rows in ABOUT.values() for code, _ in rows} >= set(CODES)
    statuses = {status for rows in ABOUT.values() for code, status in rows if code == "NEW_CODE"}
    assert statuses | {201, 412, 423} >= set(STATUS_MEANINGS)


@pytest.mark.parametrize("code", CODES)
def test_every_row_says_what_it_means_who_answers_it_and_how_sure_it_is(code: str) -> None:
    row = CODES[code]
    assert row.words
    assert row.calls
    assert row.source in ("documented", "seen", "inferred")
    assert words_of(code.lower()) == row.words
    assert MEANINGS[code] is row.meaning
    assert row.retry is (
        Retry.WHEN_FIXED
        if row.meaning in (Meaning.LEADS, Meaning.UNEXPLAINED, Meaning.TOO_MANY)
        else Retry.FIXED_OPTIONS
        if row.meaning is Meaning.OPTIONS
        else Retry.NO_NEED
    )


def test_every_code_that_pauses_the_organisation_says_what_to_do() -> None:
    pausing = {code for code, means in MEANINGS.items() if means in (Meaning.NOT_ALLOWED, Meaning.TOKEN)}
    assert pausing | {""} == set(HINTS)
    assert {code for code in CODES if code in SAY_CONVERTED} == SAY_CONVERTED


@pytest.mark.parametrize(
    ("status", "code", "paths", "means"),
    [
        # A place among the leads is about that lead, whatever the code.
        (400, "INVALID_DATA", ("$.ids[1]",), Meaning.LEADS),
        (400, "INVALID_DATA", ("$.ids[1].id",), Meaning.LEADS),
        (400, "INVALID_DATA", ("$.data[0]",), Meaning.LEADS),
        (400, "INVALID_DATA", ("$.Deals.Stage", "$.ids[1]"), Meaning.LEADS),
        (400, "INVALID_DATA", ("$.ids",), Meaning.LEADS),
        (400, "MANDATORY_NOT_FOUND", ("$.ids[1].Company",), Meaning.LEADS),
        (400, "CANNOT_PERFORM_ACTION", ("$.ids[1]",), Meaning.LEADS),
        (400, "NEW_CODE", ("$.ids[1]",), Meaning.LEADS),
        (403, "NO_PERMISSION", ("$.ids[1]",), Meaning.LEADS),
        # One in the options is about the options.
        (400, "INVALID_DATA", ("$.assign_to.id",), Meaning.OPTIONS),
        (400, "INVALID_DATA", ("$.assignee.id",), Meaning.OPTIONS),
        (400, "INVALID_DATA", ("$.apply_assignment_threshold",), Meaning.OPTIONS),
        (400, "INVALID_DATA", ("$.Deals",), Meaning.OPTIONS),
        (400, "INVALID_MODULE", ("$.related_modules[0].api_name",), Meaning.OPTIONS),
        (400, "LICENSE_LIMIT_EXCEEDED", ("$.portal_user_type.id",), Meaning.OPTIONS),
        (400, "NOT_ALLOWED", ("$.Deals.Stage",), Meaning.OPTIONS),
        (400, "NEW_CODE", ("$.Deals.Stage",), Meaning.OPTIONS),
        (400, "LIMIT_EXCEEDED", ("$.related_modules",), Meaning.OPTIONS),
        (400, "MANDATORY_NOT_FOUND", ("$.ids",), Meaning.OPTIONS),
        # What is said of a record is never about the options.
        (400, "RECORD_LOCKED", ("$.Deals.Stage",), Meaning.LEADS),
        (400, "DUPLICATE_DATA", ("$.Email",), Meaning.LEADS),
        # A place that we never sent explains nothing.
        (400, "INVALID_DATA", ("$.Email",), Meaning.UNEXPLAINED),
        (400, "INVALID_DATA", ("$.idsx[1]",), Meaning.UNEXPLAINED),
        (400, "INVALID_DATA", ("$.Dealership",), Meaning.UNEXPLAINED),
        (400, "INVALID_DATA", ("job_id",), Meaning.UNEXPLAINED),
        (400, "NEW_CODE", ("$.Email",), Meaning.UNEXPLAINED),
        (400, "LIMIT_EXCEEDED", ("$.ids",), Meaning.TOO_MANY),
        # The status is stronger than any place.
        (429, "INVALID_DATA", ("$.ids[1]",), Meaning.THROTTLED),
    ],
)
def test_what_is_named_is_stronger_than_the_code(
    status: int, code: str, paths: tuple[str, ...], means: Meaning
) -> None:
    assert meaning(Refused(status, code, "no", paths)) is means


@pytest.mark.parametrize("details", [{"maximum_length": 1024}, {"limit": 50}])
@pytest.mark.parametrize("path", ["ids", "$.ids"])
def test_ids_that_are_too_long_together_are_too_many(path: str, details: dict[str, Any]) -> None:
    assert meaning(Refused(400, "INVALID_DATA", "no", (path,), details)) is Meaning.TOO_MANY


@pytest.mark.parametrize(
    ("paths", "ids", "named"),
    [
        (("$.ids[0]", "$.ids[2]"), (), (A, C)),
        (("$.ids[2]", "$.ids[0]", "$.ids[2]"), (), (A, C)),  # in payload order, once
        (("$.ids[1].id",), (), (B,)),
        (("$.data[1]", "ids[2]"), (), (B, C)),
        ((), (C, A), (A, C)),
        ((), ("3652397000000281001", "1", ""), ()),  # another record's
        (("$.ids[3]", "$.ids[999999]", "$.ids[9999999999999]"), (), ()),  # beyond the payload
        (("$.ids", "$.ids[]", "$.ids[-1]", "$.ids[x]", "$.Deals[1]", "$.idsx[1]", ""), (), ()),
    ],
)
def test_leads_are_named_by_place_and_by_id_and_another_records_id_never_is(
    paths: tuple[str, ...], ids: tuple[str, ...], named: tuple[str, ...]
) -> None:
    assert named_leads((A, B, C), paths, ids) == named


@pytest.mark.parametrize(
    ("answer", "reason", "hint"),
    [
        (
            Refused(403, "NO_PERMISSION", "denied", details={"permissions": ["Crm_Implied_Mass_Convert_Leads"]}),
            "Zoho answered 403 NO_PERMISSION: denied (Crm_Implied_Mass_Convert_Leads)",
            "permission to convert leads (the profile's Crm_Implied_Mass_Convert_Leads)",
        ),
        (
            Refused(403, "NO_PERMISSION", "denied", details={"permissions": ["Crm_Implied_View_Leads"]}),
            "Zoho answered 403 NO_PERMISSION: denied (Crm_Implied_View_Leads)",
            "permission to view leads (the profile's Crm_Implied_View_Leads)",
        ),
        (
            Refused(403, "NO_PERMISSION", "denied", details={"permissions": ["Crm_Implied_Api_Access"]}),
            "Zoho answered 403 NO_PERMISSION: denied (Crm_Implied_Api_Access)",
            "permission to use the API (the profile's Crm_Implied_Api_Access)",
        ),
        (
            Refused(403, "NO_PERMISSION", "No permission to access the API"),
            "Zoho answered 403 NO_PERMISSION: No permission to access the API",
            "permission to use the API (the profile's Crm_Implied_Api_Access)",
        ),
        (
            Refused(403, "NO_PERMISSION", "denied", details={"permissions": ["Crm_Implied_New", 7, None]}),
            "Zoho answered 403 NO_PERMISSION: denied (Crm_Implied_New)",
            "permission to do this (the profile's Crm_Implied_New)",
        ),
        (
            Refused(403, "NO_PERMISSION", "feature not available in this edition", details={"permissions": []}),
            "Zoho answered 403 NO_PERMISSION: feature not available in this edition",
            "edition and licences",
        ),
        (
            Refused(400, "LICENSE_EXPIRED", ""),
            "Zoho answered 400 LICENSE_EXPIRED: no message",
            "edition and licences",
        ),
        (
            Refused(400, "STORAGE_SPACE_EXCEEDED", ""),
            "Zoho answered 400 STORAGE_SPACE_EXCEEDED: the organisation's storage is full",
            "free room",
        ),
    ],
)
def test_a_pause_names_the_switch_and_says_what_to_do(answer: Refused, reason: str, hint: str) -> None:
    assert reason_of(answer) == reason
    assert hint in hint_of(answer)
