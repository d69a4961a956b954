"""Permits for calls to Zoho, for the whole organisation: its limit of simultaneous calls is used, and never exceeded.

A permit is a member of a sorted set in Redis, with the end of its lease as the score: the permit of a worker that died
returns by itself. A caller that finds none waits on a list (BLPOP) that every returned permit pushes to; that is nearly
as fast as a queue of permits, and loses none. Mass convert POSTs have a limit of their own beneath the common one.

A permit is given back with the answer to its call, and that is the one place where Zoho's answers change what everybody
may do: close the gate, lower and raise the limit, hold all calls but a probe (policy/calls.py decides, the script
writes). Taking a permit is one round trip, giving it back with its answer is another, and there are no more.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from random import Random, SystemRandom
from threading import Event
from typing import Any, NamedTuple
from uuid import uuid4

from massconvert.errors import MassConvertError, StoreError
from massconvert.model import Busy, Call
from massconvert.policy import CallAnswer, CallRules, Hold, HoldKind, Learnt, Permit, Report, after_call, answer_of
from massconvert.store import Clock, Keys, Redis, Scripts, reaching
from massconvert.zoho.edition import LEAST, MAX_POSTS, OrgAnswer, limit_of

log = logging.getLogger("massconvert.zoho")

#: The calls under Zoho's sub-limit of heavy ones (its limits page).
HEAVY = frozenset({Call.POST, Call.EXPRESS, Call.LINK, Call.QUERY, Call.UPDATE})
#: Seconds of one wait on a wake list: less than Redis' socket time-out, and long: to ask again is to be the last.
_SLICE = 2.5
#: Seconds until a caller without a permit asks again; sooner the longer it has waited, since others went before it.
_FULL_AGAIN = 1.0
#: A gate that opens within this many seconds is waited for; beyond it the worker's slot does something else meanwhile.
_SHORT = 1.0
#: Permits that one process may owe: more than it has threads.
_MOST_OWED = 1000


class _Wait(NamedTuple):
    """No permit: ``shut``, for some seconds, and why; or ``full``, until a lease ends, and which lists to wait on."""

    kind: str
    seconds: float
    why: str


#: Seconds between two looks for a permit where connections are too few to wait on one.
_POLL = 0.2


class Governor:
    """Permits to call, shared through Redis by all workers of an account.

    ``limit`` is ZOHO_CONCURRENCY or ``None``; ``ask_org`` GETs ``org``, for the edition; ``wait`` bounds `acquire` in
    seconds; ``lease`` is how long a permit is held at most: longer than a token refresh and a call together.
    ``obeys_pause``: there is no permit while a person has paused the organisation, as for workers. What a person looks
    up meanwhile is theirs to decide.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        clock: Clock,
        *,
        limit: int | None,
        ask_org: Callable[[], OrgAnswer],
        rules: CallRules | None = None,
        wait: float = 5.0,
        lease: float = 75.0,
        random: Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        obeys_pause: bool = False,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = Scripts(redis, clock)
        self._limit = limit or 0
        self._ask_org = ask_org
        self._rules = rules or CallRules()
        self._wait = wait
        self._lease = lease
        self._random = random or SystemRandom()
        self._monotonic = monotonic
        self._obeys_pause = obeys_pause
        self._owed: deque[tuple[str, str]] = deque(maxlen=_MOST_OWED)  # permits, and how their calls are counted
        self._returned: deque[tuple[str, str]] = deque(maxlen=_MOST_OWED)  # likewise, the latest ones
        self._history: str | None = None  # that Redis wrote when they were returned; ``None``: not asked yet

    def acquire(self, call: Call) -> Permit | Busy:
        """Take a permit; wait a bounded time for one. Raises StoreError when Redis cannot be reached."""
        if self._history is None:
            self._doubt_returns()
        self._return_owed()
        name, give_up = _name(call), self._monotonic() + self._wait
        while True:
            try:
                taken = self._take(name, call, self._limit) or self._first(name, call, give_up)
            except StoreError:
                self._owed.append((name, answer_of(None)))  # it may have been given: only the answer was lost
                raise
            if isinstance(taken, Permit | Busy):
                return taken
            kind, seconds, why = taken
            left = give_up - self._monotonic()
            if kind == "shut" and seconds > min(left, _SHORT):
                return Busy(seconds, f"no calls for now: {why}")
            if left <= 0:
                self._doubt_returns()
                return Busy(_FULL_AGAIN / (1.0 + self._wait), "as many calls run as may at once")
            self._await_permit("pause" if kind == "shut" else why, min(left, _SLICE, max(0.01, seconds)))

    def release(self, permit: Permit, answer: CallAnswer = None) -> float | None:
        """Give a permit back, with the answer to its call; ``None`` where no call was made.

        Returns when that was, in Unix seconds by Redis' clock; ``None`` where Redis could not be reached. Raises
        nothing: what cannot be given back is so at the next call, and returns at the latest when its lease ends.
        """
        try:
            report = after_call(permit, answer, now=permit.at, chance=self._random.random(), rules=self._rules)
            args: list[str | float | None] = [
                permit.id,
                None,
                json.dumps(_dump(report, permit, answer)),
                self._rules.holding.unusable_in_a_row,
            ]
            _, at, *news = self._scripts.run("return_permit", keys=[self._keys.prefix], args=args)
            self._returned.append((permit.id, answer_of(answer)))
            for what in news:
                _tell(what, report)
            return float(at)
        except MassConvertError as error:
            self._owed.append((permit.id, answer_of(answer)))
            log.warning("A permit is given back later, or returns when its lease ends: %s", error.message)
        except Exception:  # a bug here must not cost the answer that the caller holds
            log.exception("A permit returns only when its lease ends")
        return None

    def _return_owed(self) -> None:
        """Give back what could not be, since Redis was unreachable: else a failover would cost every permit its lease.

        Not what Zoho answered then: that is old by now. Raises StoreError.
        """
        unusable = self._rules.holding.unusable_in_a_row
        while self._owed:
            try:
                name, answer = self._owed.popleft()
            except IndexError:
                return  # another thread has given it back
            try:
                args = [name, None, json.dumps({"heard": "", "answer": answer}), unusable]
                self._scripts.run("return_permit", keys=[self._keys.prefix], args=args)
            except StoreError:
                self._owed.append((name, answer))
                raise

    def _doubt_returns(self) -> None:
        """Owe again what was returned to a primary that has been replaced: the one that is now may not know of it."""
        with reaching(self._redis):
            history = self._redis.hget(self._keys.history, "id") or ""
        if history != self._history:
            if self._history is not None:
                self._owed.extend(self._returned)
            self._history = history
            self._returned.clear()

    def _first(self, name: str, call: Call, give_up: float) -> Permit | Busy | _Wait:
        """Ask for the edition, which nobody has done yet, and then for a permit."""
        self._learn()
        if self._monotonic() >= give_up:  # the caller's own lease was not made for that call too
            return Busy(0.0, "the organisation's limit has just been learnt")
        return self._take(name, call, self._known_limit()) or Busy(_FULL_AGAIN, "the organisation's limit is not known")

    def _take(self, name: str, call: Call, limit: int) -> Permit | _Wait | None:
        """A permit of this name, or what to wait for; ``None`` when the limit is not known."""
        rules = self._rules
        args: list[str | float | None] = [
            name,
            "express" if call is Call.EXPRESS else "post" if call in HEAVY else "poll",
            None,
            self._lease,
            limit,
            MAX_POSTS,
            rules.poll_share,
            rules.calls_a_minute or 0,
            rules.holding.cheap_first,
            _SLICE,
            int(self._obeys_pause),
        ]
        said, *rest = self._scripts.run("take_permit", keys=[self._keys.prefix], args=args)
        if said == "taken":
            return _permit(name, call, rest)
        if said == "unknown":
            return None
        return _Wait("shut", float(rest[0]), rest[1]) if said == "shut" else _Wait("full", float(rest[1]), rest[0])

    def _await_permit(self, lists: str, seconds: float) -> None:
        if getattr(self._redis.connection_pool, "is_short", False):
            Event().wait(min(seconds, _POLL))  # others need the connection that would wait here
            return
        with reaching(self._redis):
            self._redis.blpop([self._keys.permit_wake(which) for which in lists.split(",")], timeout=seconds)

    # --- the limit ----------------------------------------------------------------------------------------

    def _known_limit(self) -> int:
        with reaching(self._redis):
            calls = self._redis.hget(self._keys.limit, "calls") or ""
        return int(calls) if calls.isdecimal() and int(calls) else LEAST

    def _learn(self) -> None:
        """Ask Zoho for the edition, if nobody else does, with a permit for that call too."""
        name = _name(Call.READ)
        if not int(self._scripts.run("take_lock", keys=[self._keys.limit_lock], args=[name, int(self._lease * 1000)])):
            return
        try:
            permit = self._take(name, Call.READ, LEAST)
            if not isinstance(permit, Permit):
                return
            answer = None
            try:
                answer = self._ask_org()
            finally:
                self.release(permit, answer)
            calls, source, seconds = limit_of(answer)
            self._scripts.run("keep_limit", keys=[self._keys.limit], args=[calls, source, int(seconds)])
        finally:
            self._scripts.run("free_lock", keys=[self._keys.limit_lock], args=[name])


