"""One value of a file of lead ids, and what counts as one."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from massconvert.errors import InputError
from massconvert.leads.ids import parse_lead_id, shown


class LeadLine(NamedTuple):
    """One value of a file: its line (from 1), the lead id or else what speaks against it, and the value as found.

    ``restored`` says that a spreadsheet had rounded the id, and that our own column beside it had kept it. ``deal`` has
    the cells of a row that are for its deal, by the field, ``link`` those that name what it is to be linked to.
    """

    line: int
    lead_id: str | None
    problem: str | None
    raw: str
    restored: bool = False
    deal: tuple[tuple[str, str], ...] = ()
    link: tuple[tuple[str, Any], ...] = ()


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
