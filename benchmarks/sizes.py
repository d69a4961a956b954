"""How fast batches of each size and single leads are, against the least possible: ``python benchmarks/sizes.py``.

Real workers and a real Redis against the simulator: 10 calls at once, 200 ms a call, jobs of 1 s by default. The least
possible for n payloads at P permits, latency L and job time J is max(2·n·L/P, ceil(n/P)·L + J + L). *Cold* is an
organisation's first batch ever: nothing is learnt of its jobs. *Warm* is an organisation whose jobs are known. The
options are new in each batch. When a POST began is taken from the simulator: it converts a lead J seconds after a call
of L seconds.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.stand import LEADS_A_CALL, OPTIONS, Figure, Fleet, Limit, Zoho, clock, fleet, show, took, zoho
from benchmarks.virtual_fleet import fewest_payloads
from massconvert.policy import Tuning
from massconvert.producer.batch import Batch
from massconvert.store import Keys, connect

#: How many batches of a warm row are made; its figure is their median.
TIMES = {50: 5, 500: 3, 2000: 3}
#: Of the stream with a lead every so many seconds, for how many seconds.
STREAMS = {10.0: 40.0, 1.0: 20.0, 0.1: 10.0}
#: An organisation has learnt how long jobs take after so many batches of 500 leads.
LESSONS = 4
#: Single leads into an idle organisation, and the seconds before each.
SINGLES, QUIET = 5, 2 * Tuning().linger + 1.0
ROWS = ("cold", "warm", "single", "stream", "idle", "bulk")
_pause = threading.Event().wait


def least(limit: Limit, leads: int) -> float:
    """The least possible seconds from the enqueueing of so many leads to their last outcome."""
    payloads, latency = ceil(leads / LEADS_A_CALL), limit.latency
    return max(limit.ideal(leads), ceil(payloads / limit.permits) * latency + limit.job_seconds + latency)


@dataclass
class Organisation:
    """A simulated organisation with workers that serve it, and leads that are handed out once."""

    limit: Limit
    crm: Zoho
    fleet: Fleet
    leads: Iterator[str]
    options: int = 0

    def take(self, number: int) -> list[str]:
        """So many leads that no batch has had."""
        return [next(self.leads) for _ in range(number)]

    def new_options(self) -> dict[str, Any]:
        """Options that Zoho has never accepted."""
        self.options += 1
        return {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": f"Renewal {self.options}"}}

    def calls(self) -> tuple[int, int]:
        """How many POSTs and status calls were made."""
        calls = self.crm.calls()
        return calls.get("POST mass_convert", 0), calls.get("GET mass_convert", 0)

    def posted(self, leads: Sequence[str]) -> list[float]:
        """When the POST of each of these converted leads began, in Unix seconds."""
        truth = self.crm.ask("truth")
        before = self.limit.job_seconds + self.limit.latency
        return [float(truth[lead]["converted_at"]) - before for lead in leads]


@contextmanager
def organisation(limit: Limit, leads: int, workers: int) -> Iterator[Organisation]:
    """An organisation with so many leads, and so many workers."""
    with zoho(limit, leads) as crm, fleet(crm, workers=workers, permits=limit.permits) as running:
        yield Organisation(limit, crm, running, iter(crm.ask("leads")))


@dataclass(frozen=True)
class Measured:
    """One batch: seconds ÷ the least possible, and its calls."""

    ratio: float
    payloads: float
    looks: float
    calls: float


def measure(at: Organisation, leads: int) -> Measured:
    """Convert a batch of so many leads with new options."""
    posts, looks = at.calls()
    batch = at.fleet.producer.enqueue(at.take(leads), at.new_options())
    seconds, fewest = took(batch.wait(600)), ceil(leads / LEADS_A_CALL)
    posts, looks = (after - before for after, before in zip(at.calls(), (posts, looks), strict=True))
    return Measured(seconds / least(at.limit, leads), posts / fewest, looks / posts, (posts + looks) / (2 * fewest))


def row(name: str, runs: Sequence[Measured], goal: float, looks: float) -> list[Figure]:
    """The figures of a batch size: the median of its runs."""
    ratio, looked = median(run.ratio for run in runs), sum(run.looks for run in runs) / len(runs)
    spread = f" ({min(run.ratio for run in runs):.2f} to {max(run.ratio for run in runs):.2f})" if len(runs) > 1 else ""
    return [
        Figure(f"{name}: seconds ÷ least", f"{ratio:.2f}{spread}", f"≤ {goal}", ratio <= goal),
        Figure("   status calls a job", f"{looked:.2f}", f"≤ {looks}", looked <= looks),
        Figure("   calls ÷ fewest", f"{sum(run.calls for run in runs) / len(runs):.2f}"),
    ]


def cold(limit: Limit, workers: int) -> list[Figure]:
    """The first batch ever of an organisation."""
    figures = []
    for leads in (500, 2000):
        runs = []
        for _ in range(2):
            with organisation(limit, leads, workers) as at:
                runs.append(measure(at, leads))
        figures += row(f"{leads:,} leads, the first ever", runs, 1.4, 1.3)
    return figures


def warm(at: Organisation) -> list[Figure]:
    """Batches of an organisation whose jobs are known."""
    figures = []
    for leads, times in TIMES.items():
        figures += row(f"{leads:,} leads, warm", [measure(at, leads) for _ in range(times)], 1.15, 1.3)
    return figures


def single(at: Organisation) -> list[Figure]:
    """One lead at a time, each into an organisation that has nothing to do."""
    leads, begun = at.take(SINGLES), list[float]()
    for lead in leads:
        _pause(QUIET)
        begun.append(time.time())
        at.fleet.producer.enqueue([lead], OPTIONS).wait(60)
    waits = sorted(post - then for post, then in zip(at.posted(leads), begun, strict=True))
    figure = f"{median(waits):.3f} s (to {waits[-1]:.3f})"
    return [Figure("one lead, idle: enqueue → POST begins", figure, "≤ 0.1 s", median(waits) <= 0.1)]


def stream(at: Organisation) -> list[Figure]:
    """Single leads that come at a steady rate."""
    figures = []
    for apart, seconds in STREAMS.items():
        _pause(QUIET)
        posts, _ = at.calls()
        leads, begun, batches = at.take(round(seconds / apart)), list[float](), list[Batch]()
        for lead in leads:
            begun.append(time.time())
            batches.append(at.fleet.producer.enqueue([lead], OPTIONS))
            _pause(max(0.0, begun[-1] + apart - time.time()))
        for batch in batches:
            batch.wait(60)
        used = at.calls()[0] - posts
        waits = sorted(post - then for post, then in zip(at.posted(leads), begun, strict=True))
        fewest = fewest_payloads([(then, 1) for then in begun], Tuning().linger)
        name = f"{1 / apart:g} leads a second: enqueue → POST, median and p99"
        figures += [
            Figure(name, f"{median(waits):.2f} s, {waits[int(0.99 * len(waits))]:.2f} s"),
            Figure("   payloads, ÷ fewest", f"{used}, {used / fewest:.2f}"),
        ]
    return figures


def idle(at: Organisation, seconds: float = 20.0) -> list[Figure]:
    """What idle workers cost."""
    redis = connect(at.fleet.stack.redis_url)
    workers = len([name for name in at.fleet.stack.pids if name.startswith("worker")])
    _pause(QUIET)
    cpu, commands = at.fleet.cpu_seconds(), int(redis.info("stats")["total_commands_processed"])
    _pause(seconds)
    used = 100 * (at.fleet.cpu_seconds() - cpu) / seconds / workers
    sent = (int(redis.info("stats")["total_commands_processed"]) - commands) / seconds / workers
    return [
        Figure("an idle worker: per cent of a core, its part of Redis included", f"{used:.2f} %", "≤ 0.5", used <= 0.5),
        Figure("   Redis commands a second, those in scripts included", f"{sent:.1f}", "≤ 10", sent <= 10),
    ]


class Watch(threading.Thread):
    """Samples where the permits are: in calls that run at Zoho, taken otherwise, or free."""

    def __init__(self, at: Organisation, every: float = 0.03) -> None:
        super().__init__(daemon=True)
        self._at, self._every, self._over = at, every, threading.Event()
        self._redis, self._keys = connect(at.fleet.stack.redis_url), Keys("bench")
        self._seen: list[tuple[int, int]] = []  # permits that are taken, calls that run

    def run(self) -> None:
        """Sample until it is over."""
        while not self._over.wait(self._every):
            taken = int(self._redis.zcard(self._keys.permits))
            self._seen.append((taken, min(taken, int(self._at.crm.ask("load")["now"]))))

    def figures(self) -> list[Figure]:
        """Shares of the permits' time; it begins and ends at the first and last time that all are taken."""
        self._over.set()
        self.join()
        permits, seen = self._at.limit.permits, self._seen
        full = [place for place, (taken, _) in enumerate(seen) if taken >= permits] or [0]
        free = [(place, permits - taken) for place, (taken, _) in enumerate(seen)]
        parts = {
            "in a call at Zoho": sum(running for _, running in seen),
            "taken, and not in a call: scripts, HTTP": sum(taken - running for taken, running in seen),
            "free while the batch begins": sum(more for place, more in free if place < full[0]),
            "free in between: waiting for a message, or for its turn": sum(
                more for place, more in free if full[0] <= place <= full[-1]
            ),
            "free while it ends: jobs run, and nothing is left to send": sum(
                more for place, more in free if place > full[-1]
            ),
        }
        return [
            Figure(f"   a permit's time {name}", f"{part / permits / len(seen):.1%}") for name, part in parts.items()
        ]


