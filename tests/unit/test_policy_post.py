"""Every row that an answer to the POST may lead to, from the JSON that Zoho documents to the whole decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from massconvert.model import (
    Again,
    Busy,
    Chunk,
    Code,
    Done,
    Job,
    Kind,
    LeadsRead,
    LeadState,
    NotSent,
    Outcome,
    PerhapsAccepted,
    Refusal,
    Settle,
    State,
    Submitted,
    Unsent,
    Why,
)
from massconvert.policy import (
    HINTS,
    Decision,
    Look,
    Moment,
    PauseOrder,
    Row,
    after_post,
    after_read,
    no_permit,
    options_refused_before,
    sender_lost,
    too_few_replicas,
)
from massconvert.policy.codes import CREDENTIALS_HINT
from tests.unit import zoho_says as zoho
from tests.unit.policy_cases import (
    DAY,
    LEADS,
    LEARNT,
    MAY_NOT_CONVERT,
    MOMENT,
    NOW,
    SENDING,
    TUNING,
    WAITING,
    A,
    B,
    C,
    Case,
    D,
)
from tests.unit.zoho_says import JOB, Said, to_post


def post(why: str, answer: Any, decision: Decision, *, chunk: Chunk = SENDING, moment: Moment = MOMENT) -> Case:
    """A payload was sent; ``answer`` is what came over the wire, or did not."""
    came = to_post(answer) if isinstance(answer, Said) else answer
    return Case(why, chunk, came, lambda: after_post(chunk, came, moment), decision)


def accepted(chunk: Chunk = SENDING, moment: Moment = MOMENT) -> Decision:
    """A job runs: it is looked at when it may have ended; while nothing is known it is the scout."""
    due = NOW + 0.5 if moment.look is None else chunk.sent_at + moment.look.seconds * (1.03 + 0.05 * moment.chance)
    look = None if moment.look else (None, Look(due - chunk.sent_at, due, scout=chunk.id))
    moved = replace(
        chunk,
        state=State.RUNNING,
        job_id=JOB,
        attempts=chunk.attempts + 1,
        submitted=True,
        due_at=max(due, NOW + 0.1),
        outages=0,
        outage_since=0.0,
        polls=0,
        lags=0,
        why=Why.NONE,
        named=(),
    )
    then = Submitted(Job("7", JOB, moved.due_at - NOW))
    return Decision(Row.ACCEPTED, moved, then, accepts_options=True, look=look)


def bad_leads(said: Refusal, *named: str, chunk: Chunk = SENDING) -> Decision:
    """The leads are read at once, to see which of them are bad."""
    moved = replace(
        chunk,
        state=State.SETTLING,
        attempts=chunk.attempts + 1,
        outages=0,
        outage_since=0.0,
        why=Why.BAD_LEADS,
        said=said,
        named=named,
        due_at=NOW,
    )
    return Decision(Row.BAD_LEADS, moved, Settle(0.0))


def options_refused(said: Refusal, words: str) -> Decision:
    """All leads of the chunk fail with Zoho's words, and so will everything that waits with these options."""
    moved = replace(SENDING, state=State.DONE, attempts=1, said=said)
    fate = Outcome(Kind.FAILED, said.code, words, attempts=1)
    return Decision(Row.OPTIONS_REFUSED, moved, Done(), rest=fate, refuse_options=said)


def paused(code: str, words: str, hint: str) -> Decision:
    """The chunk goes back to waiting as it was, and the organisation pauses."""
    moved = replace(SENDING, state=State.WAITING, due_at=NOW)
    return Decision(Row.NOT_ALLOWED, moved, Done(), pause=PauseOrder(code, words, hint))


def again(row: Row, wait: float, chunk: Chunk = SENDING, **changes: Any) -> Decision:
    """The same payload again, in so many seconds; an outage has begun, or goes on."""
    since = chunk.outage_since or NOW
    moved = replace(
        chunk, state=State.WAITING, outages=chunk.outages + 1, outage_since=since, due_at=NOW + wait, **changes
    )
    return Decision(row, moved, Again(wait))


def throttled(wait: float) -> Decision:
    """The governor closes the gate for all; this chunk comes a little after it opens."""
    moved = replace(SENDING, state=State.WAITING, outages=1, due_at=NOW + wait * 1.25)
    return Decision(Row.THROTTLED, moved, Again(wait * 1.25))


