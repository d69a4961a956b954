"""``massconvert retry`` and ``cancel``: what failed once more, and what has not been sent not at all."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

import typer

from massconvert.cli.batch_view import go_on_with
from massconvert.cli.console import hint, print_json, say, tell
from massconvert.cli.desk import Desk, demand_ours
from massconvert.cli.enqueue import call_as_json, end_call, tell_batch
from massconvert.cli.inputs import (
    IdColumnOption,
    OnMatchOption,
    PreflightOption,
    read_leads,
    read_options,
    with_ours,
)
from massconvert.cli.live_options import check_before_enqueue
from massconvert.cli.reach import find_desk
from massconvert.cli.waiting import WaitCommand, WaitOption, wait_seconds
from massconvert.cli.which_batch import BatchArgument, LastOption, remember, which
from massconvert.errors import InputError
from massconvert.model import BatchState, OnMatch
from massconvert.options import Options, without_doubts
from massconvert.producer.batch import Batch
from massconvert.producer.mass_convert import MassConvert
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of

_RETRY = """\b
Examples:
  massconvert retry import-2026-11-24                         all that failed, with the same options
  massconvert retry --last --code NOT_CONVERTED --code GAVE_UP
  massconvert retry import-2026-11-24 --code INVALID_DATA --options fixed.json --wait
  massconvert retry import-2026-11-24 --code MATCH_FOUND --on-match create
  massconvert retry import-2026-11-24 --file fixed.csv        columns contact_id, account_id: what leads are linked to
  massconvert retry import-2026-11-24 --deals                 converted, but DEAL_NOT_UPDATED: the deals alone
\b
The failed leads become a batch of their own, named after the old one; the same command again is the
same batch, so it is safe to repeat. What fails there is retried under that name.
Exit status: 0 accepted (with --wait: all converted or skipped), 1 some failed or are in another batch
already, 2 nothing to retry or wrong input, 3 settings or Redis, 4 the wait is over and the batch goes on."""

_CANCEL = """\b
Examples:
  massconvert cancel import-2026-11-24
  massconvert cancel --last --json
\b
What is under way cannot be called back: it is followed. What Zoho does not convert of it ends as
cancelled too, and is not sent again. Safe to repeat.
Exit status: 0, whatever was left to cancel; 2 no such batch; 3 settings or Redis."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("retry", cls=WaitCommand, epilog=_RETRY)(_retry)
    app.command("cancel", epilog=_CANCEL)(_cancel)


def _retry(
    batch: BatchArgument = None,
    last: LastOption = False,
    codes: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="CODE", help="Only what ended with this code; may be repeated."),
    ] = None,
    ids: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Only this lead, if it failed; may be repeated.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file", metavar="FILE", help="Only leads of this file, with what its rows say: contact_id, deal.Amount, …"
        ),
    ] = None,
    id_column: IdColumnOption = None,
    options: Annotated[
        str | None,
        typer.Option("--options", metavar="O.json", help="Fixed options; without it those of the batch are used."),
    ] = None,
    deals: Annotated[
        bool,
        typer.Option("--deals", help="Convert nothing: update the deals of converted leads that could not be updated."),
    ] = False,
    preflight: PreflightOption = False,
    on_match: OnMatchOption = None,
    wait: WaitOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the new batch and its counts as JSON.")] = False,
) -> None:
    """Try the failed leads of a batch again, or the deals that could not be updated."""
    wait_seconds(wait)
    _demand_one_way(deals, "--preflight" if preflight else "--on-match" if on_match else "", file, ids, id_column)
    desk = find_desk(batch, last=last)
    if wait is not None and desk.unattended:
        go_on = next_command("convert", "--resume", "BATCH", account=desk.settings.account)
        raise InputError("No convert runs, so there is nothing to wait for.", hint=f"Leave --wait out, then: {go_on}")
    fixed = read_options(options, on_match=on_match) if options is not None else None
    demand_ours(desk.settings)
    batch = which(desk, batch, last, "retry", changes=True)
    if preflight or on_match:
        fixed = fixed or Options.parse(without_doubts(desk.ledger.batches.options(batch)))
        fixed = with_ours(fixed, preflight=preflight, on_match=on_match)
    if fixed is not None and (options is not None or on_match not in (None, OnMatch.CREATE)):
        check_before_enqueue(desk.settings, fixed)
    status = desk.ledger.batches.status(batch)
    if not status.finished:
        say(f"batch {batch} is {status.state.value}: only what has failed so far is retried.", "yellow")
    again: dict[str, Any] = {"options": fixed, "codes": [code.upper() for code in codes or ()], "deals": deals}
    if on_match is OnMatch.CREATE:
        again["links"] = {}
    try:
        made = _taken(MassConvert(desk.settings), batch, again, ids or (), file, id_column)
    except KeyboardInterrupt:
        say("interrupted while enqueueing; the leads that were taken will be converted. The same command goes on.")
        raise typer.Exit(130) from None
    remember(desk.settings, made.id)
    if not as_json:
        _tell_retried(desk, made)
    end_call(desk, made, call_as_json(made) | {"retries": batch} if as_json else None, wait)


