"""How leave to call stands, for ``status``: read from Redis, and nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass

from massconvert.policy import HoldKind
from massconvert.store import Keys, Redis, reaching
from massconvert.zoho.edition import LEAST
from massconvert.zoho.oauth import Clock


@dataclass(frozen=True)
class Held:
    """All calls are held but one probe: why, since when (Unix seconds), and in how many seconds the next may go."""

    kind: HoldKind
    why: str
    since: float
    next_probe: float


@dataclass(frozen=True)
class Standing:
    """How many calls run (``held``, of which ``posts``) and may run, and what holds them back.

    ``limit`` is that of ``source`` (the edition or ZOHO_CONCURRENCY); ``learnt`` is what 429s have left of it.
    ``gate_for`` is seconds until the gate opens, 0.0 when it is open. ``credits_left`` is what Zoho said last, ``None``
    while it does not say (then more than half of the day's are left).
    """

    limit: int
    source: str
    learnt: int
    held: int
    posts: int
    gate_for: float
    gate_why: str
    hold: Held | None = None
    credits_left: int | None = None


def read_standing(redis: Redis, keys: Keys, clock: Clock, limit: int | None) -> Standing:
    """How things stand now; ``limit`` is ZOHO_CONCURRENCY. Raises StoreError when Redis cannot be reached."""
    now = clock.now()
    with reaching(redis):
        pipe = redis.pipeline(transaction=False)
        pipe.zcount(keys.permits, repr(now), "+inf")
        pipe.zcount(keys.permits_post, repr(now), "+inf")
        pipe.hmget(keys.gate, "until", "why")
        pipe.hmget(keys.limit, "calls", "source")
        pipe.hget(keys.learnt, "calls")
        pipe.hmget(keys.hold, "kind", "why", "since", "probe", "wait")
        pipe.hget(keys.credits, "left")
        held, posts, (until, why), (calls, source), learnt, hold, left = pipe.execute()
    shut = max(0.0, float(until or 0) - now)
    if limit:
        calls, source = limit, "ZOHO_CONCURRENCY"
    most = int(calls or LEAST)
    return Standing(
        limit=most,
        source=source or "",
        learnt=min(most, int(learnt or most)),
        held=held,
        posts=posts,
        gate_for=shut,
        gate_why=(why or "") if shut else "",
        hold=_held(now, *hold) if hold[0] else None,
        credits_left=None if left is None else int(left),
    )


def _held(now: float, kind: str, why: str, since: str, probe: str, wait: str) -> Held:
    # While a probe is out, `probe` is the end of its lease; the next one goes at most `wait` after its answer.
    return Held(HoldKind(kind), why, float(since), max(0.0, min(float(probe) - now, float(wait))))
