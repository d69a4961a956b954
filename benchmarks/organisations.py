"""A hundred organisations and a hundred million leads a day, in virtual time: ``python -m benchmarks.organisations``.

The leads of some minutes arrive at that day's rate, in small batches and large ones, at organisations of unequal size
that one fleet serves. The product's steps and scripts run on one real redis-server; time, threads, the broker and Zoho
are simulated (virtual_fleet.py, virtual_zoho.py). Then Redis is driven as fast as it goes, and the sweep over many idle
accounts is timed with real connections. Redis' part and the workers' are CPU time, so a busy machine changes little.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from random import Random
from statistics import median

from kombu import Connection

from benchmarks.ledger import Server, convert, ids, server
from benchmarks.stand import OPTIONS, Figure, clock, show
from benchmarks.virtual_fleet import Operation, Organisation, fewest_payloads
from massconvert.contract import QUEUE, QUEUE_CONVERT
from massconvert.ledger.fleet import NOTE_EVERY, WORKER, Member
from massconvert.nudge import Nudge
from massconvert.policy import Tuning
from massconvert.profiles import Accounts
from massconvert.settings import variables
from massconvert.store.scripts import source
from massconvert.wiring import Workshops
from tests.simulation.wire import SCRIPTS
from workers.notes import Notes

A_DAY = 86_400.0
#: Calls at once of the largest organisation, and of the others in turn (editions: docs/scaling.md).
LARGEST, OTHERS = 25, (20, 15, 10)
#: The share of the leads that come in batches of one to ten, and how many seconds' leads the largest batches hold.
SINGLES, LONGEST_BATCH = 0.05, 300.0
#: Deals' names: an organisation has two sets of options in use.
DEALS = ("Renewal", "Web")
CREDENTIALS = ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN")
FEW = 2000


def crowd(organisations: int) -> dict[str, tuple[int, float]]:
    """So many accounts: calls at once and share of all leads of each, sized as 1, 1/2, 1/3, … (Zipf)."""
    total = sum(1 / place for place in range(1, organisations + 1))
    return {
        f"org-{place:04d}": (OTHERS[place % len(OTHERS)] if place > 1 else LARGEST, 1 / place / total)
        for place in range(1, organisations + 1)
    }


def arrive(operation: Operation, a_second: float, seconds: float) -> None:
    """Have each organisation's part of so many leads a second arrive, in batches of all sizes at any time."""
    chance = Random("arrivals")
    for each in operation.organisations.values():
        leads = round(each.weight * a_second * seconds)
        longest = max(200.0, each.weight * a_second * LONGEST_BATCH)
        for part, single in ((round(leads * SINGLES), True), (leads - round(leads * SINGLES), False)):
            left = part
            while left > 0:
                few = 1 if chance.random() < 0.6 else chance.randint(2, 10)
                many = int(math.exp(chance.uniform(math.log(100.0), math.log(longest))))
                size = min(left, few if single else many)
                operation.enqueue(chance.uniform(0.0, seconds), each.name, size, chance.choice(DEALS))
                left -= size


@dataclass(frozen=True)
class Used:
    """What Redis did in a run: CPU seconds, scripts, all commands with those of scripts, memory, the longest script."""

    cpu: float
    scripts: int
    commands: int
    memory: int
    longest: str


class Meter:
    """Reads what a Redis does from now on."""

    def __init__(self, here: Server) -> None:
        self._here = here
        here.redis.config_resetstat()
        here.redis.config_set("slowlog-log-slower-than", 1000)  # microseconds
        here.redis.config_set("slowlog-max-len", 1000)
        here.redis.slowlog_reset()
        self._cpu, self._memory = here.cpu(), here.used()

    def read(self) -> Used:
        """What it did until now."""
        here = self._here
        cpu = here.cpu() - self._cpu
        scripts = int(here.redis.info("commandstats")["cmdstat_evalsha"]["calls"])
        commands = int(here.redis.info("stats")["total_commands_processed"])
        slow = max(here.redis.slowlog_get(1000), key=lambda entry: entry["duration"], default=None)
        longest = f"{slow['duration'] / 1000:.1f} ms, {_named(slow['command'])}" if slow else "< 1 ms"
        return Used(cpu, scripts, commands, here.used() - self._memory, longest)


