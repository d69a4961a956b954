"""A batch as people see it: how it starts, and its counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class BatchState(str, Enum):
    """What ``status`` says of a batch."""

    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class Priority(str, Enum):
    """Whether a batch waits its turn or goes with the next payload."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


@dataclass(frozen=True)
class Canary:
    """The first leads of a batch, which go alone; the others wait until these have ended.

    A conversion cannot be undone, so a mistake in the options is found with a few leads and not with all of them.
    ``max_failed`` is how many per cent of the canary may fail for the batch to go on by itself; ``None``: it waits for
    somebody to let it go on, however its canary ended.
    """

    leads: int
    max_failed: float | None = None


#: Why a batch is held that a person paused without a reason.
PAUSED_BY_HAND = "paused by hand"
#: Why a batch is held whose canary is on its way, or has ended and did not let the others follow.
HELD_FOR_CANARY = "canary"


@dataclass(frozen=True)
class CanaryCounts:
    """How far the canary of a batch has come: how many leads it is, how many of them have ended, and have failed."""

    leads: int
    ended: int
    failed: int

    @property
    def over(self) -> bool:
        """Whether all of them have ended."""
        return self.ended >= self.leads


@dataclass(frozen=True)
class Waits:
    """Payloads of a batch that wait for another try, and what Zoho said last about them; ``until``: Unix seconds."""

    payloads: int
    code: str
    message: str
    until: float


@dataclass(frozen=True)
class BatchStatus:
    """The counts of a batch: ``total = waiting + sent + converted + failed + skipped + cancelled``.

    ``sent`` are leads in a payload that Zoho took (or perhaps took) and that have no outcome yet.
    ``sealed`` says that the enqueue call which made the batch has ended. ``held`` is why this batch is paused while
    others go on (`HELD_FOR_CANARY`, or what a person gave as the reason), and empty when it is not; ``held_by`` is who
    did that, and ``held_since`` when (Unix seconds), where a person did. ``account``: whose it is.
    ``deals_not_updated`` of the converted leads have a deal without the values of its own. ``already_queued`` of the
    skipped leads are in another batch (``ALREADY_QUEUED``): how they end stands there.
    """

    batch: str
    state: BatchState
    total: int
    waiting: int
    sent: int
    converted: int
    failed: int
    skipped: int
    cancelled: int
    sealed: bool
    created_at: float
    finished_at: float | None = None
    held: str = ""
    held_by: str = ""
    held_since: float | None = None
    canary: CanaryCounts | None = None
    deals_not_updated: int = 0
    already_queued: int = 0
    account: str = field(kw_only=True)

    @property
    def ended(self) -> int:
        """Leads that have their outcome."""
        return self.converted + self.failed + self.skipped + self.cancelled

    @property
    def awaits_verdict(self) -> bool:
        """Whether its canary has ended and the others wait for somebody to let them follow."""
        return self.held == HELD_FOR_CANARY and self.canary is not None and self.canary.over

    @property
    def finished(self) -> bool:
        """Whether every lead has its outcome and no more are being added."""
        return self.state in (BatchState.FINISHED, BatchState.CANCELLED)
