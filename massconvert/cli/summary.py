"""A report in short, for people: a table of outcomes and codes, and in which ways leads have failed."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from massconvert.cli.console import out
from massconvert.cli.layout import Column, Prose, Sheet
from massconvert.report import Failure, Summary
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

_STYLES = {"converted": "green", "failed": "red", "skipped": "yellow", "cancelled": "yellow"}
_OUTCOMES = (
    Column("outcome"),
    Column("code"),
    Column("leads", right=True),
    Column("for example", prose=True),
    Column("message", prose=True),
)
_FAILURES = (Column("leads", right=True), Column("code"), Column("message", prose=True), Column("which", prose=True))


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """Print ``summary`` on stdout (or on ``console``)."""
    console = console or out()
    console.print(_outcomes(summary))
    # Where each lead of the table above is the only one of its kind, all has been said.
    lines = sum(line.outcome == "failed" for line in summary.lines)
    if summary.other_failures or sum(failure.count for failure in summary.failures) > lines:
        console.print("\nThe leads that failed")
        console.print(_failures(summary))
        if summary.other_failures:
            more = number_of(summary.other_failures, "more lead failed", "more leads failed")
            console.print(Prose(f"{more}, each with a message of its own."))


def _outcomes(summary: Summary) -> Sheet:
    rows = [
        (
            Text(line.outcome or "none yet", _STYLES.get(line.outcome, "")),
            readable(line.code),
            f"{line.count:,}",
            readable(line.lead_id),
            readable(line.message),
        )
        for line in summary.lines
    ]
    return Sheet(_OUTCOMES, rows, total=("all", "", f"{summary.total:,}", "", ""))


def _failures(summary: Summary) -> Sheet:
    return Sheet(
        _FAILURES,
        [
            (f"{failure.count:,}", readable(failure.code), readable(failure.message), _which(failure))
            for failure in summary.failures
        ],
    )


def _which(failure: Failure) -> str:
    more = failure.count - len(failure.lead_ids)
    return readable(", ".join(failure.lead_ids)) + (f" and {more:,} more" if more else "")
