"""``massconvert status``: one batch, or the organisation with its latest batches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from massconvert.cli.batch_view import as_json, batch_view, pause_as_json, waits_as_json, waits_in_words
from massconvert.cli.console import out, print_json, say
from massconvert.cli.desk import Desk, exit_of
from massconvert.cli.overview import MOST, SHOWN, show_overview
from massconvert.cli.reach import find_desk
from massconvert.cli.watching import Watch, make_display, watch_to_the_end
from massconvert.cli.which_batch import BatchArgument, LastOption, which
from massconvert.cli.why import Word
from massconvert.model import BatchStatus
from massconvert.words.next_command import next_command

if TYPE_CHECKING:
    from typing_extensions import Self

_EXAMPLES = """\b
Examples:
  massconvert status                            the organisation and its latest batches
  massconvert status --all                      with every batch
  massconvert status import-2026-11-24 --watch  until every lead has its outcome
  massconvert status --last --watch             the batch that was enqueued last from here
  massconvert status import-2026-11-24 --json | jq .state
\b
Exit status: 0; with --watch, of a batch that has ended: 0 all converted or skipped, 1 some failed."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status", epilog=_EXAMPLES)(_status)


def _status(
    batch: BatchArgument = None,
    last: LastOption = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until it has finished.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help=f"Without BATCH: every batch (the newest {MOST:,}), and not {SHOWN}.")
    ] = False,
    in_json: Annotated[bool, typer.Option("--json", help="As JSON; with --watch a line for each change.")] = False,
) -> None:
    """Show how far a batch is, or all of the latest."""
    desk = find_desk(batch, last=last)
    if batch is None and not last:
        try:
            shown = MOST if everything else SHOWN
            show_overview(desk, watch=watch, in_json=in_json, shown=shown)
        except KeyboardInterrupt:
            go_on = next_command("status", "--watch", account=desk.settings.account)
            say(f"stopped watching; the work goes on.\nTo go on watching: {go_on}")
            raise typer.Exit(130) from None
        return
    batch = which(desk, batch, last, "status")
    status = desk.ledger.batches.status(batch)  # an unknown one is told before a bar begins
    if watch:
        status = _watch(desk, batch, in_json=in_json)
    elif in_json:
        _print_json(desk, status)
    if not in_json:
        calls = desk.ledger.callbacks.failed_of(status.batch)
        reason, waits = desk.why(status), ""
        if reason is None or reason.word is not Word.TRIED_AGAIN:
            waits = waits_in_words(desk.waits(status.batch), desk.clock.now())
        paused, whose = desk.ledger.organisation.paused(), desk.whose()
        out().print(batch_view(status, paused, reason, waits, whose, calls, unattended=desk.unattended))
    if watch:
        raise typer.Exit(exit_of(status))


class _JsonLines:
    """A watch's display that prints a line of JSON on stdout for each change; its notes go to stderr as ever."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._shown: BatchStatus | None = None
        self.note = make_display().note

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, status: BatchStatus) -> None:
        """Print what is new."""
        if status != self._shown:
            self._shown = status
            _print_json(self._desk, status)
            sys.stdout.flush()


def _watch(desk: Desk, batch: str, *, in_json: bool) -> BatchStatus:
    batches = desk.ledger.batches
    watch = Watch(
        lambda: desk.demand_somebody(batches.status(batch)),
        why=desk.why,
        display=_JsonLines(desk) if in_json else make_display(),
    )
    return watch_to_the_end(watch, batch, None, account=desk.settings.account)


def _print_json(desk: Desk, status: BatchStatus) -> None:
    paused, waits = desk.ledger.organisation.paused(), desk.waits(status.batch)
    found = as_json(status) | {"paused": pause_as_json(paused), "waits_for": waits_as_json(waits)}
    reason = desk.why(status)
    found["why"] = reason.as_json() if reason else None
    given_up = [call for call in desk.ledger.callbacks.failed_of(status.batch) if not call.again]
    if given_up:
        found["not_called"] = [{"to": call.place, "tries": call.tries, "why": call.why} for call in given_up]
    print_json(found)
