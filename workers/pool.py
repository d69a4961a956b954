"""Celery's threads pool, which also wakes the worker's loop when a task has ended.

Celery 5.6 acknowledges a message, and takes the next, in its event loop. That loop sleeps until a socket or a timer
wakes it, and a thread that ends a task does neither: once the prefetch window is full, acknowledgements and new
messages wait for the next timer. Measured with 20 threads and tasks of 0.2 s: 14 tasks/s without this, 98 with it
(docs/decisions/0005-threads.md).
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from celery.concurrency.thread import TaskPool


class WakingThreads(TaskPool):  # type: ignore[misc]  # Celery ships no types
    """A pipe in the loop's set: each task that ends writes a byte."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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
        return result

    def _wake(self, _done: object) -> None:
        with suppress(BlockingIOError):  # full of bytes that nobody has read yet: the loop will wake
            os.write(self._writing, b".")

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._reading, 65536)
