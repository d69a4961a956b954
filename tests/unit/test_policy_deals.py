"""Every row of the deals that get values of their own, from the JSON that Zoho documents to the whole decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from massconvert.model import (
    Again,
    Busy,
    Chunk,
    Code,
    DealUpdate,
    Done,
    JobStatus,
    Kind,
    NotSent,
    Outcome,
    PerhapsAccepted,
    Progress,
    Settle,
    State,
    Unsent,
    Why,
)
from massconvert.policy import (
    Decision,
    PauseOrder,
    Row,
    after_read,
    after_status,
    after_update,
    no_permit,
)
from massconvert.policy.codes import CREDENTIALS_HINT
from massconvert.zoho.answers import parse_read
from massconvert.zoho.updates import parse_update
from tests.unit import zoho_says as zoho
from tests.unit.policy_cases import COUNTED, DAY, LOST, MOMENT, NOW, RUNNING, TUNING, A, B, C, Case, D
from tests.unit.zoho_says import JOB, Said, converted, records, unconverted

TEMPLATES = {"Deal_Name": "{Company} renewal"}
NAMED = replace(RUNNING, deal=TEMPLATES)
#: What goes on with converted leads: their deals are to be found.
IDS = replace(NAMED, state=State.SETTLING, why=Why.IDS, leads=(A, B), due_at=NOW)


def made(lead: str, name: str) -> DealUpdate:
    return DealUpdate(lead, "33", "11", "22", {"Deal_Name": name})


UPDATING = replace(IDS, state=State.UPDATING, updates=(made(A, "Acme renewal"), made(B, "Bolt renewal")))
OURS = Outcome(Kind.CONVERTED, "", "", JOB, 1, "11", "22", "33")
OF_ITS_OWN: dict[str, dict[str, Any]] = {A: {"Amount": 7}, B: {"Deal_Name": "Own"}}
UNREAD_FOR_A_DAY = replace(IDS, outage_since=NOW - DAY - 1)
DEAF_FOR_A_DAY = replace(UPDATING, outages=9, outage_since=NOW - DAY - 1)


def lead(lead_id: str, company: str | None, **changes: Any) -> dict[str, Any]:
    return {**converted(lead_id), "Company": company, **changes}


def read(why: str, answer: Any, decision: Decision, *, chunk: Chunk = IDS) -> Case:
    """The leads were read, with the fields of the templates."""
    came = parse_read(answer.status, answer.headers, answer.raw, ["Company"]) if isinstance(answer, Said) else answer
    return Case(why, chunk, came, lambda: after_read(chunk, came, MOMENT), decision)


def put(why: str, answer: Any, decision: Decision, *, chunk: Chunk = UPDATING) -> Case:
    """The deals were updated; ``answer`` is what came over the wire, or did not."""
    came = parse_update(answer.status, answer.headers, answer.raw, 2) if isinstance(answer, Said) else answer
    return Case(why, chunk, came, lambda: after_update(chunk, came, MOMENT), decision)


def done(row: Row, outcomes: Mapping[str, Outcome], chunk: Chunk = UPDATING) -> Decision:
    return Decision(row, replace(chunk, state=State.DONE), Done(), outcomes=dict(outcomes))


def not_updated(words: str, outcome: Outcome = OURS) -> Outcome:
    """Converted, and only the deal is not as it was to be."""
    return replace(outcome, code=Code.DEAL_NOT_UPDATED, message=words)


def both(words: str) -> dict[str, Outcome]:
    return {A: not_updated(words), B: not_updated(words)}


def again(wait: float) -> Decision:
    moved = replace(UPDATING, outages=1, outage_since=NOW, due_at=NOW + wait)
    return Decision(Row.UPDATE_RETRY, moved, Again(wait))


def results(status: int, *items: Any) -> Said:
    return Said(status, {"data": list(items)})


GOOD = {"code": "SUCCESS", "details": {"id": "33"}, "message": "record updated", "status": "success"}
TOO_LONG = {
    "code": "INVALID_DATA",
    "details": {"maximum_length": 120, "api_name": "Deal_Name"},
    "message": "invalid data",
    "status": "error",
}
REFUSED = not_updated("INVALID_DATA: invalid data (Deal_Name)")
UNSEEN = Outcome(Kind.CONVERTED, Code.DEAL_NOT_UPDATED, "Zoho shows no deal of this lead", JOB, attempts=1)
LOOK = max(TUNING.backoff_base, MOMENT.next_look(1))

CASES = [
    # The deals are found, and what they shall be called.
    read(
        "each deal is named after its lead",
        records(lead(A, "Acme"), lead(B, "Bolt")),
        Decision(Row.DEALS_FOUND, replace(UPDATING), Again(0.0)),
    ),
    read(
        "a retry of deals: nothing was sent in this batch, and the leads are converted all the same",
        records(lead(A, "Acme"), lead(B, "Bolt")),
        Decision(Row.DEALS_FOUND, replace(UPDATING, job_id="", attempts=0, submitted=True, most=50), Again(0.0)),
        chunk=replace(IDS, job_id="", attempts=0, submitted=False, most=50),
    ),
    read(
        "what a lead brings is written with what its fields give, and before it",
        records(lead(A, "Acme"), lead(B, "Bolt")),
        Decision(
            Row.DEALS_FOUND,
            replace(
                UPDATING,
                deal_values=OF_ITS_OWN,
                updates=(
                    replace(made(A, "Acme renewal"), values={"Deal_Name": "Acme renewal", "Amount": 7}),
                    replace(made(B, "Own"), values={"Deal_Name": "Own"}),
                ),
            ),
            Again(0.0),
        ),
        chunk=replace(IDS, deal_values=OF_ITS_OWN),
    ),
    read(
        "what is empty leaves no gap, and the others are found",
        records(lead(A, None), lead(B, "Bolt")),
        Decision(
            Row.DEALS_FOUND,
            replace(UPDATING, updates=(made(A, "renewal"), made(B, "Bolt renewal"))),
            Again(0.0),
        ),
    ),
    read(
        "no lead has anything to fill in: the deals stay as they are",
        records(lead(A, None), lead(B, "")),
        done(Row.SETTLED, {A: OURS, B: OURS}, replace(IDS, deal={"Deal_Name": "{Company}"})),
        chunk=replace(IDS, deal={"Deal_Name": "{Company}"}),
    ),
    read(
        "a read that lags behind the conversion",
        records(unconverted(A), lead(B, "Bolt")),
        Decision(Row.READ_LAGS, replace(IDS, lags=1, due_at=NOW + LOOK), Settle(LOOK)),
    ),
    read(
        "a lead that was deleted since is converted, and its neighbour's deal is found",
        records(lead(B, "Bolt")),
        Decision(
            Row.DEALS_FOUND,
            replace(UPDATING, updates=(made(B, "Bolt renewal"),)),
            Again(0.0),
            outcomes={A: UNSEEN},
        ),
        chunk=replace(IDS, lags=TUNING.read_lags),
    ),
    read(
        "not readable for a day: converted all the same",
        PerhapsAccepted("HTTP 500", 500),
        done(
            Row.DEALS_UNREAD,
            {
                each: Outcome(
                    Kind.CONVERTED,
                    Code.DEAL_NOT_UPDATED,
                    "no usable answer for 24 h when the lead was to be read: HTTP 500",
                    JOB,
                    attempts=1,
                )
                for each in (A, B)
            },
            UNREAD_FOR_A_DAY,
        ),
        chunk=UNREAD_FOR_A_DAY,
    ),
    # The update, with a result for each deal.
    put("all of them", results(200, GOOD, GOOD), done(Row.DEALS_UPDATED, {A: OURS, B: OURS})),
    put("one of them", results(207, GOOD, TOO_LONG), done(Row.DEALS_UPDATED, {A: OURS, B: REFUSED})),
    put("none of them", results(202, TOO_LONG, TOO_LONG), done(Row.DEALS_UPDATED, {A: REFUSED, B: REFUSED})),
    # Refused as a whole: the leads are converted, and nobody else is in the way of it.
    put(
        "the user may not edit deals",
        zoho.error(403, "NO_PERMISSION", "permission denied"),
        done(Row.UPDATE_REFUSED, both("NO_PERMISSION: permission denied")),
    ),
    put(
        "the token has no scope for deals",
        zoho.error(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL"),
        done(Row.UPDATE_REFUSED, both("OAUTH_SCOPE_MISMATCH: invalid oauth scope to access this URL")),
    ),
    put(
        "the body is refused",
        zoho.error(400, "INVALID_DATA", "invalid data", {"json_path": "$.data"}),
        done(Row.UPDATE_REFUSED, both("INVALID_DATA: invalid data ($.data)")),
    ),
    # Made twice it is made once: so it is made again, without a look.
    put("the answer was lost", PerhapsAccepted("connection reset"), again(0.55)),
    put("not a result for each", results(200, GOOD), again(0.55)),
    put("a server's error", Said(500, b""), again(0.55)),
    put("the token has expired", zoho.error(401, "INVALID_TOKEN", "invalid oauth token"), again(0.55)),
    put("surely not sent", NotSent(Unsent.CONNECT, "refused"), again(0.55)),
    put("surely not sent, and not before a time", NotSent(Unsent.NO_TOKEN, "later", retry_after=30.0), again(30.0)),
    put(
        "no usable answer for a day: converted all the same",
        PerhapsAccepted("HTTP 500", 500),
        done(
            Row.UPDATE_GIVE_UP,
            both("no usable answer for 24 h: HTTP 500"),
            replace(DEAF_FOR_A_DAY, outages=10),
        ),
        chunk=DEAF_FOR_A_DAY,
    ),
    put(
        "throttled",
        Said(429, b"", {"Retry-After": "10"}),
        Decision(Row.UPDATE_THROTTLED, replace(UPDATING, outages=1, due_at=NOW + 12.5), Again(12.5)),
    ),
    put(
        "the refresh token is refused: for everybody",
        NotSent(Unsent.CREDENTIALS, "revoked", code="invalid_code"),
        Decision(
            Row.UPDATE_NOT_ALLOWED,
            replace(UPDATING, due_at=NOW),
            Done(),
            pause=PauseOrder("invalid_code", "revoked", CREDENTIALS_HINT),
        ),
    ),
    Case(
        "as many calls run as may",
        UPDATING,
        None,
        lambda: no_permit(UPDATING, Busy(2.0, "full"), MOMENT),
        Decision(Row.UPDATE_NO_PERMIT, replace(UPDATING, due_at=NOW + 2.2), Again(2.2)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_answer_about_deals_has_its_decision(case: Case) -> None:
    assert case.decide() == case.decision


def test_leads_that_a_job_converted_go_on_in_a_chunk_of_their_own() -> None:
    """They have no outcome yet, and their chunk is done."""
    decision = after_status(NAMED, JobStatus(Progress.COMPLETED, 4, 4, 0, 0), MOMENT)
    assert (decision.row, decision.chunk.state) == (Row.JOB_ALL_CONVERTED, State.DONE)
    assert (decision.outcomes, decision.rest) == ({}, None)
    assert decision.asides == (replace(NAMED, state=State.SETTLING, why=Why.IDS, due_at=NOW),)


@pytest.mark.parametrize("chunk", [COUNTED, LOST], ids=["its counts differ", "its answer was lost"])
def test_leads_that_a_read_shows_converted_go_on_in_a_chunk_of_their_own(chunk: Chunk) -> None:
    """The others go their way: unconverted ones out again, missing ones end."""
    came = parse_read(200, {}, records(converted(A), converted(B), unconverted(C)).raw)
    decision = after_read(replace(chunk, deal=TEMPLATES, lags=TUNING.read_lags), came, MOMENT)
    assert decision.row is Row.UNCONVERTED_AGAIN
    assert {lead: outcome.code for lead, outcome in decision.outcomes.items()} == {D: Code.NOT_VISIBLE}
    (aside,) = decision.asides
    assert (aside.leads, aside.why) == ((A, B), Why.IDS)


def test_leads_that_somebody_else_converted_keep_their_deals() -> None:
    chunk = replace(COUNTED, deal=TEMPLATES, submitted=False)
    decision = after_read(chunk, parse_read(200, {}, records(converted(A), converted(B)).raw), MOMENT)
    assert decision.asides == ()
    assert {decision.outcomes[lead].code for lead in (A, B)} == {Code.ALREADY_CONVERTED}


def test_without_templates_nothing_is_different() -> None:
    decision = after_status(RUNNING, JobStatus(Progress.COMPLETED, 4, 4, 0, 0), MOMENT)
    assert decision.asides == ()
    assert decision.rest == Outcome(Kind.CONVERTED, job_id=JOB, attempts=1)


def test_without_templates_only_leads_that_bring_values_go_on() -> None:
    """The others have ended with the job, at no further call."""
    chunk = replace(RUNNING, leads=(A, B, C), deal_values={B: {"Amount": 7}})
    status = JobStatus(Progress.COMPLETED, 3, 3, 0, 0)
    decision = after_status(chunk, status, MOMENT)
    (aside,) = decision.asides
    assert (aside.leads, aside.why) == ((B,), Why.IDS)
    assert decision.rest == Outcome(Kind.CONVERTED, job_id=JOB, attempts=1)
    all_of_them = replace(chunk, deal_values={lead: {"Amount": 7} for lead in (A, B, C)})
    assert after_status(all_of_them, status, MOMENT).rest is None


def test_a_lead_that_somebody_else_converted_keeps_its_deal_whatever_it_brings() -> None:
    chunk = replace(LOST, leads=(A, B), submitted=False, deal_values={A: {"Amount": 7}})
    came = parse_read(200, {}, records(converted(A), converted(B)).raw)
    decision = after_read(chunk, came, MOMENT)
    assert decision.asides == ()
    assert {outcome.kind for outcome in decision.outcomes.values()} == {Kind.SKIPPED}
