"""Which column, or key, of a file has the lead ids: known by its name and by nothing else.

A conversion cannot be undone, so nothing is taken for a lead id because it looks like one: a telephone number, an
owner's id and another lead's id look like one too.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from unicodedata import normalize

from massconvert.errors import InputError
from massconvert.leads.ids import bare, is_grouped, is_rounded, shown

_NAMED = 20  # columns that an error lists
#: Characters of a file in which its heading is looked for.
HEAD = 1 << 14
#: And of a first line at most.
LONGEST_HEADING = 1 << 16
#: What the names of our own columns in a file begin with; such columns are nobody's data.
OURS = "mc_"
_DELIMITERS = ",;\t|"
_COLUMNS = frozenset({"id", "recordid", "leadid"})
#: Of the records that the lead of a row is to be linked to.
_LINKS = {"contactid": "contact_id", "accountid": "account_id"}
#: A number of fewer digits above a heading is a count, a year or the like.
_SHORT = 10

#: Matches what is meant as an id, right or wrong.
is_like_an_id = re.compile(r"(zcrm_)?[0-9][0-9.eE+]*", re.IGNORECASE).fullmatch
_comment = re.compile(r"(?:^|\s)#.*").sub
_BETWEEN = ",;| \t"


class HeadingPlace(NamedTuple):
    """Where the heading of a CSV stands: what separates its columns, how many lines are above, whether ``sep=`` is."""

    delimiter: str
    above: int
    sep: bool


@lru_cache(maxsize=256)  # the keys of a million JSON objects are the same few
def id_name(name: str) -> str:
    """Which of the names of a lead's id a column or key has, in one spelling; blank if it is called otherwise."""
    plain = re.sub(r"[\s_-]+", "", bare(name)).lower()
    return plain if plain in _COLUMNS else ""


@lru_cache(maxsize=256)
def link_name(name: str) -> str:
    """``contact_id`` or ``account_id`` if a column or key is called so, however it is spelled; else blank."""
    return _LINKS.get(re.sub(r"[\s_-]+", "", bare(name)).lower(), "")


def ids_among(names: Sequence[str], wanted: str | None) -> list[int]:
    """The numbers of the columns or keys that have lead ids: those that are called so, or else as ``wanted`` is."""
    if wanted is None:
        return [number for number, name in enumerate(names) if id_name(name)]
    exact = [number for number, name in enumerate(names) if name.strip() == wanted.strip()]
    return exact or [number for number, name in enumerate(names) if _folded(name) == _folded(wanted)]


@lru_cache(maxsize=256)
def _folded(name: str) -> str:
    return " ".join(normalize("NFC", bare(name)).split()).casefold()


def check_id_column(wanted: str | None) -> str | None:
    """``wanted`` if it can name a column. Raises InputError."""
    if wanted is not None and not _folded(wanted):
        raise InputError("--id-column names no column.", hint="Write the heading of the column with the lead ids.")
    return wanted


def only_value(line: str) -> str:
    """A line of a plain list without its comment and what separates it from the next; blank if nothing is left.

    A separator in front stays: there a value is missing, so another one stands behind it.
    """
    return _comment("", line).rstrip(_BETWEEN).strip()


def without_digits(text: str) -> bool:
    """Whether a text says something and has no digit in it: it may be a heading, and is no id gone wrong."""
    return bool(text.strip()) and not any(map(str.isdigit, text))


def sep_line(line: str) -> str:
    """The delimiter that a line like ``sep=;``, which is for Excel, names above the heading."""
    found = re.fullmatch(r"\s*\"?sep=(.)\"?[\s,;|]*", line, re.IGNORECASE)
    return found[1] if found else ""


