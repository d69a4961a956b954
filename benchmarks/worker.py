"""One worker over many tasks: its memory, its CPU a lead, and where that goes: ``python -m benchmarks.worker``.

Two tasks for each payload of 50 leads: its POST and the look at its job. Zoho answers at once here, so that the worker
computes all the time.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import psutil

from benchmarks.stand import LEADS_A_CALL, OPTIONS, ROOT, Figure, Limit, clock, show, zoho
from massconvert.embedded import Stack
from massconvert.model import BatchStatus
from massconvert.producer.mass_convert import MassConvert
from massconvert.settings import load_settings, variables

LIMIT = Limit(permits=20, latency=0.0, job_seconds=0.2)
MEGABYTE = 2**20
PROFILED = 2_000  # tasks


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=10_000)
    tasks: int = parser.parse_args().tasks
    figures = run(tasks, [sys.executable, "-m", "celery", "-A", "workers"])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "seen.json")
        run(min(tasks, PROFILED), [sys.executable, "-m", "benchmarks.profiled_worker", str(out)])
        seen = json.loads(out.read_text(encoding="utf-8"))
    total = sum(seen.values())
    shares = sorted(seen.items(), key=lambda item: -item[1])
    figures += [Figure(f"of its CPU, {name}", f"{part / total:.0%}") for name, part in shares if part > 0.02 * total]
    show(f"One worker of 20 threads, {tasks:,} tasks of {LEADS_A_CALL} leads", figures)


def run(tasks: int, command: list[str]) -> list[Figure]:
    """Have a worker that ``command`` starts do so many tasks."""
    leads = tasks // 2 * LEADS_A_CALL
    blank = dict.fromkeys(variables(), "")
    with zoho(LIMIT, leads) as crm:
        environment = {
            **blank,
            **crm.environment,
            "ZOHO_CONCURRENCY": str(LIMIT.permits),
            "MASSCONVERT_ACCOUNT": "bench",
        }
        with Stack(environ=environment, workers=0, beat=False, keep_data=False) as stack:
            stack.wait_ready()
            silent = subprocess.DEVNULL
            environment = {**os.environ, **stack.environment}
            worker = subprocess.Popen([*command, "worker"], cwd=ROOT, env=environment, stdout=silent, stderr=silent)
            try:
                return watch(psutil.Process(worker.pid), stack, crm.ask("leads"), leads)
            finally:
                worker.send_signal(signal.SIGTERM)
                worker.wait(60)


def watch(worker: psutil.Process, stack: Stack, lead_ids: list[str], leads: int) -> list[Figure]:
    """Enqueue, and note the worker's memory at each hundredth of the way."""
    producer = MassConvert(load_settings(stack.environment, dotenv=None))
    batch = producer.enqueue(lead_ids, OPTIONS, key="worker")
    began, memory = clock(), list[float]()
    before = worker.cpu_times()

    def look(status: BatchStatus) -> None:
        while len(memory) < 100 * status.ended // leads:
            memory.append(worker.memory_info().rss / MEGABYTE)

    batch.wait(on_progress=look)
    seconds, used = clock() - began, worker.cpu_times()
    cpu = used.user + used.system - before.user - before.system
    early, middle, late = memory[10:20], memory[50:60], memory[-10:]
    growth = median(late) - median(middle)
    return [
        Figure(
            "memory after a tenth, a half, all", " / ".join(f"{median(part):.1f} MB" for part in (early, middle, late))
        ),
        Figure("growth over the second half", f"{growth:+.2f} MB", "≤ 2 MB", growth <= 2),
        Figure("tasks a second", f"{leads / LEADS_A_CALL * 2 / seconds:.0f}"),
        Figure("worker CPU a lead", f"{1000 * cpu / leads:.2f} ms"),
    ]


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main()
