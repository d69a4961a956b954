"""``massconvert report``: what became of each lead of a batch."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from massconvert.cli.batch_view import so_far
from massconvert.cli.console import print_json, print_lines, say, tell
from massconvert.cli.inputs import IdColumnOption
from massconvert.cli.output_file import check_output, write_output
from massconvert.cli.reach import find_desk
from massconvert.cli.result_files import (
    FilesOption,
    FolderOption,
    check_folder,
    files_as_json,
    print_files,
    write_files,
)
from massconvert.cli.summary import print_summary
from massconvert.cli.which_batch import BatchArgument, LastOption, which
from massconvert.cli.with_ids import WithIdsOption, rows_with_ids
from massconvert.errors import InputError
from massconvert.model import BatchStatus, Kind, LeadRow
from massconvert.report import csv_lines, json_array, json_lines, only, summarise
from massconvert.results import Results
from massconvert.words.readable import readable, readable_json

_EXAMPLES = """\b
Examples:
  massconvert report import-2026-11-24
  massconvert report --last --outcome failed
  massconvert report import-2026-11-24 --output leads-report.csv
  massconvert report import-2026-11-24 --code NOT_FOUND --code LOCKED --output results/failed.jsonl
  massconvert report import-2026-11-24 --format jsonl --outcome failed | jq .lead_id
  massconvert report import-2026-11-24 --files --input leads.csv --with-ids
\b
--files writes BATCH-success.csv, BATCH-error.csv and BATCH-unprocessed.csv. With --input they have the
input's own columns, ours (mc_outcome, mc_code, …) behind them. The error file, fixed, is input again."""


class Format(str, Enum):
    """The forms of a report."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


LINES: Mapping[Format, Callable[[Iterable[LeadRow]], Iterator[str]]] = {
    Format.CSV: csv_lines,
    Format.JSON: json_array,
    Format.JSONL: json_lines,
}
#: What a file's ending says of its form.
ENDINGS = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".txt": Format.TABLE,
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog=_EXAMPLES)(_report)


def _report(
    batch: BatchArgument = None,
    last: LastOption = False,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="table: a summary; csv, jsonl: a line a lead; json: an array. By default what the ending of --output "
            "says, else table.",
            show_default=False,
        ),
    ] = None,
    outcome: Annotated[Kind | None, typer.Option(help="Only the leads that ended so.")] = None,
    codes: Annotated[
        list[str] | None,
        typer.Option("--code", metavar="CODE", help="Only the leads that ended with this code; may be repeated."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write into this file instead of stdout.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    files: FilesOption = False,
    folder: FolderOption = None,
    source: Annotated[
        str | None,
        typer.Option("--input", metavar="LEADS.csv", help="With --files: the batch's input, whose columns they keep."),
    ] = None,
    id_column: IdColumnOption = None,
    with_ids: WithIdsOption = False,
    in_json: Annotated[bool, typer.Option("--json", help="With --files: print their names and rows as JSON.")] = False,
) -> None:
    """Tell what became of each lead of a batch."""
    if files:
        _refuse("--files", {"--format": form, "--outcome": outcome, "--code": codes, "--output": output})
    elif folder or source or in_json:
        raise InputError("--dir, --input and --json go with --files.", hint="Add --files, or leave them out.")
    if output:
        check_output(output, force=force)
    shown = form or form_of(output)
    if with_ids and not files and shown is Format.TABLE:
        raise InputError("The table has no ids.", hint="Add --format csv, --format json, --format jsonl or --files.")
    if id_column is not None and not source:
        raise InputError("--id-column goes with --input.", hint="It names a column of that file.")
    check_folder(files, folder)
    desk = find_desk(batch, last=last)
    status = desk.ledger.batches.status(which(desk, batch, last, "report"))
    if not status.finished:
        say(so_far(status))
    rows: Iterable[LeadRow] = desk.ledger.batches.rows(status.batch)
    if with_ids:
        rows = rows_with_ids(desk, rows)
    if files:
        _tell_files(write_files(status, rows, folder, source, id_column), status, in_json=in_json)
    else:
        heading = f"batch {status.batch}, {whose}" if (whose := desk.whose()) else ""
        _tell(only(rows, outcome, [code.upper() for code in codes or ()]), shown, output, heading, force=force)


def form_of(output: Path | None) -> Format:
    """The form that a file's ending says; a table where there is no file. Raises InputError for another ending."""
    form = Format.TABLE if output is None else ENDINGS.get(output.suffix.lower())
    if form is None:
        raise InputError(
            f"The name {output} does not say in which form the report is to be written.",
            hint=f"Name a file that ends in {', '.join(ENDINGS)}, or say which with --format.",
        )
    return form


def lines_for(output: Path) -> Callable[[Iterable[LeadRow]], Iterator[str]]:
    """What makes a report of a line a lead for a file of that name. Raises InputError where the name does not say."""
    return LINES.get(form_of(output), csv_lines)


def _tell(rows: Iterable[LeadRow], form: Format, output: Path | None, heading: str, *, force: bool) -> None:
    if form is not Format.TABLE:
        lines = LINES[form](rows)
    elif output:
        lines = _table_lines(rows, heading)
    else:
        if heading:
            tell(heading)
        print_summary(summarise(rows))
        return
    if output:
        write_output(output, lines, force=force)
        say(f"the report is in {output}")
    else:
        print_lines(lines, readable if form is Format.CSV else readable_json)


def _tell_files(results: Results, status: BatchStatus, *, in_json: bool) -> None:
    if in_json:
        print_json(
            {
                "batch": status.batch,
                "account": status.account,
                **files_as_json(results),
                "not_in_input": results.not_in_input,
            }
        )
    else:
        print_files(results)


def _refuse(with_what: str, given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if value:
            raise InputError(f"{with_what} and {name} do not go together.", hint="Give the command once for each.")


def _table_lines(rows: Iterable[LeadRow], heading: str) -> Iterator[str]:
    text = io.StringIO(f"{heading}\n" if heading else "")
    text.seek(0, io.SEEK_END)
    print_summary(
        summarise(rows), Console(file=text, width=200, no_color=True, highlight=False, markup=False, emoji=False)
    )
    yield text.getvalue()
