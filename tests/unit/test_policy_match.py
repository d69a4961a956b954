"""Every row that the look for contacts and accounts may lead to, and the answers to the conversion of a single lead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from massconvert.model import (
    Accepted,
    Again,
    Chunk,
    Code,
    Done,
    Kind,
    LeadsRead,
    LeadState,
    Link,
    Linked,
    Matching,
    NotSent,
    OnMatch,
    Outcome,
    PerhapsAccepted,
    Refusal,
    Refused,
    Settle,
    State,
    Trouble,
    Unsent,
    Why,
)
from massconvert.policy import (
    Decision,
    PauseOrder,
    Row,
    after_match,
    after_post,
    is_matched,
    match_not_read,
    still_behind,
)
from massconvert.policy.codes import CREDENTIALS_HINT
from massconvert.policy.matching import Judged, Judgement
from tests.unit.policy_cases import DAY, MOMENT, NOW, SENDING, TUNING, WAITING, A, B, C, Case, D

DUE = replace(WAITING, due_at=NOW, matching=Matching(OnMatch.LINK))
MATCHED = replace(DUE, matched_at=NOW)
WORN = replace(DUE, outages=9, outage_since=NOW - DAY - 1)
OPEN = LeadsRead({lead: LeadState(lead, False) for lead in (A, B, C, D)})
CREATE, HELD = Judged(Judgement.CREATE), Judged(Judgement.HOLD, words="several records match: contact 61, contact 62")
TO_HER = Judged(Judgement.LINK, Link("61", "71"))
BEHIND = Judged(Judgement.WAIT, behind=("d1",))
SKIPPED = Outcome(Kind.SKIPPED, Code.MATCH_FOUND, HELD.words)
#: A single lead on its way to its contact.
LINKING = replace(SENDING, leads=(A,), link=Link("61", "71"), matching=DUE.matching, matched_at=NOW - 20)
FIRST_LOOK, A_BACKOFF = NOW + MOMENT.next_look(0), NOW + MOMENT.backoff(1)


def match(
    why: str, judged: dict[str, Judged], decision: Decision, chunk: Chunk = DUE, answer: LeadsRead = OPEN
) -> Case:
    made = {lead: ("d1",) if each.verdict is Judgement.CREATE else () for lead, each in judged.items()}
    decision = replace(decision, identities=made)
    return Case(why, chunk, answer, lambda: after_match(chunk, answer, judged, made, MOMENT), decision)


def unread(why: str, answer: Trouble, decision: Decision, chunk: Chunk = DUE) -> Case:
    return Case(why, chunk, answer, lambda: match_not_read(chunk, answer, MOMENT), decision)


def post(why: str, answer: Any, decision: Decision, chunk: Chunk = LINKING) -> Case:
    return Case(why, chunk, answer, lambda: after_post(chunk, answer, MOMENT), decision)


def named(code: str, message: str) -> Decision:
    """The lead is read, and fails if that explains nothing."""
    said = Refusal(code, message)
    moved = replace(LINKING, state=State.SETTLING, attempts=1, why=Why.BAD_LEADS, said=said, named=(A,), due_at=NOW)
    return Decision(Row.BAD_LEADS, moved, Settle(0.0))


WAITS = replace(DUE, why=Why.ANOTHER, behind=("d1",), lags=1, due_at=FIRST_LOOK)
DONE = replace(DUE, state=State.DONE)
CASES = [
    match(
        "nobody matches: as they are", dict.fromkeys((A, B, C, D), CREATE), Decision(Row.MATCHED, MATCHED, Again(0.0))
    ),
    match(
        "each kind goes its way: the created stay",
        {A: CREATE, B: TO_HER, C: HELD, D: BEHIND},
        Decision(
            Row.MATCHED,
            MATCHED,
            Again(0.0),
            outcomes={C: SKIPPED},
            asides=(replace(MATCHED, leads=(B,), link=TO_HER.link), replace(WAITS, leads=(D,))),
        ),
    ),
    match(
        "all are linked: the first goes on here, each in a payload of its own",
        {A: TO_HER, B: TO_HER},
        Decision(
            Row.MATCHED,
            replace(MATCHED, leads=(A, B), link=TO_HER.link),
            Again(0.0),
            asides=(replace(MATCHED, leads=(B,), link=TO_HER.link),),
        ),
        replace(DUE, leads=(A, B)),
    ),
    match(
        "matched again, it is linked no more",
        {A: CREATE},
        Decision(Row.MATCHED, replace(MATCHED, leads=(A,)), Again(0.0)),
        replace(DUE, leads=(A,), link=Link("61"), said=Refusal("x", "y"), outages=3, outage_since=NOW - 5),
    ),
    match(
        "some are for another visit",
        {A: CREATE, B: Judged(Judgement.LATER)},
        Decision(Row.MATCHED, replace(MATCHED, leads=(A, B)), Again(0.0), asides=(replace(DUE, leads=(B,)),)),
        replace(DUE, leads=(A, B)),
    ),
    match(
        "none goes on",
        {A: HELD, B: Judged(Judgement.UNCLEAR, words="x")},
        Decision(
            Row.MATCHED,
            replace(DONE, leads=(A, B)),
            Done(),
            outcomes={A: SKIPPED, B: Outcome(Kind.SKIPPED, Code.MATCH_UNCLEAR, "x")},
        ),
        replace(DUE, leads=(A, B)),
    ),
    match(
        "all wait for other leads",
        dict.fromkeys((A, B, C, D), BEHIND),
        Decision(Row.MATCH_WAITS, WAITS, Again(FIRST_LOOK - NOW)),
    ),
    match(
        "a read that says nothing of a lead is made again",
        {},
        Decision(
            Row.MATCH_UNREAD,
            replace(DUE, leads=(A,), state=State.SETTLING, why=Why.PREFLIGHT, most=1, due_at=A_BACKOFF),
            Settle(A_BACKOFF - NOW),
        ),
        replace(DUE, leads=(A,)),
        LeadsRead({}, unclear=frozenset({A})),
    ),
    unread(
        "fewer ids at once",
        Refused(400, "LIMIT_EXCEEDED", "too many"),
        Decision(Row.MATCH_UNREAD, replace(DUE, state=State.SETTLING, why=Why.PREFLIGHT, most=4), Settle(0.0)),
    ),
    unread(
        "the token lacks a scope: they wait, and nobody else does",
        Refused(401, "OAUTH_SCOPE_MISMATCH", "no scope"),
        Decision(
            Row.MATCH_NOT_READABLE,
            replace(DUE, said=Refusal("OAUTH_SCOPE_MISMATCH", "no scope"), due_at=NOW + TUNING.pause_probe),
            Again(TUNING.pause_probe),
        ),
    ),
    unread(
        "the credentials are refused",
        NotSent(Unsent.CREDENTIALS, "refused", code="invalid_code"),
        Decision(Row.MATCH_NOT_ALLOWED, DUE, Done(), pause=PauseOrder("invalid_code", "refused", CREDENTIALS_HINT)),
    ),
    unread(
        "slow down",
        Refused(429, "TOO_MANY_REQUESTS", "slow down", retry_after=8.0),
        Decision(Row.MATCH_THROTTLED, replace(DUE, outages=1, due_at=NOW + 10.0), Again(10.0)),
    ),
    unread(
        "no answer",
        PerhapsAccepted("connection reset"),
        Decision(Row.MATCH_RETRY, replace(DUE, outages=1, outage_since=NOW, due_at=NOW + 0.55), Again(0.55)),
    ),
    unread(
        "no answer for a day",
        PerhapsAccepted("connection reset"),
        Decision(
            Row.MATCH_GIVE_UP,
            replace(WORN, state=State.DONE, outages=10),
            Done(),
            rest=Outcome(
                Kind.FAILED,
                Code.GAVE_UP,
                "not sent for 24 h, since contacts and accounts could not be looked for: connection reset",
            ),
        ),
        WORN,
    ),
    post(
        "converted at once",
        Linked("61", "71", "81"),
        Decision(
            Row.LINKED,
            replace(LINKING, state=State.DONE, attempts=1),
            Done(),
            rest=Outcome(Kind.CONVERTED, attempts=1, contact_id="61", account_id="71", deal_id="81"),
        ),
    ),
    post(
        "it does not match after all",
        Refused(400, "DATA_MISMATCH", "mismatched", paths=("$.data[0].Contacts.id",)),
        Decision(
            Row.LINK_REFUSED,
            replace(LINKING, state=State.DONE, attempts=1),
            Done(),
            rest=Outcome(
                Kind.SKIPPED,
                Code.MATCH_FOUND,
                "Zoho does not link it to contact 61 and account 71: DATA_MISMATCH mismatched ($.data[0].Contacts.id)",
                attempts=1,
            ),
        ),
    ),
    post("the lead is locked", Refused(400, "RECORD_LOCKED", "locked"), named("RECORD_LOCKED", "locked")),
    post("no code that says whom it means", Refused(400, "NOT_ALLOWED", "no"), named("NOT_ALLOWED", "no")),
    post(
        "a refusal of the options is this lead's",
        Refused(400, "MAPPING_MISMATCH", "no"),
        named("MAPPING_MISMATCH", "no"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_answer_has_its_decision(case: Case) -> None:
    assert case.decide() == case.decision


def test_a_lead_that_is_converted_missing_or_locked_is_not_matched() -> None:
    shown = {A: LeadState(A, True), B: LeadState(B, False, locked=True), C: LeadState(C, False)}
    decision = after_match(DUE, LeadsRead(shown), {C: CREATE}, {C: ("d1",)}, MOMENT)
    codes = {lead: outcome.code for lead, outcome in decision.outcomes.items()}
    assert codes == {A: Code.ALREADY_CONVERTED, B: Code.LOCKED, D: Code.NOT_FOUND}
    assert decision.chunk == MATCHED


@pytest.mark.parametrize("others", [{}, {B: CREATE, C: CREATE, D: CREATE}], ids=["alone", "with others"])
def test_a_lead_that_its_last_job_converted_late_gets_its_deals_values(others: dict[str, Judged]) -> None:
    """It was sent before, seen unconverted, and is matched again: now it is converted, and its deal has values."""
    leads = (A, *others)
    chunk = replace(DUE, leads=leads, submitted=True, attempts=1, deal_values={A: {"Amount": 10}}, sent_at=NOW - 90)
    shown = {lead: LeadState(lead, lead == A, converted_at=NOW - 5 if lead == A else None) for lead in leads}
    decision = after_match(chunk, LeadsRead(shown), others, dict.fromkeys(others, ()), MOMENT)
    assert A not in decision.outcomes
    assert [(aside.why, aside.leads) for aside in decision.asides] == [(Why.IDS, (A,))]


def test_the_answer_to_a_single_lead_may_be_a_job_which_is_followed() -> None:
    decision = after_post(LINKING, Accepted("42"), MOMENT)
    assert (decision.row, decision.chunk.job_id, decision.chunk.link) == (Row.ACCEPTED, "42", LINKING.link)


def test_a_lost_answer_is_looked_into_and_matched_again() -> None:
    decision = after_post(LINKING, PerhapsAccepted("HTTP 500"), MOMENT)
    assert (decision.row, decision.chunk.state, decision.chunk.submitted) == (
        Row.PERHAPS_ACCEPTED,
        State.SETTLING,
        True,
    )


@pytest.mark.parametrize(
    ("matched_at", "matched"), [(0.0, False), (NOW, True), (NOW - TUNING.match_fresh, True), (NOW - 301.0, False)]
)
def test_a_match_counts_for_five_minutes(matched_at: float, matched: bool) -> None:
    assert is_matched(replace(DUE, matched_at=matched_at, claimed_at=NOW), TUNING) is matched
    assert is_matched(replace(DUE, matching=None, claimed_at=NOW), TUNING)


def test_a_lead_that_waits_for_another_makes_no_call() -> None:
    decision = still_behind(WAITS, MOMENT)
    assert (decision.row, decision.chunk.lags, decision.chunk.behind) == (Row.MATCH_WAITS, 2, ("d1",))
    assert isinstance(decision.next, Again)