def perhaps(said: Refusal, wait: float, chunk: Chunk = SENDING) -> Decision:
    """The leads are looked at, when a job that was accepted would have ended."""
    moved = replace(
        chunk,
        state=State.SETTLING,
        why=Why.ANSWER_LOST,
        said=said,
        job_id="",
        submitted=True,
        outages=chunk.outages + 1,
        outage_since=chunk.outage_since or NOW,
        lags=0,
        failing=replace(
            chunk.failing, lost=chunk.failing.lost + 1, lost_since=chunk.failing.lost_since or chunk.sent_at
        ),
        due_at=NOW + wait,
    )
    return Decision(Row.PERHAPS_ACCEPTED, moved, Settle(wait))


def lost(chunk: Chunk, wait: float) -> Decision:
    """Nobody recorded an answer."""
    said = Refusal("NO_ANSWER", "the worker that sent the payload died before it could record the answer")
    decision = perhaps(said, wait, chunk)
    return replace(decision, row=Row.SENDER_LOST, chunk=replace(decision.chunk, failing=chunk.failing))


NO_ROUTE = NotSent(Unsent.CONNECT, "www.zohoapis.com: connection refused")
BAD_CLIENT = NotSent(Unsent.CREDENTIALS, "the accounts server says invalid_code", "invalid_code")
NO_TOKEN = NotSent(Unsent.NO_TOKEN, "too many refreshes", "Access Denied", retry_after=120.0)
INVALID = "the id given seems to be invalid"
ONE = replace(SENDING, leads=LEADS[:1])
LONG_LOST = replace(SENDING, sent_at=NOW - 500, due_at=NOW - 500)
#: After a bad day: three tries without an answer, a refusal before that, and a look that lagged.
TIRED = replace(
    SENDING,
    attempts=2,
    outages=3,
    outage_since=NOW - 900,
    polls=4,
    lags=2,
    job_id="9",
    why=Why.ANSWER_LOST,
    named=(C,),
)

