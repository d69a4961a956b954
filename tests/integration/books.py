"""The ledger of one account with all its keys laid open: what a script changed, key by key, and how to get there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

from massconvert.ledger import Ledger
from massconvert.model import Accepted, Again, Canary, Chunk, Done, JobStatus, Outcome, Priority, Progress, State
from massconvert.policy import Decision, Moment, Row, Tuning, after_post, after_status
from massconvert.store import Keys, Scripts

#: Leads wait for company here, all of them; test_first_at_once.py is about the first.
TUNING = Tuning(at_once=False)
NOW = 1_800_000_000.0
MOMENT = Moment(now=NOW, chance=0.0, tuning=TUNING)
OPTIONS = {"Deals": {"Deal_Name": "Renewal"}}
FINGERPRINT, OTHER_FINGERPRINT = "f" * 16, "0" * 16

ANY = tuple(State)


def leads(count: int, first: int = 1) -> list[str]:
    """So many lead ids, from the first'th on."""
    return [str(3652397000009850000 + number) for number in range(first, first + count)]


class Books:
    """A ledger in which a test can look at everything."""

    def __init__(self, redis: Any, account: str, tuning: Tuning = TUNING) -> None:
        self.redis = redis
        self.keys = Keys(account)
        self.scripts = Scripts(redis)
        self.tuning = tuning
        self.ledger = Ledger(redis, account, tuning)
        self.chunks = self.ledger.chunks
        self.batches = self.ledger.batches
        self._tokens = iter(f"token-{number}" for number in count(1))

    # --- looking ---

    def look(self) -> dict[str, Any]:
        """Every value of the account: ``key.field`` of a hash, ``key/member`` of a set, ``key`` of all else.

        A key that will expire has ``key expires``. Numbers that are no whole ones are rounded to a microsecond, since
        they are written by Lua in one place and by Python in another.
        """
        found: dict[str, Any] = {}
        for key in sorted(self.redis.scan_iter(match=f"{self.keys.prefix}*")):
            name = key.removeprefix(self.keys.prefix)
            if name.startswith(("counts", "days:")):  # test_counts.py is about what is counted
                continue
            kind = self.redis.type(key)
            if kind == "hash":
                found |= {f"{name}.{field}": _plain(value) for field, value in self.redis.hgetall(key).items()}
            elif kind == "set":
                found |= {f"{name}/{member}": True for member in self.redis.smembers(key)}
            elif kind == "zset":
                found |= {f"{name}/{member}": score for member, score in self.redis.zrange(key, 0, -1, withscores=True)}
            elif kind == "list":
                found[name] = [_plain(value) for value in self.redis.lrange(key, 0, -1)]
            else:
                found[name] = _plain(self.redis.get(key))
            if self.redis.ttl(key) >= 0:
                found[f"{name} expires"] = True
        return found

    @contextmanager
    def watching(self, *names: str) -> Iterator[dict[str, Any]]:
        """What changes meanwhile: its new value, None where it is gone. ``names`` are where to look; all if none."""
        before, changed = self.look(), dict[str, Any]()
        yield changed
        after = self.look()
        for path in before.keys() | after.keys():
            if before.get(path) != after.get(path) and (not names or path.startswith(names)):
                changed[path] = after.get(path)

    def counts(self, batch: str) -> dict[str, int]:
        """The counts of a batch that are not 0."""
        status = self.batches.status(batch)
        names = ("total", "waiting", "sent", "converted", "failed", "skipped", "cancelled")
        return {name: count for name in names if (count := getattr(status, name))}

    def outcomes(self, batch: str) -> dict[str, Outcome | None]:
        """Each lead of a batch with its outcome, as a report has it."""
        rows = list(self.batches.rows(batch))
        found = {row.lead_id: row.outcome for row in rows}
        assert len(found) == len(rows), "a lead is reported twice"
        return found

    def open_leads(self, chunk_id: str) -> tuple[str, ...]:
        """The leads of a chunk that have no outcome, in payload order, as its next claim would hand them out."""
        copy = self.claim(chunk_id, now=NOW + 10 * TUNING.lease)
        return copy.leads

    # --- getting there ---

    def batch(
        self,
        name: str,
        ids: Sequence[str],
        *,
        now: float = NOW,
        seal: bool = True,
        flush: bool = True,
        fingerprint: str = FINGERPRINT,
        accepted: bool = True,
        priority: Priority = Priority.BULK,
        canary: Canary | None = None,
        call: str = "",
    ) -> None:
        """A batch of these leads, as an enqueue makes one; ``accepted``: Zoho has taken its options before."""
        self.batches.open(name, fingerprint, OPTIONS, now=now, leads=len(ids), priority=priority, canary=canary)
        if accepted:
            self.redis.hset(self.keys.options(fingerprint), "accepted", 1)
        self.batches.add(name, call or f"{name}:0", ids, now=now)
        if seal:
            self.batches.seal(name, now=now, flush=flush)

    def form(self, now: float = NOW + TUNING.linger) -> tuple[str, ...]:
        """The chunks that can be formed."""
        return self.chunks.form(now=now).chunk_ids

    def claim(self, chunk_id: str, states: Iterable[State] = ANY, *, now: float = NOW + TUNING.linger) -> Chunk:
        """A chunk in the hands of a worker."""
        claimed = self.chunks.claim(chunk_id, list(states), token=next(self._tokens), now=now)
        assert isinstance(claimed, Chunk), claimed
        return claimed

    def try_claim(
        self, chunk_id: str, states: Iterable[State] = ANY, *, now: float = NOW + TUNING.linger
    ) -> Chunk | Again | Done:
        """What a claim is answered."""
        return self.chunks.claim(chunk_id, list(states), token=next(self._tokens), now=now)

    def send(self, chunk_id: str, *, now: float = NOW + TUNING.linger) -> Chunk:
        """A chunk whose payload is on its way."""
        sending = self.chunks.begin_send(self.claim(chunk_id, now=now), now=now)
        assert sending is not None
        return sending

    def accept(self, chunk_id: str, *, now: float = NOW + TUNING.linger) -> None:
        """A chunk whose payload Zoho has taken."""
        sending = self.send(chunk_id, now=now)
        decision = after_post(sending, Accepted(f"9{chunk_id}"), Moment(now=now, chance=0.0, tuning=TUNING))
        assert self.chunks.move(sending, decision, now=now)

    def convert(self, chunk_id: str, *, now: float = NOW + TUNING.linger) -> None:
        """A chunk all of whose leads Zoho has converted."""
        self.accept(chunk_id, now=now)
        later = now + TUNING.poll_cap
        running = self.claim(chunk_id, now=later)
        size = len(running.leads)
        answer = JobStatus(Progress.COMPLETED, size, size, 0, 0)
        decision = after_status(running, answer, Moment(now=later, chance=0.0, tuning=TUNING))
        assert self.chunks.move(running, decision, now=later)

    def end(self, chunk_id: str, outcomes: dict[str, Outcome], *, now: float = NOW + TUNING.linger) -> None:
        """A chunk whose leads have all ended, each in a way of its own."""
        self.accept(chunk_id, now=now)
        later = now + TUNING.poll_cap
        running = self.claim(chunk_id, now=later)
        decision = Decision(Row.SETTLED, replace(running, state=State.DONE), Done(), outcomes=outcomes)
        assert self.chunks.move(running, decision, now=later)


def _plain(value: str) -> str:
    try:
        number = float(value)
    except ValueError:
        return value
    if value.isdigit():
        return value
    return str(int(number)) if number.is_integer() else f"{number:.6f}"