def _demand_one_way(deals: bool, flag: str, file: str | None, ids: list[str] | None, id_column: str | None) -> None:
    """Raise InputError for what does not go together; ``flag`` is about conversions."""
    if deals and flag:
        raise InputError(f"--deals and {flag} are given.", hint=f"A retry of deals converts nothing: leave {flag} out.")
    if file and ids:
        raise InputError("--file and --id are given.", hint="Give one: a file names its leads.")
    if id_column and not file:
        raise InputError("--id-column goes with --file.", hint="It names a column of that file.")


def _taken(
    producer: MassConvert,
    batch: str,
    again: dict[str, Any],
    ids: Collection[str],
    file: str | None,
    id_column: str | None,
) -> Batch:
    """Enqueue the retry: with a file, of its leads that have anything to retry, and with what it says of them."""
    if file is None:
        return producer.retry(batch, lead_ids=ids, **again)
    with read_leads((), file, skip_invalid=False, id_column=id_column) as leads:
        made = producer.retry(batch, lead_ids=leads, **again)
        if left := len(set(leads)) - made.accepted - made.already_queued - made.duplicates:
            say(f"{number_of(left, 'lead')} of {file} left out: the batch has nothing to retry of them.")
    return made


def _tell_retried(desk: Desk, made: Batch) -> None:
    if made.accepted or made.already_queued:
        tell_batch(made)
        return
    status = desk.ledger.batches.status(made.id)
    tell(f"Batch {made.id} has retried these leads before; it is {status.state.value}.")
    if status.failed:
        hint(f"To retry what failed there: {next_command('retry', made.id, account=status.account)}")
    if status.deals_not_updated:
        hint(f"To retry the deals there: {next_command('retry', made.id, '--deals', account=status.account)}")


def _cancel(
    batch: BatchArgument = None,
    last: LastOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was cancelled as JSON.")] = False,
) -> None:
    """Call off what of a batch has not been sent."""
    desk = find_desk(batch, last=last)
    batch = which(desk, batch, last, "cancel", changes=True)
    before = desk.ledger.batches.status(batch)
    ended, followed = MassConvert(desk.settings).cancel(batch)
    if desk.unattended:  # a worker would end them
        while desk.ledger.chunks.drain():
            pass
    if as_json:
        print_json({"batch": batch, "cancelled": ended, "followed": followed})
        return
    if before.finished:
        done = "was cancelled before" if before.state is BatchState.CANCELLED else "has finished already"
        tell(f"Batch {batch} {done}: nothing was left to cancel.")
        return
    tell(f"Batch {batch}: {number_of(ended, 'lead is', 'leads are')} cancelled.")
    if followed:
        way = number_of(followed, "is under way and is followed", "are under way and are followed")
        tell(f"{way}: what Zoho does not convert of them ends as cancelled too.")
    if followed and desk.unattended:
        hint(f"To read their outcomes from Zoho: {go_on_with(before, unattended=True)}")
        return
    account = before.account
    look = (
        next_command("status", batch, "--watch", account=account)
        if followed
        else next_command("report", batch, account=account)
    )
    hint(f"To see what became of them: {look}")
