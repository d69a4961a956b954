"""Celery's threads pool, which also wakes the worker's loop when a task has ended.

Celery 5.6 acknowledges a message, and takes the next, in its event loop. That loop sleeps until a socket or a timer
wakes it, and a thread that ends a task does neither: once the prefetch window is full, acknowledgements and new
messages wait for the next timer. Measured with 20 threads and tasks of 0.2 s: 14 tasks/s without this, 98 with it
(docs/decisions/0005-threads.md).
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import Any

from celery.concurrency.thread import TaskPool

logger = logging.getLogger("massconvert")


class WakingThreads(TaskPool):  # type: ignore[misc]  # Celery ships no types
    """A pipe in the loop's set: each task that ends writes a byte. It also grows, shrinks, and bears being ended.

    Celery's own has none of that: ``--autoscale``, ``control pool_grow`` and SIGQUIT end its worker with an error.
    """

    limit: int

    def __init__(self, limit: int | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(max(limit or 1, 1), *args, **kwargs)  # --autoscale=10 begins with none
        self._told = False
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)

    def register_with_event_loop(self, loop: Any) -> None:
        """Called by the worker at its start, and after each reconnection to the broker."""
        loop.add_reader(self._reading, self._drain)

    def on_apply(self, *args: Any, **kwargs: Any) -> Any:
        """Run a task in a thread."""
        result = super().on_apply(*args, **kwargs)
        result.f.add_done_callback(self._wake)
        result.terminate = self.terminate_job  # what Celery calls when the task is revoked or the worker is to end
        return result

    def grow(self, n: int = 1) -> None:
        """Run ``n`` more tasks at once."""
        self.limit += n
        self.executor._max_workers = self.limit  # noqa: SLF001 - read at each task; there is no other name for it
        for _ in range(n):
            self.executor.submit(_nothing)  # what waits in the executor gets its thread now

    def shrink(self, n: int = 1) -> None:
        """Run ``n`` fewer at once, at least one: as many messages are held. Threads that there are stay, and idle."""
        self.limit = max(1, self.limit - n)
        self.executor._max_workers = self.limit  # noqa: SLF001 - as above

    def terminate_job(self, *_: object) -> None:
        """A thread cannot be ended: its task ends by itself. (Its message is given back, and changes nothing then.)"""
        if not self._told:
            self._told = True
            logger.warning("Tasks that run cannot be cut off; they go on to their end, within their deadline.")

    def _wake(self, _done: object) -> None:
        with suppress(BlockingIOError):  # full of bytes that nobody has read yet: the loop will wake
            os.write(self._writing, b".")

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._reading, 65536)


def _nothing() -> None:
    """A value that is not a task."""
