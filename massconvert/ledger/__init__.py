"""The truth, in Redis: batches, chunks, outcomes, due times. Celery's messages are only hints to look at it.

Every transition is one Lua script (store/lua) that compares and sets; the keys stand in store/keys.py.
"""

from __future__ import annotations

from typing import Any

from massconvert.ledger.backlog import (
    Backlog,
    FailedWith,
    read_backlog,
    read_failures,
    read_stopped,
    read_waits,
    waiting_options,
)
from massconvert.ledger.batches import Added, Batches, Released, Sealed
from massconvert.ledger.callbacks import Callbacks, DueCall
from massconvert.ledger.chunks import Chunks, Formed, Overdue
from massconvert.ledger.days import Counted, Days, Quarter, Since, Took
from massconvert.ledger.deeds import Deed, Deeds
from massconvert.ledger.events import Events
from massconvert.ledger.fleet import Fleet, Member, Workers
from massconvert.ledger.letters import Late, Letter, Letters, Message
from massconvert.ledger.organisation import Organisation
from massconvert.ledger.rehearsed import Rehearsed
from massconvert.ledger.runs import Begun, Runs
from massconvert.ledger.stories import Stories
from massconvert.ledger.title import Title
from massconvert.model import BatchStatus, Waits
from massconvert.policy import Tuning
from massconvert.store import Clock, Keys, Redis, Scripts, Shelf

__all__ = [
    "Added",
    "Backlog",
    "Batches",
    "Begun",
    "Callbacks",
    "Chunks",
    "Counted",
    "Days",
    "Deed",
    "Deeds",
    "DueCall",
    "Events",
    "FailedWith",
    "Fleet",
    "Formed",
    "Late",
    "Ledger",
    "Letter",
    "Letters",
    "Member",
    "Message",
    "Organisation",
    "Overdue",
    "Quarter",
    "Rehearsed",
    "Released",
    "Runs",
    "Sealed",
    "Since",
    "Stories",
    "Title",
    "Took",
    "Workers",
]


class Ledger:
    """The ledger of one account: batches, chunks, stories, runs, callbacks, organisation, days, deeds, fleet, letters.

    The scripts ask Redis for the time; ``clock`` is that of a test or a simulation, whose time is handed in instead. So
    is ``now``, Unix seconds, where one of the ledger's methods takes it: for tests.
    """

    def __init__(self, redis: Redis, account: str, tuning: Tuning, clock: Clock | None = None) -> None:
        keys = Keys(account)
        parts = (redis, keys, Scripts(redis, clock, tuning.min_replicas), tuning)
        self.batches = Batches(*parts)
        self.chunks = Chunks(*parts)
        self.runs = Runs(*parts)
        self.stories = Stories(*parts)
        self.organisation = Organisation(*parts)
        self.rehearsed = Rehearsed(*parts)
        self.shelf = Shelf(redis, keys)
        self.callbacks = Callbacks(*parts)
        self.deeds = Deeds(*parts)
        self.events = Events(*parts)
        self.fleet = Fleet(*parts)
        self.days = Days(*parts)
        self.title = Title(*parts)
        self.letters = Letters(*parts)
        self.account, self._redis, self._keys = account, redis, keys

    def backlog(self, *, now: float, grace: float) -> Backlog:
        """What waits and why; chunks overdue by more than ``grace`` seconds are named. Raises StoreError."""
        return read_backlog(self._redis, self._keys, now=now, grace=grace)

    def stopped(self, batch_id: str) -> BatchStatus:
        """The counts of a batch that was held just now: what was on its way to Zoho at that moment is sent.

        Raises UnknownBatchError, LedgerError, StoreError.
        """
        self.batches.status(batch_id)
        return read_stopped(self._redis, self._keys, batch_id)

    def failures(self, batch_id: str) -> list[FailedWith]:
        """How many leads of a batch failed with each code, most first; the code ``other`` is all beyond forty codes.

        Counted as they end. Of those that ended under a version that did not count, nothing is known here.
        Raises LedgerError, StoreError.
        """
        return read_failures(self._redis, self._keys, batch_id)

    def waits(self, batch_id: str, *, now: float, most: int = 100) -> Waits | None:
        """What Zoho said last about payloads of a batch that wait for another try; ``None`` where there are none.

        Of ``most`` open chunks, since there may be many; the words that most of them wait with.
        Raises LedgerError, StoreError.
        """
        return read_waits(self._redis, self._keys, batch_id, now=now, most=most)

    def waiting_options(self) -> list[tuple[dict[str, Any], int]]:
        """The options with which leads wait, and how many leads with each. Raises StoreError."""
        return waiting_options(self._redis, self._keys)
