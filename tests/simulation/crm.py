"""Zoho as the simulation sees it: the truth about every lead, jobs that take time, faults before and after the effect.

It speaks the model's answers and not HTTP, so that a history takes milliseconds; the product's own simulator (over real
HTTP) judges the same promises in tests/acceptance. It keeps, besides what a CRM knows, what the judge needs: who
submitted a lead for which batch, when a read last showed it unconverted, and which of its jobs made the conversion.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from massconvert.model import (
    Accepted,
    DealsUpdated,
    DealUpdate,
    FindAnswer,
    FromZoho,
    JobStatus,
    LeadsFound,
    LeadsRead,
    LeadState,
    Linked,
    Listing,
    NotSent,
    Page,
    PageAnswer,
    PerhapsAccepted,
    PostAnswer,
    Progress,
    ReadAnswer,
    RecordsAnswer,
    Refusal,
    Refused,
    StatusAnswer,
    Unsent,
    UpdateAnswer,
)
from tests.simulation.customers import Customers, RecordPlan
from tests.simulation.plan import USERS, Faults
from tests.simulation.world import Process, Task, World

#: Zoho's rolling day for credits, which is ten minutes here; what calls cost.
DAY = 600.0
COSTS = {"mass_convert": 5, "convert": 5}

#: Seconds that a call may take in all.
CALL_DEADLINE = 30.0

#: Seconds by which the product takes a call to have reached Zoho sooner than it did, at most.
CLOCKS, UNCOUNTED = 3.0, 7.0


@dataclass(eq=False)
class Job:
    """A background job: at ``ends`` it converts its leads, all but the ``spared``."""

    id: str
    leads: list[str]
    deal: str  # what its deals are called
    sent: float  # when its payload was sent
    starts: float
    ends: float
    spared: frozenset[str] = frozenset()
    link: dict[str, Any] | None = None  # what the call for a single lead said
    fails: bool = False
    unknown_until: float = 0.0  # the status call does not know it before; never, if this is infinite
    converted: int = -1  # how many it converted, once it has ended
    end_told: bool = False  # a status answer told its end, or that it is unknown
    id_known: bool = False  # its id came into the ledger; else it was lost on the way


@dataclass(eq=False)
class Submission:
    """One payload with a lead on its way: for which batch, from a chunk made when, and the job it became."""

    batch: str
    created: float
    at: float
    job: Job | None = None


@dataclass(eq=False)
class Lead:
    """The truth about a lead."""

    id: str
    exists: bool = True
    stubborn: bool = False  # no job ever converts it
    locked: bool = False  # and a read shows why
    refused: bool = False  # Zoho refuses it for a reason that no read shows
    chokes: bool = False  # Zoho fails at every payload with it: HTTP 500, and nothing is done
    spoils: bool = False  # every job with it fails, and converts nobody
    odd: bool = False  # likewise, with a code that nobody knows and without naming it
    vanishes: bool = False  # converted, no read shows it any more
    blank: bool = False  # no read says whether it is converted
    was_blank: bool = False  # and none did so once, though they do now
    converted_at: float | None = None
    converted_by: Job | None = None  # None while unconverted, or converted by hand
    looked_at: float = 0.0  # when a read last showed it
    shown_unconverted: bool = False  # what that read showed
    submissions: list[Submission] = field(default_factory=list)
    deal: str = ""  # the name of its deal, once it has one
    amount: int | None = None  # and its amount
    nameless: bool = False  # the field that names deals is empty
    fussy: bool = False  # Zoho refuses to update its deal
    was_fussy: bool = False  # and did so once, though it does no more
    unlinkable: bool = False  # Zoho refuses to link it
    own: Mapping[str, str] = field(default_factory=dict)  # what some of its fields hold
    records: tuple[str, str] = ("", "")  # the contact and the account that it became

    @property
    def is_away(self) -> bool:
        """Whether no read shows it, though it exists."""
        return self.vanishes and self.converted_at is not None

    def value(self, name: str) -> str:
        """What a field of it holds."""
        return "" if self.nameless else self.own.get(name) or f"{name} {self.id[-5:]}"


#: Rows of a page, so that a few leads make several; and what stands in criteria that Zoho refuses.
ROWS = 3
WRONG = "No_Such_Field"
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


class Judge(Protocol):
    """Who looks at what happens here; see judge.py."""

    def arrives(self, lead: Lead, submission: Submission) -> None:
        """A payload with ``lead`` is on its way."""
        ...

    def creates(self, lead: Lead, submission: Submission) -> None:
        """A payload is on its way that makes new records of ``lead``."""
        ...

    def links(self, lead: Lead, submission: Submission, body: Mapping[str, Any]) -> None:
        """A call is on its way that links ``lead``."""
        ...

    def made(self, lead: Lead, contact: RecordPlan, account: RecordPlan | None, batch: str) -> None:
        """The conversion of ``lead`` makes these, or one of them, before they are there."""
        ...

    def call_begins(self, inside: Mapping[Task, float]) -> None:
        """These tasks are in a call, each since it got its permit."""
        ...

    def looks_at_a_job(self) -> None:
        """The current task looks at its chunk's job."""
        ...

    def credits_left(self, left: int) -> None:
        """A call has been made, and so many credits are left."""
        ...


