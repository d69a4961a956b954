"""What the answer to the status call means."""

from __future__ import annotations

from massconvert.model import (
    Again,
    Chunk,
    Code,
    Done,
    JobStatus,
    Kind,
    Outcome,
    Progress,
    Refusal,
    Refused,
    State,
    StatusAnswer,
    Why,
)
from massconvert.model.changed import changed
from massconvert.policy.codes import Meaning, meaning
from massconvert.policy.deals import deals_aside
from massconvert.policy.failing import job_failed_again
from massconvert.policy.polling import Look, given_up, is_late, next_look, next_scouting, put_off, relearnt
from massconvert.policy.table import Decision, Row
from massconvert.policy.timing import Moment
from massconvert.policy.trouble import (
    held_up,
    latest_sent,
    pause_order,
    paused,
    same_again,
    to_settle,
)


def after_status(chunk: Chunk, answer: StatusAnswer, moment: Moment) -> Decision:
    """Decide what Zoho says of the job of ``chunk`` (state RUNNING)."""
    decision = _by_answer(chunk, answer, moment)
    freed = None if decision.look else given_up(moment.look, chunk.id, moment.now)
    return changed(decision, look=(moment.look, freed)) if freed else decision


def _by_answer(chunk: Chunk, answer: StatusAnswer, moment: Moment) -> Decision:
    if isinstance(answer, JobStatus):
        return deals_aside(chunk, _job_status(chunk, answer, moment), moment)
    if held := held_up(chunk, answer, moment, not_allowed=Row.STATUS_NOT_ALLOWED, too_many=Row.STATUS_THROTTLED):
        return held
    if isinstance(answer, Refused):
        return _refused_status(chunk, answer, moment)
    return _no_usable_answer(chunk, answer.retry_after, moment)


def before_look(chunk: Chunk, moment: Moment) -> Decision | None:
    """Decide whether to look now at the job of a claimed ``chunk`` (RUNNING); ``None``: yes."""
    if chunk.outages:
        return None
    plan = put_off(moment.look, chunk.id, sent_at=chunk.sent_at, due_at=chunk.due_at, now=moment.now)
    if plan is None:
        return None
    look = (moment.look, plan.look) if plan.look else None
    return Decision(Row.LOOK_LATER, changed(chunk, due_at=plan.due), Again(plan.due - moment.now), look=look)


def _job_status(chunk: Chunk, answer: JobStatus, moment: Moment) -> Decision:
    decision = _by_progress(changed(chunk, outages=0, polls=chunk.polls + 1), answer, moment)
    known = moment.look or Look(moment.tuning.first_look)
    if chunk.outages or (chunk.polls == 0 and is_late(known, sent_at=chunk.sent_at, now=moment.now)):
        return changed(decision, job_took=None)
    if decision.look:
        return decision
    ended = answer.progress in (Progress.COMPLETED, Progress.FAILED)
    learnt = relearnt(known, polls=chunk.polls, sent_at=chunk.sent_at, due_at=chunk.due_at, now=moment.now, ended=ended)
    return changed(decision, look=(moment.look, learnt)) if learnt else decision


