"""Redis and the broker."""

from __future__ import annotations

import time
from collections.abc import Iterator

from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS
from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.redis_rules import ask_about_itself, judge_clock, judge_redis
from massconvert.doctor.site import Site
from massconvert.errors import BrokerError, StoreError
from massconvert.nudge import Nudge
from massconvert.store import reaching


def check_redis(site: Site) -> Iterator[Finding]:
    """Whether the ledger's Redis answers, keeps what it is given, and knows the time."""
    began = time.monotonic()
    try:
        site.reach_redis()
    except StoreError as error:
        yield wrong("redis", error.message, error.hint)
        return
    yield ok("redis", f"Redis answers within {1000 * (time.monotonic() - began):.0f} ms.")
    info = ask_about_itself(site.redis)
    if info:
        yield from judge_redis(info)
    else:
        what = "Redis does not tell this user about itself, so nobody here sees whether it may lose or evict keys."
        mend = "Allow INFO (ACL SETUSER … +info), or see to it yourself: appendonly yes, maxmemory-policy noeviction."
        yield warning("redis", what, mend)
    with reaching(site.redis):
        before, (seconds, micros), after = time.time(), site.redis.time(), time.time()
    yield judge_clock(int(seconds) + int(micros) / 1e6 - (before + after) / 2)


def check_broker(site: Site) -> Iterator[Finding]:
    """Whether messages can be sent, and how many wait."""
    nudge = Nudge(site.settings.broker_url)
    try:
        waiting = nudge.waiting((QUEUE, QUEUE_CONVERT, QUEUE_STATUS))
    except BrokerError as error:
        yield wrong("broker", error.message, error.hint)
        return
    finally:
        nudge.close()
    counts = ", ".join(f"{count:,} in {queue}" for queue, count in waiting.items())
    yield ok("broker", f"The broker answers; messages that wait: {counts}.")
