"""COQL as far as criteria need it: one SELECT on a module with comparisons, and/or, in, like, null, order, limit.

Sources: Zoho's pages on COQL, its limits and its possible errors. The grammar is theirs where it is narrow: conditions
are grouped in pairs, a WHERE there must be, a text takes no ``>``, a boolean only ``=``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from massconvert.simulator.fields import FIELDS, kind_of
from massconvert.simulator.messages import RefusedError
from massconvert.simulator.rules import Rules

USUAL_ROWS, MOST_CRITERIA = 200, 25
#: The most rows of a call and of all pages together, from v8 on, and before it.
MOST_ROWS, MOST_ROWS_BEFORE = (2000, 100_000), (200, 10_000)

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\")|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<sign>[<>!]=|[=<>(),*])|(?P<word>[A-Za-z$!][\w.$>-]*))"
)
#: What a field of a row holds, by its name.
Values = Callable[[str], Any]
#: Comparators by the type of a field (Zoho: "Supported Field Types and Operators").
_ORDERED = frozenset({"=", "!=", "<", ">", "<=", ">=", "in", "not in", "is", "between", "not between"})
_COMPARATORS = {
    "id": _ORDERED,
    "number": _ORDERED,
    "datetime": _ORDERED,
    "text": frozenset({"=", "!=", "in", "not in", "is", "like", "not like"}),
    "boolean": frozenset({"="}),
}


@dataclass(frozen=True)
class Condition:
    """A comparison; texts are compared as ``alike`` makes them."""

    column: str
    comparator: str
    values: list[Any]
    alike: Callable[[Any], Any]

    def __call__(self, held: Values) -> bool:
        """Whether a row meets it."""
        has = held(self.column)
        if self.comparator in ("is", "is not"):
            return (has is None) != (self.comparator == "is not")
        if has is None:
            return False
        negated = self.comparator.startswith("not ") or self.comparator == "!="
        return _POSITIVE[self.comparator.removeprefix("not ")](self.alike(has), self.values) != negated


@dataclass(frozen=True)
class Pair:
    """Two conditions with ``and`` or ``or`` between them."""

    word: str
    left: Condition | Pair
    right: Condition | Pair

    def __call__(self, held: Values) -> bool:
        """Whether a row meets them."""
        if self.word == "and":
            return self.left(held) and self.right(held)
        return self.left(held) or self.right(held)


@dataclass
class Query:
    """A parsed query. ``count`` is COUNT(id) instead of rows."""

    test: Condition | Pair
    module: str
    columns: list[str] = field(default_factory=list)
    count: bool = False
    order: str = "id"
    descending: bool = False
    limit: int = USUAL_ROWS
    offset: int = 0

    def narrow(self) -> tuple[str, list[Any]] | None:
        """A column and the texts of which every row found has one in it, if the query says so."""
        given = self.test
        tests = (given.left, given.right) if isinstance(given, Pair) and given.word == "and" else (given,)
        for test in tests:
            if not isinstance(test, Condition) or test.comparator not in ("=", "in") or "." in test.column:
                continue
            if kind_of(self.module, test.column) == "text":
                return test.column, test.values
        return None


def parse(text: str, rules: Rules, version: int) -> Query:
    """A query from its text. Raises RefusedError with Zoho's code."""
    return _Parser(list(_tokens(text, rules.query_quotes)), rules, version).query()


def _tokens(text: str, quotes: str) -> Iterator[tuple[str, str]]:
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.end() == place:
            raise _syntax("unexpected character", text[place : place + 10].strip())
        kind, found = str(match.lastgroup), str(match[str(match.lastgroup)])
        if kind == "text" and _badly_quoted(found, quotes):
            raise _syntax("unexpected quote", found[:10])
        yield kind, found
        place = match.end()


