"""What the answer to a look for leads means: one run of a profile, page by page.

A look changes nothing at Zoho, so an answer that was lost is simply asked for again. What a page has is written into
the run together with its cursor, and put into the run's batch at the next visit: so a worker that dies in between
neither loses a lead nor takes more of them than the run may. Only two things end a run before its last page: criteria
that Zoho refuses, and an outage longer than the pipeline bears; what was found before is converted all the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from massconvert.model import (
    Again,
    Busy,
    Code,
    Done,
    FindAnswer,
    Language,
    LeadsFound,
    Next,
    NotSent,
    PerhapsAccepted,
    Refusal,
    Refused,
    Run,
    RunState,
    Unsent,
)
from massconvert.policy.codes import Meaning, meaning
from massconvert.policy.timing import Moment
from massconvert.policy.trouble import another_outage, given_up, hours, refusal, tried

#: Pages of one search, and leads of one page (Zoho's API pages).
PAGES_A_SEARCH, PAGE_OF_A_SEARCH = 10, 200


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
    return _later(RunRow.NO_PERMIT, run, moment, wait)


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


def _refused(run: Run, answer: Refused, moment: Moment) -> RunDecision:
    said = Refusal(answer.code, answer.message)
    match meaning(answer):
        case Meaning.THROTTLED:
            run = replace(run, outages=run.outages + 1)
            return _later(RunRow.THROTTLED, run, moment, moment.after_a_429(run.outages, answer.retry_after))
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
    return _again(run, said, moment, answer.retry_after)


def _for_a_person(run: Run, said: Refusal, moment: Moment, wait: float) -> RunDecision:
    """No usable access token: that is not an outage; converting pauses the organisation for the same reason."""
    run = replace(run, outages=run.outages + 1, outage_since=0.0, said=said)
    return _later(RunRow.RETRY, run, moment, wait)


def _again(run: Run, said: Refusal, moment: Moment, retry_after: float | None) -> RunDecision:
    run = replace(another_outage(tried(run, moment.now), moment), said=said)
    if given_up(run, moment):
        words = f"no usable answer for {hours(moment.tuning.give_up)} (last: {said.code} {said.message})"
        return _failing(RunRow.GIVEN_UP, run, Refusal(Code.GAVE_UP, words), moment)
    return _later(RunRow.RETRY, run, moment, moment.next_try(run.outages, retry_after))


def _later(row: RunRow, run: Run, moment: Moment, wait: float) -> RunDecision:
    return RunDecision(row, replace(run, due_at=moment.now + wait), Again(wait))
