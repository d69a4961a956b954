"""What a lead costs in the ledger: bytes, ids a second, CPU, the longest script: ``python benchmarks/ledger.py``.

One redis-server of our own, the producer as apps use it, and the ledger's part of a worker's work (form, claim, write
ahead, record) with a Zoho that accepts and converts everything. Figures with a goal are compared with it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.stand import OPTIONS, Figure, clock, show
from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS
from massconvert.embedded import find_redis_server
from massconvert.leads import open_leads
from massconvert.ledger import Ledger
from massconvert.model import Accepted, Chunk, JobStatus, Progress, Refused, State
from massconvert.policy import Moment, Tuning, after_post, after_status
from massconvert.producer.batch import Batch
from massconvert.producer.mass_convert import MassConvert
from massconvert.settings import load_settings, variables
from massconvert.store import Keys, connect
from massconvert.store.scripts import source

#: What no script may take: others wait meanwhile.
LONGEST = 0.050
#: A rate is the best of so many tries; costs of a small and a large batch are compared in so many rounds.
TRIES, ROUNDS = 3, 10
FINGERPRINT = "f" * 16
BASE, STEP = 3_652_397_000_009_850_001, 1009


@dataclass(frozen=True)
class Server:
    """A redis-server of our own, with a client, and with a producer that has no worker to talk to."""

    url: str
    redis: Any
    producer: MassConvert

    def used(self) -> int:
        """Bytes that Redis uses."""
        return int(self.redis.info("memory")["used_memory"])

    def used_by_keys(self) -> int:
        """Of them those of all keys: `used` has the buffers of connections too, which come and go by tens of kB."""
        return sum(self.redis.memory_usage(key, samples=0) or 0 for key in self.redis.scan_iter(count=1000))

    def cpu(self) -> float:
        """CPU seconds that Redis has used."""
        info = self.redis.info("cpu")
        return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])

    def ledger(self, account: str = "bench") -> Ledger:
        """The ledger that the producer writes, with a worker's numbers."""
        return Ledger(self.redis, account, Tuning())


