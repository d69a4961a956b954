"""Kill, stop, cut and confuse what can be in mid-run: the same truth, and no lead submitted without need."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import Celery

from massconvert import Batch
from massconvert.contract import QUEUE_CONVERT, TASK_CONVERT
from massconvert.errors import StoreError
from massconvert.policy import Row
from massconvert.store import Keys
from tests.acceptance.broker import RedisBroker
from tests.acceptance.house import OPTIONS, SHORT_LEASES, House, until
from tests.acceptance.rows import steps, takes
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

POST = "POST mass_convert"
KEYS = Keys("default")
#: What makes a worker believe that it is half a minute later than it is, down to the C level.
HALF_A_MINUTE_AHEAD = """
import datetime, sys, time, time_machine
there = datetime.datetime.fromtimestamp(time.time() + 30, datetime.timezone.utc)
time_machine.travel(there, tick=True).start()
from celery.__main__ import main
sys.exit(main())
"""
#: Seconds for which Redis hangs: beyond every time-out of a socket.
HANG = float(os.environ.get("TEST_HANG_SECONDS", "12"))


@pytest.fixture
def house(house: House) -> House:
    """A house whose leases are as short as settings allow (13 s)."""
    house.environment |= SHORT_LEASES
    return house


def start(house: House, leads: int, *, latency: float = 0.1) -> list[str]:
    """Redis and the simulator; the leads."""
    house.redis()
    house.simulator("--leads", str(leads), "--job-seconds", "0.5", "--latency", str(latency))
    return house.leads()


def enqueue(house: House, leads: list[str], **options: Any) -> Batch:
    return house.producer().enqueue(leads, options=OPTIONS | options, key=f"k{leads[0]}")


def under_way(house: House, batch: Batch) -> None:
    """Wait until Zoho has some of the leads."""
    until(lambda: batch.progress().sent or batch.progress().converted, 30, "the first payload")


def all_converted(house: House, batch: Batch, leads: list[str], *, seconds: float = 60) -> None:
    """Wait for the end: all converted, each submitted once, no traceback anywhere."""

    def finished() -> bool:
        try:
            return batch.progress().finished
        except StoreError:
            return False

    until(finished, seconds, "the batch")
    rows = outcomes_of(batch)
    assert {lead: row["outcome"] for lead, row in rows.items()} == dict.fromkeys(leads, "converted")
    assert_true(house, rows)
    truth = house.truth()
    assert Counter(truth[lead]["submissions"] for lead in leads) == {1: len(leads)}
    assert "Traceback" not in house.logs()


# --- processes --------------------------------------------------------------------------------------------


@takes(Row.SENDER_LOST, Row.SETTLED, Row.JOB_ALL_CONVERTED)
def test_a_worker_killed_while_it_sends_or_before_it_records_costs_no_second_submission(house: House) -> None:
    """Before Zoho has it, after Zoho has it, and while a job runs: what may have been sent is looked at first."""
    house.environment["MASSCONVERT_CALL_DEADLINE"] = "8"
    leads = start(house, 200, latency=0)
    first = house.worker("first")
    before, after, running = (leads[place : place + 50] for place in range(50, 200, 50))
    assert enqueue(house, leads[:50]).wait(30).converted == 50
    house.set_faults(
        {"method": POST, "do": "latency", "seconds": 6, "ids": before, "times": 1},
        {"method": POST, "do": "latency", "seconds": 6, "when": "after", "ids": after, "times": 1},
        {"method": POST, "do": "job_slow", "seconds": 10, "ids": running},
    )
    batch = enqueue(house, leads[50:])
    with house.ledger as ledger:

        def at_the_moment() -> bool:
            """One job runs, as the ledger knows, and two POSTs are in flight, of which Zoho has carried out one."""
            states = [ledger.hget(KEYS.chunk(chunk), "state") for chunk in ledger.smembers(KEYS.batch_chunks(batch.id))]
            truth, load = house.truth(), house.ask("load")
            return (
                sorted(map(str, states)) == ["running", "sending", "sending"]
                and [truth[lead]["submissions"] for lead in (before[0], after[0], running[0])] == [0, 1, 1]
                and load["now"] == 2
            )

        until(at_the_moment, 20, "two POSTs and a job")
    house.kill(first)
    house.worker("second")
    all_converted(house, batch, leads[50:], seconds=90)
    assert house.unfired() == []
    assert [step.row for step in steps(house)].count(Row.SENDER_LOST) == 2


def test_a_worker_killed_in_mid_run_is_replaced_by_those_that_are_left(house: House) -> None:
    leads = start(house, 600)
    workers = [house.worker(name) for name in ("first", "second")]
    batch = enqueue(house, leads)
    under_way(house, batch)
    house.kill(workers[0])
    all_converted(house, batch, leads)


def test_beat_killed_in_mid_run_changes_nothing_and_starts_again(house: House) -> None:
    house.environment["MASSCONVERT_STATE_DIR"] = str(house.folder / "state")
    leads = start(house, 200)
    house.worker()

    def start_beat() -> subprocess.Popen[bytes]:
        house.begin_reading()
        beat = house.run(sys.executable, "-m", "celery", "-A", "workers", "beat", name="beat")
        until(lambda: "beat: Starting..." in house.log("beat"), 20, "beat")
        return beat

    beat = start_beat()
    batch = enqueue(house, leads)
    under_way(house, batch)
    house.kill(beat)
    all_converted(house, batch, leads)
    assert start_beat().poll() is None


def test_sigterm_finishes_what_runs_and_hands_back_the_rest_at_once(house: House) -> None:
    """Another worker goes on without waiting for a lease or for the broker's visibility timeout."""
    leads = start(house, 500)
    first = house.worker("first", "-c", "2")
    house.set_faults({"method": POST, "do": "latency", "seconds": 1})
    batch = enqueue(house, leads)
    under_way(house, batch)
    house.worker("second", "-c", "2")
    began = time.monotonic()
    house.kill(first, signal.SIGTERM)
    assert first.returncode == 0
    assert time.monotonic() - began < 10
    all_converted(house, batch, leads, seconds=20)
    assert Row.SENDER_LOST not in {step.row for step in steps(house)}


