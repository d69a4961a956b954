"""THE page: what to do next, given what the ledger knows and what Zoho answered.

Pure functions and tables: no I/O, no clock, no chance of its own. A step hands in the chunk as it claimed it, one
answer, and the moment; it gets back one `Decision`, which the ledger writes with one script.

The theory, in five sentences:

1. Zoho has no idempotency key, so an answer that was lost can only be understood by *looking at the leads*. Every
   answer is therefore one of three: surely not sent (send again), perhaps accepted (look, then send what is still
   unconverted), answered (believe it).
2. A look too early sees leads of a job that still runs as unconverted. It waits until a job accepted then would
   have ended: the learnt 99th percentile of job times.
3. A job's counts name no lead. "Completed, all converted" needs no further call; anything else is settled by the
   leads' own state, and what stays unconverted goes out again a bounded number of times.
4. A deadline is never an outcome: a job without an end goes on being watched, and only Zoho's word ends a lead.
   The one exception is a payload that never got a usable answer for a whole day, and whose leads Zoho shows (or
   that we never sent): those end as `GAVE_UP`, which is the truth about us.
5. What is wrong with the *options* or the *organisation* is not the leads' fault: wrong options fail everything that
   waits with them at the cost of one call; a missing permission pauses the organisation and fails nothing.

`MOVES` lists every row of the decision table with the states it leads from and to; the state diagram in
docs/concepts.md is drawn from it, and a row without a test fails the suite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from massconvert.contract import MAX_LEADS_A_CALL
from massconvert.model import (
    Accepted,
    Again,
    Busy,
    Chunk,
    Code,
    Done,
    Job,
    JobStatus,
    Kind,
    LeadsRead,
    LeadState,
    Next,
    NotSent,
    Outcome,
    PerhapsAccepted,
    PostAnswer,
    Progress,
    ReadAnswer,
    Refusal,
    Refused,
    Resend,
    Settle,
    State,
    StatusAnswer,
    Submitted,
    Unsent,
    Why,
)


@dataclass(frozen=True)
class Tuning:
    """The numbers of the pipeline; times in seconds. The defaults are the product's."""

    max_leads: int = MAX_LEADS_A_CALL
    linger: float = 2.0
    window: int = 20  # chunks waiting to be sent
    max_jobs: int = 200  # chunks that Zoho works on, or that wait for a look
    lease: float = 75.0  # longer than the wait for a permit, a token refresh and a call's total deadline together
    backoff_base: float = 1.0
    backoff_cap: float = 300.0
    first_look: float = 2.0  # at a job, while nothing is learnt
    poll_cap: float = 60.0
    job_wait: float = 60.0  # before a look at a lost answer, while nothing is learnt
    job_deadline: float = 3600.0
    overdue_pace: float = 600.0
    status_lag: float = 60.0  # how long after acceptance Zoho may not know a job yet
    read_lags: int = 5
    max_attempts: int = 3
    give_up: float = 86_400.0
    pause_probe: float = 300.0  # while paused, one call in so many seconds finds out whether it still must be
    clock_skew: float = 300.0  # between Zoho's clock and ours, when two of their times are compared
    retention: float = 30 * 86_400.0
    enqueue_idle: float = 900.0  # an enqueue that added nothing for so long has been abandoned
    sweep_grace: float = 15.0  # how late a message may be before the sweep sends another


@dataclass(frozen=True)
class Moment:
    """What a decision may depend on besides the chunk and the answer.

    ``chance`` is uniform in [0, 1). ``job_median`` and ``job_p99`` are learnt job times in seconds, ``None`` while
    too few jobs were seen.
    """

    now: float
    chance: float
    tuning: Tuning
    job_median: float | None = None
    job_p99: float | None = None

    def backoff(self, failures: int) -> float:
        """Exponential backoff with full jitter, capped; never less than a tenth of its ceiling.

        Full jitter after Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015); the floor keeps
        a lucky draw from hammering.
        """
        ceiling = min(self.tuning.backoff_cap, self.tuning.backoff_base * 2.0 ** min(max(failures - 1, 0), 30))
        return ceiling * (0.1 + 0.9 * self.chance)

    @property
    def job_wait(self) -> float:
        """How long a job that was accepted now would take to end, almost surely."""
        return self.tuning.job_wait if self.job_p99 is None else 1.5 * self.job_p99 + 1.0

    def next_look(self, polls: int) -> float:
        """When to look at a job for the ``polls + 1``-th time, counted from now."""
        first = self.tuning.first_look if self.job_median is None else max(0.2, self.job_median)
        growth = 1.0 if polls == 0 else 0.5 * 1.5 ** min(polls, 20)
        return min(self.tuning.poll_cap, first * growth * (1.0 + 0.1 * self.chance))


