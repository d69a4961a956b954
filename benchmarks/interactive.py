"""How long one interactive lead takes to its POST behind a bulk batch: ``python benchmarks/interactive.py``.

Real workers against the simulator: 10 calls at once, 200 ms a call, jobs of 1 s. While a bulk batch is being converted,
single leads come in, with the options of the bulk and with options of their own. That a lead was posted is seen when
Zoho's answer is in the ledger; the call's own 200 ms are taken off, so a figure holds the linger and its turn.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.stand import OPTIONS, Figure, Fleet, Limit, clock, fleet, show, zoho
from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS
from massconvert.policy import Tuning
from massconvert.producer.batch import Batch
from massconvert.store import connect

LIMIT = Limit()
OTHER_OPTIONS = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": "Upgrade"}}
GOAL = Tuning().linger + 1.0
#: A message for each payload that waits and for each job that runs, and some that tell of leads.
BOUND = Tuning().window + Tuning().express + Tuning().max_jobs + 10
_pause = threading.Event().wait


def until(what: Callable[[], bool], patience: float = 60.0) -> float:
    """Seconds until ``what`` holds."""
    began = clock()
    while not what():
        if clock() - began > patience:
            raise TimeoutError(f"nothing happened in {patience:g} s")
        _pause(0.02)
    return clock() - began


def was_posted(batch: Batch) -> bool:
    """Whether Zoho has taken a lead of this batch."""
    status = batch.progress()
    return status.sent + status.converted > 0


def singles(running: Fleet, leads: Sequence[str], lengths: Callable[[], int]) -> tuple[list[float], list[float], int]:
    """Enqueue leads one by one: seconds to their POST with the bulk's options and with others, longest queues."""
    same, other, longest = list[float](), list[float](), 0
    for number, lead in enumerate(leads):
        options, times = ((OPTIONS, same), (OTHER_OPTIONS, other))[number % 2]
        began = clock()
        batch = running.producer.enqueue([lead], options)
        until(partial(was_posted, batch))
        times.append(clock() - began - LIMIT.latency)
        longest = max(longest, lengths())
    return same, other, longest


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=60_000)
    parser.add_argument("--singles", type=int, default=20)
    arguments = parser.parse_args()
    count: int = arguments.leads
    with zoho(LIMIT, count) as crm, fleet(crm, workers=2, permits=LIMIT.permits) as running:
        leads = crm.ask("leads")
        broker = connect(running.stack.redis_url)
        bulk = running.producer.enqueue(leads[arguments.singles :], OPTIONS, key="bulk")
        until(lambda: bulk.progress().converted > 0)
        same, other, longest = singles(
            running,
            leads[: arguments.singles],
            lambda: sum(int(broker.llen(queue)) for queue in (QUEUE, QUEUE_CONVERT, QUEUE_STATUS)),
        )
        left = bulk.progress().waiting
    show(
        f"Single leads behind {count:,}, of which {left:,} still waited at the end",
        [
            Figure("same options, slowest", f"{max(same):.2f} s", f"≤ {GOAL:g} s", max(same) <= GOAL),
            Figure("other options, slowest", f"{max(other):.2f} s", f"≤ {GOAL:g} s", max(other) <= GOAL),
            Figure("other options, slowest but the first", f"{max(other[1:]):.2f} s"),
            Figure("messages in the broker's queues, most", f"{longest}", f"≤ {BOUND}", longest <= BOUND),
        ],
    )


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main()
