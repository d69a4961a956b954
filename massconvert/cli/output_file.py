"""A file that is written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from massconvert.errors import InputError


def check_output(path: Path, *, force: bool) -> None:
    """Raise InputError where `write_output` could not write, or would overwrite without ``force``."""
    if path.is_dir():
        raise InputError(f"{path} is a directory.", hint="Name a file in it.")
    if not path.parent.is_dir():
        raise InputError(f"There is no directory {path.parent} to write {path.name} into.", hint="Make it first.")
    if not os.access(path.parent if not path.exists() else path, os.W_OK):
        raise InputError(f"{path} cannot be written: permission denied.", hint="Name another file after --output.")
    if path.is_file() and not force:
        raise InputError(f"{path} is there already.", hint="Choose another name, or add --force to replace it.")


def write_output(path: Path, lines: Iterable[str], *, force: bool = False) -> None:
    """Write ``lines`` (which bring their own ends) to a temporary file beside ``path`` and rename it when complete.

    Raises InputError when ``path`` is there (unless ``force``) or cannot be written.
    """
    check_output(path, force=force)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe cannot be replaced, only written to
            with path.open("w", encoding="utf-8", newline="") as stream:
                stream.writelines(lines)
            return
        _write_beside(path.resolve(), lines)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}.", hint="Name another file after --output."
        ) from error


def _write_beside(path: Path, lines: Iterable[str]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("x", encoding="utf-8", newline="") as stream:
            stream.writelines(lines)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