class Row(str, Enum):
    """The rows of the decision table."""

    # the answer to the POST
    ACCEPTED = "post: accepted"
    BAD_LEADS = "post: some ids refused"
    OPTIONS_REFUSED = "post: options refused"
    OPTIONS_REFUSED_BEFORE = "post: options refused since the chunk was formed"
    TOO_MANY_LEADS = "post: more leads than Zoho takes"
    NOT_ALLOWED = "post: the organisation or the credentials may not"
    TOKEN = "post: token expired"  # noqa: S105 - a row's name, not a secret
    THROTTLED = "post: throttled"
    NOT_SENT = "post: surely not sent"
    NOT_SENT_GIVE_UP = "post: surely not sent, given up"
    PERHAPS_ACCEPTED = "post: perhaps accepted"
    SENDER_LOST = "post: the sender died"
    NO_PERMIT = "any call: no permit"
    # the answer to the status call
    JOB_RUNS = "status: scheduled or in progress"
    JOB_ALL_CONVERTED = "status: completed, all converted"
    JOB_COUNTS_DIFFER = "status: completed, counts differ"
    JOB_FAILED = "status: failed"
    JOB_UNKNOWN_YET = "status: unknown right after acceptance"
    JOB_UNKNOWN = "status: unknown later"
    JOB_OVERDUE = "status: no end by the deadline"
    STATUS_NOT_ALLOWED = "status: not allowed"
    STATUS_RETRY = "status: no usable answer"
    STATUS_THROTTLED = "status: throttled"
    # the answer to the read
    SETTLED = "read: every lead has ended"
    READ_LAGS = "read: fewer converted than the job says"
    STILL_CONVERTING = "read: a lost job is at work"
    UNCONVERTED_AGAIN = "read: the unconverted go out again"
    BAD_LEADS_OUT = "read: bad leads sorted out"
    NAMED_OUT = "read: explains nothing, the named leads fail"
    HALVED = "read: explains nothing, none named, halved"
    OUT_OF_ATTEMPTS = "read: still unconverted after the last attempt"
    READ_GIVE_UP = "read: unconverted, given up"
    OVERDUE_WATCHED = "read: overdue, watched on"
    READ_NOT_ALLOWED = "read: not allowed"
    READ_RETRY = "read: no usable answer"
    READ_THROTTLED = "read: throttled"


_W, _S, _R, _T, _D = State.WAITING, State.SENDING, State.RUNNING, State.SETTLING, State.DONE

