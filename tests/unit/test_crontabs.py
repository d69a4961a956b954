"""Crontabs: what each names, as cron and Celery read it, and the real cause where one is refused."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from celery.schedules import crontab as celerys
from hypothesis import given
from hypothesis import strategies as st

from massconvert.profiles import Schedule
from massconvert.profiles.crontabs import NICKNAMES, parse_crontab
from massconvert.profiles.slots import check_crontab, next_slot


def after(text: str, moment: str) -> str:
    """The next slot of a crontab after a moment, both in UTC."""
    slot = next_slot(Schedule(crontab=text), datetime.fromisoformat(f"{moment}+00:00").timestamp())
    return datetime.fromtimestamp(slot, timezone.utc).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("days", "numbers"),
    [
        ("7", {0}),
        ("0", {0}),
        ("sun", {0}),
        ("Sunday", {0}),
        ("1-7", {0, 1, 2, 3, 4, 5, 6}),
        ("0-7", {0, 1, 2, 3, 4, 5, 6}),
        ("5-7", {5, 6, 0}),
        ("6-7", {6, 0}),
        ("fri-7", {5, 6, 0}),
        ("7-2", {0, 1, 2}),
        ("7-7", {0}),
        ("1,3,7", {1, 3, 0}),
        ("1-7/2", {1, 3, 5, 0}),
        ("fri-mon", {5, 6, 0, 1}),
        ("sat-sun", {6, 0}),
        ("*/2", {0, 2, 4, 6}),
    ],
)
def test_seven_is_sunday_wherever_it_stands(days: str, numbers: set[int]) -> None:
    assert parse_crontab(f"0 2 * * {days}").day_of_week == numbers


def test_two_in_the_morning_on_day_seven_is_a_sunday() -> None:
    assert after("0 2 * * 7", "2026-11-24T12:00") == "2026-11-29 02:00"


@pytest.mark.parametrize(
    ("name", "following"),
    [
        ("@hourly", "2026-11-24 13:00"),
        ("@daily", "2026-11-25 00:00"),
        ("@midnight", "2026-11-25 00:00"),
        ("@weekly", "2026-11-29 00:00"),
        ("@monthly", "2026-12-01 00:00"),
        ("@yearly", "2027-01-01 00:00"),
        ("@annually", "2027-01-01 00:00"),
        (" @Daily ", "2026-11-25 00:00"),
    ],
)
def test_a_nickname_is_the_crontab_that_it_stands_for(name: str, following: str) -> None:
    assert after(check_crontab(name), "2026-11-24T12:00") == following
    assert NICKNAMES.keys() >= {name.strip().lower()}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("nope", "five fields like 0 4 * * mon-fri (minute, hour, day of the month, month, day of the week), not 1"),
        ("", "not 0"),
        ("0 4 * *", "not 4"),
        ("0 0 4 * * *", "not 6; there are neither seconds nor years"),
        ("60 4 * * *", "minute 60 is not between 0 and 59"),
        ("0 24 * * *", "hour 24 is not between 0 and 23"),
        ("0 4 0 * *", "day of the month 0 is not between 1 and 31"),
        ("0 4 * 13 *", "month 13 is not between 1 and 12"),
        ("0 4 * * 8", "day of the week 8 is not between 0 and 7"),
        ("0 4 * * 5-9", "day of the week 9 is not between 0 and 7"),
        ("0 4 * * mo", "day of the week 'mo' is no number from 0 to 7, or a name like mon"),
        ("0 4 * okt *", "month 'okt' is no number from 1 to 12, or a name like feb"),
        ("mon 4 * * *", "minute 'mon' is no number from 0 to 59"),
        ("0 4 * * 1,,2", "day of the week: nothing stands between two commas"),
        ("0 4 * * 1,", "nothing stands between two commas, or before or after one"),
        ("*/0 * * * *", "minute '*/0': its step must be a number, 1 or more"),
        ("*/ * * * *", "its step must be a number"),
        ("*/x * * * *", "its step must be a number"),
        ("5/10 * * * *", "minute '5/10': a step goes with * or a range, like 5-59/10"),
        ("0 4 ? * *", "? is not known here; write * for every day"),
        ("0 4 L * *", "L is not known here; the last day of the month cannot be named"),
        ("0 4 * * 5#2", "# is not known here; a week of the month cannot be named"),
        ("H 4 * * *", "H is not known here"),
        ("-5 4 * * *", "minute '-5' is no number"),
        ("1- 4 * * *", "minute '1-' is no number"),
        ("1-2-3 4 * * *", "minute '1-2-3' is no number"),
        ("*5 4 * * *", "minute '*5' is no number"),
        ("\u0663 4 * * *", "is no number"),
        ("0 4 31 2 *", "matches no date in the calendar"),
        ("@reboot", "cannot be @reboot, which names no time"),
        ("@every 5m", 'write every = "15m" in place of it'),
        ("@dayly", "is '@dayly', which is not known; did you mean @daily?"),
        ("@", "known are @hourly"),
        ("@daily 5", "is not known"),
    ],
)
def test_what_is_refused_is_named_by_its_cause(text: str, cause: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_crontab(text)
    assert cause in str(caught.value)
    assert "end range" not in str(caught.value)


def fields(least: int, most: int, names: str = "") -> st.SearchStrategy[str]:
    """What one field of a crontab may be, without the things that Celery does not know."""
    value = st.integers(least, most).map(str)
    if names:
        value |= st.sampled_from(names.split())
    step = st.just("") | st.integers(1, 70).map(lambda number: f"/{number}")
    ranges = st.tuples(value, value, step).map(lambda each: f"{each[0]}-{each[1]}{each[2]}")
    part = value | ranges | step.map(lambda each: f"*{each}")
    return st.lists(part, min_size=1, max_size=4).map(",".join)


@given(
    st.tuples(
        fields(0, 59),
        fields(0, 23),
        fields(1, 31),
        fields(1, 12, "jan feb Mar december"),
        fields(0, 6, "sun mon Fri saturday"),
    )
)
def test_what_celery_knows_is_read_as_celery_reads_it(given_fields: tuple[str, ...]) -> None:
    ours, theirs = parse_crontab(" ".join(given_fields)), celerys.from_string(" ".join(given_fields))
    for field in ("minute", "hour", "day_of_month", "month_of_year", "day_of_week"):
        assert getattr(ours, field) == getattr(theirs, field)
