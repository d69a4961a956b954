"""The primary goes, planned or not, under load: workers, producers and waiting commands come through by themselves.

Ledger and broker are in one, behind Sentinels. Whether the other server has all that was acknowledged is another
matter.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from celery import Celery

from massconvert import Batch
from massconvert.contract import QUEUE, TASK_CHUNK
from massconvert.errors import StoreError
from tests.acceptance.broker import only_redis
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, outcomes_of
from tests.servers import Watched, await_true

pytestmark = [pytest.mark.acceptance, only_redis, pytest.mark.slow]

POST = "POST mass_convert"
LEADS = 600
#: Milliseconds after which Sentinels act: so long that a busy machine does not set them off.
DOWN = 3000
#: Seconds after there is a new primary in which all must go on.
WITHIN = 15.0
LOST, BACK = "Connection to broker lost", "The broker is back"
SECRETS = ("of-the-nodes", "of-the-sentinels")


class Street:
    """A house behind Sentinels, with two workers under load and a command that watches."""

    def __init__(self, house: House, group: Watched) -> None:
        self.house, self.group = house, group
        house.environment |= {"REDIS_URL": group.url, "MASSCONVERT_SWEEP_INTERVAL": "2"}
        house.environment |= {"MASSCONVERT_CALL_DEADLINE": "3", "MASSCONVERT_PERMIT_WAIT": "0"}  # leases of 16 s
        house.environment |= {"MASSCONVERT_JOB_WAIT": "2"}  # what was sent before a failover is looked at after that
        house.simulator("--leads", str(LEADS), "--job-seconds", "0.5", "--latency", "1")
        self.workers = {name: house.worker(name) for name in ("one", "two")}
        self.batch: Batch = house.producer().enqueue(house.leads(), options=OPTIONS)
        command = (sys.executable, "-m", "massconvert", "status", self.batch.id, "--watch")
        self.watching = house.run(*command, name="watching")
        until(lambda: house.log("watching"), 40, "the watching command")  # a first look that fails is told at once
        until(lambda: house.calls(POST) > 1, 30, "the load")
        self.before = group.primary()

    def goes_on(self) -> None:
        """Wait for another primary that takes writes; then work must go on, and each worker be connected.

        Payloads are sent, or leads end. What a worker held as it lost the old primary waits for its lease to end, and
        what was sent before is looked at later.
        """
        after = self.group.await_other(self.before)
        await_true(lambda: self.group.node(after).set("probe", "x", px=1000), 60, "it to take writes")
        since, seen = time.monotonic(), self.moved()
        until(lambda: self.moved() > seen, WITHIN, "work to go on")
        self.await_connected(WITHIN)
        assert time.monotonic() - since < WITHIN

    def await_connected(self, seconds: float) -> None:
        """Wait until no worker is without its broker."""
        until(lambda: all(self.lines(name)[-1:] != [LOST] for name in self.workers), seconds, "both to be connected")

    def moved(self) -> int:
        """How many payloads were sent, and how many leads have ended, as the ledger has it while it has a primary."""
        with suppress(StoreError):
            return self.house.calls(POST) + self.batch.progress().ended
        return 0

    def lines(self, name: str) -> list[str]:
        """What a worker's log says about the broker, in order."""
        words = (LOST, BACK)
        return [word for line in self.house.log(name).splitlines() for word in words if word in line]

    def ends_well(self) -> None:
        """All leads have one true outcome; nobody died, nobody told a secret, nobody was long-winded."""
        self.batch.wait(timeout=240)
        rows = outcomes_of(self.batch)
        assert len(rows) == LEADS
        assert all(row["outcome"] == "converted" for row in rows.values())
        assert_true(self.house, rows)
        until(lambda: self.watching.poll() is not None, 20, "the watching command to end")
        assert self.watching.returncode == 0, self.house.log("watching")
        self.await_connected(60)  # an old primary that woke up ends the connections that it still had
        logs = self.house.logs()
        assert not any(secret in logs for secret in SECRETS)
        assert "Traceback" not in logs
        for name, process in self.workers.items():
            assert process.poll() is None, self.house.log(name)
            assert self.lines(name) == [LOST, BACK] * (len(self.lines(name)) // 2), self.house.log(name)


@pytest.fixture
def street(house: House, own_group: Callable[..., Any]) -> Street:
    """Passwords for the nodes and for the Sentinels, each of its own."""
    return Street(house, own_group(Watched, password=SECRETS[0], sentinel_password=SECRETS[1], down_after=DOWN))


@pytest.mark.timeout(360)
def test_a_primary_that_is_killed(street: Street) -> None:
    street.group.kill(street.before)
    street.goes_on()
    assert street.house.producer().enqueue(street.house.leads()[:1], options=OPTIONS, key="afterwards").accepted == 1
    street.ends_well()
    assert street.lines("one") == [LOST, BACK]


@pytest.mark.timeout(360)
def test_a_primary_that_is_frozen_leaves_no_worker_deaf(street: Street) -> None:
    """Its connections stay open: only who asks for an answer in time finds out. It wakes up, and nobody minds."""
    street.group.signal(street.before, signal.SIGSTOP)
    street.goes_on()
    street.group.signal(street.before, signal.SIGCONT)
    street.ends_well()


@pytest.mark.timeout(360)
def test_a_failover_that_was_planned(house: House, own_group: Callable[..., Any]) -> None:
    """Replicas are demanded, so that the old primary takes nothing that would then be lost."""
    street = Street(house, own_group(Watched, data="--min-replicas-to-write 2", down_after=DOWN))
    street.group.ask(street.group.sentinels[0]).execute_command("SENTINEL FAILOVER", Watched.service)
    street.goes_on()
    street.ends_well()


@pytest.mark.timeout(240)
def test_an_idle_worker_hears_again_after_its_primary_froze(house: House, own_group: Callable[..., Any]) -> None:
    """Nothing but an overdue answer tells it."""
    group = own_group(Watched)
    house.environment |= {"REDIS_URL": group.url, "MASSCONVERT_SWEEP_INTERVAL": "600", "MASSCONVERT_LOG_LEVEL": "DEBUG"}
    house.simulator("--leads", "1")
    house.worker()
    before = group.primary()
    group.signal(before, signal.SIGSTOP)
    after = group.await_other(before)
    since = time.monotonic()
    house.begin_reading()
    with Celery(broker=f"redis://127.0.0.1:{after}/0", set_as_current=False) as app:
        app.send_task(TASK_CHUNK, queue=QUEUE, ignore_result=True)
    until(lambda: group.node(after).llen(QUEUE) == 0 and TASK_CHUNK in house.log(), WITHIN, "the message to be taken")
    assert time.monotonic() - since < WITHIN
    group.signal(before, signal.SIGCONT)
