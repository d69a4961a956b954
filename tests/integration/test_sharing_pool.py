"""Threads share the connections that there are where the server allows no more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis

from massconvert.errors import StoreError
from massconvert.store import connect
from massconvert.store.connection import reaching

pytestmark = pytest.mark.integration


def test_twenty_threads_work_over_the_few_connections_that_are_left(own_redis: Callable[..., Any]) -> None:
    server = own_redis()
    client = connect(server.url)
    client.config_set("maxclients", 4)
    failures: list[redis.RedisError] = []

    def work() -> None:
        try:
            for _ in range(200):
                client.incr("done")
        except redis.RedisError as error:  # told by the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert client.get("done") == "4000"
    assert client.info("stats")["rejected_connections"] > 0
    assert client.info("clients")["connected_clients"] <= 4


def test_a_pool_that_never_had_one_tells_the_refusal(own_redis: Callable[..., Any]) -> None:
    server = own_redis()
    other = redis.Redis.from_url(server.url)
    other.config_set("maxclients", 1)
    client = connect(server.url, socket_timeout=1.0)
    with pytest.raises(StoreError, match=r"as many connections as it may|cannot be reached"), reaching(client):
        client.ping()
    other.close()


def test_a_shared_connection_that_has_died_is_not_handed_out(own_redis: Callable[..., Any]) -> None:
    server = own_redis()
    client = connect(server.url, socket_timeout=3.0)
    client.config_set("maxclients", 1)
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(server.url).ping()
    blocked = threading.Thread(target=lambda: client.blpop("nothing", timeout=1))
    blocked.start()
    while not client.connection_pool._in_use_connections:
        pass
    assert client.ping()  # waits for the one that is in use
    blocked.join()
    server.kill()
    server.start()
    assert client.ping()
