"""The forms of a file of lead ids: CSV, a plain list, JSON lines, a JSON array. Read as a stream, value by value."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import IO, Any, NamedTuple

from massconvert.errors import InputError
from massconvert.leads.ids import is_plain_id, is_rounded, parse_lead_id, shown
from massconvert.leads.text import lines_of, texts_of

_NAMED = 20  # columns that an error lists
_LONGEST_VALUE = 1 << 20  # of one JSON value in an array
_LONGEST_HEADING = 1 << 16
_COLUMNS = frozenset({"id", "recordid", "leadid"})
_BETWEEN = ",; \t"

_first_line = re.compile(r"^[^\S\n]*[^\s#].*", re.MULTILINE).search  # which is neither blank nor a comment
_token = re.compile(r"[^,;\s]+").finditer
_is_like_an_id = re.compile(r"[\"']?(zcrm_)?[0-9][0-9.eE+]*[\"']?", re.IGNORECASE).fullmatch
_after_value = re.compile(r"\s*([,\]])").match
_space = re.compile(r"\s*").match
_decode = json.JSONDecoder().raw_decode
_NOTHING = object()  # null is a value


class LeadLine(NamedTuple):
    """One value of a file: its line (from 1), the lead id or else what speaks against it, and the value as found."""

    line: int
    lead_id: str | None
    problem: str | None
    raw: str


def lead_line(number: int, value: object) -> LeadLine:
    """The slow way: a value that is not plainly an id."""
    try:
        raw = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError):  # Python's own values may be more than JSON can write
        raw = shown(value)
    try:
        return LeadLine(number, parse_lead_id(value), None, raw)
    except InputError as error:
        return LeadLine(number, None, error.message, raw)


def read_lead_ids(source: IO[bytes] | IO[str] | Path | str, name: str = "") -> Iterator[LeadLine]:
    """Every value of a file in its order, as it is read.

    ``source`` is a path or an open stream (best a binary one), ``name`` is what errors call it. Raises InputError where
    the file itself is at fault: it cannot be read, is not text, is a CSV without a column for the ids.
    """
    if not isinstance(source, str | Path):
        yield from _read(source, name or str(getattr(source, "name", "the input")))
        return
    name = name or str(source)
    try:
        stream = Path(source).open("rb")  # noqa: SIM115 - closed below; only its opening is tried here
    except (OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    with stream:
        yield from _read(stream, name)


def _read(stream: IO[bytes] | IO[str], name: str) -> Iterator[LeadLine]:
    texts = texts_of(stream, name)
    head, first = "", None
    for text in texts:
        head += text
        first = _first_line(head)
        # A line counts when it is there as a whole, or is longer than a heading could be.
        if first and (first.end() < len(head) or len(first[0]) > _LONGEST_HEADING):
            break
    if not first:
        return iter(())
    before, line = head.count("\n", 0, first.start()), first[0]
    texts = chain([head[first.start() :]], texts)
    if line.lstrip().startswith("["):
        return _read_array(texts, before, name)
    delimiter = _delimiter(line, name)
    lines = lines_of(texts, name)
    return _read_csv(lines, delimiter, before, name) if delimiter else _read_list(lines, before)


# --- CSV ----------------------------------------------------------------------------------------------------


def _delimiter(first: str, name: str) -> str:
    """What separates the columns of a CSV that begins so; blank for a plain list or JSON lines."""
    if given := _sep_line(first):
        return given
    if len(first) > _LONGEST_HEADING or first.lstrip().startswith("{"):
        return ""
    rows = {delimiter: _cells(first, delimiter) for delimiter in ",;\t|"}
    for delimiter, cells in rows.items():
        if any(_plain_name(cell) in _COLUMNS for cell in cells):
            return delimiter
    tokens = [match[0] for match in _token(first.partition("#")[0])]
    ids = sum(bool(_is_like_an_id(token)) for token in tokens)
    most = max(rows.values(), key=len)
    # Ids beside other things are a table; so is anything with cells. A single odd word is a wrong line of a list.
    if ids < len(tokens) and (ids or len(most) > 1):
        raise _no_column(most, name)
    return ""


def _sep_line(line: str) -> str:
    """The delimiter that a line like ``sep=;``, which is for Excel, names above the heading."""
    found = re.fullmatch(r"\s*\"?sep=(.)\"?\s*", line, re.IGNORECASE)
    return found[1] if found else ""


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


@lru_cache(maxsize=256)  # the keys of a million JSON objects are the same few
def _plain_name(column: str) -> str:
    return re.sub(r"[\s_-]+", "", column).lower()


def _no_column(cells: list[str], name: str) -> InputError:
    # mc_* are columns of our own, in a report that comes back.
    seen = [cell.strip() for cell in cells if not cell.strip().lower().startswith("mc_")]
    listed = ", ".join(map(shown, seen[:_NAMED])) + (", …" if len(seen) > _NAMED else "")
    return InputError(
        f"{name} has no column for the lead ids; its first row has {listed or 'nothing'}.",
        hint="Name the column id, Record Id or Lead Id in the first row.",
    )


def _id_column(header: list[str], name: str) -> int:
    found = [number for number, cell in enumerate(header) if _plain_name(cell) in _COLUMNS]
    if not found:
        raise _no_column(header, name)
    if len(found) > 1:
        raise InputError(
            f"{name} has more than one column that may hold the lead ids: "
            f"{', '.join(shown(header[number].strip()) for number in found)}.",
            hint="Rename or remove all but the one with Zoho's ids.",
        )
    return found[0]


def _read_csv(lines: Iterator[str], delimiter: str, before: int, name: str) -> Iterator[LeadLine]:
    first = next(lines)
    if _sep_line(first):
        before += 1
    else:
        lines = chain([first], lines)
    # Strict: otherwise a quote that is never closed would swallow the rest of the file in silence.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    ended = before
    try:
        header = next(reader, [])
        column, width = _id_column(header, name), len(header)
        ended = before + reader.line_num
        for row in reader:
            # A row begins below the end of the one before it; a quoted cell may span lines.
            number, ended = ended + 1, before + reader.line_num
            value = row[column].strip() if len(row) == width else ""
            if is_plain_id(value):
                yield LeadLine(number, value, None, value)
            elif any(cell.strip() for cell in row):
                yield _odd_row(number, row, column, width)
    except csv.Error as error:
        raise InputError(
            f"{name} is not proper CSV from line {ended + 1} on ({error}).",
            hint="Often a quote that is not closed; a quote inside a quoted cell is written twice.",
        ) from None


def _odd_row(number: int, row: list[str], column: int, width: int) -> LeadLine:
    if any(cell.strip() for cell in row[width:]):
        why = f"has {len(row)} cells where the first row has {width}; quote a cell that has the delimiter in it"
        return LeadLine(number, None, why, row[column])  # not the whole row: it may hold names and addresses
    return lead_line(number, row[column] if column < len(row) else "")


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
        for match in _token(line):
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
    found = [key for key in value if _plain_name(key) in _COLUMNS]
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
