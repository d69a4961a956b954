"""Zoho in virtual time, for many organisations at once; and the clock, which meters what the product's own code takes.

Nothing goes wrong here but what a day brings: now and then a lead that is unknown or converted already, and a job that
leaves one out. tests/simulation/crm.py has the faults; the question here is scale.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter, thread_time
from typing import Any, cast

from massconvert.model import (
    Accepted,
    JobStatus,
    Kind,
    LeadsRead,
    LeadState,
    Outcome,
    PostAnswer,
    Progress,
    ReadAnswer,
    Refused,
    StatusAnswer,
)
from massconvert.policy import CallAnswer
from massconvert.zoho.edition import MAX_POSTS
from tests.simulation.world import EPOCH, Mishaps, Process, World

#: Seconds of each call and of a job, and the part by which they vary.
POST_SECONDS, LOOK_SECONDS, JOB_SECONDS, SPREAD = 0.5, 0.3, 4.0, 0.25
BASE, STEP = 3_652_397_000_009_850_001, 1009
#: Of so many leads one had been converted before, one is unknown to Zoho, and one is left out by its first job.
ODD = 3000


@dataclass(eq=False)
class Waiter:
    """A task that waits on these lists in Redis, and what lets it go on."""

    lists: list[str]
    go_on: Callable[[], None]


class Day(World):
    """The clock. It meters what the product's own code takes, by what a task is about: CPU and real seconds."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, Mishaps())
        self.cpu: defaultdict[str, float] = defaultdict(float)
        self.real: defaultdict[str, float] = defaultdict(float)
        self._since = (0.0, 0.0)

    def note(self, line: str) -> None:
        """A day is too long to be told."""

    def start(self, process: Process, name: str, body: Callable[[], None], about: str = "") -> None:
        """Run ``body`` as a task, from the clock's own events only; ``about`` is what it is metered as."""

        def metered() -> None:
            self._go_on()
            try:
                body()
            finally:
                self._hold(about)

        super().start(process, name, metered, about)

    def sleep(self, seconds: float) -> None:
        """Let time pass for the current task, unmetered."""
        with_task = self.current()
        assert with_task is not None
        self._hold(with_task.about)
        super().sleep(seconds)
        self._go_on()

    def park(self, waiting: list[Waiter], lists: str, seconds: float) -> None:
        """Let the current task wait in ``waiting`` until somebody takes it out, for so many seconds at most."""
        task = self.current()
        assert task is not None
        waiter = Waiter(lists.split(","), lambda: self.at(0.0, task.switch))

        def give_up() -> None:
            if waiter in waiting:
                waiting.remove(waiter)
                task.switch()

        waiting.append(waiter)
        self.at(seconds, give_up)
        self._hold(task.about)
        self._hub.switch()
        self._go_on()

    def _go_on(self) -> None:
        self._since = (thread_time(), perf_counter())

    def _hold(self, about: str) -> None:
        cpu, real = self._since
        self.cpu[about] += thread_time() - cpu
        self.real[about] += perf_counter() - real


# --- Zoho -----------------------------------------------------------------------------------------------------


def number_of(lead: str) -> int:
    """The how-manieth lead of its organisation this is."""
    return (int(lead) - BASE) // STEP


def converted_before(lead: str) -> bool:
    """Whether somebody converted it by hand before the day began."""
    return number_of(lead) % ODD == 7


def unknown(lead: str) -> bool:
    """Whether Zoho has no such lead."""
    return number_of(lead) % ODD == 1007


def spared(lead: str) -> bool:
    """Whether the first job with it leaves it out."""
    return number_of(lead) % ODD == 2007


@dataclass
class Job:
    """A background job; it has converted its leads at ``ends``."""

    leads: frozenset[str]
    ends: float
    total: int


