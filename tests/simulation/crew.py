"""Play many histories: a few processes, each with a redis-server of its own, and what they found, added up."""

from __future__ import annotations

import logging
import multiprocessing
import queue
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.conftest import RedisServer
from tests.simulation.draw import draw
from tests.simulation.history import play
from tests.simulation.reach import Reach
from tests.simulation.store_port import Wire

#: Seeds that a process takes at once.
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


def play_seeds(wire: Wire, seeds: range, theme: str = "") -> Tally:
    """Play the histories of these seeds, one after the other."""
    tally = Tally()
    logging.getLogger("massconvert").setLevel(logging.CRITICAL)  # it warns of just what we provoke
    for seed in seeds:
        verdict = play(draw(seed, theme), wire)
        tally.reach.add(verdict.reach)
        tally.unknowable += verdict.unknowable
        if verdict.problems:
            tally.failures[seed] = verdict.problems[0]
    return tally


class Crew:
    """So many processes that play histories. To be used as a context: it ends them, and their servers."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._stack = ExitStack()
        self._context = multiprocessing.get_context("spawn")
        self._found: Any = self._context.Queue()
        self._workers: list[Any] = []

    def __enter__(self) -> Crew:  # noqa: PYI034 - Self is not in Python 3.10
        self._sockets = [self._stack.enter_context(one_server()) for _ in range(self._jobs)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.terminate()
            worker.join()
        self._stack.close()

    def play(self, first: int, count: int, theme: str) -> Iterator[Tally]:
        """Play ``count`` histories from seed ``first`` on; yields what each block showed, as it comes."""
        next_seed = self._context.Value("q", first)
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
    """What each process does: take a block of seeds, play it, tell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C is for the parent, which ends us
    wire = Wire(socket)
    while True:
        with next_seed.get_lock():
            start = next_seed.value
            next_seed.value = min(end, start + BLOCK)
        if start >= end:
            return
        found.put(play_seeds(wire, range(start, min(end, start + BLOCK)), theme))
