"""``massconvert options init`` and ``check``: an options file from the live organisation, and against it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from massconvert.cli.account import command_settings
from massconvert.cli.commands import Group
from massconvert.cli.console import print_json, print_lines, say, told_by_us
from massconvert.cli.inputs import read_json
from massconvert.cli.interview import confirmed, interview
from massconvert.cli.live import live_organisation
from massconvert.cli.live_options import check_live, unread_words
from massconvert.cli.output_file import check_output, write_output
from massconvert.contract import Exit
from massconvert.errors import InputError, OptionsError, ZohoError
from massconvert.options import Options, Problem, demand
from massconvert.steps.check import Checked, check, is_away, why
from massconvert.steps.ports import Ports
from massconvert.words.next_command import next_command
from massconvert.words.readable import readable_json

_INIT = """\b
Examples:
  massconvert options init --output options.json                        asks, with what there is to choose from
  massconvert options init --deal-name Renewal --stage Qualification --assign-to ann@example.com --tag Contacts
\b
Without --output the JSON goes to stdout. Names are written as names; they are looked up when they are used."""
_CHECK = """\b
Example:
  massconvert options check options.json
\b
Exit status: 0 ok (warnings are no problems), 2 wrong options, 3 settings, Redis or Zoho not reachable."""


def register(app: typer.Typer) -> None:
    """Add the group and its commands."""
    group = Group(
        name="options",
        help="Write an options file from the live organisation, or check one against it.",
        no_args_is_help=True,
    )
    group.command("init", epilog=_INIT)(_init)
    group.command("check", epilog=_CHECK)(_check)
    app.add_typer(group)


# --- init -------------------------------------------------------------------------------------------------


def _init(
    deal_name: Annotated[str | None, typer.Option(metavar="NAME", help="The name of each deal.")] = None,
    pipeline: Annotated[str | None, typer.Option(metavar="P", help="Its pipeline.")] = None,
    stage: Annotated[str | None, typer.Option(metavar="S", help="Its stage.")] = None,
    closing_date: Annotated[
        str, typer.Option(metavar="DATE", help="2026-12-24, or +30d for days from when it is sent.")
    ] = "+30d",
    field: Annotated[
        list[str] | None, typer.Option(metavar="API_NAME=VALUE", help="A further field of the deal; may be repeated.")
    ] = None,
    assign_to: Annotated[
        str | None, typer.Option(metavar="USER", help="An e-mail address, a full name or an id.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="MODULE", help="Where the lead's tags go; may be repeated.")
    ] = None,
    attachments: Annotated[str | None, typer.Option(metavar="MODULE", help="Where its attachments go.")] = None,
    related: Annotated[
        list[str] | None,
        typer.Option(metavar="MODULE", help="Tasks, Events, Calls that change their owner; may be repeated."),
    ] = None,
    portal_user_type: Annotated[str | None, typer.Option(metavar="TYPE", help="The new contact's.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="O.json", help="Where it goes.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Write an options file, by asking or from flags.

    Without a flag that says what is wanted, it asks.
    """
    if output is not None:
        check_output(output, force=force)
    given: dict[str, Any] = {
        "assign_to": assign_to,
        "carry_over_tags": tag,
        "move_attachments_to": attachments,
        "related_modules": related,
        "portal_user_type": portal_user_type,
    }
    deal = {"Deal_Name": deal_name, "Pipeline": pipeline, "Stage": stage, **dict(map(_pair, field or ()))}
    if any(value is not None for value in deal.values()):
        given = {"Deals": {**deal, "Closing_Date": closing_date}, **given}
    if not any(given.values()) and not sys.stdin.isatty():
        raise InputError(
            "There is no terminal to ask on.", hint="Give flags, for example: --deal-name, --stage, --assign-to."
        )
    with live_organisation() as ports:
        asked = not any(given.values())
        given = interview(ports) if asked else given
        body = {key: value for key, value in given.items() if value}
        if "Deals" in body:
            body["Deals"] = {key: value for key, value in body["Deals"].items() if value is not None}
        _demand_right(ports, body)
    text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        print_lines(text.splitlines(keepends=True), readable_json)
        return
    if asked and not confirmed(text):
        say("Nothing was written.")
        return
    write_output(output, [text], force=force)
    use = next_command("enqueue", "leads.csv", "--options", str(output), account=command_settings().account)
    say(f"written to {output}. To use it: {use}")