def _name(call: Call) -> str:
    """A new permit's: it tells those who count what it was for."""
    return f"{call.value}:{uuid4().hex}"


def _permit(name: str, call: Call, fields: list[Any]) -> Permit:
    """The permit that store/lua/take_permit.lua gave, with what stood then."""
    running, limit, calls, event, ceiling, at, row, kind, tries, now = fields
    learnt = Learnt(int(calls), int(event), int(ceiling), float(at), int(row))
    hold = Hold(HoldKind(kind), "", 0.0, int(tries)) if kind else None
    return Permit(name, call, int(running), int(limit), learnt, hold, float(now))


def _dump(report: Report, permit: Permit, answer: CallAnswer) -> dict[str, Any]:
    """``report`` as store/lua/return_permit.lua takes it."""
    found: dict[str, Any] = {"heard": report.heard.value, "answer": answer_of(answer)}
    if permit.at:
        found["at"] = permit.at
    if report.gate:
        found["gate"] = [report.gate.seconds, report.gate.why]
    if report.learnt and permit.learnt:
        now, then = report.learnt, permit.learnt
        only_if_calls = then.calls if now.event == then.event else ""
        found["learnt"] = [now.calls, now.event, now.ceiling, now.at, now.row, only_if_calls, then.event]
    if report.hold:
        hold = report.hold
        found["hold"] = [hold.kind.value, hold.why, hold.wait, hold.tries]
    if report.credits_left is not None:
        found["credits"] = report.credits_left
    return found


def _tell(what: str, report: Report) -> None:
    """Say in the log what has begun or ended for all workers."""
    if what == "lowered" and report.learnt:
        lower = report.learnt
        log.warning(
            "Zoho answered 429 to one of at most %d calls at once: at most %d run for now.", lower.ceiling, lower.calls
        )
    elif what == "free":
        log.warning("Zoho answers again: all workers call as before.")
    elif report.hold:
        log.error("%s. One call finds out from time to time; nothing is lost meanwhile.", report.hold.why)
