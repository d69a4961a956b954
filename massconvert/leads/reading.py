"""The forms of a file of lead ids: CSV, a plain list, JSON lines, a JSON array. Read as a stream, value by value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from massconvert.errors import InputError
from massconvert.leads.csv_rows import LONGEST_HEADING, delimiter_of, is_id_column, read_csv, sep_line
from massconvert.leads.ids import is_plain_id, is_rounded, shown
from massconvert.leads.lines import LeadLine, lead_line, tokens
from massconvert.leads.text import Form, lines_of, texts_of

_LONGEST_VALUE = 1 << 20  # of one JSON value in an array
_BETWEEN = ",; \t"

_first_line = re.compile(r"^[^\S\n]*[^\s#].*", re.MULTILINE).search  # which is neither blank nor a comment
_after_value = re.compile(r"\s*([,\]])").match
_space = re.compile(r"\s*").match
_decode = json.JSONDecoder().raw_decode
_NOTHING = object()  # null is a value


class Table(NamedTuple):
    """A file as a table: its form, its columns, and its rows as they are read: what each says of a lead, its cells.

    ``sep`` says that a line like ``sep=;`` stands above the heading; ``ids`` is the number of the column with the ids.
    """

    form: Form
    delimiter: str
    sep: bool
    columns: list[str]
    ids: int
    rows: Iterator[tuple[LeadLine, list[str]]]


class _Start(NamedTuple):
    """A text up to its first line that says something: that line, how many are above it, and the text from there on."""

    line: str
    before: int
    texts: Iterator[str]


def read_lead_ids(source: IO[bytes] | IO[str] | Path | str, name: str = "") -> Iterator[LeadLine]:
    """Every value of a file in its order, as it is read.

    ``source`` is a path or an open stream (best a binary one), ``name`` is what errors call it. Raises InputError where
    the file itself is at fault: it cannot be read, is not text, is a CSV without a column for the ids.
    """
    with _opened(source, name) as (stream, known):
        start = _start(texts_of(stream, known))
        if start is None:
            return
        delimiter = _delimiter(start, known)
        if not delimiter:
            yield from _values(start, known)
            return
        for line, _ in read_csv(lines_of(start.texts, known), delimiter, start.before, known)[1]:
            yield line


@contextmanager
def open_table(source: IO[bytes] | IO[str] | Path | str, name: str = "") -> Iterator[Table]:
    """A file of lead ids as a table, to be read once. What is no CSV has one column, ``id``.

    ``source`` and what is raised are those of `read_lead_ids`.
    """
    with _opened(source, name) as (stream, known):
        form = Form()
        start = _start(texts_of(stream, known, form))
        if start is None:
            raise InputError(f"{known} has no lead ids.", hint="Write one a line, or a CSV with a column id.")
        delimiter = _delimiter(start, known)
        if delimiter:
            lines = (f"{line}\n" for line in lines_of(start.texts, known))  # a cell that has a line end keeps it
            heading, rows = read_csv(lines, delimiter, start.before, known)
            yield Table(form, delimiter, bool(sep_line(start.line)), heading.cells, heading.ids, rows)
        else:
            values = ((line, [line.lead_id or line.raw]) for line in _values(start, known))
            yield Table(form, ",", False, ["id"], 0, values)


@contextmanager
def _opened(source: IO[bytes] | IO[str] | Path | str, name: str) -> Iterator[tuple[IO[bytes] | IO[str], str]]:
    """The stream of ``source``, closed afterwards if it was opened here, and what errors call it."""
    if not isinstance(source, str | Path):
        yield source, name or str(getattr(source, "name", "the input"))
        return
    name = name or str(source)
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 - closed below; only its opening is tried here
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    with stream:
        yield stream, name


def _start(texts: Iterator[str]) -> _Start | None:
    head, first = "", None
    for text in texts:
        head += text
        first = _first_line(head)
        # A line counts when it is there as a whole, or is longer than a heading could be.
        if first and (first.end() < len(head) or len(first[0]) > LONGEST_HEADING):
            break
    if not first:
        return None
    return _Start(first[0], head.count("\n", 0, first.start()), chain([head[first.start() :]], texts))


def _delimiter(start: _Start, name: str) -> str:
    """What separates a CSV's columns; blank for everything else."""
    return "" if start.line.lstrip().startswith("[") else delimiter_of(start.line, name)


