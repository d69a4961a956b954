"""Criteria of the Search API: ``((Lead_Status:equals:Qualified)and(Rating:equals:Active))``.

Source: Zoho's page on Search. ``equals`` finds what contains the value, as that page says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from massconvert.simulator.coql import Values, typed
from massconvert.simulator.fields import kind_of
from massconvert.simulator.messages import RefusedError

MOST_CRITERIA, MOST_FOUND, MOST_PAGE = 10, 2000, 200
_CRITERION = re.compile(r"\s*(?P<field>\w+):(?P<operator>\w+):(?P<value>(?:[^()\\]|\\.)*)")
_Test = Callable[[Values], bool]
_OPERATORS = ("equals", "not_equal", "starts_with", "in", "greater_than", "greater_equal", "less_than", "less_equal")


def parse(criteria: str) -> _Test:
    """What a lead must meet. Raises RefusedError."""
    reader = _Reader(criteria)
    test = reader.group()
    if reader.rest.strip():
        raise _invalid("invalid query formed", reader.rest.strip())
    return test


class _Reader:
    """Takes criteria apart from the left."""

    def __init__(self, criteria: str) -> None:
        self.rest = criteria.strip()
        self._criteria = 0

    def group(self) -> _Test:
        """A bracket with one criterion, or with groups and and/or between them."""
        self._demand("(")
        test = self._joined() if self.rest.startswith("(") else self._criterion()
        self._demand(")")
        return test

    def _joined(self) -> _Test:
        test = self.group()
        while match := re.match(r"\s*(and|or)\s*(?=\()", self.rest, re.IGNORECASE):
            self.rest = self.rest[match.end() :]
            test = partial(_join, match[1].lower() == "and", test, self.group())
        return test

    def _criterion(self) -> _Test:
        self._criteria += 1
        match = _CRITERION.match(self.rest)
        if match is None or self._criteria > MOST_CRITERIA:
            raise _invalid("invalid query formed", self.rest[:20])
        self.rest = self.rest[match.end() :]
        name, operator, value = match["field"], match["operator"], re.sub(r"\\(.)", r"\1", match["value"])
        if kind_of("Leads", name) is None or operator not in _OPERATORS or not value:
            raise _invalid("invalid query formed", f"{name}:{operator}")
        values = [typed("Leads", name, part) for part in (value.split(",") if operator == "in" else [value])]
        return partial(_meets, name, operator, values)

    def _demand(self, sign: str) -> None:
        self.rest = self.rest.lstrip()
        if not self.rest.startswith(sign):
            raise _invalid("invalid query formed", self.rest[:20])
        self.rest = self.rest[1:]


def _join(both: bool, left: _Test, right: _Test, held: Values) -> bool:
    return (left(held) and right(held)) if both else (left(held) or right(held))


def _meets(name: str, operator: str, values: list[Any], held: Values) -> bool:
    has, value = held(name), values[0]
    if has is None:
        return operator == "not_equal"
    if operator in ("greater_than", "greater_equal", "less_than", "less_equal"):
        same = operator.endswith("equal") and has == value
        return bool(same or (has > value if operator.startswith("greater") else has < value))
    if operator == "starts_with":
        return str(has).lower().startswith(str(value).lower())
    if operator == "in":
        return has in values
    alike = str(value).lower() in str(has).lower() if kind_of("Leads", name) == "text" else has == value
    return alike == (operator == "equals")


def _invalid(message: str, near: str) -> RefusedError:
    return RefusedError(400, "INVALID_QUERY", message, {"reason": "the criteria cannot be read", "near": near})
