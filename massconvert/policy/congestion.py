"""How many calls may run at once: what the 429s teach, when other clients of the organisation take a share.

The limit of the edition is an upper bound, not a promise: another integration of the same company may hold some of it,
and nobody says so but a 429. So the number in use is learnt, as TCP learns a path's capacity:

1. *A 429 halves the number* (multiplicative decrease), and the gate closes for a moment. Once an event: a call that
   began before the last decrease knows nothing of it, so its 429 lowers nothing more. It is the number that was allowed
   that is halved, and not how many ran when the refused call got its permit: on a busy machine the call that was
   permitted first may arrive last, and one that knows of few others would halve far too much.
2. *A usable answer raises it by one*, if the call filled the number: a number that nobody uses has not been tried.
3. *Up to one below the ceiling*, the number that was allowed when the last 429 came, that goes as fast as answers come;
   it has held before. There it waits for ``patience``, and only then tries the ceiling itself, and on. So a neighbour
   that stays costs one 429 a patience and not the constant sawtooth of plain AIMD; and one that leaves is found out
   within a patience, and the full limit reached a few answers later. (CUBIC, RFC 9438, has the same three parts: fast
   up to where the last loss was, a plateau there, fast beyond.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from massconvert.policy.permits import Learnt, Permit


@dataclass(frozen=True)
class Congestion:
    """The numbers; times in seconds."""

    patience: float = 10.0  # below the ceiling, before it is tried again
    gate_base: float = 0.5
    gate_cap: float = 60.0


def lowered(learnt: Learnt, now: float) -> Learnt:
    """What a 429 teaches, to a call that was made under ``learnt``."""
    return Learnt(max(1, learnt.calls // 2), learnt.event + 1, ceiling=learnt.calls, at=now, row=learnt.row + 1)


def raised(permit: Permit, learnt: Learnt, now: float, numbers: Congestion) -> Learnt | None:
    """What a usable answer to the call of ``permit`` teaches; ``None`` where that is nothing new."""
    calls = learnt.calls
    tried = permit.running >= calls
    safe = calls + 1 < learnt.ceiling or now - learnt.at >= numbers.patience
    if tried and safe and calls < permit.limit:
        return replace(learnt, calls=calls + 1, row=0)
    return replace(learnt, row=0) if learnt.row else None


def gate_seconds(row: int, chance: float, numbers: Congestion) -> float:
    """For how long the ``row + 1``-th event without a usable answer in between closes the gate: short, and jittered."""
    return float(min(numbers.gate_cap, numbers.gate_base * 2.0 ** min(row, 30)) * (0.5 + 0.5 * chance))
