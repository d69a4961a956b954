"""``massconvert convert``: one command, one machine, with a Redis and workers as child processes."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from massconvert.cli import batch_view
from massconvert.cli.account import command_settings
from massconvert.cli.afterwards import tell_elsewhere
from massconvert.cli.batch_view import held_in_words
from massconvert.cli.consent import Planned, YesOption, demand_consent
from massconvert.cli.console import hint, local_time, print_json, say
from massconvert.cli.desk import Desk, exit_of
from massconvert.cli.dry_run import DryRunOption, Facts, tell_dry_run
from massconvert.cli.enqueue import call_as_json, take
from massconvert.cli.inputs import (
    CanaryMaxFailedOption,
    CanaryOption,
    FileOption,
    IdColumnOption,
    KeyOption,
    LeadsArgument,
    NoDealOption,
    OnMatchOption,
    OptionsOption,
    PreflightOption,
    SkipInvalidOption,
    demand_choice,
    demand_no_deal,
    input_file,
    read_leads,
    read_options,
    with_ours,
)
from massconvert.cli.live import some_redis
from massconvert.cli.live_options import check_before_enqueue
from massconvert.cli.one_machine import Machine, at_home
from massconvert.cli.output_file import check_output, write_output
from massconvert.cli.report import lines_for
from massconvert.cli.result_files import (
    FilesOption,
    FolderOption,
    check_folder,
    files_as_json,
    print_files,
    write_files,
)
from massconvert.cli.stopping import Stopped, stoppable, tell_verdict
from massconvert.cli.waiting import ended_as_json, show_ended
from massconvert.cli.with_ids import WithIdsOption, rows_with_ids
from massconvert.contract import Exit
from massconvert.embedded.unfinished import is_ours
from massconvert.errors import InputError, ZohoError
from massconvert.leads import Leads, check_batch_key
from massconvert.leads.brought import Brought
from massconvert.model import HELD_FOR_CANARY, BatchStatus, Canary, LeadRow
from massconvert.options import Options, fingerprint, parse_canary
from massconvert.producer.batch import Batch
from massconvert.producer.deal_values import demand_taken
from massconvert.report import summarise
from massconvert.results import Part, Results
from massconvert.settings import Settings
from massconvert.words.next_command import next_command
from massconvert.words.plurals import ended_of

_EXAMPLES = """\b
Examples:
  massconvert convert leads.csv --options options.json
  massconvert convert 3652397000009850001 --options options.json --output report.csv
  massconvert convert leads.csv --options options.json --canary 50
  massconvert convert leads.csv --options options.json        columns deal.Amount, deal.Type, …: each lead's own deal
  massconvert convert leads.csv --options options.json --files --dir results
  massconvert convert --resume import-2026-11-24
\b
What you stop (Ctrl-C, kill, a closed terminal) stays stopped: nothing more of it is sent until the same command
is given again, or convert --resume. status, report, cancel and the others reach it without REDIS_URL.
Exit status: 0 all converted or skipped, 1 some failed or are in another batch already, 2 wrong input, 3 settings,
Redis or Zoho, 4 its canary has ended or it was paused by hand, 128 and the signal's number: stopped."""

_ALL = 1 << 16
_STARTING = "starting Redis and the workers on this machine."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert", epilog=_EXAMPLES)(_convert)


def _convert(
    leads: LeadsArgument = None,
    file: FileOption = None,
    options: OptionsOption = None,
    no_deal: NoDealOption = False,
    key: KeyOption = None,
    canary: CanaryOption = None,
    canary_max_failed: CanaryMaxFailedOption = None,
    id_column: IdColumnOption = None,
    skip_invalid: SkipInvalidOption = False,
    preflight: PreflightOption = False,
    on_match: OnMatchOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the report goes: .csv (default: BATCH-report.csv), .json or .jsonl.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    files: FilesOption = False,
    folder: FolderOption = None,
    with_ids: WithIdsOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    resume: Annotated[
        list[str] | None,
        typer.Option(
            "--resume", metavar="BATCH", help="Instead of leads: go on with a batch that was stopped; may be repeated."
        ),
    ] = None,
    resume_all: Annotated[
        bool, typer.Option("--resume-all", help="Instead of leads: go on with all batches that have not finished.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON instead of a table.")] = False,
) -> None:
    """Convert leads with workers of this machine alone."""
    settings = command_settings()
    check_folder(files, folder)
    source = input_file(leads or (), file) if leads or file else None
    wanted = _Wanted(output, force, files, folder, source, id_column, with_ids, as_json)
    if resume or resume_all:
        given: dict[str, object] = {"LEADS": leads, "--file": file, "--options": options, "--no-deal": no_deal}
        given |= {"--canary": canary, "--id-column": id_column, "--preflight": preflight, "--on-match": on_match}
        given |= {"--key": key, "--dry-run": dry_run}
        _demand_alone(given, settings, several=resume_all or len(resume or ()) > 1, output=output)
        _resume(settings, wanted, resume or ())
        return
    demand_choice(no_deal, settings.account, options=options)
    if not dry_run:
        settings.require_zoho()
    ahead = parse_canary(canary, canary_max_failed)
    body = with_ours(read_options(options, on_match=on_match), preflight=preflight, on_match=on_match)
    demand_no_deal(no_deal, body)
    with read_leads(leads or (), file, skip_invalid=skip_invalid, id_column=id_column) as checked:
        demand_taken(body.body(), checked.deal_values)
        if dry_run:
            tell_dry_run(checked, body, Facts.assumed(settings), settings, as_json=as_json)
            return
        batch_id = check_batch_key(key) if key else batch_id_of(checked, body)
        wanted.check_report_of(batch_id)
        demand_consent(Planned(checked, body, ahead, partial(Facts.assumed, settings)), settings, some_redis, yes=yes)

        def begin(machine: Machine) -> list[_Begun]:
            machine.tell_others([batch_id])
            return [_begin(machine, checked, body, batch_id, ahead)]

        def stop(machine: Machine) -> bool:
            return machine.stop(batch_id, len(checked))

        _work(settings, wanted, begin, stop)


