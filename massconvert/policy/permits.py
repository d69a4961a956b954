"""Permits to call, as the governor hands them out, and what stands in Redis about them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from massconvert.model import Call


@dataclass(frozen=True)
class Learnt:
    """How many calls may run at once, as far as Zoho's 429s have taught: never more than the limit.

    ``event`` counts the times that the limit was lowered; ``ceiling`` calls were allowed when the last 429 came (0:
    none has), at ``at``; ``row`` events have come without a usable answer between them.
    """

    calls: int
    event: int = 0
    ceiling: int = 0
    at: float = 0.0
    row: int = 0


class HoldKind(str, Enum):
    """Why nobody calls, but one probe at a time."""

    OUTAGE = "outage"  # Zoho gives no usable answer to anybody
    CREDITS = "credits"  # the day's credits are used, but for the reserve
    ASKED = "asked"  # Zoho has asked for time, and more than a gate is closed for


@dataclass(frozen=True)
class Hold:
    """Nobody calls but one probe, ``wait`` seconds from now; ``tries`` probes have shown that it must go on."""

    kind: HoldKind
    why: str
    wait: float
    tries: int = 0


@dataclass(frozen=True)
class Permit:
    """The right to make one call; give it back with ``Governor.release``, with what was answered.

    What stood when it was taken: ``running`` calls, this one included, of the ``limit`` and of what is ``learnt``; a
    ``hold`` whose probe this call is. It was taken ``at``, in Unix seconds.
    """

    id: str
    call: Call
    running: int = 0
    limit: int = 0
    learnt: Learnt | None = None
    hold: Hold | None = None
    at: float = 0.0
