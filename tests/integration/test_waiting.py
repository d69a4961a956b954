"""Whoever waits for a batch bears a restart of Redis, as the command line does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from massconvert import MassConvert
from massconvert.errors import StoreError, WaitTimeoutError
from massconvert.settings import Settings

pytestmark = pytest.mark.integration

LEADS = [f"36523970000{n:08d}" for n in range(2500)]


@pytest.fixture
def server(own_redis: Callable[..., Any]) -> Any:
    """A redis-server that keeps what it has acknowledged."""
    return own_redis("--appendonly", "yes", "--appendfsync", "always")


def test_outcomes_are_read_on_after_a_restart_in_mid_stream(server: Any) -> None:
    producer = MassConvert(Settings(redis_url=server.url))
    batch = producer.enqueue(LEADS, options={})
    producer.cancel(batch.id)
    rows = batch.outcomes()
    seen = [next(rows).lead_id]
    server.kill()
    back = threading.Timer(1.0, server.start)
    back.start()
    seen += [row.lead_id for row in rows]
    back.join()
    assert sorted(seen) == sorted(LEADS)


def test_a_wait_goes_on_after_a_restart(server: Any) -> None:
    producer = MassConvert(Settings(redis_url=server.url))
    batch = producer.enqueue(LEADS[:3], options={})
    looks: list[int] = []
    back = threading.Timer(1.0, server.start)

    def watched(status: Any) -> None:
        looks.append(status.total)
        if len(looks) == 1:
            server.kill()
            back.start()

    with pytest.raises(WaitTimeoutError, match="0 of 3 leads have ended"):
        batch.wait(timeout=4.0, on_progress=watched)
    back.join()
    assert len(looks) > 2


def test_a_redis_that_never_answered_is_told_at_the_first_look(server: Any) -> None:
    batch = MassConvert(Settings(redis_url=server.url)).enqueue(LEADS[:3], options={})
    server.kill()
    with pytest.raises(StoreError):
        batch.wait(timeout=60.0)
