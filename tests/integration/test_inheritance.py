"""What workers of before held comes back, and nobody else's does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from massconvert.contract import QUEUE, TASK_ENQUEUE, UNACKED
from workers.inheritance import restore_inheritance, restore_once

pytestmark = pytest.mark.integration
OLD, OLD_INDEX = "unacked", "unacked_index"


@pytest.fixture
def app(redis_tcp_url: str) -> Iterator[Celery]:
    """An app that notes its messages where ours do."""
    with Celery("ours", broker=redis_tcp_url, set_as_current=False) as made:
        made.conf.broker_transport_options = {
            "unacked_key": UNACKED,
            "unacked_index_key": f"{UNACKED}_index",
            "unacked_mutex_key": f"{UNACKED}_mutex",
        }
        yield made


def held(app: Celery, redis: Any, number: int, queue: str, *, at: float) -> None:
    """A message of that queue, held by a worker of before since ``at``."""
    app.send_task(TASK_ENQUEUE, kwargs={"lead_ids": [str(number)]}, queue=queue)
    message = json.loads(redis.rpop(queue))
    redis.hset(OLD, f"tag-{number}", json.dumps([message, queue, queue]))
    redis.zadd(OLD_INDEX, {f"tag-{number}": at})


def test_messages_that_a_dead_worker_of_before_held_are_back_and_others_stay(app: Celery, redis_client: Any) -> None:
    """Those of this app's queues, held for longer than a worker of before may; and each comes back once."""
    for number in range(250):  # several pages, ours and others' in turn
        held(app, redis_client, number, QUEUE if number % 2 else "theirs", at=number)
    held(app, redis_client, 1001, QUEUE, at=4e9)  # a worker that lives has it
    assert restore_once(app) == 125
    assert restore_once(app) == 0
    assert redis_client.llen(QUEUE) == 125
    assert redis_client.hlen(OLD) == redis_client.zcard(OLD_INDEX) == 126
    assert redis_client.llen("theirs") == 0


def test_a_broker_that_is_away_ends_nothing() -> None:
    """It looks again later, and stops when it is told to."""
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 3

    with Celery("ours", broker="redis://127.0.0.1:1/0", set_as_current=False) as app:
        restore_inheritance(app, wait)
    assert len(pauses) == 3


def test_another_kind_of_broker_has_none() -> None:
    """kombu's in-memory one stands for RabbitMQ."""
    with Celery("ours", broker="memory://", set_as_current=False) as app:
        assert restore_once(app) == 0