def find_heading(lines: Sequence[str], before: int, name: str, wanted: str | None) -> HeadingPlace | None:
    """Where the heading of a CSV that begins with ``lines`` stands; ``None`` for a plain list.

    There may be titles above. ``before`` are lines of the file that are not among ``lines``. Raises InputError when it
    is neither, and when two places may be meant.
    """
    given = sep_line(lines[0])
    top = 1 if given else 0
    found = [
        (top + above, cells, each)
        for each in given or _DELIMITERS
        for above, cells in _first(lines[top:], each, wanted)
    ]
    if not found:
        if wanted is None and not given and _is_a_value(lines[0]):
            return None
        raise _no_column(lines[top:], before + top, given, name, wanted)
    above = min(above for above, _, _ in found)
    rows = [(cells, each) for at, cells, each in found if at == above]
    wide = [each for cells, each in rows if len(cells) > 1]
    if given and not wide:  # then the line that names the delimiter may be wrong
        wide = [each for each in _DELIMITERS if each != given and len(cells_of(lines[above], each)) > 1]
        wide = [given, *wide] if wide else []
    if len(wide) > 1:
        raise InputError(
            f"{name}: line {before + above + 1} can be read in two ways, with its columns separated by "
            f"{' or by '.join(map(shown, wide))}.",
            hint="Write a line like sep=; above it that is true, or fix the heading.",
        )
    place = HeadingPlace(wide[0] if wide else rows[0][1], above, bool(given))
    _demand_titles(lines[top:above], before + top, place, name)
    return place


def _first(lines: Sequence[str], delimiter: str, wanted: str | None) -> list[tuple[int, list[str]]]:
    """The first row with a column for the lead ids, and how many lines are above it; nothing if there is none."""
    reader = csv.reader(lines, delimiter=delimiter)
    above = 0
    try:
        for cells in reader:
            if ids_among(cells, wanted):
                return [(above, cells)]
            above = reader.line_num
    except csv.Error:
        pass
    return []


def _is_a_value(line: str) -> bool:
    """Whether a line has one value that is meant as an id, right or wrong: then it is no heading."""
    value = bare(only_value(line))
    return bool(is_like_an_id(value)) or is_one_number(value)


def is_one_number(text: str) -> bool:
    """Whether a text is a single number although it has commas or blanks: 3,6524E+18, or 3,652,397."""
    return bool(is_rounded(text) or is_grouped(text))


def _demand_titles(lines: Sequence[str], before: int, place: HeadingPlace, name: str) -> None:
    """Raise InputError when one of the ``lines`` above a heading has data, which would be left out in silence."""
    for number, line in enumerate(lines, before + 1):
        cells = [value for cell in cells_of(line, place.delimiter) if (value := bare(cell))]
        data = [cell for cell in cells if is_like_an_id(cell) and (len(cells) == 1 or len(cell) >= _SHORT)]
        if data and not line.lstrip().startswith("#"):
            raise InputError(
                f"{name}: line {number} has {shown(data[0])} above the heading, which is in line "
                f"{before + len(lines) + 1}.",
                hint="Write the ids below the heading, and take away what is above it.",
            )


def cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of a line by itself; none where it is no CSV."""
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def is_ours(column: str) -> bool:
    """Whether a column is one of those that we put behind the input's own."""
    return column.strip().lower().startswith(OURS)


def _no_column(lines: Sequence[str], before: int, given: str, name: str, wanted: str | None) -> InputError:
    """What is said of a file without the column: the first row that has several cells, else its first."""
    rows = [max((cells_of(line, each) for each in given or _DELIMITERS), key=len) for line in lines[:_NAMED]]
    number = next((number for number, cells in enumerate(rows) if len(cells) > 1), 0)
    seen = [cell.strip() for cell in rows[number] if not is_ours(cell)] if rows else []
    listed = ", ".join(map(shown, seen[:_NAMED])) + (", …" if len(seen) > _NAMED else "")
    which = f"line {before + number + 1}" if number else "its first row"
    what = "for the lead ids" if wanted is None else shown(wanted)
    return InputError(
        f"{name} has no column {what}; {which} has {listed or 'nothing'}.",
        hint="Name the column id, Record Id or Lead Id in the first row, or say what it is called: --id-column NAME. "
        "Without a heading, write one lead id a line."
        if wanted is None
        else "Write after --id-column what stands above the lead ids in the file.",
    )
