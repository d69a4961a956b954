"""What ``massconvert rehearse`` shows: the plan, the scopes, and the table of what was seen."""

from __future__ import annotations

from collections.abc import Sequence

from massconvert.cli.console import out, print_json, say, tell
from massconvert.cli.layout import Column, Pairs, Sheet
from massconvert.doctor.scopes import ALL
from massconvert.rehearsal.question import NOT_SEEN, UNKNOWN, Question
from massconvert.rehearsal.result import Line
from massconvert.rehearsal.run import OPTIONAL_SCOPES, SCOPES, costs, records
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of

#: From this width on there is room for what is assumed beside what was seen.
_WIDE = 110
_VERDICTS = {True: "as assumed", False: "differs", None: ""}


def show(found: Sequence[Line]) -> None:
    """The table, what each difference means, and why something was not seen."""
    console = out()
    wide = not console.is_terminal or console.width >= _WIDE
    table = []
    for line in found:
        number = "" if line.question.points[0] is not line.point else str(line.question.number)
        assumed = [line.point.assumes] if wide else []
        table.append((number, line.point.asked, line.told, *assumed, _verdict(line)))
    columns = [Column("", right=True), Column("asked"), Column("seen", prose=True)]
    console.print(Sheet((*columns, *([Column("assumed", prose=True)] if wide else []), Column("")), table))
    notes = [(f"{line.question.number} {line.point.asked}", _meaning(line)) for line in found if line.fits is False]
    reasons: dict[str, list[str]] = {}
    for line in found:
        if line.reason:
            reasons.setdefault(line.reason, []).append(line.point.asked)
    notes += [(NOT_SEEN, f"{', '.join(asked)}: {reason}") for reason, asked in reasons.items()]
    for note in notes:
        console.print()
        console.print(Pairs([note]))


def _verdict(line: Line) -> str:
    return "" if line.point.assumes == UNKNOWN else _VERDICTS[line.fits]


def _meaning(line: Line) -> str:
    setting = f" Setting: {line.point.setting}." if line.point.setting else ""
    return f"{line.told}; assumed: {line.point.assumes}. {line.point.means}{setting}"


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
