"""Many organisations in virtual time: their producers, one fleet of workers, one real Redis, and a Zoho for each.

The product's steps, policy, governor, intake and scripts run as they are. The clock, the broker, the threads and Zoho
are simulated. Calls take time, in which their permit and their thread are held; a script of the ledger takes none.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.stand import LEADS_A_CALL, OPTIONS
from benchmarks.virtual_zoho import BASE, STEP, Day, Waiter, Zoho, number_of
from massconvert.ledger import Ledger
from massconvert.model import Again, Next
from massconvert.options import Options
from massconvert.policy import CallAnswer, Decision, Permit, Tuning
from massconvert.producer.intake import BULK, Intake
from massconvert.settings import load_settings, variables
from massconvert.shares import Share
from massconvert.steps.ports import Ports
from massconvert.store import Keys, Redis
from massconvert.wiring import CROWDED, Workshop, Workshops, tuning
from massconvert.zoho import Governor
from tests.simulation.messages import Messages
from tests.simulation.plan import MessageFaults
from tests.simulation.world import Process


class PatientGovernor(Governor):
    """The product's governor. It waits on a list in Redis, as it does in production, but in virtual time."""

    def __init__(self, organisation: Organisation, redis: Redis, day: Day, **rest: Any) -> None:
        super().__init__(redis, Keys(organisation.name), day, limit=organisation.zoho.limit, ask_org=_nobody, **rest)
        self._organisation = organisation
        self._day = day

    def release(self, permit: Permit, answer: CallAnswer = None) -> float | None:
        """Give it back, and let those go on who were woken by that."""
        at = super().release(permit, answer)
        self._serve()
        return at

    def _await_permit(self, lists: str, seconds: float) -> None:
        self._serve()
        if not any(self._pop(which) for which in lists.split(",")):
            self._day.park(self._organisation.waiting, lists, seconds)

    def _serve(self) -> None:
        """Take from the lists what those who wait would take, the first of them first."""
        waiting = self._organisation.waiting
        for waiter in tuple(waiting):
            if any(self._pop(which) for which in waiter.lists):
                waiting.remove(waiter)
                waiter.go_on()

    def _pop(self, which: str) -> bool:
        return bool(self._redis.lpop(self._keys.permit_wake(which)))


@dataclass
class Organisation:
    """An account: its Zoho, its leads in the order of their arrival, and how long each took."""

    name: str
    zoho: Zoho
    weight: float
    waiting: list[Waiter] = field(default_factory=list)
    entered: array[float] = field(default_factory=lambda: array("d"))
    took: dict[bool, array[float]] = field(default_factory=lambda: {True: array("f"), False: array("f")})
    arrivals: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    batches: list[str] = field(default_factory=list)
    bulk: array[int] = field(default_factory=lambda: array("b"))

    def new_leads(self, leads: int) -> list[str]:
        """So many leads that arrive now."""
        first = len(self.entered)
        self.entered.extend([self.zoho.day.time] * leads)
        self.bulk.extend([leads > BULK] * leads)
        return [str(BASE + STEP * number) for number in range(first, first + leads)]

    def decided(self, decision: Decision) -> int:
        """Note when leads have ended; return how many have."""
        ended = {*decision.outcomes, *(decision.chunk.leads if decision.rest else ())}
        for lead in ended:
            number = number_of(lead)
            self.took[bool(self.bulk[number])].append(self.zoho.day.time - self.entered[number])
        return len(ended)


class Worker(Workshops):
    """A worker process: the product's own fleet of workshops, on simulated ports."""

    def __init__(self, operation: Operation, name: str, slots: int) -> None:
        names = list(operation.organisations)
        super().__init__(cast("Any", SimpleNamespace(served=lambda: names)), slots)
        self.process = Process(name)
        self.busy = 0
        self._operation = operation

    def workshop(self, account: str | None) -> Workshop:
        """The workshop of an account."""
        assert account is not None
        if account not in self._workshops:
            self._workshops[account] = self._operation.compose(account, Share(self._part, self.threads))
        return self._workshops[account]