def _demand_right(ports: Ports, value: Mapping[str, Any]) -> None:
    """Raise OptionsError with every problem at once: those that need no Zoho, and those that only Zoho can tell."""
    body, problems, _ = _parsed(value)
    if not problems:
        check_live(ports, Options.parse(value), enqueues=False)
        return
    with told_by_us():
        checked = check(ports, body)
    told = {problem.path for problem in problems}
    demand([*problems, *(each for each in checked.problems if each.path not in told)], "Nothing was written.")


def _pair(text: str) -> tuple[str, Any]:
    name, found, value = text.partition("=")
    if not found or not name.strip():
        raise InputError(f"--field takes API_NAME=VALUE, not {text!r}.")
    try:
        return name.strip(), json.loads(value)  # a number, true, a list; anything else is a text
    except ValueError:
        return name.strip(), value


# --- check ------------------------------------------------------------------------------------------------


def _check(
    file: Annotated[str, typer.Argument(metavar="O.json", help="The options file, or - for stdin.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Tell every problem of an options file."""
    value = read_json(file)
    body, problems, warnings = _parsed(value)
    checked = _live(body, alone=not problems)
    told = {problem.path for problem in problems}
    problems += [problem for problem in checked.problems if problem.path not in told]
    warnings += [*checked.warnings, *checked.notes]
    unread = unread_words(checked.unread)
    if as_json:
        print_json(
            {
                "ok": not problems,
                "problems": [problem._asdict() for problem in problems],
                "warnings": [warning._asdict() for warning in warnings],
                "not_checked": [{"what": what, "why": reason} for what, reason in unread.items()],
            }
        )
    else:
        lines = [f"problem: {problem.in_words}\n" for problem in problems]
        lines += [f"warning: {warning.in_words}\n" for warning in warnings]
        lines += [f"not checked: {what}: {reason}\n" for what, reason in unread.items()]
        print_lines([*lines, *([] if problems else [f"{file}: ok\n"])])
    raise typer.Exit(Exit.USAGE if problems else Exit.OK)


def _parsed(value: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[Problem], list[Problem]]:
    """The body of options, or what can be looked at of wrong ones; what is wrong without Zoho; warnings."""
    try:
        options = Options.parse(value)
    except OptionsError as error:
        problems = [Problem(*problem) for problem in error.problems]
        if not problems:
            raise
        return _the_rest(value, {problem.path for problem in problems}), problems, []
    return options.body(), [], [Problem("$", warning) for warning in options.warnings]


def _the_rest(value: Mapping[str, Any], wrong: set[str]) -> dict[str, Any]:
    """What of wrong options can be looked at nevertheless: the deal, and what stands under keys that are right."""
    right = {
        key: item
        for key, item in value.items()
        if not any(re.match(rf"\$\.{re.escape(key)}\b", path) for path in wrong)
    }
    deal = value.get("Deals")
    try:
        body = Options.parse(right).body()
    except OptionsError:  # attachments for the deal that was left out
        body = {}
    return {**({"Deals": deal} if isinstance(deal, Mapping) else {}), **body}


def _live(body: Mapping[str, Any], *, alone: bool) -> Checked:
    """What the organisation says. ``alone``: nothing else is wrong, so that nothing at all can be read is an error.

    Raises SettingsError, StoreError, and ZohoError then.
    """
    with live_organisation() as ports:
        checked = check(ports, body)
    away = next((trouble for trouble in checked.unread.values() if is_away(trouble)), None)
    if away is not None and alone and not checked.problems:
        raise ZohoError(f"Zoho cannot be asked: {why(away)}.", hint="enqueue takes the options unchecked.")
    return checked
