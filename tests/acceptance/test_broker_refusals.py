"""A broker that is there and refuses: during a failover, with a full memory or disk, or with another password.

The ledger is in a Redis of its own here, so that only messages suffer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from massconvert.contract import QUEUE, TASK_ENQUEUE
from massconvert.errors import BrokerError
from massconvert.nudge import Nudge
from tests.acceptance.broker import only_redis
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = [pytest.mark.acceptance, only_redis]

#: What takes a client of the broker, has it refuse, and returns what heals it.
Refusal = Callable[[Any], Callable[[], object]]
LOST, BACK = "Connection to broker lost", "The broker is back"


@pytest.fixture
def broker(house: House, tmp_path: Path) -> Iterator[House]:
    """A Redis beside the house's own; its name is in the house's environment."""
    folder = tmp_path / "broker"
    folder.mkdir()
    made = House(folder)
    made.redis()
    house.environment["CELERY_BROKER_URL"] = made.redis_url
    yield made
    made.close()


def replica(broker: Any) -> Callable[[], object]:
    """A planned failover, as managed services make it: the primary becomes a replica, later a primary again."""
    broker.replicaof("127.0.0.1", "1")
    return lambda: broker.replicaof("NO", "ONE")


def master_down(broker: Any) -> Callable[[], object]:
    """A replica that has lost its primary and serves nobody."""
    broker.config_set("replica-serve-stale-data", "no")
    broker.replicaof("127.0.0.1", "1")
    return lambda: (broker.replicaof("NO", "ONE"), broker.config_set("replica-serve-stale-data", "yes"))


def no_replicas(broker: Any) -> Callable[[], object]:
    broker.config_set("min-replicas-to-write", "1")
    return lambda: broker.config_set("min-replicas-to-write", "0")


def full(broker: Any) -> Callable[[], object]:
    broker.config_set("maxmemory", "1")
    # An idle worker writes nothing, and would never know.
    broker.client_kill_filter(_type="normal", skipme=True)
    return lambda: broker.config_set("maxmemory", "0")


def no_disk(broker: Any) -> Callable[[], object]:
    """A snapshot that cannot be written: even PING is refused."""
    broker.config_set("save", "3600 1")
    in_the_way = Path(broker.config_get("dir")["dir"], broker.config_get("dbfilename")["dbfilename"])
    in_the_way.mkdir()
    broker.set("changed", 1)
    broker.bgsave()
    until(lambda: broker.info("persistence")["rdb_last_bgsave_status"] == "err", 10, "the disk's refusal")

    def heal() -> None:
        in_the_way.rmdir()
        broker.config_set("save", "")
        broker.bgsave()

    return heal


def other_password(broker: Any) -> Callable[[], object]:
    broker.config_set("requirepass", "a-test")
    for kind in ("normal", "pubsub"):
        broker.client_kill_filter(_type=kind, skipme=True)
    return lambda: broker.config_set("requirepass", "")


@pytest.mark.parametrize(
    "refusals", [(replica, master_down, no_replicas), (full, no_disk, other_password)], ids=["failover", "refusals"]
)
def test_workers_busy_and_idle_come_through_every_refusal_with_two_lines_each(
    house: House, broker: House, refusals: Sequence[Refusal]
) -> None:
    """Each of these was the end of the worker (exit 1, "Unrecoverable error"), but for the last."""
    house.redis()
    house.simulator("--leads", "2500", "--job-seconds", "0.5", "--latency", "0.3")
    house.environment["ZOHO_CONCURRENCY"] = "2"  # so that there is work all the time
    leads = house.leads()
    names = ("busy", "idle")
    workers = [house.worker("busy"), house.worker("idle", "-Q", "massconvert.nothing")]
    batch = house.producer().enqueue(leads, options=OPTIONS)
    until(lambda: batch.progress().converted, 20, "the first payload")
    with broker.ledger as client:
        for times, refusal in enumerate(refusals, 1):
            heal = refusal(client)
            until(partial(all_say, house, names, LOST, times), 10, "the loss")
            with pytest.raises(BrokerError):  # producers are told, quickly, in words
                nudge(broker)
            heal()
            until(partial(all_say, house, names, BACK, times), 15, "the return")
            nudge(broker)
    assert not batch.progress().finished, "there was no work any more"
    house.producer().cancel(batch.id)
    until(lambda: batch.progress().finished, 20, "the batch")
    assert_true(house, outcomes_of(batch))
    assert [worker.poll() for worker in workers] == [None, None]
    for name in names:
        log = house.log(name)
        assert "Traceback" not in log
        # Without thinning there are dozens; a machine under load may lose the connection once more while it heals.
        assert log.count("celery.worker.consumer.consumer") <= 2 * len(refusals), log


def all_say(house: House, names: Sequence[str], words: str, times: int) -> bool:
    """Whether each of these workers has said so that often."""
    return all(house.log(name).count(words) >= times for name in names)


def nudge(broker: House) -> None:
    """One hint, as a producer sends it."""
    one = Nudge(broker.redis_url)
    began = time.monotonic()
    try:
        one.chunk()
    finally:
        assert time.monotonic() - began < 5
        one.close()


def test_a_message_that_redis_hands_out_but_cannot_note_is_not_lost(house: House, broker: House) -> None:
    """A full memory lets BRPOP pass, and refuses the note of what it took: kombu forgot these leads' only copy."""
    house.redis()
    house.simulator("--leads", "50", "--job-seconds", "0.2", "--latency", "0")
    worker = house.worker()
    with broker.ledger as client, Celery(broker=broker.redis_url, set_as_current=False) as app:
        arguments = {"lead_ids": house.leads(), "options": OPTIONS, "key": "only-copy"}
        app.send_task(TASK_ENQUEUE, kwargs=arguments, queue="aside")
        with client.pipeline() as at_once:
            at_once.rename("aside", QUEUE)
            at_once.config_set("maxmemory", "1")
            at_once.execute()
        until(lambda: LOST in house.log(), 10, "the refusal")
        client.config_set("maxmemory", "0")
    until(lambda: all(lead["converted"] for lead in house.truth().values()), 20, "the leads")
    assert worker.poll() is None
    assert "Traceback" not in house.log()