CASES = [
    # A job id with status success is acceptance: the page's sample, and the current description's code.
    post("the page's sample response", zoho.SCHEDULED_V5, accepted()),
    post("the code of version 8", zoho.SCHEDULED_V8, accepted()),
    post("looked at when such jobs tend to be done", zoho.SCHEDULED_V5, accepted(moment=LEARNT), moment=LEARNT),
    post("an outage and its marks have ended", zoho.SCHEDULED_V5, accepted(TIRED), chunk=TIRED),
    # Some of the ids are bad: one read tells which, whether Zoho names them or not.
    post("one id is named", zoho.BAD_ID, bad_leads(Refusal("INVALID_DATA", INVALID, "$.ids[2]"), C)),
    post("several ids are named", zoho.BAD_IDS, bad_leads(Refusal("INVALID_DATA", INVALID, "$.ids[0]"), A, D)),
    post("the list is named", zoho.BAD_IDS_UNNAMED, bad_leads(Refusal("INVALID_DATA", INVALID, "$.ids"))),
    post("the id is named", zoho.LOCKED, bad_leads(Refusal("RECORD_LOCKED", "record is locked"), B)),
    post("another record's id", zoho.LOCKED_ELSEWHERE, bad_leads(Refusal("RECORD_LOCKED", "record is locked"))),
    post("a lead is in approval", zoho.NOT_APPROVED, bad_leads(Refusal("NOT_APPROVED", "record not approved"))),
    post("nothing is named", zoho.BAD_DATA, bad_leads(Refusal("INVALID_DATA", "invalid data"))),
    post(
        "a refusal ends an outage",
        zoho.BAD_DATA,
        replace(
            bad_leads(Refusal("INVALID_DATA", "invalid data"), chunk=TIRED),
            chunk=replace(
                TIRED,
                state=State.SETTLING,
                attempts=3,
                outages=0,
                outage_since=0.0,
                why=Why.BAD_LEADS,
                said=Refusal("INVALID_DATA", "invalid data"),
                named=(),
                lags=0,
                due_at=NOW,
            ),
        ),
        chunk=TIRED,
    ),
    # Nothing says whether the leads or the options are meant: the leads are read first, whatever was accepted before.
    *(
        post(
            f"a 400 whose code nobody knows, {told}",
            zoho.error(400, "NEW_CODE", "no reason"),
            replace(
                bad_leads(Refusal("NEW_CODE", "no reason"), chunk=replace(chunk, why=Why.UNEXPLAINED)),
                row=Row.UNEXPLAINED,
                chunk=replace(bad_leads(Refusal("NEW_CODE", "no reason"), chunk=chunk).chunk, why=Why.UNEXPLAINED),
            ),
            chunk=chunk,
        )
        for told, chunk in (
            ("to options that were never accepted", SENDING),
            ("to options that were", replace(SENDING, options_accepted=True)),
        )
    ),
    # The options are wrong, and so for every lead that has them.
    post(
        "a mandatory field of the deal is missing",
        zoho.NO_DEAL_NAME,
        options_refused(
            Refusal("MANDATORY_NOT_FOUND", "required field not found", "$.Deals.Deal_Name"),
            "required field not found ($.Deals.Deal_Name)",
        ),
    ),
    post(
        "one of several fields is expected",
        zoho.NO_ASSIGNEE,
        options_refused(
            Refusal("EXPECTED_FIELD_MISSING", "expected field missing", "$.assign_to.name"),
            "expected field missing ($.assign_to.name)",
        ),
    ),
    post(
        "a module's name and id do not belong together",
        zoho.AMBIGUOUS,
        options_refused(
            Refusal("AMBIGUITY_DURING_PROCESSING", "ambiguity while processing the request", "$.related_modules[0].id"),
            "ambiguity while processing the request ($.related_modules[0].id)",
        ),
    ),
    post(
        "invalid data elsewhere than in the ids",
        zoho.BAD_STAGE,
        options_refused(Refusal("INVALID_DATA", "invalid data", "$.Deals.Stage"), "invalid data ($.Deals.Stage)"),
    ),
    post(
        "the portal user type is invalid",
        zoho.BAD_PORTAL,
        options_refused(
            Refusal("INVALID_DATA", "invalid data", "$.portal_user_type.id"), "invalid data ($.portal_user_type.id)"
        ),
    ),
    post(
        "a value of the wrong type",
        zoho.BAD_TYPE,
        options_refused(Refusal("INVALID_DATA", "invalid data", "$.Deals"), "invalid data ($.Deals)"),
    ),
    # Refused while this chunk waited: no call is spent on it.
    Case(
        "its leads fail with the words of that refusal",
        WAITING,
        None,
        lambda: options_refused_before(WAITING, Refusal("INVALID_DATA", "invalid data", "$.Deals.Stage")),
        Decision(
            Row.OPTIONS_REFUSED_BEFORE,
            replace(WAITING, state=State.DONE),
            Done(),
            rest=Outcome(Kind.FAILED, "INVALID_DATA", "invalid data ($.Deals.Stage)"),
        ),
    ),
    # Zoho takes fewer leads than were sent.
    *(
        post(
            why,
            answer,
            Decision(
                Row.TOO_MANY_LEADS,
                replace(SENDING, state=State.WAITING, attempts=1, due_at=NOW),
                Again(0.0),
                split=True,
                max_leads=2,
            ),
        )
        for why, answer in (
            ("halved, and the limit remembered", zoho.TOO_MANY_IDS),
            ("the code since version 7", zoho.TOO_MANY_IDS_V7),
            ("the same", zoho.TOO_LARGE),
        )
    ),
    post(
        "a single lead cannot be halved",
        zoho.TOO_MANY_IDS,
        Decision(
            Row.TOO_MANY_LEADS,
            replace(ONE, state=State.DONE, attempts=1),
            Done(),
            rest=Outcome(
                Kind.FAILED, "RECORD_LIMIT_EXCEEDED", "maximum of 50 records can be converted ($.ids)", attempts=1
            ),
        ),
        chunk=ONE,
    ),
    # The user, the token's scopes, the address or the credentials: nobody's leads are to blame, a person must act.
    post(
        "the user may not convert leads",
        zoho.NO_PERMISSION,
        paused(
            "NO_PERMISSION",
            "Zoho answered 403 NO_PERMISSION: permission denied to convert leads (Crm_Implied_Convert_Leads)",
            MAY_NOT_CONVERT,
        ),
    ),
    *(
        post(
            f"the token lacks a scope, told with {said.status}",
            said,
            paused(
                "OAUTH_SCOPE_MISMATCH",
                f"Zoho answered {said.status} OAUTH_SCOPE_MISMATCH: invalid oauth scope to access this URL",
                HINTS["OAUTH_SCOPE_MISMATCH"],
            ),
        )
        for said in (zoho.SCOPE_401, zoho.SCOPE_403)
    ),
    *(
        post(
            f"the call itself is refused with {said.status} {said.body['code']}",
            said,
            paused(
                said.body["code"],
                f"Zoho answered {said.status} {said.body['code']}: {said.body['message']}",
                HINTS[said.body["code"]],
            ),
        )
        for said in (zoho.WRONG_METHOD, zoho.WRONG_METHOD_405, zoho.WRONG_URL)
    ),
    post(
        "a 4xx whose code nobody has documented",
        zoho.error(402, "LICENSE_EXPIRED", "the licence has expired"),
        paused(
            "LICENSE_EXPIRED",
            "Zoho answered 402 LICENSE_EXPIRED: the licence has expired",
            HINTS["LICENSE_LIMIT_EXCEEDED"],
        ),
    ),
    post(
        "the refresh token is wrong or revoked",
        BAD_CLIENT,
        paused("invalid_code", "the accounts server says invalid_code", CREDENTIALS_HINT),
    ),
    # The access token has expired: the client refreshes it once for everybody, then the payload goes out again.
    *(
        post(said.body["code"], said, again(Row.TOKEN, MOMENT.backoff(1)))
        for said in (zoho.INVALID_TOKEN, zoho.AUTHENTICATION_FAILURE, zoho.INVALID_OAUTHTOKEN)
    ),
    # Over a limit: not an attempt.
    post("by Zoho, which does not say for how long", zoho.THROTTLED, throttled(MOMENT.backoff(2))),
    post("by a gateway, which does", zoho.THROTTLED_BY_GATEWAY, throttled(40.0)),
    post(
        "for a day, of which the governor probes",
        replace(zoho.THROTTLED_BY_GATEWAY, headers={"Retry-After": "86400"}),
        throttled(60.0),
    ),
    # No connection was made, or no token was to be had: it may go out again without a look.
    post("no connection", NO_ROUTE, again(Row.NOT_SENT, MOMENT.backoff(1))),
    post("the fourth time in a row", NO_ROUTE, again(Row.NOT_SENT, MOMENT.backoff(4), TIRED), chunk=TIRED),
    post("the deadline passed before the first byte", NotSent(Unsent.EXPIRED, "too late"), again(Row.NOT_SENT, 0.55)),
    post("no refresh for two minutes: asks again within one", NO_TOKEN, again(Row.NOT_SENT, 60.0)),
    post(
        "after a day, with leads that may have been accepted: goes on",
        NO_ROUTE,
        again(
            Row.NOT_SENT,
            MOMENT.backoff(41),
            replace(SENDING, submitted=True, outages=40, outage_since=NOW - DAY - 1),
        ),
        chunk=replace(SENDING, submitted=True, outages=40, outage_since=NOW - DAY - 1),
    ),
    post(
        "just before the day is over: goes on",
        NO_ROUTE,
        again(Row.NOT_SENT, MOMENT.backoff(41), replace(SENDING, outages=40, outage_since=NOW - DAY)),
        chunk=replace(SENDING, outages=40, outage_since=NOW - DAY),
    ),
    # Never sent for a whole day.
    post(
        "leads that were never sent end, and say why",
        NO_ROUTE,
        Decision(
            Row.NOT_SENT_GIVE_UP,
            replace(SENDING, state=State.DONE, outages=41, outage_since=NOW - DAY - 1),
            Done(),
            rest=Outcome(Kind.FAILED, Code.GAVE_UP, "not sent for 24 h: www.zohoapis.com: connection refused"),
        ),
        chunk=replace(SENDING, outages=40, outage_since=NOW - DAY - 1),
    ),
    # No usable answer: perhaps accepted. A look comes before anything is sent again, and after a job would have ended.
    post(
        "an internal error, with Zoho's words",
        zoho.INTERNAL_ERROR,
        perhaps(Refusal("INTERNAL_ERROR", "HTTP 500: Internal Server Error"), TUNING.job_wait),
    ),
    post(
        "an internal error that calls itself a 400",
        zoho.error(400, "INTERNAL_ERROR", "Internal Server Error"),
        perhaps(Refusal("INTERNAL_ERROR", "Internal Server Error"), TUNING.job_wait),
    ),
    post(
        "a page of a gateway",
        zoho.BAD_GATEWAY,
        perhaps(Refusal("NO_ANSWER", "HTTP 502 with a body that is not Zoho's JSON"), TUNING.job_wait),
    ),
    post(
        "no body at all",
        zoho.UNAVAILABLE,
        perhaps(Refusal("NO_ANSWER", "HTTP 503 with no body"), TUNING.job_wait),
    ),
    post(
        "success without a job id",
        Said(200, {"code": "SUCCESS", "details": {}, "status": "success"}),
        perhaps(Refusal("SUCCESS", "HTTP 200: neither an error nor a job_id"), TUNING.job_wait),
    ),
    *(
        post(
            f"a gateway's {status} in Zoho's envelope",
            zoho.error(status, "REQUEST_TIMEOUT", "later"),
            perhaps(Refusal("REQUEST_TIMEOUT", "later"), TUNING.job_wait),
        )
        for status in (408, 425)
    ),
    post(
        "the connection dropped",
        PerhapsAccepted("the connection broke after the request was sent"),
        perhaps(Refusal("NO_ANSWER", "the connection broke after the request was sent"), TUNING.job_wait),
    ),
    post(
        "jobs have been seen to take 20 s",
        zoho.UNAVAILABLE,
        perhaps(Refusal("NO_ANSWER", "HTTP 503 with no body"), 20.0 * 1.5 + 1.0 + TUNING.read_lag),
        moment=LEARNT,
    ),
    post(
        "in a long outage the backoff is longer than a job",
        zoho.UNAVAILABLE,
        perhaps(Refusal("NO_ANSWER", "HTTP 503 with no body"), MOMENT.backoff(41), chunk=replace(SENDING, outages=40)),
        chunk=replace(SENDING, outages=40),
    ),
    # Found SENDING with a lapsed lease.
    Case(
        "a job accepted then may still run",
        SENDING,
        None,
        lambda: sender_lost(SENDING, MOMENT),
        lost(SENDING, TUNING.job_wait - 10),
    ),
    Case(
        "the wait counts from when the last byte can have left",
        replace(SENDING, send_by=NOW + 5.0),
        None,
        lambda: sender_lost(replace(SENDING, send_by=NOW + 5.0), MOMENT),
        lost(replace(SENDING, send_by=NOW + 5.0), TUNING.job_wait + 5),
    ),
    Case(
        "a job accepted then has ended",
        LONG_LOST,
        None,
        lambda: sender_lost(LONG_LOST, MOMENT),
        lost(LONG_LOST, 0.0),
    ),
    # As many calls run as may: nothing was sent, nothing counts.
    Case(
        "comes back as the governor said",
        WAITING,
        None,
        lambda: no_permit(WAITING, Busy(4.0, "as many calls run as Zoho allows"), MOMENT),
        Decision(Row.NO_PERMIT, replace(WAITING, due_at=NOW + 4.4), Again(4.4)),
    ),
    Case(
        "comes back within a minute, since somebody may let all go on",
        WAITING,
        None,
        lambda: no_permit(WAITING, Busy(300.0, "no calls for now"), MOMENT),
        Decision(Row.NO_PERMIT, replace(WAITING, due_at=NOW + 66.0), Again(66.0)),
    ),
    Case(
        "nothing was sent, nothing counts",
        SENDING,
        None,
        lambda: too_few_replicas(SENDING, MOMENT),
        Decision(Row.TOO_FEW_REPLICAS, replace(WAITING, sent_at=SENDING.sent_at, due_at=NOW + 5.5), Again(5.5)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_answer_to_the_post_has_its_decision(case: Case) -> None:
    assert case.decide() == case.decision


def test_a_pause_is_no_outage() -> None:
    """One lost connection before a weekend's pause and one after it: nothing was tried in between, nobody gives up."""
    since = NOW - 2 * DAY
    chunk = replace(SENDING, outages=1, outage_since=since, due_at=since + 1, sent_at=NOW)
    decision = after_post(chunk, NO_ROUTE, MOMENT)
    assert decision.row is Row.NOT_SENT
    assert NOW - decision.chunk.outage_since == pytest.approx(1.0)
    # A day of tries each of which came when it was due is one.
    assert after_post(replace(chunk, due_at=NOW), NO_ROUTE, MOMENT).row is Row.NOT_SENT_GIVE_UP


def test_a_payload_that_kills_whoever_sends_it_comes_to_an_end() -> None:
    """A dead sender is an answer that was lost, and a day of those is an outage like any other."""
    chunk, row, moment = SENDING, Row.SENDER_LOST, MOMENT
    unconverted = LeadsRead({lead: LeadState(lead, False) for lead in LEADS})
    for _ in range(2000):
        found = replace(moment, now=chunk.sent_at + TUNING.lease)
        dead = sender_lost(chunk, found)
        moment = replace(moment, now=dead.chunk.due_at)
        decision = after_read(dead.chunk, unconverted, moment)
        row = decision.row
        if decision.chunk.state is State.DONE:
            break
        chunk = replace(decision.chunk, state=State.SENDING, sent_at=moment.now)
    assert row is Row.READ_GIVE_UP
    assert DAY < moment.now - NOW < 1.1 * DAY
