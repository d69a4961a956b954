"""The organisation's limits: simultaneous calls, the sub-limit of heavy ones, the credits of a rolling day."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from massconvert.simulator.faults import CONVERT, POST, QUERY
from massconvert.simulator.messages import RefusedError, SimulatorError
from massconvert.simulator.rules import Rules

DAY = 86_400.0
#: Credits that a call costs, where it is not 1; what a mass convert call costs is not documented.
COSTS = {POST: 5, CONVERT: 5}
#: Rows of a query up to which it costs 1 credit, 2, and 3.
ROWS = (200, 1000)
#: What a test may change while calls are made.
CHANGEABLE = ("neighbour", "concurrency", "heavy_concurrency", "credits")


@dataclass
class Limits:
    """Counts calls while they last. Every ``enter`` that does not raise wants its ``leave``.

    ``neighbour`` calls are made all the time by another client of the same organisation, which comes first.
    """

    rules: Rules
    neighbour: int = 0
    highest: int = 0
    highest_heavy: int = 0
    throttled: int = 0
    credits_used: int = 0
    full_until: float = 0.0  # after a 429, where that lasts
    _inside: int = 0
    _heavy: int = 0
    _spent: deque[tuple[float, int]] = field(default_factory=deque)

    def enter(self, name: str, now: float, *, heavy: bool, records: int = 0) -> None:
        """A call of this name begins, which writes this many records. Raises RefusedError (429) over a limit."""
        rules = self.rules
        cost = rules.call_cost.get(name, COSTS.get(name, max(1, -(-records // 10))))
        while self._spent and self._spent[0][0] <= now - DAY:
            self.credits_used -= self._spent.popleft()[1]
        over = self._inside + self.neighbour >= rules.calls_at_once or now < self.full_until
        over = over or (heavy and self._heavy >= rules.heavy_concurrency)
        if over or (rules.credits is not None and self.credits_used + cost > rules.credits):
            self.throttled += 1
            if now >= self.full_until:
                self.full_until = now + rules.throttled_seconds
            message = "You have crossed the limit of calls. Please try again after some time."
            raise RefusedError(429, "TOO_MANY_REQUESTS", message)
        self._spend(now, cost)
        self._inside += 1
        self._heavy += heavy
        self.highest, self.highest_heavy = max(self.highest, self._inside), max(self.highest_heavy, self._heavy)

    def found(self, name: str, rows: int, now: float) -> None:
        """A query has found this many rows, which cost more than the call by itself."""
        if name == QUERY and QUERY not in self.rules.call_cost:
            self._spend(now, sum(rows > most for most in ROWS))

    def _spend(self, now: float, cost: int) -> None:
        if self.rules.credits is not None and cost:  # without a limit nothing needs to be remembered
            self._spent.append((now, cost))
        self.credits_used += cost

    def leave(self, *, heavy: bool) -> None:
        """A call ends."""
        self._inside -= 1
        self._heavy -= heavy

    def change(self, wanted: Any) -> None:
        """Set what ``wanted`` names of `CHANGEABLE`. Raises SimulatorError, and changes nothing, if it is wrong."""
        if not isinstance(wanted, Mapping) or not wanted.keys() <= set(CHANGEABLE):
            raise SimulatorError(f"limits are an object with any of {', '.join(CHANGEABLE)}")
        for name, value in wanted.items():
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
            if not whole and not (value is None and name in ("concurrency", "credits")):
                raise SimulatorError(f"{name} is {value!r}, which is no number of calls or credits")
        rules = dict(wanted)
        self.neighbour = rules.pop("neighbour", self.neighbour)
        self.rules = replace(self.rules, **rules)

    def headers(self, status: int) -> dict[str, str]:
        """What an answer says of the credits, from half of them on; and of a 429, when to come back."""
        most, told = self.rules.credits, self.rules.credits_header
        headers = {}
        if status == 429 and self.rules.retry_after is not None:
            headers["Retry-After"] = str(self.rules.retry_after)
        if most is not None and told != "never" and (told == "always" or self.credits_used * 2 >= most):
            headers["X-API-CREDITS-REMAINING"] = str(max(0, most - self.credits_used))
        return headers

    def report(self) -> dict[str, int]:
        """The counts, for a test."""
        return {
            "highest": self.highest,
            "highest_heavy": self.highest_heavy,
            "throttled": self.throttled,
            "credits_used": self.credits_used,
            "now": self._inside,
            "neighbour": self.neighbour,
        }