def warm_up(here: Server) -> None:
    """Have the scripts there, and what Redis makes once."""
    here.producer.enqueue(ids(1, first=10**9), OPTIONS)
    convert(here.ledger(), 1)


def wrong_outcomes(operation: Operation) -> int:
    """How many leads have not the outcome that Zoho says, of all; each must be in one batch once."""
    wrong = 0
    for each in operation.organisations.values():
        batches, seen = operation.ledger(each.name).batches, set[str]()
        for row in (row for batch in each.batches for row in batches.rows(batch)):
            wrong += row.lead_id in seen or not each.zoho.agrees(row.lead_id, row.outcome)
            seen.add(row.lead_id)
        wrong += len(each.entered) - len(seen)
    return wrong


def the_day(limits: Mapping[str, tuple[int, float]], arguments: argparse.Namespace) -> list[Figure]:
    """Play some minutes of it."""
    a_second, seconds = arguments.leads / A_DAY, 60.0 * arguments.minutes
    with server("--appendonly", "yes") as here:
        warm_up(here)
        operation = Operation(here.redis, limits, arguments.workers, arguments.slots)
        arrive(operation, a_second, seconds)
        everybody = list(operation.organisations.values())
        halves, meter = list[tuple[Made, float]](), Meter(here)
        operation.day.at(seconds / 2, lambda: halves.append((Made.by(everybody), meter.read().cpu)))
        operation.run()
        used = meter.read()
        leads = sum(len(each.entered) for each in everybody)
        wrong = wrong_outcomes(operation)
    (half, cpu), whole = halves[0], Made.by(everybody)
    grown = (used.cpu - cpu) / (whole.posts - half.posts) * half.posts / cpu
    return [
        Figure("leads, batches", f"{leads:,}, {sum(len(each.batches) for each in everybody):,}"),
        Figure("leads without Zoho's outcome, submitted twice", *_none(wrong + sum(e.zoho.twice for e in everybody))),
        *calls(everybody, half, whole),
        *behind(everybody),
        *threads(operation, leads, seconds),
        Figure("Redis CPU a lead", f"{1e6 * used.cpu / leads:.1f} µs"),
        Figure("a payload in the second half ÷ in the first", f"{grown:.2f}"),
        Figure(
            "Redis, share of one core at this rate", f"{used.cpu / seconds:.1%}", "≤ 25 %", used.cpu / seconds < 0.25
        ),
        Figure("scripts, commands a second", f"{used.scripts / seconds:,.0f}, {used.commands / seconds:,.0f}"),
        Figure("longest script, in real time", used.longest),
        Figure("Redis bytes a lead when all have ended", f"{used.memory / leads:.0f}"),
    ]


@dataclass(frozen=True)
class Made:
    """Calls so far: POSTs, those that were refused for a lead, jobs, those that left a lead out, looks at jobs."""

    posts: int
    refused: int
    jobs: int
    short: int
    looks: int

    @classmethod
    def by(cls, everybody: Iterable[Organisation]) -> Made:
        """All calls of these organisations."""
        every = [each.zoho for each in everybody]
        return cls(
            posts=sum(zoho.calls["post"] for zoho in every),
            refused=sum(zoho.refused for zoho in every),
            jobs=sum(len(zoho.jobs) for zoho in every),
            short=sum(zoho.short for zoho in every),
            looks=sum(zoho.calls["look"] for zoho in every),
        )


