"""Ask a person for options, with what the live organisation has to choose from. Questions go to stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich.text import Text

from massconvert.cli.console import err, hint, say
from massconvert.cli.live_options import unread_words
from massconvert.errors import InputError, OptionsError
from massconvert.model import Listing
from massconvert.options import Options, examine
from massconvert.options.check import MADE
from massconvert.options.names import Listings, Row
from massconvert.steps.check import FRESH, read
from massconvert.steps.ports import Ports
from massconvert.words.readable import readable

_NONE = "none"
#: For nobody.
_NOBODY = "-"
_NOBODY_IN_WORDS = "- (nobody: the lead's owner stays)"
_A_DATE = "a date like 2026-12-24, or days from when it is sent like +30d"
#: With more choices than this, a name is asked for instead of a number.
_A_LIST = 40
_WANTED = (Listing.USERS, Listing.MODULES, Listing.FIELDS, Listing.LAYOUTS, Listing.PIPELINES, Listing.LEAD_FIELDS)


def interview(ports: Ports) -> dict[str, Any]:
    """The options that a person has chosen, as the API's JSON with names for ids."""
    say("reading what there is to choose from.")
    kept, unread = read(ports, _WANTED, FRESH)
    for what, reason in unread_words(unread).items():
        say(f"cannot be read, so write it yourself: {what}: {reason}", "yellow")
    listings = {listing: each.rows for listing, each in kept.items()}
    body: dict[str, Any] = {}
    if _choose("Make a deal of each lead?", ["yes", "no"], default="yes", numbered=False) == "yes":
        body["Deals"] = _deal(listings)
    body["assign_to"] = _user(listings.get(Listing.USERS, ()))
    made = [name for name in MADE if name != "Deals" or "Deals" in body]
    body["carry_over_tags"] = _choose_some("The lead's tags go to", made)
    attachments = _choose("Its attachments go to", [_NONE, *made], default=_NONE)
    body["move_attachments_to"] = None if attachments == _NONE else attachments
    return body


def confirmed(text: str) -> bool:
    """Whether a person wants ``text`` to be written."""
    hint(text.rstrip())
    return _choose("Write this?", ["yes", "no"], default="yes", numbered=False) == "yes"


