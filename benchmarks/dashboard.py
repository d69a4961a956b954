"""How quick the page is with a batch of a million leads, and what ten viewers cost: ``python benchmarks/dashboard.py``.

A redis-server of our own, the page served by uvicorn in this process, asked over HTTP. A first page is one whose every
read is made for it. Each of ten viewers has a page of their own open, which asks every two seconds, as a browser does.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from statistics import median
from typing import Any

import uvicorn

from benchmarks.ledger import FINGERPRINT, Server, convert, ids, server
from benchmarks.stand import OPTIONS, Figure, show
from massconvert.dashboard import app
from massconvert.ledger import Ledger
from massconvert.model import Accepted, Chunk, State
from massconvert.policy import Moment, Tuning, after_post
from massconvert.settings import Settings

MOST_MS, MOST_BYTES, MOST_COMMANDS = 50.0, 60_000, 50.0
_SLICE = 2000
_EVERY = 2.0  # seconds
_JOBS = 200  # that run at Zoho: MASSCONVERT_MAX_JOBS
_pause = threading.Event().wait


def fill(ledger: Ledger, leads: int, converted: int, others: int) -> None:
    """A batch of so many leads, some of which have ended, with failures; and other batches."""
    ledger.batches.open("big", FINGERPRINT, OPTIONS, leads=leads)
    for place in range(0, leads, _SLICE):
        ledger.batches.add("big", f"big:{place}", ids(min(_SLICE, leads - place), place))
    ledger.batches.refuse_ids("big", {f"x{place}": "is not a string of digits" for place in range(500)})
    ledger.batches.seal("big", flush=True)
    convert(ledger, converted)
    for place in range(others):
        name = f"import-{place}"
        ledger.batches.open(name, FINGERPRINT, OPTIONS, leads=100)
        ledger.batches.add(name, "a", ids(100, 10 * leads + 100 * place))
        ledger.batches.seal(name, flush=True)


def send(ledger: Ledger, payloads: int) -> None:
    """Have so many jobs run at Zoho: as many as may be open at once."""
    now, tuning, sent = time.time(), Tuning(), 0
    while sent < payloads:
        for chunk_id in ledger.chunks.form(now=now).chunk_ids:
            chunk = ledger.chunks.claim(chunk_id, [State.WAITING], token="a" * 32, now=now)
            assert isinstance(chunk, Chunk)
            sending = ledger.chunks.begin_send(chunk, now=now)
            assert sending is not None
            moment = Moment(now=now, chance=0.5, tuning=tuning)
            ledger.chunks.move(sending, after_post(sending, Accepted(f"8{chunk_id:0>18}"), moment), now=now)
            sent += 1
        now += 0.01


@contextmanager
def served(here: Server) -> Iterator[tuple[int, Any]]:
    """The page of that Redis: its port, and what it reads with."""
    pages = app(Settings(REDIS_URL=here.url, MASSCONVERT_ACCOUNT="bench"))
    running = uvicorn.Server(uvicorn.Config(pages, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=running.run)
    thread.start()
    while not running.started:
        _pause(0.05)
    try:
        yield running.servers[0].sockets[0].getsockname()[1], pages._pages.state.reads  # noqa: SLF001 - to forget
    finally:
        running.should_exit = True
        thread.join()


def ask(port: int, path: str, tag: str = "") -> tuple[int, bytes, str, float]:
    """Ask for a page; its status, its body, its tag, and the milliseconds that it took."""
    connection, began = HTTPConnection("127.0.0.1", port), time.perf_counter()
    connection.request("GET", path, headers={"If-None-Match": tag} if tag else {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, answer.headers.get("ETag", ""), (time.perf_counter() - began) * 1000


def watch(port: int, path: str, until: float) -> None:
    """Have a page open until then."""
    tag = ""
    while time.monotonic() < until:
        tag = ask(port, path, tag)[2]
        _pause(_EVERY)


def commands(here: Server, port: int, paths: list[str], seconds: float) -> float:
    """The commands a second that so many viewers cost."""
    for path in paths:
        ask(port, path)
    before, until = here.redis.info("stats")["total_commands_processed"], time.monotonic() + seconds
    viewers = [threading.Thread(target=watch, args=(port, path, until)) for path in paths]
    began = time.monotonic()
    for viewer in viewers:
        viewer.start()
        _pause(_EVERY / len(paths))
    for viewer in viewers:
        viewer.join()
    spent: float = here.redis.info("stats")["total_commands_processed"] - before - 1
    return spent / (time.monotonic() - began)


def main() -> int:
    """Measure, print, say whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="for so long ten viewers look")
    arguments = parser.parse_args()
    figures = []
    with server() as here:
        ledger = here.ledger()
        fill(ledger, arguments.leads, arguments.leads // 50, 40)
        send(ledger, _JOBS)
        with served(here) as (port, reads):
            for path in ("/", "/batches", "/batches/big"):
                ask(port, path)
                times, size = [], 0
                for _ in range(15):
                    reads.forget()
                    status, body, _, took = ask(port, path)
                    assert status == 200, body
                    times.append(took)
                    size = len(body)
                worst, name = max(times), f"{path} first page, of {arguments.leads:,} leads"
                value = f"{median(times):.0f} ms (at most {worst:.0f})"
                figures.append(Figure(name, value, f"≤ {MOST_MS:.0f} ms", median(times) <= MOST_MS))
                figures.append(Figure(f"{path} its size", f"{size:,} bytes", f"≤ {MOST_BYTES:,}", size <= MOST_BYTES))
            same = commands(here, port, ["/", "/batches", "/batches/big"] * 3 + ["/"], arguments.seconds)
            ten = [*(f"/batches/import-{number}" for number in range(8)), "/", "/batches"]
            each = commands(here, port, ten, arguments.seconds)
    for name, rate in (("ten viewers of three pages", same), ("ten viewers of ten pages", each)):
        goal = f"≤ {MOST_COMMANDS:.0f} a second"
        figures.append(Figure(name, f"{rate:.1f} commands a second", goal, rate <= MOST_COMMANDS))
    show("The dashboard", figures)
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
