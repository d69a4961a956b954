"""How the threads of a process are shared between its accounts, so that a slow one leaves some to the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Threads:
    """The threads of a process: how many there are in all, and how many tasks of its accounts hold."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.held = 0
        self.lock = threading.Lock()


class Share:
    """How many of a process' threads one account may hold.

    Its own part, which ``part`` says (None: any number), and more while fewer than half of all ``threads`` are held. So
    one of a hundred accounts, whose part is one thread, can use a process that is not busy; and accounts whose calls
    hang hold no more than half of it together, beyond their parts.
    """

    def __init__(self, part: Callable[[], int | None], threads: Threads | None = None) -> None:
        self._part = part
        self._threads = threads or Threads(0)
        self._held = 0

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Hold a thread, if the account may have one more; yields whether it does."""
        part, threads = self._part(), self._threads
        with threads.lock:
            ours = part is None or self._held < part or threads.held < threads.total // 2
            self._hold(ours)
        try:
            yield ours
        finally:
            with threads.lock:
                self._hold(-ours)

    def _hold(self, more: int) -> None:
        self._held += more
        self._threads.held += more
