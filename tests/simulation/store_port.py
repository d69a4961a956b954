"""The ledger's port: the product's scripts and commands on a real redis-server, with a stop around each.

The product is handed a `StorePort` where it expects redis-py's client. It speaks to the server over one unix socket
with the few lines of `Wire`, since redis-py's own bookkeeping would take more time than all the rest; the server, the
scripts and everything above the client are the real ones. Redis does one command at a time, so one socket serves all
processes of a history.

A command may fail as Redis fails: the connection breaks before the script ran, or after it ran and before the answer
came back. The product sees the same `redis.ConnectionError` in both cases, and must not care which it was.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from types import SimpleNamespace
from typing import Any, Protocol, cast

import redis
from redis._parsers.base import BaseParser

from massconvert.store import scripts
from tests.simulation.world import World

#: Every script of the product, by name.
SCRIPTS = tuple(
    sorted(
        entry.name.removesuffix(".lua")
        for entry in (files("massconvert.store") / "lua").iterdir()
        if entry.name.endswith(".lua") and not entry.name.startswith("_")
    )
)


class Wire:
    """Redis' protocol over a unix socket: one command, one answer."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._answers = self._socket.makefile("rb")
        self._loaded: dict[str, str] = {}

    def close(self) -> None:
        """Close the connection."""
        self._answers.close()
        self._socket.close()

    def call(self, *words: Any) -> Any:
        """Send one command and return its answer, decoded. Raises redis.ResponseError."""
        self._socket.sendall(_packed(words))
        return self._read()

    def call_both(self, first: Sequence[Any], second: Sequence[Any]) -> tuple[Any, Any]:
        """Send two commands in one round trip. Raises redis.ResponseError when the first one fails."""
        self._socket.sendall(_packed(first) + _packed(second))
        try:
            answer = self._read()
        except redis.ResponseError:
            self._read()
            raise
        return answer, self._read()

    def script(self, text: str) -> str:
        """Load a script once; return its name on the server."""
        if text not in self._loaded:
            self._loaded[text] = self.call("SCRIPT", "LOAD", text)
        return self._loaded[text]

    def forget(self, pattern: str) -> None:
        """Delete every key that matches."""
        keys = self.call("KEYS", pattern)
        for place in range(0, len(keys), 1000):
            self.call("DEL", *keys[place : place + 1000])

    def _read(self) -> Any:
        line = self._answers.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self._answers.read(length + 2)[:-2].decode()
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return None if rest == b"-1" else [self._read() for _ in range(int(rest))]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise redis.ResponseError(rest.decode())
        raise ConnectionError("redis-server closed the connection")


def _packed(words: Sequence[Any]) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = (word if isinstance(word, str) else str(word)).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


@dataclass(frozen=True)
class StoreFaults:
    """How often Redis fails at a command, and times (start, seconds) in which it does not answer at all, or is full.

    ``refused`` is how often it says that it does nothing for now, which is said before the effect.
    """

    before: float = 0.0
    after: float = 0.0
    away: tuple[float, float] | None = None
    full: tuple[float, float] | None = None
    refused: float = 0.0
    forgets: tuple[float, ...] = ()  # times at which it loses what it acknowledged last
    replicas: int = 0
    too_few: float = 0.0  # how often a replica does not have in time what a WAIT is about


#: What Redis says when it does nothing for now: in a failover, with a full disk, in a cluster; or nobody knows why.
#: Not that it is full: then it refuses only what takes memory (`StoreFaults.full`).
REFUSALS = (
    "NOREPLICAS Not enough good replicas to write.",
    "READONLY You can't write against a read only replica.",
    "MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script.",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOPERM this user has no permissions to run the 'evalsha' command",
    "ERR max number of clients reached",
    "FROZEN by an update",
)
#: Redis 6.2 puts what a script was refused for into words of its own.
_IN_A_SCRIPT = "ERR Error running script (call to f_bd6f): @user_script:3: @user_script: 3: -"


class Memory(Protocol):
    """Knows what made the ledger what it is (`forgetting.Memory`)."""

    def note(self, words: Sequence[Any]) -> None:
        """A command has been carried out."""
        ...

    def is_sure(self) -> None:
        """Enough replicas have all that has been written so far."""
        ...


class Audit(Protocol):
    """Looks at the ledger after what was written; it travels with the script, since a round trip is what costs time."""

    @property
    def words(self) -> tuple[Any, ...]:
        """The command that looks."""
        ...

    def read(self, name: str, found: Any) -> None:
        """What the look after script ``name`` found."""
        ...

    def took_effect(self, name: str, args: Sequence[Any], answer: Any) -> None:
        """A script or command has run, with these arguments (a script's without its prefix)."""
        ...


