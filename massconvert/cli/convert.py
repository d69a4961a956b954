"""``massconvert convert``: one command, one machine, with a Redis and workers as child processes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from massconvert.batch import Batch
from massconvert.cli import batch_view
from massconvert.cli.account import command_settings
from massconvert.cli.afterwards import tell_elsewhere
from massconvert.cli.consent import Plan, YesOption, demand_consent
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
    OptionsOption,
    PreflightOption,
    SkipInvalidOption,
    demand_choice,
    demand_no_deal,
    input_file,
    read_leads,
    read_options,
    with_preflight,
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
from massconvert.cli.waiting import ended_as_json, show_ended
from massconvert.cli.with_ids import WithIdsOption, rows_with_ids
from massconvert.contract import Exit
from massconvert.deal_values import demand_deal
from massconvert.errors import ZohoError
from massconvert.leads import Leads, check_batch_key
from massconvert.leads.brought import Brought
from massconvert.model import BatchStatus, Canary, LeadRow
from massconvert.next_command import next_command
from massconvert.options import Options, fingerprint, parse_canary
from massconvert.report import summarise
from massconvert.results import Part, Results
from massconvert.wording import ended_of

_EXAMPLES = """\b
Examples:
  massconvert convert leads.csv --options options.json
  massconvert convert 3652397000009850001 --options options.json --output report.csv
  massconvert convert leads.csv --options options.json --canary 50
  massconvert convert leads.csv --options options.json        columns deal.Amount, deal.Type, …: each lead's own deal
  massconvert convert leads.csv --options options.json --files --dir results
\b
An interrupted run goes on where it stopped when the same command is given again.
Exit status: 0 all converted or skipped, 1 some failed or are in another batch already, 2 wrong input,
3 settings, Redis or Zoho."""

_ALL = 1 << 16


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
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON instead of a table.")] = False,
) -> None:
    """Convert leads with workers of this machine alone."""
    settings = command_settings()
    demand_choice(no_deal, settings.account, options=options)
    if not dry_run:
        settings.require_zoho()
    check_folder(files, folder)
    ahead = parse_canary(canary, canary_max_failed)
    body = with_preflight(read_options(options), preflight)
    demand_no_deal(no_deal, body)
    with read_leads(leads or (), file, skip_invalid=skip_invalid, id_column=id_column) as checked:
        demand_deal(body.body(), checked.deal_values)
        if dry_run:
            tell_dry_run(checked, body, Facts.assumed(settings), settings, as_json=as_json)
            return
        batch_id = check_batch_key(key) if key else batch_id_of(checked, body)
        report, replace = (output, force) if output else (Path(f"{batch_id}-report.csv"), True)
        wanted = _Wanted(report, replace, files, folder, input_file(leads or (), file), id_column, with_ids)
        lines_for(report)
        check_output(report, force=replace)
        demand_consent(Plan(checked, body, ahead, partial(Facts.assumed, settings)), settings, some_redis, yes=yes)
        try:
            say("starting Redis and the workers on this machine.")
            with at_home(settings) as machine:
                batch, told = _begin(machine, checked, body, batch_id, ahead)
                status = machine.finish(batch, told)
                if status.awaits_verdict:
                    _report(machine.desk, batch, checked.invalid, None, as_json=as_json)
                    say("nothing is left running. To let the others follow, give the same command without --canary.")
                    raise typer.Exit(Exit.STILL_RUNNING)
                results, trouble = _write(machine.desk, batch, status, wanted)
                _report(machine.desk, batch, checked.invalid, results, as_json=as_json)
        except KeyboardInterrupt:
            say("stopped; nothing is left running. The same command goes on where it stopped.")
            raise typer.Exit(130) from None
    say(f"batch {batch.id} is {status.state.value}: {batch_view.counts(status)}. The report, a line a lead: {report}")
    tell_elsewhere(status)
    if status.failed:
        _tell_mending(results, input_file(leads or (), file) and id_column, settings.account)
    if trouble:
        raise trouble
    raise typer.Exit(exit_of(status))


@dataclass(frozen=True)
class _Wanted:
    """What is written when the batch has ended.

    ``replace``: the report may be there, as one of the same batch that this command wrote before; ``source``: the
    leads' file, and ``id_column`` the name of its column.
    """

    report: Path
    replace: bool
    files: bool
    folder: Path | None
    source: str | None
    id_column: str | None
    with_ids: bool


def _begin(machine: Machine, leads: Leads, body: Options, batch_id: str, ahead: Canary | None) -> tuple[Batch, str]:
    """Enqueue the batch, or go on with the one that is there; and what has been told of trouble with Zoho."""
    machine.start_anew()
    earlier = machine.existing(batch_id)
    told = ""
    if earlier is None:
        told = check_before_enqueue(machine.desk.settings, body, leads.deal_values, alone=True)
    _tell_earlier(earlier)
    if earlier is not None and earlier.awaits_verdict and ahead is None:
        machine.producer.resume(batch_id)
    return take(machine.desk.settings, leads, body, batch_id, canary=ahead), told


def _write(desk: Desk, batch: Batch, status: BatchStatus, wanted: _Wanted) -> tuple[Results | None, ZohoError | None]:
    """Write the report and the files. Where Zoho does not tell the ids they go without, and why is returned."""
    known = Brought()

    def rows() -> Iterator[LeadRow]:
        return rows_with_ids(desk, batch.outcomes(), known) if wanted.with_ids else batch.outcomes()

    try:
        write_output(wanted.report, lines_for(wanted.report)(rows()), force=wanted.replace)
        return write_files(
            status, rows(), wanted.folder, wanted.source, wanted.id_column
        ) if wanted.files else None, None
    except ZohoError as error:
        results, _ = _write(desk, batch, status, replace(wanted, replace=True, with_ids=False))
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


def _tell_mending(results: Results | None, id_column: str | None, account: str) -> None:
    if results:
        named = ["--id-column", id_column] if id_column else []
        mended = str(results.files[Part.ERROR])
        again = next_command("convert", mended, *named, "--options", "O.json", account=account)
        hint(f"Mended, the failed ones are input again: {again}")
    else:
        hint("The same command with --files writes the failed ones as a file that, mended, is input again.")


def _report(desk: Desk, batch: Batch, invalid: int, results: Results | None, *, as_json: bool) -> None:
    if as_json:
        found = call_as_json(batch, invalid) | ended_as_json(desk, batch.progress(), summarise(batch.outcomes()))
        print_json(found | ({"files": files_as_json(results)} if results else {}))
        return
    show_ended(batch)
    if results:
        print_files(results)
