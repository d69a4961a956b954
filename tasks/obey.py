"""The one place where what a step says becomes what Celery does. It decides nothing."""

from __future__ import annotations

from massconvert.ledger.chunks import LONGEST_COUNTDOWN
from massconvert.model import Again, Next, Resend, Settle, Submitted
from massconvert.nudge import Nudge
from tasks.declare import BoundTask

#: What ``convert`` hands to the chained ``status``.
JobMessage = dict[str, str]


def again(task: BoundTask, in_seconds: float) -> BaseException:
    """Send this task's message again; to be raised."""
    return task.retry(countdown=_countdown(in_seconds))


def obey_convert(task: BoundTask, what_next: Next) -> JobMessage | None:
    """Come back as the step said, or end: with the job for the chained ``status``, or with None for it to end too."""
    if isinstance(what_next, Submitted):
        for chained in (task.request.chain or [])[-1:]:  # the next one: it comes when the job is due
            chained["options"]["countdown"] = _countdown(what_next.job.due_in)
        return {"chunk_id": what_next.job.chunk_id, "job_id": what_next.job.job_id}
    if isinstance(what_next, Again | Settle | Resend):
        raise again(task, what_next.in_seconds)
    return None


def obey_status(task: BoundTask, what_next: Next, chunk_id: str, nudge: Nudge) -> None:
    """Come back as the step said, start a new chain for a chunk that must be sent again, or end."""
    if isinstance(what_next, Resend):
        nudge.convert(chunk_id, countdown=_countdown(what_next.in_seconds))
    elif isinstance(what_next, Again | Settle):
        raise again(task, what_next.in_seconds)
    elif isinstance(what_next, Submitted):
        raise again(task, what_next.job.due_in)


def _countdown(seconds: float) -> float:
    return min(max(seconds, 0.0), LONGEST_COUNTDOWN)
