"""One history: a plan is played, from the first enqueue until every batch has finished and every job has ended.

Everything that decides is the product's own: the steps, the policy, the governor, the producer's intake, and the
ledger's scripts on a real redis-server. What this file adds is what Celery, the machines and people around it do.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from unittest.mock import patch

from greenlet import getcurrent  # type: ignore[import-untyped]  # it ships no types

from massconvert.errors import BrokerError, LedgerError, MassConvertError, StoreError
from massconvert.ledger import Ledger
from massconvert.ledger.title import FORMAT
from massconvert.model import Canary, RunState
from massconvert.on_complete.targets import TaskTarget
from massconvert.policy import CallAnswer, Decision, Permit, Row, RunDecision
from massconvert.policy import messages as fates
from massconvert.producer import intake
from massconvert.producer.deal_values import bring
from massconvert.producer.intake import Intake
from massconvert.profiles import LeadCriteria, Limits, Profile, Schedule
from massconvert.steps.ports import Ports
from massconvert.store import Keys, Patience, RedisClock
from massconvert.wiring import Workshop
from massconvert.zoho.governor import Governor
from tests.simulation.crm import WRONG, Crm, Lead
from tests.simulation.customers import RecordPlan
from tests.simulation.forgetting import GOES_ON, Memory, OldPrimary
from tests.simulation.judge import Judge
from tests.simulation.messages import VISIBILITY, Messages
from tests.simulation.plan import GOOD_STAGES, WRONG_STAGE, LeadPlan, Order, Plan
from tests.simulation.reach import Reach
from tests.simulation.receivers import Receivers
from tests.simulation.store_port import StorePort, Wire
from tests.simulation.world import Process, Task, World

#: Virtual time by which every history must have ended: an outage, a very slow job and the tries after them.
DEADLINE = 3 * 3600.0
#: How long late messages, frozen processes and leases may still play out when all is done. Nothing may change by them.
AFTERMATH = 700.0
#: Simulated permits end like the product's: after the longest call.
PERMIT_LEASE = 70.0
#: When Redis is away, a task looks again so much later (see workers/celery.py).
STORE_AWAY = 5.0
#: A beat's message that arrives later than so many seconds after its slot begins nothing.
LATEST_BEAT = 60.0
#: Where the ledger says when something is due.
_DUE = ("due", "inboxes", "runs:due", "callbacks")


@dataclass
class Verdict:
    """What a history showed."""

    plan: Plan
    problems: list[str]
    trace: list[str]
    reach: Reach
    unknowable: Counter[str] = field(default_factory=Counter)
    virtual: float = 0.0


class History:
    """The parts of one history."""

    def __init__(self, plan: Plan, wire: Wire) -> None:
        self.plan = plan
        self.wire = wire
        self.account = f"s{plan.seed}"
        self.prefix = Keys(self.account).prefix
        self.reach = Reach(histories=1)
        self.world = world = World(plan.seed, plan.mishaps)
        self.judge = Judge(plan, world, wire, self.prefix)
        most, within = plan.tuning.max_leads, plan.tuning.send_within
        permits = 1000 if plan.store.forgets else plan.permits  # those that are out may be forgotten, too
        self.crm = Crm(world, plan.faults, permits, PERMIT_LEASE, most, within, self._whose, self.judge)
        self.judge.crm = self.judge.matching.crm = self.crm
        self.memory = Memory(wire, self.prefix, on=bool(plan.store.forgets))
        self.old = OldPrimary(world, plan.store.replicas)
        self.store = StorePort(wire, world, plan.store, self.judge, self.memory, self.old)
        self.clock = RedisClock(self.store)
        self.ledger = Ledger(self.store, self.account, plan.tuning)
        self.messages = Messages(world, plan.messages, self._perform)
        self.workshop, self.intake = self._compose()
        self.workers: list[Process] = []
        self.unready: set[str] = set()  # producers and commands that have not come to an end
        self._looks, self._batches_finished = -1, False
        self._ask_runs_at, self._finding = 0.0, True
        self._beginning: list[Process] = []  # workers that have taken a beat's message; a frozen one begins late
        self._people = world.chance("people")
        world.on_death = self._died
        world.watched, world.on_visit = plan.stop_at[0], self._visited

    def _compose(self) -> tuple[Workshop, Intake]:
        """As wiring.py does, from the simulated ports."""
        plan, world = self.plan, self.world
        nudge = cast("Any", self.messages)
        governor = Watched(
            self.store,
            Keys(self.account),
            self.clock,
            limit=plan.permits,
            ask_org=_no_question,
            wait=0.0,  # it waits on a list in Redis, which would hold up the one thread of this world
            lease=PERMIT_LEASE,
            rules=plan.rules,
            random=world.chance("governor"),
            monotonic=lambda: 0.0,
            obeys_pause=True,
        )
        governor.raised = lambda error: world.wrong(f"release raised {error!r}")
        random = world.chance("steps")
        self.receivers = Receivers(world, plan.calls, self.judge.hearing.told)
        ports = Ports(
            self.ledger,
            self.crm,
            governor,
            self.clock,
            random,
            plan.tuning,
            self._log,
            self._log_run,
            caller=self.receivers,
            steady=world.steady,
        )
        config = cast("Any", Profiles(plan.orders))
        return Workshop(ports, nudge, plan.tuning.sweep_grace, config), Intake(self.ledger, self.clock, nudge)

    def _log_run(self, decision: RunDecision) -> None:
        row, run = decision.row, decision.run
        self.reach.rows[f"FIND {row.name}"] += 1
        self.world.note(f"   run {run.id}: {row.value}, {run.found} found, {run.taken} enqueued")

    def _log(self, decision: Decision) -> None:
        row, chunk = decision.row, decision.chunk
        self.reach.rows[row.name] += 1
        self.reach.moves[f"{row.name} {chunk.state.value}"] += 1
        self.judge.decided(decision)
        task = self.world.current()
        if row is Row.ACCEPTED and not (task and task.beside):
            self.crm.jobs[chunk.job_id].id_known = True
        self.world.note(f"   chunk {chunk.id}: {row.value} -> {chunk.state.value}, {len(chunk.leads)} leads")

    def _whose(self) -> dict[str, tuple[str, float]]:
        """For whom the current task sends: its chunk's leads, each with its batch and when the chunk was made."""
        task = self.world.current()
        if task in self.judge.on_their_way:  # the ledger may have lost the chunk since
            return self.judge.on_their_way[task]
        chunk = task.about if task else ""
        return self.judge.leads_of(chunk)

    # --- workers ---

    def _new_worker(self, name: str) -> None:
        worker = Process(name)
        self.workers.append(worker)
        self._sweep_later(worker, self.plan.tuning.sweep_grace)

    def _died(self, process: Process) -> None:
        """Its messages come back after the visibility timeout, if at all; a worker is started again."""
        for come_back in process.holds:
            come_back()
        if process in self.workers:
            self.workers.remove(process)
            self.world.at(self._people.uniform(0.5, 5.0), lambda: self._new_worker(process.name))

    def _sweep_later(self, worker: Process, seconds: float) -> None:
        def sweep() -> None:
            found = -1
            try:
                found = self.workshop.sweep()
            except (StoreError, BrokerError) as error:
                self.world.note(f"   sweep: {error.message}")
            if found > 0 and self.plan.themes == ("calm",):
                self.world.wrong("nothing went wrong, and yet only the sweep found what was due")
            self._sweep_later(worker, self._idle_for() if found == 0 else self.plan.tuning.sweep_grace)

        def start() -> None:
            if worker.alive:
                self.world.start(worker, "sweep", sweep)

        self.world.at(seconds * self._people.uniform(0.75, 1.25), start)

    def _idle_for(self) -> float:
        """How long a worker may leave out its sweeps, since they would find nothing: the ledger says what is due."""
        now = self.world.time
        first = self.wire.calls(*(("ZRANGE", self.prefix + key, 0, 0, "WITHSCORES") for key in _DUE))
        soon = [float(found[1]) for found in first if found]
        grace = self.plan.tuning.sweep_grace
        return min(300.0, max(grace, min(soon, default=now + 300.0) - now))

    def _perform(self, task: str, chunk_id: str, redeliver: Callable[[], None]) -> None:
        """A message has arrived: some worker takes it."""
        if not self.workers:
            self.world.at(1.0, lambda: self._perform(task, chunk_id, redeliver))
            return
        worker = self._people.choice(self.workers)

        def body() -> None:
            worker.holds.append(redeliver)
            if task == "beat":
                self._beginning.append(worker)
            try:
                self._obey(task, chunk_id)
            finally:
                if worker.alive:
                    worker.holds.remove(redeliver)
                    if task == "beat":
                        self._beginning.remove(worker)

        self.world.start(worker, f"{task} {chunk_id}", body, about=chunk_id)

    def _obey(self, task: str, chunk_id: str) -> None:
        """What workers/ and tasks/ do with a step's answer and with its errors (tasks/obey.py, workers/celery.py)."""
        try:
            if task == "chunk":
                self.messages.obey(task, chunk_id, self.workshop.chunk())
            elif task == "call_back":
                self.messages.obey(task, chunk_id, self.workshop.call_back())
            elif task == "convert":
                self.messages.obey(task, chunk_id, self.workshop.convert(chunk_id))
            elif task in ("beat", "run"):
                name, _, slot = chunk_id.partition("@")
                begin = task == "beat"
                self.messages.obey(task, chunk_id, self.workshop.run_profile(name, chunk_id, slot=slot, begin=begin))
            else:
                self.messages.obey(task, chunk_id, self.workshop.status({"chunk_id": chunk_id}))
        except StoreError as error:
            self.world.note(f"   {task} {chunk_id}: {error.message}")
            self.messages.again(task, chunk_id, STORE_AWAY)
        except BrokerError:
            self.world.note(f"   {task} {chunk_id}: no broker")
        except MassConvertError as error:
            self.world.wrong(f"{task} {chunk_id} raised {error!r}")

    # --- producers and other people ---

    def _produce(self, order: Order, name: str) -> None:
        """One call of ``enqueue``; a producer that dies, or whose Redis fails, calls again with the same key."""
        process = Process(name)
        body = _options_of(order)
        canary = Canary(order.canary, order.canary_max_failed) if order.canary else None
        amounts = {lead: json.dumps({"Amount": n}) for lead in order.leads if (n := order.amount_of(lead)) is not None}
        brought = bring(amounts, order.given)
        targets = tuple(TaskTarget("told", args=(number,)) for number in range(1, order.calls + 1))
        slices = 0

        def progress(_taken: int) -> None:
            nonlocal slices
            slices += 1
            if slices == order.abandoned:
                self.world.kill(process, "in mid-enqueue, for good")
                self.world.sleep(0.0)
            if order.slow and slices <= 3:
                self.world.sleep(order.slow)

        def enqueue() -> None:
            try:
                self.intake.take(
                    [*order.leads, *order.invalid],
                    body,
                    key=order.batch,
                    canary=canary,
                    on_complete=targets,
                    record_invalid=True,
                    on_progress=progress,
                    deal_values=brought,
                )
            except BrokerError:
                self.world.note(f"   {order.batch} is accepted, but no worker could be told")
            except StoreError as error:
                self.world.note(f"   enqueue: {error.message}")
                self.world.at(5.0, lambda: self._produce(order, name))
                return
            self.unready.discard(name)

        def come_again() -> None:
            if order.abandoned:
                self.unready.discard(name)
            else:
                self.world.at(self._people.uniform(0.5, 20.0), lambda: self._produce(order, name))

        process.holds.append(come_again)
        self.world.start(process, "enqueue", enqueue)

    def _mail(self, order: Order, name: str, tries: int = 0, pause: float = 0.0) -> None:
        """A message of ``massconvert.enqueue``, the only copy of its leads: the broker has it until it is taken."""
        self.world.at(pause, lambda: self._deliver(order, name, tries))

    def _deliver(self, order: Order, name: str, tries: int) -> None:
        if not self.workers:
            self._mail(order, name, tries, 1.0)
            return
        worker = self._people.choice(self.workers)

        def come_again() -> None:
            self._mail(order, name, tries, VISIBILITY)

        def body() -> None:
            worker.holds.append(come_again)
            try:
                self._take(order, name, tries)
            finally:
                if worker.alive:
                    worker.holds.remove(come_again)

        self.world.start(worker, f"enqueue {order.batch}", body)

    def _take(self, order: Order, name: str, tries: int) -> None:
        """As workers/only_copies.py. Nothing here is wrong with a message, so none may be refused or set aside."""
        start: dict[str, Any] = {
            "canary": order.canary or None,
            "canary_max_failed": order.canary_max_failed if order.canary else None,
        }
        amounts = {lead: {"Amount": n} for lead in order.leads if (n := order.amount_of(lead)) is not None}
        leads = [*order.leads, *order.invalid]
        links = {lead: {"contact_id": to.contact_id, "account_id": to.account_id} for lead, to in order.given.items()}
        brought: dict[str, Any] = {"deal_values": amounts or None, "links": links or None}
        try:
            self.workshop.enqueue(leads, _options_of(order), order.batch, **brought, **start)
        except MassConvertError as error:
            verdict = fates.after_failure(error, tries, chance=self._people.random())
            self.world.note(f"   message of {order.batch}: {error.message} {verdict.fate.value}")
            if verdict.fate is fates.Fate.BACK:
                self._mail(order, name, tries + 1, verdict.pause)
                return
            if verdict.fate is not fates.Fate.TAKEN:
                self.world.wrong(f"the message of {order.batch} was {verdict.fate.value}: {error!r}")
        # Not "is it sealed": another delivery of the same message may add to it at this moment.
        if int(self.wire.call("HGET", f"{self.prefix}batch:{order.batch}", "total") or 0) < len(set(order.leads)):
            self.world.wrong(f"the message of {order.batch} is acknowledged, and its batch is not in the ledger")
        self.unready.discard(name)

    def _command(self, what: Callable[[], object], name: str) -> None:
        """A person runs a command, and runs it again if it failed or was killed."""
        process = Process(name)
        process.holds.append(lambda: self.world.at(2.0, lambda: self._command(what, name)))

        def body() -> None:
            try:
                what()
            except StoreError as error:
                if "is full" in error.message and not name.startswith("retry"):
                    self.world.wrong(f"a full Redis refused: {name.partition(' ')[0]}")
                self.world.at(2.0, lambda: self._command(what, name))
                return
            except LedgerError:
                raise
            except MassConvertError as error:
                self.world.note(f"   {name}: {error.message}")
            self.unready.discard(name)

        self.world.start(process, name, body)

    # --- the story ---

    def prepare(self) -> None:
        """Put everything on its way."""
        plan, world = self.plan, self.world
        self.crm.wrong_stages = {WRONG_STAGE}
        # Whose ledger it is, is nobody's question here; and somebody has used it before.
        for words in (
            ("SET", f"{self.prefix}events:keep", 1_000_000),
            ("HSET", Keys(self.account).title, "format", FORMAT),
            ("HSET", f"{self.prefix}history", "id", f"history{world.redis_history}", "since", "0"),
            ("HSET", f"{self.prefix}history", "replicas", plan.store.replicas),
        ):
            self.wire.call(*words)
            self.memory.note(words)
        self.memory.is_sure()
        for lead in plan.leads:
            self._prepare_lead(lead)
        self._prepare_records()
        for number in range(plan.workers):
            self._new_worker(f"worker-{number + 1}")
        for order in plan.orders:
            self._prepare_order(order)
        if plan.stage_removed_at >= 0.0:
            world.at(plan.stage_removed_at, lambda: self.crm.wrong_stages.add(GOOD_STAGES[0]))
        if plan.stage_restored_at >= 0.0:
            world.at(plan.stage_restored_at, lambda: self.crm.wrong_stages.discard(GOOD_STAGES[0]))
        for window in plan.faults.windows:
            world.at(window.start + window.length, partial(self.judge.outage_ends, window))
        for number, at in enumerate(plan.store.forgets, 1):
            self._plan(at, f"failover {number}", self._forget)
        for start, length in plan.pauses:
            self._plan(start, "pause", partial(self._command, self._pause))
            self._plan(start + length, "resume", self._resume)

    def _forget(self, name: str) -> None:
        """Redis loses what it acknowledged last. Where nothing made sure of it, people enqueue again what they miss."""
        goes_on = self.plan.store.goes_on
        lost = self.memory.forget(self._people, goes_on=goes_on)
        if goes_on:
            self.old.begins()
        self.world.redis_history += 1
        self.world.note(f"   Redis FORGETS its last {lost} commands")
        self.judge.forgot()
        if goes_on:
            self.world.at(GOES_ON, lambda: self._demoted(name))
        else:
            self._demoted(name)

    def _demoted(self, name: str) -> None:
        """The primary of before is none any more; people enqueue again what they miss."""
        if self.plan.store.goes_on:
            self.old.ends()
            self.wire.forget(f"{self.prefix}*", only_beside=True)
            self.world.note("   the old primary is DEMOTED")
        self.unready.discard(name)
        for order in () if self.plan.keeps else self.plan.orders:
            if not order.abandoned and self.world.elapsed >= order.at:
                again = f"producer of {order.batch} after {name}"
                self._plan(self._people.uniform(0.5, 20.0), again, partial(self._produce, order))

    def _prepare_records(self) -> None:
        for record in self.plan.records:
            if record.at:
                self.world.at(record.at, partial(self._somebody_makes, record))
            else:
                self.crm.customers.add(record, self.world.time - 5000.0)

    def _somebody_makes(self, record: RecordPlan) -> None:
        self.crm.customers.add(record, self.world.time)
        self.world.note(f"   somebody else: makes {record.name} {record.email}")

    def _prepare_order(self, order: Order) -> None:
        batch = order.batch
        for number, at in enumerate((order.at, *order.again), 1):
            if order.find:  # a message of a beat, which may get lost like any other
                self._plan(at, f"beat {number} of {batch}", partial(self._beat, batch))
            else:
                produce = self._mail if order.mailed else self._produce
                self._plan(at, f"producer {number} of {batch}", partial(produce, order))
        for number, at in enumerate(order.cancel_at, 1):
            cancel = partial(self._command, partial(self.intake.cancel, batch))
            self._plan(at, f"cancel {batch} ({number})", cancel)
        for number, (at, length) in enumerate(order.holds, 1):
            pause = partial(self._command, partial(self.intake.pause, batch, reason="a person paused it"))
            self._plan(at, f"pause {batch} ({number})", pause)
            resume = partial(self._resume_batch, order, f"pause {batch} ({number})")
            self._plan(at + length, f"resume {batch} ({number})", resume)
        for number, at in enumerate(order.deals_again, 1):
            again = partial(self._command, partial(self._retry_deals, batch))
            self._plan(at, f"retry deals of {batch} ({number})", again)
        if order.canary:
            self._tend_canary(order)

    def _retry_deals(self, batch: str) -> None:
        """A person has deals tried again; those of the retry, where that has been made before."""
        with suppress(BrokerError):  # the leads are accepted
            made = self.intake.retry(batch, deals=True)
            while not made.accepted:
                made = self.intake.retry(made.id, deals=True)

    def _plan(self, at: float, name: str, what: Callable[[str], None]) -> None:
        """Let ``what`` be done at a time; the history does not end before it has come through."""
        self.unready.add(name)
        self.world.at(at, lambda: what(name))

    def _beat(self, run_id: str, name: str) -> None:
        self.messages.again("beat", run_id, 0.0)
        self.unready.discard(name)

    def _pause(self) -> None:
        self.ledger.organisation.pause(reason="a person paused it")

    def _visited(self, visit: int) -> None:
        """A person stops the work just when somebody is about to go on with it."""
        order = self.plan.orders[0]
        if visit != self.plan.stop_at[1]:
            return
        if self.plan.stop_batch:
            pause = partial(self.intake.pause, order.batch, reason="a person paused it")
            self._plan(0.0, "stop", partial(self._command, pause))
            self._plan(60.0, "go on", partial(self._resume_batch, order, "stop"))
        elif not self.plan.pauses:
            self._plan(0.0, "pause", partial(self._command, self._pause))
            self._plan(60.0, "resume", self._resume)

    def _resume(self, name: str) -> None:
        """A person resumes, once the command to pause has come through."""
        if "pause" in self.unready:
            self.world.at(2.0, lambda: self._resume(name))
        else:
            self._command(self.ledger.organisation.resume, name)

    def _resume_batch(self, order: Order, pause: str, name: str) -> None:
        """A person lets a batch go on, once the command to pause it has come through."""
        if pause in self.unready:
            self.world.at(2.0, lambda: self._resume_batch(order, pause, name))
            return

        def resume() -> None:
            behind, leads, ended = self.wire.call(
                "HMGET", f"{self.prefix}batch:{order.batch}", "canary_held", "canary", "canary_ended"
            )
            if behind and int(ended) >= int(leads):
                self.judge.resumed.add(order.batch)
            self.intake.resume(order.batch)

        self._command(resume, name)

    def _tend_canary(self, order: Order) -> None:
        """A person looks at the canary now and then; when it has ended, and the batch waits, they let it go on."""
        name = f"resume {order.batch} after its canary"

        def look() -> None:
            self._tend_canary(order)
            held, leads, ended = self.wire.call(
                "HMGET", f"{self.prefix}batch:{order.batch}", "canary_held", "canary", "canary_ended"
            )
            if held and int(ended) >= int(leads) and name not in self.unready:
                self.unready.add(name)
                self._resume_batch(order, "", name)

        self.world.at(self._people.uniform(20.0, 60.0), look)

    def _prepare_lead(self, given: LeadPlan) -> None:
        lead = Lead(given.id, given.kind != "missing", given.kind in ("stubborn", "locked"))
        for kind in ("locked", "refused", "odd", "chokes", "spoils", "vanishes", "blank"):
            setattr(lead, kind, given.kind == kind)
        lead.was_blank = lead.blank
        lead.nameless, lead.fussy = given.kind == "nameless", given.kind == "fussy"
        lead.was_fussy, lead.unlinkable = lead.fussy, given.kind == "unlinkable"
        own = {"Email": given.email, "Full_Name": given.name, "Company": given.company}
        lead.own = {name: value for name, value in own.items() if value}
        if given.kind == "converted":
            lead.converted_at = self.world.time - 5000.0
        self.crm.leads[lead.id] = lead

        def by_hand() -> None:
            if lead.exists and lead.converted_at is None:
                lead.exists, lead.converted_at = (
                    given.kind != "deleted",
                    self.world.time if given.kind == "by hand" else None,
                )
                self.world.note(f"   somebody else: lead {lead.id} {given.kind}")

        if given.kind in ("by hand", "deleted"):
            self.world.at(given.at, by_hand)
        if given.kind == "blank" and given.at:
            self.world.at(given.at, lambda: setattr(lead, "blank", False))
        if given.kind == "fussy" and given.at:
            self.world.at(given.at, lambda: setattr(lead, "fussy", False))

    def finished(self) -> bool:
        """Whether every producer and command has come to an end, every batch has finished, and every job has ended."""
        if self.unready or any(job.converted < 0 for job in self.crm.jobs.values()):
            return False
        judge = self.judge
        if self._looks != judge.looks:  # else nothing has been written since we asked last
            self._looks, ordered = judge.looks, self.plan.orders
            expected = {o.batch for o in ordered if not (o.abandoned or o.find) or o.batch in judge.batches}
            self._batches_finished = not judge.somebody_waits and expected.union(judge.retries()) <= {*judge.finished}
        return self._batches_finished and self._runs_ended()

    def _runs_ended(self) -> bool:
        """Whether no run still finds leads, and none can begin any more; asked every few seconds."""
        runs = [order for order in self.plan.orders if order.find]
        if runs and self.world.elapsed >= self._ask_runs_at:
            self._ask_runs_at = max(self.world.elapsed, *(order.at + LATEST_BEAT for order in runs)) + 10.0
            states = [self.wire.call("HGET", f"{self.prefix}run:{order.batch}", "state") for order in runs]
            begins = any(worker.alive for worker in self._beginning) or self.world.elapsed < self._ask_runs_at - 10.0
            self._finding = begins or RunState.FINDING.value in states
        return not (runs and self._finding)

    def play(self) -> Verdict:
        """Play it to its end."""
        world = self.world
        try:
            self.prepare()
            if world.run(self.finished, DEADLINE):
                world.note("everything has finished; the aftermath")
                world.run(lambda: False, world.elapsed + AFTERMATH)
                self.judge.at_the_end(self.ledger)
                self.judge.hearing.events_are_outcomes()
                self.judge.hearing.everybody_told(self.ledger, self.receivers.failed_at)
            else:
                world.wrong("not every batch has finished")
        finally:
            world.end()
            self.wire.forget(f"mc:{{{self.account}}}:*")
        self.reach.killed, self.reach.visited, self.reach.calls = world.killed, world.visited, self.crm.calls
        self.reach.governed = self.store.governed
        self.reach.leads = len(self.judge.outcomes)
        self.reach.outcomes = Counter(f"{o.kind.value} {o.code}".strip() for o in self.judge.outcomes.values())
        return Verdict(self.plan, world.problems, world.trace, self.reach, self.judge.unknowable, world.elapsed)


