"""Zoho as the simulation sees it: the truth about every lead, jobs that take time, and faults before and after effects.

It speaks the model's answers and not HTTP, so that a history takes milliseconds; the product's own simulator (over
real HTTP) judges the same promises in tests/acceptance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from massconvert.model import (
    Accepted,
    JobStatus,
    LeadsRead,
    LeadState,
    NotSent,
    PerhapsAccepted,
    PostAnswer,
    Progress,
    ReadAnswer,
    Refused,
    StatusAnswer,
    Unsent,
)
from tests.simulation.world import World


@dataclass
class Lead:
    """The truth about a lead. ``submitted`` and ``read`` are when a payload with it took effect, and was last read."""

    id: str
    exists: bool = True
    stubborn: bool = False  # no job ever converts it
    converted_at: float | None = None
    by_us: bool = False
    submitted: float | None = None
    unconverted_read: float | None = None


@dataclass
class RunningJob:
    """A background job: it ends at ``ends`` and then converts its leads, all but ``spared``."""

    id: str
    leads: list[str]
    starts: float
    ends: float
    fails: bool = False
    spared: frozenset[str] = frozenset()
    forgotten: bool = False
    applied: bool = False


@dataclass
class Faults:
    """Probabilities of each fault at one call, and times during which everything answers the same way."""

    not_sent: float = 0.0
    lost_before: float = 0.0  # 5xx, reset or garbage without the effect
    lost_after: float = 0.0  # the same with it
    throttled: float = 0.0
    token: float = 0.0
    bad_job: float = 0.0  # fails, spares some, forgets itself or takes very long
    read_lag: float = 0.0
    outage: tuple[float, float] | None = None
    no_permission: tuple[float, float] | None = None


@dataclass
class Crm:
    """The organisation: leads, jobs, and what it answers."""

    world: World
    random: Random
    faults: Faults
    leads: dict[str, Lead] = field(default_factory=dict)
    jobs: dict[str, RunningJob] = field(default_factory=dict)
    wrong_options: set[str] = field(default_factory=set)
    names_all: bool | None = True  # all bad ids, only the first (False), none (None)
    calls: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    # --- the three calls (the Zoho port) ---

    def mass_convert(self, leads: Sequence[str], options: Mapping[str, Any]) -> PostAnswer:
        """POST one payload."""
        self.calls["post"] += 1
        fault = self._fault()
        if fault is not None and not isinstance(fault, str):
            return fault
        if fault == "before":
            return self._lost("POST")
        answer = self._take(list(leads), options)
        return self._lost("POST") if fault == "after" else answer

    def job_status(self, job_id: str) -> StatusAnswer:
        """GET the counts of a job."""
        self.calls["status"] += 1
        fault = self._fault()
        if fault is not None:
            return self._lost("status") if isinstance(fault, str) else fault
        self._pass_time()
        job = self.jobs.get(job_id)
        if job is None or job.forgotten:
            return Refused(400, "INVALID_DATA", "the job id is invalid", details={"param_name": "job_id"})
        total = len(job.leads)
        if self.world.time < job.ends:
            progress = Progress.SCHEDULED if self.world.time < job.starts else Progress.IN_PROGRESS
            return JobStatus(progress, total, 0, total, 0)
        if job.fails:
            return JobStatus(Progress.FAILED, total, 0, 0, total)
        converted = sum(1 for lead in job.leads if lead not in job.spared)
        return JobStatus(Progress.COMPLETED, total, converted, 0, total - converted)

    def read_leads(self, leads: Sequence[str]) -> ReadAnswer:
        """GET the leads themselves."""
        self.calls["read"] += 1
        fault = self._fault()
        if fault is not None:
            return self._lost("read") if isinstance(fault, str) else fault
        self._pass_time()
        lags = self.random.random() < self.faults.read_lag
        states = {}
        for lead_id in leads:
            lead = self.leads.get(lead_id)
            if lead is None or not lead.exists:
                continue
            recent = lead.converted_at is not None and self.world.time - lead.converted_at < 2.0
            shown = lead.converted_at if not (lags and recent) else None
            if shown is None:
                lead.unconverted_read = self.world.time
            states[lead_id] = LeadState(lead_id, shown is not None, converted_at=shown)
        return LeadsRead(states)

    # --- what it does ---

    def _take(self, leads: list[str], options: Mapping[str, Any]) -> PostAnswer:
        self._pass_time()
        stage = options.get("Deals", {}).get("Stage", "")
        bad = [place for place, lead_id in enumerate(leads) if not self._convertible(lead_id)]
        if bad:
            named = bad if self.names_all else bad[:1]
            paths = () if self.names_all is None else tuple(f"$.ids[{place}]" for place in named)
            return Refused(400, "INVALID_DATA", "the id given seems to be invalid", paths=paths or ("$.ids",))
        if stage in self.wrong_options:
            return Refused(400, "INVALID_DATA", "invalid data", paths=("$.Deals.Stage",))
        for lead_id in leads:
            self._check_looked_at(self.leads[lead_id])
        job = self._new_job(leads)
        self.jobs[job.id] = job
        for lead_id in leads:
            self.leads[lead_id].submitted = self.world.time
        self.world.note(f"   Zoho takes {len(leads)} leads as job {job.id}, ends at {job.ends - self.world.time:+.1f}")
        return Accepted(job.id)

    def _check_looked_at(self, lead: Lead) -> None:
        """A lead that was submitted may go out again only after a look that showed it unconverted."""
        if lead.submitted is not None and (lead.unconverted_read is None or lead.unconverted_read < lead.submitted):
            self.violations.append(f"lead {lead.id} was submitted again without a look")

    def _convertible(self, lead_id: str) -> bool:
        lead = self.leads.get(lead_id)
        return lead is not None and lead.exists and lead.converted_at is None

    def _new_job(self, leads: list[str]) -> RunningJob:
        starts = self.world.time + self.random.uniform(0.0, 1.0)
        job = RunningJob(str(7_000_000 + len(self.jobs)), leads, starts, starts + self.random.uniform(0.2, 4.0))
        stubborn = frozenset(lead_id for lead_id in leads if self.leads[lead_id].stubborn)
        job.spared = stubborn
        if self.random.random() < self.faults.bad_job:
            kind = self.random.choice(["fails", "spares", "forgotten", "slow", "very slow"])
            job.fails = kind == "fails"
            job.forgotten = kind == "forgotten"
            if kind == "spares":
                job.spared = stubborn | {lead_id for lead_id in leads if self.random.random() < 0.4}
            if kind == "slow":
                job.ends += self.random.uniform(5.0, 40.0)
            if kind == "very slow":
                job.ends += self.random.uniform(3000.0, 9000.0)
        return job

    def _pass_time(self) -> None:
        for job in self.jobs.values():
            if not job.applied and self.world.time >= job.ends:
                job.applied = True
                if job.fails:
                    continue
                for lead_id in job.leads:
                    lead = self.leads[lead_id]
                    if lead_id not in job.spared and lead.converted_at is None:
                        lead.converted_at, lead.by_us = job.ends, True

    def settle(self) -> None:
        """Let everything that has ended by now take effect (for the final comparison)."""
        self._pass_time()

    # --- what goes wrong ---

    def _fault(self) -> NotSent | PerhapsAccepted | Refused | str | None:
        during = self.world.time - 1_800_000_000.0
        faults = self.faults
        if faults.no_permission and faults.no_permission[0] <= during < faults.no_permission[1]:
            return Refused(403, "NO_PERMISSION", "permission denied")
        if faults.outage and faults.outage[0] <= during < faults.outage[1]:
            return NotSent(Unsent.CONNECT, "connection refused") if self.random.random() < 0.5 else "before"
        draw = self.random.random()
        for share, answer in (
            (faults.not_sent, NotSent(Unsent.CONNECT, "connection refused")),
            (faults.lost_before, "before"),
            (faults.lost_after, "after"),
            (faults.throttled, Refused(429, "TOO_MANY_REQUESTS", "slow down")),
            (faults.token, Refused(401, "INVALID_TOKEN", "invalid oauth token")),
        ):
            if draw < share:
                return answer
            draw -= share
        return None

    def _lost(self, call: str) -> PerhapsAccepted:
        self.world.note(f"   the answer to a {call} is lost")
        return PerhapsAccepted("connection reset", None, "")


class PlainGovernor:
    """Permits without Redis: it counts what is held, so that a history can prove that all came back."""

    def __init__(self, world: World, limit: int) -> None:
        self.world = world
        self.limit = limit
        self.gate_until = 0.0
        self.leases: dict[str, float] = {}
        self.highest = 0

    def acquire(self, call: Any) -> Any:
        """A permit, or Busy."""
        from massconvert.model import Busy, Permit  # noqa: PLC0415 - kept beside its only use

        now = self.world.time
        self.leases = {permit: end for permit, end in self.leases.items() if end > now}
        if now < self.gate_until:
            return Busy(self.gate_until - now, "the gate is closed")
        if len(self.leases) >= self.limit:
            return Busy(0.5, "all permits are taken")
        permit = Permit(f"p{self.world.random.getrandbits(48):x}", call)
        self.leases[permit.id] = now + 90.0
        self.highest = max(self.highest, len(self.leases))
        return permit

    def release(self, permit: Any) -> None:
        """Give a permit back."""
        self.leases.pop(permit.id, None)

    def close_gate(self, seconds: float, why: str) -> None:
        """Let nobody call for so long."""
        self.gate_until = max(self.gate_until, self.world.time + seconds)