def calls(everybody: list[Organisation], half: Made, whole: Made) -> list[Figure]:
    """Limits kept, and calls made."""
    over = sum(each.zoho.most > each.zoho.limit for each in everybody)
    throttled = sum(each.zoho.throttled for each in everybody)
    fewest = sum(fewest_payloads(a, Tuning().linger) for each in everybody for a in each.arrivals.values())
    # A payload that is refused for a lead, or whose job left one out, makes another.
    posts = whole.posts / (fewest + whole.refused + whole.short)
    looks = half.looks / half.jobs, (whole.looks - half.looks) / (whole.jobs - half.jobs)
    return [
        Figure("organisations over their limit, 429s", f"{over}, {throttled}", "0, 0", not over + throttled),
        Figure("POSTs ÷ fewest, of which none keeps a lead for over 2 s", f"{posts:.3f}", "≤ 1.05", posts <= 1.05),
        Figure("looks a job: first half (learning), second half", f"{looks[0]:.2f}, {looks[1]:.2f}"),
    ]


def behind(everybody: list[Organisation]) -> list[Figure]:
    """From enqueue to outcome, in the largest organisation and the others: batches of at most ten leads, and bulk."""
    largest = max(everybody, key=lambda each: each.weight)
    others = [each for each in everybody if each is not largest]
    return [
        Figure(f"seconds to the outcome, {what}, {who}: median, 99 %", _spread(each.took[bulk] for each in group))
        for bulk, what in ((False, "single leads"), (True, "bulk"))
        for who, group in (("largest", [largest]), ("others", others))
    ]


def threads(operation: Operation, leads: int, seconds: float) -> list[Figure]:
    """What the workers did."""
    tasks, day = operation.tasks, operation.day
    done = sum(tasks[task] for task in ("chunk", "convert", "status", "crowded"))
    return [
        Figure(
            "threads busy at most, of", f"{operation.most_busy} of {sum(w.threads.total for w in operation.workers)}"
        ),
        Figure("messages: wait for a thread, 99 %", f"{_quantile(sorted(operation.queued), 0.99):.2f} s"),
        Figure("messages a second, for each 50 leads", f"{done / seconds:,.0f}, {50 * done / leads:.1f}"),
        Figure("Redis as their broker, share of a core", f"{message() * done / seconds:.1%}"),
        Figure("of them sent back: the account has its threads", f"{tasks['crowded'] / done:.1%}"),
        Figure("found by the sweep, not by a message", f"{tasks['overdue']}"),
        Figure("a sweep of all accounts, busy, real", f"{day.real['sweep'] / max(1, tasks['sweep']):.3f} s"),
        Figure("Python CPU a lead: steps", f"{1e6 * day.cpu['work'] / leads:.0f} µs"),
        Figure("Python CPU a lead: producers", f"{1e6 * day.cpu['enqueue'] / leads:.0f} µs"),
        Figure("steps, cores at this rate", f"{day.cpu['work'] / seconds:.2f}"),
    ]


