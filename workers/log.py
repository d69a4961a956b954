"""The log of workers and beat: one line a record, with the chunk that it is about; no traceback for a lost Redis."""

from __future__ import annotations

import json
import logging
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from datetime import datetime, timezone
from traceback import walk_tb
from typing import Any

import billiard.exceptions
import celery.beat
import celery.exceptions
import kombu.exceptions
import redis.exceptions

from massconvert.broker import in_short
from massconvert.metrics import our_version
from massconvert.telemetry import traces
from massconvert.words.readable import Readable, readable_error
from workers.quiet import BROKER_LINES, Repeats

_LONGEST_ID = 40
_VERSION = our_version()
_chunk: ContextVar[str] = ContextVar("chunk", default="")
_account: ContextVar[str] = ContextVar("account", default="")

#: Errors that say all in one line: the other side went away.
_OUTAGES = (
    OSError,
    billiard.exceptions.RestartFreqExceeded,
    celery.beat.SchedulingError,
    celery.exceptions.Reject,
    kombu.exceptions.OperationalError,
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
)
#: A connection that is closed under kombu's hands is an AttributeError, or whatever else, in its transport; amqp is
#: RabbitMQ's.
_TRANSPORTS = ("kombu.transport.", "amqp.")
#: What Celery's consumer logs with an error is a connection that was lost, or a stranger's message that is not a task.
_CONSUMER = "celery.worker.consumer.consumer"
#: What Celery logs of a remote command that it cannot obey; who sent it is told the same.
_REMOTE = "kombu.pidbox"
#: Beat logs where in its code it was, below the error.
_BEAT = "celery.beat"
#: Celery's own lines about every message; they would drown ours. They are there at level DEBUG.
_TALKATIVE = ("celery.worker.strategy", "celery.app.trace")


@contextmanager
def about(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Name the account and the chunk of a task's message in every line that is logged meanwhile in this thread."""
    account = kwargs.get("account")
    named = _account.set(account if isinstance(account, str) and len(account) <= _LONGEST_ID else "")
    subject = args[0] if args else kwargs.get("chunk_id") or kwargs.get("job")
    if isinstance(subject, Mapping):
        subject = subject.get("chunk_id")
    token = _chunk.set(subject if isinstance(subject, str) and len(subject) <= _LONGEST_ID else "")
    try:
        yield
    finally:
        _chunk.reset(token)
        _account.reset(named)


class OneLine(Readable):
    """``2026-11-24T15:00:00Z INFO name [account chunk] message``, in UTC; an outage's traceback becomes one line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(about)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        record = copy(record)
        outage = _outage(record)
        repeated = getattr(record, "repeated", 0)
        again = f" ({repeated:,} more like this in the last minute)" if repeated else ""
        record.outage = (f" ({outage})" if outage else "") + again
        if outage:
            record.exc_info = None  # the line names the error
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without a traceback."""
        outage, chunk = getattr(record, "outage", ""), _chunk.get()
        # What follows is source code; or advice for developers, and the stranger's message.
        if record.name == "py.warnings" or (record.name in (_CONSUMER, _BEAT) and outage):
            record.message = record.message.split("\n")[0]
        about = " ".join(filter(None, (_account.get(), "" if chunk in record.message else chunk)))
        record.about = f" [{about}]" if about else ""
        return in_short(super().formatMessage(record) + outage)


class OneObject(OneLine):
    """The same records as a JSON object a line; ``extra={"event": …, "facts": {…}}`` brings what it is about.

    Ids are strings. Its fields are in docs/monitoring.md.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        # The line without what has a field of its own here.
        told, *below = super().format(record).split("\n")
        found = {
            "ts": f"{datetime.fromtimestamp(record.created, timezone.utc):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "level": record.levelname,
            "event": getattr(record, "event", ""),
            "msg": told,
            "logger": record.name,
            "account": _account.get(),
            "chunk": _chunk.get(),
            "worker": socket.gethostname(),
            "version": _VERSION,
            **traces.ids(),
            **getattr(record, "facts", {}),
            "repeated": getattr(record, "repeated", 0),
            "traceback": "\n".join(below),
        }
        return json.dumps({name: value for name, value in found.items() if value not in ("", 0)}, ensure_ascii=False)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The sentence alone."""
        line = super().formatMessage(record)
        about = getattr(record, "about", "")
        return line.removeprefix(f"{record.asctime} {record.levelname} {record.name}{about} ")


def _outage(record: logging.LogRecord) -> str | None:
    """What went away, or which message of a stranger was refused; ``None`` for a bug."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return None
    if isinstance(error, _OUTAGES) or record.name in (_CONSUMER, _REMOTE) or _raised_in(error).startswith(_TRANSPORTS):
        return readable_error(error)
    return None


def _raised_in(error: BaseException) -> str:
    """The module whose code raised it."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return str(frames[-1].f_globals.get("__name__", "")) if frames else ""


def set_up(level: int, logfile: str | None = None, *, in_json: bool = False) -> None:
    """Send everything to ``logfile``, or stderr, from ``level`` on."""
    # A machine without a locale writes ASCII; a file of ours is UTF-8 everywhere.
    handler = logging.FileHandler(logfile, encoding="utf-8") if logfile else logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneObject() if in_json else OneLine())
    if level > logging.DEBUG:
        handler.addFilter(BROKER_LINES)
        handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING if level > logging.DEBUG else logging.NOTSET)
    # Ours say what matters of an exchange; at DEBUG urllib3 would log each URL.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
