"""What counting costs: a payload's way with it and without, and the bytes of a day: ``python benchmarks/counting.py``.

One redis-server of our own, the ledger's part of a worker's work and the permits of its calls. "Without" are the same
scripts whose counting does nothing; both take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any
from unittest.mock import patch

from benchmarks.ledger import FINGERPRINT, Server, convert, ids, server
from benchmarks.stand import OPTIONS, Figure, show
from massconvert.ledger import Ledger
from massconvert.ledger.days import DAY, QUARTER
from massconvert.model import Accepted, Busy, Call, Code
from massconvert.policy import ANSWERS, Tuning
from massconvert.store import Keys, RedisClock, scripts
from massconvert.zoho.governor import Governor

#: The functions of the scripts that count.
_COUNT = ("count", "count_at", "count_ends", "count_time", "count_move", "count_call")
_NAMES = 34  # of a busy quarter of an hour: six outcomes, each kind of call with some answers, durations


@contextmanager
def without_counting() -> Iterator[None]:
    """The scripts without what they count."""
    original = scripts.source

    def idle(function: re.Match[str]) -> str:
        return f"local function {function[1]}() end\n" if function[1] in _COUNT else function[0]

    with patch.object(scripts, "source", lambda name: scripts.FUNCTION.sub(idle, original(name))):
        yield


def cost(here: Server, account: str, payloads: int) -> tuple[float, float]:
    """Seconds of CPU for so many payloads: of Redis, and of Redis and this process."""
    ledger = Ledger(here.redis, account, Tuning())
    governor = Governor(here.redis, Keys(account), RedisClock(here.redis), limit=25, ask_org=_nobody)
    ledger.batches.open("b", FINGERPRINT, OPTIONS, leads=50 * payloads)
    here.redis.hset(Keys(account).options(FINGERPRINT), "accepted", 1)
    ledger.batches.add("b", "b:0", ids(50 * payloads))
    before = here.cpu()
    own, _ = convert(ledger, 50 * payloads)
    for _ in range(payloads):
        for call in (Call.POST, Call.STATUS):
            permit = governor.acquire(call)
            assert not isinstance(permit, Busy)
            governor.release(permit, Accepted("1"))
    spent = here.cpu() - before
    here.redis.flushall()
    return spent, spent + own


def bytes_of_a_day(here: Server) -> tuple[int, int]:
    """What a day of busy quarters takes in Redis, and how many quarters it has."""
    ledger, keys = Ledger(here.redis, "days", Tuning()), Keys("days")
    day = 20_600 * DAY
    codes = ("INVALID_DATA", Code.NOT_FOUND, Code.GAVE_UP, Code.NOT_CONVERTED)
    names = [f"lead|failed|{code}" for code in codes] + [f"call|{call.value}|{a}" for call in Call for a in ANSWERS[:4]]
    names += [f"time|{call.value}" for call in Call]
    for quarter in range(96):
        now = day + quarter * QUARTER + 1.0
        for name in names[:_NAMES]:
            here.redis.hincrby(keys.counts, name, 400_000 if name.startswith("time") else 1_200)
        batch = f"b{quarter}"
        ledger.batches.open(batch, FINGERPRINT, OPTIONS, now=now, leads=1)
        ledger.batches.add(batch, f"{batch}:0", ids(1, quarter), now=now)
    ledger.batches.add("b95", "more", ids(1, 500), now=day + DAY + 1.0)
    found = ledger.days.read(day, day + DAY)
    return int(here.redis.memory_usage(keys.day(day // DAY))), len(found)


def _nobody() -> Any:
    raise AssertionError("the limit is given")


def main() -> int:
    """Measure, print, say whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--payloads", type=int, default=400, help="a round")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    redis_with, redis_without, ratios = [], [], []
    with server() as here:
        for turn in range(arguments.rounds):
            with_it = cost(here, f"with-{turn}", arguments.payloads)
            with without_counting():
                without = cost(here, f"without-{turn}", arguments.payloads)
            redis_with.append(with_it[0] / arguments.payloads * 1e6)
            redis_without.append(without[0] / arguments.payloads * 1e6)
            ratios.append(without[1] / with_it[1])
        size, quarters = bytes_of_a_day(here)
    counted, bare, ratio = median(redis_with), median(redis_without), median(ratios)
    show(
        "What counting costs",
        [
            Figure("Redis, a payload's whole way with its two calls, nothing counted", f"{bare:.0f} µs"),
            Figure("the same, counted", f"{counted:.0f} µs"),
            Figure("CPU of Redis and the ledger's part of a worker, without / with", f"{ratio:.3f}"),
            Figure(
                f"a day of {quarters} quarters with {_NAMES} numbers each",
                f"{size:,} bytes",
                "≤ 20,000",
                size <= 20_000,
            ),
        ],
    )
    return 0 if size <= 20_000 else 1


if __name__ == "__main__":
    sys.exit(main())
