"""What the ledger knows of the whole organisation: whether it is paused, how long jobs take, who sweeps."""

from __future__ import annotations

from massconvert.model import Pause
from massconvert.store import Keys, Redis, Scripts, reaching

#: With fewer job times than this, nothing has been learnt.
ENOUGH_JOB_TIMES = 10


class Organisation:
    """The organisation-wide part of the ledger of one account."""

    def __init__(self, redis: Redis, keys: Keys, scripts: Scripts) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts

    def paused(self) -> Pause | None:
        """Why the organisation is paused; ``None`` when it is not."""
        with reaching(self._redis):
            fields = self._redis.hgetall(self._keys.pause)
        if not fields:
            return None
        return Pause(
            reason=fields.get("reason", ""),
            code=fields.get("code", ""),
            hint=fields.get("hint", ""),
            since=float(fields.get("since", "0")),
        )

    def pause(self, *, now: float, reason: str) -> None:
        """Pause the organisation by hand: nothing more is sent or read until `resume`."""
        with reaching(self._redis):
            self._redis.hset(
                self._keys.pause,
                mapping={
                    "code": "",
                    "reason": reason,
                    "hint": "To go on: massconvert resume",
                    "since": repr(now),
                },
            )
            self._redis.hdel(self._keys.pause, "probe")

    def resume(self) -> bool:
        """End the pause; return whether there was one."""
        with reaching(self._redis):
            return bool(self._redis.delete(self._keys.pause))

    def job_times(self) -> list[float]:
        """The latest job times in seconds, sorted; empty while too few are known."""
        with reaching(self._redis):
            times = sorted(float(time) for time in self._redis.lrange(self._keys.jobtimes, 0, -1))
        return times if len(times) >= ENOUGH_JOB_TIMES else []

    def take_sweep(self, seconds: float, *, now: float) -> bool:
        """Take the right to sweep for so many seconds: one worker at a time does it."""
        return bool(int(self._scripts.run("take_sweep", keys=[self._keys.prefix], args=[now, seconds])))

    def counts(self) -> dict[str, int]:
        """How many chunks wait to be sent and how many jobs are followed."""
        with reaching(self._redis):
            return {
                "chunks_waiting": int(self._redis.scard(self._keys.unsent)),
                "jobs_running": int(self._redis.scard(self._keys.jobs)),
            }
