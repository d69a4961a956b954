"""When a schedule runs: its slots, computed from the clock alone, so that any number of beats name the same ones.

A slot is the moment at which a run was to begin, not that at which somebody noticed. An interval's slots are counted
from the epoch. A crontab's are wall-clock times of its zone: one that a clock change skips is run an hour later, and
one that comes twice is run the first time only, unless the crontab runs in every hour.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from massconvert.profiles.crontabs import Crontab, parse_crontab

_FORM = "%Y%m%dT%H%M%SZ"
#: A day like the 29th of February comes again within this many days.
_LONGEST_PAUSE = 366 * 8 + 2
_DAY = 86_400.0


class Timing(Protocol):
    """What is asked of a schedule here."""

    @property
    def crontab(self) -> str | None: ...
    @property
    def every(self) -> float | None: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def catch_up(self) -> float: ...


def slot_name(seconds: float) -> str:
    """A slot (Unix seconds) as it stands in keys and messages: ``20261124T030000Z``."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime(_FORM)


def parse_slot(name: str) -> float:
    """The Unix seconds of a slot's name. Raises ValueError."""
    if not isinstance(name, str) or not re.fullmatch("[0-9]{8}T[0-9]{6}Z", name):  # strptime takes more than one form
        raise ValueError("not a slot")
    return datetime.strptime(name, _FORM).replace(tzinfo=timezone.utc).timestamp()


def latest_slot(schedule: Timing, now: float) -> float | None:
    """The last slot at or before ``now``, unless it is too long ago to be caught up with."""
    if schedule.every:
        return math.floor(now / schedule.every) * schedule.every
    today = datetime.fromtimestamp(now, ZoneInfo(schedule.time_zone)).date()
    for back in range(-1, int(schedule.catch_up // _DAY) + 2):
        day = _slots_of(str(schedule.crontab), schedule.time_zone, today - timedelta(days=back))
        passed = [slot for slot in day if slot <= now]
        if passed:
            return passed[-1]
    return None


def next_slot(schedule: Timing, now: float) -> float:
    """The first slot after ``now``; infinity when there is none for years."""
    if schedule.every:
        return (math.floor(now / schedule.every) + 1) * schedule.every
    today = datetime.fromtimestamp(now, ZoneInfo(schedule.time_zone)).date()
    for ahead in range(-1, _LONGEST_PAUSE):
        for slot in _slots_of(str(schedule.crontab), schedule.time_zone, today + timedelta(days=ahead)):
            if slot > now:
                return slot
    return math.inf


def check_crontab(text: str) -> str:
    """``text`` if it is a crontab and names a day that there is. Raises ValueError with what is wrong in it."""
    cleaned = " ".join(text.split())
    parsed = parse_crontab(cleaned)
    leap_year = date(2024, 1, 1)
    if not any(_matches(parsed, leap_year + timedelta(days=number)) for number in range(_LONGEST_PAUSE)):
        raise ValueError("matches no date in the calendar")
    return cleaned


@lru_cache(maxsize=4096)
def _slots_of(text: str, zone: str, day: date) -> tuple[float, ...]:
    parsed = parse_crontab(text)
    return tuple(sorted(set(_times(parsed, ZoneInfo(zone), day)))) if _matches(parsed, day) else ()


def _times(parsed: Crontab, zone: ZoneInfo, day: date) -> Iterator[float]:
    folds = (0, 1) if len(parsed.hour) == 24 else (0,)
    for hour in parsed.hour:
        for minute in parsed.minute:
            for fold in folds:
                yield datetime.combine(day, time(hour, minute, fold=fold), zone).timestamp()


def _matches(parsed: Crontab, day: date) -> bool:
    return (
        day.month in parsed.month_of_year
        and day.day in parsed.day_of_month
        and day.isoweekday() % 7 in parsed.day_of_week
    )
