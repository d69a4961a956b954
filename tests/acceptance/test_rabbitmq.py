"""RabbitMQ as the broker goes away, hangs, or drops a connection: what Redis never shows (docs/scaling.md)."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from celery import Celery
from kombu.exceptions import OperationalError

from massconvert.contract import QUEUE, TASK_ENQUEUE
from massconvert.errors import BrokerError
from massconvert.nudge import Nudge
from tests.acceptance.door import Door
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.street import BACK, LOST, WITHIN, Street
from tests.rabbitmq import RabbitNode

pytestmark = pytest.mark.acceptance


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RabbitNode]:
    """RabbitMQ, running."""
    with closing(RabbitNode(tmp_path / "rabbitmq")) as made:
        made.start()
        yield made


@pytest.fixture
def door(node: RabbitNode) -> Iterator[Door]:
    """A door before the node."""
    made = Door(node.url)
    yield made
    made.close()


@pytest.fixture
def nudge(node: RabbitNode, door: Door) -> Iterator[Nudge]:
    """A nudge through the door that has a connection already."""
    place = urlsplit(node.url)
    made = Nudge(place._replace(netloc=f"{place.username}:{place.password}@127.0.0.1:{door.port}").geturl())
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


@pytest.fixture
def street(house: House, node: RabbitNode) -> Street:
    """Two workers under load, whose messages come from the node."""
    house.redis()
    house.environment["CELERY_BROKER_URL"] = node.url
    return Street(house, spare=90)


@pytest.mark.slow
@pytest.mark.timeout(360)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_two_workers_come_through_a_node_that_ends_and_starts_again(
    street: Street, node: RabbitNode, how: signal.Signals
) -> None:
    """What it had confirmed is not lost, and what comes meanwhile is told or kept; nothing is sent twice."""
    house, (confirmed, refused, taken) = street.house, (street.spare[:30], street.spare[30:60], street.spare[60:])
    with Celery(broker=node.url, set_as_current=False) as app:
        app.conf.update(broker_transport_options={"confirm_publish": True}, task_publish_retry=False)

        def send(leads: list[str]) -> None:
            arguments = {"lead_ids": leads, "options": OPTIONS, "key": leads[0]}
            app.send_task(TASK_ENQUEUE, kwargs=arguments, queue=QUEUE, ignore_result=True)

        for worker in street.workers.values():  # so that the message is with the node when that ends
            worker.send_signal(signal.SIGSTOP)
        send(confirmed)
        node.end(how)
        for worker in street.workers.values():
            worker.send_signal(signal.SIGCONT)
        with pytest.raises(OperationalError):
            send(refused)
        with pytest.raises(BrokerError):
            house.producer().enqueue(taken, options=OPTIONS, key="taken")
        until(lambda: all(street.lines(name) for name in street.workers), 20, "both workers to miss it")
        node.start()
        street.moves_on()
        street.await_connected(WITHIN)
        send(refused)
    street.ends_well()
    until(lambda: all(lead["converted"] for lead in house.truth().values()), 60, "all leads")
    assert {(lead["submissions"], lead["conversions"]) for lead in house.truth().values()} == {(1, 1)}
    for name in street.workers:
        assert street.lines(name) == [LOST, BACK]
        said = re.findall("Z (?:WARNING|ERROR|CRITICAL) ((?:celery|kombu).*)", house.log(name))
        # A task that wanted to send its next message meanwhile goes back to the queue, and Celery says so.
        assert len([line for line in said if "reject requeue=True" not in line]) == 1, house.log(name)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_worker_outlives_the_node_that_has_its_queues(house: House, node: RabbitNode, tmp_path: Path) -> None:
    """The other node of the cluster answers, and has no such queue (404): that was the end of the worker."""
    with closing(RabbitNode(tmp_path / "other", beside=node)) as other:
        other.start()
        other.join(node)
        house.redis()
        house.simulator("--leads", "50", "--job-seconds", "0.3", "--latency", "0.1")
        house.environment["CELERY_BROKER_URL"] = f"{node.url};{other.url}"
        worker = house.worker()
        node.end()
        until(lambda: LOST in house.log(), 20, "the worker to miss it")
        node.start()
        until(lambda: BACK in house.log(), 40, "the return")
        batch = house.producer().enqueue(house.leads(), options=OPTIONS)
        assert batch.wait(60).converted == 50
        assert worker.poll() is None
        assert "Traceback" not in house.log()
        assert house.log().count(LOST) == house.log().count(BACK)
