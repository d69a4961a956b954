"""Form chunks from the inboxes."""

from __future__ import annotations

from massconvert.contract import TASK_CHUNK
from massconvert.model import Again
from massconvert.wiring import workshop_of
from tasks.declare import BoundTask, task
from tasks.obey import again


@task(TASK_CHUNK)
def chunk(self: BoundTask, account: str | None = None) -> None:
    """Form and dispatch what is ready; look again when an inbox will be."""
    what_next = workshop_of(account).chunk()
    if isinstance(what_next, Again):
        raise again(self, what_next.in_seconds)
