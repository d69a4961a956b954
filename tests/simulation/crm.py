"""Zoho as the simulation sees it: the truth about every lead, jobs that take time, faults before and after the effect.

It speaks the model's answers and not HTTP, so that a history takes milliseconds; the product's own simulator (over real
HTTP) judges the same promises in tests/acceptance. It keeps, besides what a CRM knows, what the judge needs: who
submitted a lead for which batch, when a read last showed it unconverted, and which of its jobs made the conversion.

Here is what conversions come to; `truth` has leads and jobs, `line` what all calls have in common, `shown` the looks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from massconvert.model import (
    Accepted,
    DealUpdate,
    FindAnswer,
    Linked,
    Listing,
    NotSent,
    PageAnswer,
    PerhapsAccepted,
    PostAnswer,
    ReadAnswer,
    RecordsAnswer,
    Refused,
    StatusAnswer,
    UpdateAnswer,
)
from tests.simulation.customers import Customers, RecordPlan
from tests.simulation.plan import USERS, Faults
from tests.simulation.shown import Shown
from tests.simulation.truth import Job, Judge, Lead, Submission
from tests.simulation.world import Process, Task, World

#: What may be the matter with a job.
_BAD_JOBS = (
    "fails",
    "fails in part",
    "fails in part",
    "spares",
    "spares",
    "forgotten",
    "forgotten and slow",
    "lags",
    "slow",
    "very slow",
    "forgotten and slow",
)


@dataclass
class Crm(Shown):
    """The organisation: leads, jobs, and what it answers."""

    world: World
    faults: Faults
    limit: int
    permit_lease: float
    most: int  # leads of a payload
    send_within: float  # seconds after its write-ahead in which a payload may leave
    whose: Callable[
        [], Mapping[str, tuple[str, float]]
    ]  # of the chunk that the current task sends: lead -> batch, created
    judge: Judge
    leads: dict[str, Lead] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    jobs_of: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # (batch, lead) -> the jobs that took it
    wrong_stages: set[str] = field(default_factory=set)
    customers: Customers = field(default_factory=Customers)
    calls: Counter[str] = field(default_factory=Counter)
    answered_at: float = 0.0  # when the last usable answer was given
    _inside: dict[Task, float] = field(default_factory=dict)
    _told: dict[Process, tuple[float, float]] = field(default_factory=dict)  # Zoho's time, and when it came
    _spent: deque[tuple[float, int]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._chance = self.world.chance("zoho")

    # --- the calls (the Zoho port) ---

    def ready(self) -> str:
        """Get an access token, which may take as long as any call."""
        self.world.stop("before token")
        if self.world.troubled and self._chance.random() < self.faults.slow_tokens:
            self._take_long("a token", 90.0)
        self.world.stop("after token")
        return "token"

    def mass_convert(
        self, leads: Sequence[str], options: Mapping[str, Any], *, token: str, send_by: float
    ) -> PostAnswer:
        """POST one payload."""
        assert token == "token"
        return self._call("mass_convert", lambda: self._leave(send_by) or self._post(list(leads), options))  # type: ignore[no-any-return]  # Any call's answer

    def convert(self, lead: str, body: Mapping[str, Any], *, token: str, send_by: float) -> PostAnswer:
        """POST the conversion of a single lead."""
        assert token == "token"
        return self._call("convert", lambda: self._leave(send_by) or self._convert(self.leads[lead], dict(body)))  # type: ignore[no-any-return]  # Any call's answer

    def records(self, query: str, module: str, field: str) -> RecordsAnswer:
        """POST a query for contacts or accounts."""
        return self._call("records", lambda: self._records(query, module, field))  # type: ignore[no-any-return]  # as above

    def job_status(self, job_id: str) -> StatusAnswer:
        """GET the counts of a job."""
        self.judge.looks_at_a_job()
        return self._call("job_status", lambda: self._status(job_id))  # type: ignore[no-any-return]  # as above

    def read_leads(self, leads: Sequence[str], fields: Sequence[str] = ()) -> ReadAnswer:
        """GET the leads themselves."""
        return self._call("read_leads", lambda: self._read(leads, fields))  # type: ignore[no-any-return]  # as above

    def update_deals(self, updates: Sequence[DealUpdate]) -> UpdateAnswer:
        """PUT the names of deals."""
        return self._call("update_deals", lambda: self._update(updates))  # type: ignore[no-any-return]  # as above

    def read_page(self, listing: Listing, place: str) -> PageAnswer:
        """GET a page of the users, the only listing of this world."""
        assert listing is Listing.USERS
        return self._call("read_page", lambda: self._users(int(place or "1")))  # type: ignore[no-any-return]  # as above

    def coql(self, query: str) -> FindAnswer:
        """POST a query; a few rows a page, however many are asked for."""
        return self._call("coql", lambda: self._query(query))  # type: ignore[no-any-return]  # as above

    def search(self, criteria: str, page: int) -> FindAnswer:
        """GET a page of a search."""
        return self._call("search", lambda: self._search(criteria, page))  # type: ignore[no-any-return]  # as above

    # --- POST ---

    def _post(self, leads: list[str], options: Mapping[str, Any]) -> PostAnswer:
        self._look_at(leads, options)
        fault = self._fault("mass_convert")
        if isinstance(fault, NotSent | Refused):
            return fault
        whose = self.whose()
        sent = [Submission(*whose.get(lead_id, ("nobody", 0.0)), at=self.world.time) for lead_id in leads]
        for lead_id, submission in zip(leads, sent, strict=True):
            self.judge.arrives(self.leads[lead_id], submission)
            self.judge.creates(self.leads[lead_id], submission)
        if any(self.leads[lead_id].chokes for lead_id in leads):
            self._remember(leads, sent)
            self.world.note(f"   Zoho fails at {len(leads)} leads")
            return PerhapsAccepted("HTTP 500: Internal Server Error", 500, "INTERNAL_ERROR")
        if fault == "late":
            self.world.at(self._chance.uniform(0.5, 10.0), lambda: void(self._take(leads, options, sent, late=True)))
        if fault in ("before", "late"):
            self._remember(leads, sent)
            return self._lost("POST", "before its effect" if fault == "before" else "and it takes effect later")
        answer = self._take(leads, options, sent)
        if isinstance(answer, Accepted) or fault == "after":
            self._remember(leads, sent)
        if fault == "after":
            return self._lost("POST", "after its effect")
        return answer

    def _look_at(self, leads: list[str], options: Mapping[str, Any]) -> None:
        """Say what must not be in a payload."""
        user = options.get("assign_to")
        if user is not None and user not in [{"id": user_id} for page in USERS for user_id in page.values()]:
            self.world.wrong(f"a payload was sent with assign_to {user}")
        if "$" in options or "{" in options["Deals"]["Deal_Name"]:
            self.world.wrong("a payload was sent with what is ours")
        if len(leads) > self.most:
            self.world.wrong(f"a payload was sent with {len(leads)} leads, and {self.most} are the most")

    def _remember(self, leads: list[str], sent: list[Submission]) -> None:
        for lead_id, submission in zip(leads, sent, strict=True):
            if submission not in self.leads[lead_id].submissions:
                self.leads[lead_id].submissions.append(submission)

    def _take(
        self, leads: list[str], options: Mapping[str, Any], sent: list[Submission], *, late: bool = False
    ) -> PostAnswer:
        refusal = self._refusal(leads, options)
        if refusal:
            self.world.note(f"   Zoho refuses {len(leads)} leads: {refusal.code} {', '.join(refusal.paths)}")
            return refusal
        job = self._new_job(leads, options["Deals"]["Deal_Name"], sent[0].at, late=late)
        for lead_id, submission in zip(leads, sent, strict=True):
            submission.job = job
            self.jobs_of.setdefault((submission.batch, lead_id), set()).add(job.id)
        self.world.at(job.ends - self.world.time, lambda: self._end(job))
        self.world.note(
            f"   Zoho takes {len(leads)} leads as job {job.id}, which ends in {job.ends - self.world.time:.1f} s"
        )
        return Accepted(job.id)

    def _refusal(self, leads: list[str], options: Mapping[str, Any]) -> Refused | None:
        faults = self.faults
        if faults.lower_limit and len(leads) > faults.lower_limit:
            return Refused(400, "RECORD_LIMIT_EXCEEDED", "too many records")
        wrong = options.get("Deals", {}).get("Stage") in self.wrong_stages
        by_options = Refused(400, "INVALID_DATA", "invalid data", paths=("$.Deals.Stage",))
        if wrong and faults.options_first:
            return by_options
        bad = [place for place, lead_id in enumerate(leads) if not self._convertible(self.leads[lead_id])]
        if bad and faults.names != "counted":
            named = {"all": bad, "first": bad[:1], "none": []}[faults.names]
            paths = tuple(f"$.ids[{place}]" for place in named) or ("$.ids",)
            return Refused(400, "INVALID_DATA", "the id given seems to be invalid", paths=paths)
        if any(self.leads[lead_id].odd for lead_id in leads):
            return Refused(400, "NOBODY_KNOWS", "no reason")
        return by_options if wrong else None

    def _convertible(self, lead: Lead) -> bool:
        return lead.exists and not lead.refused and lead.converted_at is None

    def _new_job(self, leads: list[str], name: str, sent: float, *, late: bool) -> Job:
        now, uniform = self.world.time, self._chance.uniform
        job = Job(
            str(7_000_000 + len(self.jobs)),
            leads,
            name,
            sent,
            now + uniform(0.0, 0.5),
            now + uniform(*self.faults.jobs),
        )
        job.spared = frozenset(lead_id for lead_id in leads if self.leads[lead_id].stubborn)
        self.jobs[job.id] = job
        if any(self.leads[lead_id].spoils for lead_id in leads):
            job.fails, job.spared = True, frozenset(leads)
            return job
        if late or not self.world.troubled or self._chance.random() >= self.faults.bad_job:
            return job
        kind = "forgotten and slow" if self.faults.denied else self._chance.choice(_BAD_JOBS)
        some = frozenset(lead_id for lead_id in leads if self._chance.random() < 0.4)
        job.fails = kind in ("fails", "fails in part")
        job.spared = {"fails": frozenset(leads), "fails in part": some, "spares": some}.get(
            kind, frozenset()
        ) | job.spared
        job.unknown_until = {
            "forgotten": float("inf"),
            "forgotten and slow": float("inf"),
            "lags": now + uniform(1.0, 30.0),
        }.get(kind, 0.0)
        job.ends += {
            "slow": uniform(5.0, 40.0),
            "very slow": uniform(300.0, 1200.0),
            "forgotten and slow": uniform(150.0, 250.0),
        }.get(kind, 0.0)
        self.world.note(f"   job {job.id} {kind}")
        return job

    def _end(self, job: Job) -> None:
        job.converted = 0
        for lead_id in job.leads:
            lead = self.leads[lead_id]
            if lead_id not in job.spared and self._convertible(lead):
                self._become(lead, job)
                job.converted += 1
        self.world.note(f"   job {job.id} has ended and converted {job.converted} of {len(job.leads)}")

    def _become(self, lead: Lead, job: Job) -> None:
        """A lead is converted: into the records that it is linked to, and into new ones."""
        link = job.link or {}
        contact_id, account_id = link.get("Contacts", {}).get("id", ""), link.get("Accounts", {}).get("id", "")
        number, company = len(self.customers.kept), lead.value("Company")
        account = RecordPlan(account_id or str(8_000_000 + 2 * number), company)
        contact = RecordPlan(
            contact_id or str(8_000_001 + 2 * number), lead.value("Full_Name"), lead.value("Email"), module="Contacts"
        )
        makes_account = (
            company and not account_id and not (contact_id and self.customers.kept[contact_id].record.account)
        )
        whose = next((batch for (batch, of), jobs in self.jobs_of.items() if of == lead.id and job.id in jobs), "")
        if not contact_id or makes_account:
            self.judge.made(lead, contact, account if makes_account else None, whose)
        if makes_account:
            self.customers.add(account, self.world.time, (lead.id, whose))
        if not contact_id:
            of = account.id if company else ""
            self.customers.add(replace(contact, account=of), self.world.time, (lead.id, whose))
        lead.converted_at, lead.converted_by, lead.deal = self.world.time, job, job.deal
        lead.amount = link.get("Deals", {}).get("Amount", lead.amount)
        lead.records = (contact.id, account.id if company else "")

    # --- the conversion of a single lead ---

    def _convert(self, lead: Lead, body: dict[str, Any]) -> PostAnswer:
        fault = self._fault("convert")
        if isinstance(fault, NotSent | Refused):
            return fault
        sent = Submission(*self.whose().get(lead.id, ("nobody", 0.0)), at=self.world.time)
        self.judge.arrives(lead, sent)
        self.judge.links(lead, sent, body)
        if lead.chokes:
            self._remember([lead.id], [sent])
            return PerhapsAccepted("HTTP 500: Internal Server Error", 500, "INTERNAL_ERROR")
        if fault == "late":
            self.world.at(self._chance.uniform(0.5, 10.0), lambda: void(self._link(lead, body, sent, late=True)))
        if fault in ("before", "late"):
            self._remember([lead.id], [sent])
            return self._lost("conversion", "before its effect" if fault == "before" else "and it takes effect later")
        answer = self._link(lead, body, sent)
        if not isinstance(answer, Refused) or fault == "after":
            self._remember([lead.id], [sent])
        return self._lost("conversion", "after its effect") if fault == "after" else answer

    def _link(self, lead: Lead, body: dict[str, Any], sent: Submission, *, late: bool = False) -> PostAnswer:
        if refusal := self._link_refusal(lead, body):
            self.world.note(f"   Zoho refuses to link lead {lead.id}: {refusal.code}")
            return refusal
        name = body["Deals"]["Deal_Name"]
        if not late and self.world.troubled and self._chance.random() < self.faults.later:
            job = self._new_job([lead.id], name, sent.at, late=late)
            self.world.at(job.ends - self.world.time, lambda: self._end(job))
        else:
            now = self.world.time
            job = Job(str(7_000_000 + len(self.jobs)), [lead.id], name, sent.at, now, now, end_told=True)
            self.jobs[job.id] = job
        job.link, sent.job = body, job
        self.jobs_of.setdefault((sent.batch, lead.id), set()).add(job.id)
        if job.ends > self.world.time:
            self.world.note(f"   Zoho takes lead {lead.id} as job {job.id}, to be linked")
            return Accepted(job.id)
        self._end(job)
        return Linked(*lead.records, f"9{lead.id}")

    def _link_refusal(self, lead: Lead, body: dict[str, Any]) -> Refused | None:
        if not lead.exists:
            return Refused(400, "INVALID_DATA", "the id given seems to be invalid", details={"resource_path_index": 1})
        if lead.converted_at is not None:
            return Refused(400, "ID_ALREADY_CONVERTED", "converted already", details={"resource_path_index": 1})
        if lead.odd:
            return Refused(400, "NOBODY_KNOWS", "no reason")
        if lead.refused or lead.stubborn or lead.spoils:
            return Refused(400, "RECORD_LOCKED", "the record is locked")
        if body.get("Deals", {}).get("Stage") in self.wrong_stages:
            return Refused(400, "INVALID_DATA", "invalid data", paths=("$.data[0].Deals.Stage",))
        if lead.unlinkable or self.customers.mismatch(lead, body):
            return Refused(400, "DATA_MISMATCH", "the given contact is mismatched")
        return None


def void(_value: object) -> None:
    """An event's end: what it returned is nobody's."""
