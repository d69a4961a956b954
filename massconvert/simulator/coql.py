"""COQL as far as criteria need it: one SELECT on Leads with comparisons, and/or, in, like, null, order, limit.

Sources: Zoho's pages on COQL, its limits and its possible errors. The grammar is theirs where it is narrow: conditions
are grouped in pairs, a WHERE there must be, a text takes no ``>``, a boolean only ``=``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from massconvert.simulator.leads import FIELD_TYPES, Lead, field_value
from massconvert.simulator.messages import RefusedError

MOST_ROWS, USUAL_ROWS, MOST_OFFSET = 2000, 200, 100_000
MOST_IN, MOST_CRITERIA = 50, 25

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\")|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<sign>[<>!]=|[=<>(),*])|(?P<word>[A-Za-z$!][\w.$>-]*))"
)
_Test = Callable[[Lead, float], bool]
#: Comparators by the type of a field (Zoho: "Supported Field Types and Operators").
_ORDERED = frozenset({"=", "!=", "<", ">", "<=", ">=", "in", "not in", "is", "between", "not between"})
_COMPARATORS = {
    "id": _ORDERED,
    "number": _ORDERED,
    "datetime": _ORDERED,
    "text": frozenset({"=", "!=", "in", "not in", "is", "like", "not like"}),
    "boolean": frozenset({"="}),
}


@dataclass
class Query:
    """A parsed query. ``count`` is COUNT(id) instead of rows."""

    columns: list[str] = field(default_factory=list)
    count: bool = False
    test: _Test = lambda _lead, _as_of: True
    descending: bool = False
    limit: int = USUAL_ROWS
    offset: int = 0


def parse(text: str) -> Query:
    """A query from its text. Raises RefusedError with Zoho's code."""
    return _Parser(list(_tokens(text))).query()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.end() == place:
            raise _syntax("unexpected character", text[place : place + 10].strip())
        yield str(match.lastgroup), str(match[str(match.lastgroup)])
        place = match.end()


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._place = 0
        self._criteria = 0

    def query(self) -> Query:
        if not self._take("select"):
            raise _syntax("only the select query is supported", self._here())
        query = Query()
        self._columns(query)
        if not self._take("from"):
            raise _syntax("missing clause", "from")
        module = self._word().lstrip("!")
        if module != "Leads":
            raise _invalid("invalid module", {"module": module})
        if not self._take("where"):
            raise _syntax("missing clause", "where")
        query.test = self._pair()
        self._rest(query)
        if self._place < len(self._tokens):
            raise _syntax("error near", self._here())
        return query

    def _columns(self, query: Query) -> None:
        while True:
            if self._take("count"):
                self._demand("(")
                self._column()
                self._demand(")")
                query.count = True
            else:
                query.columns.append(self._column())
            if not self._take(","):
                break
        if len(set(query.columns)) < len(query.columns):
            raise RefusedError(400, "DUPLICATE_DATA", "duplicate select columns", {})
        if len(query.columns) > 50:
            raise RefusedError(400, "LIMIT_EXCEEDED", "select columns limit exceeded", {"limit": 50})

    def _rest(self, query: Query) -> None:
        if self._take("order"):
            self._demand("by")
            column = self._column()
            if column != "id":
                raise _invalid("the simulator orders by id only", {"column_name": column})
            query.descending = self._take("desc")
            if not query.descending:
                self._take("asc")
        if self._take("limit"):
            query.limit = self._number()
            if self._take(","):
                query.offset, query.limit = query.limit, self._number()
        if self._take("offset"):
            query.offset = self._number()
        if query.limit > MOST_ROWS:
            raise RefusedError(400, "LIMIT_EXCEEDED", "Max records limit exceeded", {"limit": MOST_ROWS})
        if query.offset + query.limit > MOST_OFFSET:
            raise RefusedError(400, "LIMIT_EXCEEDED", "Max records limit exceeded", {"limit": MOST_OFFSET})

    def _pair(self) -> _Test:
        """One condition or group, or two with one and/or between: more must be grouped in pairs."""
        left = self._term()
        for word, join in (("and", _both), ("or", _either)):
            if self._take(word):
                right = self._term()
                if self._peek("and") or self._peek("or"):
                    raise _syntax("more than two criteria must be grouped in pairs, near", self._here())
                return partial(join, left, right)
        return left

    def _term(self) -> _Test:
        if self._take("("):
            test = self._pair()
            self._demand(")")
            return test
        return self._condition()

    def _condition(self) -> _Test:
        self._criteria += 1
        if self._criteria > MOST_CRITERIA:
            raise RefusedError(400, "LIMIT_EXCEEDED", "criteria limit exceeded", {"limit": MOST_CRITERIA})
        column = self._column()
        kind, comparator = FIELD_TYPES[column], self._comparator()
        if comparator not in _COMPARATORS[kind]:
            raise _invalid("invalid operator found", {"column_name": column, "operator": comparator})
        if comparator == "is":
            negated = self._take("not")
            self._demand("null")
            return partial(_null, column, negated)
        return partial(_compare, column, comparator, self._values(column, comparator))

    def _comparator(self) -> str:
        word = self._next()[1].lower()
        return f"not {self._next()[1].lower()}" if word == "not" else word

    def _values(self, column: str, comparator: str) -> list[Any]:
        if comparator.endswith("between"):
            low = self._value(column)
            self._demand("and")
            return [low, self._value(column)]
        if not comparator.endswith("in"):
            return [self._value(column)]
        self._demand("(")
        values = [self._value(column)]
        while self._take(","):
            values.append(self._value(column))
        self._demand(")")
        if len(values) > MOST_IN:
            raise RefusedError(400, "LIMIT_EXCEEDED", "in values limit exceeded", {"limit": MOST_IN})
        return values

    def _value(self, column: str) -> Any:
        kind, text = self._next()
        if kind == "sign":
            raise _syntax("error near", text)
        if kind == "text":
            text = re.sub(r"\\(.)", r"\1", text[1:-1].replace(text[0] * 2, text[0]))
        return typed(column, text)

    def _column(self) -> str:
        kind, text = self._next()
        name = text.strip("'\"") if kind in ("word", "text") else ""
        if name not in FIELD_TYPES:
            raise _invalid("column given seems to be invalid", {"column_name": text})
        return name

    def _word(self) -> str:
        kind, text = self._next()
        if kind != "word":
            raise _syntax("error near", text)
        return text

    def _number(self) -> int:
        kind, text = self._next()
        if kind != "number" or not text.isdigit():
            raise _syntax("error near", text)
        return int(text)

    def _next(self) -> tuple[str, str]:
        if self._place >= len(self._tokens):
            raise _syntax("unexpected end", "")
        self._place += 1
        return self._tokens[self._place - 1]

    def _peek(self, word: str) -> bool:
        if self._place >= len(self._tokens):
            return False
        kind, text = self._tokens[self._place]
        return kind in ("word", "sign") and text.lower() == word

    def _take(self, word: str) -> bool:
        found = self._peek(word)
        self._place += found
        return found

    def _demand(self, word: str) -> None:
        if not self._take(word):
            raise _syntax(f"{word} is missing near", self._here())

    def _here(self) -> str:
        return self._tokens[self._place][1] if self._place < len(self._tokens) else "the end"