def _values(start: _Start, name: str) -> Iterator[LeadLine]:
    if start.line.lstrip().startswith("["):
        return _read_array(start.texts, start.before, name)
    return _read_list(lines_of(start.texts, name), start.before)


# --- a plain list and JSON lines ----------------------------------------------------------------------------


def _read_list(lines: Iterable[str], before: int) -> Iterator[LeadLine]:
    """A line holds an id, several, or an object with one; blank lines and comments are nothing."""
    for number, line in enumerate(lines, before + 1):
        if is_plain_id(line):
            yield LeadLine(number, line, None, line)
        else:
            yield from _odd_line(number, line.strip())


def _odd_line(number: int, line: str) -> Iterator[LeadLine]:
    if line.startswith(("{", "[")):
        try:
            yield _json_line(number, json.loads(line))
        except (ValueError, RecursionError):
            yield LeadLine(number, None, "is not JSON; write one value a line, or an array of them", line)
    elif is_rounded(line.strip(_BETWEEN)):  # before the line is split: 3,6524E+18 is one number, not two
        yield lead_line(number, line.strip(_BETWEEN))
    else:
        for match in tokens(line):
            token = match[0]
            if token.startswith("#"):
                return
            if len(token) > 1 and token[0] == token[-1] and token[0] in "\"'":
                token = token[1:-1]
            yield lead_line(number, token)


def _json_line(number: int, value: object) -> LeadLine:
    if type(value) is str and is_plain_id(value):
        return LeadLine(number, value, None, value)
    if not isinstance(value, Mapping):
        return lead_line(number, value)
    found = [key for key in value if is_id_column(key)]
    if len(found) == 1:
        return lead_line(number, value[found[0]])
    raw = json.dumps(value, ensure_ascii=False)
    names = ", ".join(map(shown, found or list(value)[:8])) or "nothing"
    why = f"has more than one id: {names}" if found else f"is an object without an id; it has {names}"
    return LeadLine(number, None, why, raw)


# --- a JSON array -------------------------------------------------------------------------------------------


def _read_array(texts: Iterator[str], before: int, name: str) -> Iterator[LeadLine]:
    """The values of the array one by one, without ever holding all of it."""
    buffer, at, number, closed = next(texts).lstrip()[1:], 0, before + 1, False
    may_close = True  # an array may be empty, but not end in a comma
    while not closed:
        found = _next_value(buffer, at, may_close=may_close)
        if found is None:
            more = next(texts, "")
            if not more or len(buffer) - at > _LONGEST_VALUE:
                raise InputError(
                    f"{name} is not a whole JSON array: it breaks off or is wrong at line {number}.",
                    hint='Write it like ["3652397000009850001", "3652397000009851001"].',
                )
            buffer, at = buffer[at:] + more, 0
            continue
        value, begin, end, closed = found
        number += buffer.count("\n", at, begin)
        if value is not _NOTHING:
            yield _json_line(number, value)
        number += buffer.count("\n", begin, end)
        at, may_close = end, False
    if buffer[at:].strip() or any(text.strip() for text in texts):
        raise InputError(f"{name} goes on after the end of its JSON array in line {number}.")


def _next_value(buffer: str, at: int, *, may_close: bool) -> tuple[Any, int, int, bool] | None:
    """The value at ``at``: itself, where it begins, where its comma or bracket ends, and whether it is the last.

    ``None`` when not all of it is there.
    """
    space = _space(buffer, at)
    begin = space.end() if space else at
    if may_close and buffer.startswith("]", begin):
        return _NOTHING, begin, begin + 1, True
    try:
        value, end = _decode(buffer, begin)
    except (ValueError, RecursionError):
        return None
    after = _after_value(buffer, end)
    return (value, begin, after.end(), after[1] == "]") if after else None
