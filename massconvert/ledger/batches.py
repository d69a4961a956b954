"""Batches: what one enqueue call made. Opened, filled in slices, sealed, read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from massconvert.errors import KeyConflictError, StoreError, UnknownBatchError
from massconvert.leads.ids import check_batch_key
from massconvert.ledger.book import Book
from massconvert.ledger.codec import (
    dump_options,
    dump_outcome,
    load_options,
    load_outcome,
    load_status,
    segments,
)
from massconvert.model import (
    HELD_FOR_CANARY,
    PAUSED_BY_HAND,
    BatchStatus,
    Canary,
    Code,
    Kind,
    LeadRow,
    Outcome,
    Priority,
)
from massconvert.on_complete.targets import Target, dump_targets
from massconvert.options import begins_with
from massconvert.policy import most_failures
from massconvert.store import reaching
from massconvert.telemetry.traces import traceparent
from massconvert.words.mentions import tell_accepted
from massconvert.words.next_command import next_command

#: A batch of up to this many leads has this many member sets, a prime. Each keeps Redis' compact encoding (up to 512
#: integers) and has enough of them to be worth its key. Beyond two million leads the sets take more memory: a batch's
#: end touches each of them in one script, so there are no more of them.
_SHARDS = ((400, 1), (20_000, 97), (150_000, 599))
_MOST_SHARDS = 4099

_ALREADY_QUEUED = Outcome(
    Kind.SKIPPED, Code.ALREADY_QUEUED, "another batch is converting this lead; see that batch for its outcome"
)
#: How many elements of a list are read at once.
_PAGE = 1000
#: How many leads in chunks one script ends at most, about.
_ENDED_AT_ONCE = 1000
#: How many abandoned batches one sweep seals.
_SEALED_AT_ONCE = 1000
#: How many pages of the newest batches are looked at for those that have not expired.
_PAGES = 25
#: Makes a read, and perhaps makes it again.
Read: TypeAlias = Callable[[Callable[[], Any]], Any]


def _once(ask: Callable[[], Any]) -> Any:
    return ask()


@dataclass(frozen=True)
class Added:
    """What became of one slice of leads. ``nudge_in``: seconds until the chunk task is told; ``None``: no need."""

    accepted: int
    duplicates: int
    skipped: int
    nudge_in: float | None


@dataclass(frozen=True)
class Opened:
    """A batch that takes leads: whether it is a new one, and the history that Redis wrote at that moment."""

    is_new: bool
    history: str


@dataclass(frozen=True)
class Sealed:
    """What sealing a batch did; ``nudge_in`` as for `Added`."""

    finished: bool
    nudge_in: float | None


@dataclass(frozen=True)
class Released:
    """What ending a hold did: whether there was one, and the chunks that waited for it, to be sent now."""

    was_held: bool
    chunk_ids: tuple[str, ...]


class Batches(Book):
    """The batches of one account."""

    def open(
        self,
        batch_id: str,
        fingerprint: str,
        options: Mapping[str, Any],
        *,
        now: float | None = None,
        leads: int,
        priority: Priority = Priority.BULK,
        canary: Canary | None = None,
        given: str = "",
        on_complete: Sequence[Target] = (),
    ) -> Opened:
        """Register a batch, or find it again. The same id again with the same options goes on with it.

        ``leads`` is about how many it will have; ``priority`` and ``canary`` are those of the first call. ``given`` is
        the fingerprint of the options as the caller wrote them, where names in them have become ids since: at the next
        call with the same names they may be unknown here, and it is the same batch all the same.
        ``on_complete`` are those who are called when it has finished; given again, they replace the earlier ones.

        Raises KeyConflictError when the id was used with other options, InputError for what cannot name a batch: it
        becomes a part of what stands in the ledger.
        """
        check_batch_key(batch_id)
        shards = next((shards for most, shards in _SHARDS if leads <= most), _MOST_SHARDS)
        ahead, most = (canary.leads, most_failures(canary)) if canary else (0, -1)
        calls = (dump_targets(on_complete), len(on_complete)) if on_complete else ("", 0)
        answer, history = self._run(
            "open_batch",
            batch_id,
            fingerprint,
            dump_options(options),
            now,
            shards,
            priority.value,
            given or fingerprint,
            ahead,
            most,
            *calls,
            begins_with(options).value,
            self._tuning.retention,
            traceparent(),
        )
        if answer == "conflict":
            raise KeyConflictError(
                f"The key {batch_id!r} was used before with other options.",
                hint="Use another key, or the same options as the first time.",
            )
        return Opened(answer == "created", history)

    def add(
        self,
        batch_id: str,
        call_id: str,
        leads: Sequence[str],
        *,
        now: float | None = None,
        deal_values: Mapping[str, str] = MappingProxyType({}),
    ) -> Added:
        """Add one slice of leads. The same ``call_id`` twice in a row changes nothing and answers the same.

        ``deal_values`` is the JSON of what single leads bring (`dump_brought`); what a lead brought first stays.
        """
        tuning, skipped_as = self._tuning, dump_outcome(_ALREADY_QUEUED)
        accepted, duplicates, skipped, nudge = self._run(
            "add_leads",
            batch_id,
            call_id,
            now,
            tuning.linger,
            tuning.max_leads,
            skipped_as,
            ",".join(leads),
            json.dumps({lead: text for lead in leads if (text := deal_values.get(lead))}) if deal_values else "",
            2 * tuning.linger if tuning.at_once else "",
        )
        return Added(int(accepted), int(duplicates), int(skipped), _seconds(nudge))

    def refuse_ids(self, batch_id: str, refused: Mapping[str, str], *, now: float | None = None) -> int:
        """Record what is not a lead id (as given → why) as ``failed: INVALID_ID``; return how many were new."""
        flat: list[str] = []
        for given, reason in refused.items():
            flat += [given, dump_outcome(Outcome(Kind.FAILED, Code.INVALID_ID, reason))]
        return int(self._run("refuse_ids", batch_id, now, *flat)) if flat else 0

    def seal(self, batch_id: str, *, now: float | None = None, flush: bool, history: str = "") -> Sealed:
        """Say that the enqueue has ended; ``flush`` lets its tail go without waiting for company.

        ``history`` is that of `Opened`. Raises StoreError where Redis has begun another one since, or too few replicas
        have the batch: a failover may have lost some of it, or may yet. Then the same enqueue again is right.
        """
        sealed, now_writes, total = self._seal(batch_id, now, flush=flush, idle_since="")
        if history and now_writes and history != now_writes:
            raise StoreError(
                f"Redis failed over, or went back to an older copy, while batch {batch_id!r} was being filled: some of "
                "its leads may be lost.",
                hint="Enqueue it again with the same key, which is safe.",
                code="UNKNOWN_BATCH",
            )
        if total:
            tell_accepted(batch_id, int(total), account=self._keys.account)
        return sealed

    def seal_abandoned(self, *, now: float | None = None) -> list[str]:
        """Seal the batches whose enqueue has added nothing for a while: its producer died. Return their ids."""
        since = (self._scripts.now() if now is None else now) - self._tuning.enqueue_idle
        with reaching(self._redis):
            idle = self._redis.zrangebyscore(self._keys.unsealed, "-inf", since, start=0, num=_SEALED_AT_ONCE)
        for batch_id in idle:
            self._seal(batch_id, now, flush=True, idle_since=repr(since))
        return list(idle)

    def _seal(self, batch_id: str, now: float | None, *, flush: bool, idle_since: str) -> tuple[Sealed, str, str]:
        finished, nudge, history, total = self._surely(
            "seal_batch", batch_id, now, int(flush), int(self._tuning.retention), idle_since
        )
        return Sealed(bool(int(finished)), _seconds(nudge)), history, total

    def cancel(self, batch_id: str, *, now: float | None = None) -> tuple[int, int]:
        """Cancel what has not been sent; return how many leads that ends, and how many are followed to their outcome.

        Followed are those that are under way: in a payload that is being sent, that Zoho has taken, or whose answer was
        lost. What of them turns out to be unconverted ends as cancelled and is not sent again.
        Safe to repeat. Raises UnknownBatchError.
        """
        self.status(batch_id)
        fate = json.dumps([Kind.CANCELLED.value, dump_outcome(Outcome(Kind.CANCELLED))])
        ended, more = 0, 1
        while more:  # the first round stops it; the others end what was made for it, a slice a script
            now_ended, waiting, followed, more = map(
                int, self._surely("cancel_batch", batch_id, now, fate, int(self._tuning.retention), _ENDED_AT_ONCE)
            )
            ended += now_ended
        return ended + waiting, followed

    def hold(self, batch_id: str, reason: str, *, by: str = "", now: float | None = None) -> bool:
        """Let nothing more of a batch be sent until `release`; return whether there was anything to hold.

        What Zoho has taken, or may have, is followed. A payload that carries leads of other batches as well goes, with
        all its leads. ``reason`` and ``by`` are for people; the first ones stand until `release`. Safe to repeat.
        Raises UnknownBatchError.
        """
        self.status(batch_id)
        why = f"by hand: {reason}" if reason == HELD_FOR_CANARY else reason  # that word is the canary's
        return bool(int(self._surely("hold_batch", batch_id, why or PAUSED_BY_HAND, by, now)[0]))

    def release(self, batch_id: str, *, now: float | None = None) -> Released:
        """Let a batch go on that a person held, or that waits after its canary.

        One that was held in its canary is behind that again. Safe to repeat. Raises UnknownBatchError.
        """
        self.status(batch_id)
        was_held, chunk_ids = self._run("release_batch", batch_id, now)
        return Released(bool(int(was_held)), tuple(chunk_ids))

    def options(self, batch_id: str) -> dict[str, Any]:
        """The options of a batch: Zoho's body without its ids. Raises UnknownBatchError."""
        self.status(batch_id)
        fingerprint = self._ask("hget", self._keys.batch(batch_id), "fp")
        body = self._ask("hget", self._keys.options(fingerprint), "json")
        return load_options(body or "", f"options:{fingerprint}")

    def deal_values(self, batch_id: str, leads: Sequence[str]) -> dict[str, str]:
        """The JSON of what these leads of a batch bring (`load_brought`), of those that bring anything."""
        found: dict[str, str] = {}
        for place in range(0, len(leads), _PAGE):
            page = leads[place : place + _PAGE]
            with reaching(self._redis):
                texts = self._redis.hmget(self._keys.batch_deals(batch_id), page)
            found |= {lead: text for lead, text in zip(page, texts, strict=True) if text is not None}
        return found

    def status(self, batch_id: str) -> BatchStatus:
        """The counts of a batch. Raises UnknownBatchError, LedgerError."""
        with reaching(self._redis):
            fields = self._redis.hgetall(self._keys.batch(batch_id))
            paused = self._redis.exists(self._keys.pause)
        if not fields:
            raise UnknownBatchError(
                f"There is no batch {batch_id!r}.",
                hint="Finished batches are kept for the retention time. To see which there are: "
                f"{next_command('status', '--all', account=self._keys.account)}",
            )
        return load_status(self._keys.account, batch_id, fields, paused=bool(paused))

    def totals(self, batch_ids: Sequence[str]) -> list[int | None]:
        """How many leads each of these batches was given; ``None`` for one that is not there. Raises StoreError."""
        found: list[str | None] = []
        for place in range(0, len(batch_ids), _PAGE):
            with reaching(self._redis):
                pipe = self._redis.pipeline(transaction=False)
                for batch_id in batch_ids[place : place + _PAGE]:
                    pipe.hget(self._keys.batch(batch_id), "total")
                found += pipe.execute()
        return [None if total is None else int(total) for total in found]

    def recent(self, limit: int = 20, *, after: str = "") -> list[BatchStatus]:
        """The latest batches, newest first, or those that follow ``after``; forgets those that have expired.

        However many there are, only some hundreds of the newest are looked at.
        """
        found: list[BatchStatus] = []
        size = max(limit, 20)
        rank = self._ask("zrevrank", self._keys.batches, after) if after else None
        place = 0 if rank is None else int(rank) + 1
        for _ in range(_PAGES):
            with reaching(self._redis):
                page = self._redis.zrevrange(self._keys.batches, place, place + size - 1)
                pipe = self._redis.pipeline(transaction=False)
                pipe.exists(self._keys.pause)
                for batch_id in page:
                    pipe.hgetall(self._keys.batch(batch_id))
                paused, *rows = pipe.execute()
                gone = [batch_id for batch_id, fields in zip(page, rows, strict=True) if not fields]
                if gone:
                    self._redis.zrem(self._keys.batches, *gone)
            found += [
                load_status(self._keys.account, batch_id, fields, paused=bool(paused))
                for batch_id, fields in zip(page, rows, strict=True)
                if fields
            ]
            if len(found) >= limit or len(page) < size:
                break
            place += size - len(gone)
        return found[:limit]

    def known(self) -> int:
        """How many batches there are, expired ones that nobody has forgotten yet among them."""
        with reaching(self._redis):
            return int(self._redis.zcard(self._keys.batches))

    def rows(self, batch_id: str, read: Read = _once) -> Iterator[LeadRow]:
        """Every lead of a batch with its outcome, streamed: some thousand of them are in memory at any time.

        First those that have ended, as they ended, then those on their way, then those that wait. What was no lead id
        comes last. Leads that move meanwhile may be missed. ``read`` makes each read, and may make it again.
        Raises UnknownBatchError.
        """
        read(lambda: self.status(batch_id))
        keys = self._keys
        outcome: Outcome | None = None
        for element in self._elements(keys.batch_ended(batch_id), read):
            if element[0] == "[":  # no lead id begins so
                outcome = load_outcome(element, f"ended leads of {batch_id}")
            else:
                yield LeadRow(element, outcome)
        chunk_ids = sorted(read(lambda: self._ask("smembers", keys.batch_chunks(batch_id))), key=int)
        for chunk_id in chunk_ids:
            members = read(partial(self._ask, "hget", keys.chunk(chunk_id), "members")) or ""
            yield from (
                LeadRow(lead, None) for batch, leads in segments(members) if batch == batch_id for lead in leads
            )
        for lead in self._elements(keys.batch_inbox(batch_id), read):
            yield LeadRow(lead, None)
        cursor: int | None = None
        while cursor != 0:
            cursor, page = read(partial(self._ask, "hscan", keys.batch_invalid(batch_id), cursor or 0, count=500))
            for given, text in page.items():
                yield LeadRow(given, load_outcome(text, f"invalid ids of {batch_id}"))

    def _elements(self, key: str, read: Read) -> Iterator[str]:
        place = 0
        while True:
            page = read(partial(self._ask, "lrange", key, place, place + _PAGE - 1))
            yield from page
            if len(page) < _PAGE:
                return
            place += _PAGE


def _seconds(text: str) -> float | None:
    return float(text) if text != "" else None
