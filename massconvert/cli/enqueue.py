"""``massconvert enqueue``: hand lead ids to workers that run elsewhere; with ``--wait``, watch them end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from massconvert.cli.account import command_settings
from massconvert.cli.afterwards import tell_elsewhere
from massconvert.cli.batch_view import left_out_of
from massconvert.cli.consent import Planned, YesOption, demand_consent
from massconvert.cli.console import err, print_json, say, tell
from massconvert.cli.desk import Desk, demand_ours, open_desk
from massconvert.cli.dry_run import DryRunOption, Facts, tell_dry_run, tell_key
from massconvert.cli.inputs import (
    CanaryMaxFailedOption,
    CanaryOption,
    FileOption,
    IdColumnOption,
    KeyOption,
    LeadsArgument,
    NoDealOption,
    OnCompleteOption,
    OnMatchOption,
    OptionsOption,
    PreflightOption,
    ProfileOption,
    SkipInvalidOption,
    demand_choice,
    demand_no_deal,
    input_file,
    read_leads,
    read_options,
    with_ours,
)
from massconvert.cli.live_options import check_before_enqueue
from massconvert.cli.stopping import Stopped
from massconvert.cli.waiting import WaitCommand, WaitOption, wait_for, wait_seconds
from massconvert.cli.watching import bar_width
from massconvert.cli.which_batch import remember
from massconvert.contract import Exit
from massconvert.errors import BrokerError, InputError
from massconvert.leads import Leads, check_batch_key
from massconvert.model import Canary, Priority
from massconvert.on_complete.targets import DEFAULT_QUEUE, Given, TaskTarget, parse_targets
from massconvert.options import Options, parse_canary
from massconvert.producer.batch import Batch
from massconvert.producer.deal_values import demand_taken
from massconvert.producer.intake import new_batch_id
from massconvert.producer.mass_convert import MassConvert
from massconvert.profiles import ConfigFile, Profile
from massconvert.settings import Settings
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of

#: Fewer leads than this are taken before a bar could be seen.
WORTH_A_BAR = 20_000

_EXAMPLES = """\b
Examples:
  massconvert enqueue leads.csv --options options.json --key import-2026-11-24
  massconvert enqueue 3652397000009850001 3652397000009851001 --profile nightly
  massconvert enqueue leads.csv --options options.json --dry-run
  massconvert enqueue urgent.csv --options options.json --priority interactive
  massconvert enqueue leads.csv --options options.json --canary 50 --wait
  massconvert enqueue leads.csv --options options.json        columns deal.Amount, deal.Type, …: each lead's own deal
  cut -d, -f1 leads.csv | massconvert enqueue - --no-deal --skip-invalid --wait 600
\b
Exit status: 0 accepted (with --wait: all converted or skipped), 1 some failed or are in another batch
already, 2 wrong input, 3 settings or Redis, 4 the wait is over and the batch goes on."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("enqueue", cls=WaitCommand, epilog=_EXAMPLES)(_enqueue)


def _enqueue(
    leads: LeadsArgument = None,
    file: FileOption = None,
    options: OptionsOption = None,
    profile: ProfileOption = None,
    no_deal: NoDealOption = False,
    key: KeyOption = None,
    wait: WaitOption = None,
    priority: Annotated[
        Priority | None,
        typer.Option(help="interactive goes with the next payload; by default for at most 10 leads."),
    ] = None,
    canary: CanaryOption = None,
    canary_max_failed: CanaryMaxFailedOption = None,
    on_complete: OnCompleteOption = None,
    id_column: IdColumnOption = None,
    skip_invalid: SkipInvalidOption = False,
    preflight: PreflightOption = False,
    on_match: OnMatchOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the batch and its counts as JSON.")] = False,
) -> None:
    """Enqueue leads for the workers, as one batch."""
    wait_seconds(wait)
    desk = open_desk(command_settings(profile=profile))
    demand_choice(no_deal, desk.settings.account, options=options, profile=profile)
    named = named_profile(desk.settings, profile, options)
    body = Options.parse(named.options) if named else read_options(options, on_match=on_match)
    demand_no_deal(no_deal, body)
    body = with_ours(body, preflight=preflight, on_match=on_match)
    ahead = parse_canary(canary, canary_max_failed)
    with read_leads(leads or (), file, skip_invalid=skip_invalid, id_column=id_column) as checked:
        demand_taken(body.body(), checked.deal_values)
        if not dry_run:
            demand_ours(desk.settings)
        check_before_enqueue(desk.settings, body, checked.deal_values)
        if dry_run:
            tell_key(desk, key, body)
            tell_dry_run(checked, body, Facts.known(desk, body), desk.settings, as_json=as_json)
            return
        plan = Planned(checked, body, ahead, lambda: Facts.known(desk, body))
        demand_consent(plan, desk.settings, nullcontext, yes=yes)
        urgent = priority or (named.priority if named else None)
        calls = on_complete or (named.on_complete if named else None)
        for target in parse_targets(on_complete or None):
            if isinstance(target, TaskTarget) and target.queue == DEFAULT_QUEUE:
                say(
                    f"on_complete: {target.place}, which is Celery's own default. For another: {target.task}@QUEUE",
                    "yellow",
                )
        batch = take(desk.settings, checked, body, key, urgent, ahead, calls)
    call = call_as_json(batch, checked.invalid) if as_json else None
    if call is None:
        tell_batch(batch, checked.invalid)
    end_call(desk, batch, call, wait, input_file(leads or (), file), id_column)


