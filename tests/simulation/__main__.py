"""Play histories: ``python -m tests.simulation --n 10000 --jobs 2``; play one again: ``… --seed 123``.

Exit status 0 when all held and everything was visited, 1 when not. Progress and the verdict go to stderr, the table of
what was visited and the traces of what failed to stdout.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from collections import Counter

from tests.simulation.crew import Crew, Tally, one_server
from tests.simulation.draw import draw
from tests.simulation.forgetting import FORGETS
from tests.simulation.history import Verdict, play
from tests.simulation.shrink import kind_of, shrink
from tests.simulation.themes import THEMES
from tests.simulation.wire import Wire

#: So few histories need not visit everything.
ENOUGH = 500
#: So many failing histories are shrunk and told in full.
TOLD = 3


def main() -> int:
    """Run as the arguments say."""
    arguments = _arguments()
    logging.getLogger("massconvert").setLevel(logging.CRITICAL)  # the product warns of just what the histories provoke
    if arguments.n == 1:
        return _replay(arguments.seed, arguments.theme, whole=True)
    began, tally = time.monotonic(), Tally()
    with Crew(arguments.jobs) as crew:
        try:
            for part in crew.play(arguments.seed, arguments.n, arguments.theme):
                tally.add(part)
                for seed, problem in part.failures.items():
                    print(f"\nFAILED seed {seed}: {problem}", file=sys.stderr)
                _progress(tally, arguments.n, time.monotonic() - began)
                if len(tally.failures) >= arguments.stop_after:
                    break
        except KeyboardInterrupt:
            played, failed = tally.reach.histories, len(tally.failures)
            begun = f"of the seeds {arguments.seed:,} to {crew.last_seed:,}" if played else "in full"
            print(
                f"\ninterrupted: {played:,} of {arguments.n:,} histories played {begun}, {failed} failed",
                file=sys.stderr,
            )
            return 130
    print(file=sys.stderr)
    return _conclude(tally, arguments.theme, time.monotonic() - began)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.simulation", description=__doc__.split("\n")[0] if __doc__ else None
    )
    parser.add_argument("--n", type=int, help="how many histories (default: 500; with --seed: that one)")
    parser.add_argument("--seed", type=int, help="the first seed (default: 0); without --n: replay this one")
    cores = len(os.sched_getaffinity(0))
    # One more than there are cores: a process does nothing while its redis-server works.
    parser.add_argument("--jobs", type=int, default=cores + 1, help="processes, each with a redis-server of its own")
    parser.add_argument("--theme", choices=[*THEMES, *FORGETS], default="", help="give every history this theme")
    parser.add_argument("--stop-after", type=int, default=20, help="stop after so many failing histories")
    arguments = parser.parse_args()
    if arguments.n is None:
        arguments.n = 1 if arguments.seed is not None else ENOUGH
    arguments.seed = arguments.seed or 0
    return arguments


def _progress(tally: Tally, total: int, seconds: float) -> None:
    done = tally.reach.histories
    rate = max(done, 1) / seconds
    left = f"{len(tally.failures)} failed, {(total - done) / rate:.0f} s left   "
    print(f"\r{done:,} of {total:,} histories, {rate:.1f}/s, {left}", end="", file=sys.stderr, flush=True)


def _conclude(tally: Tally, theme: str, seconds: float) -> int:
    reach = tally.reach
    print(reach.table())
    calls = ", ".join(f"{count:,} {name}" for name, count in sorted(reach.calls.items()))
    rate = reach.histories / seconds
    print(f"{reach.histories:,} histories in {seconds:.1f} s ({rate:.1f}/s), {reach.leads:,} outcomes")
    print(f"calls to Zoho: {calls}")
    for what, count in tally.unknowable.items():
        print(f"nobody could know: {count:,} {what}")
    for seed, problem in sorted(tally.failures.items()):
        print(f"FAILED seed {seed}: {problem}")
    for seed in _of_each_kind(tally.failures)[:TOLD]:
        print(f"\n{'=' * 100}")
        _replay(seed, theme, whole=False)
    missing = [] if theme or reach.histories < ENOUGH else reach.missing()
    for line in missing:
        print(f"NOT VISITED {line}")
    return 1 if tally.failures or missing else 0


def _of_each_kind(failures: dict[int, str]) -> list[int]:
    """One seed of each kind of failure, the most frequent kind first."""
    kinds = Counter(kind_of(problem) for problem in failures.values())
    return [
        min(seed for seed, problem in failures.items() if kind_of(problem) == kind) for kind, _ in kinds.most_common()
    ]


def _replay(seed: int, theme: str, *, whole: bool) -> int:
    """Play one history and tell it; a failing one is shrunk first."""
    with one_server() as socket:
        wire = Wire(socket)
        try:
            verdict = shrink(draw(seed, theme), lambda plan: play(plan, wire))
        finally:
            wire.close()
    print(tell(verdict, theme, whole=whole))
    return 1 if verdict.problems else 0


def tell(verdict: Verdict, theme: str, *, whole: bool) -> str:
    """A history as a person reads it."""
    plan = verdict.plan
    lines = verdict.trace if whole or len(verdict.trace) < 200 else ["…", *verdict.trace[-200:]]
    orders = "\n".join(f"  {order}" for order in plan.orders)
    return "\n".join(
        [
            f"seed {plan.seed}, themes {', '.join(plan.themes)}; {plan.workers} workers, {plan.permits} permits",
            f"  {plan.mishaps}\n  {plan.messages}\n  {plan.store}\n  {plan.faults}\n{orders}",
            f"  leads that are not fine: {[lead for lead in plan.leads if lead.kind != 'fine']}",
            *lines,
            f"{len(verdict.problems)} problems" if verdict.problems else "no problems",
            *(f"!! {problem}" for problem in verdict.problems[:10]),
            f"To play it again: make simulate SEED={plan.seed}" + (f" THEME='{theme}'" if theme else ""),
        ]
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(130)