#: Every row: the state it is decided in, and the states it may lead to.
MOVES: dict[Row, tuple[State, frozenset[State]]] = {
    Row.ACCEPTED: (_S, frozenset({_R})),
    Row.BAD_LEADS: (_S, frozenset({_T})),
    Row.OPTIONS_REFUSED: (_S, frozenset({_D})),
    Row.OPTIONS_REFUSED_BEFORE: (_W, frozenset({_D})),
    Row.TOO_MANY_LEADS: (_S, frozenset({_W, _D})),
    Row.NOT_ALLOWED: (_S, frozenset({_W})),
    Row.TOKEN: (_S, frozenset({_W})),
    Row.THROTTLED: (_S, frozenset({_W})),
    Row.NOT_SENT: (_S, frozenset({_W})),
    Row.NOT_SENT_GIVE_UP: (_S, frozenset({_D})),
    Row.PERHAPS_ACCEPTED: (_S, frozenset({_T})),
    Row.SENDER_LOST: (_S, frozenset({_T})),
    Row.NO_PERMIT: (_W, frozenset({_W, _R, _T})),  # in whichever of the three it is, it stays
    Row.JOB_RUNS: (_R, frozenset({_R})),
    Row.JOB_ALL_CONVERTED: (_R, frozenset({_D})),
    Row.JOB_COUNTS_DIFFER: (_R, frozenset({_T})),
    Row.JOB_FAILED: (_R, frozenset({_T})),
    Row.JOB_UNKNOWN_YET: (_R, frozenset({_R})),
    Row.JOB_UNKNOWN: (_R, frozenset({_T})),
    Row.JOB_OVERDUE: (_R, frozenset({_T})),
    Row.STATUS_NOT_ALLOWED: (_R, frozenset({_R})),
    Row.STATUS_RETRY: (_R, frozenset({_R})),
    Row.STATUS_THROTTLED: (_R, frozenset({_R})),
    Row.SETTLED: (_T, frozenset({_D})),
    Row.READ_LAGS: (_T, frozenset({_T})),
    Row.STILL_CONVERTING: (_T, frozenset({_T})),
    Row.UNCONVERTED_AGAIN: (_T, frozenset({_W})),
    Row.BAD_LEADS_OUT: (_T, frozenset({_W})),
    Row.NAMED_OUT: (_T, frozenset({_W, _D})),
    Row.HALVED: (_T, frozenset({_W})),
    Row.OUT_OF_ATTEMPTS: (_T, frozenset({_D})),
    Row.READ_GIVE_UP: (_T, frozenset({_D})),
    Row.OVERDUE_WATCHED: (_T, frozenset({_R})),
    Row.READ_NOT_ALLOWED: (_T, frozenset({_T})),
    Row.READ_RETRY: (_T, frozenset({_T})),
    Row.READ_THROTTLED: (_T, frozenset({_T})),
}


class Meaning(Enum):
    """What a definite refusal means, whichever call it answers."""

    LEADS = "some of the leads"
    OPTIONS = "the options"
    TOO_MANY = "too many leads"
    NOT_ALLOWED = "the organisation, the user or the credentials"
    TOKEN = "the access token"  # noqa: S105 - a meaning, not a secret
    THROTTLED = "a limit"
    UNCLEAR = "nothing that can be believed"


#: Zoho's error codes (API page "Possible Errors"; status-code page) and what each means for a payload.
#: `INVALID_DATA` is told apart by its path, in `meaning`.
MEANINGS: dict[str, Meaning] = {
    "MANDATORY_NOT_FOUND": Meaning.OPTIONS,
    "EXPECTED_FIELD_MISSING": Meaning.OPTIONS,
    "AMBIGUITY_DURING_PROCESSING": Meaning.OPTIONS,
    "RECORD_LIMIT_EXCEEDED": Meaning.TOO_MANY,
    "NO_PERMISSION": Meaning.NOT_ALLOWED,
    "OAUTH_SCOPE_MISMATCH": Meaning.NOT_ALLOWED,
    "INVALID_REQUEST_METHOD": Meaning.NOT_ALLOWED,
    "INVALID_URL_PATTERN": Meaning.NOT_ALLOWED,
    "INVALID_TOKEN": Meaning.TOKEN,
    "AUTHENTICATION_FAILURE": Meaning.TOKEN,
    "INVALID_OAUTHTOKEN": Meaning.TOKEN,
    "TOO_MANY_REQUESTS": Meaning.THROTTLED,
    "INTERNAL_ERROR": Meaning.UNCLEAR,
}

#: What a refusal means by its HTTP status, where its code is not in `MEANINGS`.
STATUS_MEANINGS: dict[int, Meaning] = {
    400: Meaning.OPTIONS,
    408: Meaning.UNCLEAR,
    413: Meaning.TOO_MANY,
    425: Meaning.UNCLEAR,
    429: Meaning.THROTTLED,
}

#: What to do about a pause, by Zoho's code.
HINTS: dict[str, str] = {
    "NO_PERMISSION": "Give the user of the refresh token permission to convert leads, then: massconvert resume",
    "OAUTH_SCOPE_MISMATCH": "Make a new refresh token with the scopes ZohoCRM.mass_convert.leads.CREATE, "
    "ZohoCRM.mass_convert.leads.READ and ZohoCRM.modules.leads.READ, then: massconvert resume",
    "INVALID_URL_PATTERN": "Check ZOHO_API_VERSION and ZOHO_API_DOMAIN, then: massconvert resume",
    "INVALID_REQUEST_METHOD": "Check ZOHO_API_VERSION and ZOHO_API_DOMAIN, then: massconvert resume",
    "": "Mend what Zoho names, then: massconvert resume",
}
CREDENTIALS_HINT = (
    "Check ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN and ZOHO_DATA_CENTER, restart the workers with "
    "the right ones, then: massconvert resume"
)


