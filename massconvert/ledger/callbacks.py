"""Whom to call about finished batches, and when: due times in the ledger, so that no call depends on a message."""

from __future__ import annotations

from dataclasses import dataclass

from massconvert.errors import InputError
from massconvert.ledger.book import Book
from massconvert.ledger.codec import load_status, pairs, unreadable
from massconvert.model import BatchStatus
from massconvert.on_complete.targets import MOST, Target, load_targets
from massconvert.store import reaching
from massconvert.words.readable import readable

#: How many calls may run at once in the whole fleet: a web hook that hangs must not take the workers from the leads.
AT_ONCE = 4
#: How long a worker has for a call that it took, in seconds: longer than its deadline.
LEASE = 60.0


@dataclass(frozen=True)
class DueCall:
    """A call that this caller has taken: about ``status``, for the ``tries + 1``-th time."""

    id: str
    target: Target
    status: BatchStatus
    finished: str  # as the ledger wrote it, to be compared
    tries: int


@dataclass(frozen=True)
class FailedCall:
    """A call about a batch that has failed ``tries`` times, why last, and whether it is made again."""

    place: str
    tries: int
    why: str
    again: bool


class Callbacks(Book):
    """The calls of one account."""

    def due(self, *, now: float | None = None) -> int:
        """How many calls are due. Raises StoreError."""
        return int(self._run("count_callbacks", now))

    def failing(self, most: int = 100) -> dict[str, tuple[int, str]]:
        """Of the calls that are due first: those that have failed, how often, and why last. Raises StoreError."""
        with reaching(self._redis):
            ids = self._redis.zrange(self._keys.callbacks, 0, most - 1)
            pipe = self._redis.pipeline(transaction=False)
            for call_id in ids:
                number, _, batch = call_id.partition(":")
                pipe.hmget(self._keys.batch(batch), f"call_tries:{number}", f"call_error:{number}")
            found = dict(zip(ids, pipe.execute(), strict=True))
        return {call_id: (int(tries), why or "") for call_id, (tries, why) in found.items() if tries}

    def failed_of(self, batch_id: str) -> list[FailedCall]:
        """The calls about a batch that have failed so far, or for good. Raises StoreError, LedgerError."""
        numbers = range(1, MOST + 1)
        names = ["on_complete", *(f"{what}:{number}" for number in numbers for what in ("call_tries", "call_error"))]
        with reaching(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            pipe.hmget(self._keys.batch(batch_id), names)
            for number in numbers:
                pipe.zscore(self._keys.callbacks, f"{number}:{batch_id}")
            (text, *told), *due = pipe.execute()
        try:
            targets = load_targets(text) if any(told) else ()
        except InputError as error:
            raise unreadable(f"on_complete of batch {batch_id}") from error
        rows = zip(targets, told[::2], told[1::2], due, strict=False)
        return [
            FailedCall(target.place, int(tries), why or "", at is not None) for target, tries, why, at in rows if tries
        ]

    def take(self, *, now: float | None = None) -> DueCall | None:
        """Take a call that is due; ``None`` when none is, or as many run as may. Raises StoreError.

        The batch has finished, and ``status`` are its final counts, in one look. One that has been opened again since
        is left: it is due again when it has finished again.
        """
        taken = self._run("take_callback", now, LEASE, AT_ONCE)
        if not taken:
            return None
        call_id, number, batch_id, *flat = taken
        fields = pairs(flat)
        try:
            target = load_targets(fields["on_complete"])[int(number) - 1]
        except (KeyError, IndexError, InputError) as error:
            raise unreadable(f"on_complete of batch {batch_id}") from error
        tries = int(fields.get(f"call_tries:{number}", "0"))
        status = load_status(self._keys.account, batch_id, fields, paused=False)
        return DueCall(call_id, target, status, fields["finished"], tries)

    def made(self, call: DueCall, *, now: float | None = None) -> None:
        """Say that a call has come through. Raises StoreError."""
        self._end(call, now, "", "")

    def failed(self, call: DueCall, why: str, *, now: float | None = None, again_in: float | None) -> None:
        """Say that a call has failed, and when to try again; ``None``: never. Raises StoreError."""
        self._end(call, now, readable(why)[:500] or "unknown", "" if again_in is None else again_in)

    def _end(self, call: DueCall, now: float | None, why: str, again_in: float | str) -> None:
        self._run("end_callback", call.id, call.finished, now, why, again_in)