def named_profile(settings: Settings, name: str | None, options: str | None) -> Profile | None:
    """The profile of that name, if one is given. Raises InputError where options are given as well."""
    if name is not None and options is not None:
        raise InputError("Both --options and --profile are given.", hint="Give one: a profile has options of its own.")
    return ConfigFile(settings.config_file).profile(name) if name is not None else None


def take(
    settings: Settings,
    leads: Leads,
    options: Options,
    key: str | None,
    priority: Priority | None = None,
    canary: Canary | None = None,
    on_complete: Given = None,
) -> Batch:
    """Enqueue with a bar for long lists. Ctrl-C says what became of those that were taken, and how to go on."""
    # Named here, so that a batch of which only a part could be taken has a name too.
    batch_id = new_batch_id() if key is None else check_batch_key(key)
    producer = MassConvert(settings)
    try:
        with taking(len(leads)) as on_progress:
            batch = producer.enqueue(
                leads,
                options,
                key=batch_id,
                priority=priority,
                canary=canary.leads if canary else None,
                canary_max_failed=canary.max_failed if canary else None,
                on_complete=on_complete,
                on_progress=on_progress,
            )
    except (KeyboardInterrupt, BrokerError) as error:
        remember(settings, batch_id)
        if isinstance(error, BrokerError | Stopped):  # `convert` says itself what becomes of them
            raise
        again = "The same command" if key else f"The same command with --key {batch_id}"
        say(
            f"interrupted while enqueueing; the leads that were taken will be converted. {again} goes on with the rest."
        )
        raise typer.Exit(130) from None
    remember(settings, batch_id)
    return batch


def end_call(
    desk: Desk,
    batch: Batch,
    call: dict[str, Any] | None,
    wait: str | None,
    source: str | None = None,
    id_column: str | None = None,
) -> None:
    """Say how it goes on with a batch that was just enqueued, wait for it where that is wanted, and end the command.

    ``call`` is what became of the call, for JSON: one document, which says how the batch ended where that was waited
    for. ``source`` and ``id_column`` as for `wait_for`.
    """
    if wait is not None:
        in_json = None if call is None else lambda found: print_json(call | found)
        wait_for(desk, batch, wait_seconds(wait), source, id_column, in_json=in_json)
    if call is not None:
        print_json(call)
    desk.tell_standstill(batch.id)
    status = batch.progress()
    tell_elsewhere(status)
    if call is None and not desk.unattended:
        say(f"to watch it: {next_command('status', batch.id, '--watch', account=status.account)}")
    raise typer.Exit(Exit.SOME_FAILED if status.already_queued else Exit.OK)


def call_as_json(batch: Batch, invalid: int = 0) -> dict[str, Any]:
    """What became of an enqueue call, for scripts; ``invalid`` were left out before."""
    return {
        "batch": batch.id,
        "accepted": batch.accepted,
        "duplicates": batch.duplicates,
        "invalid": invalid + batch.invalid,
        "already_queued": batch.already_queued,
    }


def tell_batch(batch: Batch, invalid: int = 0) -> None:
    """What became of an enqueue call, for people, on stdout; ``invalid`` were left out before."""
    parts = [number_of(batch.accepted, "lead accepted", "leads accepted")]
    parts += [f"{batch.already_queued:,} in another batch already"] if batch.already_queued else []
    parts += left_out_of(batch.duplicates, invalid + batch.invalid)
    tell(f"Batch {batch.id}: {', '.join(parts)}.")


@contextmanager
def taking(total: int, doing: str = "enqueueing", worth: int = WORTH_A_BAR) -> Iterator[Callable[[int], None] | None]:
    """A bar on a terminal's stderr while many leads are taken; yields what to tell how many were."""
    console = err()
    if total < worth or not console.is_terminal:
        yield None
        return
    columns = (TextColumn(doing), BarColumn(bar_width(console)), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda taken: progress.update(task, completed=taken)
