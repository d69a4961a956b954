"""The Lua scripts: one verb a file, loaded from the package, run by their SHA."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import redis

from massconvert.store.clock import Clock, RedisClock
from massconvert.store.connection import Redis, reaching

_INCLUDE = re.compile(r"^ *-- include: (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
#: A function of a script: a line, or lines until one that is `end`.
FUNCTION = re.compile(r"^local function (\w+)(?:.* end|(?:.|\n)*?\nend)\n", re.MULTILINE)
#: For how long replicas are waited for, in milliseconds: one that is attached has what was written within a round trip.
_PATIENCE = 1000


class Scripts:
    """Runs the scripts of store/lua on one client.

    ``clock`` is that of a test or a simulation, whose time is handed in; with Redis' own, or none, scripts ask Redis.
    ``min_replicas`` is how many replicas must have what may not be lost; ``None``: all that are attached.
    """

    def __init__(self, client: Redis, clock: Clock | None = None, min_replicas: int | None = None) -> None:
        self._client = client
        self._min_replicas = min_replicas
        self._clock = None if isinstance(clock, RedisClock) else clock
        self._registered: dict[str, Any] = {}
        self._singles: deque[Redis] = deque()

    def run(self, name: str, *, keys: Sequence[str], args: Sequence[str | float | None]) -> Any:
        """Run ``store/lua/<name>.lua`` and return what it returns. Floats are passed on exactly; ``None`` is the
        time at which the script runs.

        Raises StoreError when Redis cannot be reached, or refuses for now: it may then have run or not. LedgerError
        when it fails by itself, which it does over values that we have not written.
        """
        with reaching(self._client, _subject(name, args)):
            return self._script(name)(keys=_beside(keys), args=[self._plain(arg) for arg in args])

    def run_surely(self, name: str, *, keys: Sequence[str], args: Sequence[str | float | None]) -> list[Any]:
        """Run a script, and wait until enough replicas have what it wrote; return what it returns but the last.

        That is how many replicas are attached, or "" where nothing was written. Raises as `run`; StoreError with the
        code REPLICAS when too few of them have it in time: it stands in this Redis, and a failover may lose it.
        """
        with reaching(self._client, _subject(name, args)), self._one_connection() as one:
            answer = list(self._script(name)(keys=_beside(keys), args=[self._plain(arg) for arg in args], client=one))
            attached = answer.pop()
            if attached != "":
                _await_replicas(one.wait, int(attached) if self._min_replicas is None else self._min_replicas)
        return answer

    @contextmanager
    def _one_connection(self) -> Iterator[Redis]:
        """A client whose commands all use one connection: WAIT is about what its own connection has written.

        Clients are used again, since redis-py takes longer to make one than a script takes to run.
        """
        one = self._singles.pop() if self._singles else None
        if one is None:
            one = self._client.client()
        else:
            one.connection = self._client.connection_pool.get_connection()
        try:
            yield one
        finally:
            one.close()  # its connection goes back to the pool
            self._singles.append(one)

    def _script(self, name: str) -> Any:
        script = self._registered.get(name)
        if script is None:
            script = self._registered[name] = self._client.register_script(source(name))
        return script

    def now(self) -> float:
        """Unix seconds. Raises StoreError when Redis cannot be reached."""
        return (self._clock or RedisClock(self._client)).now()

    def _plain(self, arg: str | float | None) -> str | int:
        if arg is None:
            return repr(self._clock.now()) if self._clock else ""
        return repr(arg) if isinstance(arg, float) else arg


def _subject(name: str, args: Sequence[str | float | None]) -> str:
    return f"{name} {args[0]}" if args and isinstance(args[0], str) else name


def _beside(keys: Sequence[str]) -> list[str]:
    """The keys of a script, and another that is never there: while their slot moves, a Cluster refuses it as a whole.

    With one such key it runs on the node that the slot moves to, on an empty ledger (docs/decisions/0037).
    """
    return [*keys, f"{keys[0]}-"]


def _await_replicas(wait: Callable[[int, int], Any], wanted: int) -> None:
    have = int(wait(wanted, _PATIENCE)) if wanted else 0
    if have < wanted:
        raise redis.ResponseError(f"REPLICAS {have} of {wanted} have it")


@cache
def source(name: str) -> str:
    """The text of a script, without its comments. A line ``-- include: X`` stands for what it calls of ``X.lua``.

    Lua makes each function of a script at each of its runs: those that it never calls are left out.
    """
    text = _whole(name)
    for function in reversed(list(FUNCTION.finditer(text))):
        after = text[function.end() :]
        if not re.search(rf"\b{function[1]}\b", after):
            text = text[: function.start()] + after
    return text


def _whole(name: str) -> str:
    text = (files("massconvert.store") / "lua" / f"{name}.lua").read_text(encoding="utf-8")
    return _COMMENT.sub("", _INCLUDE.sub(lambda line: _whole(line[1]), text))
