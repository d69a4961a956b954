"""The rows of a CSV file: which delimiter, which column has the ids, what is wrong with a row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from massconvert.errors import InputError
from massconvert.leads.ids import is_plain_id, shown
from massconvert.leads.lines import LeadLine, is_like_an_id, lead_line, tokens
from massconvert.leads.spreadsheets import OURS, ROW, restored

if TYPE_CHECKING:
    from _csv import Reader

_NAMED = 20  # columns that an error lists
LONGEST_HEADING = 1 << 16
#: What the name of a column with values for the leads' deals begins with; a field's API name follows.
DEAL = "deal."
_COLUMNS = frozenset({"id", "recordid", "leadid"})


class Heading(NamedTuple):
    """The columns of a CSV file, which of them has the ids, and which has our own names of the rows (or ``None``).

    ``deals`` are the columns with values for the leads' deals, and the fields that they name.
    """

    cells: list[str]
    ids: int
    rows: int | None
    deals: tuple[tuple[int, str], ...] = ()


def delimiter_of(first: str, name: str) -> str:
    """What separates the columns of a CSV that begins so; blank for a plain list or JSON lines."""
    if given := sep_line(first):
        return given
    if len(first) > LONGEST_HEADING or first.lstrip().startswith("{"):
        return ""
    rows = {delimiter: _cells(first, delimiter) for delimiter in ",;\t|"}
    for delimiter, cells in rows.items():
        if any(is_id_column(cell) for cell in cells):
            return delimiter
    words = [match[0] for match in tokens(first.partition("#")[0])]
    ids = sum(bool(is_like_an_id(word)) for word in words)
    most = max(rows.values(), key=len)
    # Ids beside other things are a table; so is anything with cells. A single odd word is a wrong line of a list.
    if ids < len(words) and (ids or len(most) > 1):
        raise _no_column(most, name)
    return ""


def sep_line(line: str) -> str:
    """The delimiter that a line like ``sep=;``, which is for Excel, names above the heading."""
    found = re.fullmatch(r"\s*\"?sep=(.)\"?\s*", line, re.IGNORECASE)
    return found[1] if found else ""


@lru_cache(maxsize=256)  # the keys of a million JSON objects are the same few
def is_id_column(column: str) -> bool:
    """Whether a column (or a key) of that name has the lead ids."""
    return re.sub(r"[\s_-]+", "", column).lower() in _COLUMNS


def is_ours(column: str) -> bool:
    """Whether a column is one of those that we put behind the input's own."""
    return column.strip().lower().startswith(OURS)


def is_deal(column: str) -> bool:
    """Whether a column has values for the deals of the leads: ``deal.Amount``."""
    return column.strip()[: len(DEAL)].lower() == DEAL


def read_csv(
    lines: Iterator[str], delimiter: str, before: int, name: str
) -> tuple[Heading, Iterator[tuple[LeadLine, list[str]]]]:
    """The heading, and every row that is not blank: what it says of a lead, and its cells.

    ``before`` are lines above. Raises InputError, also while the rows are read, where the file is at fault.
    """
    first = next(lines)
    if sep_line(first):
        before += 1
    else:
        lines = chain([first], lines)
    # Strict: otherwise a quote that is never closed would swallow the rest of the file in silence.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        heading = _heading(next(reader, []), name)
    except csv.Error as error:
        raise _improper(name, before, error) from None
    return heading, _rows(reader, heading, before, name)


def _rows(reader: Reader, heading: Heading, before: int, name: str) -> Iterator[tuple[LeadLine, list[str]]]:
    column, own, width, deals = heading.ids, heading.rows, len(heading.cells), heading.deals
    ended = before + reader.line_num
    try:
        for row in reader:
            # A row begins below the end of the one before it; a quoted cell may span lines.
            number, ended = ended + 1, before + reader.line_num
            value = row[column].strip() if len(row) == width else ""
            if is_plain_id(value := value.removeprefix("zcrm_")) and (own is None or row[own].endswith(value)):
                line = LeadLine(number, value, None, value)
            elif any(cell.strip() for cell in row):
                line = _odd_row(number, row, heading)
            else:
                continue
            yield (_with_deal(line, row, deals) if deals else line), row
    except csv.Error as error:
        raise _improper(name, ended, error) from None


def _with_deal(line: LeadLine, row: list[str], deals: tuple[tuple[int, str], ...]) -> LeadLine:
    return line._replace(deal=tuple((field, row[number]) for number, field in deals if number < len(row)))


def _odd_row(number: int, row: list[str], heading: Heading) -> LeadLine:
    column, width = heading.ids, len(heading.cells)
    if any(cell.strip() for cell in row[width:]):
        why = f"has {len(row)} cells where the first row has {width}; quote a cell that has the delimiter in it"
        return LeadLine(number, None, why, row[column])  # not the whole row: it may hold names and addresses
    value = row[column] if column < len(row) else ""
    if heading.rows is not None and heading.rows < len(row):
        known = restored(value, row[heading.rows])
        if known:
            return LeadLine(number, known, None, value, restored=True)
    return lead_line(number, value)


def _heading(cells: list[str], name: str) -> Heading:
    found = [number for number, cell in enumerate(cells) if is_id_column(cell)]
    if not found:
        raise _no_column(cells, name)
    if len(found) > 1:
        raise InputError(
            f"{name} has more than one column that may hold the lead ids: "
            f"{', '.join(shown(cells[number].strip()) for number in found)}.",
            hint="Rename or remove all but the one with Zoho's ids.",
        )
    own = [number for number, cell in enumerate(cells) if cell.strip().lower() == ROW]
    deals = tuple((number, cell.strip()[len(DEAL) :]) for number, cell in enumerate(cells) if is_deal(cell))
    fields = [field for _, field in deals]
    if twice := {field for field in fields if fields.count(field) > 1}:
        raise InputError(f"{name} has more than one column {DEAL}{min(twice)}.", hint="Rename or remove all but one.")
    return Heading(cells, found[0], own[0] if own else None, deals)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _no_column(cells: list[str], name: str) -> InputError:
    seen = [cell.strip() for cell in cells if not is_ours(cell)]
    listed = ", ".join(map(shown, seen[:_NAMED])) + (", …" if len(seen) > _NAMED else "")
    return InputError(
        f"{name} has no column for the lead ids; its first row has {listed or 'nothing'}.",
        hint="Name the column id, Record Id or Lead Id in the first row.",
    )


def _improper(name: str, ended: int, error: csv.Error) -> InputError:
    return InputError(
        f"{name} is not proper CSV from line {ended + 1} on ({error}).",
        hint="Often a quote that is not closed; a quote inside a quoted cell is written twice.",
    )