@dataclass
class Zoho:
    """One organisation as Zoho has it: which of its leads are converted, and how many calls it bears at once."""

    day: Day
    limit: int
    calls: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    most: int = 0
    throttled: int = 0
    refused: int = 0
    short: int = 0  # jobs that left a lead out
    twice: int = 0  # leads that were submitted while a job had them, or after it had converted them
    jobs: dict[str, Job] = field(default_factory=dict)
    converted: dict[str, float] = field(default_factory=dict)  # lead -> when

    def __post_init__(self) -> None:
        self._chance = self.day.chance("zoho")
        self._left_out: set[str] = set()

    def ready(self) -> str:
        """A token is always there."""
        return "token"

    def clock(self) -> None:
        """Nobody else converts anything: when a payload came does not matter."""

    def mass_convert(self, leads: Sequence[str], _options: Mapping[str, Any], **_: Any) -> PostAnswer:
        """POST one payload."""
        return cast("PostAnswer", self._call("post", POST_SECONDS, lambda: self._take(leads)))

    def job_status(self, job_id: str) -> StatusAnswer:
        """GET the counts of a job."""
        return cast("StatusAnswer", self._call("look", LOOK_SECONDS, lambda: self._status(self.jobs[job_id])))

    def read_leads(self, leads: Sequence[str], _fields: Sequence[str] = ()) -> ReadAnswer:
        """GET the leads themselves."""
        return cast("ReadAnswer", self._call("read", LOOK_SECONDS, lambda: self._read(leads)))

    def _call(self, name: str, seconds: float, effect: Callable[[], CallAnswer]) -> CallAnswer:
        self.calls[name] += 1
        self.inside[name] += 1
        self.most = max(self.most, self.inside.total())
        over = self.inside.total() > self.limit or self.inside["post"] > MAX_POSTS
        self.day.sleep(seconds * self._chance.uniform(1.0 - SPREAD, 1.0 + SPREAD))
        self.inside[name] -= 1
        self.throttled += over
        return Refused(429, "TOO_MANY_REQUESTS", "over a limit") if over else effect()

    def _ended(self, lead: str) -> bool:
        return converted_before(lead) or self.converted.get(lead, self.day.time + 1.0) <= self.day.time

    def _take(self, leads: Sequence[str]) -> PostAnswer:
        bad = [place for place, lead in enumerate(leads) if unknown(lead) or self._ended(lead)]
        self.twice += sum(lead in self.converted for lead in leads)
        if bad:
            self.refused += 1
            paths = tuple(f"$.ids[{place}]" for place in bad)
            return Refused(400, "INVALID_DATA", "the id given seems to be invalid", paths=paths)
        out = {lead for lead in leads if spared(lead) and lead not in self._left_out}
        self._left_out |= out
        self.short += bool(out)
        ends = self.day.time + JOB_SECONDS * self._chance.uniform(1.0 - SPREAD, 1.0 + SPREAD)
        job_id = str(7_000_000 + len(self.jobs))
        self.jobs[job_id] = Job(frozenset(leads) - out, ends, len(leads))
        self.converted.update((lead, ends) for lead in leads if lead not in out)
        return Accepted(job_id)

    def _status(self, job: Job) -> StatusAnswer:
        if self.day.time < job.ends:
            return JobStatus(Progress.IN_PROGRESS, job.total, 0, job.total, 0)
        converted = len(job.leads)
        return JobStatus(Progress.COMPLETED, job.total, converted, 0, job.total - converted)

    def _read(self, leads: Sequence[str]) -> ReadAnswer:
        known = [lead for lead in leads if not unknown(lead)]
        at = {lead: EPOCH - 5000.0 if converted_before(lead) else self.converted.get(lead) for lead in known}
        return LeadsRead({lead: LeadState(lead, self._ended(lead), converted_at=at[lead]) for lead in known})

    def agrees(self, lead: str, outcome: Outcome | None) -> bool:
        """Whether ``outcome`` is what became of the lead."""
        if outcome is None:
            return False
        if unknown(lead):
            return outcome.kind is Kind.FAILED
        if converted_before(lead):
            return outcome.kind is Kind.SKIPPED
        return outcome.kind is Kind.CONVERTED and lead in self.jobs[outcome.job_id].leads
