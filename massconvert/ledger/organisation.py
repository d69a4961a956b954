"""What the ledger knows of the whole organisation: whether it is paused, how long jobs take, who sweeps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeVar

from massconvert.errors import LedgerError
from massconvert.ledger.book import Book
from massconvert.ledger.codec import load_looks, number, open_leads, unreadable
from massconvert.model import Pause
from massconvert.policy import Look
from massconvert.policy.polling import LOST
from massconvert.store import reaching
from massconvert.words.next_command import then_resume

log = logging.getLogger("massconvert")

#: With fewer job times than this, nothing has been learnt.
ENOUGH_JOB_TIMES = 10
#: Seconds after which what was learnt of jobs is read again: each decision needs it, and it changes slowly; but not
#: while nothing is known, and one look teaches all others.
_FRESH, _FRESH_UNKNOWN = 0.25, 0.03
_Known = TypeVar("_Known")


@dataclass(frozen=True)
class JobLengths:
    """What was learnt of jobs: the latest ``times`` in seconds, sorted, empty while too few are known; and by the size
    of the payload when to look first. ``idle``: no payload waits to be made."""

    times: tuple[float, ...] = ()
    looks: Mapping[int, Look] = field(default_factory=dict)
    idle: bool = False

    def fresh(self, now: float) -> float:
        """For how many seconds this may be believed; a scout that was lost keeps nobody awake."""
        scouts = any(look.scout and now < look.at + LOST for look in self.looks.values())
        return _FRESH_UNKNOWN if scouts or not self.looks else _FRESH


class Organisation(Book):
    """The organisation-wide part of the ledger of one account."""

    _lengths: tuple[float, JobLengths] | None = None  # when they were read; replaced as a whole

    def paused(self) -> Pause | None:
        """Why the organisation is paused; ``None`` when it is not."""
        with reaching(self._redis):
            fields = self._redis.hgetall(self._keys.pause)
        if not fields:
            return None
        since = number(fields.get("since", "0"))
        # Its writer wanted that nothing is sent; only a person can say why.
        by = fields.get("person", "")
        reason = fields.get("reason") or ("" if by else f"The ledger's {self._keys.pause} does not say why.")
        if also := fields.get("also_reason"):  # Zoho had stopped the work too
            reason = f"{reason} {fields.get('also_code', '')}: {also} {_fix(fields.get('also_hint', ''))}".strip()
        return Pause(
            reason=reason,
            code=fields.get("code", ""),
            hint=then_resume(_fix(fields.get("hint", "")), account=self._keys.account),
            since=since if since is not None else 0.0,
            by=by,
        )

    def pause(self, *, reason: str, by: str = "", now: float | None = None) -> None:
        """Pause the organisation by hand: nothing more is sent or read until `resume`, whatever Zoho answers.

        ``reason`` and ``by`` are for people; those of the first person stand.
        """
        self._surely("pause_organisation", now, reason, by)

    def resume(self) -> bool:
        """End the pause, and what Zoho has asked for; return whether there was anything to end.

        What waits to be sent is due now, and everything else within a minute.
        """
        return any(map(int, self._run("resume_organisation", None)))

    def job_lengths(self, *, now: float) -> JobLengths:
        """What was learnt of jobs, as of a moment ago.

        What something else has written there is logged and deleted, and learnt again.
        """
        known = self._lengths
        if known is None or not 0.0 <= now - known[0] < known[1].fresh(now):
            known = self._lengths = (now, self._read_lengths(now))
        return known[1]

    def learn_again(self) -> None:
        """Forget what was read a moment ago: it has just been changed here."""
        self._lengths = None

    def _read_lengths(self, now: float) -> JobLengths:
        """All of it in one round trip."""
        keys = self._keys
        pipe = self._redis.pipeline(transaction=False)
        pipe.lrange(keys.jobtimes, 0, -1)
        pipe.hgetall(keys.looks)
        pipe.zrangebyscore(keys.inboxes, "-inf", now, start=0, num=1)
        with reaching(self._redis):
            times, looks, waiting = pipe.execute(raise_on_error=False)
            if isinstance(waiting, Exception):
                raise waiting
        known: tuple[float, ...] = self._understood(keys.jobtimes, _sorted_times, times, tuple[float, ...]())
        enough = known if len(known) >= ENOUGH_JOB_TIMES else ()
        # Leads that wait for room in the window; those that wait for company do not.
        return JobLengths(enough, self._understood(keys.looks, load_looks, looks, {}), idle=not waiting)

    def _understood(self, key: str, load: Callable[[Any], _Known], found: Any, nothing: _Known) -> _Known:
        """What was ``found`` at ``key``; ``nothing``, and it is deleted, where we have not written it."""
        try:
            with reaching(self._redis):
                if isinstance(found, Exception):
                    raise found
                return load(found)
        except LedgerError:
            message = "The ledger's %s is not a time. It is discarded and learnt again."
            log.error(message, key)  # noqa: TRY400 - expected: a line, no traceback
            with reaching(self._redis):
                self._redis.delete(key)
            return nothing

    def take_sweep(self, seconds: float, *, now: float | None = None) -> bool:
        """Take the right to sweep for ``seconds``: one worker at a time does it."""
        return bool(int(self._run("take_sweep", now, seconds)))

    def counts(self) -> dict[str, int]:
        """How many leads and chunks wait to be sent, how many jobs are followed, and with how many leads.

        ``leads_waiting`` are those in the inboxes and in chunks that have not been sent: what there is to scale by. In
        ``leads_at_zoho`` are none of jobs without an end by their deadline.
        """
        keys = self._keys
        with reaching(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            pipe.smembers(keys.unsent)
            pipe.smembers(keys.jobs)
            pipe.scard(keys.overdue)
            pipe.zrange(keys.inboxes, 0, -1)
            unsent, jobs, overdue, inboxes = pipe.execute()
            for chunk_id in (*unsent, *jobs):
                pipe.hmget(keys.chunk(chunk_id), "fp", "members")
            chunks = pipe.execute()
            # Options that are tried out are no ready inbox; the chunk that tries them names them.
            for fingerprint in {*inboxes, *(fp for fp, _ in chunks if fp)}:
                pipe.hget(keys.options(fingerprint), "waiting")
            waiting = sum(int(count or 0) for count in pipe.execute())
        leads = [len(open_leads(members or "")) for _, members in chunks]
        return {
            "chunks_waiting": len(unsent),
            "jobs_running": len(jobs) + int(overdue),
            "leads_waiting": waiting + sum(leads[: len(unsent)]),
            "leads_at_zoho": sum(leads[len(unsent) :]),
        }


def _sorted_times(found: Sequence[str]) -> tuple[float, ...]:
    """The latest job times in seconds, sorted. Raises LedgerError."""
    times = [number(text) for text in found]
    known = sorted(time for time in times if time is not None and isfinite(time) and time >= 0)
    if len(known) < len(times):
        raise unreadable("jobtimes")
    return tuple(known)


def _fix(hint: str) -> str:
    """What a person has to fix: ``hint`` without the command that workers of an older version write behind it."""
    return hint.partition(", then: ")[0].partition("To go on: ")[0]
