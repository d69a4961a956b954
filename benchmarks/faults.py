"""What faults cost, in calls and in seconds: ``python benchmarks/faults.py``.

Calls: 5 % of all calls go wrong, half of them before and half after they took effect; compared with the fewest calls
that convert these leads when nothing does. Seconds: a worker is killed with -9 in the middle of a POST that Zoho
carries out; until the last outcome of its leads, with the default settings and with the shortest.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import threading
from collections.abc import Mapping

from benchmarks.stand import LEADS_A_CALL, OPTIONS, Figure, Fleet, Limit, Zoho, clock, fleet, show, zoho

LIMIT = Limit(permits=10, latency=0.1, job_seconds=1.0)
SHARE = 0.05
POST = "POST mass_convert"
CALLS = (POST, "GET mass_convert", "GET Leads")
#: As short as they go: a lease of 13 s.
SHORT = {"MASSCONVERT_CALL_DEADLINE": "1.5", "MASSCONVERT_PERMIT_WAIT": "0", "MASSCONVERT_SWEEP_INTERVAL": "2"}


def calls_of(crm: Zoho) -> int:
    """Calls about leads so far; not those for tokens."""
    return sum(crm.calls().get(name, 0) for name in CALLS)


def calls_under_faults(leads: int, share: float) -> tuple[float, int]:
    """Calls ÷ the fewest possible when this share of the calls goes wrong, and how many did."""
    with zoho(LIMIT, leads) as crm, fleet(crm, workers=2, permits=LIMIT.permits) as running:
        kinds = ({"do": "status", "status": 500}, {"do": "reset"})
        each = share / (2 * len(kinds))
        crm.ask(
            "faults",
            [
                {"method": method, "when": when, "rate": each, **kind}
                for method in CALLS
                for when in ("before", "after")
                for kind in kinds
            ],
        )
        status = running.convert(crm.ask("leads"), "faults")
        truth = crm.ask("truth").values()
        assert status.converted == leads
        assert {lead["conversions"] for lead in truth} == {1}
        twice = sum(lead["submissions"] - 1 for lead in truth)
        assert twice == 0, f"{twice} leads were submitted again without need"
        return calls_of(crm) / (2 * -(-leads // LEADS_A_CALL)), sum(crm.ask("fired").values())


def seconds_after_a_kill(settings: Mapping[str, str], runs: int) -> list[float]:
    """Seconds from kill -9 of the only worker, in mid-POST, to the last outcome of the leads that it was sending."""
    leads = 12 * LEADS_A_CALL + runs * LEADS_A_CALL
    with zoho(LIMIT, leads) as crm, fleet(crm, workers=1, permits=LIMIT.permits, settings=settings) as running:
        ids = crm.ask("leads")
        running.convert(ids[: 12 * LEADS_A_CALL], "warm")  # how long jobs take is learnt now
        return [
            _kill_once(crm, running, ids[start : start + LEADS_A_CALL])
            for start in range(12 * LEADS_A_CALL, leads, LEADS_A_CALL)
        ]


def _kill_once(crm: Zoho, running: Fleet, ids: list[str]) -> float:
    crm.ask("faults", [{"method": POST, "do": "latency", "seconds": 1, "when": "after", "times": 1}])
    batch = running.producer.enqueue(ids, OPTIONS, key=f"k{ids[0]}")
    while not crm.ask("truth")[ids[0]]["submissions"]:
        threading.Event().wait(0.02)
    killed = clock()
    os.killpg(running.stack.pids["worker-1"], signal.SIGKILL)
    batch.wait(600)
    seconds = clock() - killed
    assert {crm.ask("truth")[lead]["submissions"] for lead in ids} == {1}
    running.stack.wait_ready()
    print(f"  killed, and all ended after {seconds:.1f} s", flush=True)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3, help="kills, with each of the settings")
    arguments = parser.parse_args()
    began = clock()
    calm, _ = calls_under_faults(arguments.leads, 0.0)
    ratio, struck = calls_under_faults(arguments.leads, SHARE)
    short = seconds_after_a_kill(SHORT, arguments.runs)
    default = seconds_after_a_kill({}, arguments.runs)
    show(
        f"Faults: {arguments.leads:,} leads; {arguments.runs} kills",
        [
            Figure("calls ÷ fewest possible, no faults", f"{calm:.3f}", "≤ 1.05", calm <= 1.05),
            Figure(f"calls ÷ fewest possible, {SHARE:.0%} faults ({struck} struck)", f"{ratio:.3f}"),
            Figure("needless submissions under these faults", "0", "0", met=True),
            Figure("kill -9 to the last outcome, shortest settings, median s", f"{statistics.median(short):.1f}"),
            Figure("kill -9 to the last outcome, default settings, median s", f"{statistics.median(default):.1f}"),
        ],
    )
    print(f"measured in {clock() - began:.0f} s")


if __name__ == "__main__":
    main()
