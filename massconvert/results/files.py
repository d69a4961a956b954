"""The three files, written together: all of them, under names that nobody had, or none."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from massconvert.errors import InputError
from massconvert.leads.spreadsheets import guarded_row
from massconvert.leads.text import TextForm
from massconvert.results.rows import Part

if TYPE_CHECKING:
    from typing_extensions import Self


class ResultFiles:
    """The files of ``batch_id`` in ``folder``: written beside their names, and given them by `keep`.

    ``heading`` is the first row of each; ``form`` and ``delimiter`` are how they are written, ``sep`` names the
    delimiter above the heading, for Excel. As a context manager it leaves nothing behind that was not kept.
    """

    def __init__(
        self,
        folder: Path,
        batch_id: str,
        heading: Sequence[str],
        form: TextForm,
        delimiter: str = ",",
        *,
        sep: bool = False,
    ) -> None:
        self._folder = folder
        self._batch_id = batch_id
        self._heading = heading
        self._form = form
        self._delimiter = delimiter
        self._sep = sep
        self._stack = ExitStack()
        self._streams: dict[Part, IO[str]] = {}
        self._writers: dict[Part, Any] = {}
        self.counts = dict.fromkeys(Part, 0)

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for part in Part:
                self._open(part)
        except BaseException as error:
            self._stack.close()
            if isinstance(error, OSError):
                raise self._unwritable(error) from error
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()
        if isinstance(error, OSError):
            raise self._unwritable(error) from error

    def add(self, part: Part, cells: Sequence[str]) -> None:
        """Write one row. What a spreadsheet would run is disarmed."""
        self._writers[part].writerow(guarded_row(cells))
        self.counts[part] += 1

    def keep(self) -> Mapping[Part, Path]:
        """End the files and give them free names: ``BATCH-success.csv`` and so on, else ``BATCH-success-2.csv`` …"""
        for stream in self._streams.values():
            stream.close()
        for number in count(1):
            names = {part: self._name(part, number) for part in Part}
            if self._take(names):
                return names
        raise AssertionError  # pragma: no cover - the numbers do not end

    def _take(self, names: Mapping[Part, Path]) -> bool:
        """Give all parts their names, or none: whether all were free."""
        taken: list[Part] = []
        for part, name in names.items():
            try:
                _link(self._part(part), name)
            except FileExistsError:
                for other in taken:
                    _unlink(names[other], self._part(other))
                return False
            taken.append(part)
        return True

    def _open(self, part: Part) -> None:
        path = self._part(part)
        encoding = "utf-8-sig" if self._form.mark else "utf-8"
        stream = path.open("x", encoding=encoding, newline="")
        self._stack.callback(_forget, path, stream)
        if self._sep:
            stream.write(f"sep={self._delimiter}{self._form.line_end}")
        self._streams[part] = stream
        self._writers[part] = csv.writer(stream, delimiter=self._delimiter, lineterminator=self._form.line_end)
        self._writers[part].writerow(guarded_row(self._heading))

    def _name(self, part: Part, number: int) -> Path:
        return self._folder / f"{self._batch_id}-{part.value}{f'-{number}' if number > 1 else ''}.csv"

    def _part(self, part: Part) -> Path:
        return self._folder / f".{self._batch_id}-{part.value}.{os.getpid()}.part"

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"The result files cannot be written into {self._folder}: {error.strerror or error}.",
            hint="Name another directory after --dir.",
        )


def _link(part: Path, name: Path) -> None:
    """Give a file a name that must be free."""
    try:
        os.link(part, name)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with name.open("x"):
            pass
        part.replace(name)


def _unlink(name: Path, part: Path) -> None:
    """Take the name away again."""
    if part.exists():
        name.unlink()
    else:
        name.replace(part)


def _forget(path: Path, stream: IO[str]) -> None:
    with suppress(OSError):  # a full disk, at the last flush
        stream.close()
    with suppress(OSError):
        path.unlink(missing_ok=True)
