"""A worker reads what Redis has handed to it, also while its prefetch window is full: kombu's own loop, a Redis."""

from __future__ import annotations

import select
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from kombu import Connection, Queue
from kombu.asynchronous import Hub
from kombu.asynchronous import hub as hubs
from kombu.asynchronous.timer import Timer

from tests.servers import RedisServer
from workers.redis_reading import Ears, ReadingAtOnce

_QUEUE = Queue("reading")


class Consuming:
    """A consumer in a loop that is turned by hand; ``taken`` are the messages, none of which is acknowledged."""

    def __init__(self, connection: Connection, hub: Hub) -> None:
        self.taken: list[Any] = []
        self._before = hubs.get_event_loop()
        hubs.set_event_loop(hub)
        channel = connection.default_channel
        connection.register_with_event_loop(hub)
        self.consumer = connection.Consumer([_QUEUE], callbacks=[lambda _body, message: self.taken.append(message)])
        self.consumer.qos(prefetch_count=2)
        self.consumer.consume()
        hub.call_repeatedly(0.01, lambda: None)  # else a turn in which nothing comes lasts a second
        self.loop = hub.create_loop()
        self.channel = channel

    def turn_until(self, condition: Callable[[], bool], turns: int = 2000) -> bool:
        """Turn the loop; whether the condition came true. A turn lasts 10 ms at most."""
        for _ in range(turns):
            if condition():
                return True
            next(self.loop)
        return condition()

    def close(self) -> None:
        """Put back the loop that was there."""
        hubs.set_event_loop(self._before)


@pytest.fixture
def connection(redis_tcp_url: str) -> Iterator[Connection]:
    """A connection to the broker."""
    with Connection(redis_tcp_url) as made:
        yield made


def test_what_is_handed_out_into_a_full_window_is_read(connection: Connection) -> None:
    """Redis is asked while there is room; the window shrinks; the answer comes: it must not lie in the socket."""
    consumer = SimpleNamespace(connection=connection, connection_errors=(), channel_errors=(), timer=Timer())
    ReadingAtOnce(None).start(consumer)
    consuming = Consuming(connection, Hub())
    try:
        producer = connection.clone().Producer()
        producer.publish("first", routing_key="reading", declare=[_QUEUE])
        assert consuming.turn_until(lambda: len(consuming.taken) == 1 and bool(consuming.channel._in_poll))
        consuming.consumer.qos(prefetch_count=1)  # as when a message with a countdown has become due
        assert not consuming.channel.qos.can_consume()
        producer.publish("second", routing_key="reading")
        assert consuming.turn_until(lambda: len(consuming.taken) == 2), "the message lay in the socket"
        producer.publish("third", routing_key="reading")
        assert not consuming.turn_until(lambda: len(consuming.taken) == 3, turns=20), "the window means nothing"
    finally:
        consuming.close()


def test_another_broker_is_left_alone() -> None:
    """It has no such loop."""
    with Connection("memory://") as other:
        step = ReadingAtOnce(None)
        step.start(SimpleNamespace(connection=other, connection_errors=(), channel_errors=(), timer=None))
        step.stop(None)


def test_a_redis_that_never_answers_is_not_waited_for(own_redis: Callable[..., RedisServer]) -> None:
    """Its connection stays open, so nothing else would tell; it is cut once an answer is overdue."""
    server, time = own_redis(), [1000.0]
    options = {"socket_timeout": 3.0}
    with Connection(server.tcp_url, transport_options=options) as connection:
        ears = Ears(connection.transport.cycle, lambda: time[0])
        consuming = Consuming(connection, Hub())
        try:
            assert consuming.turn_until(lambda: bool(consuming.channel._in_poll))
            ears.listen()
            assert server.process
            server.process.send_signal(signal.SIGSTOP)
            time[0] += 3.9  # a BRPOP lasts a second
            ears.listen()
            assert consuming.channel._in_poll
            time[0] += 0.2
            ears.listen()
            with pytest.raises(redis.ConnectionError):
                consuming.turn_until(lambda: False, turns=200)
        finally:
            consuming.close()


def test_a_loop_that_was_busy_does_not_take_itself_for_deaf(connection: Connection) -> None:
    """The answer has come, and lies in the socket."""
    time = [1000.0]
    ears = Ears(connection.transport.cycle, lambda: time[0])
    consuming = Consuming(connection, Hub())
    try:
        assert consuming.turn_until(lambda: bool(consuming.channel._in_poll))
        ears.listen()
        assert select.select([consuming.channel._in_poll._sock], [], [], 10)[0]  # a second later: nothing waits
        time[0] += 3600.0
        ears.listen()
        assert not consuming.turn_until(lambda: False, turns=3)
    finally:
        consuming.close()
