"""``massconvert enqueue``: hand lead ids to workers that run elsewhere; with ``--wait``, watch them end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typer.core import TyperCommand

from massconvert.cli.batch_view import counts
from massconvert.cli.console import err, print_json, print_lines, say
from massconvert.cli.desk import exit_of, open_desk
from massconvert.cli.inputs import (
    FileOption,
    KeyOption,
    LeadsArgument,
    OptionsOption,
    SkipInvalidOption,
    read_leads,
    read_options,
)
from massconvert.cli.watching import Watch, make_display, watch_to_the_end
from massconvert.errors import InputError
from massconvert.leads import Leads
from massconvert.producer import Batch, MassConvert

FOR_EVER = "for-ever"
#: Fewer leads than this are taken before a bar could be seen.
WORTH_A_BAR = 20_000

_EXAMPLES = """\b
Examples:
  massconvert enqueue leads.csv --options options.json --key import-2026-11-24
  massconvert enqueue 3652397000009850001 3652397000009851001 --options options.json
  cut -d, -f1 leads.csv | massconvert enqueue - --skip-invalid --wait 600
\b
Exit status: 0 accepted (with --wait: all converted or skipped), 1 some failed, 2 wrong input,
3 settings or Redis, 4 the wait is over and the batch goes on."""


class EnqueueCommand(TyperCommand):
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


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("enqueue", cls=EnqueueCommand, epilog=_EXAMPLES)(_enqueue)


def _enqueue(
    leads: LeadsArgument = None,
    file: FileOption = None,
    options: OptionsOption = None,
    key: KeyOption = None,
    wait: Annotated[
        str | None,
        typer.Option(metavar="[SECONDS]", help="Wait until every lead has its outcome, or so many seconds."),
    ] = None,
    skip_invalid: SkipInvalidOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the batch and its counts as JSON.")] = False,
) -> None:
    """Enqueue leads for the workers, as one batch."""
    timeout = _seconds(wait)
    desk = open_desk()
    body = read_options(options)
    with read_leads(leads or (), file, skip_invalid=skip_invalid) as checked:
        batch = take(MassConvert(desk.settings), checked, body, key)
        print_batch(batch, checked.invalid, as_json=as_json)
    if wait is None:
        if not as_json:
            say(f"to watch it: massconvert status {batch.id} --watch")
        return
    with make_display() as display:
        watch = Watch(batch.progress, paused=desk.ledger.organisation.paused, display=display)
        status = watch_to_the_end(watch, batch.id, timeout)
    say(f"batch {batch.id} is {status.state.value}: {counts(status)}. The report: massconvert report {batch.id}")
    raise typer.Exit(exit_of(status))


def take(producer: MassConvert, leads: Leads, options: Any, key: str | None) -> Batch:
    """Enqueue with a bar for long lists. Ctrl-C says what became of those that were taken."""
    try:
        with taking(len(leads)) as on_progress:
            return producer.enqueue(leads, options, key=key, on_progress=on_progress)
    except KeyboardInterrupt:
        again = "The same command goes on where it stopped." if key else "massconvert status names their batch."
        say(f"interrupted while enqueueing; the leads that were taken will be converted. {again}")
        raise typer.Exit(130) from None


def print_batch(batch: Batch, invalid: int, *, as_json: bool) -> None:
    """What became of an enqueue call, on stdout. ``invalid`` were left out before."""
    if as_json:
        found = {"batch": batch.id, "accepted": batch.accepted, "duplicates": batch.duplicates}
        print_json({**found, "invalid": invalid + batch.invalid})
        return
    parts = [f"{batch.accepted:,} lead{'' if batch.accepted == 1 else 's'} accepted"]
    parts += [f"{batch.duplicates:,} duplicates dropped"] if batch.duplicates else []
    parts += [f"{invalid + batch.invalid:,} invalid left out"] if invalid + batch.invalid else []
    print_lines([f"Batch {batch.id}: {', '.join(parts)}.\n"])


@contextmanager
def taking(total: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal's stderr while many leads are taken; yields what to tell how many were."""
    console = err()
    if total < WORTH_A_BAR or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("enqueueing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("enqueueing", total=total)
        yield lambda taken: progress.update(task, completed=taken)


def _seconds(wait: str | None) -> float | None:
    if wait is None or wait == FOR_EVER:
        return None
    if not re.fullmatch(r"[0-9]*\.?[0-9]+|[0-9]+\.", wait):
        raise InputError(
            f"--wait takes a number of seconds, not {wait!r}.", hint="Without a number it waits until the end."
        )
    return float(wait)
