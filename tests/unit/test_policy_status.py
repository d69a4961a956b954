"""Every row that an answer to the status call may lead to, from the JSON that Zoho documents to the whole decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from massconvert.model import (
    Again,
    Busy,
    Chunk,
    Done,
    Failing,
    Fared,
    JobStatus,
    Kind,
    NotSent,
    Outcome,
    PerhapsAccepted,
    Progress,
    Refusal,
    Settle,
    State,
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
    after_status,
    before_look,
    no_permit,
)
from massconvert.policy.codes import CREDENTIALS_HINT
from massconvert.policy.polling import OPEN
from tests.unit import zoho_says as zoho
from tests.unit.policy_cases import LEARNT, MAY_NOT_CONVERT, MOMENT, NOW, RUNNING, TUNING, Case
from tests.unit.zoho_says import JOB, Said, job, to_status

#: Accepted so long ago that Zoho must know the job, but that it may still run.
OLDER = replace(RUNNING, sent_at=NOW - TUNING.status_lag)
#: Accepted longer ago than any job is given.
OVERDUE = replace(RUNNING, sent_at=NOW - TUNING.job_deadline - 1)
#: Not answered the last three times.
DEAF = replace(RUNNING, outages=3, polls=5)


def status(why: str, answer: Any, decision: Decision, *, chunk: Chunk = RUNNING, moment: Moment = MOMENT) -> Case:
    """The job was asked for; ``answer`` is what came over the wire, or did not."""
    came = to_status(answer) if isinstance(answer, Said) else answer
    return Case(why, chunk, came, lambda: after_status(chunk, came, moment), decision)


def runs(chunk: Chunk = RUNNING, moment: Moment = MOMENT) -> Decision:
    """Looked at again, a little later each time."""
    wait = 1.2 if moment.look else moment.next_look(chunk.polls + 1)
    moved = replace(chunk, polls=chunk.polls + 1, outages=0, due_at=NOW + wait)
    return Decision(Row.JOB_RUNS, moved, Again(moved.due_at - NOW))


def settle(row: Row, why: Why, words: str, wait: float, **changes: Any) -> Decision:
    """The leads themselves are read."""
    moved = replace(RUNNING, state=State.SETTLING, why=why, due_at=NOW + wait, polls=1)
    moved = replace(moved, said=Refusal("NOT_CONVERTED", words), **changes)
    return Decision(row, moved, Settle(wait))


def counts_differ(words: str, claimed: int, **changes: Any) -> Decision:
    """Read when the reads have caught up with the job."""
    decision = settle(
        Row.JOB_COUNTS_DIFFER,
        Why.COUNTS_DIFFER,
        f"job {JOB} completed with {words}",
        TUNING.read_lag,
        claimed_converted=claimed,
        **changes,
    )
    return replace(decision, job_took=NOW - decision.chunk.sent_at)


def unknown(row: Row, chunk: Chunk, code: str, message: str, wait: float) -> Decision:
    """Settled when a job that runs on unknown would have ended."""
    said = Refusal(code, f"job {JOB} is unknown to Zoho: {message}")
    failing = replace(chunk.failing, unknown_at=chunk.sent_at)
    moved = replace(
        chunk, state=State.SETTLING, why=Why.JOB_UNKNOWN, polls=1, said=said, failing=failing, due_at=NOW + wait
    )
    return Decision(row, moved, Settle(wait))


def unknown_yet(chunk: Chunk = RUNNING, moment: Moment = MOMENT) -> Decision:
    """Asked again after a second at least."""
    wait = max(1.0, moment.next_look(1))
    return Decision(Row.JOB_UNKNOWN_YET, replace(chunk, polls=1, due_at=NOW + wait), Again(wait))


def retry(wait: float, chunk: Chunk = RUNNING) -> Decision:
    """Nothing was learnt about the job."""
    return Decision(Row.STATUS_RETRY, replace(chunk, outages=chunk.outages + 1, due_at=NOW + wait), Again(wait))


def paused(code: str, words: str, hint: str) -> Decision:
    """The job runs on unwatched until the organisation may call again."""
    return Decision(Row.STATUS_NOT_ALLOWED, replace(RUNNING, due_at=NOW), Done(), pause=PauseOrder(code, words, hint))


#: One job has converted nobody.
FAILED_ONCE = Failing(jobs=1, jobs_since=RUNNING.sent_at)

ALL_CONVERTED = Decision(
    Row.JOB_ALL_CONVERTED,
    replace(RUNNING, state=State.DONE, polls=1),
    Done(),
    rest=Outcome(Kind.CONVERTED, job_id=JOB, attempts=1),
    job_took=10.0,
)

CASES = [
    # It goes on: looked at when jobs of this organisation have tended to be done.
    status("scheduled", job("scheduled", 4, 0, 4), runs()),
    status("in progress", job("in progress", 4, 1, 3), runs()),
    status("in progress, in other letters", job("IN_PROGRESS", 4, 1, 3), runs()),
    status("counts that would be all are no end while it runs", job("in progress", 4, 4), runs()),
    status("job times are known", job("scheduled", 4, 0, 4), runs(moment=LEARNT), moment=LEARNT),
    status("the sixth look; answers come again", job("scheduled", 4, 0, 4), runs(DEAF), chunk=DEAF),
    # Everything was converted: no further call.
    status("in the letters of the page", job("completed", 4, 4), ALL_CONVERTED),
    status("in the letters of the sample", job("COMPLETED", 4, 4), ALL_CONVERTED),
    # Completed, and something is not as it was sent: the leads tell.
    status("two failed", job("completed", 4, 2, 0, 2), counts_differ("2 of 4 converted, 2 failed", 2)),
    status(
        "none was converted",
        job("completed", 4, 0, 4),
        counts_differ("0 of 4 converted, 0 failed", 0, failing=FAILED_ONCE),
    ),
    status("a lead was left out", job("completed", 3, 3), counts_differ("3 of 3 converted, 0 failed", 3)),
    status("more leads than were sent", job("completed", 6, 6), counts_differ("6 of 6 converted, 0 failed", 4)),
    status("counts that do not add up", job("completed", 4, 5, 0, 1), counts_differ("5 of 4 converted, 1 failed", 3)),
    status("all, and one failed", job("completed", 4, 4, 0, 1), counts_differ("4 of 4 converted, 1 failed", 3)),
    status(
        "no counts at all",
        zoho.Said(200, {"data": [{"Status": "Completed"}]}),
        counts_differ("counts that tell nothing", 0),
    ),
    # A failed job may have converted some, and no count can be believed.
    status(
        "settled after the lag of the reads",
        job("failed", 4, 1, 0, 3),
        settle(Row.JOB_FAILED, Why.JOB_FAILED, f"job {JOB} failed", TUNING.read_lag, failing=FAILED_ONCE),
    ),
    *(
        status(
            f"again, {told}",
            job("failed", 4, 0, 0, 4),
            settle(
                Row.JOB_FAILED,
                Why.JOB_FAILED,
                f"job {JOB} failed",
                TUNING.read_lag,
                fared=fared,
                failing=replace(FAILED_ONCE, jobs=2, own=own),
            ),
            chunk=replace(RUNNING, failing=FAILED_ONCE, fared=fared),
        )
        for told, fared, own in (
            ("and nobody's job did better", Fared(answered=NOW), False),
            ("though another's job converted leads meanwhile", Fared(converted=NOW - 1), True),
        )
    ),
    status(
        "a lead alone",
        job("failed", 1, 0, 0, 1),
        settle(
            Row.JOB_FAILED,
            Why.JOB_FAILED,
            f"job {JOB} failed",
            TUNING.read_lag,
            leads=RUNNING.leads[:1],
            failing=replace(FAILED_ONCE, alone=1),
        ),
        chunk=replace(RUNNING, leads=RUNNING.leads[:1]),
    ),
    # Right after acceptance, Zoho may not know the job yet.
    status("the id is invalid, so far", zoho.UNKNOWN_JOB, unknown_yet()),
    status("with job times known", zoho.UNKNOWN_JOB, unknown_yet(moment=LEARNT), moment=LEARNT),
    # Later it never will: the leads tell, but not before a job that runs on unknown would have ended.
    status(
        "as long as a lost job would run",
        zoho.UNKNOWN_JOB,
        unknown(Row.JOB_UNKNOWN, OLDER, "INVALID_DATA", "the job id given seems to be invalid", 0.0),
        chunk=OLDER,
    ),
    status(
        "jobs are known to take longer",
        zoho.UNKNOWN_JOB,
        unknown(
            Row.JOB_UNKNOWN,
            OLDER,
            "INVALID_DATA",
            "the job id given seems to be invalid",
            1.5 * 100 + 1 + TUNING.read_lag - TUNING.status_lag,
        ),
        chunk=OLDER,
        moment=replace(LEARNT, job_p99=100.0),
    ),
    status(
        "the parameter is said to be missing",
        zoho.NO_JOB_PARAM,
        unknown(Row.JOB_UNKNOWN, OLDER, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", 0.0),
        chunk=OLDER,
    ),
    # A deadline is no outcome: the leads are looked at, and the job is watched on.
    status(
        "still in progress",
        job("in progress", 4, 1, 3),
        Decision(
            Row.JOB_OVERDUE,
            replace(OVERDUE, state=State.SETTLING, why=Why.OVERDUE, polls=1, due_at=NOW),
            Settle(0.0),
        ),
        chunk=OVERDUE,
    ),
    *(
        status(
            f"no usable answer by then: {why}",
            answer,
            Decision(
                Row.JOB_OVERDUE,
                replace(OVERDUE, state=State.SETTLING, why=Why.OVERDUE, due_at=NOW),
                Settle(0.0),
            ),
            chunk=OVERDUE,
        )
        for why, answer in (
            ("a status that nobody has documented", job("teleported", 4, 1)),
            ("an error each time", zoho.INTERNAL_ERROR),
            ("a token that is refused each time", zoho.INVALID_TOKEN),
        )
    ),
    # A person must act.
    status(
        "the user may not",
        zoho.NO_PERMISSION,
        paused(
            "NO_PERMISSION",
            "Zoho answered 403 NO_PERMISSION: permission denied to convert leads (Crm_Implied_Convert_Leads)",
            MAY_NOT_CONVERT,
        ),
    ),
    status(
        "the token lacks the scope to read jobs",
        zoho.SCOPE_401,
        paused(
            "OAUTH_SCOPE_MISMATCH",
            "Zoho answered 401 OAUTH_SCOPE_MISMATCH: invalid oauth scope to access this URL",
            HINTS["OAUTH_SCOPE_MISMATCH"],
        ),
    ),
    status(
        "the credentials are refused",
        NotSent(Unsent.CREDENTIALS, "the accounts server says invalid_client", "invalid_client"),
        paused("invalid_client", "the accounts server says invalid_client", CREDENTIALS_HINT),
    ),
    # Nothing that can be believed: the same question again.
    status("an internal error", zoho.INTERNAL_ERROR, retry(MOMENT.backoff(1))),
    status("a gateway's page, for the fourth time", zoho.BAD_GATEWAY, retry(MOMENT.backoff(4), DEAF), chunk=DEAF),
    status("an internal error that calls itself a 400", zoho.error(400, "INTERNAL_ERROR", "x"), retry(0.55)),
    status("a status that nobody has documented", job("teleported", 4, 4), retry(MOMENT.backoff(1))),
    status("no content", zoho.NO_RECORDS, retry(MOMENT.backoff(1))),
    status("the access token has expired", zoho.INVALID_TOKEN, retry(MOMENT.backoff(1))),
    status("no connection", NotSent(Unsent.CONNECT, "connection refused"), retry(MOMENT.backoff(1))),
    status("no refresh", NotSent(Unsent.NO_TOKEN, "too many", retry_after=90.0), retry(60.0)),
    status("the connection dropped", PerhapsAccepted("the connection broke"), retry(MOMENT.backoff(1))),
    # Over a limit.
    status(
        "comes after the gate, which the governor closes for all",
        zoho.THROTTLED_BY_GATEWAY,
        Decision(
            Row.STATUS_THROTTLED,
            replace(RUNNING, outages=1, due_at=NOW + 50.0),
            Again(50.0),
        ),
    ),
    # As many calls run as may.
    Case(
        "comes back as the governor said",
        RUNNING,
        None,
        lambda: no_permit(RUNNING, Busy(1.0, "full"), MOMENT),
        Decision(Row.STATUS_NO_PERMIT, replace(RUNNING, due_at=NOW + 1.1), Again(1.1)),
    ),
    # Nothing is known of such jobs, and another one is looked at first.
    Case(
        "waits until a job of that age has been looked at",
        RUNNING,
        None,
        lambda: cast("Decision", before_look(RUNNING, replace(MOMENT, look=Look(30.0, NOW + 5.0, scout="8")))),
        Decision(Row.LOOK_LATER, replace(RUNNING, due_at=NOW + 20.0), Again(20.0)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_answer_about_a_job_has_its_decision(case: Case) -> None:
    # What a first look teaches has tests of its own: test_governor_looks.py.
    assert replace(case.decide(), look=None) == case.decision


def test_a_job_is_given_its_whole_deadline() -> None:
    """Only what is beyond it is overdue."""
    just = replace(RUNNING, sent_at=NOW - TUNING.job_deadline)
    assert after_status(just, to_status(job("in progress", 4, 1, 3)), MOMENT).row is Row.JOB_RUNS


def test_a_scout_that_comes_after_a_long_absence_keeps_nobody_waiting() -> None:
    """Its look teaches nothing: the next job is looked at now, and those that are as old need no scout at all."""
    absent = replace(RUNNING, polls=0, sent_at=NOW - 40.0, due_at=NOW - 38.0)
    moment = replace(MOMENT, look=Look(2.0, NOW - 38.0, scout=absent.id))
    ended = after_status(absent, JobStatus(Progress.COMPLETED, 4, 4, 0, 0), moment)
    assert ended.look
    assert ended.look[1].scout == OPEN
    other = replace(absent, id="8")
    assert before_look(other, moment) is None
    assert (
        before_look(replace(other, sent_at=NOW - 3.0), replace(moment, look=replace(ended.look[1], at=NOW))) is not None
    )


def test_a_scout_whose_calls_failed_keeps_nobody_waiting() -> None:
    absent = replace(RUNNING, polls=0, outages=3, sent_at=NOW - 5.0)
    moment = replace(MOMENT, look=Look(2.0, NOW - 1.0, scout=absent.id))
    ended = after_status(absent, JobStatus(Progress.COMPLETED, 4, 4, 0, 0), moment)
    assert ended.look
    assert ended.look[1].scout == OPEN


def test_a_job_that_takes_long_is_looked_at_every_minute() -> None:
    """However many looks came before: its end is seen within a minute, not within half an hour."""
    old = replace(RUNNING, polls=14, sent_at=NOW - 1000.0, due_at=NOW)
    for look in (Look(60.0, NOW - 500.0), Look(60.0, NOW - 1.0, scout=old.id)):
        decision = after_status(old, JobStatus(Progress.IN_PROGRESS, 0, 0, 0, 0), replace(MOMENT, look=look))
        assert decision.chunk.due_at <= NOW + TUNING.poll_cap
