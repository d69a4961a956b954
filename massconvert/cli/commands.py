"""What every command has in common for its reader: a help that fits the terminal, with nothing cut."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from massconvert.cli.layout import wrapped

#: No help is wider than this, however wide the terminal is: in characters.
WIDEST = 110
#: What stands between an example and the words about it.
_ABOUT = re.compile(r"(?<=\S) {3,}(?=\S)")


def help_width() -> int:
    """How wide a help may be, in characters."""
    return max(20, min(shutil.get_terminal_size().columns, WIDEST))


def epilog_lines(epilog: str, width: int) -> Iterator[str]:
    """The lines of an epilog. Those that are indented are examples; the others are prose, wrapped to the width."""
    paragraphs = epilog.replace("\b\n", "\n").strip("\n").split("\n")
    for example, lines in groupby(paragraphs, lambda line: line.startswith("  ")):
        if example:
            for line in lines:
                yield from _example(line, width)
        else:
            yield from _filled(lines, width)


def _example(line: str, width: int) -> Iterator[str]:
    about = _ABOUT.search(line)
    if len(line) <= width or about is None:
        yield from wrapped(line, width)
        return
    yield from wrapped(line[: about.start()], width)
    yield from wrapped(f"      {line[about.end() :]}", width)


def _filled(lines: Iterator[str], width: int) -> Iterator[str]:
    text: list[str] = []
    for line in lines:
        if line:
            text.append(line)
        if text and (not line or line.endswith(":")):
            yield from wrapped(" ".join(text), width)
            text = []
        if not line:
            yield ""
    yield from wrapped(" ".join(text), width) if text else ()


class Helped(TyperCommand):
    """A command whose epilog is wrapped as what it is: examples and prose."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is typer's
        """Write the epilog."""
        write_epilog(self.epilog, formatter)


class PassedOn(Helped):
    """A command whose options are those of another program, and are passed on to it as they are."""

    def theirs(self, width: int) -> str:
        """The options, as that program tells them."""
        raise NotImplementedError

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse nothing but a request for help."""
        if {"-h", "--help"} & set(args):
            return super().parse_args(ctx, ["--help"])
        ctx.args = args
        return args

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is typer's
        """Write them."""
        for line in self.theirs(formatter.width).splitlines():
            formatter.write("".join(f"{part}\n" for part in wrapped(line, formatter.width)))


class HelpedGroup(TyperGroup):
    """The same for a group, whose commands are told in whole sentences."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the signature is typer's
        """Write the epilog."""
        write_epilog(self.epilog, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with the whole first sentence of its help."""
        names = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(10_000)) for name, command in names if command is not None]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def write_epilog(epilog: str | None, formatter: Any) -> None:
    """Write an epilog for the width of the help, if there is one."""
    if not epilog:
        return
    formatter.write_paragraph()
    for line in epilog_lines(epilog, help_width()):
        formatter.write(f"{line}\n" if line else "\n")


class Group(typer.Typer):
    """A group of commands with such helps."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"cls": HelpedGroup, "rich_markup_mode": None, **settings})

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Add a command, as typer does."""
        return super().command(name, **{"cls": Helped, **settings})
