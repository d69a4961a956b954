"""Call those who want to know that a batch has finished: one call a visit."""

from __future__ import annotations

from massconvert.contract import TASK_CALL_BACK
from massconvert.model import Again
from massconvert.wiring import workshop_of
from tasks.declare import BoundTask, task
from tasks.obey import again


@task(TASK_CALL_BACK)
def call_back(self: BoundTask, account: str | None = None) -> None:
    """Make one call that is due; come back when another is."""
    what_next = workshop_of(account).call_back()
    if isinstance(what_next, Again):
        raise again(self, what_next.in_seconds)
