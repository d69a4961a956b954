"""What is not said again and again: that the broker is unreachable, and any other warning.

There is one line in the log when the broker goes, and one when it is back: Celery alone writes several a second.

A broker that refuses (a replica, a full memory) takes the connection and then turns it down, so Celery connects again
and again, each time with some lines. What they say is the same. What a lost connection breaks elsewhere (an
acknowledgement, the next message of a chain) says no more than its one line, and the sweep sends what was not sent. At
level DEBUG all are there.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any

import amqp.exceptions
import kombu.exceptions
import redis.exceptions
from celery import bootsteps
from celery.worker.consumer.consumer import CONNECTION_ERROR, CONNECTION_RETRY

from massconvert.words.readable import message_of

logger = logging.getLogger("massconvert")

#: A connection that has held for so long, in seconds, is one that holds: a refusal comes with the first commands.
STEADY = 1.0
#: While the broker is unreachable, seconds between lines that say so.
REMIND_EVERY = 60.0

_LOST = (CONNECTION_ERROR, CONNECTION_RETRY)
#: The loggers whose lines are about the connection while it is down.
_TELLERS = (
    "celery.worker.consumer.",
    "celery.worker.loops",
    "celery.worker.pidbox",
    "celery.worker.request",
    "celery.bootsteps",
    "kombu.",
    "py.warnings",
)
#: A task's log has these: anything else that it raises is a bug, and is written.
_OF_TASKS, _UNSENT = "celery.app.trace", kombu.exceptions.OperationalError
#: What a connection raises that is lost.
_BROKEN = (
    OSError,
    _UNSENT,
    amqp.exceptions.ConnectionError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
)
#: So often the same warning is written within a minute.
MOST_REPEATS = 3
#: Spans of time. Other numbers may be the id of what a line is about, and each of these is to be found in the log.
_SPANS = re.compile(r"\d+\.\d+|\d+(?= ?(?:s|ms|min|seconds|minutes)\b)")
_MOST_KEPT = 1000

_FREQUENT = "Frequent restarts detected: %r"


class BrokerLines(logging.Filter):
    """Drops what says again that the broker is unreachable. ``monotonic`` is in seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._away_since: float | None = None
        self._said_at = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written."""
        lost = record.msg in _LOST
        now = self._monotonic()
        if self._away_since is None:
            if lost:
                self._away_since = self._said_at = now
            return not _tells_of_what_it_broke(record)
        if lost and now - self._said_at >= REMIND_EVERY:
            self._said_at = now
            return True
        return not (lost or _tells_of_it(record) or _tells_of_what_it_broke(record))

    def back(self) -> None:
        """The connection holds: say so, if it was lost."""
        if self._away_since is None:
            return
        away, self._away_since = self._monotonic() - self._away_since, None
        logger.warning("The broker is back after %.0f s.", away)


def _tells_of_it(record: logging.LogRecord) -> bool:
    about_it = record.name.startswith(_TELLERS) and (record.levelno <= logging.WARNING or record.exc_info)
    return bool(about_it) or record.msg == _FREQUENT


def _tells_of_what_it_broke(record: logging.LogRecord) -> bool:
    """Whether it is no line of the loss itself, which comes with the same error."""
    error = record.exc_info[1] if record.exc_info else None
    if record.name == _OF_TASKS:
        return isinstance(error, _UNSENT)
    return record.msg not in _LOST and record.name.startswith(_TELLERS) and isinstance(error, _BROKEN)


def holding(lines: BrokerLines) -> type[bootsteps.StartStopStep]:
    """A step of the consumer that tells ``lines`` when a connection holds."""

    class Holding(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
        requires = ("celery.worker.consumer.tasks:Tasks",)
        timer: Any = None

        def start(self, c: Any) -> None:
            self.timer = c.timer.call_after(STEADY, lines.back)

        def stop(self, _c: Any) -> None:
            if self.timer:
                self.timer.cancel()

    return Holding


#: The one of this process.
BROKER_LINES = BrokerLines()


class Repeats(logging.Filter):
    """Lets the same warning or error through three times a minute; the next one after that says how many there were.

    The same is what differs in spans of time alone. ``monotonic`` is in seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}  # since when, how many

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written; ``record.repeated`` is how many were not."""
        if record.levelno < logging.WARNING:
            return True
        key, now = (record.name, record.levelno, _SPANS.sub("#", message_of(record))), self._monotonic()
        since, number = self._seen.get(key, (now, 0))
        if now - since >= REMIND_EVERY:
            record.repeated = max(0, number - MOST_REPEATS)
            since, number = now, 0
        if len(self._seen) >= _MOST_KEPT and key not in self._seen:
            del self._seen[next(iter(self._seen))]
        self._seen[key] = since, number + 1
        return number < MOST_REPEATS