def _by_progress(chunk: Chunk, answer: JobStatus, moment: Moment) -> Decision:
    age = moment.now - chunk.sent_at
    if answer.progress is Progress.COMPLETED:
        leads = len(chunk.leads)
        if answer.all_converted(leads):
            rest = Outcome(Kind.CONVERTED, job_id=chunk.job_id, attempts=chunk.attempts)
            done = changed(chunk, state=State.DONE)
            return Decision(Row.JOB_ALL_CONVERTED, done, Done(), rest=rest, job_took=age)
        counts = f"{answer.converted} of {answer.total} converted, {answer.failed} failed"
        words = counts if answer.total else "counts that tell nothing"
        said = Refusal(Code.NOT_CONVERTED, f"job {chunk.job_id} completed with {words}")
        # The counts need not add up: of those that failed, none can be among the converted.
        claimed = max(0, min(answer.converted, leads - answer.failed))
        moved = changed(chunk, why=Why.COUNTS_DIFFER, said=said, claimed_converted=claimed)
        if answer.total and not answer.converted:
            moved = changed(moved, failing=job_failed_again(chunk))
        # Somebody else's conversion may make up the count, so the count alone does not tell a read that lags.
        return to_settle(Row.JOB_COUNTS_DIFFER, moved, moment, wait=moment.tuning.read_lag, job_took=age)
    if answer.progress is Progress.FAILED:
        said = Refusal(Code.NOT_CONVERTED, f"job {chunk.job_id} failed")
        # No count says how many a failed job converted.
        moved = changed(chunk, why=Why.JOB_FAILED, said=said, failing=job_failed_again(chunk))
        return to_settle(Row.JOB_FAILED, moved, moment, wait=moment.tuning.read_lag)
    if _overdue(chunk, moment):
        return _ask_the_leads(chunk, moment)
    return _look_again(Row.JOB_RUNS, chunk, moment)


def _look_again(row: Row, chunk: Chunk, moment: Moment) -> Decision:
    due, learnt = _when_to_look_again(chunk, moment)
    look = (moment.look, learnt) if learnt else None
    return Decision(row, changed(chunk, due_at=due), Again(due - moment.now), look=look)


def _when_to_look_again(chunk: Chunk, moment: Moment) -> tuple[float, Look | None]:
    look = moment.look
    if look is None:
        return moment.now + moment.next_look(chunk.polls), None
    latest = moment.now + moment.tuning.poll_cap
    if look.scout == chunk.id:
        due, learnt = next_scouting(look, sent_at=chunk.sent_at, due_at=chunk.due_at, now=moment.now)
        return min(due, latest), learnt
    return min(latest, next_look(look, chunk.polls, sent_at=chunk.sent_at, now=moment.now)), None


def _no_usable_answer(chunk: Chunk, retry_after: float | None, moment: Moment) -> Decision:
    if _overdue(chunk, moment):
        return _ask_the_leads(chunk, moment)
    return same_again(Row.STATUS_RETRY, chunk, moment, retry_after)


def _ask_the_leads(chunk: Chunk, moment: Moment) -> Decision:
    """A job has no end by its deadline, or none that can be read: the leads may tell where it does not."""
    return to_settle(Row.JOB_OVERDUE, changed(chunk, why=Why.OVERDUE), moment)


def _overdue(chunk: Chunk, moment: Moment) -> bool:
    return moment.now - chunk.sent_at > moment.tuning.job_deadline


def _refused_status(chunk: Chunk, answer: Refused, moment: Moment) -> Decision:
    means = meaning(answer)
    if means in (Meaning.TOKEN, Meaning.UNCLEAR):
        return _no_usable_answer(chunk, answer.retry_after, moment)
    if means is Meaning.NOT_ALLOWED:
        return paused(Row.STATUS_NOT_ALLOWED, chunk, pause_order(answer), moment)
    # INVALID_DATA and its like: Zoho does not know the job.
    chunk = changed(chunk, polls=chunk.polls + 1)
    if moment.now - chunk.sent_at < moment.tuning.status_lag:
        if moment.look and moment.look.scout == chunk.id:
            return _look_again(Row.JOB_UNKNOWN_YET, chunk, moment)  # others learn that they need not come yet
        wait = max(1.0, moment.next_look(chunk.polls))
        return Decision(Row.JOB_UNKNOWN_YET, changed(chunk, due_at=moment.now + wait), Again(wait))
    said = Refusal(answer.code, f"job {chunk.job_id} is unknown to Zoho: {answer.message}")
    # It may run on, like one whose answer was lost: nobody fails before no job can have that long to run.
    sent = latest_sent(chunk)
    moved = changed(chunk, why=Why.JOB_UNKNOWN, said=said, failing=changed(chunk.failing, unknown_at=sent))
    return to_settle(Row.JOB_UNKNOWN, moved, moment, wait=max(0.0, sent + moment.job_wait - moment.now))
