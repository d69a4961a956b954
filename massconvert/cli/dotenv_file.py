"""The ``.env`` file as a command writes it: whole or not at all, for its user's eyes alone, all other lines kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from massconvert.cli.output_file import write_output
from massconvert.settings import read_dotenv

DOTENV = Path(".env")


def in_the_way(values: Mapping[str, str]) -> list[str]:
    """Which of these names have another value in the file already. Raises SettingsError where it cannot be read."""
    there = read_dotenv(DOTENV)
    return [name for name, value in values.items() if there.get(name, "").strip() not in ("", value)]


def write_dotenv(values: Mapping[str, str]) -> None:
    """Set these in the file, which is made where there is none. Raises InputError where it cannot be written.

    No value may need quotes: credentials and names of data centres do not.
    """
    text = DOTENV.read_text(encoding="utf-8-sig") if DOTENV.is_file() else ""
    write_output(DOTENV, _with(text, values), force=True, mode=0o600)


def _with(text: str, values: Mapping[str, str]) -> Iterator[str]:
    left, ended = dict(values), True
    for binding in parse_stream(StringIO(text)):
        line = binding.original.string
        if binding.key in values and not binding.error:
            if binding.key not in left:  # it stands there twice
                continue
            export = "export " if line.lstrip().startswith("export ") else ""
            line = f"{export}{binding.key}={left.pop(binding.key)}\n"
        ended = line.endswith("\n")
        yield line
    if left and not ended:
        yield "\n"
    for name, value in left.items():
        yield f"{name}={value}\n"