class Watched(Governor):
    """The product's governor, of which ``raised`` is told when it raises where it must not."""

    raised: Callable[[Exception], object]

    def release(self, permit: Permit, answer: CallAnswer = None) -> None:
        """Give a permit back."""
        try:
            super().release(permit, answer)
        except Exception as error:
            self.raised(error)
            raise


class Profiles:
    """What the workers read in massconvert.toml."""

    def __init__(self, orders: Iterable[Order]) -> None:
        self._orders = {order.find.profile: order for order in orders if order.find}

    def to_find_with(self, name: str) -> Profile:
        """The profile, as its first slot's order has it."""
        order = self._orders[name]
        assert order.find
        where = f"{WRONG} is not null" if order.find.wrong else "id is not null"
        search = f"({WRONG}:equals:1)" if order.find.wrong else "(Lead_Status:equals:Qualified)"
        return Profile(
            options={"Deals": {"Deal_Name": "Renewal", "Stage": order.stage, "Closing_Date": "+30d"}},
            criteria=LeadCriteria(search=search) if order.find.search else LeadCriteria(coql=where),
            schedule=Schedule(every=3600.0, catch_up=LATEST_BEAT),
            limits=Limits(max_leads=order.find.max_leads),
        )


def small_slices(plan: Plan) -> AbstractContextManager[object]:
    """Let a producer add its leads in slices of a few, so that it can die between two of them."""
    return patch.object(intake, "SLICE", plan.slice)