def _demand_alone(given: Mapping[str, object], settings: Settings, *, several: bool, output: Path | None) -> None:
    for name, value in given.items():
        if value:
            raise InputError(f"{name} does not go with --resume: a batch has its leads and options already.")
    if several and output:
        raise InputError("--output names one file, and there may be several batches.", hint="Leave it out.")
    settings.require_zoho()


def _resume(settings: Settings, wanted: _Wanted, names: Sequence[str]) -> None:
    """Go on with batches by their names; with all that have not finished where none is named."""
    named = list(names)

    def begin(machine: Machine) -> list[_Begun]:
        batches = machine.desk.ledger.batches
        if not named:
            named.extend(machine.unfinished())
        found = [batches.status(name) for name in named]  # an unknown one is told before anything goes on
        machine.tell_others(named)
        for status in found:
            _tell_earlier(status)
            machine.producer.resume(status.batch)
            if not status.sealed:
                say(
                    f"the enqueue of batch {status.batch} had not ended: these are the leads that were taken.", "yellow"
                )
                batches.seal(status.batch, flush=True)
        if found:
            machine.stack.go()
        else:
            say("every batch has finished: there is nothing to go on with.")
        return [_Begun(machine.producer.batch(name)) for name in named]

    def stop(machine: Machine) -> bool:
        begun = [machine.stop(name) for name in named]
        return any(begun)

    _work(settings, wanted, begin, stop)


@dataclass(frozen=True)
class _Wanted:
    """What is written when a batch has ended.

    ``output`` and ``force``: the report's file, and whether it may be there; ``source``: the leads' file, and
    ``id_column`` the name of its column.
    """

    output: Path | None
    force: bool
    files: bool
    folder: Path | None
    source: str | None
    id_column: str | None
    with_ids: bool
    as_json: bool

    def report_of(self, batch_id: str) -> tuple[Path, bool]:
        """The file of a batch's report, and whether it may be replaced: one that this command has written before."""
        return (self.output, self.force) if self.output else (Path(f"{batch_id}-report.csv"), True)

    def check_report_of(self, batch_id: str) -> None:
        """Raise InputError where a batch's report could not be written."""
        report, replace = self.report_of(batch_id)
        lines_for(report)
        check_output(report, force=replace)


@dataclass(frozen=True)
class _Begun:
    """A batch on its way, what has been told of trouble with Zoho, and how many ids were none."""

    batch: Batch
    told: str = ""
    invalid: int = 0


@dataclass(frozen=True)
class _Ended:
    """How a batch has ended, what was written, and why something of it was not."""

    status: BatchStatus
    report: Path
    results: Results | None
    trouble: ZohoError | None


def _work(
    settings: Settings, wanted: _Wanted, begin: Callable[[Machine], list[_Begun]], stop: Callable[[Machine], bool]
) -> None:
    """Start the machine, see the batches that ``begin`` makes to their ends, and end the command with its exit status.

    ``stop`` pauses them when a signal comes, and says whether any has begun.
    """
    began = False
    with stoppable() as stopping:
        try:
            say("starting the workers on this machine." if settings.redis_url_given else _STARTING)
            with at_home(settings, stopping) as machine:
                try:
                    machine.end_refusal()
                    ended = [_finish(machine, begun, wanted) for begun in begin(machine)]
                except Stopped:
                    began = stop(machine)
                    say("ending the workers. Ctrl-C once more does not wait for what they have under way.")
                    raise
        except Stopped as signalled:
            say("nothing is left running." if began else "stopped before anything was sent; nothing is left running.")
            raise typer.Exit(signalled.exit_status) from None
    for each in ended:
        _tell_ended(each, wanted, settings.account)
    for each in ended:
        if each.trouble:
            raise each.trouble
    raise typer.Exit(max((exit_of(each.status) for each in ended), default=Exit.OK))


