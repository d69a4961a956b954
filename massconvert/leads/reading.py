"""The forms of a file of lead ids: CSV, a plain list, JSON lines, a JSON array. Read as a stream, value by value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from massconvert.errors import InputError
from massconvert.leads.csv_rows import read_csv, two_tables
from massconvert.leads.headings import (
    HEAD,
    LONGEST_HEADING,
    HeadingPlace,
    check_id_column,
    find_heading,
    is_like_an_id,
    is_one_number,
    only_value,
    without_digits,
)
from massconvert.leads.ids import is_plain_id
from massconvert.leads.json_values import IdKey, decoder
from massconvert.leads.lines import LeadLine, lead_line
from massconvert.leads.text import TextForm, lines_of, texts_of

_LONGEST_VALUE = 1 << 20  # of one JSON value in an array

# The first line that is neither blank nor a comment; a column may be called "#".
_first_line = re.compile(r"^[^\S\n]*(?:[^\s#]|#[,;|\t])", re.MULTILINE).search
_words = re.compile(r"[^,;|\s]+").findall
_after_value = re.compile(r"\s*([,\]])").match
_space = re.compile(r"\s*").match
_decode = decoder.raw_decode
_NOTHING = object()  # null is a value


class Table(NamedTuple):
    """A file as a table: its form, its columns, and its rows as they are read: what each says of a lead, its cells.

    ``sep`` says that a line like ``sep=;`` stands above the heading; ``ids`` is the number of the column with the ids.
    """

    form: TextForm
    delimiter: str
    sep: bool
    columns: list[str]
    ids: int
    rows: Iterator[tuple[LeadLine, list[str]]]


class _Start(NamedTuple):
    """A text from its first line that says something: its lines as far as a heading may be, how many are above it."""

    lines: list[str]
    before: int
    texts: Iterator[str]

    @property
    def is_json(self) -> bool:
        return self.lines[0].lstrip().startswith(("[", "{"))


def read_lead_ids(
    source: IO[bytes] | IO[str] | Path | str, name: str = "", *, id_column: str | None = None
) -> Iterator[LeadLine]:
    """Every value of a file in its order, as it is read.

    ``source`` is a path or an open stream (best a binary one), ``name`` is what errors call it; ``id_column`` is the
    name of the column or key with the ids, where they are called otherwise than usual. Raises InputError where
    the file itself is at fault: it cannot be read, is not text, is a CSV without a column for the ids.
    """
    check_id_column(id_column)
    with _opened(source, name) as (stream, known):
        start = _start(texts_of(stream, known))
        if start is None:
            return
        place = _place(start, known, id_column)
        if place is None:
            yield from _values(start, known, id_column)
            return
        for line, _ in read_csv(lines_of(start.texts, known), place, start.before, known, id_column)[1]:
            yield line


@contextmanager
def open_table(
    source: IO[bytes] | IO[str] | Path | str, name: str = "", *, id_column: str | None = None
) -> Iterator[Table]:
    """A file of lead ids as a table, to be read once. A file that is not CSV has one column, ``id`` or ``id_column``.

    The parameters and what is raised are those of `read_lead_ids`.
    """
    check_id_column(id_column)
    with _opened(source, name) as (stream, known):
        form = TextForm()
        start = _start(texts_of(stream, known, form))
        if start is None:
            raise InputError(f"{known} has no lead ids.", hint="Write one a line, or a CSV with a column id.")
        place = _place(start, known, id_column)
        if place is None:
            values = ((line, [line.lead_id or line.raw]) for line in _values(start, known, id_column))
            yield Table(form, ",", False, [id_column or "id"], 0, values)
        else:
            lines = (f"{line}\n" for line in lines_of(start.texts, known))  # a cell that has a line end keeps it
            heading, rows = read_csv(lines, place, start.before, known, id_column)
            yield Table(form, place.delimiter, place.sep, heading.cells, heading.ids, rows)


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
    head, before = "", 0
    first = None
    ended = False
    while not ended and (first is None or len(head) < (HEAD if "\n" in head else LONGEST_HEADING)):
        more = next(texts, None)
        ended = more is None
        head += more or ""
        if first is None and (first := _first_line(head)):
            before += head.count("\n", 0, first.start())
            head = head[first.start() :]
        elif first is None:  # whole lines that say nothing are done with
            done = head.rfind("\n") + 1
            before, head = before + head.count("\n", 0, done), head[done:]
    if first is None:
        return None
    lines = head.split("\n")
    # The last line counts when it is there as a whole.
    return _Start(lines if ended or len(lines) == 1 else lines[:-1], before, chain([head], texts))


def _place(start: _Start, name: str, wanted: str | None) -> HeadingPlace | None:
    """Where the heading of a CSV is; ``None`` for everything else."""
    return None if start.is_json else find_heading(start.lines, start.before, name, wanted)


def _values(start: _Start, name: str, wanted: str | None) -> Iterator[LeadLine]:
    key = IdKey(name, wanted)
    if start.lines[0].lstrip().startswith("["):
        return _read_array(start.texts, start.before, name, key)
    return _read_list(lines_of(start.texts, name), start.before, name, key)


# --- a plain list and JSON lines ----------------------------------------------------------------------------


def _read_list(lines: Iterable[str], before: int, name: str, key: IdKey) -> Iterator[LeadLine]:
    """A line holds one id, or an object with one; blank lines and comments are nothing."""
    below_blank, other_table = False, 0
    for number, line in enumerate(lines, before + 1):
        if is_plain_id(line):
            found = LeadLine(number, line, None, line)
        elif not (value := line.strip() if line.lstrip().startswith(("{", "[")) else only_value(line)):
            below_blank = below_blank or not line.strip()
            continue
        else:
            found = _odd_line(number, value, name, key)
            if below_blank and found.lead_id is None and without_digits(value):
                other_table = number
        if other_table and found.lead_id is not None:
            raise two_tables(name, other_table)
        below_blank = False
        yield found


def _odd_line(number: int, value: str, name: str, key: IdKey) -> LeadLine:
    if value.startswith(("{", "[")):
        try:
            return key.line(number, decoder.decode(value))
        except (ValueError, RecursionError):
            # What is in the lines below may be a part of it, and anybody's.
            raise InputError(
                f"{name}: line {number} is not JSON.", hint="Write one JSON value a line, or an array of them."
            ) from None
    found = lead_line(number, value)
    words = _words(value)
    if found.lead_id is None and len(words) > 1 and any(map(is_like_an_id, words)) and not is_one_number(value):
        why = f"has {len(words)} values; write one lead id a line, or a heading above the columns"
        return found._replace(problem=why)
    return found


# --- a JSON array -------------------------------------------------------------------------------------------


def _read_array(texts: Iterator[str], before: int, name: str, key: IdKey) -> Iterator[LeadLine]:
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
            yield key.line(number, value)
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
