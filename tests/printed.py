"""Commands that the product has printed: found in what it said, and given to its own parser."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Sequence
from contextlib import redirect_stdout
from contextvars import copy_context
from functools import cache
from itertools import pairwise
from typing import Any, get_args

import typer
import typer.main

from massconvert.cli.account import chosen_account
from massconvert.cli.app import app
from massconvert.words.next_command import Name

NAMES: tuple[str, ...] = get_args(Name)
#: A command, up to where the sentence goes on.
_COMMAND = re.compile(rf"\bmassconvert ((?:{'|'.join(NAMES)})\b(?:'[^'\n]*'|[^\n',;|`\"])*)")


def commands_in(text: str) -> list[list[str]]:
    """The words of each command in a text, as a shell would split them; what a terminal has wrapped is whole."""
    text = text.replace("\\n", "\n")  # as JSON has it
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|^Usage: .*$", "", text, flags=re.MULTILINE)
    whole = re.sub(r" \\\n +", " ", plain)
    return [shlex.split(found) for found in _COMMAND.findall(whole)]


def parse(words: Sequence[str]) -> str | None:
    """Give a command to the real parser, which runs nothing; the account that it names.

    Raises what the parser raises for what is no command, or has an option that is not there.
    """
    return copy_context().run(_parse, list(words))


@cache
def _command_line() -> Any:
    return typer.main.get_command(app)


def _parse(words: list[str]) -> str | None:
    name: str | None = "massconvert"
    command: Any = _command_line()
    context: Any = None
    while command is not None:
        try:
            with redirect_stdout(io.StringIO()):
                context = command.make_context(name, words, parent=context)
        except typer.Exit as end:
            if end.exit_code:
                raise
            break  # --help
        group = hasattr(command, "resolve_command")
        name, command, words = (
            command.resolve_command(context, [*context._protected_args, *context.args]) if group else (None, None, [])
        )
    return chosen_account()


def demand_typed(arguments: Sequence[str], said: str) -> None:
    """Every command that ``massconvert ARGUMENTS`` has printed can be typed, and is about the same account."""
    if "-h" in arguments or "--help" in arguments:
        return
    account = dict(pairwise(arguments)).get("--account")
    for words in commands_in(said):
        named = parse(words) or "default"
        assert account in (None, named) or {"demo", "-h", "--help"} & set(words), f"massconvert {shlex.join(words)}"
