"""What ``massconvert rehearse`` shows: the plan, the scopes, and the table of what was seen."""

from __future__ import annotations

from collections.abc import Sequence

from massconvert.cli.console import out, print_json, say, tell
from massconvert.cli.layout import Column, Pairs, Sheet
from massconvert.doctor.scopes import ALL
from massconvert.next_command import next_command
from massconvert.rehearsal.question import Question
from massconvert.rehearsal.result import Line
from massconvert.rehearsal.run import OPTIONAL_SCOPES, SCOPES, costs, records
from massconvert.wording import number_of


def show(found: Sequence[Line]) -> None:
    """The table, and what each difference means."""
    console = out()
    table = []
    for row in found:
        number = "" if row.question.points[0] is not row.point else str(row.question.number)
        mark = "differs" if row.fits is False else ""
        table.append((number, row.point.asked, row.told, row.point.assumes, mark))
    columns = (
        Column("", right=True),
        Column("asked"),
        Column("seen", prose=True),
        Column("assumed", prose=True),
        Column(""),
    )
    console.print(Sheet(columns, table))
    different = [row for row in found if row.fits is False and row.point.means]
    for row in different:
        console.print()
        console.print(Pairs([(f"{row.question.number} {row.point.asked}", _meaning(row))]))


def _meaning(row: Line) -> str:
    setting = f" Setting: {row.point.setting}." if row.point.setting else ""
    return f"{row.told}. {row.point.means}{setting}"


def show_plan(questions: Sequence[Question], *, fifty: bool, as_json: bool) -> None:
    """What would be asked, and what it costs."""
    calls, cost = costs(questions, fifty=fifty)
    made = records(questions, fifty=fifty)
    if as_json:
        listed = [{"number": each.number, "title": each.title} for each in questions]
        print_json({"dry_run": True, "questions": listed, "records": len(made), "calls": calls, "credits": cost})
        return
    console = out()
    table = [
        (str(each.number), each.title, "; ".join(point.asked for point in each.points), str(sum(each.calls.values())))
        for each in questions
    ]
    columns = (Column("", right=True), Column("question"), Column("finds out", prose=True), Column("calls", right=True))
    console.print(Sheet(columns, table))
    tell(
        f"In this order. {number_of(len(made), 'record')} made and deleted, about {number_of(calls, 'call')}, "
        f"about {number_of(cost, 'credit')} (5 a conversion, which Zoho does not document for mass convert)."
    )
    say("a dry run: nobody was called, and nothing was made.")


def show_scopes(*, account: str, as_json: bool) -> None:
    """The scopes to paste."""
    every = (*ALL, *(name for name in SCOPES if name not in ALL), *OPTIONAL_SCOPES)
    if as_json:
        print_json({"scopes": every, "optional": OPTIONAL_SCOPES})
        return
    tell(",".join(every))
    say(f"paste them in the API console, for a token of the sandbox: {next_command('login', account=account)}")
    say(f"it can do without {' and '.join(OPTIONAL_SCOPES)}.")
