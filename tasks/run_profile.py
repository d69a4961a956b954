"""Find a profile's leads and enqueue them: one page a visit."""

from __future__ import annotations

from massconvert.contract import TASK_RUN_PROFILE
from massconvert.model import Again
from massconvert.wiring import workshop_of
from tasks.declare import BoundTask, beginning
from tasks.obey import again


@beginning(TASK_RUN_PROFILE)
def run_profile(
    self: BoundTask, name: str, slot: str | None = None, run: str | None = None, account: str | None = None
) -> None:
    """Beat's message names the ``slot``, a continuation the ``run``; with neither it is a run by hand, of its own."""
    run_id = run or f"{name}@{slot or self.request.id}"
    workshop = workshop_of(account, None if run else name)
    what_next = workshop.run_profile(name, run_id, slot=slot or "", begin=run is None)
    if isinstance(what_next, Again):
        raise again(self, what_next.in_seconds)
