"""A nudge against a broker that is away, hangs, or comes back."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from massconvert.contract import QUEUE, QUEUE_CONVERT
from massconvert.errors import BrokerError
from massconvert.nudge import Nudge
from massconvert.store import connect
from tests.integration.conftest import RedisServer, free_port

pytestmark = pytest.mark.integration
WITHIN = (
    10.0  # seconds in which a producer is told: 4, and room for a busy machine. By default it takes 25, or for ever.
)


def told(nudge: Nudge) -> str:
    """What the caller is told, in time."""
    began = time.monotonic()
    with pytest.raises(BrokerError) as error:
        nudge.convert("c1")
    assert time.monotonic() - began < WITHIN
    nudge.close()
    return str(error.value)


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port that takes no more connections, and refuses none."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield int(server.getsockname()[1])
        for client in waiting:
            client.close()


def test_a_broker_that_is_away_is_told_at_once_and_without_the_password() -> None:
    """With what to do."""
    text = told(Nudge(f"redis://user:hunter2@127.0.0.1:{free_port()}/0"))
    assert "hunter2" not in text
    assert "Connection refused" in text
    assert "REDIS_URL" in text


def test_a_broker_that_does_not_let_us_connect_is_told_within_seconds(full_port: int) -> None:
    """As behind a firewall that drops."""
    assert "Timeout connecting" in told(Nudge(f"redis://127.0.0.1:{full_port}/0"))


def test_a_broker_that_hangs_is_told_within_seconds(own_redis: Callable[..., RedisServer]) -> None:
    """Whether the connection is new or was used before."""
    server = own_redis()
    used = Nudge(server.tcp_url)
    used.convert("c0")
    assert server.process
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        assert "Timeout reading" in told(used)
        assert "Timeout reading" in told(Nudge(server.tcp_url))
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("kind", ["tcp", "socket"])
def test_the_first_nudge_after_a_restart_of_redis_arrives(own_redis: Callable[..., RedisServer], kind: str) -> None:
    """A connection that died meanwhile is replaced, not complained about."""
    server = own_redis()
    nudge = Nudge(server.tcp_url if kind == "tcp" else f"redis+socket://{server.socket}")
    nudge.chunk()
    server.kill()
    with pytest.raises(BrokerError):
        nudge.chunk()
    server.start()
    nudge.chunk()
    nudge.convert("c1")
    client = connect(server.url)
    assert (client.llen(QUEUE), client.llen(QUEUE_CONVERT)) == (1, 1)
    client.close()
    nudge.close()
