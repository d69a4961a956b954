"""What being watched costs: throughput with ÷ without, and a story's bytes: ``python benchmarks/watching.py``.

Against the simulator of `benchmarks/throughput.py` with one worker; both ways in turn, so that a busy machine slows
both, and the medians compared. Without metrics nothing is counted in the ledger either.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from unittest.mock import patch

from benchmarks.counting import without_counting
from benchmarks.ledger import convert, ids, server
from benchmarks.stand import OPTIONS, Figure, Limit, fleet, show, took, zoho
from massconvert.store import scripts

#: What a worker may lose by being watched, and what a finished lead's story may take, in bytes.
LEAST, STORY = 0.98, 6.0
_PERMITS = 10
#: Python runs this at the start of each process that finds it: the workers count nothing.
_NO_COUNTING = "from benchmarks.counting import without_counting\n_kept = without_counting()\n_kept.__enter__()\n"
#: Outcomes are kept as they were before there were stories.
_NO_STORY = "local function with_story(outcome) return outcome end\n"


def rate(leads: int, settings: Mapping[str, str], *, counting: bool = True) -> float:
    """Leads a second of one worker, and the milliseconds of CPU that a lead takes are printed."""
    limit = Limit(permits=_PERMITS)
    with tempfile.TemporaryDirectory() as folder, zoho(limit, leads) as crm, _counting(on=counting):
        given = dict(settings)
        if not counting:
            Path(folder, "sitecustomize.py").write_text(_NO_COUNTING, encoding="utf-8")
            given["PYTHONPATH"] = folder
        with fleet(crm, workers=1, permits=_PERMITS, settings=given) as running:
            before = running.cpu_seconds()
            seconds = took(running.convert(crm.ask("leads"), "watched"))
            used = running.cpu_seconds() - before
    print(f"  {leads / seconds:,.0f} leads/s, {1000 * used / leads:.2f} ms CPU a lead", flush=True)
    return leads / seconds


def metrics(leads: int, rounds: int) -> Figure:
    """With the fleet's counters and a worker's own metrics ÷ without both."""
    ratio = _in_turn(
        rounds,
        lambda: rate(leads, {"MASSCONVERT_METRICS_PORT": "0"}),
        lambda: rate(leads, {}, counting=False),
    )
    return Figure("throughput with metrics ÷ without", f"{ratio:.3f}", f"≥ {LEAST}", ratio >= LEAST)


def traces(leads: int, rounds: int) -> Figure:
    """With every payload traced, and sent to a receiver, ÷ without."""
    with _receiver() as (url, received):
        given = {"MASSCONVERT_TRACES": "yes", "OTEL_EXPORTER_OTLP_ENDPOINT": url}
        ratio = _in_turn(rounds, lambda: rate(leads, given), lambda: rate(leads, {}))
        assert received, "no spans came"
    return Figure("throughput with traces ÷ without", f"{ratio:.3f}", f"≥ {LEAST}", ratio >= LEAST)


def story(leads: int) -> Figure:
    """Bytes of Redis a finished lead, with stories less those without."""
    taken = []
    for without in (False, True):
        original = scripts.source
        bare = original("_story").rpartition("local function with_story")[0] + _NO_STORY
        replaced = patch.object(scripts, "source", lambda name: original(name).replace(original("_story"), bare))  # noqa: B023 - ends with its turn
        with replaced if without else nullcontext(), server() as here:
            here.producer.enqueue(ids(1, first=10**9), OPTIONS)
            convert(here.ledger(), 1)
            before = here.used_by_keys()
            batch = here.producer.enqueue(ids(leads), OPTIONS, key="bulk")
            convert(here.ledger(), leads)
            assert batch.progress().finished
            taken.append((here.used_by_keys() - before) / leads)
    size = taken[0] - taken[1]
    words = f"{size:.2f} ({taken[1]:.1f} without)"
    return Figure("a story's bytes a finished lead", words, f"≤ {STORY:g}", size <= STORY)


def _in_turn(rounds: int, one: Callable[[], float], other: Callable[[], float]) -> float:
    """The median of ``one``'s rates ÷ that of ``other``'s; which of them begins changes with each round."""
    rates: tuple[list[float], list[float]] = ([], [])
    ways = (one, other)
    for number in range(rounds):
        for place in (0, 1) if number % 2 == 0 else (1, 0):
            rates[place].append(ways[place]())
    return median(rates[0]) / median(rates[1])


@contextmanager
def _counting(*, on: bool) -> Iterator[None]:
    with nullcontext() if on else without_counting():
        yield


@contextmanager
def _receiver() -> Iterator[tuple[str, list[int]]]:
    """Takes what is sent to it, and keeps how long it was."""
    received: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            received.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}", received
    finally:
        listening.shutdown()
        listening.server_close()


def main() -> int:
    """Measure, print, say whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=15_000, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--finished", type=int, default=200_000, help="leads of which the bytes are measured")
    parser.add_argument("--only", choices=["metrics", "traces", "story"])
    arguments = parser.parse_args()
    measured: dict[str, Callable[[], Figure]] = {
        "metrics": lambda: metrics(arguments.leads, arguments.rounds),
        "traces": lambda: traces(arguments.leads, arguments.rounds),
        "story": lambda: story(arguments.finished),
    }
    figures = [measure() for name, measure in measured.items() if arguments.only in (None, name)]
    title = f"What being watched costs: {arguments.leads:,} leads a round, one worker, {_PERMITS} permits"
    show(f"{title}; medians of {arguments.rounds}, in turn", figures)
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    sys.exit(main())