def at_most(limits: Mapping[str, tuple[int, float]], arguments: argparse.Namespace) -> list[Figure]:
    """Drive Redis as fast as it goes: all leads are there at once, in bulk."""
    with server("--appendonly", "yes") as here:
        warm_up(here)
        operation = Operation(here.redis, limits, arguments.workers, arguments.slots)
        for each in operation.organisations:
            operation.enqueue(0.0, each, arguments.at_once // len(limits), DEALS[0])
        meter, began = Meter(here), clock()
        operation.run()
        used, seconds = meter.read(), clock() - began
        leads = sum(len(each.entered) for each in operation.organisations.values())
    full = leads / used.cpu
    return [
        Figure(f"{leads:,} leads at once: Redis CPU a lead", f"{1e6 * used.cpu / leads:.1f} µs"),
        Figure("driven by one process", f"{leads / seconds:,.0f} leads/s"),
        Figure("one core of Redis, extrapolated", f"{full:,.0f} leads/s, {full * A_DAY / 1e6:,.0f} M a day"),
    ]


def small_batches() -> Figure:
    """What a batch of one lead leaves in Redis."""
    with server() as here:
        warm_up(here)
        here.redis.delete(QUEUE)
        before = here.used()
        for number in range(FEW):
            here.producer.enqueue(ids(1, first=number), OPTIONS)
        convert(here.ledger(), FEW)
        here.redis.delete(QUEUE)
        return Figure("Redis bytes, a finished batch of one lead", f"{(here.used() - before) / FEW:.0f}")


def message() -> float:
    """CPU seconds that Redis takes for a message, as Celery's broker: sent, taken, acknowledged."""
    with server("--appendonly", "yes") as here:
        url = f"redis+socket://{here.url.removeprefix('unix://').partition('?')[0]}"
        nudge = Nudge(url, account=DEALS[0])
        with Connection(url) as broker, closing(broker.SimpleQueue(QUEUE_CONVERT)) as queue:
            before = here.cpu()
            for number in range(FEW):
                nudge.convert(str(number))
                queue.get_nowait().ack()
            return (here.cpu() - before) / FEW


def idle(accounts: int, workers: int) -> list[Figure]:
    """What so many accounts cost that have nothing to do: a worker's own fleet, with real connections."""
    with server("--appendonly", "yes") as here, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "massconvert.toml"
        names = [f"idle-{number}" for number in range(accounts)]
        path.write_text("".join(f"[accounts.{name}]\nconcurrency = 10\n" for name in names), encoding="utf-8")
        environ = {**dict.fromkeys(variables(), ""), "REDIS_URL": here.url, "MASSCONVERT_CONFIG": str(path)}
        environ |= {f"{what}__{name.upper().replace('-', '_')}": "x" for name in names for what in CREDENTIALS}
        known = Accounts(environ, dotenv=None)
        fleet, notes = Workshops(known), Notes(known)
        began = clock()
        fleet.sweep()
        first, took, cpu = clock() - began, list[float](), list[float]()
        for _ in range(3):
            here.redis.delete(*here.redis.keys("*}:sweep"))  # its right is taken for 12 s
            before, began = here.cpu(), clock()
            fleet.sweep()
            took.append(clock() - began)
            cpu.append(here.cpu() - before)
        before = here.cpu()
        notes.note(lambda now: Member(WORKER, "w", now))
        notes.note(lambda now: Member(WORKER, "w", now))
        noted = (here.cpu() - before) / 2
        connections = int(here.redis.info("clients")["connected_clients"]) - 1
    interval = Tuning().sweep_grace
    share = median(cpu) / interval + workers * noted / NOTE_EVERY
    return [
        Figure(
            f"{accounts:,} idle accounts: a sweep", f"{median(took):.2f} s", f"≤ {interval:g} s", max(took) <= interval
        ),
        Figure("the first one, which connects", f"{first:.2f} s"),
        Figure("Redis' share of a core, sweeps and notes", f"{share:.1%}"),
        Figure("connections of one worker's fleet", f"{connections}"),
    ]


def _named(command: bytes) -> str:
    """The script that a line of the slow log is about."""
    said = command.decode().split()
    return next((name for name in SCRIPTS if sha1(source(name).encode()).hexdigest() in said[:2]), said[0])


def _none(wrong: int) -> tuple[str, str, bool]:
    return f"{wrong}", "0", not wrong


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _spread(parts: Iterable[Iterable[float]]) -> str:
    ordered = sorted(second for part in parts for second in part)
    return f"{_quantile(ordered, 0.5):.1f}, {_quantile(ordered, 0.99):.1f}" if ordered else "-"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--organisations", type=int, default=100)
    parser.add_argument("--leads", type=int, default=100_000_000, help="leads a day, of all organisations")
    parser.add_argument("--minutes", type=float, default=6.0, help="how much of the day is played")
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--slots", type=int, default=20, help="threads a worker")
    parser.add_argument("--at-once", type=int, default=150_000, help="leads that Redis is driven with")
    parser.add_argument("--idle", type=int, default=1000, help="idle accounts")
    arguments = parser.parse_args()
    began, limits = clock(), crowd(arguments.organisations)
    title = f"{arguments.organisations} organisations, {arguments.leads / 1e6:,.0f} M leads a day"
    show(
        f"{title}: {arguments.minutes:g} min of it, {arguments.workers} workers x {arguments.slots}",
        [
            *the_day(limits, arguments),
            *at_most(limits, arguments),
            small_batches(),
            *idle(arguments.organisations, arguments.workers),
            *idle(arguments.idle, arguments.workers),
        ],
    )
    print(f"measured in {clock() - began:.0f} s")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[1])]
    main()
