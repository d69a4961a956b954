"""Batches: what one enqueue call made. Opened, filled in slices, sealed, read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from massconvert.errors import KeyConflictError, UnknownBatchError
from massconvert.ledger.codec import dump_outcome, load_outcome, segments, unreadable
from massconvert.model import BatchState, BatchStatus, Code, Kind, LeadRow, Outcome, State
from massconvert.policy import Tuning
from massconvert.store import Keys, Redis, Scripts, reaching

#: Above so many leads, a batch's member set is split, so that each part keeps Redis' compact encoding.
SMALL_BATCH = 400
SHARDS_OF_A_LARGE_BATCH = 4099

_ALREADY_QUEUED = Outcome(
    Kind.SKIPPED, Code.ALREADY_QUEUED, "another batch is converting this lead; see that batch for its outcome"
)
#: Outcomes of leads that never reach a chunk.
_NEVER_IN_A_CHUNK = frozenset({Code.ALREADY_QUEUED, Code.INVALID_ID})


@dataclass(frozen=True)
class Added:
    """What became of one slice of leads. ``nudge_in``: tell the chunk task in so many seconds; ``None``: no need."""

    accepted: int
    duplicates: int
    skipped: int
    nudge_in: float | None


@dataclass(frozen=True)
class Sealed:
    """What sealing a batch did; ``nudge_in`` as for `Added`."""

    finished: bool
    nudge_in: float | None


class Batches:
    """The batches of one account."""

    def __init__(self, redis: Redis, keys: Keys, scripts: Scripts, tuning: Tuning) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts
        self._tuning = tuning

    def open(
        self,
        batch_id: str,
        fingerprint: str,
        options: Mapping[str, Any],
        *,
        now: float,
        large: bool,
        priority: str = "",
        given: str = "",
    ) -> bool:
        """Register a batch; return whether it is new. The same id again with the same options goes on with it.

        ``given`` is the fingerprint of the options as the caller wrote them, where names in them have become ids since:
        at the next call with the same names they may be unknown here, and it is the same batch all the same.

        Raises KeyConflictError when the id was used with other options.
        """
        shards = SHARDS_OF_A_LARGE_BATCH if large else 1
        body = json.dumps(options, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
        answer = self._run("open_batch", batch_id, fingerprint, body, now, shards, priority, given or fingerprint)
        if answer == "conflict":
            raise KeyConflictError(
                f"The key {batch_id!r} was used before with other options.",
                hint="Use another key, or the same options as the first time.",
            )
        return bool(answer == "created")

    def add(self, batch_id: str, call_id: str, leads: Sequence[str], *, now: float) -> Added:
        """Add one slice of leads. The same ``call_id`` twice in a row changes nothing and answers the same."""
        tuning, skipped_as = self._tuning, dump_outcome(_ALREADY_QUEUED)
        accepted, duplicates, skipped, nudge = self._run(
            "add_leads", batch_id, call_id, now, tuning.linger, tuning.max_leads, skipped_as, *leads
        )
        return Added(int(accepted), int(duplicates), int(skipped), _seconds(nudge))

    def refuse_ids(self, batch_id: str, refused: Mapping[str, str]) -> int:
        """Record what is not a lead id (as given → why) as ``failed: INVALID_ID``; return how many were new."""
        flat: list[str] = []
        for given, reason in refused.items():
            flat += [given, dump_outcome(Outcome(Kind.FAILED, Code.INVALID_ID, reason))]
        return int(self._run("refuse_ids", batch_id, *flat)) if flat else 0

    def seal(self, batch_id: str, *, now: float, flush: bool) -> Sealed:
        """Say that the enqueue has ended; ``flush`` lets its tail go without waiting for company."""
        return self._seal(batch_id, now, flush=flush, idle_since="")

    def seal_abandoned(self, *, now: float) -> list[str]:
        """Seal the batches whose enqueue has added nothing for a while: its producer died. Return their ids."""
        since = now - self._tuning.enqueue_idle
        with reaching(self._redis):
            idle = self._redis.zrangebyscore(self._keys.unsealed, "-inf", since)
        for batch_id in idle:
            self._seal(batch_id, now, flush=True, idle_since=repr(since))
        return list(idle)

    def _seal(self, batch_id: str, now: float, *, flush: bool, idle_since: str) -> Sealed:
        finished, nudge = self._run("seal_batch", batch_id, now, int(flush), int(self._tuning.retention), idle_since)
        return Sealed(bool(int(finished)), _seconds(nudge))

    def cancel(self, batch_id: str, *, now: float) -> tuple[int, int]:
        """Cancel what has not been sent; return how many leads that ends, and how many are followed to their outcome.

        Safe to repeat. Raises UnknownBatchError.
        """
        self.status(batch_id)
        fate = json.dumps([Kind.CANCELLED.value, dump_outcome(Outcome(Kind.CANCELLED))])
        ended, followed = self._run("cancel_batch", batch_id, now, fate, int(self._tuning.retention))
        return int(ended), int(followed)

    def options(self, batch_id: str) -> dict[str, Any]:
        """The options of a batch: Zoho's body without its ids. Raises UnknownBatchError."""
        self.status(batch_id)
        with reaching(self._redis):
            fingerprint = self._redis.hget(self._keys.batch(batch_id), "fp")
            body = self._redis.hget(self._keys.options(fingerprint), "json")
        return dict(json.loads(body))

    def status(self, batch_id: str) -> BatchStatus:
        """The counts of a batch. Raises UnknownBatchError, LedgerError."""
        with reaching(self._redis):
            fields = self._redis.hgetall(self._keys.batch(batch_id))
            paused = self._redis.exists(self._keys.pause)
        if not fields:
            raise UnknownBatchError(
                f"There is no batch {batch_id!r}.",
                hint="massconvert status lists the batches; finished ones are kept for the retention time.",
            )
        try:
            return _status(batch_id, fields, paused=bool(paused))
        except (KeyError, ValueError) as error:
            raise unreadable(f"batch:{batch_id}") from error

    def recent(self, limit: int = 20) -> list[BatchStatus]:
        """The latest batches, newest first; forgets the ids of those that have expired."""
        found: list[BatchStatus] = []
        with reaching(self._redis):
            for batch_id in self._redis.zrevrange(self._keys.batches, 0, -1):
                if len(found) == limit:
                    break
                try:
                    found.append(self.status(batch_id))
                except UnknownBatchError:
                    self._redis.zrem(self._keys.batches, batch_id)
        return found

    def rows(self, batch_id: str) -> Iterator[LeadRow]:
        """Every lead of a batch with its outcome, streamed. Leads that still move may be missed until they end."""
        self.status(batch_id)
        keys = self._keys
        with reaching(self._redis):
            chunk_ids = self._redis.lrange(keys.batch_chunks(batch_id), 0, -1)
            waiting = self._redis.lrange(keys.batch_inbox(batch_id), 0, -1)
        for chunk_id in dict.fromkeys(chunk_ids):
            yield from self._chunk_rows(batch_id, chunk_id)
        for lead in waiting:
            yield LeadRow(lead, None)
        with reaching(self._redis):
            for given, text in self._redis.hscan_iter(keys.batch_exceptions(batch_id), count=500):
                outcome = load_outcome(text, f"exceptions of {batch_id}")
                if outcome.code in _NEVER_IN_A_CHUNK:
                    yield LeadRow(given, outcome)

    def _chunk_rows(self, batch_id: str, chunk_id: str) -> Iterator[LeadRow]:
        with reaching(self._redis):
            members, state, end = self._redis.hmget(self._keys.chunk(chunk_id), "members", "state", "end")
        leads = [lead for batch, leads in segments(members or "") if batch == batch_id for lead in leads]
        common = load_outcome(end, f"chunk:{chunk_id}") if end and state == State.DONE.value else None
        remaining = iter(leads)
        while slice_ := list(islice(remaining, 1000)):
            with reaching(self._redis):
                own = self._redis.hmget(self._keys.batch_exceptions(batch_id), slice_)
            for lead, text in zip(slice_, own, strict=True):
                yield LeadRow(lead, load_outcome(text, f"exceptions of {batch_id}") if text else common)

    def _run(self, script: str, batch_id: str, *args: str | float) -> Any:
        return self._scripts.run(script, keys=[self._keys.prefix], args=[batch_id, *args])


def _status(batch_id: str, fields: Mapping[str, str], *, paused: bool) -> BatchStatus:
    counts = {
        name: int(fields.get(name, "0")) for name in ("total", "sent", "converted", "failed", "skipped", "cancelled")
    }
    ended = counts["converted"] + counts["failed"] + counts["skipped"] + counts["cancelled"]
    state = BatchState.PAUSED if paused else BatchState.RUNNING
    if "finished" in fields:
        state = BatchState.CANCELLED if counts["cancelled"] else BatchState.FINISHED
    return BatchStatus(
        batch=batch_id,
        state=state,
        waiting=counts["total"] - counts["sent"] - ended,
        sealed=fields.get("sealed") == "1",
        created_at=float(fields["created"]),
        finished_at=float(fields["finished"]) if "finished" in fields else None,
        **counts,
    )


def _seconds(text: str) -> float | None:
    return float(text) if text != "" else None
