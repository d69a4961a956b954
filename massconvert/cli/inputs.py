"""What is to be converted, and into what: the lead ids and the options that a command line names."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from massconvert.cli.console import hint, say
from massconvert.cli.output_file import about_file
from massconvert.errors import InputError, OptionsError
from massconvert.leads import Leads, open_leads, parse_lead_id
from massconvert.leads.spreadsheets import ROW
from massconvert.model import OnMatch
from massconvert.options import Options, read_text
from massconvert.options.extras import EXTRAS, MATCH, ON_MATCH
from massconvert.producer.deal_values import read_deal_cells
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of

STDIN = "-"

# The parameters that enqueue and convert have in common.
LeadsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|IDS…", help="A file of lead ids (- for stdin), or the ids themselves.", show_default=False
    ),
]
FileOption = Annotated[
    str | None, typer.Option("--file", metavar="FILE", help="The file of lead ids, whatever its name.")
]
OptionsOption = Annotated[
    str | None, typer.Option("--options", metavar="O.json", help="What to convert into: the API's JSON without ids.")
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", metavar="P", help="Use the options of this profile of massconvert.toml.")
]
NoDealOption = Annotated[
    bool,
    typer.Option(
        "--no-deal", help="Convert without making a deal; needed where nothing else says what to convert into."
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", metavar="K", help="Names the batch. The same key again goes on with the same batch."),
]
OnCompleteOption = Annotated[
    list[str] | None,
    typer.Option(
        "--on-complete",
        metavar="WHOM",
        help="Call when it has finished: TASK@QUEUE, an https address, JSON. Repeatable.",
    ),
]
SkipInvalidOption = Annotated[
    bool, typer.Option("--skip-invalid", help="Leave out what is not a lead id; without it nothing is enqueued.")
]
IdColumnOption = Annotated[
    str | None,
    typer.Option(
        "--id-column",
        metavar="NAME",
        help="The heading (in JSON, the key) of the file's lead ids, where it is not id, Record Id or Lead Id.",
        show_default=False,
    ),
]
CanaryOption = Annotated[
    int | None,
    typer.Option(
        "--canary",
        metavar="N",
        help="Convert N leads first, then stop and show what became of them.",
        show_default=False,
    ),
]
CanaryMaxFailedOption = Annotated[
    float | None,
    typer.Option(
        "--canary-max-failed",
        metavar="PERCENT",
        help="Go on by itself if at most this share of the canary failed, in per cent.",
        show_default=False,
    ),
]

PreflightOption = Annotated[
    bool,
    typer.Option(
        "--preflight",
        help="Read the leads first (100 a call): unknown, converted and locked ones end before any payload.",
    ),
]


OnMatchOption = Annotated[
    OnMatch | None,
    typer.Option(
        "--on-match",
        help="Leads that match a contact or account that is there: link them, hold them, or create others.",
        show_default=False,
    ),
]


def read_leads(
    arguments: Sequence[str], file: str | None, *, skip_invalid: bool, id_column: str | None = None
) -> Leads:
    """The checked ids of the one file or of the list that the arguments name. Close them.

    ``id_column`` is the heading of a file's lead ids, where it is another than usual. What ``skip_invalid`` leaves
    out is told on stderr. Raises InputError.
    """
    source = _source(arguments, file)
    if source == STDIN and sys.stdin.isatty():
        say("reading lead ids from the terminal, one a line; Ctrl-D ends them.")
    if source is None:
        leads = open_leads(ids=[_typed_id(argument) for argument in arguments], id_column=id_column)
    else:
        with about_file(source):
            leads = open_leads(source, skip_invalid=skip_invalid, id_column=id_column, read_deal=read_deal_cells)
    if leads.invalid:
        say(f"{number_of(leads.invalid, 'value is no lead id and is', 'values are not lead ids and are')} left out:")
        hint(leads.complaint())
    if leads.restored:
        say(f"ids that a spreadsheet had rounded, restored from the column {ROW}: {leads.restored:,}")
    return leads


def input_file(arguments: Sequence[str], file: str | None) -> str | None:
    """The file that the arguments name, if it can be read a second time: neither stdin nor ids."""
    source = _source(arguments, file)
    return None if source == STDIN else source


def demand_choice(no_deal: bool, account: str, **given: str | None) -> None:
    """Raise InputError unless something says what to convert into: a conversion by omission cannot be undone.

    ``given`` are the other options that do, by their name; ``None`` where they were left out.
    """
    if no_deal or any(value is not None for value in given.values()):
        return
    ways = {"options": "--options O.json", "profile": "--profile P"}
    init = next_command("options init", "--output", "O.json", account=account)
    raise InputError(
        "Nothing says what to convert the leads into, and a conversion cannot be undone.",
        hint=f"Give {', '.join(ways[name] for name in given)}, or --no-deal to convert them without a deal.\n"
        f"To make such a file: {init}",
    )


def demand_no_deal(no_deal: bool, options: Options) -> None:
    """Raise InputError where ``options`` make a deal although there is to be none."""
    if no_deal and options.deal is not None:
        raise InputError("--no-deal is given, and the options make a deal.", hint="Leave out one of the two.")


def read_options(path: str | None, *, on_match: OnMatch | None = None) -> Options:
    """The options of a JSON file; none when there is no file. Probable slips are told on stderr.

    ``on_match`` is what the command says. A file that says by which fields leads match need not say it, too.

    Raises OptionsError with the line and column, or the path of what is wrong; InputError when the file cannot be read.
    """
    value = None if path is None else read_json(path)
    if isinstance(value, dict) and MATCH in value and on_match and value.get(ON_MATCH) in (None, OnMatch.CREATE):
        value[ON_MATCH] = on_match.value
    try:
        options = Options.parse(value)
    except OptionsError as error:
        if path is None:
            raise
        told = OptionsError(f"{path}: {error.message}", path=error.path, hint=error.hint)
        told.file = path
        told.problems = error.problems
        raise told from error
    for warning in options.warnings:
        say(warning, "yellow")
    return options


def with_ours(
    options: Options, *, preflight: bool = False, on_match: OnMatch | None = None, match: Sequence[str] = ()
) -> Options:
    """The same options, with a preflight and what is done about matches as given here. Raises OptionsError."""
    options = options.model_copy(update={"preflight": True}) if preflight else options
    if on_match is None:
        return options
    body = options.body()
    ours = {name: value for name, value in body.pop(EXTRAS, {}).items() if name not in (ON_MATCH, MATCH)}
    if on_match is not OnMatch.CREATE:
        keys = list(match or options.match)
        ours |= {ON_MATCH: on_match.value} | ({MATCH: keys} if keys else {})
    return Options.parse(body | ({EXTRAS: ours} if ours else {}))


def _source(arguments: Sequence[str], file: str | None) -> str | None:
    """The file that is meant; ``None`` when the arguments are ids."""
    if file is not None and arguments:
        raise InputError(f"Both --file {file} and {arguments[0]} are given.", hint="Give one file, or ids.")
    if file is not None:
        return file
    if not arguments:
        raise InputError("No leads are given.", hint="Name a file of lead ids, - for stdin, or the ids themselves.")
    files = [argument for argument in arguments if argument == STDIN or _is_there(argument)]
    if not files:
        return None
    if len(arguments) > 1:
        also = next((argument for argument in arguments if argument != files[0]), files[0])
        raise InputError(
            f"{files[0]} is a file, and {also} is given too.",
            hint="Give one file, or ids. Several files go through a pipe, with - as the file: cat a.txt b.txt",
        )
    if files[0] != STDIN and Path(files[0]).is_dir():
        raise InputError(f"{files[0]} is a directory.", hint="Name a file of lead ids in it.")
    return files[0]


def _is_there(argument: str) -> bool:
    return os.path.exists(argument)  # unlike Path.exists: False, and no OSError, for what cannot be a path at all


def _typed_id(argument: str) -> str:
    try:
        return parse_lead_id(argument)
    except InputError as error:
        if argument[:1].isdigit():
            raise InputError(f"{argument} is not a lead id: it {error.message}.") from error
        raise InputError(
            f"{argument} is neither a file that is there nor a lead id.",
            hint="A lead id is digits, like 3652397000009850001.",
        ) from error


def read_json(path: str) -> Mapping[str, Any]:
    """The JSON object of a file, or of stdin. Raises OptionsError with the line and column, InputError."""
    with about_file(path):
        return _read_json(path)


def _read_json(path: str) -> Mapping[str, Any]:
    try:
        text = sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"The options {path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The options {path} are not UTF-8 text.", hint="Save the file as UTF-8.") from error
    try:
        value = read_text(text)
    except OptionsError as error:
        raise OptionsError(f"{path}: {error.message}", path=error.path) from None
    if not isinstance(value, dict):
        raise OptionsError(f"{path}: not a JSON object.", path="$")
    return value
