"""How permits to call stand, for ``status``: read from Redis, and nothing is changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from massconvert.model import again_in_words
from massconvert.policy import HoldKind
from massconvert.store import Clock, Keys, Redis, reaching
from massconvert.zoho.datacenters import hosts_of
from massconvert.zoho.edition import LEAST
from massconvert.zoho.grants import Credentials

if TYPE_CHECKING:
    from massconvert.settings import Settings


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
    while it does not say (then more than half of the day's are left, as a rule). ``none_passes``: since the last usable
    answer a 429 came to a call that went alone, so it is not about how many run at once.
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
    none_passes: bool = False


def read_standing(redis: Redis, keys: Keys, clock: Clock, limit: int | None) -> Standing:
    """How things stand now; ``limit`` is ZOHO_CONCURRENCY. Raises StoreError when Redis cannot be reached."""
    now = clock.now()
    with reaching(redis):
        pipe = redis.pipeline(transaction=False)
        pipe.zcount(keys.permits, repr(now), "+inf")
        pipe.zcount(keys.permits_post, repr(now), "+inf")
        pipe.hmget(keys.gate, "until", "why")
        pipe.hmget(keys.limit, "calls", "source")
        pipe.hmget(keys.learnt, "calls", "ceiling", "row")
        pipe.hmget(keys.hold, "kind", "why", "since", "probe", "wait")
        pipe.hget(keys.credits, "left")
        held, posts, (until, why), (calls, source), (learnt, ceiling, row), hold, left = pipe.execute()
    shut = max(0.0, _number(until, 0.0) - now)
    if limit:
        calls, source = limit, "ZOHO_CONCURRENCY"
    most = int(_number(calls, LEAST))
    return Standing(
        limit=most,
        source=source or "",
        learnt=max(1, min(most, int(_number(learnt, most)))),
        held=held,
        posts=posts,
        gate_for=shut,
        gate_why=(why or "") if shut else "",
        hold=_held(now, *hold) if hold[0] in _KINDS else None,
        credits_left=None if left is None else int(_number(left, 0.0)),
        none_passes=_number(ceiling, 0.0) == 1 and _number(row, 0.0) > 0,
    )


_KINDS = {kind.value for kind in HoldKind}


def token_trouble(settings: Settings, redis: Redis) -> str:
    """Why no access token is to be had, as the workers found out lately; blank where none has said so.

    Raises SettingsError for a wrong data centre or URL, StoreError.
    """
    digest = Credentials.of(settings).digest(hosts_of(settings).accounts_url)
    key = Keys(settings.account).token_trouble(digest)
    with reaching(redis):
        text = redis.get(key)
        left = redis.pttl(key) if text else 0
    try:
        return f"{json.loads(text)['detail']}{again_in_words(left / 1000)}" if text else ""
    except (ValueError, TypeError, KeyError):
        return ""


def _held(now: float, kind: str, why: str | None, since: str | None, probe: str | None, wait: str | None) -> Held:
    # While a probe is out, `probe` is the end of its lease; the next one goes at most `wait` after its answer.
    next_probe = max(0.0, min(_number(probe, now) - now, _number(wait, 0.0)))
    return Held(HoldKind(kind), why or "", _number(since, 0.0), next_probe)


def _number(text: str | int | None, otherwise: float) -> float:
    """The number in Redis, or ``otherwise`` where there is none, or something else has written there."""
    try:
        found = float(otherwise if text is None else text)
    except ValueError:
        return otherwise
    return found if isfinite(found) else otherwise
