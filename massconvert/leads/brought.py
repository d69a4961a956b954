"""What is known of single leads, kept outside of memory: there may be a million."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from tempfile import gettempdir
from typing import TYPE_CHECKING

from massconvert.errors import InputError

if TYPE_CHECKING:
    from sqlite3 import Connection


class Brought(Mapping[str, str]):
    """A text by lead id, in a temporary database of SQLite's (its own file, deleted when it is closed).

    There is none, and SQLite is not loaded, until something is added: most files have ids alone. Raises InputError
    where there is no room for it.
    """

    def __init__(self) -> None:
        self._database: Connection | None = None
        self._count = 0

    def add(self, lead_id: str, text: str) -> None:
        """Keep ``text``, unless there is one of that lead already: the first counts."""
        import sqlite3  # noqa: PLC0415 - a producer that has ids alone loads nothing for them

        try:
            if self._database is None:
                self._database = sqlite3.connect("", check_same_thread=False)
                self._database.execute("CREATE TABLE brought (lead INTEGER PRIMARY KEY, text TEXT NOT NULL)")
            added = self._database.execute("INSERT OR IGNORE INTO brought VALUES (?, ?)", (int(lead_id), text))
        except sqlite3.OperationalError as error:
            raise InputError(
                f"What is known of single leads cannot be kept in {gettempdir()}: {error}.",
                hint="Make room there, or set TMPDIR to another directory.",
            ) from error
        self._count += added.rowcount

    def __getitem__(self, lead_id: str) -> str:
        if self._database is not None:
            found = self._database.execute("SELECT text FROM brought WHERE lead = ?", (int(lead_id),)).fetchone()
            if found:
                return str(found[0])
        raise KeyError(lead_id)

    def __iter__(self) -> Iterator[str]:
        return (lead for lead, _ in self._rows())

    def __len__(self) -> int:
        return self._count

    def items(self) -> ItemsView[str, str]:
        """By lead id, in their order as numbers."""
        return _Items(self)

    def _rows(self) -> Iterator[tuple[str, str]]:
        if self._database is not None:
            for lead, text in self._database.execute("SELECT lead, text FROM brought ORDER BY lead"):
                yield str(lead), text

    def close(self) -> None:
        """Let go of the temporary file; safe to repeat."""
        if self._database is not None:
            self._database.close()
            self._database, self._count = None, 0


class _Items(ItemsView[str, str]):
    _mapping: Brought

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._mapping._rows()  # noqa: SLF001 - a query for all, and not one for each
