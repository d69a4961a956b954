"""Kill Redis under load: a worker comes through without being restarted by hand.

This decides which versions of Celery may be used (docs/decisions/0002-celery-5.6.md).
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import partial
from typing import Any

import pytest
import redis

from massconvert.contract import UNACKED
from massconvert.errors import BrokerError
from massconvert.nudge import Nudge
from tests.acceptance.broker import only_redis
from tests.acceptance.house import House, until
from tests.acceptance.outage_workshop import DONE, DUE, GRACE, STEPS

pytestmark = pytest.mark.acceptance
CHUNKS = 120


def start_worker(house: House) -> subprocess.Popen[bytes]:
    """A worker with the tasks' real code, over a workshop without Zoho."""
    house.environment |= {
        "MASSCONVERT_STATE_DIR": str(house.folder),
        "MASSCONVERT_LOG_LEVEL": "DEBUG",  # each try to come back is told
        "ZOHO_CLIENT_ID": "1000.TEST",
        "ZOHO_CLIENT_SECRET": "not-a-secret",
        "ZOHO_REFRESH_TOKEN": "1000.not-a-token",
    }
    command = (sys.executable, "-m", "celery", "-A", "tests.acceptance.outage_worker", "worker", "-c", "4")
    process = house.run(*command, name="worker")
    until(lambda: b" ready." in (house.folder / "worker.log").read_bytes(), 40, "the worker")
    return process


def offer(house: House, first: int, count: int) -> None:
    """Register chunks in the toy ledger, and nudge."""
    client, nudge = redis.Redis.from_url(house.redis_url), Nudge(house.redis_url)
    for number in range(first, first + count):
        client.zadd(DUE, {f"c{number}": time.time() + GRACE})
        nudge.convert(f"c{number}")
    nudge.close()
    client.close()


@only_redis
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_comes_through_a_restart_of_redis_under_load(house: House, how: signal.Signals) -> None:
    """While it runs tasks, holds delayed messages and has more waiting; and everything is done afterwards."""
    server = house.redis()
    worker = start_worker(house)
    client: Any = redis.Redis.from_url(house.redis_url)
    offer(house, 0, CHUNKS)
    until(lambda: client.scard(DONE) > 3 and client.hlen(UNACKED) > 4, 30, "the load")
    # The second outage lasts until the worker has tried twice in vain to come back.
    for sign, times in (("Connection to broker lost", 1), ("Cannot connect to", 2)):
        wanted = said(house, sign) + times
        house.kill(server, how)
        with pytest.raises(BrokerError):  # told at once, not after the outage
            offer_nothing(house)
        until(partial(says, house, sign, wanted), 30, f"the worker to say {sign!r}")
        server = house.redis()
    offer(house, CHUNKS, 20)
    until(lambda: client.scard(DONE) == CHUNKS + 20, 150, "every chunk")
    assert worker.poll() is None
    log = (house.folder / "worker.log").read_text()
    assert "Unrecoverable error" not in log  # what a worker that is about to end says
    assert "Traceback" not in log
    steps = [int(value) for value in client.hvals(STEPS)]
    assert len(steps) == CHUNKS + 20
    client.close()
    house.kill(worker, signal.SIGTERM)
    assert worker.returncode == 0


def offer_nothing(house: House) -> None:
    """One nudge to a Redis that is away."""
    nudge = Nudge(house.redis_url)
    began = time.monotonic()
    try:
        nudge.chunk()
    finally:
        assert time.monotonic() - began < 5
        nudge.close()


def says(house: House, words: str, times: int) -> bool:
    """Whether the worker's log has said so that often."""
    return said(house, words) >= times


def said(house: House, words: str) -> int:
    """How often the worker's log says so."""
    return (house.folder / "worker.log").read_text().count(words)
