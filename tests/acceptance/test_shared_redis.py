"""A Redis database that another Celery app has as its broker too, which is how apps send us messages."""

from __future__ import annotations

import pytest
from celery import Celery

from massconvert.contract import TASK_ENQUEUE
from tests.acceptance.broker import only_redis
from tests.acceptance.house import OPTIONS, House, until

pytestmark = [pytest.mark.acceptance, only_redis]


def test_a_neighbour_s_long_tasks_are_not_handed_out_again_by_our_workers(house: House) -> None:
    """They are older than our visibility timeout, and held by a worker that lives: one running, one for later."""
    house.redis()
    house.simulator("--leads", "50", "--job-seconds", "0.2", "--latency", "0")
    house.worker("neighbour", "-P", "threads", "-c", "4", "-l", "INFO", app="tests.acceptance.neighbour")
    with house.ledger as client, Celery(broker=house.redis_url, set_as_current=False) as theirs:
        theirs.send_task("neighbour.long", [8], queue="neighbour")
        theirs.send_task("neighbour.long", [0], queue="neighbour", countdown=8)
        until(lambda: client.get("neighbour:started"), 10, "their task")
        until(lambda: client.zcount("unacked_index", 0, float(client.time()[0]) - 2) == 2, 10, "it to be old")
        house.worker("ours", app="tests.acceptance.impatient_worker")  # it looks for abandoned messages first of all
        theirs.send_task(TASK_ENQUEUE, kwargs={"lead_ids": house.leads(), "options": OPTIONS}, queue="massconvert")
        until(lambda: all(lead["converted"] for lead in house.truth().values()), 20, "the leads")
        assert client.get("neighbour:started") == "1"
        assert client.zcard("unacked_index") == 2
        until(lambda: client.get("neighbour:started") == "2", 15, "their later task")
        until(lambda: not client.zcard("unacked_index"), 10, "the end of both")
        assert client.get("neighbour:started") == "2"
