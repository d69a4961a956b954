"""Take what Redis has handed to this worker at once, also while its prefetch window is full, and never drop it.

kombu 5.6 asks Redis for a message (BRPOP) when the window has room, and does not read the answer while it has none.
The window shrinks in between: a message with a countdown widens it for as long as it waits. Then the answer, or that
there was none within a second, lies in the socket, and epoll wakes the worker's loop again and again: a core is used up
for nothing (kombu#2214), and a message that is in no queue and not yet noted as unacknowledged is lost if the worker
dies. Measured with four workers of 20 threads at work: 2.9 s of CPU in 17 s for such a loop, and 0.8 s without
(docs/decisions/0005-threads.md).

kombu then notes the message as unacknowledged, by a second command. Redis may refuse that one (a full memory refuses a
note, and no BRPOP), or be gone: the message was in no queue and in no note any more, and kombu forgot it. Here it is
kept, and put back into its queue before the next connection takes anything.

And kombu waits for the answer to that BRPOP for ever. One that never comes, since the host is gone or the process is
frozen, leaves the worker deaf, though all else goes to the new primary. Redis answers within a second, with a message
or without: a connection on which it has been silent for longer than a time-out is cut here, as if it had been lost.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from celery import bootsteps
from kombu.transport.redis import MultiChannelPoller
from kombu.utils.json import dumps

from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS

logger = logging.getLogger("massconvert")

_OURS = frozenset((QUEUE, QUEUE_CONVERT, QUEUE_STATUS))
#: A message and its queue, as kombu hands them out.
Delivered = tuple[dict[str, Any], str]


#: How often it is looked whether Redis is silent, in seconds.
LISTEN_EVERY = 1.0


class Ears:
    """Reads whatever comes for ``poller``: at most one message beyond the window, since no other is asked for.

    And notes since when it waits. ``monotonic`` is in seconds.
    """

    def __init__(self, poller: MultiChannelPoller, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._poller = poller
        self._monotonic = monotonic
        self._waits_since: dict[Any, float] = {}
        poller.on_readable = self._read

    def _read(self, fileno: int) -> None:
        channel, kind = self._poller._fd_to_chan[fileno]  # noqa: SLF001 - kombu has no other name for it
        self._waits_since.pop(channel, None)
        channel.handlers[kind]()

    def listen(self) -> None:
        """Cut the connections on which an answer is overdue; the loop finds them lost, and makes others."""
        now = self._monotonic()
        for channel in list(self._poller._channels):  # noqa: SLF001 - as above
            asked = channel._in_poll  # noqa: SLF001 - as above; the connection on which a BRPOP is under way
            if not asked:
                self._waits_since.pop(channel, None)
                continue
            silent = now - self._waits_since.setdefault(channel, now)
            sock = getattr(asked, "_sock", None)
            if sock and silent > channel.brpop_timeout + (channel.socket_timeout or 5.0) and not _has_come(sock):
                logger.warning("The broker has been silent for %.0f s on a connection; it is cut.", silent)
                self._waits_since.pop(channel, None)
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


def _has_come(sock: Any) -> bool:
    """Whether an answer waits to be read: it is the loop that was busy, and not Redis silent."""
    return bool(select.select([sock], [], [], 0)[0])


class UnnotedMessages:
    """The messages that were taken from their queues and could not be noted; the oldest first."""

    def __init__(self) -> None:
        self._messages: deque[Delivered] = deque()

    def __len__(self) -> int:
        return len(self._messages)

    def watch(self, transport: Any, refusals: tuple[type[BaseException], ...]) -> None:
        """Keep each message of ``transport`` whose delivery ends in one of ``refusals``."""
        transport._deliver = partial(self._deliver, transport._deliver, refusals)  # noqa: SLF001 - as above

    def _deliver(
        self,
        deliver: Callable[[dict[str, Any], str], None],
        refusals: tuple[type[BaseException], ...],
        message: dict[str, Any],
        queue: str,
    ) -> None:
        try:
            deliver(message, queue)
        except refusals:
            if queue in _OURS:  # not what monitors and remote control broadcast
                self._messages.append((message, queue))
            raise

    def put_back(self, channel: Any) -> None:
        """Return them to where their queues are taken from next. Raises what Redis does; none is lost by that."""
        with channel.conn_or_acquire() as client:
            while self._messages:
                message, queue = self._messages[-1]  # so that the oldest is taken first again
                client.rpush(queue, dumps(message))
                self._messages.pop()


class ReadingAtOnce(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
    """A step of the consumer, taken again at each connection to the broker."""

    requires = ("celery.worker.consumer.connection:Connection",)
    kept = UnnotedMessages()
    timer: Any = None

    def start(self, c: Any) -> None:
        """Change how this connection reads, where it is one to Redis."""
        transport = c.connection.transport
        poller = getattr(transport, "cycle", None)
        if isinstance(poller, MultiChannelPoller):
            self.timer = c.timer.call_repeatedly(LISTEN_EVERY, Ears(poller).listen)
            if self.kept:
                self.kept.put_back(c.connection.default_channel)
            self.kept.watch(transport, (*c.connection_errors, *c.channel_errors))

    def stop(self, _c: Any) -> None:
        """The connection is gone, or is to go."""
        if self.timer:
            self.timer.cancel()

    def shutdown(self, c: Any) -> None:
        """The worker ends: a last try to put back what is kept."""
        if not self.kept:
            return
        try:
            self.kept.put_back(c.connection.default_channel)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must be told what is lost
            logger.critical("%d messages are lost: the broker takes nothing (%s).", len(self.kept), error)
