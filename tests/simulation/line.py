"""The line to the simulated Zoho: each call, its limits and credits, and what goes wrong with it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from massconvert.model import (
    FromZoho,
    NotSent,
    PerhapsAccepted,
    Refused,
    Unsent,
)
from tests.simulation.plan import Faults
from tests.simulation.truth import Judge
from tests.simulation.world import Process, Task, World

#: Zoho's rolling day for credits, which is ten minutes here; what calls cost.
DAY = 600.0
COSTS = {"mass_convert": 5, "convert": 5}
#: Seconds that a call may take in all.
CALL_DEADLINE = 30.0
#: Seconds by which the product takes a call to have reached Zoho sooner than it did, at most.
CLOCKS, UNCOUNTED = 3.0, 7.0


class Line:
    """What all calls have in common; `crm.Crm` says what they come to."""

    world: World
    faults: Faults
    limit: int
    permit_lease: float
    send_within: float
    judge: Judge
    calls: Counter[str]
    answered_at: float
    _inside: dict[Task, float]
    _told: dict[Process, tuple[float, float]]
    _spent: deque[tuple[float, int]]
    _chance: Random

    def clock(self) -> float | None:
        """Zoho's clock, as the last answer that came to this process had it."""
        task = self.world.current()
        assert task is not None
        at, heard = self._told.get(task.process, (0.0, 0.0))
        task.told = at > 0.0
        return at + self.world.steady() - heard - CLOCKS if at else None

    def _call(self, name: str, effect: Callable[[], Any]) -> Any:
        world, task = self.world, self.world.current()
        assert task is not None
        self.calls[name] += 1
        self._inside[task] = task.permitted
        refusal = self._over_a_limit(name)
        world.stop(f"before {name}")
        answer = refusal or effect()
        told_at = 0.0
        if not isinstance(answer, NotSent | PerhapsAccepted):
            self.answered_at = world.time
            told_at = float(int(world.time + self.faults.clock_ahead))
            if self.faults.credits and not refusal:
                self._spent.append((world.time, COSTS.get(name, 1)))
                self.judge.credits_left(self._credits_left())
        if world.troubled and self.faults.slow_answers and self._chance.random() < self.faults.slow_answers:
            self._take_long(f"the answer to a {name}", CALL_DEADLINE)
        world.stop(f"after {name}")
        if told_at:
            self._told[task.process] = told_at, world.steady()
        self._inside.pop(task, None)
        return replace(answer, credits_left=self._credits_told()) if isinstance(answer, FromZoho) else answer

    def _over_a_limit(self, name: str) -> Refused | None:
        """429 when a neighbour leaves too few calls, or too few credits are left.

        Without a neighbour there are never more calls at once than the organisation allows; a permit whose lease has
        lapsed counts no more.
        """
        since = self.world.time - self.permit_lease + 1.0
        self._inside = {task: began for task, began in self._inside.items() if task.process.alive and began > since}
        inside = len(self._inside)
        self.judge.call_begins(self._inside)
        if inside > self.limit:
            self.world.wrong(f"{inside} calls run at once; Zoho allows {self.limit}")
        taken = sum(n.calls for n in self.faults.neighbours if n.start <= self.world.elapsed < n.start + n.length)
        cost, left = COSTS.get(name, 1), self._credits_left()
        if (taken and inside > self.limit - taken) or (self.faults.credits and cost > left):
            self.world.note(f"   Zoho refuses a {name}: {inside} calls, {taken} of a neighbour, {left} credits")
            task = self.world.current()
            assert task is not None
            self._inside.pop(task, None)
            return Refused(429, "TOO_MANY_REQUESTS", "over a limit")
        return None

    def _credits_left(self) -> int:
        while self._spent and self._spent[0][0] <= self.world.time - DAY:
            self._spent.popleft()
        return self.faults.credits - sum(cost for _, cost in self._spent)

    def _credits_told(self) -> int | None:
        """What the header says: nothing, until half of them are used."""
        left = self._credits_left()
        return left if self.faults.credits and left <= self.faults.credits / 2 else None

    def _take_long(self, what: str, most: float) -> None:
        seconds = self._chance.uniform(0.6, 0.97) * most
        self.world.note(f"   {what} takes {seconds:.0f} s")
        self.world.sleep(seconds)

    def _leave(self, send_by: float) -> NotSent | None:
        """Connect, and look at the clock just before the first byte leaves."""
        if self.world.troubled and self._chance.random() < self.faults.slow_sends:
            self._take_long("connecting", self.send_within)
        if self.world.steady() <= send_by:
            return None
        self.world.note("   it is too late to send")
        return NotSent(Unsent.LATE, "too late")

    def _fault(self, call: str) -> NotSent | Refused | str | None:
        kind = self._kind(call)
        if kind == "not sent":
            return NotSent(Unsent.CONNECT, "connection refused")
        if kind == "no token":
            return NotSent(Unsent.DENIED, "too many refreshes", code="ACCESS_DENIED", retry_after=5.0)
        if kind == "credentials":
            return NotSent(Unsent.CREDENTIALS, "the refresh token is refused", code="invalid_code")
        if kind == "asked":
            return Refused(429, "TOO_MANY_REQUESTS", "come back tomorrow", retry_after=86_400.0)
        if kind == "throttled":
            return Refused(429, "TOO_MANY_REQUESTS", "slow down", retry_after=self._chance.choice([None, 3.0]))
        if kind == "token":
            return Refused(401, "INVALID_TOKEN", "invalid oauth token")
        if kind == "no permission":
            return Refused(403, "NO_PERMISSION", "permission denied")
        return kind

    def _kind(self, call: str) -> str | None:
        for window in self.faults.windows:
            if call in window.calls and window.start <= self.world.elapsed < window.start + window.length:
                return self._chance.choice(["not sent", "before"]) if window.kind == "mixed" else window.kind
        if not self.world.troubled:
            return None
        draw = self._chance.random()
        for kind, share in self.faults.shares:
            if draw < share:
                return kind
            draw -= share
        return None

    def _lost(self, call: str, when: str = "") -> PerhapsAccepted:
        self.world.note(f"   the answer to a {call} is lost {when}")
        return PerhapsAccepted("connection reset", None, "")
