"""What people read, laid out for the width of their terminal: prose, facts with their names, tables.

Nothing is cut. A name, a code, an id or a command stays on one line, so that it can be copied; where it is longer than
the line itself, it is left to the terminal. Where there is no terminal, prose is one line, as scripts are used to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

#: A command that the reader is told to give, up to where the sentence goes on.
_WORD = r"(?:'[^']*'|\"[^\"]*\"|[^\s,;'\"])+"
_COMMAND = re.compile(rf"(?:^|(?<=: )|(?<=, )|(?<=-> ))(?:massconvert|celery|redis-server)(?: {_WORD})+")
_QUOTED = re.compile(r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"])+")
#: The spaces between the columns of a table, and before what hangs below a line.
_GAP, _INDENT = 2, 2
#: With less room than this, prose goes below and not beside.
_LEAST = 20
_NOTHING = ("", "0", "-")


def wrapped(text: str, width: int, *, hanging: int = 0) -> list[str]:
    """``text`` as lines of at most ``width`` cells; all but the first begin with ``hanging`` more spaces.

    A line's own indentation is kept. A command that does not fit on a line goes on after a backslash.
    """
    return [line for whole in text.split("\n") for line in _wrapped_line(whole, width, hanging)]


def _wrapped_line(text: str, width: int, hanging: int) -> Iterator[str]:
    if cell_len(text) <= width:
        yield text
        return
    indent = text[: len(text) - len(text.lstrip(" "))]
    below = indent + " " * hanging
    line, begun = indent, False
    for piece in _pieces(text.strip(" "), width - len(below)):
        if begun and cell_len(line) + 1 + cell_len(piece) > width:
            yield line
            line, begun = below, False
        line = f"{line} {piece}" if begun else line + piece
        begun = True
        if piece.endswith(" \\"):
            yield line
            line, begun = f"{below}    ", False
    yield line


def _pieces(text: str, room: int) -> Iterator[str]:
    """What must not be broken: words, and commands that fit into ``room`` cells."""
    place = 0
    for command in _COMMAND.finditer(text):
        yield from _words(text[place : command.start()], room)
        place = command.end() + len(text[command.end() :]) - len(text[command.end() :].lstrip(",;"))
        yield from _parts(text[command.start() : place], room)
    yield from _words(text[place:], room)


def _words(text: str, room: int) -> Iterator[str]:
    for word in text.split():
        # A text without spaces, as in Japanese, may be broken anywhere; an id, a name or a URL nowhere.
        if word.isascii() or cell_len(word) <= room:
            yield word
        else:
            yield from _folded(word, max(room, 2))


def _folded(word: str, room: int) -> Iterator[str]:
    part = ""
    for char in word:
        if cell_len(part + char) > room:
            yield part
            part = ""
        part += char
    yield part


def _parts(command: str, room: int) -> Iterator[str]:
    """A command as one piece, or as several, of which all but the last end in a backslash."""
    if cell_len(command) <= room:
        yield command
        return
    part = ""
    for word in _QUOTED.findall(command):
        longer = f"{part} {word}" if part else word
        if part and cell_len(longer) > room - 6:
            yield f"{part} \\"
            part = word
        else:
            part = longer
    yield part


@dataclass(frozen=True)
class Prose:
    """A text, perhaps of several lines, that is wrapped on a terminal."""

    text: str
    style: str = ""
    hanging: int = 0

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its lines."""
        lines = wrapped(self.text, options.max_width, hanging=self.hanging) if console.is_terminal else [self.text]
        yield _text("\n".join(lines), self.style)


