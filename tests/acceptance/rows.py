"""Which rows of the decision table the acceptance tests take, by the workers' own log."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from massconvert.policy import Row
from tests.acceptance.house import House

_Test = TypeVar("_Test", bound=Callable[..., None])
_LINE = re.compile(r" chunk (\d+): (.+) -> (\w+), (\d+) leads$", re.MULTILINE)

#: Row → the tests that take it; filled as the tests are imported.
TAKEN: dict[Row, list[str]] = defaultdict(list)


@dataclass(frozen=True)
class Step:
    """A decision that a worker has written, as its log tells it."""

    chunk: str
    row: Row
    state: str
    leads: int


def steps(house: House) -> list[Step]:
    """The decisions since the house began to be read, in the order of each worker's log."""
    rows = {row.value: row for row in Row}
    return [Step(chunk, rows[row], state, int(leads)) for chunk, row, state, leads in _LINE.findall(house.logs())]


def takes(*rows: Row) -> Callable[[_Test], _Test]:
    """Declare that a test, whose house is its argument ``house``, takes these rows: it fails if a worker did not."""

    def declare(test: _Test) -> _Test:
        for row in rows:
            TAKEN[row].append(test.__name__)

        @functools.wraps(test)
        def checked(*args: Any, house: House, **kwargs: Any) -> None:
            test(*args, house=house, **kwargs)
            seen = {step.row for step in steps(house)}
            # Where counts do not add up, none ends a lead.
            untaken = {Row.JOB_ALL_CONVERTED} if house.behaves("counts") == "too_many" else set()
            wanted = set(rows) - untaken
            assert wanted <= seen, f"not taken: {sorted(row.value for row in wanted - seen)}"

        return checked  # type: ignore[return-value]  # the same signature, which functools.wraps keeps for pytest

    return declare
