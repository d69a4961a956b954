"""What the log says of a broker that goes and comes back."""

from __future__ import annotations

import logging

import pytest
from amqp.exceptions import RecoverableConnectionError as ChannelGone
from celery.worker.consumer.consumer import CONNECTION_ERROR, CONNECTION_RETRY
from kombu.exceptions import OperationalError
from redis.exceptions import ResponseError

from tests.stand_ins import Steady
from workers.quiet import REMIND_EVERY, BrokerLines

CONSUMER = "celery.worker.consumer.consumer"


def record(name: str, message: str, level: int = logging.WARNING, error: Exception | None = None) -> logging.LogRecord:
    """A line as Celery would write it."""
    return logging.LogRecord(name, level, "", 1, message, (), (type(error), error, None) if error else None)


LOST = record(CONSUMER, CONNECTION_RETRY, error=ResponseError("UNBLOCKED"))
ROUND = [
    record("celery.worker.consumer.connection", "Connected to %s", logging.INFO),
    record("celery.worker.consumer.mingle", "mingle: all alone", logging.INFO),
    record("kombu.asynchronous.hub", "Error in timer: %r", logging.ERROR, ResponseError("READONLY")),
    record("celery.bootsteps", "Error on %s %s: %r", logging.ERROR, ResponseError("READONLY")),
    record(CONSUMER, "Frequent restarts detected: %r", logging.CRITICAL, ResponseError("x")),
    record(CONSUMER, CONNECTION_ERROR, logging.ERROR),
    LOST,
]


def test_a_loss_is_one_line_and_the_return_is_another(caplog: pytest.LogCaptureFixture) -> None:
    """However often Celery tries in between; and the next loss is told again."""
    clock = Steady()
    lines = BrokerLines(clock)
    for _ in range(2):
        assert lines.filter(LOST)
        assert not any(lines.filter(line) for _ in range(100) for line in ROUND)
        clock.now += 7
        lines.back()
        lines.back()  # it holds on: nothing to say
    assert [line.getMessage() for line in caplog.records] == ["The broker is back after 7 s."] * 2


def test_what_is_not_about_the_broker_is_always_written() -> None:
    """Our own lines, and what ends the worker."""
    lines = BrokerLines(Steady())
    assert lines.filter(LOST)
    assert lines.filter(record("massconvert", "chunk 1: post: accepted", logging.INFO))
    assert lines.filter(record("celery.worker", "Unrecoverable error: %r", logging.CRITICAL, ResponseError("x")))
    assert lines.filter(record(CONSUMER, "Received unregistered task of type %s.", logging.ERROR))


def test_what_a_lost_connection_breaks_is_told_by_its_own_line_alone() -> None:
    """Also what a thread meets before the loop does. A bug of a task is none of it."""
    lines, broken = BrokerLines(Steady()), ConnectionResetError(104, "Connection reset by peer")
    for line in (
        record("celery.worker.request", "Couldn't ack %r, reason:%r", logging.CRITICAL, broken),
        record("celery.worker.loops", "Error cleaning up after event loop: %r", logging.ERROR, ChannelGone("gone")),
        record("celery.app.trace", "Task raised unexpected", logging.ERROR, OperationalError("refused")),
    ):
        assert not lines.filter(line)
    assert lines.filter(record("celery.app.trace", "Task raised unexpected", logging.ERROR, broken))
    assert lines.filter(LOST)
    assert lines.filter(record("celery.app.trace", "Task raised unexpected", logging.ERROR, KeyError("x")))


def test_an_outage_that_lasts_is_told_again_every_minute() -> None:
    """So that the log of this minute says why nothing happens."""
    clock = Steady()
    lines = BrokerLines(clock)
    told = 0
    for _ in range(10 * int(REMIND_EVERY)):
        told += lines.filter(ROUND[-2])
        clock.now += 1
    assert told == 10


def test_while_the_broker_is_there_nothing_is_dropped() -> None:
    """At the start, too."""
    lines = BrokerLines(Steady())
    assert all(lines.filter(line) for line in ROUND[:3])
