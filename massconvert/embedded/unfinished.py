"""Batches that no ``convert`` works on: all of them are paused, so that nothing is sent until somebody says so.

Between two runs the leads of an embedded ledger wait for a person. A process that has it for itself, with its Redis and
no workers yet, or no more, pauses what the last run has left, however that ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from massconvert.errors import LedgerMismatchError, StoreError
from massconvert.ledger import Ledger
from massconvert.model import HELD_FOR_CANARY, BatchStatus

#: Why such a batch is held: somebody has stopped its ``convert``, or that has ended otherwise.
STOPPED, LEFT = "its convert was stopped", "no convert works on it"
#: How many of the newest batches are looked at.
_LOOKED_AT = 10_000


def is_ours(status: BatchStatus) -> bool:
    """Whether a batch is paused because its ``convert`` has ended, and not by a person who gave another reason."""
    return status.held in (STOPPED, LEFT)


def pause_unfinished(ledgers: Iterable[Ledger]) -> list[BatchStatus]:
    """Pause every batch that has not finished; those of which something may still be sent, as they are now.

    A batch whose canary has ended waits for a person anyway. Raises StoreError.
    """
    found = []
    for ledger in ledgers:
        for status in ledger.batches.recent(_LOOKED_AT):
            if status.finished:
                continue
            if status.awaits_verdict or (status.held and status.held != HELD_FOR_CANARY):
                found.append(status)
            elif ledger.batches.hold(status.batch, LEFT):  # of one that was cancelled there is nothing to hold
                found.append(ledger.stopped(status.batch))
    return found


@dataclass
class Alone:
    """The unfinished batches that a process found in its own ledgers, and which of them people have been told of."""

    found: list[BatchStatus]
    told: set[str] = field(default_factory=set)


@contextmanager
def alone_with(
    ledgers: Iterable[Ledger], tell: Callable[[list[BatchStatus]], object] = lambda _: None
) -> Iterator[Alone]:
    """Have ledgers for ourselves: what has not finished is paused at the beginning, and at the end, however that comes.

    ``tell`` is told of what is left at the end that was not told before. Raises StoreError.
    """
    ours = [ledger for ledger in ledgers if _is_readable(ledger)]
    alone = Alone(pause_unfinished(ours))
    alone.told |= {status.batch for status in alone.found}
    try:
        yield alone
    finally:
        with suppress(StoreError):  # its Redis has died: the next command does it
            tell([status for status in pause_unfinished(ours) if status.batch not in alone.told])


def _is_readable(ledger: Ledger) -> bool:
    """Whether it has this version's format; another version works on no other."""
    try:
        ledger.title.demand_format()
    except LedgerMismatchError:
        return False
    return True
