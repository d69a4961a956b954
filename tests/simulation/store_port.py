"""The ledger's port: the product's scripts and commands on a real redis-server, with a stop around each.

The product is handed a `StorePort` where it expects redis-py's client. It speaks to the server by `Wire`; the server,
the scripts and everything above the client are the real ones. Redis does one command at a time, so one socket serves
all processes of a history.

A command may fail as Redis fails: the connection breaks before the script ran, or after it ran and before the answer
came back. The product sees the same `redis.ConnectionError` in both cases, and must not care which it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any, Protocol, cast

import redis
from redis._parsers.base import BaseParser

from massconvert.store import scripts
from tests.simulation.plan import StoreFaults
from tests.simulation.wire import SCRIPTS, Command, Wire
from tests.simulation.world import Process, Task, World

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


class OldPrimary(Protocol):
    """A primary that was replaced, and goes on for a while (`forgetting.OldPrimary`)."""

    def asked_by(self, process: Process) -> int:
        """The history of the Redis that a process is connected to."""
        ...

    def serves(self, history: int) -> bool:
        """Whether it is this one's, and goes on."""
        ...

    @property
    def replicas(self) -> int:
        """How many replicas are with it still."""
        ...


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
    def words(self) -> Command:
        """The command that looks."""
        ...

    def is_needed(self, name: str, args: Sequence[Any]) -> bool:
        """Whether to look after a script that writes, with these arguments (without its prefix)."""
        ...

    def read(self, name: str, found: Any) -> None:
        """What the look after script ``name`` found."""
        ...

    def took_effect(self, name: str, args: Sequence[Any], answer: Any) -> None:
        """A script or command has run, with these arguments (a script's without its prefix)."""
        ...

    def took_effect_beside(self, name: str, args: Sequence[Any], answer: Any) -> None:
        """Likewise, on a primary that was replaced."""
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


def _arguments(words: list[str]) -> list[str]:
    """Those of a command, or of a script without its prefix."""
    return words[3 + int(words[2]) :] if words[0] == "EVALSHA" else words[1:]


