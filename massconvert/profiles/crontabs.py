"""A crontab as the sets of numbers that it stands for, and what is wrong with an invalid one; pure.

The fields are those of cron and of Celery: minute, hour, day of the month, month, day of the week. Each is ``*``, a
number or a name, a range, or several with commas between; ``*`` and a range may have a step. A range may go round:
``fri-mon``. Sunday is 0 and 7. ``@daily`` and its relatives stand for a crontab.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

#: What stands for a crontab.
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_SUNDAY = 7
_part = re.compile(r"(?P<all>\*)?(?:(?P<first>\w+)(?:-(?P<last>\w+))?)?(?:/(?P<step>\w*))?", re.ASCII).fullmatch
_is_number = re.compile("[0-9]{1,9}").fullmatch
#: Signs of other programs' crontabs, and what they mean there.
_ELSEWHERE = {
    "?": "write * for every day",
    "#": "a week of the month cannot be named",
    "L": "the last day of the month cannot be named",
    "W": "the nearest weekday cannot be named",
    "H": "a time by chance cannot be named",
    "~": "a time by chance cannot be named",
}


@dataclass(frozen=True)
class Crontab:
    """The minutes, hours, days and months that a crontab names; days of the week from 0, Sunday."""

    minute: frozenset[int]
    hour: frozenset[int]
    day_of_month: frozenset[int]
    month_of_year: frozenset[int]
    day_of_week: frozenset[int]


@dataclass(frozen=True)
class _Field:
    name: str
    least: int
    most: int
    names: Sequence[str] = ()

    @property
    def whole(self) -> range:
        return range(self.least, self.most + 1)

    @property
    def largest(self) -> int:
        return _SUNDAY if self.names is _DAYS else self.most

    def numbers(self, text: str) -> frozenset[int]:
        return frozenset(number for part in text.split(",") for number in self._numbers_of(part))

    def _numbers_of(self, text: str) -> Iterator[int]:
        part = _part(text)
        if part is None or bool(part["all"]) == bool(part["first"]):
            raise self._unknown(text)
        if part["all"]:
            numbers = list(self.whole)
        elif part["last"]:
            numbers = list(self._range(self._number(part["first"]), self._number(part["last"])))
        elif part["step"] is not None:
            raise ValueError(
                f"{self.name} {text!r}: a step goes with * or a range, like {part['first']}-{self.most}/{part['step']}"
            )
        else:
            numbers = [self._number(part["first"])]
        yield from (self._plain(number) for number in numbers[:: self._step(text, part["step"])])

    def _range(self, first: int, last: int) -> Iterator[int]:
        if first > last:  # it goes round
            first = self._plain(first)
        if first > last:
            yield from range(first, self.most + 1)
            first = self.least
        yield from range(first, last + 1)

    def _plain(self, number: int) -> int:
        return 0 if number == _SUNDAY and self.names is _DAYS else number

    def _number(self, text: str) -> int:
        if _is_number(text):
            if self.least <= int(text) <= self.largest:
                return int(text)
            raise ValueError(f"{self.name} {int(text)} is not between {self.least} and {self.largest}")
        known = [name for name in self.names if text.lower() in (name, name[:3])]
        if not known:
            raise self._unknown(text)
        return self.least + self.names.index(known[0])

    def _step(self, text: str, step: str | None) -> int:
        if step is None:
            return 1
        if not _is_number(step) or not int(step):
            raise ValueError(f"{self.name} {text!r}: its step must be a number, 1 or more")
        return int(step)

    def _unknown(self, text: str) -> ValueError:
        if not text:
            return ValueError(f"{self.name}: nothing stands between two commas, or before or after one")
        for sign, why in _ELSEWHERE.items():
            if sign in text and (not sign.isalpha() or re.fullmatch(rf"[0-9-]*{sign}[0-9-]*|LW", text)):
                return ValueError(f"{self.name} {text!r}: {sign} is not known here; {why}")
        known = f", or a name like {self.names[1][:3]}" if self.names else ""
        return ValueError(f"{self.name} {text!r} is no number from {self.least} to {self.largest}{known}")


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)


@lru_cache(maxsize=256)
def parse_crontab(text: str) -> Crontab:
    """The sets of numbers that ``text`` stands for. Raises ValueError with what is wrong in it."""
    if text.strip().startswith("@"):
        text = _named(text.strip())
    fields = text.split()
    if len(fields) != len(_FIELDS):
        more = "; there are neither seconds nor years" if len(fields) > len(_FIELDS) else ""
        raise ValueError(
            f"must have five fields like 0 4 * * mon-fri (minute, hour, day of the month, month, day of the week), "
            f"not {len(fields)}{more}"
        )
    try:
        return Crontab(*(field.numbers(given) for field, given in zip(_FIELDS, fields, strict=True)))
    except ValueError as error:
        raise ValueError(f"is wrong: {error}") from None


def _named(text: str) -> str:
    if found := NICKNAMES.get(text.lower()):
        return found
    if text.lower() == "@reboot":
        raise ValueError("cannot be @reboot, which names no time; leave the schedule out and run the profile by hand")
    if text.lower().startswith("@every"):
        raise ValueError('cannot be @every; write every = "15m" in place of it')
    near = get_close_matches(text.lower(), NICKNAMES, n=1)
    instead = f"did you mean {near[0]}?" if near else f"known are {', '.join(NICKNAMES)}"
    raise ValueError(f"is {text[:60]!r}, which is not known; {instead}")
