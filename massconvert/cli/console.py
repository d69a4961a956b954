"""How the command line speaks: data to stdout, everything else to stderr, colours only on a terminal."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from rich.console import Console

from massconvert.cli.layout import Prose
from massconvert.words.readable import readable, readable_json, whole

# Wide enough that a table in a pipe or a file is not folded as if a terminal of 80 columns were there.
_WIDTH_IN_A_PIPE = 200


def out() -> Console:
    """stdout, for data that people read."""
    return _console(stderr=False)


def err() -> Console:
    """stderr, for everything that is not data."""
    return _console(stderr=True)


def say(text: str, style: str = "") -> None:
    """A message to people, on stderr, each line ``massconvert: …`` or below one that is."""
    err().print(Prose(f"massconvert: {readable(text, lines=True)}", style))


def hint(text: str) -> None:
    """What to do next, on stderr, without a prefix."""
    err().print(Prose(readable(text, lines=True)))


def tell(text: str) -> None:
    """What a command has done, on stdout: wrapped on a terminal, else as it is."""
    console = out()
    if console.is_terminal:
        console.print(Prose(readable(text, lines=True)))
    else:
        print_lines([f"{text}\n"])


def print_json(value: Any) -> None:
    """One line of JSON on stdout."""
    print_lines([json.dumps(value, ensure_ascii=False) + "\n"], readable_json)


def print_lines(lines: Iterable[str], shown: Callable[[str], str] = readable) -> None:
    """Lines that bring their own ends, on stdout, as they come; on a terminal as ``shown`` makes them."""
    show = shown if sys.stdout.isatty() else whole
    for line in lines:
        text = line.removesuffix("\n")
        sys.stdout.write(show(text) + line[len(text) :])


def local_time(seconds: float | None) -> str:
    """A moment (Unix seconds) in this machine's time zone; a dash for none."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """A span of time for people: ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def ago(seconds: float) -> str:
    """How long ago something was, in one unit: ``12 s ago``, ``4 min ago``, ``3 h ago``, ``2 days ago``."""
    whole = max(0, int(seconds))
    for unit, length, until in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 2 * 86_400)):
        if whole < until:
            return f"{whole // length} {unit} ago"
    return f"{whole // 86_400} days ago"


@contextmanager
def told_by_us() -> Iterator[None]:
    """What the wire would log meanwhile is what the command tells itself, once."""
    wire = logging.getLogger("massconvert.zoho")
    before = wire.level
    wire.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        wire.setLevel(before)


def _console(*, stderr: bool) -> Console:
    # Made each time: the streams may have been replaced. Nothing of what is printed is markup.
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDTH_IN_A_PIPE
    return console
