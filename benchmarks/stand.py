"""What the benchmarks stand on: a simulated Zoho in a process of its own, real workers, a table of figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from rich.console import Console
from rich.table import Table

from massconvert.embedded import Stack
from massconvert.model import BatchStatus
from massconvert.producer.mass_convert import MassConvert
from massconvert.settings import load_settings, variables

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = {
    "Deals": {"Deal_Name": "Renewal", "Stage": "Needs Analysis", "Closing_Date": "+30d"},
    "assign_to": {"id": "3652397000000281001"},
}
LEADS_A_CALL = 50


@dataclass(frozen=True)
class Limit:
    """What an organisation allows and how it behaves: ``permits`` calls at once, seconds a call and a job."""

    permits: int = 10
    latency: float = 0.2
    job_seconds: float = 1.0

    def ideal(self, leads: int) -> float:
        """Seconds that these leads take at least: one POST and one status call a payload, all permits always used."""
        return 2 * -(-leads // LEADS_A_CALL) * self.latency / self.permits


class Zoho:
    """The simulator's process, from outside."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.url = environment["ZOHO_API_DOMAIN"]

    def ask(self, page: str, body: Any = None) -> Any:
        """One of the simulator's own pages; with ``body``, PUT it there."""
        data, method = (None, "GET") if body is None else (json.dumps(body).encode(), "PUT")
        with urlopen(Request(f"{self.url}/__simulator__/{page}", data=data, method=method), timeout=60) as answer:
            return json.loads(answer.read())

    def calls(self) -> dict[str, int]:
        """How often each call was made."""
        return dict(self.ask("calls"))

    def throttled(self) -> int:
        """How many calls were answered with 429."""
        return int(self.ask("load")["throttled"])


@contextmanager
def zoho(limit: Limit, leads: int, *arguments: str) -> Iterator[Zoho]:
    """Start a simulator that enforces ``limit``, with so many leads."""
    command = [sys.executable, "-m", "massconvert.simulator", "--leads", str(leads)]
    command += ["--concurrency", str(limit.permits), "--latency", str(limit.latency)]
    command += ["--job-seconds", str(limit.job_seconds), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        environment: dict[str, str] = {}
        assert process.stdout is not None
        for line in process.stdout:
            name, _, value = line.strip().partition("=")
            environment[name] = value
            if name == "ZOHO_API_DOMAIN":
                break
        yield Zoho(environment)
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Fleet:
    """Running workers, and the producer that feeds them."""

    stack: Stack
    producer: MassConvert

    def convert(self, lead_ids: Sequence[str], key: str, timeout: float = 600.0) -> BatchStatus:
        """Enqueue these leads and wait for their end."""
        return self.producer.enqueue(lead_ids, OPTIONS, key=key).wait(timeout)

    def cpu_seconds(self) -> float:
        """CPU seconds that the workers and Redis have used so far, children included."""
        import psutil  # noqa: PLC0415 - only the benchmarks need it

        processes = {
            process
            for pid in self.stack.pids.values()  # some of them are others' children
            for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
        }
        return sum(process.cpu_times().user + process.cpu_times().system for process in processes)


@contextmanager
def fleet(
    crm: Zoho, *, workers: int, slots: int = 20, permits: int | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[Fleet]:
    """Start a Redis and so many workers of ``slots`` threads each; ``permits`` None lets them ask for the edition."""
    blank = dict.fromkeys(variables(), "")
    environment = {**blank, **crm.environment, "MASSCONVERT_ACCOUNT": "bench", **(settings or {})}
    if permits is not None:
        environment["ZOHO_CONCURRENCY"] = str(permits)
    with Stack(environ=environment, workers=workers, concurrency=slots, beat=False, keep_data=False) as stack:
        stack.wait_ready()
        yield Fleet(stack, MassConvert(load_settings(stack.environment, dotenv=None)))


def took(status: BatchStatus) -> float:
    """Seconds from a batch's enqueueing to its last outcome, by the ledger's clock."""
    assert status.finished_at is not None
    return status.finished_at - status.created_at


@dataclass(frozen=True)
class Figure:
    """A line of a benchmark's table: what was measured, the figure, the goal (blank where there is none)."""

    name: str
    value: str
    goal: str = ""
    met: bool | None = None


def show(title: str, figures: Sequence[Figure]) -> None:
    """Print a table of figures with their goals."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("figure", overflow="fold")
    table.add_column("measured", justify="right")
    table.add_column("goal", justify="right")
    table.add_column("")
    for figure in figures:
        verdict = "" if figure.met is None else "met" if figure.met else "NOT MET"
        table.add_row(figure.name, figure.value, figure.goal, verdict)
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def run_rival(name: str, *arguments: str, python: str = sys.executable) -> dict[str, Any]:
    """Run a program of ``benchmarks/rivals`` and return the JSON it prints last."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [python, str(ROOT / "benchmarks" / "rivals" / f"{name}.py"), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def clock() -> float:
    """A monotonic clock in seconds."""
    return time.perf_counter()
