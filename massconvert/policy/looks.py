"""When to look at a job for the first time: when nineteen of twenty jobs of its size have ended.

A look too early costs a second one; a look too late costs patience only, since a job that runs at Zoho holds no permit.
Job times themselves cannot be measured: a look says that a job has ended, not when. What can be observed is whether
the first look found its job ended. So the wait itself is tracked as a quantile (Robbins and Monro, "A Stochastic
Approximation Method", 1951): a first look that came too early lengthens it by much, one that did not shortens it by
little, and it rests where the one happens once in twenty. One observation counts for each change: looks that were
planned before the last one know nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Jobs of up to so many leads are learnt together.
SIZES = (5, 20, 50)

#: ln(1.6) / -ln(0.975) is 19: the two balance when one first look of twenty comes too early.
LONGER, SHORTER = 1.6, 0.975
#: Until the first look that came too early, the wait shrinks by this: it starts from a guess.
SEARCHING = 0.8
SHORTEST, LONGEST = 0.2, 60.0


@dataclass(frozen=True)
class Look:
    """How many seconds after its payload a job is first looked at; learnt ``at``.

    ``found`` says that a look has come too early since the beginning, so that the wait is known to be about right.
    """

    seconds: float
    at: float = 0.0
    found: bool = False


def size_of(leads: int) -> int:
    """The class of a job with so many leads."""
    return next((size for size in SIZES if leads <= size), SIZES[-1])


def relearnt(look: Look, *, sent_at: float, now: float, ended: bool) -> Look | None:
    """What the first look at a job, sent at ``sent_at`` and seen ``now``, teaches; ``None`` for nothing."""
    age = now - sent_at
    if sent_at < look.at:
        return None
    if not ended:
        longer = look.seconds * LONGER
        return Look(min(LONGEST, longer), now, found=True)
    if age > 1.25 * look.seconds + 0.5:
        return None  # a look so late would have found anything ended
    shorter = look.seconds * (SHORTER if look.found else SEARCHING)
    return Look(max(SHORTEST, shorter), now, look.found)
