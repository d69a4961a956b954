"""What must hold: after every step of a history, and at its end.

There are three kinds of rules.

*The ledger with itself*, after every script that may have written (audit.lua, one round trip): counts equal rows; no
lead is in flight twice, lost, or open with an outcome; what waits will be looked at; an outcome once written never
changes.

*An outcome with Zoho's truth*, when it is written and again at the end, when every job has ended. The judge knows what
the product cannot: which job converted a lead, for which batch it was submitted, what a read would have shown. Where
the truth cannot be known by anybody who only has Zoho's answers, the judge says `unknowable` and counts it, in two
narrow cases: a conversion by a job whose id was lost and which ran longer than any wait was meant for; and a conversion
by somebody else at a time at which it could have been ours.

*A submission with what was known before it*, when it arrives at Zoho: a lead that may have been taken may come again
only after a read that showed it, and that read must not have come while a job of normal speed still ran.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any

from massconvert.ledger import Counted, Ledger
from massconvert.ledger.codec import load_looks, load_outcome, open_leads, pairs, segments
from massconvert.model import Code, Kind, Outcome, RunState
from massconvert.policy import Decision, Row, size_of
from massconvert.policy.holds import DEAREST_CALL
from massconvert.policy.polling import LOST, OPEN, is_late
from tests.simulation.crm import CLOCKS, DAY, UNCOUNTED, Crm, Job, Lead, Submission
from tests.simulation.customers import RecordPlan
from tests.simulation.hearing import Hearing
from tests.simulation.matching import Matching
from tests.simulation.plan import NOBODY, WRONG_STAGE, MessageFaults, Order, Plan, Window
from tests.simulation.store_port import StoreFaults, Wire, packed
from tests.simulation.telling import Telling
from tests.simulation.world import EPOCH, Task, World

AUDIT = (Path(__file__).parent / "audit.lua").read_text(encoding="utf-8")

#: Outcomes of leads that were never in flight in their batch.
_NEVER_IN_FLIGHT = frozenset({Code.ALREADY_QUEUED, Code.INVALID_ID})
#: Of so many moves that change nothing of what is counted, one is looked at.
_MOVES = 8
#: How far a read may lag (see Crm._read), in seconds.
_LAG = 5.0
#: How far the clocks of two processes may be apart, in seconds.
_CLOCKS = 0.15
#: Seconds from Zoho's recovery to ours.
_RECOVERY = 60.0


class Judge:
    """Holds one history to the promises."""

    def __init__(self, plan: Plan, world: World, wire: Wire, prefix: str) -> None:
        self.plan = plan
        self.world = world
        self.crm: Crm  # they know each other
        self.outcomes: dict[tuple[str, str], Outcome] = {}
        self.unknowable: Counter[str] = Counter()
        self.looks = 0
        self.batches: list[str] = []  # as the last look found them
        self.finished: list[str] = []
        self.somebody_waits = False  # to be told of a batch that has finished
        self.ended: Counter[str] = Counter()  # permits that were given back, by the kind of their call
        self.moved: Counter[str] = Counter()  # decisions that were written, by row
        self.resumed: set[str] = set()  # batches that have been let go on, by a person or by their canary
        self._wire = wire
        self._prefix = prefix
        #: The command that looks at the whole ledger.
        self.words = packed(("EVALSHA", wire.script(AUDIT), 1, prefix))
        self._orders = {order.batch: order for order in plan.orders}
        self._submitted: dict[tuple[str, str], Submission] = {}
        self._first_left: dict[tuple[str, str], float] = {}
        self._unseen_moves = 0
        self._step = 0  # counts what was done to the ledger
        self._sent: dict[str, int] = {}  # chunk: when it was written ahead
        self._cancelled: dict[str, int] = {}
        self._permitted: dict[Task, int] = {}
        self._over: dict[tuple[str, str], list[Submission]] = {}  # of leads that have ended
        self._known_to_old: list[Submission] = []  # those of them that a primary of before knew to have ended
        self.on_their_way: dict[Task | None, dict[str, tuple[str, float]]] = {}
        self._paused = 0  # since when a person has paused everything
        self._formed: dict[str, float] = {}  # options: when the last payload of them was made
        self.hearing = Hearing(plan, world, wire, prefix, self.outcomes)
        self._telling = Telling(world, wire, prefix)
        self.matching = Matching(plan, world, self._orders, self.outcomes, self.unknowable)

    # --- after every step ---

    def is_needed(self, name: str, args: Sequence[Any]) -> bool:
        """Whether to look after this script: not each time that a chunk only comes again later.

        What is wrong in the ledger stays so, hence a later look finds it; and outcomes are written by none of these.
        """
        self._unseen_moves += 1
        if name == "move_chunk" and self._unseen_moves < _MOVES and not self._cancelled:
            _, _, state, _, fields, ended, rest, split, changes, *_, aside = args
            if ended == "[]" and json.loads(changes).keys() <= {"row", "told"} and not (rest or int(split) or aside):
                return bool(json.loads(fields)["state"] != state)
        return True

    def read(self, name: str, found: Any) -> None:
        """Judge what the look after script ``name`` found."""
        problems, news, self.batches, self.finished, calls = found
        self.somebody_waits = bool(calls)
        self.looks += 1
        self._unseen_moves = 0
        for problem in sorted(problems):  # Redis keeps its hashes in an order of its own
            self.world.wrong(f"after {name}: {problem}")
        for batch, lead_id, text in sorted(zip(news[::3], news[1::3], news[2::3], strict=True)):
            self._written(batch, lead_id, load_outcome(text, "audit"))

    def _written(self, batch: str, lead_id: str, outcome: Outcome) -> None:
        self.outcomes[batch, lead_id] = outcome
        self._telling.ends(batch, lead_id, outcome)
        self.world.note(f"   {batch} {lead_id}: {outcome.kind.value} {outcome.code}".rstrip())
        wrong = self._untrue(batch, lead_id, outcome) or self._too_soon(lead_id, outcome)
        if wrong:
            self.world.wrong(f"{batch} lead {lead_id} {wrong}")
        if lead_id in self.crm.leads and outcome.code not in _NEVER_IN_FLIGHT:
            submissions = self.crm.leads[lead_id].submissions
            self._over[batch, lead_id] = submissions.copy()
            submissions.clear()

    def forgot(self) -> None:
        """Redis has lost what it acknowledged last: outcomes and stops that it knows no more are none."""
        self.outcomes.clear()
        self._known_to_old = [submission for over in self._over.values() for submission in over]
        for (_, lead_id), submissions in self._over.items():
            self.crm.leads[lead_id].submissions[:0] = submissions
        self._over.clear()
        self._formed.clear()
        chunks = self._wire.call("KEYS", f"{self._prefix}chunk:*")
        known = {self._wire.call("HGET", chunk, "job") for chunk in chunks}
        for job in self.crm.jobs.values():
            job.id_known &= job.id in known
        for batch in [*self._cancelled]:
            if not self._wire.call("HGET", f"{self._prefix}batch:{batch}", "drain"):
                del self._cancelled[batch]
        self.read("a failover", self._wire.calls(self.words)[0])
        self._telling.forgot()  # of what had ended before the story was judged then

    # --- what was stopped ---

    def took_effect(self, name: str, args: Sequence[Any], answer: Any) -> None:
        """Remember in which order things were stopped and let go: between a look and an act others act."""
        self._step += 1
        task = self.world.current()
        self._count(name, args, answer)
        self._telling.note(name, args, answer)
        if name == "begin_send" and answer[0] == 1:
            self._sent[args[0]] = self._step
            self._note_first(leads := self.leads_of(args[0]))
            if self.plan.store.forgets:
                self.on_their_way[task] = leads
        elif name == "cancel_batch" and answer[4] != "":  # else it had finished, and the command says so
            self._cancelled.setdefault(args[0], self._step)
        elif name == "take_permit" and answer[0] == "taken" and task:
            self._permitted[task] = self._step
        elif name == "pause_organisation":
            self._paused = self._paused or self._step
        elif name == "resume_organisation":
            self._paused = 0
        elif name == "form_chunks":
            self._made(answer[0])
        elif name == "add_leads" and answer[0] > 0:  # what was there before has waited its time
            self._goes_at_once(args)
        elif self._paused and name in ("move_chunk", "move_run", "claim_chunk", "claim_run"):
            self._stays_paused(name)

    def _note_first(self, leads: Mapping[str, tuple[str, float]]) -> None:
        """The first payload with a lead of a batch leaves, and its sender knows Zoho's clock, or does not."""
        since = self.world.time if self.crm.clock() is not None else -inf
        for lead, (batch, _created) in leads.items():
            self._first_left.setdefault((batch, lead), since)

    def _count(self, name: str, args: Sequence[Any], answer: Any) -> None:
        if name == "move_chunk" and answer[0]:
            self.moved[json.loads(args[8])["row"]] += 1
        elif name == "return_permit" and answer[0]:
            self.ended[args[0].partition(":")[0]] += 1

    def _made(self, chunks: Sequence[str]) -> None:
        made = (self._wire.call("HGET", f"{self._prefix}chunk:{chunk}", "fp") for chunk in chunks)
        self._formed |= {options: float(self.world.redis_time()) for options in made if options}

    def _stays_paused(self, name: str) -> None:
        there, probe = self._wire.call("HMGET", f"{self._prefix}pause", "since", "probe")
        if there is None or probe is not None:
            self.world.wrong(f"after {name}: what a person has paused goes on, and no person has resumed it")

    def _goes_at_once(self, args: Sequence[Any]) -> None:
        """Leads came: do they go without company, though a payload of their options went a moment ago?"""
        options, now = self._wire.call("HGET", f"{self._prefix}batch:{args[0]}", "fp"), float(self.world.redis_time())
        ready = self._wire.call("ZSCORE", f"{self._prefix}inboxes", options)
        waiting = int(self._wire.call("HGET", f"{self._prefix}options:{options}", "waiting") or 0)
        if ready is None or abs(float(ready) - now) > 0.001 or waiting >= self.plan.tuning.max_leads:
            return
        since = now - self._formed.get(options, 0.0)
        if since < 2 * self.plan.tuning.linger or not self.plan.tuning.at_once:
            self.world.wrong(f"{args[0]} goes without company {since:.1f} s after a payload of its options")

    def took_effect_beside(self, name: str, args: Sequence[Any], answer: Any) -> None:
        """Remember what a primary that was replaced lets somebody send; the ledger knows nothing of it."""
        if name == "begin_send" and answer[0] == 1:
            self.on_their_way[self.world.current()] = self.leads_of(args[0], self._wire.beside)

    def leads_of(self, chunk: str, ask: Callable[..., Any] | None = None) -> dict[str, tuple[str, float]]:
        """The leads of a chunk, each with its batch and when the chunk was made."""
        members, created = (ask or self._wire.call)("HMGET", f"{self._prefix}chunk:{chunk}", "members", "created")
        return {lead: (batch, float(created)) for batch, leads in segments(members or "") for lead in leads}

    def _stopped(self, lead: Lead, batch: str) -> None:
        """A lead is on its way: was it under way when its batch, or everything, was stopped?"""
        task = self.world.current()
        sent = self._sent.get(task.about, 0) if task else 0
        if sent > self._cancelled.get(batch, sent):
            self.world.wrong(f"lead {lead.id} was sent after {batch} had been cancelled")
        if self._paused and sent > self._paused:
            self.world.wrong(f"lead {lead.id} was sent after a person had paused the organisation")

    # --- at a submission ---

    def arrives(self, lead: Lead, submission: Submission) -> None:
        """A payload with ``lead`` is on its way: could a look have shown that it need not be?"""
        self._submitted[submission.batch, lead.id] = submission
        self._let_go(lead, submission.batch)
        self._stopped(lead, submission.batch)
        if submission.batch == "nobody":
            self.world.wrong(f"lead {lead.id} was sent with no chunk that holds it")
        elif submission.batch not in self._orders:
            self.world.wrong(f"lead {lead.id} was sent for {submission.batch}, which only updates deals")
        order = self._orders.get(submission.batch)
        if order and order.preflight and lead.looked_at < submission.created - _CLOCKS:
            self.world.wrong(f"lead {lead.id} was sent without a preflight")
        for earlier in lead.submissions:
            if self._had_ended(earlier):
                continue
            if lead.looked_at <= earlier.at:
                self.world.wrong(f"lead {lead.id} was submitted again without a look")
            elif (
                earlier.job
                and not earlier.job.end_told
                and lead.looked_at < earlier.job.ends
                and self._is_normal(earlier.job)
            ):
                self.world.wrong(f"lead {lead.id} was submitted again after a look that came before its job's end")
            elif not lead.shown_unconverted:
                self.world.wrong(f"lead {lead.id} was submitted again though a read showed that it need not be")

    def _had_ended(self, earlier: Submission) -> bool:
        """Whether a primary that was replaced, and that the current task goes on with, knows what became of it."""
        task = self.world.current()
        told = bool(earlier.job and earlier.job.end_told)
        return bool(task and task.beside) and (told or any(earlier is each for each in self._known_to_old))

    def creates(self, lead: Lead, submission: Submission) -> None:
        """As `Matching.creates`."""
        self.matching.creates(lead, submission)

    def links(self, lead: Lead, submission: Submission, body: Mapping[str, Any]) -> None:
        """As `Matching.links`."""
        self.matching.links(lead, submission, body)

    def made(self, lead: Lead, contact: RecordPlan, account: RecordPlan | None, batch: str) -> None:
        """As `Matching.made`."""
        self.matching.made(lead, contact, account, batch)

    def _let_go(self, lead: Lead, batch: str) -> None:
        """A lead is on its way: was its batch held, or should it have waited for the canary?"""
        order, task = self._orders.get(batch), self.world.current()
        if order is None or task is None:
            return
        call, key = self._wire.call, f"{self._prefix}batch:"
        members, sent_at, canary = call("HMGET", f"{self._prefix}chunk:{task.about}", "members", "sent_at", "canary")
        if members is None:  # Redis has forgotten the chunk since
            return
        holds = [call("HMGET", key + other, "held_at", "canary_held") for other, _ in segments(members)]
        since = [float(person or (not canary and behind) or "inf") for person, behind in holds]
        if max(since) + 0.2 < float(sent_at or 0):  # machines' clocks differ a little
            self.world.wrong(f"lead {lead.id} was sent while every batch in its payload was held")
        if order.canary and batch not in self.resumed and sum(of == batch for of, _ in self._submitted) > order.canary:
            self._follows_canary(order)

    def _follows_canary(self, order: Order) -> None:
        """The first lead behind a canary is on its way, and no person has let it: has the canary lived?"""
        ended = [o for (of, _), o in self.outcomes.items() if of == order.batch and o.code not in _NEVER_IN_FLIGHT]
        failed = sum(o.kind is Kind.FAILED for o in ended[: order.canary])  # those of the canary end first
        most = -1.0 if order.canary_max_failed is None else order.canary_max_failed * order.canary / 100.0
        if len(ended) >= order.canary and failed <= most:
            self.resumed.add(order.batch)
        else:
            self.world.wrong(
                f"{order.batch} sent more leads than its canary of {order.canary}, and nobody let it go on"
            )

    def decided(self, decision: Decision) -> None:
        """A worker that is alive must not be taken for lost."""
        lost = decision.row is Row.SENDER_LOST
        if lost and self.world.time < decision.chunk.sent_at + self.plan.tuning.lease - 1.0:
            self.world.wrong(f"the sender of chunk {decision.chunk.id} was taken for lost while it held its lease")

    # --- at a call ---

    def call_begins(self, inside: Mapping[Task, float]) -> None:
        """While calls are held, at most one runs that got its permit since: the probe. While paused none does."""
        task = self.world.current()
        if self._paused and task and self._permitted.get(task, 0) > self._paused:
            self.world.wrong("Zoho was called after a person had paused the organisation")
        kind, since = self._wire.call("HMGET", f"{self._prefix}hold", "kind", "since")
        if kind is None:
            return
        since_then = [began for began in inside.values() if began > float(since) + _CLOCKS]
        if len(since_then) > 1:
            self.world.wrong(f"{len(since_then)} calls probe at once whether the {kind} is over")

    def looks_at_a_job(self) -> None:
        """While nothing is known of jobs, one at a time is looked at: the scout's, unless that was lost."""
        task, plan = self.world.current(), self.plan
        chunk = task.about if task else ""
        fields = self._wire.call("HMGET", f"{self._prefix}chunk:{chunk}", "members", "outages", "sent_at")
        members, outages, sent_at = fields
        looks = load_looks(pairs(self._wire.call("HGETALL", f"{self._prefix}looks")))
        known = looks.get(size_of(len(open_leads(members or ""))))
        lost = self.world.killed or plan.messages != MessageFaults()  # it may come back, and meet its successor
        # In an outage the scout has no permit, and after a while any look tells.
        kept = plan.mishaps.freeze or outages or plan.faults.windows
        disturbed = bool(lost or kept or plan.store != StoreFaults())
        # After a long time without a permit a job is looked at in any case: it teaches nothing.
        if known and is_late(known, sent_at=float(sent_at or 0.0), now=self.world.time):
            return
        if known and known.scout not in ("", OPEN, chunk) and self.world.time < known.at + LOST and not disturbed:
            self.world.wrong(f"the job of chunk {chunk} is looked at while that of {known.scout} finds out")

    def credits_left(self, left: int) -> None:
        """The reserve is left alone, but for calls that were under way when it was reached, and probes."""
        under_way = DEAREST_CALL * (self.plan.permits + DAY // self.plan.rules.holding.credits_probe + 2)
        if left < self.plan.rules.holding.reserve - under_way:
            self.world.wrong(f"{left} credits are left, and {self.plan.rules.holding.reserve} are reserved")

    def outage_ends(self, window: Window) -> None:
        """Within a minute of Zoho's recovery somebody must have found out, where nothing else was the matter."""
        plan, world, end = self.plan, self.world, self.world.time
        alone = plan.faults.windows == (window,) and window.kind in ("before", "not sent", "mixed")
        undisturbed = not (plan.mishaps.freeze or plan.faults.shares or plan.pauses or world.killed)
        sound = plan.store == StoreFaults() and plan.messages == MessageFaults() and not plan.faults.credits
        held = self._wire.call("HGET", f"{self._prefix}hold", "kind") == "outage"
        # A payload that has failed alone, before all calls were held, has a wait of its own.
        waits = self._wire.call("ZRANGE", f"{self._prefix}due", "0", "0", "WITHSCORES")
        soon = waits and float(waits[1]) < self.world.redis_time() + _RECOVERY / 2
        if not (alone and undisturbed and sound and held and soon):
            return

        def look() -> None:
            if self.crm.answered_at < end and not world.killed and self._wire.call("EXISTS", f"{self._prefix}due"):
                world.wrong(f"{_RECOVERY:.0f} s after the end of an outage nobody has called")

        world.at(_RECOVERY, look)

    # --- an outcome and the truth ---

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
        if self._is_counted(batch, lead):  # then Zoho has said when it came, and that it converted others
            known = lead.converted_at >= lead.submissions[0].at - CLOCKS
        else:
            known = lead.converted_at + self.plan.faults.clock_ahead >= since - self.plan.tuning.clock_skew - 1.0
            if not (self.plan.store.forgets or self.plan.mishaps.freeze):  # the sender knew when its payload left
                known &= lead.converted_at >= self._first_left.get((batch, lead.id), -inf) - CLOCKS - UNCOUNTED - 1.0
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

    # --- at the end ---

    def at_the_end(self, ledger: Ledger) -> None:
        """Compare once more, when every job has ended; through the product's own report, as a user would see it."""
        self.read("the end", self._wire.calls(self.words)[0])
        self._telling.judge()
        self._judge_batches(ledger)
        self._judge_counts(ledger)
        for name in (
            "due",
            "unsent",
            "linking",
            "jobs",
            "overdue",
            "draining",
            "refused",
            "inboxes",
            "unsealed",
            "runs:due",
            "callbacks",
            "making",
            "identities",
        ):
            if self._wire.call("EXISTS", self._prefix + name):
                self.world.wrong(f"the ledger still holds {name}")
        if self._wire.call("KEYS", self._prefix + "live:*"):
            self.world.wrong("leads are still marked as in flight")
        undisturbed = not (self.world.killed or self.plan.mishaps.freeze or self.plan.store != StoreFaults())
        if undisturbed and self._wire.call("EXISTS", f"{self._prefix}permits"):
            self.world.wrong("a permit was not given back")
        if any(
            float(end) > self.world.time
            for end in self._wire.call("ZRANGE", f"{self._prefix}permits", 0, -1, "WITHSCORES")[1::2]
        ):
            self.world.wrong("a permit was never returned")

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
        """What was counted is what was written, whoever died or was late meanwhile; and the days have all of it."""
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
