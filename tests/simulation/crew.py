"""Play many histories: a few processes, each with a redis-server of its own, and what they found, added up."""

from __future__ import annotations

import gc
import logging
import multiprocessing
import queue
import signal
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.conftest import RedisServer
from tests.simulation.draw import draw
from tests.simulation.reach import Reach
from tests.simulation.together import play_together
from tests.simulation.wire import Wire

#: Of so many histories a process tells at once.
BLOCK = 20


@dataclass
class Tally:
    """What histories showed, added up. ``failures`` are seeds with their first problem."""

    reach: Reach = field(default_factory=Reach)
    failures: dict[int, str] = field(default_factory=dict)
    unknowable: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        """Add another tally."""
        self.reach.add(other.reach)
        self.failures |= other.failures
        self.unknowable += other.unknowable


@contextmanager
def one_server() -> Iterator[str]:
    """A redis-server of our own; yields its socket, and ends it by its process."""
    with tempfile.TemporaryDirectory(prefix="mc-sim-") as folder:
        server = RedisServer(Path(folder), ("--appendonly", "no"))
        server.start()
        try:
            yield server.socket
        finally:
            server.kill()


def play_seeds(wire: Wire, seeds: Iterable[int], theme: str = "") -> Tally:
    """Play the histories of these seeds."""
    tally = Tally()
    for part in _tallies(wire, seeds, theme):
        tally.add(part)
    return tally


def _tallies(wire: Wire, seeds: Iterable[int], theme: str) -> Iterator[Tally]:
    """What each history showed, as they come to their ends."""
    logging.getLogger("massconvert").setLevel(logging.CRITICAL)  # it warns of just what we provoke
    for verdict in play_together((draw(seed, theme) for seed in seeds), wire):
        failures = {verdict.plan.seed: verdict.problems[0]} if verdict.problems else {}
        yield Tally(verdict.reach, failures, verdict.unknowable)


class Crew:
    """So many processes that play histories. To be used as a context: it ends them, and their servers."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._stack = ExitStack()
        self._context = multiprocessing.get_context("spawn")
        self._found: Any = self._context.Queue()
        self._workers: list[Any] = []
        self._next_seed: Any = None

    def __enter__(self) -> Crew:  # noqa: PYI034 - Self is not in Python 3.10
        self._sockets = [self._stack.enter_context(one_server()) for _ in range(self._jobs)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.terminate()
            worker.join()
        self._stack.close()

    @property
    def last_seed(self) -> int:
        """The last seed of which a history has begun: some before it may not have come to their ends."""
        return int(self._next_seed.value) - 1

    def play(self, first: int, count: int, theme: str) -> Iterator[Tally]:
        """Play ``count`` histories from seed ``first`` on; yields what each block showed, as it comes."""
        next_seed = self._next_seed = self._context.Value("q", first)
        for socket in self._sockets:
            arguments = (socket, next_seed, first + count, theme, self._found)
            self._workers.append(self._context.Process(target=_work, args=arguments, daemon=True))
            self._workers[-1].start()
        played = 0
        while played < count:
            try:
                tally: Tally = self._found.get(timeout=1.0)
            except queue.Empty:
                if all(worker.exitcode is not None for worker in self._workers):
                    raise RuntimeError("the processes that play histories have died") from None
                continue
            played += tally.reach.histories
            yield tally


def _work(socket: str, next_seed: Any, end: int, theme: str, found: Any) -> None:
    """What each process does: take one seed after the other, and tell of some at a time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is for the parent, which ends us
    gc.freeze()
    gc.set_threshold(50_000)  # many worlds live at once, and each look at them takes time
    tally = Tally()
    for part in _tallies(Wire(socket), _taken(next_seed, end), theme):
        tally.add(part)
        if tally.reach.histories >= BLOCK:
            found.put(tally)
            tally = Tally()
    found.put(tally)


def _taken(next_seed: Any, end: int) -> Iterator[int]:
    """The seeds that are this process' to play."""
    while True:
        with next_seed.get_lock():
            seed, next_seed.value = next_seed.value, next_seed.value + 1
        if seed >= end:
            return
        yield seed