class Pipeline:
    """Some commands of a port, one after the other; others may come between those of a pipeline."""

    def __init__(self, port: StorePort) -> None:
        self._port = port
        self._commands: list[Callable[[], Any]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *words, **more: self._commands.append(partial(getattr(self._port, name), *words, **more))

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        return [self._answer(command, raise_on_error) for command in self._commands]

    def _answer(self, command: Callable[[], Any], raise_on_error: bool) -> Any:
        try:
            return command()
        except redis.ResponseError as error:
            if raise_on_error:
                raise
            return error


class OneConnection:
    """What the product takes for a client whose commands all use one connection."""

    def __init__(self, port: StorePort) -> None:
        self._port = port
        self.connection: int | None = port.connect()

    def wait(self, wanted: int, _milliseconds: int) -> int:
        assert self.connection is not None, "it has been given back"
        return self._port.wait(wanted, self.connection)

    def close(self) -> None:
        self.connection = None


class StorePort:
    """What the product takes for a Redis client."""

    def __init__(
        self, wire: Wire, world: World, faults: StoreFaults, audit: Audit, memory: Memory, old: OldPrimary
    ) -> None:
        #: Where the product looks for a name to put into its errors, and takes connections from.
        self.connection_pool = SimpleNamespace(
            connection_class=redis.Connection,
            connection_kwargs={"path": "the simulated Redis"},
            disconnect=lambda inuse_connections: None,
            get_connection=self.connect,
        )
        self._wire = wire
        self._old = old
        self._world = world
        self._faults = faults
        self._chance = world.chance("store")
        self._refusals = world.chance("refusals")
        self._audit = audit
        self.memory = memory
        self._names = {scripts.source(name): name for name in SCRIPTS}
        self.commands = 0
        self.governed: Counter[str] = Counter()  # what the governor has learnt, held, let go

    def register_script(self, text: str) -> Callable[..., Any]:
        """As redis-py's: what it returns runs the script. Where that asks Redis for the time, it finds the world's."""
        name, sha = self._names[text], self._wire.script(text.replace(_ASKS, _IS_TOLD).replace(_LOOKS, _IS_SHOWN))

        def run(keys: Sequence[str], args: Sequence[Any], client: OneConnection | None = None) -> Any:
            words = ["EVALSHA", sha, str(len(keys) + 2), *keys, "", "", *map(str, args)]
            return self._perform(name, words, told_at=len(keys) + 3, client=client)

        return run

    def _perform(self, name: str, words: list[str], *, told_at: int = 0, client: OneConnection | None = None) -> Any:
        world, task = self._world, self._world.current()
        if task is None:
            return self._wire.call(*self._told(words, told_at))
        self.commands += 1
        world.stop(f"before {name}")
        self._fail(name, self._faults.before, "before")
        self._refuse(name, script=words[0] == "EVALSHA")
        asked = client.connection or 0 if client else self._old.asked_by(task.process)
        task.beside = self._old.serves(asked)
        if task.beside:
            answer = self._effect_beside(name, self._told(words, told_at, asked), task)
        else:
            answer = self._effect(name, self._told(words, told_at))
        self._fail(name, self._faults.after, "after")
        world.stop(f"after {name}")
        return answer

    def _told(self, words: list[str], place: int, old: int = 0) -> list[str]:
        """The words of a script with what it asks Redis for, as it is when it runs; ``old``: an old one's history."""
        if not place:
            return words
        world = self._world
        says = world.redis_says(old or world.redis_history, self._old.replicas if old else self._faults.replicas)
        return [*words[:place], says, str(world.redis_time()), *words[place + 2 :]]

    def _effect_beside(self, name: str, words: list[str], task: Task) -> Any:
        """On a primary that was replaced: nobody looks at its ledger, and nothing of it stays."""
        if name == "TIME":
            return self._time()
        answer = self._wire.beside(*words)
        self._world.note(f"   {name} on the old primary")
        self._audit.took_effect_beside(name, _arguments(words), answer)
        if name == "take_permit":
            task.permitted = 0.0  # nobody else knows of it
        return answer

    def _time(self) -> tuple[int, int]:
        now = self._world.redis_time()
        return int(now), int(now % 1.0 * 1e6)

    def _effect(self, name: str, words: list[str]) -> Any:
        if name == "TIME":
            return self._time()
        args, full = _arguments(words), self._faults.full
        if full and full[0] <= self._world.elapsed < full[0] + full[1]:
            answer = self._on_a_full_one(name, words)
        elif name in _WRITERS and self._audit.is_needed(name, args):
            answer, found = self._wire.calls(words, self._audit.words)
            self._audit.read(name, found)
        else:
            answer = self._wire.call(*words)
            self._look_after(name, answer, _MAKERS)
        if words[0] in _CHANGES:
            self.memory.note(words)
        self._audit.took_effect(name, args, answer)
        if name == "return_permit":
            self.governed.update(answer[2:])
        if name == "take_permit":
            self.governed.update(f"probe: {kind}" for kind in answer[8:9] if kind)
            task = self._world.current()
            assert task is not None
            task.permitted = self._world.time  # from then on its lease counts
        return answer

    def _on_a_full_one(self, name: str, words: list[str]) -> Any:
        """Redis has no memory left for this one command; the look has."""
        full, has_room = ("CONFIG", "SET", "maxmemory", 1), ("CONFIG", "SET", "maxmemory", 0)
        answer = self._wire.calls(full, words, has_room)[1]
        self._look_after(name, answer, _MAKERS)
        self._look_after(name, (1,), _WRITERS)
        return answer

    def _look_after(self, name: str, answer: Any, names: frozenset[str]) -> None:
        if name in names and answer[0]:
            self._audit.read(name, self._wire.calls(self._audit.words)[0])

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
        if not self._faults.refused:
            return
        chance, parse = self._refusals, cast("Any", BaseParser.parse_error)
        if self._world.troubled and chance.random() < self._faults.refused:
            said = chance.choice(REFUSALS)
            wrapped = script and not said.startswith(("ERR", "LOADING", "NOPERM", "FROZEN")) and chance.random() < 0.5
            self._world.note(f"   Redis refuses {name}: {said.split()[0]}")
            raise parse(f"{_IN_A_SCRIPT}{said}" if wrapped else said)

    def client(self) -> OneConnection:
        """A connection of its own: what is asked on it is asked of one server."""
        return OneConnection(self)

    def connect(self) -> int:
        """A connection: the history of the server that it leads to, after which it is gone."""
        task = self._world.current()
        return self._old.asked_by(task.process) if task else self._world.redis_history

    def wait(self, wanted: int, history: int) -> int:
        world = self._world
        if world.current() is None:
            return wanted
        world.stop("before WAIT")
        self._fail("WAIT", self._faults.before, "before")
        if self._old.serves(history):
            return self._old.replicas
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

    def _command(self, *words: Any) -> Any:
        return self._perform(words[0], [*map(str, words)])

    def hgetall(self, key: str) -> dict[str, str]:
        flat = self._command("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def hget(self, key: str, name: str) -> str | None:
        return self._command("HGET", key, name)  # type: ignore[no-any-return]  # Redis says so

    def hmget(self, key: str, *names: Any) -> list[str | None]:
        wanted = names[0] if isinstance(names[0], list) else names
        return list(self._command("HMGET", key, *wanted))

    def hdel(self, key: str, *names: str) -> int:
        return int(self._command("HDEL", key, *names))

    def pipeline(self, transaction: bool) -> Pipeline:
        return Pipeline(self)

    def get(self, key: str) -> str | None:
        found: str | None = self._command("GET", key)
        return found

    def mget(self, keys: Sequence[str]) -> list[str | None]:
        return list(self._command("MGET", *keys))

    def set(self, key: str, value: str, ex: int) -> bool:
        return bool(self._command("SET", key, value, "EX", ex))

    def exists(self, key: str) -> int:
        return int(self._command("EXISTS", key))

    def delete(self, key: str) -> int:
        return int(self._command("DEL", key))

    def lrange(self, key: str, first: int, last: int) -> list[str]:
        return list(self._command("LRANGE", key, first, last))

    def smembers(self, key: str) -> frozenset[str]:
        return frozenset(self._command("SMEMBERS", key))

    def zrangebyscore(self, key: str, low: Any, high: Any, start: int, num: int) -> list[str]:
        return list(self._command("ZRANGEBYSCORE", key, low, high, "LIMIT", start, num))

    def hscan(self, key: str, place: int, count: int) -> tuple[int, dict[str, str]]:
        place, flat = self._command("HSCAN", key, place, "COUNT", count)
        return int(place), dict(zip(flat[::2], flat[1::2], strict=True))

    def time(self) -> tuple[int, int]:
        seconds, micros = self._command("TIME")
        return int(seconds), int(micros)

    def hscan_iter(self, key: str, count: int) -> Iterator[tuple[str, str]]:
        yield from self.hgetall(key).items()

    def close(self) -> None:
        with suppress(OSError):
            self._wire.close()
