"""A batch as its producer sees it: its counts, its outcomes, and waiting for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol

from massconvert.errors import WaitTimeoutError
from massconvert.ledger import Ledger
from massconvert.model import BatchStatus, LeadRow
from massconvert.options import Options, without_doubts
from massconvert.store import Patience
from massconvert.words.next_command import next_command
from massconvert.words.plurals import ended_of


class BatchActions(Protocol):
    """What can be done about a batch by its name; `MassConvert` has the same, and says more."""

    def cancel(self, batch_id: str) -> tuple[int, int]:
        """Cancel what has not been sent."""

    def pause(self, batch_id: str, *, reason: str = "", by: str = "") -> bool:
        """Let nothing more be sent."""

    def resume(self, batch_id: str) -> bool:
        """Let it go on."""

    def retry(
        self,
        batch_id: str,
        options: Options | Mapping[str, Any] | None = None,
        *,
        codes: Collection[str] = (),
        lead_ids: Collection[str] = (),
        deals: bool = False,
    ) -> Batch:
        """Take what failed in again."""


class Batch:
    """What one enqueue call made. Its ids are counted as ``accepted``, ``already_queued``, ``duplicates``, ``invalid``.

    Those ``already_queued`` are on their way in another batch: in this one they end as ``skipped: ALREADY_QUEUED``.
    """

    def __init__(
        self,
        ledger: Ledger,
        batch_id: str,
        actions: BatchActions,
    ) -> None:
        self._ledger, self._actions = ledger, actions
        self.id = batch_id
        self.accepted = self.already_queued = self.duplicates = self.invalid = 0

    def __repr__(self) -> str:
        return f"Batch({self.id!r})"

    def progress(self) -> BatchStatus:
        """The counts now. Raises UnknownBatchError when the batch has expired."""
        return self._ledger.batches.status(self.id)

    def wait(
        self,
        timeout: float | None = None,
        on_progress: Callable[[BatchStatus], None] | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> BatchStatus:
        """Wait until every lead has its outcome, and return the final counts.

        ``timeout`` is in seconds, ``None`` waits for ever; ``on_progress`` is called with each look; ``pause`` waits
        between the looks. A restart of Redis is borne. Raises WaitTimeoutError when the time is over, and the
        batch goes on; StoreError when Redis does not answer at the first look, or for a minute later on.
        """
        pause = pause or threading.Event().wait
        patience = Patience(pause=pause)
        end = None if timeout is None else time.monotonic() + timeout
        interval = 0.1
        status = self.progress()
        while True:
            if on_progress:
                on_progress(status)
            if status.finished:
                return status
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise WaitTimeoutError(
                    f"Batch {self.id} has not finished after {timeout:g} s: {ended_of(status.ended, status.total)}.",
                    hint=f"To go on watching: {next_command('status', self.id, '--watch', account=status.account)}",
                )
            pause(interval if left is None else min(interval, left))
            interval = min(1.0, interval * 1.5)
            status = patience.read(self.progress, until=end)

    def outcomes(self) -> Iterator[LeadRow]:
        """Every lead with its outcome, streamed. A restart of Redis is borne.

        Raises UnknownBatchError when the batch has expired, StoreError when Redis does not answer for a minute.
        """
        return self._ledger.batches.rows(self.id, Patience().read)

    def options(self) -> dict[str, Any]:
        """The options that the batch was enqueued with, as Zoho's body keys."""
        return without_doubts(self._ledger.batches.options(self.id))

    def cancel(self) -> tuple[int, int]:
        """Cancel what has not been sent, and return how many leads that ends and how many are followed.

        See `MassConvert.cancel`. Safe to repeat. Raises UnknownBatchError, StoreError.
        """
        return self._actions.cancel(self.id)

    def pause(self, *, reason: str = "", by: str = "") -> bool:
        """Send nothing more until `resume`; return whether there was anything to hold.

        See `MassConvert.pause`. Safe to repeat. Raises InputError, UnknownBatchError, StoreError.
        """
        return self._actions.pause(self.id, reason=reason, by=by)

    def resume(self) -> bool:
        """Go on after a pause, or after the canary; return whether it was held.

        Safe to repeat. Raises UnknownBatchError, StoreError.
        """
        return self._actions.resume(self.id)

    def retry(
        self,
        *,
        options: Options | Mapping[str, Any] | None = None,
        codes: Collection[str] = (),
        lead_ids: Collection[str] = (),
        deals: bool = False,
    ) -> Batch:
        """Enqueue what failed again, as a batch of its own, which is returned.

        See `MassConvert.retry`. Raises InputError when nothing has failed so; OptionsError, StoreError, BrokerError.
        """
        return self._actions.retry(self.id, options, codes=codes, lead_ids=lead_ids, deals=deals)
