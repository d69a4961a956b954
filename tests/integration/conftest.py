"""A real redis-server for the tests: one process a test worker, on a unix socket and a loopback port."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from massconvert.store import connect
from tests.integration.books import Books
from tests.servers import RedisServer, find_redis_server, free_port

__all__ = ["RedisServer", "find_redis_server", "free_port"]


@pytest.fixture(scope="session")
def _session_redis() -> Iterator[RedisServer]:
    # Not pytest's tmp_path: a unix socket's path has about 100 characters at most.
    with tempfile.TemporaryDirectory(prefix="mc-redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def redis_server(_session_redis: RedisServer) -> RedisServer:
    """The test worker's shared redis-server, emptied. Do not kill this one: see ``own_redis``."""
    client = connect(_session_redis.url)
    client.flushall()
    client.close()
    return _session_redis


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis, over a unix socket."""
    return redis_server.url


@pytest.fixture
def redis_tcp_url(redis_server: RedisServer) -> str:
    """The URL of the same Redis over TCP, for what knows no unix sockets."""
    return redis_server.tcp_url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[Any]:
    """A client of an empty Redis."""
    client = connect(redis_url)
    yield client
    client.close()


@pytest.fixture
def account() -> str:
    """An account of this test alone."""
    return f"test-{uuid4().hex[:8]}"


@pytest.fixture
def books(redis_client: Any, account: str) -> Books:
    """The ledger of that account, empty."""
    return Books(redis_client, account)


@pytest.fixture
def own_redis() -> Iterator[Callable[..., RedisServer]]:
    """Starts redis-servers of the test's own, to be killed and started again: ``own_redis("--appendonly", "yes")``."""
    servers: list[RedisServer] = []
    folders: list[tempfile.TemporaryDirectory[str]] = []

    def start(*arguments: str) -> RedisServer:
        folders.append(tempfile.TemporaryDirectory(prefix="mc-redis-"))
        servers.append(RedisServer(Path(folders[-1].name), arguments))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
    for folder in folders:
        folder.cleanup()
