"""What a ledger costs that may fail over: ``python benchmarks/replicas.py``.

Three questions. How much is converted with a replica that everything is waited for, against none: both in turn, at an
organisation's limit. What it costs a script to look whether Redis' history has broken: CPU of Redis, against the same
script that does not look. And, in virtual time, how many calls it takes to look at what waited when the history broke.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from statistics import median
from time import time
from typing import Any
from unittest.mock import patch

from benchmarks import virtual_zoho
from benchmarks.ledger import FINGERPRINT, Server, ids, server
from benchmarks.stand import OPTIONS, Figure, Limit, clock, fleet, show, took, zoho
from benchmarks.virtual_fleet import Operation
from massconvert.embedded import find_redis_server
from massconvert.ledger import Ledger
from massconvert.model import Chunk, ReadAnswer, State
from massconvert.policy import Tuning
from massconvert.store import Keys, scripts
from tests.servers import await_true, free_port

#: Runs of each kind, in turn; figures are their medians.
RUNS, ROUNDS = 3, 15
#: Chunks a round.
CHUNKS = 300
#: An organisation's jobs are known after so many leads.
LESSONS = 1000
#: Seconds from the enqueue to the break of the history, and to a later enqueue.
BREAKS_AT, LATER = 10.0, 20.0
#: Nothing is looked at, and nothing is stamped.
_STUBS = """
local function history_of() return { id = 'none', since = 0, replicas = 0 } end
local function is_outdated() return false end
local function is_batch_outdated() return false end
local function is_chunk_outdated() return false end
local function stamp_chunk() end
"""


@contextmanager
def primary(replicas: int) -> Iterator[Server]:
    """A Redis with so many replicas, on loopback."""
    port, running = free_port(), list[subprocess.Popen[bytes]]()
    now = ("--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0")
    with server("--port", str(port), *now) as here, tempfile.TemporaryDirectory(prefix="mc-bench-") as folder:
        try:
            for number in range(replicas):
                command = [find_redis_server({}), "--port", "0", "--unixsocket", f"{folder}/{number}", "--save", ""]
                command += ["--dir", folder, "--replicaof", "127.0.0.1", str(port)]
                running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            await_true(lambda: _online(here) == replicas, 20.0, "the replicas")
            yield here
        finally:
            for process in running:
                process.terminate()
                process.wait()


def _online(here: Server) -> int:
    told = here.redis.info("replication")
    return sum(value.get("state") == "online" for name, value in told.items() if name.startswith("slave"))


# --- what is converted in a second --------------------------------------------------------------------------------


def converts(replicas: int, leads: int) -> float:
    """Leads a second that four workers convert, of an organisation whose jobs are known."""
    limit = Limit()
    with zoho(limit, leads + LESSONS) as crm, primary(replicas) as here:
        settings = {"REDIS_URL": here.url.partition("?")[0]}
        with fleet(crm, workers=4, permits=limit.permits, settings=settings) as running:
            given = crm.ask("leads")
            running.convert(given[:LESSONS], "lessons")
            rate = leads / took(running.convert(given[LESSONS:], "measured"))
    print(f"  {replicas} replicas: {rate:,.0f} leads/s", flush=True)
    return rate


def throughput(leads: int) -> list[Figure]:
    """With one replica, and without: in turn, and who is first takes turns, too."""
    rates: dict[int, list[float]] = {0: [], 1: []}
    for turn in range(RUNS):
        for replicas in (turn % 2, 1 - turn % 2):
            rates[replicas].append(converts(replicas, leads))
    without, with_one = median(rates[0]), median(rates[1])
    return [
        Figure(f"leads a second without a replica, median of {RUNS}", f"{without:,.0f}"),
        Figure("the same with one, and WAIT", f"{with_one:,.0f}"),
        Figure("with ÷ without", f"{with_one / without:.3f}", "≥ 0.98", with_one / without >= 0.98),
    ]


# --- what a script costs ------------------------------------------------------------------------------------------


@contextmanager
def without_stamps() -> Iterator[None]:
    """The scripts as they would be if nobody asked which history Redis writes."""
    original = scripts.source
    looks, asks_for_time = original("_history"), original("_time")
    with patch.object(scripts, "source", lambda name: original(name).replace(looks, asks_for_time + _STUBS)):
        yield


def formed(here: Server, account: str) -> tuple[Ledger, list[str]]:
    """A ledger with chunks that wait to be sent."""
    ledger = Ledger(here.redis, account, Tuning(window=CHUNKS, max_jobs=CHUNKS, at_once=False))
    ledger.batches.open("b", FINGERPRINT, OPTIONS, leads=50 * CHUNKS)
    here.redis.hset(Keys(account).options(FINGERPRINT), "accepted", 1)
    ledger.batches.add("b", "b:0", ids(50 * CHUNKS))
    chunks = list(ledger.chunks.form(now=time() + 10.0, most=CHUNKS).chunk_ids)
    assert len(chunks) == CHUNKS
    return ledger, chunks


def script_costs(here: Server, account: str) -> dict[str, float]:
    """Microseconds of Redis' CPU that a claim takes, and the mark before a payload; many at a time are sent."""
    _, chunks = formed(here, account)
    now = time() + 20.0
    return {
        "claim_chunk": _a_script(
            here,
            account,
            "claim_chunk",
            [[chunk, "a" * 32, now, 75.0, "waiting", 300.0, 60.0, 15.0] for chunk in chunks],
        ),
        "begin_send": _a_script(
            here, account, "begin_send", [[chunk, "a" * 32, now, 75.0, 2_592_000, 5.0] for chunk in chunks]
        ),
    }


