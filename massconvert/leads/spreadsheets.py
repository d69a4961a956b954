"""What a spreadsheet does to the cells of a file: it runs formulas, and it rounds ids.

A cell that would run is disarmed on its way out. An id that was rounded is known again by a column of ours beside it,
``mc_row``: ``BATCH:ID`` is a text to every spreadsheet, so its digits stay (docs/decisions).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from massconvert.leads.headings import OURS
from massconvert.leads.ids import is_plain_id, is_rounded

#: The column that an id can be restored from.
ROW = f"{OURS}row"

# A cell that begins so is a formula.
_FORMULA = frozenset("=+-@\t\r\n")
# Amounts and telephone numbers: nothing in them can be called, and they are data of somebody who wants them back.
_is_number = re.compile(r"[+-][0-9 ()./,-]*").fullmatch
# Digits that a spreadsheet keeps of a number.
_KEPT = 15


def guarded(cell: str) -> str:
    """``cell`` so that no spreadsheet runs it: one that it would take for a formula begins with ``'``.

    Guarding twice changes nothing more, so a file may go round as often as it likes.
    """
    return f"'{cell}" if cell[:1] in _FORMULA and not _is_number(cell) else cell


def guarded_row(cells: Sequence[str]) -> Sequence[str]:
    """All of a row's cells, guarded."""
    for cell in cells:
        if cell[:1] in _FORMULA:
            return [guarded(cell) for cell in cells]
    return cells


def row_name(batch_id: str, lead_id: str) -> str:
    """What ``mc_row`` says of a lead in a batch."""
    return f"{batch_id}:{lead_id}"


def restored(value: str, row: str) -> str | None:
    """The lead id that ``row`` (a cell of ``mc_row``) names, if ``value`` is what a spreadsheet has made of it.

    ``None`` if not: an id that somebody has put in its place stands.
    """
    lead_id = row.strip().rpartition(":")[2]
    value = value.strip()
    return lead_id if is_plain_id(lead_id) and value != lead_id and _is_made_of(value, lead_id) else None


def _is_made_of(value: str, lead_id: str) -> bool:
    whole = re.sub(r"\.0*$", "", value)
    if whole.isascii() and whole.isdigit():
        return len(whole) < 40 and int(whole) in _made_of(int(lead_id))
    if not is_rounded(value) or len(value) > 40:
        return False
    number = Decimal(value.replace(",", "."))
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or not 0 < exponent < len(lead_id):
        return False
    return int(number) in _cut(int(lead_id), 10**exponent)


def _made_of(lead_id: int) -> set[int]:
    """What becomes of an id in a column of numbers, written out in full."""
    return {
        *_cut(lead_id, 10 ** max(0, len(str(lead_id)) - _KEPT)),  # spreadsheets
        int(float(lead_id)),  # a float's exact value: pandas
        int(Decimal(repr(float(lead_id)))),  # its shortest form: JavaScript
    }


def _cut(number: int, unit: int) -> tuple[int, int]:
    """``number`` cut off, and rounded, to whole units."""
    return number // unit * unit, (number + unit // 2) // unit * unit