@contextmanager
def server(*arguments: str) -> Iterator[Server]:
    """Start one, empty, with these arguments besides; end it."""
    with tempfile.TemporaryDirectory(prefix="mc-bench-") as folder:
        socket = f"{folder}/redis.sock"
        command = [find_redis_server(os.environ), "--port", "0", "--unixsocket", socket, "--save", ""]
        command += ["--dir", folder, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            while "eady to accept" not in process.stdout.readline():
                assert process.poll() is None, "redis-server did not start"
            url = f"unix://{socket}?socket_timeout=60"  # a busy machine is measured, not refused
            redis = connect(url)
            blank = dict.fromkeys(variables(), "")
            settings = load_settings({**blank, "REDIS_URL": url, "MASSCONVERT_ACCOUNT": "bench"}, dotenv=None)
            yield Server(url, redis, MassConvert(settings))
        finally:
            process.terminate()
            process.wait()


def ids(leads: int, first: int = 0) -> list[str]:
    """So many lead ids, spaced as Zoho spaces them."""
    return [str(BASE + STEP * number) for number in range(first, first + leads)]


def convert(ledger: Ledger, leads: int) -> tuple[float, int]:
    """Take at least so many waiting leads to their end; return CPU seconds of this process, and how many it were."""
    now, tuning, done, began = time.time() + 10.0, Tuning(), 0, time.process_time()
    while done < leads:
        for chunk_id in ledger.chunks.form(now=now).chunk_ids:
            chunk = ledger.chunks.claim(chunk_id, [State.WAITING], token="a" * 32, now=now)
            assert isinstance(chunk, Chunk)
            sending = ledger.chunks.begin_send(chunk, now=now)
            assert sending is not None
            moment = Moment(now=now, chance=0.5, tuning=tuning)
            ledger.chunks.move(sending, after_post(sending, Accepted(f"9{chunk_id:0>18}"), moment), now=now)
            later = now + tuning.poll_cap
            running = ledger.chunks.claim(chunk_id, [State.RUNNING], token="b" * 32, now=later)
            assert isinstance(running, Chunk)
            size = len(running.leads)
            answer = JobStatus(Progress.COMPLETED, size, size, 0, 0)
            moment = Moment(now=later, chance=0.5, tuning=tuning)
            ledger.chunks.move(running, after_status(running, answer, moment), now=later)
            done += size
        now += 0.01
    return time.process_time() - began, done


def cost(here: Server, leads: int) -> tuple[float, int]:
    """CPU seconds a lead of the ledger's part of converting at least so many, and how many it were."""
    before = here.cpu()
    own, done = convert(here.ledger(), leads)
    return (own + here.cpu() - before) / done, done


@dataclass(frozen=True)
class Run:
    """What one batch cost from its enqueue to its end. CPU seconds, and bytes a lead."""

    cpu_a_lead: float
    ratio: float
    waiting: float
    finished: float
    read: float
    queued: int


def one_batch(leads: int, small: int) -> Run:
    """Enqueue a batch and convert it, and in between, on another server, small batches: machines are never quiet."""
    with server() as here, server() as there:
        for each in (here, there):  # scripts and connections are there now
            each.producer.enqueue(ids(1, first=10**9), OPTIONS)
            cost(each, 1)
        given, before = ids(leads), here.used()
        batch = here.producer.enqueue(given, OPTIONS, key="bulk")
        waiting = (here.used() - before) / leads
        queued = sum(int(here.redis.llen(queue)) for queue in (QUEUE, QUEUE_CONVERT, QUEUE_STATUS))
        large_cost, small_cost, done = list[float](), list[float](), 0
        for number in range(min(ROUNDS, leads // small // 2)):
            there.producer.enqueue(given[:small], OPTIONS, key=f"small-{number}")
            small_cost.append(cost(there, small)[0])
            spent, taken = cost(here, small)
            large_cost.append(spent)
            done += taken
        rest, _ = cost(here, leads - done)
        assert batch.progress().finished
        finished = (here.used() - before) / leads
        began = clock()
        assert sum(1 for _ in batch.outcomes()) == leads
        return Run(rest, median(large_cost) / median(small_cost), waiting, finished, clock() - began, queued)


def from_list(leads: int) -> tuple[float, float]:
    """Seconds to enqueue so many ids of a list, and CPU seconds of the producer and Redis an id."""
    given = ids(leads)
    with server() as here:
        here.producer.enqueue(ids(1, first=10**9), OPTIONS)
        began, cpu, own = clock(), here.cpu(), time.process_time()
        here.producer.enqueue(given, OPTIONS, key="bulk")
        return clock() - began, (time.process_time() - own + here.cpu() - cpu) / leads


def from_file(leads: int) -> float:
    """Seconds to enqueue a CSV file of so many leads, reading and checking included."""
    with server() as here, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leads.csv"
        with path.open("w", encoding="utf-8") as file:
            file.write("Record Id,Company,Email\n")
            file.writelines(f"zcrm_{lead},Company {lead[-5:]},someone@example.com\n" for lead in ids(leads))
        began = clock()
        with open_leads(path) as checked:
            batch: Batch = here.producer.enqueue(checked, OPTIONS, key="file")
        seconds = clock() - began
        assert batch.accepted == leads
        return seconds


def longest_script(leads: int) -> tuple[float, str]:
    """CPU seconds of the longest script, and its name, of those that might loop over a whole batch.

    CPU time and not the slow log's: on a busy machine that shows who else was running.
    """
    took: dict[str, float] = {}
    with server() as here:
        ledger, now = here.ledger(), time.time() + 10.0

        def timed(name: str, what: Callable[[], object]) -> None:
            before = here.cpu()
            what()
            took[name] = max(took.get(name, 0.0), here.cpu() - before)

        here.producer.enqueue(ids(100, first=10**9), OPTIONS, key="warm")
        convert(ledger, 100)
        here.producer.enqueue(ids(leads), OPTIONS, key="bulk")
        timed("form a whole window", lambda: ledger.chunks.form(now=now))
        timed("hold", lambda: ledger.batches.hold("bulk", "bench", now=now))
        timed("release", lambda: ledger.batches.release("bulk", now=now))
        timed("cancel", lambda: ledger.batches.cancel("bulk", now=now))
        left = True
        while left:
            before = here.cpu()
            left = ledger.chunks.drain(now=now)
            name = "drain a slice" if left else "drain the last slice, finish"
            took[name] = max(took.get(name, 0.0), here.cpu() - before)
        fingerprint = here.redis.hget(f"{Keys('bench').batch('bulk')}", "fp")
        timed("reopen", lambda: ledger.batches.open("bulk", fingerprint, {}, now=now, leads=leads))
        timed("seal, finish", lambda: ledger.batches.seal("bulk", now=now, flush=True))
        assert ledger.batches.status("bulk").cancelled == leads
    longest = max(took, key=lambda name: took[name])
    return took[longest], longest


def fill(here: Server, batches: int) -> None:
    """So many batches of one lead each, with the same options that Zoho has not taken yet, as producers make them.

    Their scripts are sent many at a time: what they cost one by one is measured elsewhere.
    """
    ledger, prefix, now = here.ledger(), Keys("bench").prefix, time.time()
    ledger.batches.open("first", FINGERPRINT, {}, now=now, leads=1)
    shas = {name: here.redis.script_load(source(name)) for name in ("open_batch", "add_leads", "seal_batch")}
    for first in range(0, batches, 5000):
        pipe = here.redis.pipeline(transaction=False)
        for lead in ids(min(5000, batches - first), first):
            name = f"b{lead}"
            opened = [name, FINGERPRINT, "{}", now, 1, "bulk", FINGERPRINT, 0, -1, "", 0, "", 0, ""]
            pipe.evalsha(shas["open_batch"], 1, prefix, *opened)
            pipe.evalsha(shas["add_leads"], 1, prefix, name, name, now, 2.0, 50, "[]", lead, "")
            pipe.evalsha(shas["seal_batch"], 1, prefix, name, now, 0, 1000, "")
        pipe.execute()


def many_batches(batches: int) -> dict[str, tuple[float, int]]:
    """Seconds of the longest script of each kind while so many batches wait, and how many were run; and of a status.

    By Redis' own slow log: its clock runs while a script does, and nothing else.
    """
    with server("--slowlog-log-slower-than", "-1") as here:
        ledger = here.ledger()
        fill(here, batches)
        now, took = time.time() + 10.0, dict[str, tuple[float, int]]()

        def longest(name: str, what: Callable[[], object]) -> None:
            here.redis.config_set("slowlog-log-slower-than", 0)
            here.redis.slowlog_reset()
            what()
            here.redis.config_set("slowlog-log-slower-than", -1)
            entries = [entry for entry in here.redis.slowlog_get(1000) if entry["command"].startswith(b"EVALSHA")]
            worst = max(entry["duration"] for entry in entries) / 1e6
            before = took.get(name, (0.0, 0))
            took[name] = (max(before[0], worst), before[1] + len(entries))

        last = f"b{ids(1, batches - 1)[0]}"
        longest("form", lambda: ledger.chunks.form(now=now))
        longest("hold", lambda: ledger.batches.hold(last, "bench", now=now))
        longest("release", lambda: ledger.batches.release(last, now=now))
        longest("cancel", lambda: ledger.batches.cancel(last, now=now))
        began = clock()
        ledger.batches.recent()
        ledger.batches.known()
        ledger.organisation.counts()
        took["status"] = (clock() - began, 1)
        (chunk_id,) = here.redis.smembers(Keys("bench").unsent)
        chunk = ledger.chunks.claim(chunk_id, [State.WAITING], token="a" * 32, now=now)
        assert isinstance(chunk, Chunk)
        sending = ledger.chunks.begin_send(chunk, now=now)
        assert sending is not None
        wrong = Refused(400, "MANDATORY_NOT_FOUND", "no", paths=("$.Deals.Stage",))
        decision = after_post(sending, wrong, Moment(now=now, chance=0.5, tuning=Tuning()))
        longest("a refusal of options", lambda: ledger.chunks.move(sending, decision, now=now))
        for _ in range(20):
            longest("drain some batches", lambda: ledger.chunks.drain(now=now))
        return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--batches", type=int, default=1_000_000, help="of one lead, 0: leave that part out")
    parser.add_argument("--only-batches", action="store_true", help="only what many batches cost")
    arguments = parser.parse_args()
    leads: int = arguments.leads
    if arguments.batches:
        _show_many_batches(arguments.batches)
    if arguments.only_batches:
        return
    lists = [from_list(leads) for _ in range(TRIES)]
    files = [from_file(leads) for _ in range(TRIES)]
    run = one_batch(leads, min(leads, 10_000))
    longest, name = longest_script(leads)
    show(
        f"The ledger: {leads:,} leads in one batch; rates are the best of {TRIES}",
        [
            Figure("bytes a lead, waiting", f"{run.waiting:.1f}", "≤ 64", run.waiting <= 64),
            Figure("bytes a lead, finished", f"{run.finished:.1f}", "≤ 24", run.finished <= 24),
            _rate("ids enqueued a second, from a list", leads / min(seconds for seconds, _ in lists)),
            _rate("ids enqueued a second, from a CSV file", leads / min(files)),
            Figure("CPU an id, producer and Redis", f"{1e6 * min(cpu for _, cpu in lists):.1f} µs"),
            Figure("CPU a lead, workers' ledger and Redis", f"{1e6 * run.cpu_a_lead:.1f} µs"),
            Figure("the same ÷ that of 10,000 leads", f"{run.ratio:.2f}", "≤ 1.1", run.ratio <= 1.1),
            Figure(f"longest script: {name}", f"{1000 * longest:.1f} ms", "≤ 50 ms", longest <= LONGEST),
            Figure("messages after the enqueue", f"{run.queued}", "≤ 10", run.queued <= 10),
            Figure("outcomes read a second", f"{leads / run.read:,.0f}"),
        ],
    )


def _show_many_batches(batches: int) -> None:
    took = many_batches(batches)
    status, _ = took.pop("status")
    figures = [
        Figure(f"longest script: {name}", f"{1000 * seconds:.2f} ms of {runs}", "≤ 5 ms", seconds <= 0.005)
        for name, (seconds, runs) in took.items()
    ]
    figures.append(Figure("a status", f"{1000 * status:.1f} ms", "≤ 50 ms", status <= 0.050))
    show(f"The ledger: {batches:,} batches of one lead that wait with the same options", figures)


def _rate(name: str, rate: float) -> Figure:
    return Figure(name, f"{rate:,.0f}", "≥ 150,000", rate >= 150_000)


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main()