class Operation:
    """Everything: the organisations with their producers, and ``workers`` of so many ``slots`` that serve them all.

    ``settings`` are the workers' own, as in their environment.
    """

    def __init__(
        self, redis: Redis, limits: Mapping[str, tuple[int, float]], workers: int, slots: int, **settings: str
    ) -> None:
        self.day = day = Day(1)
        self.redis = redis
        self.organisations = {
            name: Organisation(name, Zoho(day, limit), weight) for name, (limit, weight) in limits.items()
        }
        self._tuning = {limit: _tuning_of(limit, settings) for limit, _ in limits.values()}
        self._nudges = {name: Messages(day, MessageFaults(), partial(self._arrive, name)) for name in limits}
        self._intakes = {name: self._intake(each) for name, each in self.organisations.items()}
        self._queue: deque[tuple[float, str, str, str]] = deque()
        self.workers = [Worker(self, f"worker-{number}", slots) for number in range(workers)]
        self.queued = array("f")  # how long messages waited for a thread
        self.tasks: Counter[str] = Counter()
        self.most_busy = 0
        self._producing = self._open = 0  # enqueues that are to come, leads that have no outcome
        self._turns = count()
        self._producer = Process("producer")

    def compose(self, account: str, share: Share) -> Workshop:
        """As wiring.py does, from the simulated ports."""
        organisation, day = self.organisations[account], self.day
        numbers = self._tuning[organisation.zoho.limit]
        governor = PatientGovernor(organisation, self.redis, day, lease=70.0, monotonic=day.now)
        ports = Ports(
            Ledger(self.redis, account, numbers, day),
            cast("Any", organisation.zoho),
            governor,
            day,
            day.chance("steps"),
            numbers,
            partial(self._decided, organisation),
            caller=cast("Any", None),
            steady=day.now,
        )
        return Workshop(ports, cast("Any", self._nudges[account]), numbers.sweep_grace, cast("Any", None), share)

    def ledger(self, account: str) -> Ledger:
        """The ledger of an account."""
        return Ledger(self.redis, account, self._tuning[self.organisations[account].zoho.limit], self.day)

    def _intake(self, organisation: Organisation) -> Intake:
        nudge = cast("Any", self._nudges[organisation.name])
        return Intake(self.ledger(organisation.name), self.day, nudge)

    # --- producers ---

    def enqueue(self, at: float, account: str, leads: int, what: str) -> None:
        """Have a producer enqueue so many leads at a time, with options of which ``what`` is the deals' name."""
        self._producing += 1
        self.day.at(at, lambda: self.day.start(self._producer, "enqueue", produce, "enqueue"))
        organisation = self.organisations[account]
        body = Options.parse({**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": what}}).body()

        def produce() -> None:
            given = organisation.new_leads(leads)
            organisation.arrivals[what].append((self.day.time, leads))
            organisation.batches.append(self._intakes[account].take(given, body).id)
            self._producing -= 1
            self._open += leads

    # --- workers ---

    def _arrive(self, account: str, task: str, chunk_id: str, _redeliver: Callable[[], None]) -> None:
        self._queue.append((self.day.time, account, task, chunk_id))
        self._pump()

    def _pump(self) -> None:
        """Hand messages to workers that have a thread for them; another worker is first each time."""
        while self._queue:
            first = next(self._turns)
            order = (self.workers[(first + more) % len(self.workers)] for more in range(len(self.workers)))
            worker = next((worker for worker in order if worker.busy < worker.threads.total), None)
            if worker is None:
                return
            since, account, task, chunk_id = self._queue.popleft()
            self.queued.append(self.day.time - since)
            worker.busy += 1
            self.most_busy = max(self.most_busy, sum(each.busy for each in self.workers))
            self.day.start(worker.process, task, partial(self._work, worker, account, task, chunk_id), "work")

    def _work(self, worker: Worker, account: str, task: str, chunk_id: str) -> None:
        workshop = worker.workshop(account)
        what: Next
        if task == "chunk":
            what = workshop.chunk()
        elif task == "convert":
            what = workshop.convert(chunk_id)
        else:
            what = workshop.status({"chunk_id": chunk_id})
        self.tasks["crowded" if what == Again(CROWDED) else task] += 1
        self._nudges[account].obey(task, chunk_id, what)
        worker.busy -= 1
        self.day.at(0.0, self._pump)

    def _sweep_later(self, worker: Worker) -> None:
        def sweep() -> None:
            self.tasks["overdue"] += worker.sweep()
            self.tasks["sweep"] += 1
            self._sweep_later(worker)

        wait = self.day.chance(f"{worker.process.name} {self.tasks['sweep']}").uniform(0.75, 1.25)
        about = partial(self.day.start, worker.process, "sweep", sweep, "sweep")
        self.day.at(wait * self._tuning[next(iter(self._tuning))].sweep_grace, about)

    def run(self, hours: float = 24.0) -> None:
        """Let it all happen, until every lead has its outcome."""
        for worker in self.workers:
            self._sweep_later(worker)
        over = self.day.run(self._over, hours * 3600.0)
        assert not self.day.problems, self.day.trace[-1]
        assert over, f"{self._open} leads are left without an outcome"

    def _over(self) -> bool:
        return bool(self.day.problems) or not (self._producing or self._open)

    def _decided(self, organisation: Organisation, decision: Decision) -> None:
        self._open -= organisation.decided(decision)


def fewest_payloads(arrivals: Collection[tuple[float, int]], patience: float) -> int:
    """In how few payloads leads can go of which none waits for company for longer than ``patience`` seconds.

    ``arrivals`` are times and how many leads came then. As late as can be, and as many as there are, is best.
    """
    payloads, pending = 0, deque[list[float]]()

    def send() -> int:
        room = float(LEADS_A_CALL)
        while pending and room:
            taken = min(room, pending[0][1])
            room -= taken
            pending[0][1] -= taken
            if not pending[0][1]:
                pending.popleft()
        return 1

    for at, leads in sorted(arrivals):
        while pending and pending[0][0] < at:
            payloads += send()
        pending.append([at + patience, leads])
    while pending:
        payloads += send()
    return payloads


def _tuning_of(limit: int, settings: Mapping[str, str]) -> Tuning:
    blank = dict.fromkeys(variables(), "")
    return tuning(load_settings({**blank, "ZOHO_CONCURRENCY": str(limit), **settings}, dotenv=None))


def _nobody() -> Any:
    raise AssertionError("the limit is given, so nobody asks for the edition")
