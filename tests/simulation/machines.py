"""The machines of a history: what Celery, workers and the broker around the product's own code do.

Everything that decides is the product's own: the steps, the policy, the governor, the producer's intake, and the
ledger's scripts on a real redis-server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from massconvert.errors import BrokerError, MassConvertError, StoreError
from massconvert.ledger import Ledger
from massconvert.policy import CallAnswer, Decision, Permit, Row, RunDecision
from massconvert.policy import messages as fates
from massconvert.producer.intake import Intake
from massconvert.profiles import LeadCriteria, Limits, Profile, Schedule
from massconvert.steps.ports import Ports
from massconvert.store import Keys, RedisClock
from massconvert.wiring import Workshop
from massconvert.zoho.governor import Governor
from tests.simulation.crm import Crm
from tests.simulation.forgetting import Memory, OldPrimary
from tests.simulation.judge import Judge
from tests.simulation.messages import VISIBILITY, Messages
from tests.simulation.plan import Order, Plan
from tests.simulation.reach import Reach
from tests.simulation.receivers import Receivers
from tests.simulation.shown import WRONG
from tests.simulation.store_port import StorePort
from tests.simulation.wire import Wire
from tests.simulation.world import Process, World

#: Simulated permits end like the product's: after the longest call.
PERMIT_LEASE = 70.0
#: Seconds after which a task retries while Redis is unreachable (see workers/celery.py).
STORE_AWAY = 5.0
#: A message of beat that is more than this many seconds late begins nothing.
LATEST_BEAT = 60.0
#: Where the ledger says when something is due.
_DUE = ("due", "inboxes", "runs:due", "callbacks")


class Machines:
    """The parts of one history, and its workers."""

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
        self._beginning: list[Process] = []  # workers that have taken a beat's message; a frozen one begins late
        self._people = world.chance("people")
        world.on_death = self._died

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

    # --- messages of massconvert.enqueue ---

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
            self.workshop.enqueue(leads, options_of(order), order.batch, **brought, **start)
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


def options_of(order: Order) -> dict[str, Any]:
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
