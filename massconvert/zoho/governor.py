"""Leave to call Zoho, for the whole organisation: never over its limit of simultaneous calls, and close to it.

A permit is a member of a sorted set in Redis, with the end of its lease as the score: the permit of a worker that died
returns by itself. Who finds none waits on a list (BLPOP) that every returned permit pushes to; that is nearly as fast
as a queue of permits, and loses none. Mass convert POSTs have a limit of their own beneath the common one.

The one number that is not in Zoho's answers, the limit, comes from the setting ZOHO_CONCURRENCY, else from the
organisation's edition. What adapts it while it runs (429s, credits, rates) has its place in `Governor.close_gate` and
the ``limit`` key, which the script that takes a permit reads each time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from massconvert.errors import StoreError
from massconvert.model import Busy, Call, NotSent, PerhapsAccepted, Permit, Refused
from massconvert.store import Keys, Redis, Scripts, reaching
from massconvert.zoho.answers import Body
from massconvert.zoho.oauth import Clock

log = logging.getLogger("massconvert.zoho")

#: Simultaneous calls by edition (Zoho's limits page). Bundles are named like ``zohooneenterprise`` and
#: ``crmplusprofessional``, so the first of these names found inside ``paid_type`` counts.
EDITIONS: tuple[tuple[str, int], ...] = (
    ("free", 5),
    ("standard", 10),
    ("professional", 15),
    ("enterprise", 20),
    ("ultimate", 25),
    ("crmplus", 25),
    ("one", 20),
)
#: Zoho's sub-limit for heavy calls in every edition.
MAX_POSTS = 10
#: What every edition allows.
LEAST = 5
REMEDY = "set ZOHO_CONCURRENCY, or give the refresh token the scope ZohoCRM.org.READ"

_DAY = 86_400
_HOUR = 3600
_MINUTE = 60
_SLICE = 1.0  # seconds of one wait on the wake list, less than Redis' socket time-out
_FULL_AGAIN = 1.0  # seconds until somebody who waited in vain asks again


@dataclass(frozen=True)
class Snapshot:
    """How the governor stands: for ``status``. ``gate_for`` is seconds until the gate opens, 0.0 when it is open."""

    limit: int
    source: str
    held: int
    posts: int
    gate_for: float
    gate_why: str


class Governor:
    """Leave to call, shared through Redis by all workers of an account.

    ``limit`` is ZOHO_CONCURRENCY or ``None``; ``ask_org`` GETs ``org``, for the edition; ``wait`` bounds `acquire` in
    seconds; ``lease`` is how long a permit is held at most: longer than a token refresh and a call together.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        clock: Clock,
        *,
        limit: int | None,
        ask_org: Callable[[], Body | Refused | PerhapsAccepted | NotSent],
        wait: float = 5.0,
        lease: float = 75.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis)
        self._clock = clock
        self._limit = limit or 0
        self._ask_org = ask_org
        self._wait = wait
        self._lease = lease
        self._monotonic = monotonic

    def acquire(self, call: Call) -> Permit | Busy:
        """Take a permit; wait a bounded time for one. Raises StoreError when Redis cannot be reached."""
        permit = Permit(uuid4().hex, call)
        give_up = self._monotonic() + self._wait
        while True:
            said, *rest = self._take(permit, self._limit)
            if said == "unknown":
                self._learn()
                if self._monotonic() >= give_up:  # the caller's own lease was not made for that call besides
                    return Busy(0.0, "the organisation's limit has just been learnt")
                said, *rest = self._take(permit, self._known_limit())
            if said == "taken":
                return permit
            if said == "shut":
                return Busy(float(rest[0]), f"no calls for now: {rest[1]}")
            left = give_up - self._monotonic()
            if left <= 0:
                return Busy(_FULL_AGAIN, "as many calls run as Zoho allows")
            self._await_permit(rest[0], min(left, _SLICE, max(0.01, float(rest[1]))))

    def release(self, permit: Permit) -> None:
        """Give a permit back. Raises nothing: what cannot be given back returns when its lease ends."""
        try:
            self._scripts.run("return_permit", keys=[self._keys.prefix], args=[permit.id])
        except StoreError as error:
            log.warning("A permit returns only when its lease ends: %s", error.message)

    def close_gate(self, seconds: float, why: str) -> None:
        """Let nobody call for so many seconds; a gate that is closed for longer already stays so."""
        args: list[str | float] = [self._clock.now(), float(seconds), why]
        self._scripts.run("close_gate", keys=[self._keys.prefix], args=args)

    def snapshot(self) -> Snapshot:
        """How things stand now. Raises StoreError when Redis cannot be reached."""
        now = self._clock.now()
        with reaching(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            pipe.zcount(self._keys.permits, repr(now), "+inf")
            pipe.zcount(self._keys.permits_post, repr(now), "+inf")
            pipe.hmget(self._keys.gate, "until", "why")
            pipe.hmget(self._keys.limit, "calls", "source")
            held, posts, (until, why), (calls, source) = pipe.execute()
        shut = max(0.0, float(until or 0) - now)
        if self._limit:
            calls, source = self._limit, "ZOHO_CONCURRENCY"
        return Snapshot(int(calls or LEAST), source or "", held, posts, shut, (why or "") if shut else "")

    def _take(self, permit: Permit, limit: int) -> list[Any]:
        kind = "post" if permit.call is Call.POST else "any"
        args: list[str | float] = [permit.id, kind, self._clock.now(), self._lease, limit, MAX_POSTS]
        return list(self._scripts.run("take_permit", keys=[self._keys.prefix], args=args))

    def _await_permit(self, which: str, seconds: float) -> None:
        with reaching(self._redis):
            self._redis.blpop([self._keys.permit_wake(which)], timeout=seconds)

    # --- the limit ----------------------------------------------------------------------------------------

    def _known_limit(self) -> int:
        with reaching(self._redis):
            return int(self._redis.hget(self._keys.limit, "calls") or LEAST)

    def _learn(self) -> None:
        """Ask Zoho for the edition, if nobody else does, with a permit for that call too."""
        name = uuid4().hex
        with reaching(self._redis):
            if not self._redis.set(self._keys.limit_lock, name, nx=True, px=int(self._lease * 1000)):
                return
        try:
            permit = Permit(uuid4().hex, Call.READ)
            if self._take(permit, LEAST)[0] != "taken":
                return
            try:
                answer = self._ask_org()
            finally:
                self.release(permit)
            calls, source, seconds = limit_of(answer)
            with reaching(self._redis):
                pipe = self._redis.pipeline()
                pipe.hset(self._keys.limit, mapping={"calls": calls, "source": source})
                pipe.expire(self._keys.limit, seconds)
                pipe.execute()
        finally:
            self._scripts.run("free_lock", keys=[self._keys.limit_lock], args=[name])


def limit_of(answer: Body | Refused | PerhapsAccepted | NotSent) -> tuple[int, str, int]:
    """The limit that an answer to GET ``org`` shows, where it comes from, and for how many seconds it holds.

    Where the edition cannot be read it is the least of all editions, with a warning that names the remedy.
    """
    if isinstance(answer, Body):
        edition = _edition(answer.data)
        calls = next((calls for name, calls in EDITIONS if name in edition.lower()), None)
        if calls is not None:
            return calls, f"edition {edition}", _DAY
        why, seconds = f"the edition {edition!r} is not known" if edition else "Zoho does not tell the edition", _DAY
    elif isinstance(answer, Refused) and answer.status != 429:
        why, seconds = f"Zoho refuses to tell the edition ({answer.status} {answer.code})", _HOUR
    else:
        why, seconds = "Zoho did not tell the edition", _MINUTE  # soon again: it may be an outage
    log.warning("At most %d calls run at once, since %s: %s.", LEAST, why, REMEDY)
    return LEAST, f"{why}: {REMEDY}", seconds


def _edition(data: Mapping[str, Any]) -> str:
    """``license_details.paid_type`` of the first organisation in ``data``; empty where there is none."""
    orgs = data.get("org")
    org = orgs[0] if isinstance(orgs, list) and orgs else orgs
    details = org.get("license_details") if isinstance(org, dict) else None
    edition = details.get("paid_type") if isinstance(details, dict) else None
    return edition.strip()[:100] if isinstance(edition, str) else ""
