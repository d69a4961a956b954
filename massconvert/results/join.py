"""A batch's outcomes joined to the rows of its input, by id and never by position; rows in, rows out, memory flat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from massconvert.leads import LeadLine, Table
from massconvert.leads.headings import is_ours
from massconvert.leads.spreadsheets import row_name
from massconvert.leads.text import TextForm
from massconvert.model import Code, LeadRow, Outcome
from massconvert.results.files import ResultFiles
from massconvert.results.index import OutcomeIndex
from massconvert.results.rows import COLUMNS, Part, cells_of, lead_cells, part_of, told

#: A row of the input whose lead the batch does not have.
NOT_IN_BATCH = "NOT_IN_BATCH"
#: How many leads that the input does not have are named.
NAMED = 3
_AT_ONCE = 500  # rows of the input that are looked up together


@dataclass(frozen=True)
class Results:
    """The files, the rows in each, and how many leads of the batch the input does not have, with the first of them."""

    files: Mapping[Part, Path]
    counts: Mapping[Part, int]
    not_in_input: int = 0
    for_example: tuple[str, ...] = ()


def write_results(
    batch_id: str, rows: Iterable[LeadRow], folder: Path, table: Table | None = None, *, finished: bool = True
) -> Results:
    """Write ``BATCH-success.csv``, ``BATCH-error.csv`` and ``BATCH-unprocessed.csv`` into ``folder``.

    With ``table``, the batch's input, each of its rows stands in one of them, in its order, its own columns first and
    unchanged, but for an id that a spreadsheet had rounded; without, each lead does. ``finished`` says that no lead of
    the batch is still moving. Files that are there are left alone: the new ones are called ``…-2.csv``, all three.

    Raises InputError when they cannot be written, and whatever reading raises; then nothing is left behind.
    """
    if table is None:
        with ResultFiles(folder, batch_id, ("id", *COLUMNS), TextForm()) as files:
            for row in rows:
                files.add(part_of(row.outcome), [row.lead_id, *lead_cells(batch_id, row)])
            return Results(files.keep(), files.counts)
    own = [number for number, column in enumerate(table.columns) if not is_ours(column)]
    heading = [*(table.columns[number] for number in own), *COLUMNS]
    form, delimiter, sep = table.form, table.delimiter, table.sep
    with OutcomeIndex(rows) as index, ResultFiles(folder, batch_id, heading, form, delimiter, sep=sep) as files:
        for line, cells, outcomes in _joined(table, index):
            part, ours = _judge(batch_id, line, outcomes, finished=finished)
            if line.restored and line.lead_id is not None:
                cells[table.ids] = line.lead_id
            files.add(part, [*(cells[number] if number < len(cells) else "" for number in own), *ours])
        missing, first = index.unseen(NAMED)
        return Results(files.keep(), files.counts, missing, tuple(first))


def _joined(table: Table, index: OutcomeIndex) -> Iterator[tuple[LeadLine, list[str], Mapping[str, Outcome | None]]]:
    """Each row of the input with the outcomes of it and its neighbours."""
    rows = iter(table.rows)
    while part := list(islice(rows, _AT_ONCE)):
        outcomes = index.outcomes_of([line.lead_id for line, _ in part if line.lead_id is not None])
        for line, cells in part:
            yield line, cells, outcomes


def _judge(
    batch_id: str, line: LeadLine, outcomes: Mapping[str, Outcome | None], *, finished: bool
) -> tuple[Part, list[str]]:
    """The file for a row of the input, and our cells in it."""
    if line.lead_id is None:
        return Part.ERROR, told(Code.INVALID_ID, line.problem or "")
    if line.lead_id in outcomes:
        outcome = outcomes[line.lead_id]
        return part_of(outcome), [*cells_of(outcome), row_name(batch_id, line.lead_id)]
    also = "" if finished else ", or it is on its way at this moment"
    ours = told(NOT_IN_BATCH, f"batch {batch_id} does not have this lead{also}")
    return Part.UNPROCESSED, [*ours[:-1], row_name(batch_id, line.lead_id)]
