"""Redis loses what it acknowledged: a copy of before is restored, a replica does not keep up. Nothing is sent twice."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery

from massconvert import Batch, MassConvert
from massconvert.contract import QUEUE, TASK_ENQUEUE
from massconvert.errors import StoreError, UnknownBatchError
from massconvert.policy import Row
from massconvert.store import Keys
from tests.acceptance.house import OPTIONS, SHORT_LEASES, House, until
from tests.acceptance.rows import steps, takes
from tests.acceptance.test_crashes import all_converted
from tests.acceptance.truth import assert_true, outcomes_of
from tests.servers import find_redis_server, free_port

pytestmark = pytest.mark.acceptance

POST = "POST mass_convert"
KEYS = Keys("default")


@pytest.fixture
def house(house: House) -> House:
    """A house of little patience: what was sent before a break has ended 5 + 2 s after it."""
    house.environment |= SHORT_LEASES
    return house


def enqueue(house: House, leads: list[str]) -> Batch:
    return house.producer().enqueue(leads, options=OPTIONS, key=f"k{leads[0]}")


def is_there(client: redis.Redis) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    return answers


@pytest.mark.timeout(300)
@takes(Row.PERHAPS_SENT, Row.PERHAPS_RAN_ON, Row.PERHAPS_READ, Row.UNCONVERTED_AGAIN)
def test_a_redis_that_is_restored_from_an_older_copy_sends_nothing_twice(house: House) -> None:
    """The copy shows a payload whose job runs, one whose answer was lost, and hundreds of leads that wait."""
    server = house.redis()
    house.environment["ZOHO_CONCURRENCY"] = "2"
    house.simulator("--leads", "1050", "--job-seconds", "0.3", "--latency", "0.2")
    leads = house.leads()
    worker = house.worker("first")
    all_converted(house, enqueue(house, leads[:50]), leads[:50])
    running, lost = leads[50:100], leads[100:150]
    house.set_faults(
        {"method": POST, "do": "job_slow", "seconds": 6, "ids": running},
        {"method": POST, "do": "status", "status": 500, "when": "after", "ids": lost, "times": 1},
    )
    batch = enqueue(house, leads[50:])
    with house.ledger as ledger:

        def as_wanted() -> bool:
            states = [ledger.hget(KEYS.chunk(chunk), "state") for chunk in ledger.smembers(KEYS.batch_chunks(batch.id))]
            return "running" in states and "settling" in states

        until(as_wanted, 20, "a job that runs, and a lost answer")
        ledger.save()
    copy = house.folder / "copy"
    copy.mkdir()
    shutil.copy(house.folder / "redis" / "dump.rdb", copy)
    until(
        lambda: sum(bool(lead["submissions"]) for lead in house.truth().values()) >= 450,
        30,
        "what the copy does not know",
    )
    house.kill(server)
    house.kill(worker)
    words = ("--port", str(house.port), "--bind", "127.0.0.1", "--dir", str(copy), "--save", "", "--appendonly", "no")
    house.run(find_redis_server(), *words, name="restored")
    until(is_there(redis.Redis(port=house.port)), 20, "the restored Redis")
    house.worker("second")
    all_converted(house, batch, leads[50:], seconds=150)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("log_format", ["line", "json"])
def test_what_a_restored_copy_does_not_know_is_named_from_logs_and_keys(house: House, log_format: str) -> None:
    """Batches of an app with a log, of a message, of an app without a log: all that came after the copy, and no other.

    Then they are enqueued again, as the command says, and nothing is converted twice.
    """
    house.environment["MASSCONVERT_LOG_FORMAT"] = log_format
    server = house.redis()
    house.simulator("--leads", "500", "--job-seconds", "0.3")
    leads = house.leads()
    parts = [leads[place : place + 100] for place in range(0, 500, 100)]
    worker = house.worker("first")
    with house.ledger as ledger, as_an_app_logs(house.folder / "app.log"):
        before, half = enqueue(house, parts[0]), enqueue(house, parts[1][:40])
        for batch in (before, half):
            batch.wait(60)
        ledger.save()
        copy = house.folder / "copy"
        copy.mkdir()
        shutil.copy(house.folder / "redis" / "dump.rdb", copy)
        enqueue(house, parts[1])  # the same key: sixty more
        of_the_app = enqueue(house, parts[2])
    of_a_message, silent = "of-a-message", "of-an-app-without-a-log"
    with Celery(broker=house.broker.url, set_as_current=False) as app:
        app.send_task(TASK_ENQUEUE, [parts[3], OPTIONS], {"key": of_a_message}, queue=QUEUE, ignore_result=True)
    producer = house.producer()
    producer.enqueue(parts[4], options=OPTIONS, key=silent)
    (house.folder / "keys.txt").write_text(f"{before.id}\n{silent}\n")
    for batch_id in (half.id, of_the_app.id, of_a_message, silent):
        until(partial(ended, producer, batch_id), 60, batch_id)
    missing = ("missing", "first.log", "app.log", "--keys", "keys.txt")
    assert house.command(*missing).returncode == 0
    house.kill(server)
    house.kill(worker)
    words = ("--port", str(house.port), "--bind", "127.0.0.1", "--dir", str(copy), "--save", "", "--appendonly", "no")
    house.run(find_redis_server(), *words, name="restored")
    until(is_there(redis.Redis(port=house.port)), 20, "the restored Redis")
    assert "massconvert missing worker.log" in house.command("doctor", "--producer").stdout
    told = house.command(*missing, "--json")
    assert told.returncode == 1
    found = {each["batch"]: (each["leads"], each["leads_in_ledger"]) for each in json.loads(told.stdout)["missing"]}
    assert found == {half.id: (100, 40), of_the_app.id: (100, 0), of_a_message: (100, 0), silent: (None, 0)}
    told = house.command("missing", "first.log", "--json")  # of the payloads alone
    by_payloads = {each["batch"]: each["leads_in_payloads"] for each in json.loads(told.stdout)["missing"]}
    assert by_payloads == {of_the_app.id: 100, of_a_message: 100, silent: 100}
    told = house.command(*missing)
    assert f"massconvert enqueue LEADS.csv --options O.json --key {half.id}" in told.stderr
    print(told.stdout + told.stderr)
    house.worker("second")
    for key, part in zip((half.id, of_the_app.id, of_a_message, silent), parts[1:], strict=True):
        again = producer.enqueue(part, options=OPTIONS, key=key)
        again.wait(60)
        assert_true(house, outcomes_of(again))
    assert {lead["conversions"] for lead in house.truth().values()} == {1}
    assert house.command(*missing).returncode == 0


@contextmanager
def as_an_app_logs(path: Path) -> Iterator[None]:
    """An app that logs what massconvert tells it at INFO, in a form of its own."""
    log, handler = logging.getLogger("massconvert"), logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("[%(asctime)s] shop: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()


def ended(producer: MassConvert, batch_id: str) -> bool:
    try:
        return producer.batch(batch_id).progress().finished
    except UnknownBatchError:
        return False


@pytest.mark.timeout(300)
@takes(Row.PERHAPS_SENT, Row.UNCONVERTED_AGAIN)
def test_a_machine_that_dies_loses_the_end_of_the_append_only_file_and_sends_nothing_twice(house: House) -> None:
    """A process that dies loses nothing: the kernel has it. The disk lacks what came after the last fsync."""
    server = house.redis()
    house.environment["ZOHO_CONCURRENCY"] = "4"
    house.simulator("--leads", "1000", "--job-seconds", "0.3", "--latency", "0.2")
    leads = house.leads()
    house.worker()
    batch = enqueue(house, leads)
    until(lambda: house.calls(POST) >= 4, 30, "the load")
    log = max((house.folder / "redis").rglob("*.aof"), key=lambda path: path.stat().st_mtime)
    on_disk, sent = log.stat().st_size, house.calls(POST)
    until(lambda: house.calls(POST) >= sent + 4, 30, "what the disk does not have")
    house.kill(server)
    os.truncate(log, on_disk)
    house.redis()
    all_converted(house, batch, leads, seconds=150)


@takes(Row.TOO_FEW_REPLICAS, Row.ACCEPTED)
def test_nothing_is_acknowledged_or_sent_that_a_replica_does_not_have(house: House) -> None:
    """A replica stands still: the enqueue says so, nothing goes out, and all goes on when it is back."""
    house.redis()
    house.simulator("--leads", "100", "--job-seconds", "0.2")
    leads, port = house.leads(), free_port()
    words = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(house.folder), "--save", "")
    replica = house.run(find_redis_server(), *words, "--replicaof", "127.0.0.1", str(house.port), name="replica")
    with house.ledger as ledger:
        until(lambda: _online(ledger), 20, "the replica")
    house.worker()
    replica.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(StoreError, match="too few replicas have it: REPLICAS 0 of 1"):
            enqueue(house, leads)
        until(lambda: Row.TOO_FEW_REPLICAS in {step.row for step in steps(house)}, 20, "a payload that is held back")
        assert house.calls(POST) == 0
    finally:
        replica.send_signal(signal.SIGCONT)
    batch = enqueue(house, leads)
    all_converted(house, batch, leads)


def _online(ledger: Any) -> bool:
    return bool(ledger.info("replication").get("slave0", {}).get("state") == "online")
