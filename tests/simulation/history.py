"""One history: producers, workers and Zoho under a seed; and what must hold at its end.

`play(seed, redis_client)` builds the world from the seed alone, lets time pass until every batch has finished, and
compares each lead's outcome with Zoho's truth. Everything that decides is the product's own: the steps, the policy and
the ledger's scripts on a real redis-server.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from massconvert.ledger import Ledger
from massconvert.model import Again, Code, Done, Kind, Next, Outcome, Resend, Settle, Submitted
from massconvert.policy import Decision, Tuning
from massconvert.producer import Intake
from massconvert.steps.ports import Ports
from massconvert.wiring import Workshop
from tests.simulation.crm import Crm, Faults, Lead, PlainGovernor
from tests.simulation.world import Chances, Ledgers, Messages, Port, Process, World

DAY = 86_400.0
#: Virtual time by which every history must have ended.
DEADLINE = 4 * DAY
TUNING = Tuning(window=6, max_jobs=20, job_deadline=600.0, overdue_pace=300.0, give_up=DAY)
STAGES = ("Qualification", "Needs Analysis", "Gone")


@dataclass
class Report:
    """What a history showed."""

    seed: int
    problems: list[str] = field(default_factory=list)
    rows: Counter[str] = field(default_factory=Counter)
    crash_points: Counter[str] = field(default_factory=Counter)
    seen_points: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    leads: int = 0
    trace: list[str] = field(default_factory=list)


@dataclass
class Order:
    """What one producer enqueues: the truth that its batch is compared with."""

    batch: str
    leads: list[str]
    stage: str


class History:
    """The parts of one history."""

    def __init__(self, seed: int, client: Any) -> None:
        self.random = Random(seed)
        self.report = Report(seed)
        self.world = World(seed, self._chances())
        self.crm = Crm(self.world, Random(seed + 1), self._faults())
        self.crm.names_all = self.random.choice([True, True, False, None])
        self.crm.wrong_options = {"Gone"}
        self.governor = PlainGovernor(self.world, self.random.randint(1, 10))
        self.client = client
        self.ledger = Ledger(client, f"s{seed}", TUNING)
        parts = Ledgers(
            Port(self.world, "batches", self.ledger.batches),
            Port(self.world, "chunks", self.ledger.chunks),
            self.ledger.organisation,
        )
        self.messages = Messages(self.world, self._deliver)
        nudge = cast(Any, Port(self.world, "nudge", self.messages))
        ports = Ports(
            ledger=cast(Any, parts),
            zoho=cast(Any, Port(self.world, "zoho", self.crm)),
            governor=cast(Any, Port(self.world, "governor", self.governor)),
            clock=self.world,
            random=self.random,
            tuning=TUNING,
            log=self._log,
        )
        self.workshop = Workshop(ports, nudge, TUNING.sweep_grace)
        self.intake = Intake(cast(Any, parts), self.world, nudge)
        self.workers = [Process(f"worker-{number}") for number in range(self.random.randint(1, 3))]
        self.orders: list[Order] = []
        self.world.on_death = self._restart

    def _chances(self) -> Chances:
        pick = self.random.choice
        return Chances(
            crash=pick([0.0, 0.0, 0.005, 0.02]),
            lost=pick([0.0, 0.0, 0.1, 0.5]),
            doubled=pick([0.0, 0.1, 0.4]),
            delayed=pick([0.0, 0.1, 0.4]),
        )

    def _faults(self) -> Faults:
        pick, uniform = self.random.choice, self.random.uniform
        faults = Faults(
            not_sent=pick([0.0, 0.0, 0.1]),
            lost_before=pick([0.0, 0.0, 0.1]),
            lost_after=pick([0.0, 0.0, 0.1]),
            throttled=pick([0.0, 0.0, 0.05]),
            token=pick([0.0, 0.0, 0.05]),
            bad_job=pick([0.0, 0.0, 0.3, 0.6]),
            read_lag=pick([0.0, 0.0, 0.5]),
        )
        kind = self.random.random()
        if kind < 0.1:
            faults.outage = (uniform(0.0, 5.0), uniform(10.0, 6 * 3600.0))
        elif kind < 0.15:
            faults.no_permission = (uniform(0.0, 5.0), uniform(10.0, 3600.0))
        elif kind < 0.17:
            faults.outage = (0.0, 1.5 * DAY)
        return faults

    # --- the cast ---

    def _restart(self, process: Process) -> None:
        self.workers = [worker for worker in self.workers if worker is not process]
        if process.name.startswith("worker"):
            self.world.at(1.0, lambda: self._new_worker(process.name))

    def _new_worker(self, name: str) -> None:
        worker = Process(name)
        self.workers.append(worker)
        self._sweep_soon(worker)

    def _sweep_soon(self, worker: Process) -> None:
        def again() -> None:
            if worker.alive:
                self.world.start(worker, "sweep", lambda: self.workshop.sweep() and None)
                self._sweep_soon(worker)

        self.world.at(TUNING.sweep_grace * self.random.uniform(0.9, 1.1), again)

    def _deliver(self, task: str, chunk_id: str, countdown: float) -> None:
        def arrive() -> None:
            if not self.workers:
                self.world.at(1.0, arrive)
                return
            worker = self.random.choice(self.workers)
            self.world.start(worker, f"{task} {chunk_id}", lambda: self._obey(task, chunk_id))

        self.world.at(max(0.0, countdown), arrive)

    def _obey(self, task: str, chunk_id: str) -> None:
        """What tasks/ does with a Next, in the words of the simulation (see tasks/obey.py)."""
        if task == "chunk":
            what: Next = self.workshop.chunk()
        elif task == "convert":
            what = self.workshop.convert(chunk_id)
        else:
            what = self.workshop.status({"chunk_id": chunk_id})
        if isinstance(what, Done):
            return
        if isinstance(what, Submitted):
            self.messages.status(what.job, 0.0)
        elif isinstance(what, Resend) and task == "status":
            self.messages.convert(chunk_id, min(60.0, what.in_seconds))
        elif isinstance(what, Again | Settle | Resend):
            self._deliver(task, chunk_id, min(60.0, what.in_seconds))

    def _log(self, decision: Decision) -> None:
        self.report.rows[decision.row.name] += 1
        chunk = decision.chunk
        self.world.note(f"   chunk {chunk.id}: {decision.row.value} -> {chunk.state.value}, {len(chunk.leads)} leads")

    # --- the story ---

    def prepare(self) -> None:
        """Leads, batches, producers that may die and come again."""
        number = self.random.randint(1, 4)
        pool = [str(3_652_397_000_009_850_001 + 1000 * place) for place in range(self.random.choice([3, 60, 120]))]
        for lead_id in pool:
            lead = Lead(lead_id)
            draw = self.random.random()
            lead.exists = draw >= 0.03
            lead.stubborn = 0.03 <= draw < 0.05
            if 0.05 <= draw < 0.08:
                lead.converted_at = self.world.time - 5000.0
            self.crm.leads[lead_id] = lead
        for place in range(number):
            wanted = self.random.sample(pool, self.random.randint(1, len(pool)))
            stage = self.random.choices(STAGES, (5, 5, 1))[0]
            order = Order(f"batch-{place}", wanted, stage)
            self.orders.append(order)
            self.world.at(self.random.uniform(0.0, 10.0), lambda order=order: self._produce(order))
        for worker in self.workers:
            self._sweep_soon(worker)

    def _produce(self, order: Order) -> None:
        body = {"Deals": {"Deal_Name": "Renewal", "Stage": order.stage, "Closing_Date": "+30d"}}
        producer = Process(f"producer of {order.batch}")

        def take() -> None:
            self.intake.take(order.leads, body, key=order.batch)

        self.world.start(producer, "enqueue", take)
        if not producer.alive or self.random.random() < 0.2:
            self.world.at(self.random.uniform(1.0, 30.0), lambda: self._produce(order))
        else:
            self._produce_again_if_dead(order, producer)

    def _produce_again_if_dead(self, order: Order, producer: Process) -> None:
        """A producer that died calls again with the same key; one that lives need not."""
        if producer.alive:
            watch = self.random.uniform(5.0, 10.0)
            done = self.client.hget(f"mc:{{s{self.report.seed}}}:batch:{order.batch}", "sealed") == "1"
            if not done:
                self.world.at(watch, lambda: self._produce_again_if_dead(order, producer))
        else:
            self._produce(order)

    def finished(self) -> bool:
        """Whether every batch has been enqueued and has finished."""
        prefix = f"mc:{{s{self.report.seed}}}:batch:"
        return all(self.client.hexists(prefix + order.batch, "finished") for order in self.orders)

    # --- the judgement ---

    def judge(self) -> None:
        """Compare with the truth."""
        self.crm.settle()
        problems = self.report.problems
        problems += self.crm.violations
        queued_elsewhere: Counter[str] = Counter()
        for order in self.orders:
            self._judge_batch(order, queued_elsewhere)
        for kind, key in (("due", "due"), ("unsent", "unsent"), ("jobs", "jobs"), ("drain", "drain")):
            if self.client.exists(f"mc:{{s{self.report.seed}}}:{key}"):
                problems.append(f"the ledger still holds {kind}")
        if any(True for _ in self.client.scan_iter(f"mc:{{s{self.report.seed}}}:live:*", count=1000)):
            problems.append("leads are still marked as in flight")
        self.world.time += 200.0
        if any(end > self.world.time for end in self.governor.leases.values()):
            problems.append("a permit was never returned")

    def _judge_batch(self, order: Order, queued_elsewhere: Counter[str]) -> None:
        status = self.ledger.batches.status(order.batch)
        rows = list(self.ledger.batches.rows(order.batch))
        problems = self.report.problems
        if Counter(row.lead_id for row in rows) != Counter(order.leads):
            problems.append(f"{order.batch} reports other leads than it was given")
        kinds = Counter(row.outcome.kind.value if row.outcome else "none" for row in rows)
        counted = {"converted": status.converted, "failed": status.failed, "skipped": status.skipped}
        if {kind: kinds.get(kind, 0) for kind in counted} != counted or status.total != len(rows):
            problems.append(f"{order.batch} counts {counted} of {status.total}, its rows {dict(kinds)}")
        if status.waiting or status.sent:
            problems.append(f"{order.batch} has finished with leads waiting or sent")
        for row in rows:
            lead = self.crm.leads[row.lead_id]
            wrong = self._untrue(lead, row.outcome, order)
            if wrong:
                problems.append(f"{order.batch} lead {lead.id}: {wrong}")
        self.report.leads += len(rows)

    def _untrue(self, lead: Lead, outcome: Outcome | None, order: Order) -> str:
        if outcome is None:
            return "has no outcome"
        converted = lead.converted_at is not None
        said = f"{outcome.kind.value} {outcome.code}"
        if outcome.kind is Kind.CONVERTED:
            return "" if converted and lead.by_us else f"{said}, but Zoho did not convert it for us"
        if outcome.code == Code.ALREADY_CONVERTED:
            return "" if converted else f"{said}, but it is not converted"
        if outcome.code == Code.ALREADY_QUEUED:
            return ""
        if outcome.code == Code.NOT_FOUND:
            return "" if not lead.exists else f"{said}, but it exists"
        if converted and lead.by_us and not any(lead.id in other.leads for other in self.orders if other is not order):
            return f"{said}, but Zoho converted it"
        return ""


def play(seed: int, client: Any) -> Report:
    """Play the history of ``seed`` on a redis-server; its keys are gone afterwards."""
    history = History(seed, client)
    try:
        history.prepare()
        if not history.world.run(history.finished, DEADLINE):
            history.report.problems.append("not every batch has finished")
        else:
            # Late messages and holders of leases play out; nothing may change by them.
            history.world.run(lambda: False, history.world.time - 1_800_000_000.0 + 300.0)
            history.judge()
    finally:
        report = history.report
        report.crash_points, report.seen_points = history.world.crash_points, history.world.seen_points
        report.calls, report.trace = history.crm.calls, history.world.trace
        keys = list(client.scan_iter(f"mc:{{s{seed}}}:*", count=5000))
        if keys:
            client.delete(*keys)
    return report
