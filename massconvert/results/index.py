"""Every lead of a batch with its outcome, to be looked up by id: on disk, so that a million take no memory.

The ledger keeps outcomes with their chunks and cannot say in which chunk a lead is, so its rows are read once, into a
temporary database that sqlite moves from its bounded cache to a nameless file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from massconvert.errors import InputError
from massconvert.leads.ids import is_plain_id
from massconvert.ledger.codec import dump_outcome, load_outcome
from massconvert.model import LeadRow, Outcome

if TYPE_CHECKING:
    from typing_extensions import Self

_CACHE = 16 << 10  # KiB of memory
_AT_ONCE = 5000  # leads
_TABLES = """
PRAGMA cache_size = -{cache};
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE leads (id INTEGER PRIMARY KEY, outcome INTEGER, seen INTEGER);
CREATE TABLE outcomes (number INTEGER PRIMARY KEY, text TEXT);
"""
_NONE = 0  # the number of no outcome


class OutcomeIndex:
    """The leads of a batch by id. What is not a lead id in them is left out."""

    def __init__(self, rows: Iterable[LeadRow]) -> None:
        self._base = sqlite3.connect("", isolation_level=None)
        try:
            self._base.executescript(_TABLES.format(cache=_CACHE))
            self._fill(rows)
        except sqlite3.Error as error:
            self._base.close()
            raise _no_room(error) from error
        except BaseException:
            self._base.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._base.close()

    def outcomes_of(self, lead_ids: Sequence[str]) -> Mapping[str, Outcome | None]:
        """The outcomes of those of ``lead_ids`` (some hundreds) that the batch has; ``None`` for one without."""
        ids = ",".join(lead_ids)  # digits, all of them: they have been checked
        found = self._ask(f"SELECT id, text FROM leads LEFT JOIN outcomes ON outcome = number WHERE id IN ({ids})")  # noqa: S608 - as above
        self._ask(f"UPDATE leads SET seen = 1 WHERE id IN ({ids})")  # noqa: S608 - as above
        return {str(lead): load_outcome(text, "index") if text else None for lead, text in found}

    def unseen(self, most: int) -> tuple[int, list[str]]:
        """How many leads nobody has asked for, and the first of them, at most ``most``."""
        ((count,),) = self._ask("SELECT count(*) FROM leads WHERE seen IS NULL")
        first = self._ask(f"SELECT id FROM leads WHERE seen IS NULL LIMIT {int(most)}")  # noqa: S608 - a number
        return count, [str(lead) for (lead,) in first]

    def _ask(self, question: str) -> list[tuple[Any, ...]]:
        try:
            return self._base.execute(question).fetchall()
        except sqlite3.Error as error:
            raise _no_room(error) from error

    def _fill(self, rows: Iterable[LeadRow]) -> None:
        rows, numbered = iter(rows), _Numbered()
        while part := list(islice(rows, _AT_ONCE)):
            leads = [(int(row.lead_id), numbered.of(row.outcome)) for row in part if is_plain_id(row.lead_id)]
            # A lead that moves while it is read may come twice: the later one knows more.
            self._base.execute("BEGIN")
            self._base.executemany("INSERT OR REPLACE INTO leads (id, outcome) VALUES (?, ?)", leads)
            self._base.executemany("INSERT INTO outcomes VALUES (?, ?)", numbered.take())
            self._base.execute("COMMIT")


class _Numbered:
    """Outcomes by number. The leads of a chunk share one, so that the latest few are worth remembering."""

    _REMEMBERED = 1000

    def __init__(self) -> None:
        self._known: dict[Outcome, int] = {}
        self._new: list[tuple[int, str]] = []
        self._last = _NONE

    def of(self, outcome: Outcome | None) -> int:
        if outcome is None:
            return _NONE
        number = self._known.get(outcome)
        if number is None:
            if len(self._known) >= self._REMEMBERED:
                self._known.clear()
            self._last = number = self._last + 1
            self._known[outcome] = number
            self._new.append((number, dump_outcome(outcome)))
        return number

    def take(self) -> Iterator[tuple[int, str]]:
        new, self._new = self._new, []
        return iter(new)


def _no_room(error: sqlite3.Error) -> InputError:
    return InputError(
        f"The outcomes cannot be sorted by id: {error}.",
        hint="Make room in the directory for temporary files, or set SQLITE_TMPDIR to another.",
    )
