"""The simulator as a command: prints the environment that points a worker at it, and runs until it is told to stop."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, TextIO

from massconvert.simulator.accounts import Credentials
from massconvert.simulator.faults import read_script
from massconvert.simulator.messages import SimulatorError
from massconvert.simulator.rules import CONCURRENCY, Rules
from massconvert.simulator.server import Simulator
from massconvert.simulator.special import kinds_of


def run(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    leads: int = 100,
    unknown: int = 0,
    converted: int = 0,
    seed: int = 0,
    latency: float = 0.0,
    job_seconds: float = 1.0,
    job_jitter: float = 0.0,
    edition: str = "enterprise",
    production: bool = False,
    trial_days: float | None = None,
    pipelines: bool = False,
    more_users: int = 0,
    mandatory: Collection[str] = (),
    concurrency: int | None = None,
    day_credits: int | None = None,
    accepted_status: int = 200,
    id_characters: int | None = None,
    special: Collection[str] = (),
    faults: Path | None = None,
    credentials: Credentials | None = None,
    out: TextIO | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run a simulator until SIGINT or SIGTERM, or until ``stop`` is set; for the main thread.

    The environment goes to ``out`` (stdout) as ``KEY=value`` lines. Raises SimulatorError, whose text is one line for
    a person, if the port is taken or the fault script is wrong.
    """
    rules = Rules(
        job_seconds=job_seconds,
        job_jitter=job_jitter,
        edition=edition,
        kind="production" if production else "sandbox",
        trial_days=trial_days,
        concurrency=concurrency,
        credits=day_credits,
        pipelines=pipelines,
        more_users=more_users,
        mandatory_deal_fields=frozenset(mandatory),
        accepted_status=accepted_status,
        most_id_characters=id_characters,
    )
    simulator = Simulator(
        leads,
        unknown=unknown,
        converted=converted,
        seed=seed,
        host=host,
        port=port,
        latency=latency,
        rules=rules,
        faults=read_script(faults) if faults else (),
        credentials=credentials,
    )
    for lead_id, kind in zip(simulator.organisation.truth(), kinds_of(special), strict=False):
        simulator.organisation.make_special(lead_id, kind)
    stop = stop or threading.Event()
    before: dict[signal.Signals, Any] = {}
    with simulator:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, lambda *_: stop.set())
            for name, value in simulator.environment().items():
                print(f"{name}={value}", file=out or sys.stdout, flush=True)
            stop.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m massconvert.simulator``; the exit status."""
    parser = _parser()
    chosen = vars(parser.parse_args(arguments))
    if chosen["credentials"]:
        chosen["credentials"] = Credentials(*chosen["credentials"])
    try:
        run(**chosen)
    except SimulatorError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="massconvert simulator", description="A Zoho CRM for this machine, with invented leads."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=_bounded(int, 65535), default=0, help="0 takes a free one (%(default)s)")
    parser.add_argument("--leads", type=_bounded(int), default=100, help="how many lead ids there are (%(default)s)")
    parser.add_argument("--unknown", type=_bounded(int), default=0, help="so many of them do not exist (%(default)s)")
    parser.add_argument(
        "--converted", type=_bounded(int), default=0, help="so many are converted already (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides which (%(default)s)")
    parser.add_argument("--latency", type=_bounded(float), default=0.0, help="seconds of each API call (%(default)s)")
    parser.add_argument("--job-seconds", type=_bounded(float), default=1.0, help="seconds of a job (%(default)s)")
    parser.add_argument("--job-jitter", type=_bounded(float), default=0.0, help="up to so many more (%(default)s)")
    parser.add_argument("--edition", choices=sorted(CONCURRENCY), default="enterprise", help="(%(default)s)")
    parser.add_argument("--production", action="store_true", help="it says that it is no sandbox")
    parser.add_argument("--trial-days", type=float, help="until its trial ends, below 0: it is over (paid for)")
    parser.add_argument("--concurrency", type=_bounded(int), help="simultaneous calls (the edition's)")
    parser.add_argument("--day-credits", type=_bounded(int), help="credits of a rolling day (unbounded)")
    parser.add_argument("--pipelines", action="store_true", help="deals have pipelines, and must name theirs")
    parser.add_argument("--more-users", type=_bounded(int), default=0, help="users besides three (%(default)s)")
    parser.add_argument(
        "--mandatory", action="append", default=[], metavar="FIELD", help="a field that a deal must have besides"
    )
    parser.add_argument(
        "--accepted-status", type=int, choices=(200, 202), default=200, help="of an accepted payload (%(default)s)"
    )
    parser.add_argument("--id-characters", type=_bounded(int), help="characters of ids in a read (unbounded)")
    parser.add_argument(
        "--special", action="append", default=[], metavar="KIND[=N]", help="the first leads, N of a kind (1 of it)"
    )
    parser.add_argument("--faults", type=Path, metavar="F.json", help="a fault script")
    parser.add_argument(
        "--credentials", nargs=3, metavar=("ID", "SECRET", "REFRESH_TOKEN"), help="the only ones to accept (any)"
    )
    return parser


def _bounded(kind: Callable[[str], float], most: float = 1e9) -> Callable[[str], Any]:
    def parse(text: str) -> float:
        value = kind(text)
        if not 0 <= value <= most:
            raise ValueError(text)
        return value

    parse.__name__ = f"number from 0 to {most:g}"  # which argparse names in its complaint
    return parse
