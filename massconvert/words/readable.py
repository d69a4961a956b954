"""What of other people's words may be shown as it is, and how the rest is shown: the one rule for logs and terminals.

A message of Zoho's, a cell of a file or the argument of a stranger's task may hold escape sequences, line ends, marks
that turn the direction of writing round, or half a character. Shown raw, they move the cursor, forge a line of a log,
or end the command with an encoding error. Files and pipes get data as it is.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from copy import copy
from typing import Any

#: The longest text that is shown as it is: a stranger's message may have 16 MiB.
LONGEST = 4000
#: Half a character: UTF-8 has no bytes for it.
_HALF = re.compile("[\ud800-\udfff]")


def readable(text: str, *, lines: bool = False, longest: int | None = None) -> str:
    """``text`` on one line, with each character that is not printable written as Python writes it: ``\\x1b``.

    Printable is what `str.isprintable` says: neither a control character (C0, C1), nor a line or paragraph separator,
    nor a mark without a shape (direction, width), nor half a character. With ``lines`` line feeds stay: for texts of
    our own that have several lines. What is beyond ``longest`` characters is left out, and how much is said.
    """
    if longest is not None and len(text) > longest:
        text = f"{text[:longest]}… ({len(text) - longest:,} more characters)"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or (lines and char == "\n") else repr(char)[1:-1] for char in text)


def readable_json(text: str) -> str:
    """A JSON document, perhaps of several lines, with JSON's own escapes for what is not printable: the same data."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def whole(text: str) -> str:
    """``text`` with only half characters escaped: what a file or a pipe can carry. In JSON it is the same data."""
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def readable_error(error: BaseException) -> str:
    """What an exception says, after its type, on one line."""
    return readable(f"{type(error).__name__}: {' '.join(str(error).split())}", longest=LONGEST)


def readable_traceback(error: BaseException) -> str:
    """The traceback of an exception and of those that led to it, over several lines.

    What an exception says is one line of it, and every line is indented, so that none looks like a record of a log.
    """
    return "\n".join(_told(traceback.TracebackException.from_exception(error)))


class Readable(logging.Formatter):
    """A formatter of ours: a record is one line, and a traceback below it is indented lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        record = copy(record)
        record.msg, record.args = message_of(record), ()
        record.exc_text = None  # another handler has left it there, raw
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line without a traceback; a message of several lines becomes one."""
        record.message = readable(" ".join(record.message.split("\n")), longest=LONGEST)
        return readable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """The traceback, over several lines."""
        return readable_traceback(ei[1]) if ei[1] is not None else ""

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Where a line was logged from, where somebody asked for it."""
        return "\n".join(f"  {readable(line, longest=LONGEST)}" for line in stack_info.split("\n"))


def message_of(record: logging.LogRecord) -> str:
    """A record's message; of one that cannot be made, its parts."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - logging would print such a record by itself, as it stands
        return f"{record.msg!r} {record.args!r}"


def _told(found: traceback.TracebackException, depth: int = 0) -> list[str]:
    lines: list[str] = []
    cause = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    if cause is not None and depth < 20:  # errors in a row
        how = "This was the cause of:" if found.__cause__ is not None else "While it was handled, another came up:"
        lines += [*_told(cause, depth + 1), f"  {how}"]
    lines.append("  Traceback (most recent call last):")
    for frame in found.stack.format():
        lines += [f"  {readable(line, longest=LONGEST)}" for line in frame.rstrip("\n").split("\n")]
    last = "".join(found.format_exception_only()).rstrip("\n")
    lines.append(f"  {readable(last, longest=LONGEST)}")
    for part in getattr(found, "exceptions", None) or ():  # of a group
        lines += [f"  {line}" for line in _told(part, depth + 1)] if depth < 20 else []
    return lines
