"""``--wait [SECONDS]``: how it is read, and what a command does that has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from massconvert.cli.afterwards import tell_codes, tell_retries
from massconvert.cli.batch_view import as_json, counts
from massconvert.cli.commands import Helped
from massconvert.cli.console import hint, say
from massconvert.cli.desk import Desk, exit_of
from massconvert.cli.summary import print_summary
from massconvert.cli.watching import Watch, make_display, watch_to_the_end
from massconvert.contract import Exit
from massconvert.errors import InputError, MassConvertError
from massconvert.model import BatchStatus
from massconvert.producer.batch import Batch
from massconvert.report import Summary, summarise
from massconvert.words.next_command import next_command

FOR_EVER = "for-ever"

WaitOption = Annotated[
    str | None,
    typer.Option(
        "--wait",
        metavar="[SECONDS]",
        help="Wait until every lead has its outcome, or for SECONDS.",
        show_default=False,
    ),
]


class WaitCommand(Helped):
    """``--wait`` takes a number or nothing, which the parser alone cannot tell from a lead id after it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Bind the number to ``--wait``, then parse as usual."""
        return super().parse_args(ctx, bind_wait(args))


def bind_wait(arguments: Sequence[str]) -> list[str]:
    """``--wait 60`` as ``--wait=60``, and a bare ``--wait`` as one for ever. What is an id or a file is left alone."""
    bound: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*bound, word, *rest]
        if word == "--wait":
            follows = rest[0] if rest else ""
            span = re.match(r"-?[.0-9]", follows) and len(follows) < 10 and not Path(follows).exists()
            word = f"--wait={rest.pop(0) if span else FOR_EVER}"
        bound.append(word)
    return bound


def wait_seconds(wait: str | None) -> float | None:
    """The span that ``--wait`` names; ``None`` for ever, or when it is not given. Raises InputError."""
    if wait is None or wait == FOR_EVER:
        return None
    if not re.fullmatch(r"[0-9]*\.?[0-9]+|[0-9]+\.", wait):
        raise InputError(
            f"--wait takes a number of seconds, not {wait!r}.", hint="Without a number it waits until the end."
        )
    return float(wait)


def wait_for(
    desk: Desk,
    batch: Batch,
    timeout: float | None,
    source: str | None = None,
    id_column: str | None = None,
    *,
    in_json: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Watch ``batch`` to its end, say how it ended and what to do next, and end the command with its exit status.

    ``source`` is the file that its leads came from, if they came from one, and ``id_column`` the name of its column.
    ``in_json`` prints how it ended, or how far it was when the wait was over.
    """
    watch = Watch(
        lambda: desk.demand_somebody(batch.progress()),
        why=desk.why,
        display=make_display(),
        to_verdict=True,
    )
    try:
        status = watch_to_the_end(watch, batch.id, timeout, account=desk.settings.account)
    except typer.Exit:
        if in_json:
            in_json(ended_as_json(desk, batch.progress(), None))
        raise
    except MassConvertError as error:
        error.batch = batch.id
        raise
    summary = summarise(batch.outcomes()) if in_json or status.ended > status.converted else None
    if in_json:
        in_json(ended_as_json(desk, status, summary))
    if status.awaits_verdict:
        if not in_json:
            show_ended(batch)
        hint(f"To call the others off: {next_command('cancel', batch.id, account=status.account)}")
        raise typer.Exit(Exit.STILL_RUNNING)
    report = next_command("report", batch.id, account=status.account)
    say(f"batch {batch.id} is {status.state.value}: {counts(status)}. The report: {report}")
    named = ["--id-column", id_column] if id_column is not None else []
    its_input = ["--input", source, *named] if source else []
    hint(f"As files: {next_command('report', batch.id, '--files', *its_input, account=status.account)}")
    if summary is not None:
        tell_codes(summary)
        tell_retries(batch.id, status.account, summary.lines)
    if status.deals_not_updated:
        hint(f"To try the deals again: {next_command('retry', batch.id, '--deals', account=status.account)}")
    raise typer.Exit(exit_of(status))


def ended_as_json(desk: Desk, status: BatchStatus, summary: Summary | None) -> dict[str, Any]:
    """How a batch ended, for scripts, with a line for each outcome and code; or how far it is, and why it waits."""
    reason = desk.why(status)
    return as_json(status) | {
        "why": reason.as_json() if reason else None,
        "codes": [asdict(line) for line in summary.lines] if summary else [],
    }


def show_ended(batch: Batch) -> None:
    """What became of the leads that have their outcome, as a table on stdout."""
    print_summary(summarise(row for row in batch.outcomes() if row.outcome is not None))
