"""What the simulated Zoho shows, and updates of deals: the calls of which a second one does no harm."""

from __future__ import annotations

import re
from collections.abc import Sequence

from massconvert.model import (
    DealsUpdated,
    DealUpdate,
    FindAnswer,
    JobStatus,
    LeadsFound,
    LeadsRead,
    LeadState,
    NotSent,
    Page,
    PageAnswer,
    Progress,
    ReadAnswer,
    RecordsAnswer,
    Refusal,
    Refused,
    StatusAnswer,
    UpdateAnswer,
)
from tests.simulation.customers import Customers
from tests.simulation.line import Line
from tests.simulation.plan import TUNING, USERS
from tests.simulation.truth import Job, Lead

#: Rows of a page, so that a few leads make several; and what stands in criteria that Zoho refuses.
ROWS = 3
WRONG = "No_Such_Field"


class Shown(Line):
    """Looks at jobs, leads, users and records; `crm.Crm` says what conversions come to."""

    leads: dict[str, Lead]
    jobs: dict[str, Job]
    customers: Customers

    def _records(self, query: str, module: str, name: str) -> RecordsAnswer:
        fault = self._fault("records")
        if fault is not None:
            return self._lost("query") if isinstance(fault, str) else fault
        found = self.customers.find(query, module, name)
        self.world.note(f"   Zoho finds {len(found.records)} {module}")
        return found

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
        late = self._is_late()
        blank = frozenset(lead_id for lead_id in leads if self.leads[lead_id].blank and self.leads[lead_id].exists)
        for lead_id in leads:
            lead = self.leads[lead_id]
            if lead_id in blank:
                continue
            lead.looked_at = self.world.time
            lead.shown_unconverted = late and lead.shown_unconverted
            if lead.exists and not lead.is_away:
                at = lead.converted_at
                shown = at is not None and self.world.time - at >= lag
                lead.shown_unconverted |= not shown
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

    def _is_late(self) -> bool:
        """Whether the reader was frozen for longer than its claim lasts: what it sees may be nobody's to know."""
        task = self.world.current()
        return bool(task and task.permitted and self.world.time > task.permitted + TUNING.lease)

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
