"""How much of the organisation's limit is used, against what people write by hand: ``python benchmarks/throughput.py``.

All in one run, against the same simulator: 10 calls at once, 200 ms a call, jobs of 1 s. The limit's ideal is one POST
and one status call for each 50 leads with all permits always used; rivals that are slow get fewer leads, and rates are
compared. The first two figures are medians of three runs, ours and theirs in turn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.stand import LEADS_A_CALL, ROOT, Figure, Limit, Zoho, clock, fleet, run_rival, show, took, zoho
from massconvert.embedded import Stack
from tests.sdk.make_env import NoEnvironmentError, python_of

LIMIT = Limit()
SLOTS = 20
RUNS = 3


def ours(leads: int, workers: int) -> tuple[float, int, float]:
    """Convert so many leads: leads a second, 429s, and calls ÷ the fewest possible."""
    with zoho(LIMIT, leads) as crm, fleet(crm, workers=workers, slots=SLOTS, permits=LIMIT.permits) as running:
        before = running.cpu_seconds()
        seconds = took(running.convert(crm.ask("leads"), f"bench-{workers}"))
        used = running.cpu_seconds() - before
        calls = crm.calls()
        made = sum(calls.get(name, 0) for name in ("POST mass_convert", "GET mass_convert", "GET Leads"))
        print(
            f"  {workers} workers: {leads / seconds:,.0f} leads/s, {1000 * used / leads:.2f} ms CPU a lead", flush=True
        )
        return leads / seconds, crm.throttled(), made / (2 * -(-leads // LEADS_A_CALL))


def by_hand(leads: int) -> float:
    """The asyncio loop's leads a second."""
    with zoho(LIMIT, leads) as crm:
        said = run_rival("asyncio_loop", crm.url, str(LIMIT.permits), str(LIMIT.job_seconds), str(leads))
    return leads / float(said["seconds"])


def sdk(leads: int, threads: int) -> float:
    """The official SDK's leads a second."""
    with zoho(LIMIT, leads) as crm, tempfile.TemporaryDirectory() as folder:
        said = run_rival("sdk_loop", crm.url, folder, str(threads), str(leads), python=str(python_of()))
    return leads / float(said["seconds"])


def one_a_task(leads: int, workers: int) -> float:
    """Plain Celery's leads a second, one lead a task."""
    with zoho(LIMIT, leads) as crm, Stack(environ=_nobody(crm), workers=0, beat=False, keep_data=False) as stack:
        stack.wait_ready()
        broker = "redis+socket://" + stack.redis_url.removeprefix("unix://")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "RIVAL_URL": crm.url, "RIVAL_BROKER": broker}
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.rivals.one_lead_a_task", "worker"]
        command += ["-P", "threads", "-c", str(SLOTS), "-l", "CRITICAL", "--without-gossip", "--without-mingle"]
        silent = subprocess.DEVNULL
        running = [
            subprocess.Popen([*command, "-n", f"r{number}@%h"], cwd=ROOT, env=environment, stdout=silent, stderr=silent)
            for number in range(workers)
        ]
        try:
            said = run_rival("one_lead_a_task", crm.url, broker, str(leads))
        finally:
            for process in running:
                process.kill()
                process.wait()
    return leads / float(said["seconds"])


def _nobody(crm: Zoho) -> dict[str, str]:
    return {"REDIS_URL": "", **crm.environment}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=20_000)
    parser.add_argument("--without-rivals", action="store_true", help="only ours and the asyncio loop")
    arguments = parser.parse_args()
    leads: int = arguments.leads
    began = clock()
    ideal = leads / LIMIT.ideal(leads)
    rate, figures = against_the_limit(leads, ideal)
    for workers in (1, 2, 8):
        other, refused, _ = ours(leads // 2, workers)
        share = f"{other / ideal:.3f}, {refused}"
        figures.append(Figure(f"{workers} workers: share of the limit, 429s", share, "0", not refused))
    if not arguments.without_rivals:
        figures += against_others(rate)
    show(f"Throughput: {leads:,} leads, {LIMIT.permits} permits, {LIMIT.latency * 1000:g} ms a call", figures)
    print(f"measured in {clock() - began:.0f} s; the ideal is {ideal:,.0f} leads/s")


def against_the_limit(leads: int, ideal: float) -> tuple[float, list[Figure]]:
    """Our median of leads a second with 4 workers, and how near to ``ideal`` that is; the loop by hand beside it."""
    runs = [(ours(leads, workers=4), by_hand(leads)) for _ in range(RUNS)]
    rates = sorted(rate / ideal for (rate, _, _), _ in runs)
    rate, hand = median(rates) * ideal, median(hand for _, hand in runs)
    throttled, calls = sum(refused for (_, refused, _), _ in runs), max(made for (_, _, made), _ in runs)
    share = f"{rate / ideal:.3f} ({rates[0]:.3f} to {rates[-1]:.3f})"
    return rate, [
        Figure("share of the limit, 4 workers x 20 slots", share, "≥ 0.95", rate / ideal >= 0.95),
        Figure("asyncio loop's share of the limit", f"{hand / ideal:.3f}"),
        Figure("ours ÷ asyncio loop that knows the limit", f"{rate / hand:.3f}", "≥ 0.95", rate / hand >= 0.95),
        Figure("429s in those runs", f"{throttled}", "0", throttled == 0),
        Figure("calls ÷ fewest possible, at most", f"{calls:.3f}", "≤ 1.05", calls <= 1.05),
    ]


def against_others(rate: float) -> list[Figure]:
    """How many times as fast as the SDK and plain Celery ``rate`` leads a second are."""
    figures = []
    try:
        for threads, of, goal in ((1, 1000, 15.0), (10, 5000, 3.0)):
            other = sdk(of, threads)
            name = "ours ÷ official SDK in a loop" if threads == 1 else f"ours ÷ official SDK in {threads} threads"
            figures.append(Figure(name, f"{rate / other:.1f}", f"≥ {goal:g}", rate / other >= goal))
    except NoEnvironmentError as error:
        print(f"The SDK is left out: {error}", file=sys.stderr)
    other = one_a_task(400, workers=4)
    name = "ours ÷ one lead a task in plain Celery"
    return [*figures, Figure(name, f"{rate / other:.1f}", "≥ 40", rate / other >= 40)]


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main()
