"""How a batch begins: whether it overtakes others, and when what follows its canary may go."""

from __future__ import annotations

import math

from massconvert.model import Canary, Priority

#: A batch of at most this many leads is interactive unless its producer says otherwise: somebody waits for it.
INTERACTIVE_LEADS = 10


def priority_of(wanted: Priority | None, leads: int) -> Priority:
    """The priority of a batch with this many leads."""
    return wanted or (Priority.INTERACTIVE if leads <= INTERACTIVE_LEADS else Priority.BULK)


def most_failures(canary: Canary) -> int:
    """How many leads of a canary may fail for its batch to go on by itself; -1: it waits for somebody in any case."""
    if canary.max_failed is None:
        return -1
    return math.floor(canary.leads * canary.max_failed / 100.0 + 1e-9)  # 7 per cent of 100 are 7, not 7.000000000000001