def _in_turn(here: Server, turn: int) -> tuple[dict[str, float], dict[str, float]]:
    """What the scripts cost that look, and those that do not; who is first takes turns."""
    found = dict[bool, dict[str, float]]()
    for looks_too in (turn % 2 == 0, turn % 2 == 1):
        with nullcontext() if looks_too else without_stamps():
            found[looks_too] = script_costs(here, "bench")
        here.redis.flushall()
    return found[True], found[False]


def _a_script(here: Server, account: str, name: str, calls: Sequence[Sequence[Any]]) -> float:
    sha, prefix = here.redis.script_load(scripts.source(name)), Keys(account).prefix
    pipe = here.redis.pipeline(transaction=False)
    for arguments in calls:
        pipe.evalsha(sha, 2, prefix, f"{prefix}-", *arguments)
    before = here.cpu()
    answers = pipe.execute()
    spent = here.cpu() - before
    assert all(answer[0] in ("claimed", 1) for answer in answers), answers[0]
    return 1e6 * spent / len(calls)


def marks(here: Server, account: str) -> float:
    """Microseconds that the mark before a payload takes as a worker makes it, its replicas included: the median."""
    ledger, chunks = formed(here, account)
    now, waits = time() + 20.0, list[float]()
    for chunk_id in chunks:
        chunk = ledger.chunks.claim(chunk_id, [State.WAITING], token="a" * 32, now=now)
        assert isinstance(chunk, Chunk)
        began = clock()
        assert ledger.chunks.begin_send(chunk, now=now)
        waits.append(clock() - began)
    return 1e6 * median(waits)


def stamps() -> list[Figure]:
    """What looking for a break costs a script, without a replica and with one; and what waiting for that takes."""
    figures, waits = list[Figure](), dict[int, float]()
    for replicas in (0, 1):
        more: dict[str, list[float]] = {}
        costs: dict[str, list[float]] = {}
        with primary(replicas) as here:
            for turn in range(ROUNDS):
                looking, bare = _in_turn(here, turn)
                for name, cost in looking.items():
                    costs.setdefault(name, []).append(cost)
                    more.setdefault(name, []).append(cost - bare[name])
            waits[replicas] = marks(here, "marks")
        for name, paid in more.items():
            said = f"{median(costs[name]):.1f} µs, of which {median(paid):+.1f}"
            figures.append(Figure(f"{name}, {replicas} replicas", said, "≤ +10", median(paid) <= 10.0))
    said = f"{waits[0]:.0f} µs, {waits[1]:.0f} µs"
    return [*figures, Figure("a worker's mark before a payload: no replica, one that is waited for", said)]


# --- looks after a failover ---------------------------------------------------------------------------------------


def looks(waiting: int) -> list[Figure]:
    """Break the history while so many leads wait, and see which of them are read; others come later, undoubted."""
    reads, made, unaffected = list[int](), list[int](), list[int]()
    with server() as here, patch.object(virtual_zoho, "ODD", 1):
        operation = Operation(here.redis, {"one": (25, 1.0)}, 4, 20, MASSCONVERT_DOUBT_HOURS="0")
        one = operation.organisations["one"]
        affected, in_inbox = set[str](), set[str]()

        def break_history() -> None:
            here.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
            here.redis.execute_command("REPLICAOF", "NO", "ONE")
            known = {str(virtual_zoho.BASE + virtual_zoho.STEP * number) for number in range(len(one.entered))}
            affected.update(known - one.zoho.converted.keys())
            in_inbox.update(here.redis.lrange(Keys("one").batch_inbox(one.batches[0]), 0, -1))

        read_leads = one.zoho.read_leads

        def noted(leads: Sequence[str], *rest: Any) -> ReadAnswer:
            all_wait, none = in_inbox.issuperset(leads), affected.isdisjoint(leads)
            (unaffected if none else reads if all_wait else made).append(len(leads))
            return read_leads(leads, *rest)

        operation.enqueue(0.0, "one", waiting, "Renewal")
        operation.day.at(BREAKS_AT, break_history)
        operation.enqueue(LATER, "one", waiting // 10, "Renewal")
        with patch.object(one.zoho, "read_leads", noted):
            operation.run()
        assert not one.zoho.twice
    assert in_inbox, "nothing waited any more: let more leads wait"
    return _of_looks(len(affected), len(reads) / -(-len(in_inbox) // 100), len(reads) + len(made), len(unaffected))


def _of_looks(affected: int, ratio: float, calls: int, others: int) -> list[Figure]:
    return [
        Figure("leads that waited at the break, and may have been sent", f"{affected:,}"),
        Figure("   calls to look at those in inboxes, ÷ one for each hundred", f"{ratio:.3f}", "≤ 1", ratio <= 1.0),
        Figure("   with payloads of 50 that had been made, for each hundred", f"{100 * calls / affected:.3f}"),
        Figure("   calls to look at others", f"{others}", "0", not others),
    ]


def main() -> int:
    """Measure, print, say whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=10_000, help="of a run of workers; 0: leave that part out")
    parser.add_argument("--waiting", type=int, default=100_000, help="leads that wait at the failover, about")
    arguments = parser.parse_args()
    began = clock()
    figures = throughput(arguments.leads) if arguments.leads else []
    figures += stamps()
    figures += looks(arguments.waiting)
    show("A ledger that may fail over", figures)
    print(f"measured in {clock() - began:.0f} s")
    return 0 if all(figure.met is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
