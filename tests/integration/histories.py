"""Whole histories of payloads on a real ledger, in virtual time: a Zoho of a few rules, and calls that are counted.

No faults of machines here (tests/simulation has them): what Zoho says, and what comes of it, to the last lead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from massconvert.model import (
    Accepted,
    Chunk,
    JobStatus,
    LeadsRead,
    LeadState,
    Outcome,
    PostAnswer,
    Progress,
    ReadAnswer,
    State,
    StatusAnswer,
)
from massconvert.policy import (
    Decision,
    Moment,
    Row,
    after_post,
    after_read,
    after_status,
    options_refused_before,
    size_of,
)
from tests.integration.books import NOW, Books

#: Seconds that a job takes.
JOB = 1.0


@dataclass
class Zoho:
    """What an organisation answers: everything is converted, but for what a test puts in a rule's place."""

    converted: set[str] = field(default_factory=set)
    posts: list[tuple[str, ...]] = field(default_factory=list)
    reads: list[tuple[str, ...]] = field(default_factory=list)
    jobs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    on_post: Callable[[tuple[str, ...]], PostAnswer | None] = lambda _leads: None
    on_job: Callable[[tuple[str, ...]], StatusAnswer | None] = lambda _leads: None
    on_read: Callable[[tuple[str, ...]], ReadAnswer | None] = lambda _leads: None

    def post(self, leads: tuple[str, ...]) -> PostAnswer:
        """A payload."""
        self.posts.append(leads)
        if answer := self.on_post(leads):
            return answer
        job = f"9{len(self.jobs)}"
        self.jobs[job] = leads
        return Accepted(job)

    def status(self, job: str) -> StatusAnswer:
        """A look at a job, which has ended by then."""
        leads = self.jobs[job]
        if answer := self.on_job(leads):
            return answer
        self.converted |= set(leads)
        return JobStatus(Progress.COMPLETED, len(leads), len(leads), 0, 0)

    def read(self, leads: tuple[str, ...]) -> ReadAnswer:
        """A look at leads."""
        self.reads.append(leads)
        return self.on_read(leads) or LeadsRead({lead: LeadState(lead, lead in self.converted) for lead in leads})


class Play:
    """Workers that are always there: whatever is due is done, the earliest first, until nothing is open."""

    def __init__(self, books: Books, zoho: Zoho) -> None:
        self.books = books
        self.zoho = zoho
        self.now = NOW
        self.rows: Counter[Row] = Counter()
        self.meanwhile: Callable[[], None] = lambda: None  # after each step

    def until_nothing_is_open(self, most: int = 5000) -> None:
        """Go on until every chunk and inbox is empty."""
        for _ in range(most):
            self._form()
            due = self._next()
            if due is None:
                return
            self.step(*due)
            self.meanwhile()
        raise AssertionError(f"{most} steps, and chunks are open still: {self.rows}")

    def outcomes(self, batch: str) -> dict[str, Outcome]:
        """Of all leads of a batch, each of which has one."""
        found = {lead: outcome for lead, outcome in self.books.outcomes(batch).items() if outcome}
        assert len(found) == len(self.books.outcomes(batch))
        return found

    def kinds(self, batch: str) -> Counter[tuple[str, str]]:
        """How many leads of a batch ended how."""
        return Counter((outcome.kind.value, outcome.code) for outcome in self.outcomes(batch).values())

    def _form(self) -> None:
        while self.books.chunks.drain(now=self.now):
            pass
        formed = self.books.chunks.form(now=self.now)
        while formed.next_in is not None and not formed.chunk_ids and not formed.full and self._next() is None:
            self.now += formed.next_in + 0.01
            formed = self.books.chunks.form(now=self.now)
        while self.books.chunks.drain(now=self.now):
            pass

    def _next(self) -> tuple[str, float] | None:
        redis, keys = self.books.redis, self.books.keys
        due = [
            (float(redis.hget(keys.chunk(chunk_id), "due")), int(chunk_id))
            for chunk_id in redis.zrange(keys.due, 0, -1)
        ]
        at, chunk_id = min(due, default=(0.0, 0))
        return (str(chunk_id), at) if chunk_id else None

    def step(self, chunk_id: str, at: float) -> Decision:
        """One step of a chunk, when it is due."""
        books, self.now = self.books, max(self.now, at) + 0.01
        books.redis.hdel(books.keys.chunk(chunk_id), "expected")
        chunk = books.claim(chunk_id, now=self.now)
        if chunk.state is State.WAITING and chunk.refusal:
            decision = options_refused_before(chunk, chunk.refusal)
        elif chunk.state is State.WAITING:
            sending = books.chunks.begin_send(chunk, now=self.now)
            assert sending
            chunk = sending
            decision = after_post(chunk, self.zoho.post(chunk.leads), self._moment(chunk))
        elif chunk.state is State.RUNNING:
            self.now += JOB
            decision = after_status(chunk, self.zoho.status(chunk.job_id), self._moment(chunk))
        else:
            decision = after_read(chunk, self.zoho.read(chunk.leads), self._moment(chunk))
        assert books.chunks.move(chunk, decision, now=self.now)
        self.rows[decision.row] += 1
        return decision

    def _moment(self, chunk: Chunk) -> Moment:
        learnt = self.books.ledger.organisation.job_lengths(now=self.now)
        look = learnt.looks.get(size_of(len(chunk.leads)))
        return Moment(now=self.now, chance=0.5, tuning=self.books.tuning, look=look)


def has(*bad: str) -> Callable[[Sequence[str]], bool]:
    """Whether one of these leads is in a payload."""
    return lambda payload: not set(bad).isdisjoint(payload)