@dataclass
class Crm:
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

    # --- the four calls (the Zoho port) ---

    def ready(self) -> str:
        """Get an access token, which may take as long as any call."""
        self.world.stop("before token")
        if self.world.troubled and self._chance.random() < self.faults.slow_tokens:
            self._take_long("a token", 90.0)
        self.world.stop("after token")
        return "token"

    def clock(self) -> float | None:
        """Zoho's clock, as the last answer that came to this process had it."""
        task = self.world.current()
        at, heard = self._told.get(task.process, (0.0, 0.0)) if task else (0.0, 0.0)
        return at + self.world.steady() - heard - CLOCKS if at else None

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

    def _call(self, name: str, effect: Callable[[], Any]) -> Any:
        world, task = self.world, self.world.current()
        assert task is not None
        self.calls[name] += 1
        self._inside[task] = task.permitted
        refusal = self._over_a_limit(name)
        world.stop(f"before {name}")
        answer = refusal or effect()
        told_at = 0.0
        if not isinstance(answer, NotSent | PerhapsAccepted):
            self.answered_at = world.time
            told_at = float(int(world.time + self.faults.clock_ahead))
            if self.faults.credits and not refusal:
                self._spent.append((world.time, COSTS.get(name, 1)))
                self.judge.credits_left(self._credits_left())
        if world.troubled and self.faults.slow_answers and self._chance.random() < self.faults.slow_answers:
            self._take_long(f"the answer to a {name}", CALL_DEADLINE)
        world.stop(f"after {name}")
        if told_at:
            self._told[task.process] = told_at, world.steady()
        self._inside.pop(task, None)
        return replace(answer, credits_left=self._credits_told()) if isinstance(answer, FromZoho) else answer

    def _over_a_limit(self, name: str) -> Refused | None:
        """429 when a neighbour leaves too few calls, or too few credits are left.

        Without a neighbour there are never more calls at once than the organisation allows; a permit whose lease has
        lapsed counts no more.
        """
        since = self.world.time - self.permit_lease + 1.0
        self._inside = {task: began for task, began in self._inside.items() if task.process.alive and began > since}
        inside = len(self._inside)
        self.judge.call_begins(self._inside)
        if inside > self.limit:
            self.world.wrong(f"{inside} calls run at once; Zoho allows {self.limit}")
        taken = sum(n.calls for n in self.faults.neighbours if n.start <= self.world.elapsed < n.start + n.length)
        cost, left = COSTS.get(name, 1), self._credits_left()
        if (taken and inside > self.limit - taken) or (self.faults.credits and cost > left):
            self.world.note(f"   Zoho refuses a {name}: {inside} calls, {taken} of a neighbour, {left} credits")
            task = self.world.current()
            assert task is not None
            self._inside.pop(task, None)
            return Refused(429, "TOO_MANY_REQUESTS", "over a limit")
        return None

    def _credits_left(self) -> int:
        while self._spent and self._spent[0][0] <= self.world.time - DAY:
            self._spent.popleft()
        return self.faults.credits - sum(cost for _, cost in self._spent)

    def _credits_told(self) -> int | None:
        """What the header says: nothing, until half of them are used."""
        left = self._credits_left()
        return left if self.faults.credits and left <= self.faults.credits / 2 else None

    # --- POST ---

    def _take_long(self, what: str, most: float) -> None:
        seconds = self._chance.uniform(0.6, 0.97) * most
        self.world.note(f"   {what} takes {seconds:.0f} s")
        self.world.sleep(seconds)

    def _leave(self, send_by: float) -> NotSent | None:
        """Connect, and look at the clock just before the first byte leaves."""
        if self.world.troubled and self._chance.random() < self.faults.slow_sends:
            self._take_long("connecting", self.send_within)
        if self.world.steady() <= send_by:
            return None
        self.world.note("   it is too late to send")
        return NotSent(Unsent.LATE, "too late")

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

    def _records(self, query: str, module: str, name: str) -> RecordsAnswer:
        fault = self._fault("records")
        if fault is not None:
            return self._lost("query") if isinstance(fault, str) else fault
        found = self.customers.find(query, module, name)
        self.world.note(f"   Zoho finds {len(found.records)} {module}")
        return found

    # --- GET ---

    def _status(self, job_id: str) -> StatusAnswer:
        fault = self._fault("job_status")
        if fault is not None:
            return self._lost("status call") if isinstance(fault, str) else fault
        job = self.jobs[job_id]
        job.id_known = True
        if self.world.time < job.unknown_until:
            job.end_told = job.unknown_until == float("inf")
            return Refused(400, "INVALID_DATA", "the job id is invalid", details={"param_name": "job_id"})
        total = len(job.leads)
        if job.converted < 0:
            progress = Progress.SCHEDULED if self.world.time < job.starts else Progress.IN_PROGRESS
            return JobStatus(progress, total, 0, total, 0)
        job.end_told = True
        if job.fails:
            return JobStatus(Progress.FAILED, total, 0, 0, total)
        return JobStatus(Progress.COMPLETED, total, job.converted, 0, total - job.converted)

    def _read(self, leads: Sequence[str], fields: Sequence[str]) -> ReadAnswer:
        fault = self._fault("read_leads")
        if fault is not None:
            return self._lost("read") if isinstance(fault, str) else fault
        if self.faults.lower_limit and len(leads) > 2 * self.faults.lower_limit - 1:
            return Refused(400, "INVALID_DATA", "too long", ("ids",), {"maximum_length": 1024})
        lag = self._chance.uniform(0.5, 5.0) if self._chance.random() < self.faults.read_lag else 0.0
        states = {}
        blank = frozenset(lead_id for lead_id in leads if self.leads[lead_id].blank and self.leads[lead_id].exists)
        for lead_id in leads:
            lead = self.leads[lead_id]
            if lead_id in blank:
                continue
            lead.looked_at = self.world.time
            lead.shown_unconverted = False
            if lead.exists and not lead.is_away:
                at = lead.converted_at
                shown = at is not None and self.world.time - at >= lag
                lead.shown_unconverted = not shown
                reported = at + self.faults.clock_ahead if shown and at is not None else None
                states[lead_id] = LeadState(
                    lead_id,
                    shown,
                    lead.locked,
                    reported,
                    contact_id=lead.records[0] if shown else "",
                    account_id=lead.records[1] if shown else "",
                    deal_id=f"9{lead_id}" if shown and lead.deal else "",
                    fields={name: lead.value(name) for name in fields},
                )
        converted = sum(state.converted for state in states.values())
        missing = len(leads) - len(states) - len(blank)
        self.world.note(
            f"   a read shows {converted} of {len(leads)} converted, {missing} missing, and nothing of {len(blank)}"
        )
        return LeadsRead(states, unclear=blank)

    def _update(self, updates: Sequence[DealUpdate]) -> UpdateAnswer:
        fault = self._fault("update_deals")
        if isinstance(fault, NotSent | Refused):
            return fault
        if fault in ("before", "late"):
            return self._lost("PUT", "before its effect")
        refused: list[Refusal | None] = []
        for update in updates:
            lead = self.leads[update.lead_id]
            if update.deal_id != f"9{lead.id}" or not lead.deal:
                self.world.wrong(f"deal {update.deal_id} was to be updated, which is not that of lead {lead.id}")
            if lead.fussy:
                refused.append(Refusal("INVALID_DATA", "invalid data", "Deal_Name"))
            else:
                lead.deal = str(update.values.get("Deal_Name", lead.deal))
                lead.amount = update.values.get("Amount", lead.amount)
                refused.append(None)
        self.world.note(f"   Zoho updates {refused.count(None)} of {len(updates)} deals")
        return self._lost("PUT", "after its effect") if fault == "after" else DealsUpdated(tuple(refused))

    def _users(self, page: int) -> PageAnswer:
        fault = self._fault("read_page")
        if fault is not None:
            return self._lost("read of users") if isinstance(fault, str) else fault
        rows = tuple({"id": user_id, "name": name, "email": name} for name, user_id in USERS[page - 1].items())
        return Page(rows, (str(page + 1),) if page < len(USERS) else ())

    def _query(self, query: str) -> FindAnswer:
        bounds = dict(re.findall(r"id (>|<=) (\d+)", query))
        low, high = int(bounds.get(">", 0)), int(bounds.get("<=", 2**63))
        return self._find("coql", WRONG in query, low, high, 0, int(query.rpartition(" ")[2]))

    def _search(self, criteria: str, page: int) -> FindAnswer:
        return self._find("search", WRONG in criteria, 0, 2**63, (page - 1) * ROWS, ROWS)

    def _find(self, call: str, wrong: bool, low: int, high: int, skip: int, rows: int) -> FindAnswer:
        fault = self._fault(call)
        if fault is not None:
            return self._lost(call) if isinstance(fault, str) else fault
        if wrong:
            return Refused(400, "INVALID_QUERY", "column given seems to be invalid")
        there = (lead for lead in self.leads.values() if lead.exists and lead.converted_at is None)
        ids = sorted((lead.id for lead in there if low < int(lead.id) <= high), key=int)[skip:]
        found = ids[: min(rows, ROWS)]
        self.world.note(f"   Zoho finds {len(found)} of {len(ids)} leads")
        return LeadsFound(tuple(found), more=len(ids) > len(found))

    # --- what goes wrong ---

    def _fault(self, call: str) -> NotSent | Refused | str | None:
        kind = self._kind(call)
        if kind == "not sent":
            return NotSent(Unsent.CONNECT, "connection refused")
        if kind == "no token":
            return NotSent(Unsent.DENIED, "too many refreshes", code="ACCESS_DENIED", retry_after=5.0)
        if kind == "credentials":
            return NotSent(Unsent.CREDENTIALS, "the refresh token is refused", code="invalid_code")
        if kind == "asked":
            return Refused(429, "TOO_MANY_REQUESTS", "come back tomorrow", retry_after=86_400.0)
        if kind == "throttled":
            return Refused(429, "TOO_MANY_REQUESTS", "slow down", retry_after=self._chance.choice([None, 3.0]))
        if kind == "token":
            return Refused(401, "INVALID_TOKEN", "invalid oauth token")
        if kind == "no permission":
            return Refused(403, "NO_PERMISSION", "permission denied")
        return kind

    def _kind(self, call: str) -> str | None:
        for window in self.faults.windows:
            if call in window.calls and window.start <= self.world.elapsed < window.start + window.length:
                return self._chance.choice(["not sent", "before"]) if window.kind == "mixed" else window.kind
        if not self.world.troubled:
            return None
        draw = self._chance.random()
        for kind, share in self.faults.shares:
            if draw < share:
                return kind
            draw -= share
        return None

    def _lost(self, call: str, when: str = "") -> PerhapsAccepted:
        self.world.note(f"   the answer to a {call} is lost {when}")
        return PerhapsAccepted("connection reset", None, "")


def void(_value: object) -> None:
    """An event's end: what it returned is nobody's."""
