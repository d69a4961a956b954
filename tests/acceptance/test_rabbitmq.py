"""RabbitMQ as the broker goes away, hangs, or drops a connection: what Redis never shows (docs/scaling.md)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest

from massconvert import Batch
from massconvert.contract import QUEUE
from massconvert.errors import BrokerError
from massconvert.nudge import Nudge
from tests.acceptance.broker import only_rabbitmq
from tests.acceptance.door import Door
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = [pytest.mark.acceptance, only_rabbitmq]


@pytest.fixture
def door(house: House) -> Iterator[Door]:
    """A door before the broker, to which all of the house's processes go."""
    place = urlsplit(house.broker.url)
    made = Door(f"amqp://{place.hostname}:{place.port}")
    url = place._replace(netloc=f"{place.username}:{place.password}@127.0.0.1:{made.port}").geturl()
    house.environment["CELERY_BROKER_URL"] = url
    yield made
    made.close()


@pytest.fixture
def nudge(house: House, door: Door) -> Iterator[Nudge]:
    """A nudge that has a connection already."""
    made = Nudge(house.environment["CELERY_BROKER_URL"])
    made.chunk()
    yield made
    made.close()


def test_the_first_nudge_after_a_lost_connection_arrives(door: Door, nudge: Nudge) -> None:
    """One that died meanwhile is replaced, not complained about; a broker that is away is told."""
    door.shut()
    door.open()
    nudge.chunk()
    door.shut()
    with pytest.raises(BrokerError):
        nudge.chunk()
    door.open()
    nudge.chunk()
    assert nudge.waiting([QUEUE]) == {QUEUE: 3}


def test_a_broker_that_hangs_is_told_within_seconds(door: Door, nudge: Nudge) -> None:
    """A message is sent once the broker says that it has it: an app is not told of a batch by a socket's buffer."""
    door.hold()
    began = time.monotonic()
    with pytest.raises(BrokerError, match="no answer in time"):
        nudge.send("shop.converted", "shop", [], {})
    assert time.monotonic() - began < 20  # three waits of 2 s, and room for a busy machine
    door.let_go()
    nudge.send("shop.converted", "shop", [], {})


def has_converted(batch: Batch, leads: int) -> bool:
    """Whether so many leads are converted."""
    return batch.progress().converted >= leads


@pytest.mark.slow
def test_a_worker_comes_through_outages_of_the_broker_under_load(house: House, door: Door) -> None:
    """Cut and refused until the worker has tried in vain, twice; each lead is submitted once, and nothing is torn."""
    house.redis()
    house.simulator("--leads", "1500", "--job-seconds", "0.5", "--latency", "0.3")
    house.environment["ZOHO_CONCURRENCY"] = "5"
    leads = house.leads()
    worker = house.worker()
    batch = house.producer().enqueue(leads, options=OPTIONS)
    for converted in (1, 500):
        until(partial(has_converted, batch, converted), 30, f"{converted} leads")
        house.begin_reading()
        door.shut()
        until(lambda: "Cannot connect to" in house.log(), 30, "the worker to try in vain")
        door.open()
    batch.wait(60)
    rows = outcomes_of(batch)
    assert {row["outcome"] for row in rows.values()} == {"converted"}
    assert_true(house, rows)
    assert {lead["submissions"] for lead in house.truth().values()} == {1}
    assert worker.poll() is None
    log = (house.folder / "worker.log").read_text()
    assert "UnexpectedFrame" not in log
    assert "Traceback" not in log
