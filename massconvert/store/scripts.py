"""The Lua scripts: one verb a file, loaded from the package, run by their SHA."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from massconvert.store.clock import Clock, RedisClock
from massconvert.store.connection import Redis, reaching

_INCLUDE = "-- include: "


class Scripts:
    """Runs the scripts of store/lua on one client.

    ``clock`` is that of a test or a simulation, whose time is handed in; with Redis' own, or none, scripts ask Redis.
    """

    def __init__(self, client: Redis, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = None if isinstance(clock, RedisClock) else clock
        self._registered: dict[str, Any] = {}

    def run(self, name: str, *, keys: Sequence[str], args: Sequence[str | float | None]) -> Any:
        """Run ``store/lua/<name>.lua`` and return what it returns. Floats are passed on exactly; ``None`` is the
        time at which the script runs.

        Raises StoreError when Redis cannot be reached, or refuses for now: it may then have run or not. LedgerError
        when it fails by itself, which it does over values that we have not written.
        """
        script = self._registered.get(name)
        if script is None:
            script = self._registered[name] = self._client.register_script(source(name))
        subject = f"{name} {args[0]}" if args and isinstance(args[0], str) else name
        with reaching(self._client, subject):
            return script(keys=list(keys), args=[self._plain(arg) for arg in args])

    def now(self) -> float:
        """Unix seconds. Raises StoreError when Redis cannot be reached."""
        return (self._clock or RedisClock(self._client)).now()

    def _plain(self, arg: str | float | None) -> str | int:
        if arg is None:
            return repr(self._clock.now()) if self._clock else ""
        return repr(arg) if isinstance(arg, float) else arg


@cache
def source(name: str) -> str:
    """The text of a script; its first lines ``-- include: X`` put ``X.lua`` in front of it, in their order."""
    text, front = (files("massconvert.store") / "lua" / f"{name}.lua").read_text(encoding="utf-8"), ""
    while text.startswith(_INCLUDE):
        first, _, text = text.partition("\n")
        front += source(first.removeprefix(_INCLUDE).strip())
    return front + text
