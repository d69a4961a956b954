"""Dispatch what is overdue in the ledger. Workers do this by a timer of their own; beat's message is a second net."""

from __future__ import annotations

from massconvert.contract import TASK_SWEEP
from massconvert.wiring import workshop_of, workshops
from tasks.declare import BoundTask, task


@task(TASK_SWEEP)
def sweep(_self: BoundTask, account: str | None = None) -> None:
    """Sweep one account, or all; the worker that holds an account's lease does it, all others find nothing to do."""
    (workshop_of(account) if account else workshops()).sweep()
