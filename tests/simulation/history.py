"""One history: a plan is played, from the first enqueue until every batch has finished and every job has ended.

What the machines do stands in `machines`; here is what people do, and when it is all over.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from unittest.mock import patch

from greenlet import getcurrent  # type: ignore[import-untyped]  # it ships no types

from massconvert.errors import BrokerError, LedgerError, MassConvertError, StoreError
from massconvert.ledger.title import FORMAT
from massconvert.model import Canary, RunState
from massconvert.on_complete.targets import TaskTarget
from massconvert.producer import intake
from massconvert.producer.deal_values import bring
from massconvert.store import Keys, Patience
from tests.simulation.customers import RecordPlan
from tests.simulation.forgetting import GOES_ON
from tests.simulation.machines import LATEST_BEAT, Machines, options_of
from tests.simulation.plan import GOOD_STAGES, WRONG_STAGE, LeadPlan, Order, Plan
from tests.simulation.reach import Reach
from tests.simulation.truth import Lead
from tests.simulation.wire import Wire
from tests.simulation.world import Process, Task

#: Virtual time by which every history must have ended: an outage, a very slow job and the tries after them.
DEADLINE = 3 * 3600.0
#: How long late messages, frozen processes and leases may still play out when all is done. Nothing may change by them.
AFTERMATH = 700.0


@dataclass
class Verdict:
    """What a history showed."""

    plan: Plan
    problems: list[str]
    trace: list[str]
    reach: Reach
    unknowable: Counter[str] = field(default_factory=Counter)
    virtual: float = 0.0


class History(Machines):
    """The people of one history, and its story."""

    def __init__(self, plan: Plan, wire: Wire) -> None:
        super().__init__(plan, wire)
        self._looks, self._batches_finished = -1, False
        self._ask_runs_at, self._finding = 0.0, True
        self.world.watched, self.world.on_visit = plan.stop_at[0], self._visited

    # --- producers and other people ---

    def _produce(self, order: Order, name: str) -> None:
        """One call of ``enqueue``; a producer that dies, or whose Redis fails, calls again with the same key."""
        process = Process(name)
        body = options_of(order)
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