@dataclass(frozen=True)
class PauseOrder:
    """Pause the organisation, and say why and what to do."""

    code: str
    reason: str
    hint: str


@dataclass(frozen=True)
class Gate:
    """Let nobody call for so many seconds."""

    seconds: float
    why: str


@dataclass(frozen=True)
class Decision:
    """One row of the table, applied: the chunk as it shall be, and everything that is written with it.

    ``outcomes`` end single leads; ``rest`` ends all others that are open (the chunk is then done). ``split`` moves the
    second half of the leads that stay open to a chunk of their own.
    """

    row: Row
    chunk: Chunk
    next: Next
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    rest: Outcome | None = None
    gate: Gate | None = None
    pause: PauseOrder | None = None
    refuse_options: Refusal | None = None
    accepts_options: bool = False
    split: bool = False
    max_leads: int | None = None  # a lower limit that Zoho has shown
    job_took: float | None = None  # seconds, to learn from


# --- the answer to the POST -------------------------------------------------------------------------------


def after_post(chunk: Chunk, answer: PostAnswer, moment: Moment) -> Decision:
    """Decide what Zoho's answer to the payload of ``chunk`` (state SENDING) means."""
    if isinstance(answer, Accepted):
        return _accepted(chunk, answer, moment)
    if isinstance(answer, NotSent):
        return _not_sent(chunk, answer, moment)
    if isinstance(answer, PerhapsAccepted):
        return _perhaps_accepted(chunk, Refusal(answer.code or "NO_ANSWER", answer.detail), moment)
    return _refused_post(chunk, answer, moment)


def sender_lost(chunk: Chunk, moment: Moment) -> Decision:
    """Decide about a chunk found SENDING with a lapsed lease: its sender died between writing ahead and recording."""
    due = max(moment.now, chunk.sent_at + moment.job_wait)
    said = Refusal("NO_ANSWER", "the worker that sent the payload died before it could record the answer")
    moved = replace(
        chunk,
        state=State.SETTLING,
        why=Why.ANSWER_LOST,
        said=said,
        job_id="",
        submitted=True,
        lags=0,
        due_at=due,
    )
    return Decision(Row.SENDER_LOST, moved, Settle(due - moment.now))


def no_permit(chunk: Chunk, busy: Busy, moment: Moment) -> Decision:
    """Decide about a claimed chunk for which the governor had no permit: nothing was sent, nothing counts."""
    wait = busy.in_seconds * (1.0 + 0.2 * moment.chance)
    return Decision(Row.NO_PERMIT, replace(chunk, due_at=moment.now + wait), Again(wait))


def options_refused_before(chunk: Chunk, refusal: Refusal) -> Decision:
    """Decide about a chunk whose options Zoho has refused since it was formed: its leads fail without a call."""
    row = Row.OPTIONS_REFUSED_BEFORE
    return Decision(row, replace(chunk, state=State.DONE), Done(), rest=_failed(chunk, refusal))


def _accepted(chunk: Chunk, answer: Accepted, moment: Moment) -> Decision:
    look = moment.next_look(0)
    moved = replace(
        chunk,
        state=State.RUNNING,
        job_id=answer.job_id,
        attempts=chunk.attempts + 1,
        submitted=True,
        outages=0,
        outage_since=0.0,
        polls=0,
        lags=0,
        why=Why.NONE,
        named=(),
        due_at=moment.now + look,
    )
    return Decision(Row.ACCEPTED, moved, Submitted(Job(chunk.id, answer.job_id, look)), accepts_options=True)


def _not_sent(chunk: Chunk, answer: NotSent, moment: Moment) -> Decision:
    if answer.why is Unsent.CREDENTIALS:
        return _paused(Row.NOT_ALLOWED, chunk, PauseOrder(answer.code, answer.detail, CREDENTIALS_HINT), moment)
    chunk = _another_outage(chunk, moment)
    if _given_up(chunk, moment) and not chunk.submitted:
        words = f"not sent for {_hours(moment.tuning.give_up)}: {answer.detail}"
        rest = Outcome(Kind.FAILED, Code.GAVE_UP, words, attempts=chunk.attempts)
        return Decision(Row.NOT_SENT_GIVE_UP, replace(chunk, state=State.DONE), Done(), rest=rest)
    wait = max(moment.backoff(chunk.outages), answer.retry_after or 0.0)
    moved = replace(chunk, state=State.WAITING, due_at=moment.now + wait)
    return Decision(Row.NOT_SENT, moved, Again(wait))