def bulk(limit: Limit, leads: int, *, watched: bool) -> list[Figure]:
    """A bulk batch with four workers."""
    with organisation(limit, leads, 4) as at:
        watch = Watch(at)
        if watched:
            watch.start()
        before = at.fleet.cpu_seconds()
        run = measure(at, leads)
        used, refused = 1000 * (at.fleet.cpu_seconds() - before) / leads, at.crm.throttled()
        where = watch.figures() if watched else []
    share = limit.ideal(leads) / (run.ratio * least(limit, leads))
    return [
        *where,
        Figure(f"{leads:,} leads, 4 workers, cold: share of the limit", f"{share:.3f}", "≥ 0.97", share >= 0.97),
        Figure("   calls ÷ fewest", f"{run.calls:.3f}", "≤ 1.02", run.calls <= 1.02),
        Figure("   status calls a job", f"{run.looks:.3f}", "≤ 1.05", run.looks <= 1.05),
        Figure("   429s", f"{refused}", "0", not refused),
        Figure("   CPU a lead, workers and Redis", f"{used:.2f} ms", "≤ 0.39", used <= 0.39),
    ]


def main() -> None:
    """Measure the rows that were asked for, and print them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--rows", default=",".join(ROWS), help=f"which, comma-separated: {', '.join(ROWS)}")
    parser.add_argument("--latency", type=float, default=Limit.latency, help="seconds a call")
    parser.add_argument("--job-seconds", type=float, default=Limit.job_seconds)
    parser.add_argument("--permits", type=int, default=Limit.permits, help="calls at once")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--leads", type=int, default=20_000, help="of the bulk batch")
    parser.add_argument("--watch", action="store_true", help="sample where the permits are in the bulk; costs some CPU")
    given = parser.parse_args()
    limit = Limit(given.permits, given.latency, given.job_seconds)
    rows = [name.strip() for name in given.rows.split(",")]
    if unknown := set(rows) - set(ROWS):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    began, figures = clock(), list[Figure]()
    if "cold" in rows:
        figures += cold(limit, given.workers)
    in_one: dict[str, Callable[[Organisation], list[Figure]]]
    in_one = {"warm": warm, "single": single, "stream": stream, "idle": idle}
    wanted = [measured for name, measured in in_one.items() if name in rows]
    if wanted:
        with organisation(limit, 20_000, given.workers) as at:
            for _ in range(LESSONS):
                at.fleet.producer.enqueue(at.take(500), OPTIONS).wait(600)
            for measured in wanted:
                figures += measured(at)
    if "bulk" in rows:
        figures += bulk(limit, given.leads, watched=given.watch)
    title = f"{limit.permits} permits, {limit.latency * 1000:g} ms a call, jobs of {limit.job_seconds:g} s"
    show(f"{title}; {given.workers} workers", figures)
    print(f"measured in {clock() - began:.0f} s")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main()
