"""The rows of a CSV file: what each says of a lead, and what is wrong with it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from massconvert.errors import InputError
from massconvert.leads.headings import HeadingPlace, ids_among, link_name, without_digits
from massconvert.leads.ids import is_plain_id, shown
from massconvert.leads.lines import LeadLine, lead_line
from massconvert.leads.spreadsheets import ROW, restored

if TYPE_CHECKING:
    from _csv import Reader

#: Characters of a cell: a mail thread in a description has 140,000. A quote that is not closed ends here.
LONGEST_CELL = 16 << 20
#: What the name of a column with values for the leads' deals begins with; a field's API name follows.
DEAL = "deal."


class Heading(NamedTuple):
    """The columns of a CSV file, which of them has the ids, and which has our own names of the rows (or ``None``).

    ``deals`` are the columns with values for the leads' deals, and the fields that they name; ``links`` those with the
    records that leads are to be linked to, and which.
    """

    cells: list[str]
    ids: int
    rows: int | None
    deals: tuple[tuple[int, str], ...] = ()
    wanted: str | None = None
    links: tuple[tuple[int, str], ...] = ()

    @property
    def named(self) -> int:
        """How many columns there are up to the last that has a name."""
        return max(number for number, cell in enumerate(self.cells, 1) if cell.strip())

    def is_again(self, row: list[str]) -> bool:
        """Whether a row repeats the heading, as files do that were put together: the columns below it are the same."""
        return [cell.strip() for cell in row] == [cell.strip() for cell in self.cells]


def is_deal(column: str) -> bool:
    """Whether a column has values for the deals of the leads: ``deal.Amount``."""
    return column.strip()[: len(DEAL)].lower() == DEAL


def read_csv(
    lines: Iterator[str], place: HeadingPlace, before: int, name: str, wanted: str | None
) -> tuple[Heading, Iterator[tuple[LeadLine, list[str]]]]:
    """The heading, and every row that is not blank: what it says of a lead, and its cells.

    ``before`` are lines of the file that are not among ``lines``. Raises InputError, also while the rows are read,
    where the file is at fault.
    """
    before += sum(1 for _ in islice(lines, place.above))
    # The limit is the process's own; Python's default of 131,072 would take a long cell for a quote not closed.
    csv.field_size_limit(max(LONGEST_CELL, csv.field_size_limit()))
    # Strict: otherwise a quote that is never closed would swallow the rest of the file in silence.
    reader = csv.reader(lines, delimiter=place.delimiter, strict=True)
    try:
        heading = _heading(next(reader, []), name, wanted)
    except csv.Error as error:
        raise _improper(name, before, error) from None
    return heading, _rows(reader, heading, before, name)


def _rows(reader: Reader, heading: Heading, before: int, name: str) -> Iterator[tuple[LeadLine, list[str]]]:
    column, own, brings = heading.ids, heading.rows, bool(heading.deals or heading.links)
    width = len(heading.cells) if not column or heading.named == len(heading.cells) else -1  # -1: each row is odd
    ended = before + reader.line_num
    below_blank, other_table = False, 0
    try:
        for row in reader:
            # A row begins below the end of the one before it; a quoted cell may span lines.
            number, ended = ended + 1, before + reader.line_num
            value = row[column].strip() if len(row) == width else ""
            if is_plain_id(value := value.removeprefix("zcrm_")) and (own is None or row[own].endswith(value)):
                line = LeadLine(number, value, None, value)
            elif not any(cell.strip() for cell in row):
                below_blank = True
                continue
            elif heading.is_again(row):
                continue
            else:
                line = _odd_row(number, row, heading, name)
                if below_blank and line.lead_id is None and without_digits("".join(row)) and line.raw.strip():
                    other_table = number
            if other_table and line.lead_id is not None:
                raise two_tables(name, other_table)
            below_blank = False
            yield (_with_brought(line, row, heading) if brings else line), row
    except csv.Error as error:
        raise _improper(name, ended, error) from None


def two_tables(name: str, line: int) -> InputError:
    """Why a file with another heading further down is refused: what is below it may be anybody's."""
    return InputError(
        f"{name}: line {line} may be the heading of another table, and there are more values below it.",
        hint="Put each table into a file of its own, or take that line away.",
    )


def _with_brought(line: LeadLine, row: list[str], heading: Heading) -> LeadLine:
    deal, link = (
        tuple((name, row[number]) for number, name in columns if number < len(row))
        for columns in (heading.deals, heading.links)
    )
    return line._replace(deal=deal, link=link)


def _odd_row(number: int, row: list[str], heading: Heading, name: str) -> LeadLine:
    column, width = heading.ids, len(heading.cells)
    value = row[column] if column < len(row) else ""
    if without_digits(value) and ids_among(row, heading.wanted):
        raise two_tables(name, number)
    if any(cell.strip() for cell in row[heading.named if column else width :]):
        why = f"has {len(row)} cells where the heading has {width}; quote a cell that has the delimiter in it"
        return LeadLine(number, None, why, value)  # not the whole row: it may hold names and addresses
    if (column or heading.deals or heading.links) and column < len(row) != width:
        # Blank cells at its end may be too many or too few, or others before; then another column's value stands here.
        why = f"has {len(row)} cells where the heading has {width}, so which cell is which cannot be known"
        return LeadLine(number, None, why, value)
    if heading.rows is not None and heading.rows < len(row):
        known = restored(value, row[heading.rows])
        if known:
            return LeadLine(number, known, None, value, restored=True)
    return lead_line(number, value)


def _heading(cells: list[str], name: str, wanted: str | None) -> Heading:
    found = ids_among(cells, wanted)
    if len(found) > 1:
        raise InputError(
            f"{name} has more than one column that may hold the lead ids: "
            f"{', '.join(shown(cells[number].strip()) for number in found)}.",
            hint="Say which it is: --id-column NAME."
            if len({cells[number].strip() for number in found}) > 1
            else "Rename or remove all but the one with the lead ids.",
        )
    own = [number for number, cell in enumerate(cells) if cell.strip().lower() == ROW]
    deals = tuple((number, cell.strip()[len(DEAL) :]) for number, cell in enumerate(cells) if is_deal(cell))
    links = tuple((number, which) for number, cell in enumerate(cells) if (which := link_name(cell)))
    names = [*(f"{DEAL}{field}" for _, field in deals), *(which for _, which in links)]
    if twice := {each for each in names if names.count(each) > 1}:
        raise InputError(f"{name} has more than one column {min(twice)}.", hint="Rename or remove all but one.")
    return Heading(cells, found[0], own[0] if own else None, deals, wanted, links)


def _improper(name: str, ended: int, error: csv.Error) -> InputError:
    return InputError(
        f"{name} is not valid CSV from line {ended + 1} on ({error}).",
        hint="Often a quote that is not closed; a quote inside a quoted cell is written twice.",
    )