#: Scripts that write the ledger nearly each time, and those whose answer begins with what they made, if anything.
_WRITERS = frozenset(
    {
        "add_leads",
        "begin_send",
        "cancel_batch",
        "hold_batch",
        "move_chunk",
        "open_batch",
        "refuse_ids",
        "pause_organisation",
        "release_batch",
        "resume_organisation",
        "seal_batch",
        "end_callback",
        "take_callback",
    }
)
_MAKERS = frozenset({"drain_inbox", "form_chunks"})
#: Commands that may change something.
_CHANGES = frozenset({"EVALSHA", "HDEL", "SET", "DEL"})


#: How a script asks Redis for the time (store/lua/_time.lua), and how it finds the world's instead: as its last key,
#: when it runs and not when it was called.
_ASKS, _IS_TOLD = "redis.call('TIME')", "{ KEYS[#KEYS], 0 }"
#: Likewise for what Redis says of its history and its replicas (store/lua/_history.lua).
_LOOKS, _IS_SHOWN = "redis.pcall('INFO', 'replication')", "KEYS[#KEYS - 1]"


class StorePort:
    """What the product takes for a Redis client."""

    #: Where the product looks for a name to put into its errors.
    connection_pool = SimpleNamespace(
        connection_class=redis.Connection,
        connection_kwargs={"path": "the simulated Redis"},
        disconnect=lambda inuse_connections: None,
    )

    def __init__(self, wire: Wire, world: World, faults: StoreFaults, audit: Audit, memory: Memory) -> None:
        self._wire = wire
        self._world = world
        self._faults = faults
        self._chance = world.chance("store")
        self._refusals = world.chance("refusals")
        self._audit = audit
        world.replicas = faults.replicas
        self.memory = memory
        self._names = {scripts.source(name): name for name in SCRIPTS}
        self.commands = 0
        self.governed: Counter[str] = Counter()  # what the governor has learnt, held, let go

    def register_script(self, text: str) -> Callable[..., Any]:
        """As redis-py's: what it returns runs the script. Where that asks Redis for the time, it finds the world's."""
        name, sha = self._names[text], self._wire.script(text.replace(_ASKS, _IS_TOLD).replace(_LOOKS, _IS_SHOWN))
        says, time = self._world.redis_says, self._world.redis_time

        def run(keys: Sequence[str], args: Sequence[Any], client: object = None) -> Any:
            return self._perform(name, "EVALSHA", sha, len(keys) + 2, *keys, says, time, *args)

        return run

    def _perform(self, name: str, *words: Any) -> Any:
        world = self._world
        if world.current() is None:
            return self._wire.call(*(word() if callable(word) else word for word in words))
        self.commands += 1
        world.stop(f"before {name}")
        self._fail(name, self._faults.before, "before")
        self._refuse(name, script=words[0] == "EVALSHA")
        answer = self._effect(name, [word() if callable(word) else word for word in words])
        self._fail(name, self._faults.after, "after")
        world.stop(f"after {name}")
        return answer

    def _effect(self, name: str, words: list[Any]) -> Any:
        if name == "TIME":
            now = self._world.redis_time()
            return int(now), int(now % 1.0 * 1e6)
        full = self._faults.full
        if full and full[0] <= self._world.elapsed < full[0] + full[1]:
            answer = self._on_a_full_one(name, words)
        elif name in _WRITERS:
            answer, found = self._wire.call_both(words, self._audit.words)
            self._audit.read(name, found)
        else:
            answer = self._wire.call(*words)
            self._look_after(name, answer, _MAKERS)
        if words[0] in _CHANGES:
            self.memory.note(words)
        self._audit.took_effect(name, words[3 + words[2] :] if words[0] == "EVALSHA" else words[1:], answer)
        if name == "return_permit":
            self.governed.update(answer[2:])
        if name == "take_permit":
            self.governed.update(f"probe: {kind}" for kind in answer[8:9] if kind)
            task = self._world.current()
            assert task is not None
            task.permitted = self._world.time  # from then on its lease counts
        return answer

    def _on_a_full_one(self, name: str, words: list[Any]) -> Any:
        """Redis has no memory left for this one command; the look has."""
        self._wire.call("CONFIG", "SET", "maxmemory", 1)
        try:
            answer = self._wire.call(*words)
        finally:
            self._wire.call("CONFIG", "SET", "maxmemory", 0)
        self._look_after(name, answer, _MAKERS)
        self._look_after(name, (1,), _WRITERS)
        return answer

    def _look_after(self, name: str, answer: Any, names: frozenset[str]) -> None:
        if name in names and answer[0]:
            self._audit.read(name, self._wire.call(*self._audit.words))

    def _fail(self, name: str, share: float, when: str) -> None:
        away = self._faults.away
        if when == "before" and away and away[0] <= self._world.elapsed < away[0] + away[1]:
            self._world.sleep(5.0)
            self._world.note(f"   Redis does not answer: {name}")
            raise redis.TimeoutError("timed out")
        if share and self._world.troubled and self._chance.random() < share:
            self._world.note(f"   Redis fails {when} {name}")
            raise redis.ConnectionError("connection reset")

    def _refuse(self, name: str, *, script: bool) -> None:
        chance, parse = self._refusals, cast("Any", BaseParser.parse_error)
        if self._faults.refused and self._world.troubled and chance.random() < self._faults.refused:
            said = chance.choice(REFUSALS)
            wrapped = script and not said.startswith(("ERR", "LOADING", "NOPERM", "FROZEN")) and chance.random() < 0.5
            self._world.note(f"   Redis refuses {name}: {said.split()[0]}")
            raise parse(f"{_IN_A_SCRIPT}{said}" if wrapped else said)

    def client(self) -> SimpleNamespace:
        """A connection of its own, as far as anybody can tell."""
        history = self._world.redis_history
        return SimpleNamespace(wait=lambda wanted, _milliseconds: self._wait(wanted, history), close=lambda: None)

    def _wait(self, wanted: int, history: int) -> int:
        world = self._world
        if world.current() is None:
            return wanted
        world.stop("before WAIT")
        self._fail("WAIT", self._faults.before, "before")
        if world.redis_history != history:  # who was asked is no primary any more
            raise redis.ConnectionError("connection reset")
        if world.troubled and self._faults.too_few and self._chance.random() < self._faults.too_few:
            world.note("   too few replicas have it")
            return wanted - 1
        self.memory.is_sure()
        self._fail("WAIT", self._faults.after, "after")
        world.stop("after WAIT")
        return wanted

    # --- the commands that the product uses, with redis-py's names and answers ---

    def hgetall(self, key: str) -> dict[str, str]:
        flat = self._perform("HGETALL", "HGETALL", key)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def hget(self, key: str, name: str) -> str | None:
        return self._perform("HGET", "HGET", key, name)  # type: ignore[no-any-return]  # Redis says so

    def hmget(self, key: str, *names: Any) -> list[str | None]:
        wanted = names[0] if isinstance(names[0], list) else names
        return list(self._perform("HMGET", "HMGET", key, *wanted))

    def hdel(self, key: str, *names: str) -> int:
        return int(self._perform("HDEL", "HDEL", key, *names))

    def mget(self, keys: Sequence[str]) -> list[str | None]:
        return list(self._perform("MGET", "MGET", *keys))

    def set(self, key: str, value: str, ex: int) -> bool:
        return bool(self._perform("SET", "SET", key, value, "EX", ex))

    def exists(self, key: str) -> int:
        return int(self._perform("EXISTS", "EXISTS", key))

    def delete(self, key: str) -> int:
        return int(self._perform("DEL", "DEL", key))

    def lrange(self, key: str, first: int, last: int) -> list[str]:
        return list(self._perform("LRANGE", "LRANGE", key, first, last))

    def smembers(self, key: str) -> frozenset[str]:
        return frozenset(self._perform("SMEMBERS", "SMEMBERS", key))

    def zrangebyscore(self, key: str, low: Any, high: Any, start: int, num: int) -> list[str]:
        return list(self._perform("ZRANGEBYSCORE", "ZRANGEBYSCORE", key, low, high, "LIMIT", start, num))

    def hscan(self, key: str, place: int, count: int) -> tuple[int, dict[str, str]]:
        place, flat = self._perform("HSCAN", "HSCAN", key, place, "COUNT", count)
        return int(place), dict(zip(flat[::2], flat[1::2], strict=True))

    def time(self) -> tuple[int, int]:
        seconds, micros = self._perform("TIME", "TIME")
        return int(seconds), int(micros)

    def hscan_iter(self, key: str, count: int) -> Iterator[tuple[str, str]]:
        yield from self.hgetall(key).items()

    def close(self) -> None:
        with suppress(OSError):
            self._wire.close()
