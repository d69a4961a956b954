"""A file that is written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from massconvert.errors import InputError, MassConvertError

_ELSEWHERE = "Name another place."


@contextmanager
def about_file(file: Path | str) -> Iterator[None]:
    """Have an error that comes up meanwhile name the file that it is about, for scripts."""
    try:
        yield
    except MassConvertError as error:
        error.file = error.file or str(file)
        raise


def check_output(path: Path, *, force: bool) -> None:
    """Raise InputError where `write_output` could not write, or would overwrite without ``force``."""
    with about_file(path):
        if path.is_dir():
            raise InputError(f"{path} is a directory.", hint="Name a file in it.")
        there = path if path.exists() else next(parent for parent in path.absolute().parents if parent.exists())
        if not (there.is_dir() or there == path):
            raise InputError(f"{there} is a file and no directory, so {path} cannot be written.", hint=_ELSEWHERE)
        if not os.access(there, os.W_OK):
            raise InputError(f"{path} cannot be written: permission denied.", hint=_ELSEWHERE)
        if path.is_file() and not force:
            raise InputError(f"{path} is there already.", hint="Choose another name, or add --force to replace it.")


def write_output(path: Path, lines: Iterable[str], *, force: bool = False, mode: int = 0o666) -> None:
    """Write ``lines`` (which bring their own ends) to a temporary file beside ``path`` and rename it when complete.

    A directory that is missing is made. ``mode`` is the file's, less the umask. Raises InputError when ``path`` is
    there (unless ``force``), or cannot be written.
    """
    check_output(path, force=force)
    with about_file(path):
        try:
            if path.exists() and not path.is_file():  # a device or a pipe cannot be replaced, only written to
                with path.open("w", encoding="utf-8", newline="") as stream:
                    stream.writelines(lines)
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_beside(path.resolve(), lines, mode)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}.", hint=_ELSEWHERE) from error


def _write_beside(path: Path, lines: Iterable[str], mode: int) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(opened, "w", encoding="utf-8", newline="") as stream:
            stream.writelines(lines)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
