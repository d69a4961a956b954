"""An outcome with Zoho's truth: what the judge says of each that is written, and of each at the end."""

from __future__ import annotations

import json
from collections import Counter
from math import inf

from massconvert.ledger import Counted, Ledger
from massconvert.model import Code, Kind, Outcome, RunState
from tests.simulation.crm import Crm
from tests.simulation.line import CALL_DEADLINE, CLOCKS, UNCOUNTED
from tests.simulation.matching import Matching
from tests.simulation.plan import NOBODY, WRONG_STAGE, Order, Plan, StoreFaults
from tests.simulation.truth import Job, Lead, Submission
from tests.simulation.wire import Wire
from tests.simulation.world import EPOCH, World

#: How far a read may lag (see Crm._read), in seconds.
_LAG = 5.0


class Outcomes:
    """Holds outcomes to the truth, as far as anybody could know it; a part of the `judge.Judge`."""

    _first_left: dict[tuple[str, str], float]
    _orders: dict[str, Order]
    _prefix: str
    _submitted: dict[tuple[str, str], Submission]
    _wire: Wire
    batches: list[str]
    crm: Crm
    ended: Counter[str]
    matching: Matching
    moved: Counter[str]
    outcomes: dict[tuple[str, str], Outcome]
    plan: Plan
    unknowable: Counter[str]
    world: World

    def _untrue(self, batch: str, lead_id: str, outcome: Outcome) -> str:
        """Say how an outcome differs from Zoho's truth; empty when it does not."""
        if batch in self._orders:
            return self._untrue_at_first(batch, lead_id, outcome)
        return self._untrue_again(self._order_of(batch), lead_id, outcome)

    def _untrue_at_first(self, batch: str, lead_id: str, outcome: Outcome) -> str:
        order, lead = self._orders[batch], self.crm.leads.get(lead_id)
        said = f"is {outcome.kind.value} {outcome.code}".rstrip()
        if outcome.code == Code.INVALID_ID:
            return "" if lead_id in order.invalid else f"{said}, but it is an id"
        if lead is None:
            return f"{said}, but there is no such lead"
        if outcome.code == Code.ALREADY_QUEUED:
            return "" if self._elsewhere(order, lead_id) else f"{said}, but no other batch has it"
        ours = self._converted_for(lead, batch)
        if outcome.job_id and outcome.job_id not in self.crm.jobs_of.get((batch, lead_id), ()):
            return f"{said} by job {outcome.job_id}, which never had it"
        if outcome.kind is Kind.CONVERTED:
            return self._deal(order, lead, outcome, said) if ours else self._not_ours(lead, batch, said)
        if outcome.code == Code.ALREADY_CONVERTED:
            return self._before(lead, said, ours=ours)
        if outcome.code in (Code.NOT_VISIBLE, Code.STATE_UNKNOWN, Code.NOT_FOUND):
            return self._unseen(batch, lead, outcome, said)
        if ours:
            return self._late(lead, outcome, said)
        if outcome.kind is not Kind.FAILED:
            return self._not_converted(order, lead, outcome, said)
        return "" if self._has_reason(batch, lead, outcome) else f"{said} {outcome.message}, without a reason"

    def _not_converted(self, order: Order, lead: Lead, outcome: Outcome, said: str) -> str:
        """Held, or cancelled: did anybody want that?"""
        if outcome.code in (Code.MATCH_FOUND, Code.MATCH_UNCLEAR):
            why = self.matching.untrue(order, lead, outcome.code)
            return f"{said}, {why}" if why else ""
        return "" if order.cancel_at else f"{said}, but nobody cancelled"

    def _before(self, lead: Lead, said: str, *, ours: bool) -> str:
        """`ALREADY_CONVERTED`: by somebody else, or by us for a batch that Redis has forgotten as a whole."""
        if ours and self.plan.store.forgets and not self.plan.keeps:
            self.unknowable["converted by us, before Redis forgot it all"] += 1
            return ""
        if ours:
            return f"{said}, but we converted it"
        return "" if lead.converted_at else f"{said}, but it is not converted"

    def _unseen(self, batch: str, lead: Lead, outcome: Outcome, said: str) -> str:
        """What became of it nobody can see: then no outcome is against the truth, but it must be out of sight."""
        if outcome.code == Code.STATE_UNKNOWN:
            return "" if lead.was_blank else f"{said}, but a read shows it"
        taken = bool(self.crm.jobs_of.get((batch, lead.id)))
        if outcome.code == Code.NOT_FOUND and taken:
            return f"{said}, but a job of this batch had it"
        return f"{said}, but it exists" if lead.exists and not lead.is_away else ""

    def _elsewhere(self, order: Order, lead_id: str) -> bool:
        """Whether somebody else has ordered it, so that it may be in flight there."""
        return any(lead_id in other.leads for other in self.plan.orders if other is not order)

    def _untrue_again(self, order: Order, lead_id: str, outcome: Outcome) -> str:
        """The deals of an order were tried again: its leads are converted, whatever comes of that."""
        said = f"is {outcome.kind.value} {outcome.code}".rstrip()
        if outcome.code == Code.ALREADY_QUEUED:
            others = len(order.deals_again) > 1 or self._elsewhere(order, lead_id)
            return "" if others else f"{said}, but no other batch has it"
        if outcome.kind is not Kind.CONVERTED:
            return f"{said}, and it was a retry of deals"
        return self._untrue_at_first(order.batch, lead_id, outcome)

    def _deal(self, order: Order, lead: Lead, outcome: Outcome, said: str) -> str:
        """Say how the deal of a lead that we converted differs from what was asked, or from what is said of it."""
        amount = order.amount_of(lead.id)
        if outcome.code == Code.DEAL_NOT_UPDATED:
            windows = any(window.length >= self.plan.tuning.give_up for window in self.plan.faults.windows)
            forbidden = any(window.kind == "no permission" for window in self.plan.faults.windows)
            unanswered = bool(self.plan.faults.shares) and "no usable answer" in outcome.message
            unseen = lead.vanishes or lead.was_blank or not lead.exists
            excused = lead.was_fussy or windows or forbidden or unanswered or unseen
            return (
                "" if (order.named or amount is not None) and excused else f"{said} {outcome.message}, without a reason"
            )
        if outcome.code:
            return f"{said}, which is no code of a conversion"
        owners = [order, *self._perhaps_owners(order, lead)]
        names = [f"Renewal of {lead.value('Company')}".strip() if owner.named else "Renewal" for owner in owners]
        if lead.amount not in [owner.amount_of(lead.id) for owner in owners]:
            return f"{said}, but the amount of its deal is {lead.amount} and not {amount}"
        return "" if lead.deal in names else f"{said}, but its deal is {lead.deal!r} and not {names[0]!r}"

    def _perhaps_owners(self, order: Order, lead: Lead) -> list[Order]:
        """Other orders that take a lead for converted by them, where nobody could know: they write its deal as well."""
        others = (other for other in self.plan.orders if other is not order and lead.id in other.leads)
        said = ((other, self.outcomes.get((other.batch, lead.id))) for other in others)
        return [other for other, outcome in said if outcome is None or outcome.kind is Kind.CONVERTED]

    def _order_of(self, batch: str) -> Order:
        """The order of a batch, or of the one whose deals it tries again."""
        return self._orders.get(batch) or self._orders[batch.partition(".")[0]]

    def retries(self) -> list[str]:
        """The batches that try deals again."""
        return [name for name in self.batches if name not in self._orders]

    def _converted_for(self, lead: Lead, batch: str) -> bool:
        job = lead.converted_by
        return job is not None and job.id in self.crm.jobs_of.get((batch, lead.id), ())

    def _not_ours(self, lead: Lead, batch: str, said: str) -> str:
        """`converted`, though no job of this batch did it: excused only if it could have been ours."""
        mine = self._submitted.get((batch, lead.id))
        if lead.converted_at is None:
            return f"{said}, but it is not converted"
        order = self._orders[batch]
        # Nothing of ours arrived where a worker died just before its POST, which nobody can tell from just after it.
        since = mine.created if mine else EPOCH + min((order.at, *order.again))
        # A payload is taken to leave sooner than it did: by what clocks may differ, the fraction of Zoho's seconds, and
        # the way of the answer that had its time.
        sooner = CLOCKS + 1.0 + (CALL_DEADLINE if self.plan.faults.slow_answers else 0.0)
        if self._is_counted(batch, lead):  # then Zoho has said when it came, and that it converted others
            known = lead.converted_at >= lead.submissions[0].at - sooner
        else:
            known = lead.converted_at + self.plan.faults.clock_ahead >= since - self.plan.tuning.clock_skew - 1.0
            if not (self.plan.store.forgets or self.plan.mishaps.freeze):  # the sender knew when its payload left
                known &= lead.converted_at >= self._first_left.get((batch, lead.id), -inf) - sooner - UNCOUNTED
        if known:
            self.unknowable["converted by somebody else while it could have been us"] += 1
            return ""
        return f"{said}, but somebody else converted it"

    def _is_counted(self, batch: str, lead: Lead) -> bool:
        """Whether one payload alone had this lead, and Zoho answered to it, and counted what became of its leads."""
        sent = lead.submissions
        job = sent[0].job if len(sent) == 1 and sent[0].batch == batch else None
        simple = self.plan.store == StoreFaults() and not (self.plan.mishaps.crash or self.plan.mishaps.freeze)
        return bool(simple and job and job.id_known and job.end_told and not job.fails and job.converted >= 0)

    def _late(self, lead: Lead, outcome: Outcome, said: str) -> str:
        """Not `converted`, though a job of this batch did it: excused only if that job was lost and very slow."""
        job = lead.converted_by
        if job and not job.id_known and not self._is_normal(job):
            self.unknowable["converted by a slow job whose id was lost"] += 1
            return ""
        if job and outcome.code != Code.NOT_CONVERTED and job.unknown_until == float("inf"):
            self.unknowable["ended by something else while a job ran that Zoho denied"] += 1
            return ""
        return f"{said}, but we converted it"

    def _has_reason(self, batch: str, lead: Lead, outcome: Outcome) -> bool:
        """Whether Zoho gave cause for this failure."""
        order, faults = self._orders[batch], self.plan.faults
        if outcome.code == Code.NOT_CONVERTED:
            counted = faults.names == "counted" and lead.refused
            return counted or lead.stubborn or lead.spoils or faults.bad_job > 0.0
        if outcome.code == Code.LOCKED:
            return bool(order.preflight or order.on_match != "create" or order.links) and lead.locked
        if outcome.code == Code.UNKNOWN_NAME:
            return order.assignee == NOBODY
        if outcome.code == Code.GAVE_UP:
            # Workers that go on dying or freezing are an outage, too, and so is a Redis that goes on refusing what they
            # would record: a chunk whose senders were lost had no answer.
            mishaps, store = self.plan.mishaps, self.plan.store
            lost = mishaps.crash + mishaps.freeze + store.before + store.after + store.refused
            died = lost > 0.0 and "died before it could record" in outcome.message
            long = any(window.length >= self.plan.tuning.give_up for window in faults.windows)
            # Where jobs take minutes, so do looks: a day of twenty has too few of them to find who is to blame.
            slow = faults.bad_job > 0.0 and any(each.chokes for each in self.crm.leads.values())
            return bool(faults.shares) or long or died or slow or lead.chokes
        if ".Deals" in outcome.message:
            fixed = 0.0 <= self.plan.stage_restored_at < order.at
            return order.stage == WRONG_STAGE or (self.plan.stage_removed_at >= 0.0 and not fixed)
        if outcome.code in ("INTERNAL_ERROR", "NO_ANSWER"):
            return lead.chokes or bool(faults.shares)
        if outcome.code == "RECORD_LOCKED":
            links = order.on_match == "link" or order.link_of(lead.id)
            return bool(links) and (lead.refused or lead.stubborn or lead.spoils)
        if outcome.code == "NOBODY_KNOWS":
            return lead.odd or sum(each.odd for each in self.crm.leads.values()) >= self.plan.tuning.refusals_to_blame
        return outcome.code == "INVALID_DATA" and lead.refused

    def _too_soon(self, lead_id: str, outcome: Outcome) -> str:
        """A failure that was read from the lead itself must have been true when it was read, but for Zoho's lag."""
        lead = self.crm.leads.get(lead_id)
        by_a_read = (
            outcome.code
            in (Code.NOT_CONVERTED, "INVALID_DATA", "NOBODY_KNOWS", "INTERNAL_ERROR", "NO_ANSWER", "RECORD_LOCKED")
            and ".Deals" not in outcome.message
        )
        if lead is None or lead.converted_at is None or not by_a_read or outcome.kind is not Kind.FAILED:
            return ""
        return "failed by a read, but it had been converted" if lead.converted_at < lead.looked_at - _LAG else ""

    def _judge_batches(self, ledger: Ledger) -> None:
        for order in self.plan.orders:
            if self._wire.call("EXISTS", f"{self._prefix}batch:{order.batch}"):
                self._judge_batch(order.batch, ledger)
            elif not (order.abandoned or order.find):
                self.world.wrong(f"{order.batch} was never opened")
            if order.find:
                self._judge_run(order, ledger)
        for retry in self.retries():
            self._judge_batch(retry, ledger)

    def _judge_counts(self, ledger: Ledger) -> None:
        """The counts are what was written, also where a worker died or was late, and the days add up to them."""
        counted, days = ledger.days.totals().counted, ledger.days.read(EPOCH - 1000.0, self.world.time + 1000.0)
        ended = Counter((outcome.kind.value, outcome.code) for outcome in self.outcomes.values())
        if counted.ended != ended:
            self.world.wrong(f"{counted.ended} ends are counted, and {dict(ended)} were written")
        if counted.enqueued != len(self.outcomes):
            self.world.wrong(f"{counted.enqueued} leads are counted as enqueued, and {len(self.outcomes)} have ended")
        by_day = Counted.together(quarter.counted for quarter in days).numbers
        wanted = {name: number for name, number in counted.numbers.items() if not name.startswith("row|") and number}
        if by_day != wanted:
            self.world.wrong(f"the days have counted {by_day}, and the ledger {wanted}")
        if self.plan.store.forgets:  # what Zoho and the workers saw, Redis may have forgotten
            return
        if counted.rows != self.moved:
            self.world.wrong(f"{counted.rows} rows are counted, and {dict(self.moved)} were written")
        answered: Counter[str] = Counter()
        for (kind, answer), number in counted.calls.items():
            answered[kind] += number if answer != "unknown" else 0
        if answered != self.ended:
            self.world.wrong(f"{dict(answered)} calls are counted, and {dict(self.ended)} permits were given back")

    def _judge_run(self, order: Order, ledger: Ledger) -> None:
        """A run that came to its end has all leads that were there to be found, or as many as it may take."""
        run, find = ledger.runs.get(order.batch), order.find
        if run is None or find is None:  # no beat's message arrived, or the run before still found leads
            return
        if run.state is RunState.FINDING:
            self.world.wrong(f"run {run.id} never ended")
        rows = list(ledger.batches.rows(run.id)) if run.taken or run.found else []
        taken = sum(not (row.outcome and row.outcome.code == Code.ALREADY_QUEUED) for row in rows)
        if find.max_leads is not None and taken > find.max_leads:
            self.world.wrong(f"run {run.id} took {taken} leads, and may take {find.max_leads}")
        if run.state is not RunState.DONE or run.more or find.search:  # a search's pages move: the next run finds them
            return
        have = {row.lead_id for row in rows}
        for lead in self.crm.leads.values():
            there = lead.exists and (lead.converted_at is None or lead.converted_at > run.ended_at + 1.0)
            if there and lead.id not in have:
                self.world.wrong(f"run {run.id} did not find lead {lead.id}")

    def _judge_batch(self, batch: str, ledger: Ledger) -> None:
        order, status, rows = self._order_of(batch), ledger.batches.status(batch), list(ledger.batches.rows(batch))
        world = self.world
        wanted = Counter([*dict.fromkeys(order.leads), *order.invalid])
        have = Counter(row.lead_id for row in rows)
        if have != wanted and not ((order.abandoned or order.find or batch != order.batch) and have <= wanted):
            world.wrong(f"{batch} reports {sum(have.values())} leads and was given {sum(wanted.values())}")
        kinds = Counter(row.outcome.kind if row.outcome else None for row in rows)
        counted = {Kind(name): getattr(status, name) for name in ("converted", "failed", "skipped", "cancelled")}
        if any(kinds[kind] != n for kind, n in counted.items()) or status.total != len(rows) or kinds[None]:
            world.wrong(f"{batch} counts {json.dumps({k.value: n for k, n in counted.items()})}, its rows differ")
        for row in rows:
            if row.outcome is None:
                world.wrong(f"{batch} lead {row.lead_id} has no outcome")
            elif self.outcomes.get((batch, row.lead_id)) != row.outcome:
                world.wrong(f"{batch} lead {row.lead_id} is reported with another outcome than was written")
            elif wrong := self._untrue(batch, row.lead_id, row.outcome):
                world.wrong(f"{batch} lead {row.lead_id} {wrong}")

    def _is_normal(self, job: Job) -> bool:
        """Whether a job's end came as soon as the product may expect it, counted from its submission."""
        return job.ends - job.sent <= self.plan.faults.jobs[1]
