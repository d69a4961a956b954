"""`celery -A tests.acceptance.neighbour`: somebody else's app, set up for long tasks."""

from __future__ import annotations

import os
import time

import redis
from celery import Celery

app = Celery("neighbour", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_default_queue="neighbour", task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True
)


@app.task(name="neighbour.long")  # type: ignore[untyped-decorator]  # Celery ships no types
def long(seconds: float) -> None:
    """Count the start, then take long."""
    redis.Redis.from_url(os.environ["REDIS_URL"]).incr("neighbour:started")
    time.sleep(seconds)
