"""A world in one thread: virtual time, tasks that interleave at every port call, workers that die anywhere.

Every task runs in a greenlet of its own. Each call through a port stops twice, before its effect and after it, for a
little virtual time that the seed chooses; in between, others run. At each stop the whole worker may be killed, as by
kill -9: its greenlets are simply never resumed, so no ``finally`` of theirs writes anything.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

EPOCH = 1_800_000_000.0


@dataclass
class Process:
    """A worker or producer process: everything in it dies together."""

    name: str
    alive: bool = True


@dataclass
class Chances:
    """How often things go wrong, each a probability at one opportunity."""

    crash: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0


class World:
    """The clock, the queue of events, and the points at which tasks may be stopped or killed."""

    def __init__(self, seed: int, chances: Chances) -> None:
        self.random = Random(seed)
        self.chances = chances
        self.time = EPOCH
        self.trace: list[str] = []
        self.crash_points: Counter[str] = Counter()
        self.seen_points: Counter[str] = Counter()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._hub = getcurrent()
        self._processes: dict[greenlet, Process] = {}
        self._died: list[Process] = []
        self.on_death: Callable[[Process], None] = lambda process: None

    # --- time ---

    def now(self) -> float:
        """Virtual Unix seconds (the clock port)."""
        return self.time

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do ``what`` so many virtual seconds from now."""
        heapq.heappush(self._events, (self.time + seconds, next(self._numbers), what))

    def run(self, until: Callable[[], bool], deadline: float) -> bool:
        """Let time pass until ``until`` holds; ``False`` when the deadline (seconds) came first."""
        while self._events and not until():
            self.time, _, what = heapq.heappop(self._events)
            if self.time > EPOCH + deadline:
                return False
            what()
        return until()

    # --- tasks ---

    def start(self, process: Process, name: str, body: Callable[[], None]) -> None:
        """Run ``body`` as a task of ``process``, now."""

        def whole() -> None:
            try:
                body()
            except GreenletExit:
                return

        task = greenlet(whole, parent=self._hub)
        self._processes[task] = process
        self.note(f"{process.name} starts {name}")
        task.switch()

    def stop(self, point: str) -> None:
        """A point at which others run, or the whole process is killed."""
        task = getcurrent()
        process = self._processes.get(task)
        if process is None:
            return  # the hub itself: building the history
        if not process.alive:
            raise GreenletExit
        self.seen_points[point] += 1
        if self.random.random() < self.chances.crash:
            self.crash_points[point] += 1
            self.note(f"{process.name} KILLED at {point}")
            process.alive = False
            self.on_death(process)
            self._hub.switch()
            raise GreenletExit  # only ever reached when the dead task is garbage-collected

        def resume() -> None:
            if process.alive:
                task.switch()

        self.at(self.random.expovariate(200.0), resume)
        self._hub.switch()
        if not process.alive:
            raise GreenletExit

    def note(self, line: str) -> None:
        """Add a line to the trace of this history."""
        self.trace.append(f"{self.time - EPOCH:10.3f}  {line}")


class Port:
    """Everything that a task calls: each method stops before its effect and after it."""

    def __init__(self, world: World, name: str, inner: object) -> None:
        self._world = world
        self._name = name
        self._inner = inner

    def __getattr__(self, method: str) -> Callable[..., Any]:
        inner = getattr(self._inner, method)
        point = f"{self._name}.{method}"

        def call(*args: Any, **kwargs: Any) -> Any:
            self._world.stop(f"before {point}")
            answer = inner(*args, **kwargs)
            self._world.stop(f"after {point}")
            return answer

        return call


@dataclass
class Ledgers:
    """The three parts of a ledger, each behind a port."""

    batches: Any
    chunks: Any
    organisation: Any


@dataclass
class Messages:
    """The broker: hints that may be lost, doubled and delayed."""

    world: World
    deliver: Callable[[str, str, float], None]
    counts: Counter[str] = field(default_factory=Counter)

    def chunk(self, countdown: float = 0.0) -> None:
        """Send a hint to form chunks."""
        self._send("chunk", "", countdown)

    def convert(self, chunk_id: str, countdown: float = 0.0) -> None:
        """Send a hint to send a chunk."""
        self._send("convert", chunk_id, countdown)

    def status(self, job: Any, countdown: float = 0.0) -> None:
        """Send a hint to follow a job."""
        self._send("status", job.chunk_id, countdown)

    def _send(self, task: str, chunk_id: str, countdown: float) -> None:
        chances, chance = self.world.chances, self.world.random.random
        if chance() < chances.lost:
            self.counts["lost"] += 1
            self.world.note(f"message {task} {chunk_id} LOST")
            return
        copies = 2 if chance() < chances.doubled else 1
        self.counts["sent"] += copies
        for _ in range(copies):
            late = self.world.random.uniform(0.0, 60.0) if chance() < chances.delayed else 0.0
            self.deliver(task, chunk_id, countdown + late)
