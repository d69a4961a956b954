"""Take what Redis has handed to this worker at once, also while its prefetch window is full.

kombu 5.6 asks Redis for a message (BRPOP) when the window has room, and does not read the answer while it has none.
The window shrinks in between: a message with a countdown widens it for as long as it waits. Then the answer, or that
there was none within a second, lies in the socket, and epoll wakes the worker's loop again and again: a core is used up
for nothing (kombu#2214), and a message that is in no queue and not yet noted as unacknowledged is lost if the worker
dies. Measured with four workers of 20 threads at work: 2.9 s of CPU in 17 s for such a loop, and 0.8 s without
(docs/decisions/0005-threads.md).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import bootsteps
from kombu.transport.redis import MultiChannelPoller


def read_at_once(poller: MultiChannelPoller) -> None:
    """Have ``poller`` read whatever comes: at most one message beyond the window, since no other is asked for."""
    poller.on_readable = partial(_read, poller)


def _read(poller: MultiChannelPoller, fileno: int) -> None:
    channel, kind = poller._fd_to_chan[fileno]  # noqa: SLF001 - kombu has no other name for it
    channel.handlers[kind]()


class ReadingAtOnce(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """A step of the consumer, taken again at each connection to the broker."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, c: Any) -> None:
        """Change how this connection reads, where it is one to Redis."""
        poller = getattr(c.connection.transport, "cycle", None)
        if isinstance(poller, MultiChannelPoller):
            read_at_once(poller)
