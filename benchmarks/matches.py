"""What looking for matches and linking cost, and whether it is right under faults: ``python -m benchmarks.matches``.

Three parts, each with real workers against a simulated Zoho of 20 calls at once, of which 10 may be heavy:

- *nobody*: a file in which no lead matches, with ``on_match`` ``create`` and ``link`` in turn. Once Zoho's calls are
  the limit, once its jobs are (as many as there may be at once take longer than the calls).
- *links*: a file of customers, all of whom are linked, one call each.
- *file*: 10,000 leads of every sort, with faults and with workers that are killed and started again. Each lead is
  compared with the simulator's truth.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.stand import OPTIONS, Figure, Fleet, Limit, clock, fleet, show, took, zoho
from massconvert.model import BatchStatus
from massconvert.report import record
from tests.acceptance.customers import Sort, cast, wrong

CALLS = Limit(permits=20, latency=0.2, job_seconds=1.0)
JOBS = Limit(permits=20, latency=0.2, job_seconds=5.0)
#: So few jobs at once that they, and not the calls, are the limit; as 200 jobs of 50 s would be.
FEW_JOBS = {"MASSCONVERT_MAX_JOBS": "20"}
HEAVY = 10
LINK, CREATE = {**OPTIONS, "on_match": "link"}, OPTIONS
POST, CONVERT, QUERY, READ = "POST mass_convert", "POST convert", "POST coql", "GET Leads"

#: Of 10,000 leads; a smaller file has its part of them.
SORTS = {
    Sort.CUSTOMER: 600,
    Sort.COMPANY: 200,
    Sort.TWO_CONTACTS: 25,
    Sort.TWO_ACCOUNTS: 25,
    Sort.PERSON: 50,
    Sort.COLLEAGUES: 50,
}
FAULTS: tuple[dict[str, Any], ...] = (
    *(
        {"method": method, "when": when, "do": "status", "status": 500, "rate": 0.01}
        for method in (POST, CONVERT, QUERY, READ)
        for when in ("before", "after")
    ),
    *({"method": method, "when": "after", "do": "drop", "rate": 0.01} for method in (POST, CONVERT)),
    {"method": READ, "do": "latency", "seconds": 1.0, "rate": 0.05},
    {"method": READ, "do": "stale", "seconds": 3.0, "rate": 0.02},
    {"method": QUERY, "do": "latency", "seconds": 1.0, "rate": 0.02},
)
#: As short as they go: a lease of 13 s.
SHORT = {"MASSCONVERT_CALL_DEADLINE": "1.5", "MASSCONVERT_PERMIT_WAIT": "0", "MASSCONVERT_SWEEP_INTERVAL": "2"}
#: How many kills, and the seconds between two.
KILLS, BETWEEN = 4, 10.0


class Run(NamedTuple):
    """What one run took, for each lead."""

    seconds: float
    credits: float
    heavy: int
    throttled: int
    cpu: float


def run(limit: Limit, leads: int, options: Mapping[str, Any], *arguments: str, **settings: str) -> Run:
    """Convert so many leads with two workers."""
    with zoho(limit, leads, *arguments) as crm, fleet(crm, workers=2, permits=limit.permits, settings=settings) as ours:
        lead_ids, before = crm.ask("leads"), ours.cpu_seconds()
        status = ours.producer.enqueue(lead_ids, options, key="matches").wait(600)
        assert status.converted == leads, status
        load = crm.ask("load")
        cpu = ours.cpu_seconds() - before
        made = Run(
            took(status) / leads, load["credits_used"] / leads, load["highest_heavy"], load["throttled"], cpu / leads
        )
        said = "link" if "on_match" in options else "create"
        print(
            f"  {said}: {1 / made.seconds:,.0f} leads/s, {made.credits:.3f} credits a lead, {crm.calls()}", flush=True
        )
        return made


def nobody(name: str, limit: Limit, leads: int, runs: int, **settings: str) -> list[Figure]:
    """``link`` ÷ ``create`` where no lead matches: seconds and CPU, and the credits that the look takes."""
    pairs = [tuple(run(limit, leads, options, **settings) for options in (CREATE, LINK)) for _ in range(runs)]
    ratio = median(link.seconds / create.seconds for create, link in pairs)
    cpu = median(link.cpu - create.cpu for create, link in pairs)
    more = median(link.credits - create.credits for create, link in pairs)
    return [
        Figure(f"no match, {name}: seconds a lead ÷ those of create", f"{ratio:.3f}", "≤ 1.04", ratio <= 1.04),
        Figure(f"no match, {name}: credits a lead more", f"{more:.3f}", "≤ 0.1", more <= 0.1),
        Figure(f"no match, {name}: CPU a lead more", f"{1000 * cpu:.2f} ms"),
    ]


def links(leads: int, runs: int) -> list[Figure]:
    """A file of customers: credits a lead, heavy calls at once, and the share of the rate that these allow."""
    made = [run(CALLS, leads, LINK, "--known", str(leads)) for _ in range(runs)]
    share = median(CALLS.latency / HEAVY / each.seconds for each in made)
    credits_used, heavy = median(each.credits for each in made), max(each.heavy for each in made)
    refused = sum(each.throttled for each in made)
    return [
        Figure("links: share of the rate of 10 calls at once", f"{share:.3f}", "≥ 0.9", share >= 0.9),
        Figure("links: credits a lead", f"{credits_used:.3f}", "≤ 5.1", credits_used <= 5.1),
        Figure(
            "links: heavy calls at once, at most; 429s", f"{heavy}, {refused}", "10, 0", heavy <= HEAVY and not refused
        ),
        Figure("links: CPU a lead", f"{1000 * median(each.cpu for each in made):.2f} ms"),
    ]


def file(leads: int) -> list[Figure]:
    """A file of all sorts of leads, under faults and kills: what is wrong."""
    limit = Limit(permits=20, latency=0.1, job_seconds=1.0)
    counts = {sort: count * leads // 10_000 for sort, count in SORTS.items()}
    with zoho(limit, leads) as crm, fleet(crm, workers=2, permits=limit.permits, settings=SHORT) as ours:
        lead_ids = crm.ask("leads")
        customers = cast(lead_ids, counts)
        customers.enter(crm.ask)
        crm.ask("faults", FAULTS)
        batch = ours.producer.enqueue(lead_ids, LINK, key="file")
        ended, began = threading.Event(), clock()
        killer = _Killer(ours, ended)
        killer.start()
        try:
            batch.wait(900, on_progress=_Shown())
        finally:
            ended.set()
            killer.join()
        seconds = clock() - began
        rows = {str(row["lead_id"]): row for row in map(record, batch.outcomes())}
        faulty = wrong(customers, rows, crm.ask("truth"), crm.ask)
        struck = sum(crm.ask("fired").values())
        calls = crm.calls()
    print(f"  {seconds:.0f} s, {killer.killed} kills, {struck} faults struck, calls {calls}", flush=True)
    for (sort, why), number in sorted(faulty.items()):
        print(f"  WRONG: {number} of {sort.value}: {why}", flush=True)
    return [
        *_by_sort(customers.sort, rows, faulty),
        Figure("workers killed; faults that struck", f"{killer.killed}; {struck}"),
    ]


def _by_sort(
    sorts: Mapping[str, Sort], rows: Mapping[str, Mapping[str, Any]], faulty: Mapping[tuple[Sort, str], int]
) -> list[Figure]:
    figures = []
    for sort in Sort:
        ends = Counter(rows[lead]["code"] or rows[lead]["outcome"] for lead, known in sorts.items() if known is sort)
        bad = sum(number for (of, _), number in faulty.items() if of is sort)
        told = ", ".join(f"{number:,} {end}" for end, number in ends.items())
        figures.append(Figure(f"match {sort.value}: {told}; wrong", str(bad), "0", not bad))
    return figures


class _Shown:
    """Prints how far it is, every ten seconds."""

    def __init__(self) -> None:
        self._last = self._began = clock()

    def __call__(self, status: BatchStatus) -> None:
        if clock() - self._last >= 10.0:
            self._last = clock()
            print(f"  {self._last - self._began:.0f} s: {status.ended:,} of {status.total:,} have ended", flush=True)


class _Killer(threading.Thread):
    """Kills one worker after the other with -9; the stack starts each again."""

    def __init__(self, ours: Fleet, ended: threading.Event) -> None:
        super().__init__(daemon=True)
        self._ours, self._ended = ours, ended
        self.killed = 0

    def run(self) -> None:
        while self.killed < KILLS and not self._ended.wait(BETWEEN):
            name = f"worker-{1 + self.killed % 2}"
            if pid := self._ours.stack.pids.get(name):
                os.killpg(pid, signal.SIGKILL)
                self.killed += 1


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=10_000, help="of the file (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of the others, in turn (%(default)s)")
    parser.add_argument("--only", choices=("nobody", "links", "file"), help="one part")
    arguments = parser.parse_args()
    began, only, runs, figures = clock(), arguments.only, arguments.runs, list[Figure]()
    if only in (None, "nobody"):
        figures += nobody("calls are the limit", CALLS, 5_000, runs)
        figures += nobody("jobs are the limit", JOBS, 5_000, runs, **FEW_JOBS)
    if only in (None, "links"):
        figures += links(2_000, runs)
    if only in (None, "file"):
        figures += file(arguments.leads)
    show("Matches: two workers, 20 calls at once, 10 of them heavy", figures)
    print(f"measured in {clock() - began:.0f} s")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main()
