"""A world in one thread: virtual time, tasks that interleave at every port call, processes that die anywhere.

Every task runs in a greenlet of its own. A *port* is where the product touches the world: a command or script on Redis,
a call to Zoho, a message to the broker. Each port calls `World.stop` twice, before its effect and after it. At a stop
three things may happen:

- time passes, a few milliseconds by default, so that other tasks run in between: this is where interleavings come from;
- the process *freezes* for seconds or minutes (a paused machine, a long garbage collection, a stuck disk): its leases
  lapse, others take over, and then it wakes up and goes on as if nothing had happened;
- the process is *killed*, as by kill -9. All its greenlets are simply never resumed, so no ``finally`` and no
  ``except`` of theirs writes anything. A kill before an effect and a kill after it are different crashes, and the
  difference is what a write-ahead ledger is about.

The point of the greenlets is that the product's code runs as it is. It is not cut into pieces for a test, and it does
not know that its port is a place where the world may end.

Nothing here asks the real clock or real chance: a seed makes the world, and the same seed makes it again.
"""

from __future__ import annotations

import heapq
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]  # it ships no types

EPOCH = 1_800_000_000.0

#: All trouble that comes by chance ends after so many seconds; from then on, everything must come to its end.
TROUBLE = 5400.0
#: Mean time that a stop takes, in seconds.
BLINK = 0.005
_A_BLINK = 1.0 / BLINK


@dataclass(eq=False)
class Process:
    """A worker, a producer or a command: everything in it dies together.

    ``slept`` is for how many seconds it has been frozen: a clock that stands still meanwhile is so far behind.
    """

    name: str
    slept: float = 0.0
    alive: bool = True
    holds: list[Callable[[], None]] = field(default_factory=list)  # what happens to its messages when it dies


class Task(greenlet):  # type: ignore[misc]  # as above
    """One task of a process. ``about`` is the chunk it works on, if any; ``permitted`` is when it got its permit.

    ``beside``: it was last answered by a Redis that was replaced, and goes on. ``told``: it knew Zoho's clock when it
    asked for that last.
    """

    process: Process
    world: World
    about: str
    permitted: float = 0.0
    beside: bool = False
    told: bool = False


@dataclass(frozen=True)
class Mishaps:
    """What may happen to a process at a stop."""

    crash: float = 0.0  # probability at each stop
    freeze: float = 0.0
    target: str = ""  # kill whoever comes to this point ...
    target_visit: int = 1  # ... for the n-th time
    target_sleeps: float = 0.0  # or instead of that, let its machine stand still for this many seconds