@contextmanager
def virtual_waits() -> Iterator[None]:
    """What a person bears of an outage of Redis passes in virtual time (see `massconvert.store.patience`)."""

    def pause(seconds: float) -> None:
        task = getcurrent()
        assert isinstance(task, Task)
        task.world.sleep(seconds)

    with patch.dict(cast("Any", Patience.__init__).__kwdefaults__, pause=pause):
        yield


def play(plan: Plan, wire: Wire) -> Verdict:
    """Play the history of a plan on a redis-server; its keys are gone afterwards."""
    with small_slices(plan), virtual_waits():
        return History(plan, wire).play()


def _options_of(order: Order) -> dict[str, Any]:
    body: dict[str, Any] = {"Deals": {"Deal_Name": "Renewal", "Stage": order.stage, "Closing_Date": "+30d"}}
    if order.assignee:
        body["assign_to"] = {"name": order.assignee}
    if order.named:
        body["Deals"]["Deal_Name"] = "Renewal of {Company}"
    ours: dict[str, Any] = {"preflight": True} if order.preflight else {}
    if order.on_match != "create":
        ours["on_match"] = order.on_match
    return body | ({"$": ours} if ours else {})


def _no_question() -> Any:
    raise AssertionError("the limit is given, so nobody asks for the edition")
