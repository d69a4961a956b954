"""The command ``massconvert``: its commands in one place, and how it ends when something is wrong."""

from __future__ import annotations

import logging
import os
import platform
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer

from massconvert.cli import (
    convert,
    dashboard,
    demo,
    doctor,
    enqueue,
    health,
    lead,
    letters,
    login,
    match,
    metrics,
    missing,
    options,
    pause,
    profile,
    rehearse,
    report,
    retry,
    simulator,
    stats,
    status,
    webhook,
    whoami,
    worker,
)
from massconvert.cli.account import choose_account
from massconvert.cli.commands import WIDEST, Group, HelpedGroup
from massconvert.cli.console import hint, print_json, print_lines, say
from massconvert.cli.reach import a_command
from massconvert.contract import Exit
from massconvert.errors import (
    InputError,
    KeyConflictError,
    MassConvertError,
    OptionsError,
    SettingsError,
    UnknownBatchError,
    WaitTimeoutError,
)
from massconvert.settings import variables
from massconvert.words.readable import Readable, readable_traceback

#: What a wrong command line raises; typer brings its own, and exports only those that are made of it.
UsageError: Any = typer.BadParameter.__bases__[0]

_INTERRUPTED = 130  # as a shell reports SIGINT
_BROKEN_PIPE = 141  # as a shell reports SIGPIPE

_USAGE = (OptionsError, InputError, KeyConflictError, UnknownBatchError)


class Commands(HelpedGroup):
    """The group of all commands, which turns every expected error into a line or two and an exit status.

    With ``--json`` stdout has it as JSON, too.
    """

    _in_json = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        """In the order in which people need them, not by the alphabet."""
        return list(self.commands)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take ``--account`` out of the line, then parse as usual."""
        try:
            self._in_json = "--json" in args[: args.index("--") if "--" in args else None]
            return super().parse_args(ctx, choose_account(args))
        except InputError as error:
            raise self._failed(error) from None

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            with a_command():
                result = super().invoke(ctx)
                sys.stdout.flush()
        except MassConvertError as error:
            raise self._failed(error) from None
        except UsageError as error:
            error.message = error.message.removeprefix("Value error, ")  # what typer's library says of each
            if self._in_json:
                print_json({"error": {"message": error.format_message()}})
            raise
        except KeyboardInterrupt:
            say("interrupted.")
            raise typer.Exit(_INTERRUPTED) from None
        except BrokenPipeError:  # the reader of our output has closed it
            _forget_stdout()
            raise typer.Exit(_BROKEN_PIPE) from None
        except OSError as error:
            told = InputError(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}.")
            told.file = str(error.filename or "")
            end = self._failed(told)
            _forget_stdout()
            raise end from None
        return result

    def _failed(self, error: MassConvertError) -> typer.Exit:
        """Say what is wrong; how the command ends with it."""
        if self._in_json:
            with suppress(OSError):  # stdout may be what is wrong
                print_json(error_as_json(error))
        complain(error)
        return typer.Exit(exit_for(error))


app = Group(
    cls=Commands,
    help="Convert Zoho CRM leads in bulk, with one true outcome for every lead.\n\n"
    "Settings come from the environment and a .env file; docs/settings.md has them all.\n\n"
    "Every command takes --account NAME: one of the organisations in massconvert.toml (docs/accounts.md).",
    epilog="\b\nStart here:\n  massconvert demo                                  "
    "a simulated Zoho, real workers, no account needed\n  "
    "massconvert convert leads.csv --options o.json    one machine, one command",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # its tracebacks show local variables, and so might show secrets
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST},
)


def exit_for(error: MassConvertError) -> Exit:
    """The exit status for an error."""
    if isinstance(error, _USAGE):
        return Exit.USAGE
    return Exit.STILL_RUNNING if isinstance(error, WaitTimeoutError) else Exit.UNREACHABLE


def error_as_json(error: MassConvertError) -> dict[str, Any]:
    """What is wrong, for scripts: the message, and what it is about, where that is known."""
    about = ("hint", "file", "path", "lead_id", "batch", "code", "job_id")
    found: dict[str, Any] = {"message": error.message}
    found |= {name: value for name in about if (value := getattr(error, name))}
    if isinstance(error, SettingsError):
        known = variables()
        named = re.findall(r"[A-Z][A-Z0-9_]+", error.message)
        found |= {"settings": [name for name in dict.fromkeys(named) if name.partition("__")[0] in known]}
    if isinstance(error, OptionsError) and error.problems:
        found["problems"] = [{"path": path, "reason": reason} for path, reason in error.problems]
    return {"error": found}


def complain(error: MassConvertError) -> None:
    """Say on stderr what is wrong and what to do."""
    say(error.message, "red")
    if error.hint:
        hint(error.hint)


def run(arguments: Sequence[str] | None = None) -> int:
    """Parse a command line, run its command, return its exit status."""
    if logging.lastResort is not None:  # what the library logs and nobody handles goes to stderr
        logging.lastResort.setFormatter(Readable("massconvert: %(message)s"))
    try:
        app(args=None if arguments is None else list(arguments), prog_name="massconvert")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        say(str(end.code))
        return 1
    except Exception as error:  # noqa: BLE001 - a bug: its traceback, in which nothing that others wrote is obeyed
        sys.stderr.write(f"{readable_traceback(error)}\n")
        return 1
    return 0


def _forget_stdout() -> None:
    """Let the interpreter's own flush at the end go nowhere: it would fail once more, and loudly."""
    with suppress(OSError, ValueError):  # a stdout that is not a file, in a test
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        ours = version("zoho-mass-convert")
    except PackageNotFoundError:  # run from a checkout that was not installed
        ours = "(not installed)"
    others = f"Python {platform.python_version()}, Celery {version('celery')}, redis-py {version('redis')}"
    print_lines([f"massconvert {ours}\n", f"{others}\n"])
    raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "-V", "--version", callback=_show_version, is_eager=True, help="Show the versions that matter, and exit."
        ),
    ] = False,
) -> None:
    """Parse what stands before the command."""


for _room in (
    demo,
    convert,
    enqueue,
    match,
    status,
    report,
    lead,
    missing,
    dashboard,
    retry,
    letters,
    profile,
    pause,
    options,
    login,
    whoami,
    doctor,
    rehearse,
    stats,
    metrics,
    worker,
    health,
    webhook,
    simulator,
):
    _room.register(app)