@dataclass(frozen=True)
class Pairs:
    """Names and what there is to say of each, one below the other."""

    rows: Sequence[tuple[str, str | Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its lines."""
        left = max(cell_len(name) for name, _ in self.rows) + _GAP
        for name, said in self.rows:
            cell = _cell(said)
            room = options.max_width - left
            lines = wrapped(cell.plain, room) if console.is_terminal else cell.plain.split("\n")
            if console.is_terminal and (room < _LEAST or _widest(lines) > room) and cell_len(cell.plain) > room:
                yield _text(name)
                for line in wrapped(cell.plain, options.max_width - _INDENT):
                    yield _text(" " * _INDENT + line, cell.style)
                continue
            for number, line in enumerate(lines):
                row = _text(f"{'' if number else name:<{left}}")
                row.append(line, cell.style)
                yield row


@dataclass(frozen=True)
class Column:
    """A column of a table. ``right``: of numbers. ``prose``: it may be wrapped, or go below its row."""

    title: str
    right: bool = False
    prose: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table. Columns that say nothing in any row are left out; where it is too wide, prose goes below its row.

    ``total`` is a last row, below a line.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[str | Text]]
    total: Sequence[str | Text] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its lines."""
        rows = [[_cell(cell) for cell in row] for row in (*self.rows, *([self.total] if self.total else []))]
        told = [place for place, _ in enumerate(self.columns) if any(row[place].plain not in _NOTHING for row in rows)]
        columns = [self.columns[place] for place in told]
        rows = [[row[place] for place in told] for row in rows]
        drawn = _Drawn(columns, rows, options.max_width)
        yield from drawn.heading()
        last = len(rows) - 1
        for number, row in enumerate(rows):
            if self.total and number == last:
                yield drawn.rule()
            yield from drawn.row(row)


class _Drawn:
    """How wide each column is, and what goes below its row."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Text]], width: int) -> None:
        self._width = width
        widths = [
            max([cell_len(column.title), *(cell_len(row[place].plain) for row in rows)])
            for place, column in enumerate(columns)
        ]
        self._columns, self._widths = columns, widths
        self._below: list[int] = []
        excess = sum(widths) + _GAP * (len(widths) - 1) - width
        prose = [place for place, column in enumerate(columns) if column.prose]
        if excess > 0 and prose:
            last = prose[-1]
            least = max(_LEAST, max((_widest(row[last].plain.split()) for row in rows), default=0))
            if widths[last] - excess >= least:
                widths[last] -= excess
                excess = 0
        # First only the last goes below, and what is short stays.
        for below in (prose[-1:], prose):
            if excess > 0:
                self._below = below
                excess = sum(self._widths[place] + _GAP for place in self._beside) - _GAP - width
        self._stacked = excess > 0  # not even the others fit beside each other

    @property
    def _beside(self) -> list[int]:
        return [place for place, _ in enumerate(self._columns) if place not in self._below]

    def heading(self) -> Iterator[Text]:
        if not self._stacked:
            titles = [Text(self._columns[place].title, "bold") for place in self._beside]
            yield self._line(titles)
            yield self.rule()

    def rule(self) -> Text:
        whole = sum(self._widths[place] + _GAP for place in self._beside) - _GAP
        return _text("─" * max(1, min(self._width, whole)))

    def row(self, cells: Sequence[Text]) -> Iterator[Text]:
        if self._stacked:
            yield _text(cells[0].plain, cells[0].style)
            told = list(zip(self._columns, cells, strict=True))[1:]
            rest = ", ".join(f"{column.title} {cell.plain}" for column, cell in told if cell.plain)
            yield from self._hanging(rest)
            return
        beside = [cells[place] for place in self._beside]
        folded = [
            wrapped(cell.plain, width) if self._columns[place].prose else [cell.plain]
            for place, cell, width in zip(self._beside, beside, self._kept_widths(), strict=True)
        ]
        for number in range(max(map(len, folded))):
            yield self._line(
                [
                    Text(lines[number] if number < len(lines) else "", cell.style)
                    for lines, cell in zip(folded, beside, strict=True)
                ]
            )
        yield from self._hanging(": ".join(cells[place].plain for place in self._below if cells[place].plain))

    def _hanging(self, text: str) -> Iterator[Text]:
        for line in wrapped(text, self._width - _INDENT) if text else ():
            yield _text(" " * _INDENT + line)

    def _kept_widths(self) -> list[int]:
        return [self._widths[place] for place in self._beside]

    def _line(self, cells: Sequence[Text]) -> Text:
        line = Text(no_wrap=True, overflow="ignore")
        for place, cell, width in zip(self._beside, cells, self._kept_widths(), strict=True):
            padding = " " * (width - cell_len(cell.plain))
            line.append(" " * _GAP if len(line) else "")
            line.append(padding if self._columns[place].right else "")
            line.append(cell.plain, cell.style)
            line.append("" if self._columns[place].right else padding)
        line.rstrip()
        return line


def _cell(cell: str | Text) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)


def _text(plain: str, style: object = "") -> Text:
    return Text(plain, style, no_wrap=True, overflow="ignore")  # type: ignore[arg-type]  # a Text's own style


def _widest(lines: Sequence[str]) -> int:
    return max(map(cell_len, lines), default=0)