@pytest.mark.slow
def test_a_call_that_outlives_the_stop_s_grace_is_left_to_another_worker(house: House) -> None:
    """After 30 s the worker ends whatever runs; the ledger knows that a POST was under way."""
    house.environment |= {"MASSCONVERT_CALL_DEADLINE": "60"}
    leads = start(house, 50)
    worker = house.worker()
    house.set_faults({"method": POST, "do": "hang", "seconds": 60, "when": "after", "times": 1})
    batch = enqueue(house, leads)
    until(lambda: house.truth()[leads[0]]["submissions"], 20, "the effect")
    began = time.monotonic()
    house.kill(worker, signal.SIGTERM)
    assert 29 < time.monotonic() - began < 33
    assert "left to another worker" in house.log()
    with house.ledger as ledger:
        assert ledger.hget(KEYS.chunk("1"), "state") == "sending"
        # Its lease would lapse after 130 s, which is the price of a deadline of 60 s.
        ledger.hset(KEYS.chunk("1"), "lease", "0")
        ledger.zadd(KEYS.due, {"1": 0})
    house.worker("second")
    all_converted(house, batch, leads)


# --- Redis ------------------------------------------------------------------------------------------------


def test_redis_restarted_in_mid_run_gives_the_same_truth(house: House) -> None:
    """The worker comes through without being restarted by hand."""
    server_of = house.redis
    server = server_of()
    house.simulator("--leads", "400", "--job-seconds", "0.5", "--latency", "0.2")
    leads = house.leads()
    worker = house.worker()
    batch = enqueue(house, leads)
    under_way(house, batch)
    house.kill(server)
    server_of()
    all_converted(house, batch, leads)
    assert worker.poll() is None


def test_connections_that_are_reset_again_and_again_change_nothing(house: House) -> None:
    leads = start(house, 500)
    worker = house.worker()
    batch = enqueue(house, leads)
    under_way(house, batch)
    with house.ledger as ledger:
        for _ in range(8):
            for kind in ("normal", "pubsub"):
                ledger.client_kill_filter(_type=kind, skipme=True)
            time.sleep(0.15)
    all_converted(house, batch, leads, seconds=150)  # the mark of a payload that was reset waits for its lease's end
    assert worker.poll() is None


@contextmanager
def hung(server: subprocess.Popen[bytes]) -> Iterator[None]:
    """Redis takes connections and answers nothing."""
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


