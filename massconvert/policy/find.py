"""What the answer to a look for leads means: one run of a profile, page by page.

A look changes nothing at Zoho, so an answer that was lost is simply asked for again. What a page has is written into
the run together with its cursor, and put into the run's batch at the next visit: so a worker that dies in between
neither loses a lead nor takes more of them than the run may. Only two things end a run before its last page: criteria
that Zoho refuses, and an outage longer than the pipeline bears; what was found before is converted all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from massconvert.model import (
    Again,
    Busy,
    Code,
    Done,
    FindAnswer,
    LeadsFound,
    Next,
    NotSent,
    PerhapsAccepted,
    Priority,
    Refusal,
    Refused,
    Unsent,
)
from massconvert.policy.codes import Meaning, meaning
from massconvert.policy.timing import Moment
from massconvert.policy.trouble import hours, refusal

#: Rows of one COQL call; pages of one search, and leads of one page (Zoho's API pages).
ROWS_A_QUERY = 2000
PAGES_A_SEARCH, PAGE_OF_A_SEARCH = 10, 200


class RunState(str, Enum):
    """Where a run of a profile stands."""

    FINDING = "finding"
    DONE = "done"  # every lead that was to be found is in the batch
    FAILED = "failed"  # ``said`` tells why; what was found before is in the batch


class Language(str, Enum):
    """The two languages of criteria."""

    COQL = "coql"
    SEARCH = "search"


@dataclass(frozen=True)
class Run:
    """One run of a profile, as the ledger knows it at a claim. Its id is also that of its batch.

    What it is to do was copied when it began, so an edit of the profile changes later runs only. ``after`` is the
    cursor: the last lead id that was found (COQL). ``start`` is where a bounded run began, and ``wrapped`` that it has
    come to the end and goes on with the leads up to there. ``page`` counts answers. ``kept`` leads have been found and
    are not in the batch yet; ``taken`` are in it, those in flight elsewhere aside. ``ending``: how it ends when the
    kept ones are in the batch.
    """

    id: str
    profile: str
    form: Language
    criteria: str
    options: Mapping[str, Any] = field(default_factory=dict)
    max_leads: int | None = None
    priority: Priority = Priority.BULK
    on_complete: tuple[Any, ...] = ()  # whom its batch calls
    slot: str = ""
    state: RunState = RunState.FINDING
    ending: RunState | None = None
    token: str = ""
    start: str = ""
    wrapped: bool = False
    after: str = ""
    page: int = 0
    found: int = 0
    kept: int = 0
    taken: int = 0
    outages: int = 0
    outage_since: float = 0.0
    said: Refusal | None = None
    more: bool = False  # there were more leads than one run may take
    began_at: float = 0.0
    ended_at: float = 0.0
    due_at: float = 0.0

    @property
    def want(self) -> int:
        """How many rows to ask for."""
        return ROWS_A_QUERY if self.max_leads is None else max(1, min(ROWS_A_QUERY, self.max_leads - self.taken))

    @property
    def to_put(self) -> bool:
        """Whether the kept leads go into the batch now: those of a search wait for its last page.

        A search's pages move when leads drop out, as those in the batch soon do; a query's cursor does not mind.
        """
        return self.ending is not None or (self.kept > 0 and self.form is Language.COQL)


class RunRow(str, Enum):
    """The rows of the decision table for a run."""

    PAGE = "find: leads"
    WRAPPED = "find: on with those before the start"
    LAST_PAGE = "find: the last page"
    SEARCH_FULL = "find: as many as a search shows or a run may take"
    PUT = "find: into the batch"
    ENOUGH = "find: as many as a run may take"
    ENDED = "find: all are in the batch"
    REFUSED = "find: the criteria are refused"
    NOT_ALLOWED = "find: the credentials may not look"
    RETRY = "find: no usable answer"
    THROTTLED = "find: throttled"
    NO_PERMIT = "find: no permit"
    GIVEN_UP = "find: no usable answer, given up"


@dataclass(frozen=True)
class RunDecision:
    """What to write about a run, and what comes next. ``keep`` are leads to be put into the batch at the next visit.

    ``next_start``: where the profile's next bounded run begins.
    """

    row: RunRow
    run: Run
    next: Next
    keep: tuple[str, ...] = ()
    next_start: str | None = None


def after_find(run: Run, answer: FindAnswer, moment: Moment) -> RunDecision:
    """Decide what the answer to a look means."""
    if isinstance(answer, LeadsFound):
        return _found(run, answer, moment)
    return _refused(run, answer, moment) if isinstance(answer, Refused) else _unanswered(run, answer, moment)


def after_put(run: Run, taken: int, moment: Moment) -> RunDecision:
    """Decide about a run whose kept leads are in its batch now, ``taken`` of them new there or put there before."""
    run = replace(run, taken=run.taken + taken, kept=0, due_at=moment.now)
    if run.ending:
        done = replace(run, state=run.ending, ended_at=moment.now)
        return RunDecision(RunRow.ENDED, done, Done(), next_start="" if run.ending is RunState.DONE else None)
    if run.max_leads is not None and run.taken >= run.max_leads:
        done = replace(run, state=RunState.DONE, more=True, ended_at=moment.now)
        return RunDecision(RunRow.ENOUGH, done, Done(), next_start=run.after)
    return RunDecision(RunRow.PUT, run, Again(0.0))


def no_permit_to_find(run: Run, busy: Busy, moment: Moment) -> RunDecision:
    """Decide about a run for which the governor had no permit: nothing was asked, nothing counts."""
    wait = moment.within_a_look(busy.in_seconds) * (1.0 + 0.2 * moment.chance)
    return RunDecision(RunRow.NO_PERMIT, replace(run, due_at=moment.now + wait), Again(wait))


def _found(run: Run, answer: LeadsFound, moment: Moment) -> RunDecision:
    ids = answer.lead_ids
    run = replace(
        run,
        after=ids[-1] if ids else run.after,
        page=run.page + 1,
        found=run.found + len(ids),
        kept=run.kept + len(ids),
        outages=0,
        outage_since=0.0,
        said=None,
        due_at=moment.now,
    )
    last = not (answer.more and ids)
    if run.form is Language.SEARCH and not last:
        most = PAGES_A_SEARCH * PAGE_OF_A_SEARCH if run.max_leads is None else run.max_leads
        if run.page >= PAGES_A_SEARCH or run.found >= most:
            full = replace(run, ending=RunState.DONE, more=True)
            return RunDecision(RunRow.SEARCH_FULL, full, Again(0.0), ids)
    if not last:
        return RunDecision(RunRow.PAGE, run, Again(0.0), ids)
    if run.start and not run.wrapped:
        return RunDecision(RunRow.WRAPPED, replace(run, after="", wrapped=True), Again(0.0), ids)
    return RunDecision(RunRow.LAST_PAGE, replace(run, ending=RunState.DONE), Again(0.0), ids)


def _failing(row: RunRow, run: Run, said: Refusal, moment: Moment) -> RunDecision:
    moved = replace(run, said=said, ending=RunState.FAILED, due_at=moment.now)
    return RunDecision(row, moved, Again(0.0))


def _throttled(run: Run, answer: Refused, moment: Moment) -> RunDecision:
    """429: the governor closes the gate for all."""
    outages = run.outages + 1
    asked = answer.retry_after
    wait = moment.backoff(outages + 1) if asked is None else moment.within_a_look(asked)
    due = moment.now + wait * (1.0 + 0.5 * moment.chance)
    return RunDecision(RunRow.THROTTLED, replace(run, outages=outages, due_at=due), Again(due - moment.now))


def _refused(run: Run, answer: Refused, moment: Moment) -> RunDecision:
    said = Refusal(answer.code, answer.message)
    match meaning(answer):
        case Meaning.THROTTLED:
            return _throttled(run, answer, moment)
        case Meaning.NOT_ALLOWED:
            return _failing(RunRow.NOT_ALLOWED, run, said, moment)
        case Meaning.TOKEN:
            return _for_a_person(run, said, moment, moment.backoff(run.outages + 1))
        case Meaning.UNCLEAR:
            return _again(run, said, moment, answer.retry_after)
    return _failing(RunRow.REFUSED, run, refusal(answer), moment)


def _unanswered(run: Run, answer: PerhapsAccepted | NotSent, moment: Moment) -> RunDecision:
    said = Refusal(answer.code or "NO_ANSWER", answer.detail)
    if isinstance(answer, NotSent) and answer.why in (Unsent.CREDENTIALS, Unsent.DENIED):
        return _for_a_person(run, said, moment, moment.tuning.pause_probe)
    return _again(run, said, moment, getattr(answer, "retry_after", None))


def _for_a_person(run: Run, said: Refusal, moment: Moment, wait: float) -> RunDecision:
    """No usable access token: that is not an outage; converting pauses the organisation for the same reason."""
    moved = replace(run, outages=run.outages + 1, outage_since=0.0, said=said, due_at=moment.now + wait)
    return RunDecision(RunRow.RETRY, moved, Again(wait))


def _again(run: Run, said: Refusal, moment: Moment, least: float | None) -> RunDecision:
    # Only the time in which somebody tried counts: a pause, or no worker, moves the outage's beginning.
    since = run.outage_since + max(0.0, moment.now - run.due_at) if run.outage_since else moment.now
    run = replace(run, outages=run.outages + 1, outage_since=since, said=said)
    if moment.now - since > moment.tuning.give_up:
        words = f"no usable answer for {hours(moment.tuning.give_up)} (last: {said.code} {said.message})"
        return _failing(RunRow.GIVEN_UP, run, Refusal(Code.GAVE_UP, words), moment)
    wait = max(moment.backoff(run.outages), least or 0.0)
    return RunDecision(RunRow.RETRY, replace(run, due_at=moment.now + wait), Again(wait))
