"""What was counted in the last day, drawn: a column for each quarter of an hour, and the calls in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from massconvert.ledger.days import DAY, QUARTER, Counted, Quarter
from massconvert.model import Kind
from massconvert.words.plurals import number_of

#: From the bottom to the top of a column.
KINDS = (Kind.CONVERTED.value, Kind.SKIPPED.value, Kind.FAILED.value, Kind.CANCELLED.value)
#: The height of the picture and the width of a column, in its own units.
HEIGHT, WIDTH = 100, 10
_QUARTERS = DAY // QUARTER
_AN_HOUR = 4  # quarters
#: By how much of the past it is told how long the day's credits last, and to how many seconds.
_LATELY, _ABOUT = 2 * 3600, 300


@dataclass(frozen=True)
class Block:
    """A part of a column: its outcome, and where it is."""

    kind: str
    x: int
    y: float
    height: float


@dataclass(frozen=True)
class QuarterColumn:
    """A quarter of an hour: when it began, its parts, and what they say in words."""

    began: int
    x: int
    parts: tuple[Block, ...]
    said: str


@dataclass(frozen=True)
class Chart:
    """The last day's columns, the leads of the highest one, the sums of the last hour and the day, and how many credits
    were left at the ends of quarters (Unix seconds)."""

    columns: tuple[QuarterColumn, ...]
    highest: int
    hour: Counted
    day: Counted
    began: int
    credits: tuple[tuple[int, int], ...] = ()

    @property
    def width(self) -> int:
        """Of the whole picture."""
        return _QUARTERS * WIDTH

    @property
    def calls(self) -> list[tuple[str, int, str]]:
        """Each kind of call of the last day, how many, and how they were answered, most first."""
        kinds: dict[str, dict[str, int]] = {}
        for (kind, answer), number in self.day.calls.items():
            kinds.setdefault(kind, {})[answer] = number
        rows = [(kind, sum(answers.values()), _in_words(answers)) for kind, answers in kinds.items()]
        return sorted(rows, key=lambda row: -row[1])


def draw(quarters: Sequence[Quarter], now: float) -> Chart:
    """Draw the quarters of the day before ``now`` (Unix seconds)."""
    last = int(now) // QUARTER * QUARTER
    began = last - (_QUARTERS - 1) * QUARTER
    highest = max((sum(quarter.counted.outcomes.values()) for quarter in quarters), default=0)
    columns = [_column(quarter, (quarter.began - began) // QUARTER * WIDTH, highest) for quarter in quarters]
    hour = [quarter.counted for quarter in quarters if quarter.began > last - _AN_HOUR * QUARTER]
    return Chart(
        tuple(column for column in columns if column.parts and column.x >= 0),
        highest,
        Counted.together(hour),
        Counted.together(quarter.counted for quarter in quarters),
        began,
        tuple((each.began + QUARTER, each.credits_left) for each in quarters if each.credits_left is not None),
    )


def credits_until(chart: Chart, left: int | None, reserve: int, now: float) -> float | None:
    """When only the reserve will be left of ``left`` credits, at the pace of the last two hours; ``None``: not known.

    All clients of the organisation are in that pace. Unix seconds, to five minutes, so that it does not flicker.
    """
    if left is None or left <= reserve:  # what holds calls back says so then
        return None
    began, first = now, left
    for at, number in reversed(chart.credits):
        if now - at > _LATELY or number < first:  # before that they came back
            break
        began, first = at, number
    if first == left or now - began < _ABOUT:
        return None
    return round((now + (left - reserve) * (now - began) / (first - left)) / _ABOUT) * _ABOUT


def _column(quarter: Quarter, x: int, highest: int) -> QuarterColumn:
    parts, top, outcomes = [], float(HEIGHT), quarter.counted.outcomes
    for kind in KINDS:
        if number := outcomes.get(kind, 0):
            height = max(1.0, HEIGHT * number / highest)
            top -= height
            parts.append(Block(kind, x, round(max(0.0, top), 1), round(height, 1)))
    return QuarterColumn(quarter.began, x, tuple(parts), _in_words(outcomes))


def _in_words(numbers: dict[str, int]) -> str:
    ranked = sorted(numbers.items(), key=lambda each: -each[1])
    return ", ".join(f"{number:,} {name}" for name, number in ranked if number)


def sum_in_words(counted: Counted) -> str:
    """How many leads ended, and how, for people."""
    outcomes = counted.outcomes
    total = sum(outcomes.values())
    return f"{number_of(total, 'lead')} ended{f' ({_in_words(outcomes)})' if total else ''}"
