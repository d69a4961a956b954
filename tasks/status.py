"""Follow a job until it has ended, then record every lead's outcome."""

from __future__ import annotations

from collections.abc import Mapping

from massconvert.contract import TASK_STATUS
from massconvert.wiring import workshop_of
from tasks.declare import BoundTask, task
from tasks.obey import obey_status


@task(TASK_STATUS)
def status(self: BoundTask, job: Mapping[str, str] | None, account: str | None = None) -> None:
    """Take one step of this job; ``None`` comes from a ``convert`` that left nothing to follow."""
    if job is not None:
        workshop = workshop_of(account)
        obey_status(self, workshop.status(job), job["chunk_id"], workshop.nudge)