def test_redis_that_hangs_beyond_every_time_out_gives_the_same_truth(house: House) -> None:
    """TEST_HANG_SECONDS=40 for the whole of it."""
    server = house.redis()
    house.simulator("--leads", "500", "--job-seconds", "0.5", "--latency", "0.3")
    leads = house.leads()
    worker = house.worker()
    batch = enqueue(house, leads)
    under_way(house, batch)
    until(lambda: house.ask("load")["now"], 10, "a call under way")
    with hung(server):
        time.sleep(HANG)
    began = time.monotonic()
    all_converted(house, batch, leads)
    print(f"{time.monotonic() - began:.1f} s from the end of the hang to the last outcome")
    assert worker.poll() is None


# --- messages ---------------------------------------------------------------------------------------------


def test_the_sweep_rebuilds_the_work_when_every_message_is_lost(house: House) -> None:
    """Without beat: while a worker runs, and while none does."""
    leads = start(house, 600)
    house.environment["MASSCONVERT_WINDOW"] = "4"
    worker = house.worker()
    batch = enqueue(house, leads)
    under_way(house, batch)
    for _ in range(5):
        house.broker.lose_messages()
        time.sleep(0.1)
    house.kill(worker)
    house.broker.lose_messages()
    assert not batch.progress().finished
    house.worker("second")
    all_converted(house, batch, leads)
    assert "overdue chunks dispatched" in house.log("second")


def test_a_broker_that_forgets_its_queues_too_is_told_of_them_again(house: House) -> None:
    """FLUSHDB on a broker of its own database (RabbitMQ: a virtual host made anew), while workers live on."""
    if isinstance(house.broker, RedisBroker):
        house.broker = RedisBroker(house.redis_url.removesuffix("/0") + "/1")
        house.environment["CELERY_BROKER_URL"] = house.broker.url
    leads = start(house, 300)
    house.worker()
    batch = enqueue(house, leads[50:])
    under_way(house, batch)
    house.broker.forget()
    all_converted(house, batch, leads[50:])
    all_converted(house, enqueue(house, leads[:50]), leads[:50], seconds=20)


def test_a_message_that_two_workers_get_at_the_same_moment_is_one_submission(house: House) -> None:
    leads = start(house, 250)
    house.environment["MASSCONVERT_LOG_LEVEL"] = "DEBUG"
    for name in ("first", "second"):
        house.worker(name, "-c", "10")
    warmed, leads = leads[:50], leads[50:]
    all_converted(house, enqueue(house, warmed), warmed)
    house.set_faults({"method": POST, "do": "latency", "seconds": 0.5})
    with house.ledger as ledger:
        ledger.hset(KEYS.pause, mapping={"reason": "a test", "since": "0"})
        batch = enqueue(house, leads)
        until(lambda: ledger.scard(KEYS.unsent) == 4, 20, "four payloads")
        until(lambda: not house.broker.messages(), 20, "quiet")
        chunk_ids = ledger.smembers(KEYS.unsent)
        ledger.delete(KEYS.pause)
    with Celery(broker=house.broker.url) as app:
        for chunk_id in chunk_ids:
            for _ in range(4):
                app.send_task(TASK_CONVERT, [chunk_id], task_id=f"twice-{chunk_id}", queue=QUEUE_CONVERT)
    all_converted(house, batch, leads)
    received = [
        sum(f"[twice-{chunk}] received" in house.log(name) for chunk in chunk_ids) for name in ("first", "second")
    ]
    assert min(received) > 0, received
    assert Row.SENDER_LOST not in {step.row for step in steps(house)}  # nobody who lives was taken for dead


def test_workers_whose_clocks_are_half_a_minute_apart_agree(house: House) -> None:
    """All times in the ledger are by Redis' clock; the broker's delays are only hints."""
    leads = start(house, 500)
    house.worker("punctual")
    house.worker("early", python=("-c", HALF_A_MINUTE_AHEAD))
    house.set_faults(
        {"method": POST, "do": "reset", "times": 1, "skip": 1},
        {"method": POST, "do": "drop", "when": "after", "times": 1, "skip": 3},
        {"method": POST, "do": "status", "status": 429, "times": 1, "skip": 4},
    )
    batch = enqueue(house, leads)
    all_converted(house, batch, leads)
    assert house.unfired() == []
    assert Row.SENDER_LOST not in {step.row for step in steps(house)}  # no lease was taken for lapsed
    started = []
    for name in ("punctual", "early"):  # in this order
        lines = house.log(name).splitlines()
        started.append(datetime.fromisoformat(next(line for line in lines if line.endswith(" ready."))[:19]))
        assert any(" -> " in line for line in lines), f"the {name} one had no part in it"
    assert started[1] - started[0] >= timedelta(seconds=30)