def typed(column: str, text: str) -> Any:
    """A value of a query as its field has it. Raises RefusedError where it is of another type."""
    kind = FIELD_TYPES[column]
    try:
        if kind == "id":
            return int(text)
        if kind == "number":
            return float(text)
    except ValueError:
        raise _invalid("value given seems to be invalid for the column", {"column_name": column}) from None
    if kind == "boolean":
        if text.lower() not in ("true", "false"):
            raise _invalid("value given seems to be invalid for the column", {"column_name": column})
        return text.lower() == "true"
    return text


def _both(left: _Test, right: _Test, lead: Lead, as_of: float) -> bool:
    return left(lead, as_of) and right(lead, as_of)


def _either(left: _Test, right: _Test, lead: Lead, as_of: float) -> bool:
    return left(lead, as_of) or right(lead, as_of)


def _null(column: str, negated: bool, lead: Lead, as_of: float) -> bool:
    return (field_value(lead, column, as_of) is None) != negated


def _compare(column: str, comparator: str, values: list[Any], lead: Lead, as_of: float) -> bool:
    has = field_value(lead, column, as_of)
    if has is None:
        return False
    negated = comparator.startswith("not ") or comparator == "!="
    return _POSITIVE[comparator.removeprefix("not ")](has, values) != negated


#: Each comparator without its negation.
_POSITIVE: dict[str, Callable[[Any, list[Any]], bool]] = {
    "=": lambda has, values: bool(has == values[0]),
    "!=": lambda has, values: bool(has == values[0]),
    "<": lambda has, values: bool(has < values[0]),
    ">": lambda has, values: bool(has > values[0]),
    "<=": lambda has, values: bool(has <= values[0]),
    ">=": lambda has, values: bool(has >= values[0]),
    "in": lambda has, values: has in values,
    "like": lambda has, values: _like(str(values[0]), str(has)),
    "between": lambda has, values: bool(values[0] <= has <= values[-1]),
}


def _like(pattern: str, text: str) -> bool:
    parts = (re.escape(part) for part in pattern.split("%"))
    return re.fullmatch(".*".join(parts), text, re.IGNORECASE | re.DOTALL) is not None


def _syntax(what: str, near: str) -> RefusedError:
    return RefusedError(400, "SYNTAX_ERROR", f"{what} {near}".strip(), {"near": near} if near else {})


def _invalid(message: str, details: dict[str, Any]) -> RefusedError:
    return RefusedError(400, "INVALID_QUERY", message, details)
