"""A workshop without Zoho, for a worker whose Redis goes away; outage_worker.py has the tasks work in it.

Its ledger is three keys in Redis: who is due when, how many steps each chunk has taken, which are done.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from massconvert.model import Again, Done, Job, Next, Submitted
from massconvert.nudge import Nudge
from massconvert.store import connect
from massconvert.store.connection import reaching

DUE, STEPS, DONE = "due", "steps", "done"
#: A chunk for which no message came in so many seconds is dispatched again.
GRACE = 8.0


class OutageWorkshop:
    """Every chunk takes two steps of convert and two of status, some of them slow, some of them later."""

    def __init__(self) -> None:
        url = os.environ["REDIS_URL"]
        self.redis = connect(url)
        self.nudge = Nudge(url)

    def convert(self, chunk_id: str) -> Next:
        """Running tasks, and messages that wait in the worker."""
        time.sleep(0.05)
        step = self._step(chunk_id)
        return Done() if step is None else Again(1.5) if step == 1 else Submitted(Job(chunk_id, "42"))

    def status(self, job: Mapping[str, Any]) -> Next:
        """Follow, then end."""
        step = self._step(job["chunk_id"])
        if step is None or step < 4:
            return Done() if step is None else Again(1.0)
        with reaching(self.redis):
            self.redis.sadd(DONE, job["chunk_id"])
            self.redis.zrem(DUE, job["chunk_id"])
        return Done()

    def chunk(self) -> Next:
        """Nothing to form."""
        return Done()

    def sweep(self) -> int:
        """Dispatch what is overdue."""
        with reaching(self.redis):
            overdue = self.redis.zrangebyscore(DUE, 0, time.time(), start=0, num=50)
            if overdue:  # not again before its message had its time
                self.redis.zadd(DUE, dict.fromkeys(overdue, time.time() + GRACE))
        for chunk_id in overdue:
            self.nudge.convert(chunk_id)
        return len(overdue)

    def _step(self, chunk_id: str) -> int | None:
        with reaching(self.redis):
            if self.redis.sismember(DONE, chunk_id):
                return None
            self.redis.zadd(DUE, {chunk_id: time.time() + GRACE})
            return int(self.redis.hincrby(STEPS, chunk_id, 1))


@lru_cache(maxsize=1)
def workshop(*_account: object) -> OutageWorkshop:
    """This process' workshop; there is one account."""
    return OutageWorkshop()