def _perhaps_accepted(chunk: Chunk, said: Refusal, moment: Moment) -> Decision:
    chunk = _another_outage(chunk, moment)
    wait = max(moment.backoff(chunk.outages), moment.job_wait)
    moved = replace(
        chunk,
        state=State.SETTLING,
        why=Why.ANSWER_LOST,
        said=said,
        job_id="",
        submitted=True,
        lags=0,
        due_at=moment.now + wait,
    )
    return Decision(Row.PERHAPS_ACCEPTED, moved, Settle(wait))


def meaning(answer: Refused) -> Meaning:
    """Say what a definite refusal means: by its code, by its path for ``INVALID_DATA``, else by its status."""
    if answer.status == 429:
        return Meaning.THROTTLED
    if answer.code == "INVALID_DATA":
        about_ids = not answer.paths or any(path.startswith("$.ids") for path in answer.paths)
        return Meaning.LEADS if about_ids else Meaning.OPTIONS
    known = MEANINGS.get(answer.code)
    return known or STATUS_MEANINGS.get(answer.status, Meaning.NOT_ALLOWED)


def _refused_post(chunk: Chunk, answer: Refused, moment: Moment) -> Decision:
    said = Refusal(answer.code, answer.message, answer.paths[0] if answer.paths else "")
    return _POST_REFUSALS[meaning(answer)](chunk, answer, said, moment)


def _bad_leads_refused(chunk: Chunk, answer: Refused, said: Refusal, moment: Moment) -> Decision:
    named = named_leads(chunk.leads, answer.paths)
    moved = replace(_answered(chunk), why=Why.BAD_LEADS, said=said, named=named)
    return _to_settle(Row.BAD_LEADS, moved, moment)


def _options_refused(chunk: Chunk, _answer: Refused, said: Refusal, _moment: Moment) -> Decision:
    moved = replace(_answered(chunk), state=State.DONE, said=said)
    return Decision(Row.OPTIONS_REFUSED, moved, Done(), rest=_failed(moved, said), refuse_options=said)


def _token_refused(chunk: Chunk, _answer: Refused, _said: Refusal, moment: Moment) -> Decision:
    chunk = _another_outage(chunk, moment)
    wait = moment.backoff(chunk.outages)
    return Decision(Row.TOKEN, replace(chunk, state=State.WAITING, due_at=moment.now + wait), Again(wait))