def somebody_is_there() -> bool:
    """Whether a person can be asked: the terminal is where answers come from, and where questions go."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agreed(question: str) -> bool:
    """Whether a person says yes; no is the default, and what an end of the input means."""
    try:
        return _choose(question, ["yes", "no"], default="no", numbered=False) == "yes"
    except InputError:
        return False


def _deal(listings: Listings) -> dict[str, Any]:
    deal: dict[str, Any] = {"Deal_Name": ask("The name of each deal")}
    fields = {row["api_name"]: row for row in listings.get(Listing.FIELDS, ())}
    pipelines = listings.get(Listing.PIPELINES, ())
    stages = _shown(fields["Stage"]) if "Stage" in fields else []
    if pipelines and "Pipeline" in fields:
        names = list(dict.fromkeys(row["name"][0] for row in pipelines))
        deal["Pipeline"] = _choose("Its pipeline", names, default=names[0])
        stages = next([forms[0] for forms in row["stages"]] for row in pipelines if row["name"][0] == deal["Pipeline"])
    deal["Stage"] = _choose("Its stage", stages, default=stages[0]) if stages else ask("Its stage")
    deal["Closing_Date"] = ask(
        "Its closing date, a date or days from when it is sent", default="+30d", good=_closing, wanted=_A_DATE
    )
    for problem in examine({"Deals": deal}, listings).problems:  # what else this organisation wants
        name = problem.path.removeprefix("$.Deals.")
        if name in fields and name not in deal:
            deal[name] = _value(fields[name])
    return deal


def _value(row: Row) -> Any:
    label, values = f"{row['label']} ({row['api_name']}), which is mandatory", _shown(row)
    if values:
        chosen = _choose(label, values, default=None)
        return [chosen] if row["type"] == "multiselectpicklist" else chosen
    text = ask(label)
    if row["type"] in ("text", "textarea", "email", "phone", "website", "date", "datetime"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _user(users: Sequence[Row]) -> str | None:
    labels = {f"{row['name']} <{row['email']}>" if row["email"] else row["name"]: row for row in users}
    if not users or len(users) > _A_LIST:
        known = {form.casefold() for row in users for form in (row["name"], row["email"], row["id"]) if form}
        owner = ask(
            "The new owner, by e-mail address, full name or id",
            default=_NOBODY,
            good=lambda text: text == _NOBODY or not known or " ".join(text.split()).casefold() in known,
            wanted=f"an e-mail address, a full name or an id, or {_NOBODY} for nobody",
        )
        return None if owner == _NOBODY else owner
    chosen = _choose("The new owner", [*labels, _NOBODY_IN_WORDS], default=_NOBODY)
    row = labels.get(chosen)
    return str(row["email"] or row["id"]) if row else None


def _shown(row: Row) -> list[str]:
    return [forms[0] for forms in row["values"] if forms[0] != "-None-"]


def _closing(text: str) -> bool:
    try:
        Options.parse({"Deals": {"Deal_Name": "x", "Stage": "x", "Closing_Date": text}})
    except OptionsError as error:
        hint(error.message)
        return False
    return True


def ask(
    question: str,
    *,
    default: str | None = None,
    good: Callable[[str], bool] = bool,
    wanted: str = "a text",
    hidden: bool = False,
) -> str:
    """What a person types, until it is ``good``; ``hidden``: without showing it. Raises InputError at its end."""
    # Not typer's prompt, which writes a blank to stdout: there the options go.
    words = f"{question}{f' [{default}]' if default and not hidden else ''}: "
    while True:
        try:
            text = err().input(Text(readable(words)), password=hidden).strip() or default or ""
        except EOFError:
            raise InputError("The answers have ended before the questions.", hint="Nothing was written.") from None
        if text and good(text):
            return text
        hint(f"Type {wanted}.")


def _choose(question: str, names: Sequence[str], *, default: str | None, numbered: bool = True) -> str:
    """One of ``names``: by its number, as it is written, by what stands in its brackets, or by how it alone begins."""
    if numbered and len(names) <= _A_LIST:
        hint("\n".join(f"  {number}  {readable(name)}" for number, name in enumerate(names, start=1)))
    how = f"a number from 1 to {len(names)}, or a name or its beginning" if numbered else " or ".join(names)
    text = ask(question, default=default, good=lambda given: match(given, names) is not None, wanted=how)
    return match(text, names) or text


def match(given: str, names: Sequence[str]) -> str | None:
    """Which of ``names`` a person means by ``given``; None where it is none, or more than one."""
    if given.isascii() and given.isdigit() and 1 <= int(given) <= len(names):
        return names[int(given) - 1]
    wanted = " ".join(given.split()).casefold()
    forms = {name: {name.casefold(), *re.split(r" ?[<(]|[>)]", name.casefold())} - {""} for name in names}
    exact = [name for name in names if name.casefold() == wanted] or [name for name in names if wanted in forms[name]]
    begins = exact or [name for name in names if any(form.startswith(wanted) for form in forms[name])]
    return begins[0] if wanted and len(begins) == 1 else None


def _choose_some(question: str, names: Sequence[str]) -> list[str]:
    """Any of ``names``, in their order, with commas between."""
    hint("\n".join(f"  {number}  {readable(name)}" for number, name in enumerate(names, start=1)))

    def parts(text: str) -> list[str | None]:
        return [match(part.strip(), names) for part in text.split(",") if part.strip()]

    def good(text: str) -> bool:
        return text.casefold() == _NONE or (bool(parts(text)) and None not in parts(text))

    how = f"numbers or names with commas between, like {', '.join(names[:2])}, or {_NONE}"
    text = ask(question, default=_NONE, good=good, wanted=how)
    chosen = [] if text.casefold() == _NONE else parts(text)
    return [name for name in names if name in chosen]
