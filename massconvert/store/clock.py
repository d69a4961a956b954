"""Time: as Redis has it, so that machines with wrong clocks agree; and seconds of this machine that nobody sets.

The scripts ask Redis themselves (store/lua/_time.lua). A process asks only for what it shows to people, or what it may
learn late: whatever it holds is old by the time it is used, since a process may freeze anywhere.
"""

from __future__ import annotations

import time
from typing import Protocol

from massconvert.store.connection import Redis, reaching


class Clock(Protocol):
    """Unix seconds that the fleet agrees on: Redis' own, but for tests and simulations."""

    def now(self) -> float:
        """Unix seconds."""
        ...


class RedisClock:
    """Unix seconds by the clock of the Redis server, which is asked each time."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def now(self) -> float:
        """Unix seconds. Raises StoreError when Redis cannot be reached."""
        with reaching(self._client):
            seconds, micros = self._client.time()
        return int(seconds) + int(micros) / 1e6


#: Linux' CLOCK_BOOTTIME; on macOS CLOCK_MONOTONIC, which counts its sleep (clock_gettime(3) of each).
_STEADY: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def steady() -> float:
    """Seconds since some moment in the past, to be compared on this machine alone: nobody sets them.

    They go on while the machine sleeps. `time.monotonic` stands still then: a call that should have left by now would
    leave when the machine wakes up, though its leases have lapsed meanwhile.
    """
    return time.monotonic() if _STEADY is None else time.clock_gettime(_STEADY)