class World:
    """The clock, the queue of events, and the points at which tasks may be stopped, frozen or killed."""

    def __init__(self, seed: int, mishaps: Mishaps) -> None:
        self.seed = seed
        self.mishaps = mishaps
        self.redis_history = 1
        self.time = EPOCH
        self.trace: list[str] = []
        self.problems: list[str] = []
        self.killed: Counter[str] = Counter()
        self.visited: Counter[str] = Counter()
        self.on_death: Callable[[Process], None] = lambda process: None
        self.watched = ""  # a point of which `on_visit` is told
        self.on_visit: Callable[[int], None] = lambda visit: None
        self.over = False
        self._pace = self.chance("pace")
        self._fate = self.chance("fate")
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = 0
        self._hub = getcurrent()
        self._tasks: list[Task] = []

    def chance(self, name: str) -> Random:
        """A stream of chance of its own, so that what is shrunk away in one place changes little in another."""
        return Random(f"{self.seed}/{name}")

    # --- time ---

    def now(self) -> float:
        """Virtual Unix seconds, as nobody in the world knows them for sure."""
        return self.time

    def steady(self) -> float:
        """Virtual seconds of the machine's clock that goes on while a process is frozen."""
        return self.time

    def awake(self) -> float:
        """Virtual seconds of a clock that stands still while the current process is frozen."""
        task = self.current()
        return self.time - task.process.slept if task else self.time

    def redis_time(self) -> float:
        """Virtual Unix seconds as Redis has them."""
        return self.time

    def redis_says(self, history: int, replicas: int) -> str:
        """What a Redis says of its history and its replicas (``INFO replication``)."""
        attached = "".join(f"slave{n}:ip=127.0.0.1,port=1,state=online\r\n" for n in range(replicas))
        return f"# Replication\r\nrole:master\r\n{attached}master_replid:history{history}\r\n"

    @property
    def elapsed(self) -> float:
        """Virtual seconds since the history began."""
        return self.time - EPOCH

    @property
    def troubled(self) -> bool:
        """Whether things may still go wrong by chance."""
        return self.time < EPOCH + TROUBLE

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do ``what`` so many virtual seconds from now."""
        self._numbers += 1
        heapq.heappush(self._events, (self.time + seconds, self._numbers, what))

    def run(self, until: Callable[[], bool], deadline: float) -> bool:
        """Let time pass until ``until`` holds; ``False`` when the deadline (virtual seconds since EPOCH) came first."""
        while self._events and not until():
            if self._events[0][0] > EPOCH + deadline:
                return False
            self.time, _, what = heapq.heappop(self._events)
            what()
        return until()

    # --- tasks ---

    def start(self, process: Process, name: str, body: Callable[[], None], about: str = "") -> None:
        """Run ``body`` as a task of ``process``, now, until its first stop."""

        def whole() -> None:
            try:
                body()
            except GreenletExit:
                return
            except Exception as error:  # noqa: BLE001 - whatever the product raises is told with the history's trace
                if self.over:
                    return
                self.wrong(f"{name} raised {error!r}")
                self.trace.append(traceback.format_exc())

        task = Task(whole, parent=self._hub)
        task.process, task.world, task.about = process, self, about
        self._tasks.append(task)
        self.note(f"{process.name} starts {name}")
        task.switch()

    def end(self) -> None:
        """End whatever has not ended: a suspended task is never garbage-collected, nor is what it holds."""
        self.over = True
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            if task and not task.dead:
                task.throw(GreenletExit)
            task.__dict__.clear()  # what it ran in is let go with it

    def current(self) -> Task | None:
        """The task that runs now; ``None`` while the history itself is being arranged."""
        task = getcurrent()
        return task if isinstance(task, Task) else None

    def stop(self, point: str, *, may_freeze: bool = True) -> None:
        """A point at which others run, or this process freezes, or is killed."""
        task = getcurrent()
        if not isinstance(task, Task):
            return
        process = task.process
        if self.over or not process.alive:
            raise GreenletExit  # a task that is being garbage-collected runs its ``finally``: it changes nothing
        self.visited[point] = visit = self.visited[point] + 1
        if point == self.watched:
            self.on_visit(visit)
        at_target = point == self.mishaps.target and visit == self.mishaps.target_visit
        if at_target and self.mishaps.target_sleeps:
            self._freeze(process, point, self.mishaps.target_sleeps)
            return
        if at_target or self._dies_here():
            self.kill(process, point)
            self._hub.switch()
            raise GreenletExit
        wait = self._pace.expovariate(_A_BLINK)
        if may_freeze and self.mishaps.freeze and self.troubled and self._fate.random() < self.mishaps.freeze:
            self._freeze(process, point, self._fate.choice([1.0, 20.0, 200.0]) * self._fate.uniform(0.5, 1.5))
            return
        self.sleep(wait)

    def _freeze(self, process: Process, point: str, seconds: float) -> None:
        process.slept += seconds
        self.note(f"{process.name} FREEZES {point} for {seconds:.0f} s")
        self.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        """Let so much time pass for the current task."""
        wake = self.time + seconds
        if not self._events or wake < self._events[0][0]:
            self.time = wake  # nobody else has anything to do until then: no need to ask the hub
            return
        task: Any = getcurrent()
        self.at(seconds, lambda: task.switch() if task.process.alive else None)
        self._hub.switch()
        if not task.process.alive:
            raise GreenletExit

    def _dies_here(self) -> bool:
        return self.mishaps.crash > 0.0 and self.troubled and self._fate.random() < self.mishaps.crash

    def kill(self, process: Process, point: str) -> None:
        """End a process at once."""
        self.killed[point] += 1
        self.note(f"{process.name} KILLED {point}")
        process.alive = False
        self.on_death(process)

    # --- what people read ---

    def note(self, line: str) -> None:
        """Add a line to the trace of this history."""
        self.trace.append(f"{self.elapsed:10.3f}  {line}")

    def wrong(self, problem: str) -> None:
        """Something that must never be; it stands in the trace where it was found."""
        self.problems.append(problem)
        self.note(f"   !! {problem}")
