"""Zoho's background jobs: they take time, convert their leads when they end, and tell only counts."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from massconvert.simulator.converting import Converting, Wanted
from massconvert.simulator.leads import Lead, Leads
from massconvert.simulator.rules import Rules
from massconvert.simulator.special import NOT_APPROVED


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
    """A job. ``looked_at`` are the leads that it is through with, of which it has ``converted`` some."""

    id: str
    leads: Sequence[str]
    wanted: Wanted
    accepted: float
    starts: float
    ends: float
    fault: JobFault
    known_from: float
    looked_at: int = 0
    converted: int = 0
    ended: bool = False

    def known(self, now: float, rules: Rules) -> bool:
        """Whether the status call still knows it, or does already."""
        lives = rules.status_lives
        return self.known_from <= now and (lives is None or not self.ended or now < self.ends + lives)

    def status(self, now: float, rules: Rules) -> dict[str, object]:
        """Its entry in the answer to the status call."""
        total = len(self.leads)
        if not self.ended:
            word = "scheduled" if now < self.starts else "in progress"
            counts = (self.converted, total - self.looked_at, self.looked_at - self.converted)
        else:
            word = "failed" if self.fault.fails else "completed"
            counts = (self.converted, 0, total - self.converted)
        if rules.counts == "too_many":  # as in a sample of Zoho's
            counts = (counts[0] + total // 8, counts[1], counts[2] + total // 8)
        cased = {"upper": word.upper(), "lower": word, "title": word.title()}[rules.status_case]
        names = ("Converted_Count", "Not_Converted_Count", "Failed_Count")
        return {"Status": cased, "Total_Count": total, **dict(zip(names, counts, strict=True))}


@dataclass
class Jobs:
    """All jobs of the organisation. ``advance`` must be called before anything that depends on the time."""

    leads: Leads
    converting: Converting
    rules: Rules
    random: Random
    all: dict[str, Job] = field(default_factory=dict)
    _due: list[tuple[float, int, Job]] = field(default_factory=list)
    _numbers: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, lead_ids: Sequence[str], now: float, wanted: Wanted, fault: JobFault) -> Job:
        """Schedule a job for these leads."""
        rules = self.rules
        number = next(iter(self._numbers))
        lasts = rules.job_seconds + rules.job_seconds_per_lead * len(lead_ids) + fault.slower
        lasts += self.random.uniform(0.0, rules.job_jitter)
        job = Job(
            id=str(3652397000020000020 + number * 1000),
            leads=tuple(lead_ids),
            wanted=wanted,
            accepted=now,
            starts=now + lasts * rules.scheduled_share,
            ends=now + lasts,
            fault=fault,
            known_from=now + max(fault.unknown_for, rules.status_known_after),
        )
        self.all[job.id] = job
        if not fault.never_ends:
            self._push(job)
        for lead in filter(None, map(self.leads.get, job.leads)):
            lead.submissions += 1
            lead.overlaps += lead.live_jobs > 0
            lead.live_jobs += 1
        return job

    def advance(self, now: float) -> None:
        """Let the jobs do what their time has come for, in its order."""
        while self._due and self._due[0][0] <= now:
            moment, _, job = heapq.heappop(self._due)
            until = len(job.leads) if self.rules.converts == "at_end" else job.looked_at + 1
            for lead_id in job.leads[job.looked_at : until]:
                lead = self.leads.get(lead_id)
                if lead is not None and lead_id not in job.fault.spared and self._converts(lead, job):
                    job.converted += self._convert(lead, moment, job.wanted)
            job.looked_at = until
            if job.looked_at < len(job.leads):
                self._push(job)
                continue
            job.ended = True
            for lead in filter(None, map(self.leads.get, job.leads)):
                lead.live_jobs -= 1

    def _push(self, job: Job) -> None:
        """Note when a job goes on: at its end, or with its next lead."""
        moment, done = job.ends, job.looked_at + 1
        if self.rules.converts == "one_by_one" and done < len(job.leads):
            moment = job.starts + (job.ends - job.starts) * done / len(job.leads)
        heapq.heappush(self._due, (moment, int(job.id), job))

    def _converts(self, lead: Lead, job: Job) -> bool:
        """Whether a job converts it: it is not locked, and has not been converted, or by another job meanwhile."""
        twice = self.rules.two_jobs_one_lead == "convert_twice"
        if lead.locked or (lead.converted_at is not None and not (twice and lead.converted_at > job.accepted)):
            return False
        return lead.special is None or (lead.special.code == NOT_APPROVED and self.rules.unapproved_lead == "convert")

    def _convert(self, lead: Lead, moment: float, wanted: Wanted) -> bool:
        done = self.converting.convert(lead, moment, wanted)
        lead.conversions += done
        return done

    def next_end(self) -> float | None:
        """When the next job ends, in Unix seconds; for a simulation's clock."""
        return self._due[0][0] if self._due else None