def _too_many(chunk: Chunk, _answer: Refused, said: Refusal, moment: Moment) -> Decision:
    chunk = _answered(chunk)
    if len(chunk.leads) == 1:
        moved = replace(chunk, state=State.DONE)
        return Decision(Row.TOO_MANY_LEADS, moved, Done(), rest=_failed(chunk, said))
    moved = replace(chunk, state=State.WAITING, due_at=moment.now)
    lower = max(1, len(chunk.leads) // 2)
    return Decision(Row.TOO_MANY_LEADS, moved, Again(0.0), split=True, max_leads=lower)


#: What to do about each meaning of a refusal of a payload.
_POST_REFUSALS: dict[Meaning, Callable[[Chunk, Refused, Refusal, Moment], Decision]] = {
    Meaning.LEADS: _bad_leads_refused,
    Meaning.OPTIONS: _options_refused,
    Meaning.TOO_MANY: _too_many,
    Meaning.TOKEN: _token_refused,
    Meaning.UNCLEAR: lambda chunk, _answer, said, moment: _perhaps_accepted(chunk, said, moment),
    Meaning.THROTTLED: lambda chunk, answer, _said, moment: _throttled(
        Row.THROTTLED, State.WAITING, chunk, answer, moment
    ),
    Meaning.NOT_ALLOWED: lambda chunk, answer, _said, moment: _paused(Row.NOT_ALLOWED, chunk, _order(answer), moment),
}


def named_leads(leads: tuple[str, ...], paths: tuple[str, ...]) -> tuple[str, ...]:
    """Find the leads that paths like ``$.ids[3]`` name, in payload order."""
    places = {
        int(path[len("$.ids[") : -1])
        for path in paths
        if path.startswith("$.ids[") and path.endswith("]") and path[len("$.ids[") : -1].isdigit()
    }
    return tuple(lead for place, lead in enumerate(leads) if place in places)


# --- the answer to the status call ------------------------------------------------------------------------


def after_status(chunk: Chunk, answer: StatusAnswer, moment: Moment) -> Decision:
    """Decide what Zoho says of the job of ``chunk`` (state RUNNING)."""
    if isinstance(answer, JobStatus):
        return _job_status(chunk, answer, moment)
    if isinstance(answer, NotSent) and answer.why is Unsent.CREDENTIALS:
        order = PauseOrder(answer.code, answer.detail, CREDENTIALS_HINT)
        return _paused(Row.STATUS_NOT_ALLOWED, chunk, order, moment)
    if isinstance(answer, Refused):
        return _refused_status(chunk, answer, moment)
    return _same_again(Row.STATUS_RETRY, chunk, moment, getattr(answer, "retry_after", None))


def _job_status(chunk: Chunk, answer: JobStatus, moment: Moment) -> Decision:
    age = moment.now - chunk.sent_at
    chunk = replace(chunk, outages=0, polls=chunk.polls + 1)
    if answer.progress is Progress.COMPLETED:
        if answer.converted == answer.total == len(chunk.leads):
            rest = Outcome(Kind.CONVERTED, job_id=chunk.job_id, attempts=chunk.attempts)
            done = replace(chunk, state=State.DONE)
            return Decision(Row.JOB_ALL_CONVERTED, done, Done(), rest=rest, job_took=age)
        said = Refusal(
            Code.NOT_CONVERTED,
            f"job {chunk.job_id} completed with {answer.converted} of {answer.total} converted, {answer.failed} failed",
        )
        moved = replace(
            chunk, why=Why.COUNTS_DIFFER, said=said, claimed_converted=min(answer.converted, len(chunk.leads))
        )
        return _to_settle(Row.JOB_COUNTS_DIFFER, moved, moment, job_took=age)
    if answer.progress is Progress.FAILED:
        said = Refusal(Code.NOT_CONVERTED, f"job {chunk.job_id} failed")
        return _to_settle(Row.JOB_FAILED, replace(chunk, why=Why.JOB_FAILED, said=said), moment)
    if age > moment.tuning.job_deadline:
        return _to_settle(Row.JOB_OVERDUE, replace(chunk, why=Why.OVERDUE), moment)
    wait = moment.next_look(chunk.polls)
    return Decision(Row.JOB_RUNS, replace(chunk, due_at=moment.now + wait), Again(wait))


def _refused_status(chunk: Chunk, answer: Refused, moment: Moment) -> Decision:
    means = meaning(answer)
    if means is Meaning.THROTTLED:
        return _throttled(Row.STATUS_THROTTLED, State.RUNNING, chunk, answer, moment)
    if means in (Meaning.TOKEN, Meaning.UNCLEAR):
        return _same_again(Row.STATUS_RETRY, chunk, moment, answer.retry_after)
    if means is Meaning.NOT_ALLOWED:
        return _paused(Row.STATUS_NOT_ALLOWED, chunk, _order(answer), moment)
    # INVALID_DATA and its like: Zoho does not know the job.
    chunk = replace(chunk, polls=chunk.polls + 1)
    if moment.now - chunk.sent_at < moment.tuning.status_lag:
        wait = max(1.0, moment.next_look(chunk.polls))
        return Decision(Row.JOB_UNKNOWN_YET, replace(chunk, due_at=moment.now + wait), Again(wait))
    said = Refusal(answer.code, f"job {chunk.job_id} is unknown to Zoho: {answer.message}")
    return _to_settle(Row.JOB_UNKNOWN, replace(chunk, why=Why.JOB_UNKNOWN, said=said), moment)


def _to_settle(row: Row, chunk: Chunk, moment: Moment, job_took: float | None = None) -> Decision:
    moved = replace(chunk, state=State.SETTLING, lags=0, due_at=moment.now)
    return Decision(row, moved, Settle(0.0), job_took=job_took)


# --- the answer to the read -------------------------------------------------------------------------------


def after_read(chunk: Chunk, answer: ReadAnswer, moment: Moment) -> Decision:
    """Decide by the leads' own state (state SETTLING): who has ended, and what becomes of the others."""
    if isinstance(answer, LeadsRead):
        return _settled(chunk, answer, moment)
    if isinstance(answer, NotSent) and answer.why is Unsent.CREDENTIALS:
        order = PauseOrder(answer.code, answer.detail, CREDENTIALS_HINT)
        return _paused(Row.READ_NOT_ALLOWED, chunk, order, moment)
    if isinstance(answer, Refused):
        means = meaning(answer)
        if means is Meaning.THROTTLED:
            return _throttled(Row.READ_THROTTLED, State.SETTLING, chunk, answer, moment)
        if means not in (Meaning.TOKEN, Meaning.UNCLEAR):
            return _paused(Row.READ_NOT_ALLOWED, chunk, _order(answer), moment)
    return _same_again(Row.READ_RETRY, chunk, moment, getattr(answer, "retry_after", None))


def _settled(chunk: Chunk, answer: LeadsRead, moment: Moment) -> Decision:
    ended = {
        lead: outcome
        for lead in chunk.leads
        if (outcome := _by_its_state(chunk, answer.states.get(lead), moment)) is not None
    }
    left = tuple(lead for lead in chunk.leads if lead not in ended)
    converted = sum(outcome.kind is Kind.CONVERTED for outcome in ended.values())
    if converted < chunk.claimed_converted and chunk.lags < moment.tuning.read_lags:
        return _look_again(Row.READ_LAGS, chunk, {}, moment)
    if not left:
        return Decision(Row.SETTLED, replace(chunk, state=State.DONE), Done(), outcomes=ended)
    if chunk.why is Why.BAD_LEADS:
        return _bad_leads(chunk, ended, left, moment)
    return _left_over(chunk, ended, moment, some_converted=converted > 0)


def _left_over(chunk: Chunk, ended: dict[str, Outcome], moment: Moment, *, some_converted: bool) -> Decision:
    """Decide about leads that Zoho shows unconverted after a job that was lost, failed, or has not ended."""
    if chunk.why is Why.OVERDUE:
        pace = moment.tuning.overdue_pace
        moved = replace(chunk, state=State.RUNNING, due_at=moment.now + pace)
        return Decision(Row.OVERDUE_WATCHED, moved, Again(pace), outcomes=ended)
    if chunk.why is Why.ANSWER_LOST:
        if some_converted and chunk.lags < moment.tuning.read_lags:
            return _look_again(Row.STILL_CONVERTING, chunk, ended, moment)
        if _given_up(chunk, moment):
            return _give_up(chunk, ended, moment)
    elif chunk.attempts >= moment.tuning.max_attempts:
        rest = _failed(chunk, chunk.said or Refusal(Code.NOT_CONVERTED, ""), code=Code.NOT_CONVERTED)
        done = replace(chunk, state=State.DONE)
        return Decision(Row.OUT_OF_ATTEMPTS, done, Done(), outcomes=ended, rest=rest)
    return _out_again(Row.UNCONVERTED_AGAIN, chunk, ended, moment)


def _by_its_state(chunk: Chunk, state: LeadState | None, moment: Moment) -> Outcome | None:
    if state is None:
        words = "Zoho does not return this lead: deleted, in the recycle bin, or not visible to this user"
        return Outcome(Kind.FAILED, Code.NOT_FOUND, words, attempts=chunk.attempts)
    if not state.converted:
        return None
    made = {"contact_id": state.contact_id, "account_id": state.account_id, "deal_id": state.deal_id}
    before = state.converted_at is not None and state.converted_at < chunk.created_at - moment.tuning.clock_skew
    if before or not chunk.submitted:
        words = "the lead had been converted before"
        return Outcome(Kind.SKIPPED, Code.ALREADY_CONVERTED, words, attempts=chunk.attempts, **made)
    return Outcome(Kind.CONVERTED, job_id=chunk.job_id, attempts=max(1, chunk.attempts), **made)


def _bad_leads(chunk: Chunk, ended: dict[str, Outcome], left: tuple[str, ...], moment: Moment) -> Decision:
    if ended:  # the read explains the refusal: the good ones go out again in one payload
        return _out_again(Row.BAD_LEADS_OUT, chunk, ended, moment)
    said = chunk.said or Refusal("INVALID_DATA", "")
    named = chunk.named if chunk.named else (left if len(left) == 1 else ())
    if named:
        fate = _failed(chunk, said)
        fates = {lead: fate for lead in left if lead in named}
        if len(fates) == len(left):
            return Decision(Row.NAMED_OUT, replace(chunk, state=State.DONE), Done(), outcomes=fates)
        return _out_again(Row.NAMED_OUT, chunk, fates, moment)
    return replace(_out_again(Row.HALVED, chunk, {}, moment), split=True)


def _look_again(row: Row, chunk: Chunk, ended: dict[str, Outcome], moment: Moment) -> Decision:
    wait = max(moment.tuning.backoff_base, moment.next_look(chunk.lags + 1))
    moved = replace(chunk, lags=chunk.lags + 1, due_at=moment.now + wait)
    return Decision(row, moved, Settle(wait), outcomes=ended)


def _out_again(row: Row, chunk: Chunk, ended: dict[str, Outcome], moment: Moment) -> Decision:
    moved = replace(chunk, state=State.WAITING, why=Why.NONE, named=(), claimed_converted=-1, lags=0, due_at=moment.now)
    return Decision(row, moved, Resend(0.0), outcomes=ended)


def _give_up(chunk: Chunk, ended: dict[str, Outcome], moment: Moment) -> Decision:
    last = f" (last: {chunk.said.code} {chunk.said.message})" if chunk.said else ""
    words = f"no usable answer for {_hours(moment.tuning.give_up)}, and Zoho shows the lead unconverted{last}"
    rest = Outcome(Kind.FAILED, Code.GAVE_UP, words, attempts=chunk.attempts)
    return Decision(Row.READ_GIVE_UP, replace(chunk, state=State.DONE), Done(), outcomes=ended, rest=rest)


# --- shared by the three ----------------------------------------------------------------------------------


def _answered(chunk: Chunk) -> Chunk:
    """Count an answer about these leads, which ends an outage."""
    return replace(chunk, attempts=chunk.attempts + 1, outages=0, outage_since=0.0)


def _another_outage(chunk: Chunk, moment: Moment) -> Chunk:
    return replace(chunk, outages=chunk.outages + 1, outage_since=chunk.outage_since or moment.now)


def _given_up(chunk: Chunk, moment: Moment) -> bool:
    return chunk.outage_since > 0.0 and moment.now - chunk.outage_since > moment.tuning.give_up


def _same_again(row: Row, chunk: Chunk, moment: Moment, retry_after: float | None) -> Decision:
    chunk = replace(chunk, outages=chunk.outages + 1)
    wait = max(moment.backoff(chunk.outages), retry_after or 0.0)
    return Decision(row, replace(chunk, due_at=moment.now + wait), Again(wait))


def _throttled(row: Row, state: State, chunk: Chunk, answer: Refused, moment: Moment) -> Decision:
    """429: the gate closes for all; it does not count as an attempt."""
    outages = chunk.outages + 1
    wait = answer.retry_after if answer.retry_after is not None else moment.backoff(outages + 1)
    gate = Gate(wait, f"Zoho answered 429 {answer.code}")
    due = moment.now + wait * (1.0 + 0.5 * moment.chance)
    moved = replace(chunk, state=state, outages=outages, due_at=due)
    return Decision(row, moved, Again(due - moment.now), gate=gate)


def _paused(row: Row, chunk: Chunk, order: PauseOrder, moment: Moment) -> Decision:
    """Nothing fails, nothing is lost: the chunk waits until the organisation may call again."""
    state = State.WAITING if chunk.state is State.SENDING else chunk.state
    moved = replace(chunk, state=state, due_at=moment.now)
    return Decision(row, moved, Done(), pause=order)


def _order(answer: Refused) -> PauseOrder:
    words = f"Zoho answered {answer.status} {answer.code}: {answer.message}"
    return PauseOrder(answer.code, words, HINTS.get(answer.code, HINTS[""]))


def _failed(chunk: Chunk, said: Refusal, code: str = "") -> Outcome:
    words = f"{said.message} ({said.path})" if said.path else said.message
    return Outcome(Kind.FAILED, code or said.code, words, attempts=chunk.attempts, job_id=chunk.job_id)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g} h"
