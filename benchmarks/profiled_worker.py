"""A worker that says where its CPU time goes: ``python -m benchmarks.profiled_worker OUT worker …``.

Every thread has a profiler whose clock is the thread's own CPU time, so that waiting for Zoho, for Redis or for another
thread counts for nothing. At its end OUT has the seconds of each library as JSON; what the standard library does is
counted for whoever called it. A profiled worker is several times slower than another.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

_ROOT = str(Path(__file__).resolve().parents[1])
_profilers: list[cProfile.Profile] = []


def begin(*_: Any) -> None:
    """Profile the thread that calls this; it replaces the hook that called it."""
    profiler = cProfile.Profile(time.thread_time)
    _profilers.append(profiler)
    profiler.enable()


def library_of(path: str) -> str:
    """Whose code a file is; blank for the standard library and for what is written in C."""
    if path.startswith(_ROOT) and "site-packages" not in path:
        return ".".join(Path(path).relative_to(_ROOT).with_suffix("").parts[:2])
    _, _, inside = path.partition("site-packages/")
    return inside.split("/")[0].removesuffix(".py")


def seconds(profilers: list[cProfile.Profile]) -> Counter[str]:
    """CPU seconds by library."""
    found = Counter[str]()
    for profiler in profilers:
        profiler.create_stats()
        for (path, _, function), (_, _, own, _, callers) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]  # it has no other name
            if "'acquire' of '_thread" in function:  # a wait, whatever the clock says
                continue
            library = library_of(path)
            shares = {library: own} if library else {}
            if not library:
                for (caller, _, _), (_, _, share, _) in callers.items():
                    name = library_of(caller) or "the standard library"
                    shares[name] = shares.get(name, 0.0) + share
            found.update(shares)
    return found


def main(out: str, *arguments: str) -> None:
    """Run the worker, then write what was seen."""
    from workers.celery import app  # noqa: PLC0415 - it reads the settings

    threading.setprofile(begin)
    begin()
    try:
        app.worker_main(list(arguments))
    finally:
        threading.setprofile(None)
        Path(out).write_text(json.dumps(seconds(_profilers)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
