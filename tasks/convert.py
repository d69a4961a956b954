"""Send a chunk: one POST a visit."""

from __future__ import annotations

from massconvert.contract import TASK_CONVERT
from massconvert.wiring import workshop_of
from tasks.declare import BoundTask, task
from tasks.obey import JobMessage, obey_convert


@task(TASK_CONVERT)
def convert(self: BoundTask, chunk_id: str, account: str | None = None) -> JobMessage | None:
    """Take one step of this chunk; what is returned is the chained ``status`` task's argument."""
    return obey_convert(self, workshop_of(account).convert(chunk_id))