def _begin(machine: Machine, leads: Leads, body: Options, batch_id: str, ahead: Canary | None) -> _Begun:
    """Enqueue the batch, or go on with the one that is there."""
    earlier = machine.existing(batch_id)
    told = ""
    if earlier is None:
        told = check_before_enqueue(machine.desk.settings, body, leads.deal_values, alone=True)
    elif earlier.held and earlier.held != HELD_FOR_CANARY and not is_ours(earlier):
        say(held_in_words(earlier, unattended=True))
        raise typer.Exit(Exit.STILL_RUNNING)
    _tell_earlier(earlier)
    if earlier is not None and (is_ours(earlier) or ahead is None):
        machine.producer.resume(batch_id)
    machine.stack.go()
    return _Begun(take(machine.desk.settings, leads, body, batch_id, canary=ahead), told, leads.invalid)


def _finish(machine: Machine, begun: _Begun, wanted: _Wanted) -> _Ended:
    """See a batch to its end, and write what is wanted."""
    batch = begun.batch
    status = machine.finish(batch, begun.told)
    if status.awaits_verdict:
        _report(machine.desk, begun, None, as_json=wanted.as_json)
        tell_verdict(status)
        raise typer.Exit(Exit.STILL_RUNNING)
    report, replace = wanted.report_of(batch.id)
    results, trouble = _write(machine.desk, batch, status, wanted, report, replace=replace)
    _report(machine.desk, begun, results, as_json=wanted.as_json)
    return _Ended(status, report, results, trouble)


def _tell_ended(ended: _Ended, wanted: _Wanted, account: str) -> None:
    status = ended.status
    said = f"batch {status.batch} is {status.state.value}: {batch_view.counts(status)}."
    say(f"{said} The report, a line a lead: {ended.report}")
    tell_elsewhere(status)
    if status.failed:
        _tell_fixing(ended.results, wanted.source and wanted.id_column, account)


def _write(
    desk: Desk, batch: Batch, status: BatchStatus, wanted: _Wanted, report: Path, *, replace: bool
) -> tuple[Results | None, ZohoError | None]:
    """Write the report and the files. Where Zoho does not tell the ids they go without, and why is returned."""
    known = Brought()

    def rows() -> Iterator[LeadRow]:
        return rows_with_ids(desk, batch.outcomes(), known) if wanted.with_ids else batch.outcomes()

    try:
        write_output(report, lines_for(report)(rows()), force=replace)
        return write_files(
            status, rows(), wanted.folder, wanted.source, wanted.id_column
        ) if wanted.files else None, None
    except ZohoError as error:
        without = dataclasses.replace(wanted, with_ids=False)
        results, _ = _write(desk, batch, status, without, report, replace=True)
        return results, error
    finally:
        known.close()


def batch_id_of(leads: Leads, options: Options) -> str:
    """The name of the batch that these leads with these options are: the same ones again are the same batch."""
    digest = hashlib.sha256(fingerprint(options.body()).encode())
    ids: list[str] = []
    for lead_id in leads:
        ids.append(lead_id)
        if len(ids) == _ALL:
            digest.update("\n".join([*ids, ""]).encode())
            ids.clear()
    digest.update("\n".join([*ids, ""] if ids else []).encode())
    for lead_id, values in leads.deal_values.items():
        digest.update(f"{lead_id} {values}\n".encode())
    return f"convert-{digest.hexdigest()[:16]}"


def _tell_earlier(earlier: BatchStatus | None) -> None:
    if earlier is None:
        return
    if earlier.finished:
        say(
            f"this was done before, as batch {earlier.batch} (finished {local_time(earlier.finished_at)}); its "
            "outcomes stand. To convert once more, give another --key.",
            "yellow",
        )
    else:
        say(f"going on with batch {earlier.batch}: {ended_of(earlier.ended, earlier.total)}.")


def _tell_fixing(results: Results | None, id_column: str | None, account: str) -> None:
    if results:
        named = ["--id-column", id_column] if id_column else []
        fixed = str(results.files[Part.ERROR])
        again = next_command("convert", fixed, *named, "--options", "O.json", account=account)
        hint(f"Fixed, the failed ones are input again: {again}")
    else:
        hint("The same command with --files writes the failed ones as a file that, fixed, is input again.")


def _report(desk: Desk, begun: _Begun, results: Results | None, *, as_json: bool) -> None:
    batch = begun.batch
    if as_json:
        found = call_as_json(batch, begun.invalid) | ended_as_json(desk, batch.progress(), summarise(batch.outcomes()))
        print_json(found | ({"files": files_as_json(results)} if results else {}))
        return
    show_ended(batch)
    if results:
        print_files(results)
