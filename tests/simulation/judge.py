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

from massconvert.ledger import Ledger
from massconvert.ledger.codec import load_looks, load_outcome, open_leads, pairs, segments
from massconvert.model import Code, Kind, Outcome
from massconvert.policy import Decision, Row, size_of
from massconvert.policy.holds import DEAREST_CALL
from massconvert.policy.polling import LOST, OPEN, is_late
from tests.simulation.crm import Crm
from tests.simulation.customers import RecordPlan
from tests.simulation.hearing import Hearing
from tests.simulation.line import DAY
from tests.simulation.matching import Matching
from tests.simulation.outcomes import Outcomes
from tests.simulation.plan import MessageFaults, Order, Plan, StoreFaults, Window
from tests.simulation.telling import Telling
from tests.simulation.truth import Lead, Submission
from tests.simulation.wire import Wire, packed
from tests.simulation.world import Task, World

AUDIT = (Path(__file__).parent / "audit.lua").read_text(encoding="utf-8")

#: Outcomes of leads that were never in flight in their batch.
_NEVER_IN_FLIGHT = frozenset({Code.ALREADY_QUEUED, Code.INVALID_ID})
#: Of so many moves that change nothing of what is counted, one is looked at.
_MOVES = 8
#: How far the clocks of two processes may be apart, in seconds.
_CLOCKS = 0.15
_RECOVERY = 60.0  # seconds from Zoho's recovery to ours


class Judge(Outcomes):
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
            self._note_first(task, leads := self.leads_of(args[0]))
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

    def _note_first(self, task: Task | None, leads: Mapping[str, tuple[str, float]]) -> None:
        """The first payload with a lead of a batch leaves, and its sender knows Zoho's clock, or does not."""
        since = self.world.time if task and task.told else -inf
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
