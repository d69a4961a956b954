"""Every row that a look-up of names may lead to: only a name that Zoho surely does not know fails a lead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from massconvert.model import (
    Again,
    Chunk,
    Code,
    Done,
    Kind,
    NotSent,
    Outcome,
    PerhapsAccepted,
    Refusal,
    Refused,
    State,
    Trouble,
    Unsent,
)
from massconvert.policy import Decision, PauseOrder, Row, name_unknown, names_found, names_not_read
from massconvert.policy.codes import CREDENTIALS_HINT
from tests.unit.policy_cases import DAY, MOMENT, NOW, TUNING, WAITING, Case

BODY = {"assign_to": {"id": "3652397000000281001"}}
DUE = replace(WAITING, due_at=NOW)
#: It has been tried in vain for as long as we bear it.
WORN = replace(DUE, outages=9, outage_since=NOW - DAY - 1)
DROPPED = PerhapsAccepted("connection reset")


def unread(why: str, answer: Trouble, decision: Decision, chunk: Chunk = DUE) -> Case:
    return Case(why, chunk, answer, lambda: names_not_read(chunk, answer, MOMENT), decision)


def again(chunk: Chunk = DUE, wait: float = 0.55, since: float = NOW) -> Decision:
    """An outage more, and another try after a backoff (half of its ceiling by the moment's chance)."""
    moved = replace(chunk, outages=chunk.outages + 1, outage_since=since, due_at=NOW + wait)
    return Decision(Row.NAMES_RETRY, moved, Again(wait))


def waits(code: str, message: str) -> Decision:
    said = Refusal(code, message)
    moved = replace(DUE, said=said, due_at=NOW + TUNING.pause_probe)
    return Decision(Row.NAMES_NOT_READABLE, moved, Again(TUNING.pause_probe))


def gave_up(detail: str) -> Decision:
    words = f"not sent for 24 h, since names could not be looked up: {detail}"
    moved = replace(WORN, state=State.DONE, outages=WORN.outages + 1)
    return Decision(Row.NAMES_GIVE_UP, moved, Done(), rest=Outcome(Kind.FAILED, Code.GAVE_UP, words))


UNKNOWN = Refusal(Code.UNKNOWN_NAME, "is 'anne', but there is no active user of that name", "$.assign_to")
CASES = [
    Case(
        "all names have their ids, and an outage is over",
        replace(DUE, outages=3, outage_since=NOW - 60, said=Refusal("OAUTH_SCOPE_MISMATCH", "")),
        None,
        lambda: names_found(
            replace(DUE, outages=3, outage_since=NOW - 60, said=Refusal("OAUTH_SCOPE_MISMATCH", "")), BODY, MOMENT
        ),
        Decision(Row.NAMES_FOUND, DUE, Again(0.0), resolved=BODY),
    ),
    Case(
        "Zoho knows no such name: all that waits with it fails",
        DUE,
        None,
        lambda: name_unknown(DUE, "$.assign_to", UNKNOWN.message),
        Decision(
            Row.NAME_UNKNOWN,
            replace(DUE, state=State.DONE, said=UNKNOWN),
            Done(),
            rest=Outcome(Kind.FAILED, Code.UNKNOWN_NAME, f"{UNKNOWN.message} ($.assign_to)"),
            refuse_options=UNKNOWN,
        ),
    ),
    unread("no scope", Refused(401, "OAUTH_SCOPE_MISMATCH", "no"), waits("OAUTH_SCOPE_MISMATCH", "no")),
    unread("no permission", Refused(403, "NO_PERMISSION", "no"), waits("NO_PERMISSION", "no")),
    unread("the call itself is refused", Refused(404, "INVALID_URL_PATTERN", "no"), waits("INVALID_URL_PATTERN", "no")),
    unread("a code that nobody knows", Refused(400, "NEW_CODE", "no"), waits("NEW_CODE", "no")),
    unread(
        "the credentials are refused",
        NotSent(Unsent.CREDENTIALS, "the refresh token is refused", "invalid_code"),
        Decision(
            Row.NAMES_NOT_ALLOWED,
            DUE,
            Done(),
            pause=PauseOrder("invalid_code", "the refresh token is refused", CREDENTIALS_HINT),
        ),
    ),
    unread(
        "over a limit, and Zoho says how long",
        Refused(429, "TOO_MANY_REQUESTS", "slow down", retry_after=8.0),
        Decision(
            Row.NAMES_THROTTLED,
            replace(DUE, outages=1, due_at=NOW + 10.0),
            Again(10.0),
        ),
    ),
    unread("500", PerhapsAccepted("HTTP 500", 500, "INTERNAL_ERROR"), again()),
    unread("no answer", DROPPED, again()),
    unread("no connection", NotSent(Unsent.CONNECT, "refused"), again()),
    unread("no token for now", NotSent(Unsent.NO_TOKEN, "too many", retry_after=7.0), again(wait=7.0)),
    unread("a token that has expired", Refused(401, "INVALID_TOKEN", "expired"), again()),
    unread("a refusal that means nothing", Refused(408, "LATE", "late"), again()),
    unread("in vain for a day", DROPPED, gave_up("connection reset"), WORN),
    unread("in vain for a day, by refusals", Refused(408, "LATE", "late"), gave_up("late"), WORN),
    unread(
        "in vain for a day, but it may have been submitted",
        DROPPED,
        again(replace(WORN, submitted=True), 165.0, WORN.outage_since),
        replace(WORN, submitted=True),
    ),
    unread(
        "time in which nobody tried is no outage",
        DROPPED,
        again(replace(WORN, due_at=NOW - 3600), 165.0, WORN.outage_since + 3600),
        replace(WORN, due_at=NOW - 3600),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_look_up_leads_to_the_row(case: Case) -> None:
    assert case.decide() == case.decision


def test_nothing_but_an_unknown_name_or_a_day_in_vain_fails_a_lead() -> None:
    failing = {case.decision.row for case in CASES if case.decision.rest is not None}
    assert failing == {Row.NAME_UNKNOWN, Row.NAMES_GIVE_UP}
