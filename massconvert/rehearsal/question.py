"""What a question is: data and one function. What it saw is a few named values, each judged by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from massconvert.model import Call
from massconvert.rehearsal.stage import Stage

#: What a question has seen, by the names of its points. A text that begins with "not seen" says why there is none.
Seen: TypeAlias = dict[str, Any]
NOT_SEEN = "not seen"
#: What massconvert assumes where it works either way.
UNKNOWN = "-"


def anything(_value: Any, _version: int) -> bool:
    """Massconvert assumes nothing."""
    return True


@dataclass(frozen=True)
class Point:
    """One thing that a question finds out.

    ``fits`` says of a value, and the version of the API, whether it is what massconvert ``assumes``; ``means`` is what
    a difference comes to, and ``setting`` what to set then: a variable, or nothing.
    """

    name: str
    asked: str
    assumes: str = UNKNOWN
    fits: Callable[[Any, int], bool] = anything
    means: str = ""
    setting: str = ""

    def judge(self, value: Any, version: int) -> bool | None:
        """Whether it fits; ``None`` where nothing was seen."""
        if value is None or (isinstance(value, str) and value.startswith(NOT_SEEN)):
            return None
        try:
            return bool(self.fits(value, version))
        except (TypeError, ValueError):
            return False


@dataclass(frozen=True)
class Question:
    """A question; ``uses`` are records that must have been made, ``after`` questions that must have been asked.

    ``calls`` is about how many calls of each kind it makes, ``ask`` makes them and says what was seen.
    """

    number: int
    title: str
    points: tuple[Point, ...]
    ask: Callable[[Stage], Seen]
    uses: tuple[str, ...] = ()
    after: tuple[int, ...] = ()
    calls: Mapping[Call, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """What its calls are noted under."""
        return str(self.number)


def any_of(*values: Any) -> Callable[[Any, int], bool]:
    """One of these fits."""
    return lambda value, _version: value in values


def at_most(limit: float) -> Callable[[Any, int], bool]:
    """A number up to this fits."""
    return lambda value, _version: float(value) <= limit


def none_seen(points: Iterable[Point], why: str) -> Seen:
    """What a question has seen that could not be asked."""
    return {point.name: f"{NOT_SEEN}: {why}" for point in points}
