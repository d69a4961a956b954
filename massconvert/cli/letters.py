"""``massconvert letters``: messages of apps that were not taken, kept for a person to see, hand back or drop."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from massconvert.cli.console import local_time, out, print_json, print_lines, say
from massconvert.cli.desk import Desk
from massconvert.cli.layout import Column, Sheet
from massconvert.cli.reach import find_desk
from massconvert.errors import InputError
from massconvert.ledger import Late, Letter
from massconvert.nudge import Nudge
from massconvert.report import utc_time
from massconvert.words.readable import readable

_EXAMPLES = """\b
Examples:
  massconvert letters                       which there are, and why
  massconvert letters --show 5f1c…          the whole message, as it came
  massconvert letters --again 5f1c…         hand one back to the workers
  massconvert letters --again all           all that were set aside, once what is wrong is fixed
  massconvert letters --drop 5f1c…          forget one, and its leads with it
\b
A message of massconvert.enqueue that cannot be taken comes back by itself. After many tries it is set
aside here, whole. One that is wrong in itself is refused, and kept here for a while.
Exit status: 0; 2 no such letter; 3 settings, Redis or broker."""

_COLUMNS = (
    Column("letter"),
    Column("state"),
    Column("since"),
    Column("tries", right=True),
    Column("leads", right=True),
    Column("key or profile", prose=True),
    Column("why", prose=True),
)
_ALL = "all"
#: How many of each kind are shown; with --json all.
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("letters", epilog=_EXAMPLES)(_letters)


def _letters(
    again: Annotated[
        list[str] | None,
        typer.Option("--again", metavar="ID", help="Hand a message back to the workers, or all that were set aside."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", metavar="ID", help="Forget a message, and its leads with it.")
    ] = None,
    show: Annotated[str | None, typer.Option("--show", metavar="ID", help="Print a whole message as JSON.")] = None,
    in_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show messages that workers could not take; hand them back, or drop them."""
    if sum(map(bool, (again, drop, show))) > 1:
        raise InputError("Give one of --again, --drop and --show.")
    desk = find_desk()
    if show:
        message = desk.ledger.letters.read(show)
        print_json({"id": message.id, "args": message.args, "kwargs": message.kwargs})
    elif again:
        _hand_back(desk, again, in_json=in_json)
    elif drop:
        _drop(desk, drop, in_json=in_json)
    else:
        _list(desk, in_json=in_json)


def _hand_back(desk: Desk, named: list[str], *, in_json: bool) -> None:
    letters = desk.ledger.letters
    ids = [letter.id for letter in letters.latest("stuck")[::-1]] if _ALL in named else list(dict.fromkeys(named))
    messages = {letter_id: letters.read(letter_id) for letter_id in ids}  # an unknown one is told before any is sent
    nudge = Nudge(desk.settings.broker_url, account=desk.settings.account)
    for letter_id, message in messages.items():
        # Sent first: who dies in between sends it once more, and that is the same batch.
        nudge.enqueue(message.id, message.args, message.kwargs)
        letters.drop(letter_id)
        if not in_json:
            print_lines([f"Letter {letter_id} is handed back; its batch is {_batch(message.id, message.kwargs)}.\n"])
    if desk.unattended and ids:
        say("no convert runs; the next one takes what is handed back.", "yellow")
    if in_json:
        print_json({"again": ids})
    elif not ids:
        print_lines(["No message is set aside.\n"])


def _batch(message_id: str, kwargs: Any) -> str:
    """The batch that a message becomes."""
    return readable(str(kwargs.get("key") or message_id))


def _drop(desk: Desk, named: list[str], *, in_json: bool) -> None:
    letters, ids = desk.ledger.letters, list(dict.fromkeys(named))
    for letter_id in ids:
        letters.read(letter_id)
    for letter_id in ids:
        letters.drop(letter_id)
        if not in_json:
            print_lines([f"Letter {letter_id} is dropped.\n"])
    if in_json:
        print_json({"dropped": ids})


def _list(desk: Desk, *, in_json: bool) -> None:
    letters = desk.ledger.letters
    stuck, refused = letters.latest("stuck"), letters.latest("refused")
    late = letters.late(now=desk.clock.now())
    if in_json:
        kept = {"set_aside": [*map(_as_json, stuck)], "refused": [*map(_as_json, refused)]}
        print_json({**kept, "late": [*map(_late, late)]})
        return
    if not (stuck or refused or late):
        print_lines(["Every message that came was taken.\n"])
        return
    rows = [_row(letter, "set aside") for letter in stuck[:_SHOWN]]
    rows += [_row(letter, "refused") for letter in refused[:_SHOWN]]
    rows += [
        [readable(one.id), "comes back", local_time(one.since), f"{one.times:,}", "", "", readable(one.why)]
        for one in late[:_SHOWN]
    ]
    out().print(Sheet(_COLUMNS, rows))
    left = sum(max(0, len(found) - _SHOWN) for found in (stuck, refused, late))
    if left:
        say(f"{left:,} more; --json has all of them.")


def _row(letter: Letter, kind: str) -> list[str]:
    leads = "" if letter.leads is None else f"{letter.leads:,}"
    named = letter.key or letter.profile
    return [letter.id, kind, local_time(letter.at), f"{letter.tries:,}", leads, readable(named), readable(letter.why)]


def _as_json(letter: Letter) -> dict[str, Any]:
    found = asdict(letter) | {"at": utc_time(letter.at)}
    del found["kind"]
    return found


def _late(late: Late) -> dict[str, Any]:
    return asdict(late) | {"since": utc_time(late.since)}
