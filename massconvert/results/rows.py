"""What a result file says of a lead, and in which of the three files it stands."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import chain

from massconvert.leads.headings import OURS
from massconvert.leads.spreadsheets import ROW, guarded_row, row_name
from massconvert.model import Code, Kind, LeadRow, Outcome

#: Our columns, behind those of the input, in their order; scripts rely on them.
COLUMNS = (
    f"{OURS}outcome",
    f"{OURS}code",
    f"{OURS}message",
    f"{OURS}job_id",
    f"{OURS}contact_id",
    f"{OURS}account_id",
    f"{OURS}deal_id",
    ROW,
)


class Part(str, Enum):
    """The three files; every row stands in one of them."""

    SUCCESS = "success"  # the lead is converted, by us or before
    ERROR = "error"  # to be fixed: it failed, or its row names no lead
    UNPROCESSED = "unprocessed"  # as good as new: cancelled, waiting, left to another batch, or not in the batch


def part_of(outcome: Outcome | None) -> Part:
    """The file for a lead that ended so; ``None``: it has no outcome yet."""
    if outcome is None:
        return Part.UNPROCESSED
    if outcome.kind is Kind.FAILED:
        return Part.ERROR
    if outcome.kind is Kind.CONVERTED or outcome.code == Code.ALREADY_CONVERTED:
        return Part.SUCCESS
    # Cancelled; or another batch has it, and how it ends there nobody can say here.
    return Part.UNPROCESSED


def cells_of(outcome: Outcome | None) -> list[str]:
    """All of our cells but the last, which names the row."""
    if outcome is None:
        return [""] * (len(COLUMNS) - 1)
    return [
        outcome.kind.value,
        outcome.code,
        outcome.message,
        outcome.job_id,
        outcome.contact_id,
        outcome.account_id,
        outcome.deal_id,
    ]


def told(code: str, message: str) -> list[str]:
    """Our cells for a row of the input that names no lead of the batch: no outcome, but why."""
    return ["", code, message, "", "", "", "", ""]


def lead_cells(batch_id: str, row: LeadRow) -> list[str]:
    """Our cells for a lead of the batch."""
    # What was never an id cannot be restored from anything.
    is_id = row.outcome is None or row.outcome.code != Code.INVALID_ID
    return [*cells_of(row.outcome), row_name(batch_id, row.lead_id) if is_id else ""]


def part_lines(batch_id: str, rows: Iterable[LeadRow], part: Part) -> Iterator[str]:
    """One of the three files of a batch without its input's columns, line by line, as `write_results` writes it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    wanted = ([row.lead_id, *lead_cells(batch_id, row)] for row in rows if part_of(row.outcome) is part)
    for cells in chain([("id", *COLUMNS)], wanted):
        writer.writerow(guarded_row(cells))
        yield text.getvalue()
        text.seek(0)
        text.truncate()
