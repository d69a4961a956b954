"""What waits, for how long, and why: a look at the whole ledger for people, that changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from massconvert.ledger.codec import load_options, load_refusal, load_status, number, segments, unreadable
from massconvert.model import BatchStatus, State, Waits, Why
from massconvert.store import Keys, Redis, reaching

#: How many chunks a look examines, those first for which a message has been missed longest.
EXAMINED = 500
#: How many overdue jobs are named.
NAMED = 5
#: What is read of each chunk.
_FIELDS = ("state", "due", "lease", "sent_at", "job", "attempts", "outages", "created", "why")
#: The oldest is looked for among this many batches of each queue, those whose turn is first.
FIRST = 10


@dataclass(frozen=True)
class LatePayload:
    """A chunk that nobody holds, and whose next step should have been taken ``overdue`` seconds ago."""

    chunk_id: str
    state: State
    overdue: float
    job_id: str = ""
    attempts: int = 0
    outages: int = 0


@dataclass(frozen=True)
class Backlog:
    """How much waits. Times are seconds; ``ready_for`` is how long the oldest inbox could have been formed."""

    leads_waiting: int
    ready_for: float
    chunks: int
    late: tuple[LatePayload, ...]
    oldest_job: str
    oldest_job_for: float
    next_due: float | None = None  # Unix seconds: when the sweep is to look at the next chunk
    overdue: int = 0  # jobs without an end by their deadline, which are watched on; some of their ids
    overdue_jobs: tuple[str, ...] = ()
    oldest_waiting: float = 0.0  # Unix seconds: when the oldest inbox's batch or payload was made; 0.0 for none


@dataclass(frozen=True)
class FailedWith:
    """How many leads of a batch failed with a code, and the first of them with its message."""

    code: str
    leads: int
    message: str
    lead_id: str


def read_backlog(redis: Redis, keys: Keys, *, now: float, grace: float) -> Backlog:
    """Look; a chunk is late when it is overdue by more than ``grace`` seconds. Raises StoreError."""
    with reaching(redis):
        inboxes = redis.zrange(keys.inboxes, 0, -1, withscores=True)
        pipe = redis.pipeline(transaction=False)
        for fingerprint, _ in inboxes:
            pipe.hget(keys.options(fingerprint), "waiting")
        pipe.zcard(keys.due)
        pipe.zrange(keys.due, 0, EXAMINED - 1, withscores=True)
        *waiting, chunks, due = pipe.execute()
        ids = [chunk_id for chunk_id, _ in due]
        pipe = redis.pipeline(transaction=False)
        for chunk_id in ids:
            pipe.hmget(keys.chunk(chunk_id), *_FIELDS)
        pipe.scard(keys.overdue)
        pipe.srandmember(keys.overdue, NAMED)
        *found, overdue, some = pipe.execute()
        rows = dict(zip(ids, found, strict=True))
        for chunk_id in some:
            pipe.hget(keys.chunk(chunk_id), "job")
        jobs = pipe.execute()
        in_inboxes = _oldest_batch(redis, keys, [fingerprint for fingerprint, _ in inboxes])
    late = [chunk for chunk_id, row in rows.items() if (chunk := _late(chunk_id, row, now, grace))]
    running = [(now - float(row[3]), row[4]) for row in rows.values() if row[0] == State.RUNNING.value and row[3]]
    oldest = max(running, default=(0.0, ""))
    ready = [now - ready_at for _, ready_at in inboxes if ready_at <= now]
    return Backlog(
        leads_waiting=sum(int(count or 0) for count in waiting),
        ready_for=max(ready, default=0.0),
        chunks=int(chunks),
        late=tuple(sorted(late, key=lambda chunk: -chunk.overdue)),
        oldest_job=oldest[1] or "",
        oldest_job_for=oldest[0],
        next_due=due[0][1] if due else None,
        overdue=int(overdue),
        overdue_jobs=tuple(sorted(job for job in jobs if job)),
        oldest_waiting=min(filter(None, (in_inboxes, *map(_waits_since, rows.values()))), default=0.0),
    )


def read_stopped(redis: Redis, keys: Keys, batch_id: str) -> BatchStatus:
    """The counts of a batch that was held just now; see `Ledger.stopped`."""
    with reaching(redis):
        # None of these can begin to be sent any more, and no other one can.
        pipe = redis.pipeline(transaction=True)
        for chunk_id in redis.smembers(keys.batch_chunks(batch_id)):
            pipe.hmget(keys.chunk(chunk_id), "state", "members")
        pipe.hgetall(keys.batch(batch_id))
        pipe.exists(keys.pause)
        *chunks, fields, paused = pipe.execute()
    sending = [members for state, members in chunks if state == State.SENDING.value]
    leaving = sum(len(leads) for each in sending for batch, leads in segments(each) if batch == batch_id)
    seen = load_status(keys.account, batch_id, fields, paused=bool(paused))
    return replace(seen, sent=seen.sent + leaving, waiting=seen.waiting - leaving)


def read_failures(redis: Redis, keys: Keys, batch_id: str) -> list[FailedWith]:
    """How many leads of a batch failed with each code; see `Ledger.failures`."""
    with reaching(redis):
        fields = redis.hgetall(keys.batch(batch_id))
    found = []
    for name, text in fields.items():
        if name.startswith("reason:"):
            code = name.removeprefix("reason:")
            try:
                message, lead = json.loads(text)
                found.append(FailedWith(code, int(fields.get(f"failed:{code}", "0")), str(message), str(lead)))
            except (ValueError, TypeError) as error:
                raise unreadable(f"batch:{batch_id}") from error
    return sorted(found, key=lambda each: (-each.leads, each.code))


def read_waits(redis: Redis, keys: Keys, batch_id: str, *, now: float, most: int) -> Waits | None:
    """What Zoho said last about payloads of a batch that wait for another try; see `Ledger.waits`."""
    with reaching(redis):
        chunk_ids = redis.srandmember(keys.batch_chunks(batch_id), most) or []
        pipe = redis.pipeline(transaction=False)
        for chunk_id in chunk_ids:
            pipe.hmget(keys.chunk(chunk_id), "said", "due", "parked")
        found = pipe.execute()
    until: dict[tuple[str, str], list[float]] = {}
    for chunk_id, (said, due, parked) in zip(chunk_ids, found, strict=True):
        if said and not parked and (again_at := number(due or "") or 0.0) > now:
            words = load_refusal(said, f"chunk:{chunk_id}")
            until.setdefault((words.code, words.message), []).append(again_at)
    if not until:
        return None
    (code, message), times = max(until.items(), key=lambda each: len(each[1]))
    return Waits(len(times), code, message, min(times))


def waiting_options(redis: Redis, keys: Keys) -> list[tuple[dict[str, Any], int]]:
    """The options with which leads wait, and how many leads with each. Raises StoreError."""
    with reaching(redis):
        pipe = redis.pipeline(transaction=False)
        for fingerprint in redis.zrange(keys.inboxes, 0, -1):
            pipe.hmget(keys.options(fingerprint), "json", "waiting")
        rows = pipe.execute()
    return [(load_options(body, "options"), int(waiting or 0)) for body, waiting in rows if body]


def _oldest_batch(redis: Redis, keys: Keys, fingerprints: Sequence[str]) -> float:
    pipe = redis.pipeline(transaction=False)
    for fingerprint in fingerprints:
        pipe.zrange(keys.queue(fingerprint), 0, FIRST - 1)
        pipe.zrange(keys.express_queue(fingerprint), 0, FIRST - 1)
    for batch in {batch for queue in pipe.execute() for batch in queue}:
        pipe.hget(keys.batch(batch), "created")
    return min((float(created) for created in pipe.execute() if created), default=0.0)


def _waits_since(row: list[Any]) -> float:
    """When a payload was made that neither runs at Zoho nor is watched after its deadline; 0.0 for another."""
    state, *_, created, why = row
    goes_on = state in (None, State.RUNNING.value, State.DONE.value) or why in (Why.OVERDUE.value, Why.WATCHED.value)
    return 0.0 if goes_on else float(created or 0.0)


def _late(chunk_id: str, row: list[Any], now: float, grace: float) -> LatePayload | None:
    state, due, lease, _, job, attempts, outages, *_ = row
    if not state or state == State.DONE.value:
        return None
    overdue = now - max(float(due or now), float(lease or 0.0))  # somebody who holds it is at work
    if overdue <= grace:
        return None
    return LatePayload(chunk_id, State(state), overdue, job or "", int(attempts or 0), int(outages or 0))
