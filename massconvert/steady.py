"""Seconds of this machine that nobody sets, and that go on while it sleeps.

`time.monotonic` stands still while a Linux or macOS machine is suspended: a call that should have left by now would
leave when it wakes up, though its leases have lapsed meanwhile.
"""

from __future__ import annotations

import time

#: Linux' CLOCK_BOOTTIME; on macOS CLOCK_MONOTONIC, which counts its sleep (clock_gettime(3) of each).
_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


def steady() -> float:
    """Seconds since some moment in the past, to be compared on this machine alone."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