def _badly_quoted(text: str, quotes: str) -> bool:
    """Whether a quote within a text is written in a way that this organisation does not take."""
    quote, inner = text[0], text[1:-1]
    if quotes == "backslash":
        return quote in re.sub(r"\\.", "", inner)
    return quotes == "doubled" and f"\\{quote}" in inner


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: list[tuple[str, str]], rules: Rules, version: int) -> None:
        self._tokens = tokens
        self._rules = rules
        self._most_rows, self._most_offset = MOST_ROWS if version >= 8 else MOST_ROWS_BEFORE
        self._place = 0
        self._criteria = 0
        self._module = "Leads"

    def query(self) -> Query:
        if not self._take("select"):
            raise _syntax("only the select query is supported", self._here())
        words = [text.lower() if kind == "word" else "" for kind, text in self._tokens]
        after = words.index("from") + 1 if "from" in words else len(words)
        if after < len(words):
            self._module = self._tokens[after][1].lstrip("!")
        if self._module not in FIELDS:
            raise _invalid("invalid module", {"module": self._module})
        columns, count = self._columns()
        self._demand("from")
        self._word()
        if not self._take("where"):
            raise _syntax("missing clause", "where")
        query = Query(self._pair(), self._module, columns, count)
        self._rest(query)
        if self._place < len(self._tokens):
            raise _syntax("error near", self._here())
        return query

    def _columns(self) -> tuple[list[str], bool]:
        columns: list[str] = []
        count = False
        while True:
            if self._take("count"):
                self._demand("(")
                self._column()
                self._demand(")")
                count = True
            else:
                columns.append(self._column())
            if not self._take(","):
                break
        if len(set(columns)) < len(columns):
            raise RefusedError(400, "DUPLICATE_DATA", "duplicate select columns", {})
        if len(columns) > 50:
            raise RefusedError(400, "LIMIT_EXCEEDED", "select columns limit exceeded", {"limit": 50})
        return columns, count

    def _rest(self, query: Query) -> None:
        if self._take("order"):
            self._demand("by")
            query.order = self._column()
            query.descending = self._take("desc")
            if not query.descending:
                self._take("asc")
        if self._take("limit"):
            query.limit = self._number()
            if self._take(","):
                query.offset, query.limit = query.limit, self._number()
        if self._take("offset"):
            query.offset = self._number()
        if query.limit > self._most_rows:
            raise RefusedError(400, "LIMIT_EXCEEDED", "Max records limit exceeded", {"limit": self._most_rows})
        if query.offset + query.limit > self._most_offset:
            raise RefusedError(400, "LIMIT_EXCEEDED", "Max records limit exceeded", {"limit": self._most_offset})

    def _pair(self) -> Condition | Pair:
        """One condition or group, or two with one and/or between: more must be grouped in pairs."""
        left = self._term()
        for word in ("and", "or"):
            if self._take(word):
                right = self._term()
                if self._peek("and") or self._peek("or"):
                    raise _syntax("more than two criteria must be grouped in pairs, near", self._here())
                return Pair(word, left, right)
        return left

    def _term(self) -> Condition | Pair:
        if self._take("("):
            test = self._pair()
            self._demand(")")
            return test
        return self._condition()

    def _condition(self) -> Condition:
        self._criteria += 1
        if self._criteria > MOST_CRITERIA:
            raise RefusedError(400, "LIMIT_EXCEEDED", "criteria limit exceeded", {"limit": MOST_CRITERIA})
        column = self._column()
        kind, comparator = kind_of(self._module, column) or "text", self._comparator()
        if comparator not in _COMPARATORS[kind]:
            raise _invalid("invalid operator found", {"column_name": column, "operator": comparator})
        if comparator == "is":
            comparator = "is not" if self._take("not") else "is"
            self._demand("null")
            return Condition(column, comparator, [], self._alike)
        values = [self._alike(value) for value in self._values(column, comparator)]
        return Condition(column, comparator, values, self._alike)

    def _alike(self, value: Any) -> Any:
        """A text as this organisation compares it."""
        if not isinstance(value, str):
            return value
        value = value.strip() if self._rules.query_spaces == "trimmed" else value
        return value.casefold() if self._rules.query_case == "folded" else value

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
        if len(values) > self._rules.most_values:
            raise RefusedError(400, "LIMIT_EXCEEDED", "in values limit exceeded", {"limit": self._rules.most_values})
        return values

    def _value(self, column: str) -> Any:
        kind, text = self._next()
        if kind == "sign":
            raise _syntax("error near", text)
        if kind == "text":
            text = re.sub(r"\\(.)", r"\1", text[1:-1].replace(text[0] * 2, text[0]))
        return typed(self._module, column, text)

    def _column(self) -> str:
        kind, text = self._next()
        name = text.strip("'\"") if kind in ("word", "text") else ""
        if kind_of(self._module, name) is None:
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


def typed(module: str, column: str, text: str) -> Any:
    """A value of a query as its field has it. Raises RefusedError where it is of another type."""
    kind = kind_of(module, column)
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
