"""``massconvert pause`` and ``resume``: the whole organisation, or one batch, by hand. All are safe to repeat."""

from __future__ import annotations

from typing import Annotated

import typer

from massconvert.cli.batch_view import go_on_with, held_in_words, pause_in_words
from massconvert.cli.console import hint, local_time, say, tell
from massconvert.cli.desk import WHILE_CONVERT_RUNS, Desk
from massconvert.cli.reach import find_desk
from massconvert.cli.which_batch import BatchArgument, LastOption, which
from massconvert.embedded.unfinished import is_ours
from massconvert.errors import BrokerError, InputError
from massconvert.model import HELD_FOR_CANARY, BatchStatus
from massconvert.nudge import Nudge
from massconvert.producer.intake import check_reason, this_person
from massconvert.producer.mass_convert import MassConvert
from massconvert.words.next_command import next_command
from massconvert.words.readable import readable

_PAUSE = """\b
Examples:
  massconvert pause                       all calls to Zoho
  massconvert pause import-2026-11-24     nothing more of this batch; others go on
  massconvert pause --reason 'the owner is wrong, Ann asks'
\b
What of a batch has been sent is followed to its outcome. Without a batch nothing is called at all, a
call that runs excepted; jobs end at Zoho meanwhile. Only resume ends it. Safe to repeat.
Who paused (user and host), when and why is shown by status, the doctor and whatever waits."""
_RESUME = """\b
Examples:
  massconvert resume                      after any pause, by a person or by Zoho
  massconvert resume import-2026-11-24    a batch that was paused, or waits after its canary
\b
A batch that was paused in its canary is behind its canary again; once that has ended, resume lets the
others follow."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("pause", epilog=_PAUSE)(_pause)
    app.command("resume", epilog=_RESUME)(_resume)


def _pause(
    batch: BatchArgument = None,
    last: LastOption = False,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for those who look at what waits.", show_default=False)
    ] = "",
) -> None:
    """Stop all calls to Zoho, or a batch, until resume; enqueueing goes on."""
    why = check_reason(reason)
    desk = find_desk(batch, last=last)
    if batch is None and not last:
        _pause_all(desk, why)
        return
    batch = which(desk, batch, last, "pause", changes=True)
    before = desk.ledger.batches.status(batch)
    if desk.unattended and is_ours(before):
        desk.ledger.batches.release(batch)  # from here on it is the pause of this person
    if not MassConvert(desk.settings).pause(batch, reason=why):
        tell(f"Batch {batch} is {before.state.value}: there was nothing to pause.")
    elif before.held and before.held != HELD_FOR_CANARY and not is_ours(before):
        tell(held_in_words(before, unattended=desk.unattended))
    else:
        go_on = go_on_with(before, unattended=desk.unattended)
        tell(f"Batch {batch} is paused: nothing more of it is sent. To go on: {go_on}")


def _resume(batch: BatchArgument = None, last: LastOption = False) -> None:
    """Go on after any pause, by a person or by Zoho."""
    desk = find_desk(batch, last=last)
    if batch is None and not last:
        _resume_all(desk)
        return
    batch = which(desk, batch, last, "resume", changes=True)
    if desk.unattended:
        _refuse_to_resume(desk.ledger.batches.status(batch))
    was_held = MassConvert(desk.settings).resume(batch)
    status = desk.ledger.batches.status(batch)
    if status.held:
        tell(f"Batch {batch} is not paused by anybody.\n{held_in_words(status)}")
    else:
        ended = f" It is {status.state.value}: nothing is left to go on with." if status.finished else ""
        while_it_runs = f" {WHILE_CONVERT_RUNS}" if desk.visit else ""
        tell(f"Batch {batch} goes on.{while_it_runs}" if was_held else f"Batch {batch} was not paused.{ended}")
    if desk.ledger.organisation.paused():
        hint(f"The whole organisation is paused, too. To go on: {next_command('resume', account=status.account)}")


def _refuse_to_resume(status: BatchStatus) -> None:
    """Raise InputError for a batch on which nobody would go on."""
    if not status.finished:
        raise InputError(
            f"No convert runs, so nothing would go on with batch {status.batch}.",
            hint=f"To go on with it: {go_on_with(status, unattended=True)}",
        )


def _pause_all(desk: Desk, reason: str) -> None:
    organisation, go_on = desk.ledger.organisation, next_command("resume", account=desk.settings.account)
    before = organisation.paused()
    if before and not before.code:
        tell(pause_in_words(before))
        return
    organisation.pause(reason=reason, by=this_person())
    if before:
        say(f"it had paused by itself since {local_time(before.since)}: {readable(f'{before.code}: {before.reason}')}")
    tell(f"Paused. Nothing more is sent; jobs that already run at Zoho will finish there. To go on: {go_on}")


def _resume_all(desk: Desk) -> None:
    organisation = desk.ledger.organisation
    before = organisation.paused()
    nobody = "No convert runs; the next one calls Zoho." if desk.unattended else ""
    if not organisation.resume():
        tell(f"It was not paused. {nobody}" if nobody else "It was not paused; workers go on.")
        return
    if not before:
        tell(f"It was not paused, but Zoho had asked to wait. {nobody or 'Workers call again.'}")
        return
    if before.code:
        why = readable(f"{before.code}: {before.reason}")
        say(f"it had paused for {why} If that is not fixed, it will pause again.")
    if nobody:
        tell(f"Resumed. {nobody}")
        return
    tell("Resumed: workers go on.")
    try:
        Nudge(desk.settings.broker_url, account=desk.settings.account).chunk()
    except BrokerError as error:
        say(f"{error.message} Workers find their work by themselves once they run.")
