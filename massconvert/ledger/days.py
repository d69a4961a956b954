"""What was counted: since the ledger began, and in each quarter of an hour of the last 400 days.

The scripts count in the step that changes what is counted (store/lua/_counts.lua): a lead's end once, even when a
worker dies. The text of a day is ``12:A14B1ja*38o;13:A7;``: the quarter of the day, then each number that grew, by the
letters that stand for its name and in base 36, and how many credits were left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from massconvert.ledger.book import Book
from massconvert.store import reaching

#: Seconds of a quarter of an hour, and of a day.
QUARTER, DAY = 900, 86_400
#: For how many days the quarters are kept (lua/_counts.lua).
DAYS_KEPT = 400
_NUMBER = re.compile(r"([A-Z]+|\*)([0-9a-z]+)")
_NO_NUMBERS = ("quarter", "ended_at", "names")
_UNTIMED = ("none", "unknown")


class Took(NamedTuple):
    """How many of something there were, and how many seconds they took together."""

    number: int
    seconds: float


@dataclass(frozen=True)
class Counted:
    """What was counted in some time, by the names of store/lua/_counts.lua."""

    numbers: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def together(cls, many: Iterable[Counted]) -> Counted:
        """The sum of what was counted in several times."""
        found: dict[str, int] = {}
        for counted in many:
            for name, number in counted.numbers.items():
                found[name] = found.get(name, 0) + number
        return cls(found)

    @property
    def enqueued(self) -> int:
        """Leads that batches took, invalid ids and skipped ones included; duplicates are not."""
        return self.numbers.get("enqueued|", 0)

    @property
    def ended(self) -> dict[tuple[str, str], int]:
        """Leads that have ended, by outcome and code (Zoho's or ours; ``""`` for none)."""
        return {(kind, code): number for (kind, code), number in self._pairs("lead")}

    @property
    def outcomes(self) -> dict[str, int]:
        """Leads that have ended, by outcome."""
        found: dict[str, int] = {}
        for (kind, _), number in self.ended.items():
            found[kind] = found.get(kind, 0) + number
        return found

    @property
    def calls(self) -> dict[tuple[str, str], int]:
        """Calls that have ended, by kind (`model.Call`) and answer (`policy.ANSWERS`)."""
        return {(kind, answer): number for (kind, answer), number in self._pairs("call")}

    @property
    def call_times(self) -> dict[str, Took]:
        """How long calls took, by kind, from their permit to their answer; only those that were answered in time."""
        found = {kind: Took(0, number / 1000) for (kind,), number in self._pairs("time")}
        for (kind, answer), number in self.calls.items():
            if kind in found and answer not in _UNTIMED:
                found[kind] = Took(found[kind].number + number, found[kind].seconds)
        return found

    @property
    def payloads(self) -> Took:
        """Payloads whose every lead has ended, and how long that took since they were formed."""
        return self._took("payload|")

    @property
    def jobs(self) -> Took:
        """Zoho's jobs of whose end the time is known."""
        return self._took("job|")

    @property
    def rows(self) -> dict[str, int]:
        """How often each row of the decision table was written, by its name in small letters. Not of a quarter."""
        return {row: number for (row,), number in self._pairs("row")}

    @property
    def told(self) -> dict[str, int]:
        """Calls about finished batches: ``done``, ``failed``, ``given_up``."""
        return {how: number for (how,), number in self._pairs("told")}

    @property
    def full(self) -> int:
        """How often somebody asked for a permit while as many calls ran as may."""
        return self.numbers.get("full|", 0)

    def _pairs(self, what: str) -> Iterator[tuple[tuple[str, ...], int]]:
        for name, number in self.numbers.items():
            kind, *rest = name.split("|")
            if kind == what:
                yield tuple(rest), number

    def _took(self, what: str) -> Took:
        return Took(self.numbers.get(f"{what}n", 0), self.numbers.get(f"{what}ms", 0) / 1000)


@dataclass(frozen=True)
class Quarter:
    """What came in a quarter of an hour that began at ``began`` (Unix seconds).

    ``credits_left``: how many were left at its end, as Zoho said; ``None`` where it did not, or it goes on.
    """

    began: int
    counted: Counted
    credits_left: int | None = None


@dataclass(frozen=True)
class Since:
    """What was counted since the ledger began, and when a lead ended last: Unix seconds, 0.0 for never."""

    counted: Counted
    ended_at: float


class Days(Book):
    """What was counted in one account."""

    def totals(self) -> Since:
        """What was counted since the ledger began. Raises StoreError."""
        with reaching(self._redis):
            found = self._redis.hgetall(self._keys.counts)
        return Since(Counted(_numbers(found)), float(found.get("ended_at") or 0.0))

    def read(self, since: float, until: float) -> list[Quarter]:
        """The quarters that began in [since, until), Unix seconds, in their order; that which goes on among them.

        Those in which nothing was counted are left out, and so are those of more than 400 days ago. Raises StoreError.
        """
        first = max(int(since), int(until) - (DAYS_KEPT + 1) * DAY)
        days = range(first // DAY, max(first, int(until)) // DAY + 1)
        keys = self._keys
        with reaching(self._redis):
            pipe = self._redis.pipeline(transaction=True)  # no quarter ends meanwhile
            pipe.mget([keys.day(day) for day in days])
            pipe.hgetall(keys.counts)
            pipe.hgetall(keys.counts_before)
            pipe.hgetall(keys.counts_letters)
            texts, counts, before, letters = pipe.execute()
        names = {short: name for name, short in letters.items()}
        found = [
            quarter for day, text in zip(days, texts, strict=True) for quarter in _quarters(day, text or "", names)
        ]
        if "quarter" in counts:
            found.append(_open_quarter(counts, _numbers(before)))
        return [quarter for quarter in found if since <= quarter.began < until and quarter.counted.numbers]


def _numbers(fields: Mapping[str, str]) -> dict[str, int]:
    return {name: int(value) for name, value in fields.items() if name not in _NO_NUMBERS}


def _quarters(day: int, text: str, names: Mapping[str, str]) -> Iterator[Quarter]:
    for part in text.split(";")[:-1]:
        place, _, numbers = part.partition(":")
        grown = {short: int(number, 36) for short, number in _NUMBER.findall(numbers)}
        left = grown.pop("*", None)
        counted = Counted({names[short]: number for short, number in grown.items() if short in names})
        yield Quarter(day * DAY + int(place) * QUARTER, counted, left)


def _open_quarter(counts: Mapping[str, str], before: Mapping[str, int]) -> Quarter:
    grown = {name: number - before.get(name, 0) for name, number in _numbers(counts).items()}
    kept = {name: number for name, number in grown.items() if number > 0 and not name.startswith("row|")}
    return Quarter(int(counts["quarter"]) * QUARTER, Counted(kept))
