"""Another client of the organisation takes 6 of 10 permits for a while: ``python benchmarks/neighbour.py``.

Nobody is told when it comes or goes. Measured are the share of 429s while it is there, how much of the 4 permits that
it leaves is used meanwhile, and how long after it has left the full rate is reached again.
"""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from benchmarks.stand import OPTIONS, Figure, Limit, Zoho, clock, fleet, show, zoho

LIMIT = Limit()
TAKES = 6
#: Of the limit's calls a second, in a window of 2 s: from there on the rate counts as full.
FULL = 0.85
_WINDOW = 2.0


def made(crm: Zoho) -> int:
    """Calls that Zoho let in."""
    calls = crm.calls()
    return sum(calls.get(name, 0) for name in ("POST mass_convert", "GET mass_convert", "GET Leads")) - crm.throttled()


def until_full(crm: Zoho, patience: float) -> float:
    """Seconds until the rate of calls is full again."""
    began, full = clock(), FULL * LIMIT.permits / LIMIT.latency
    seen = [(began, made(crm))]
    while clock() - began < patience:
        threading.Event().wait(0.25)
        seen.append((clock(), made(crm)))
        then, calls = next(((at, n) for at, n in reversed(seen) if seen[-1][0] - at >= _WINDOW), seen[0])
        if seen[-1][0] - then >= _WINDOW and (seen[-1][1] - calls) / (seen[-1][0] - then) >= full:
            return seen[-1][0] - began - _WINDOW
    return float("inf")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the other client stays (%(default)s)")
    stays: float = parser.parse_args().seconds
    leads = int((stays + 60) * LIMIT.permits / LIMIT.latency / 2 * 50)
    with zoho(LIMIT, leads) as crm, fleet(crm, workers=2, permits=LIMIT.permits) as running:
        running.producer.enqueue(crm.ask("leads"), OPTIONS, key="neighbour")
        alone = until_full(crm, 60.0)
        threading.Event().wait(3.0)
        before, before_429 = made(crm), crm.throttled()
        crm.ask("limits", {"neighbour": TAKES})
        threading.Event().wait(stays)
        calls, refused = made(crm) - before, crm.throttled() - before_429
        crm.ask("limits", {"neighbour": 0})
        back = until_full(crm, 60.0)
    ideal = stays * (LIMIT.permits - TAKES) / LIMIT.latency
    share = refused / (calls + refused)
    figures = [
        Figure("seconds from the start to the full rate", f"{alone:.1f}"),
        Figure("429s before the other client came", f"{before_429}", "0", before_429 == 0),
        Figure("429s while it was there, of calls", f"{refused} = {share:.2%}", "≤ 1 %", share <= 0.01),
        Figure("use of what it left", f"{calls / ideal:.3f}"),
        Figure("seconds to the full rate after it left", f"{back:.1f}", "< 15", back < 15),
    ]
    show(f"A neighbour takes {TAKES} of {LIMIT.permits} permits for {stays:g} s", figures)


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main()
