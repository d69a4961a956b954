"""A report in short, for people: a table of outcomes and codes, and the first leads that failed."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from massconvert.cli.console import out
from massconvert.readable import readable
from massconvert.report import Summary

_STYLES = {"converted": "green", "failed": "red", "skipped": "yellow", "cancelled": "yellow"}


def print_summary(summary: Summary, console: Console | None = None) -> None:
    """Print ``summary`` on stdout (or on ``console``)."""
    console = console or out()
    console.print(_outcomes(summary))
    if summary.failed:
        console.print(_failed(summary))


def _outcomes(summary: Summary) -> Table:
    table = _table("outcome", "code", ">leads", "for example", "message")
    for line in summary.lines:
        style = _STYLES.get(line.outcome, "")
        table.add_row(
            Text(line.outcome or "none yet", style),
            readable(line.code),
            f"{line.count:,}",
            readable(line.lead_id),
            readable(line.message),
        )
    table.add_section()
    table.add_row("all", "", f"{summary.total:,}", "", "")
    return table


def _failed(summary: Summary) -> Table:
    count = sum(line.count for line in summary.lines if line.outcome == "failed")
    shown = len(summary.failed)
    title = f"The first {shown:,} of {count:,} leads that failed" if shown < count else "The leads that failed"
    table = _table("lead", "code", ">attempts", "job", "message")
    table.title, table.title_justify, table.title_style = title, "left", ""
    for row in summary.failed:
        outcome = row.outcome
        if outcome:
            cells = (row.lead_id, outcome.code, str(outcome.attempts), outcome.job_id, outcome.message)
            table.add_row(*(readable(cell) for cell in cells))
    return table


def _table(*columns: str) -> Table:
    """A plain table; a column whose name begins with > is for numbers."""
    table = Table(box=box.SIMPLE, pad_edge=False, header_style="bold")
    for name in columns:
        number = name.startswith(">")
        table.add_column(
            name.removeprefix(">"),
            justify="right" if number else "left",
            # An id that is folded cannot be copied; a message may be.
            no_wrap=name not in ("message", "code"),
            overflow="fold",
        )
    return table
