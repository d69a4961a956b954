"""Zoho's background jobs: they take time, convert their leads when they end, and tell only counts."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from massconvert.simulator.leads import Leads
from massconvert.simulator.rules import Rules


@dataclass(frozen=True)
class JobFault:
    """What is to go wrong with a job: see ``faults`` for the words. Faults of several rules add up."""

    fails: bool = False
    spared: frozenset[str] = frozenset()  # not converted
    never_ends: bool = False
    slower: float = 0.0  # seconds
    unknown_for: float = 0.0  # seconds from its acceptance in which the status call does not know it


@dataclass
class Job:
    """A job; ``converted`` is -1 until it has ended."""

    id: str
    leads: Sequence[str]
    deal: dict[str, Any] | None
    starts: float
    ends: float
    fault: JobFault
    known_from: float
    converted: int = -1

    def status(self, now: float, rules: Rules) -> dict[str, object]:
        """Its entry in the answer to the status call."""
        total = len(self.leads)
        if self.converted < 0:
            word, counts = "scheduled" if now < self.starts else "in progress", (0, total, 0)
        else:
            word = "failed" if self.fault.fails else "completed"
            counts = (self.converted, 0, total - self.converted)
        cased = {"upper": word.upper(), "lower": word, "title": word.title()}[rules.status_case]
        names = ("Converted_Count", "Not_Converted_Count", "Failed_Count")
        return {"Status": cased, "Total_Count": total, **dict(zip(names, counts, strict=True))}


@dataclass
class Jobs:
    """All jobs of the organisation. ``advance`` must be called before anything that depends on the time."""

    leads: Leads
    rules: Rules
    random: Random
    all: dict[str, Job] = field(default_factory=dict)
    _due: list[tuple[float, int, Job]] = field(default_factory=list)
    _numbers: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, lead_ids: Sequence[str], now: float, *, deal: dict[str, Any] | None, fault: JobFault) -> Job:
        """Schedule a job for these leads."""
        rules = self.rules
        number = next(iter(self._numbers))
        lasts = rules.job_seconds + rules.job_seconds_per_lead * len(lead_ids) + fault.slower
        lasts += self.random.uniform(0.0, rules.job_jitter)
        job = Job(
            id=str(3652397000020000020 + number * 1000),
            leads=tuple(lead_ids),
            deal=deal,
            starts=now + lasts * rules.scheduled_share,
            ends=now + lasts,
            fault=fault,
            known_from=now + fault.unknown_for,
        )
        self.all[job.id] = job
        if not fault.never_ends:
            heapq.heappush(self._due, (job.ends, number, job))
        for lead_id in job.leads:
            if lead := self.leads.get(lead_id):
                lead.submissions += 1
                lead.overlaps += lead.live_jobs > 0
                lead.live_jobs += 1
        return job

    def advance(self, now: float) -> None:
        """End the jobs whose time has come, in the order of their ends."""
        while self._due and self._due[0][0] <= now:
            job = heapq.heappop(self._due)[2]
            chosen = [lead_id for lead_id in job.leads if lead_id not in job.fault.spared]
            job.converted = self.leads.convert(chosen, job.ends, deal=job.deal)
            for lead_id in job.leads:
                if lead := self.leads.get(lead_id):
                    lead.live_jobs -= 1

    def next_end(self) -> float | None:
        """When the next job ends, in Unix seconds; for a simulation's clock."""
        return self._due[0][0] if self._due else None
