"""``--files``: the three result files of a batch, and how a command tells of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from massconvert.cli.console import print_lines, say
from massconvert.cli.inputs import STDIN
from massconvert.cli.output_file import about_file, check_output
from massconvert.errors import InputError
from massconvert.leads import open_table
from massconvert.model import BatchStatus, LeadRow
from massconvert.results import Part, Results, write_results
from massconvert.words.plurals import number_of

FilesOption = Annotated[
    bool,
    typer.Option(
        "--files", help="Write BATCH-success.csv, BATCH-error.csv and BATCH-unprocessed.csv; none is replaced."
    ),
]
FolderOption = Annotated[
    Path | None,
    typer.Option("--dir", metavar="D", help="With --files: where they go (default: here).", show_default=False),
]


def write_files(
    status: BatchStatus,
    rows: Iterable[LeadRow],
    folder: Path | None,
    source: str | None,
    id_column: str | None = None,
) -> Results:
    """Write a batch's result files, with the columns of its input ``source`` where there is one (``-``: stdin), whose
    ids are in ``id_column``, or in the usual one.

    What does not fit is told on stderr. Raises InputError.
    """
    with ExitStack() as stack:
        table = None
        if source is not None:
            stream = (sys.stdin.buffer, "stdin") if source == STDIN else (source, source)
            with about_file(source):
                table = stack.enter_context(open_table(*stream, id_column=id_column))
        results = write_results(status.batch, rows, folder or Path(), table, finished=status.finished)
    if results.not_in_input:
        more = ", …" if results.not_in_input > len(results.for_example) else ""
        of = f"of batch {status.batch}"
        missing = number_of(results.not_in_input, f"lead {of} is", f"leads {of} are")
        say(
            f"{missing} not in {source} and so in none of the files: "
            f"{', '.join(results.for_example)}{more}. Without --input the files have all.",
            "yellow",
        )
    return results


def check_folder(files: bool, folder: Path | None) -> None:
    """Raise InputError where `write_files` could not write, before the work is done that it is to tell of."""
    if folder and not files:
        raise InputError("--dir goes with --files.", hint="Add --files, or leave it out.")
    if files:
        check_output((folder or Path()) / "BATCH-success.csv", force=True)


def files_as_json(results: Results) -> dict[str, Any]:
    """The files and the rows of each, for scripts."""
    return {part.value: {"file": str(results.files[part]), "rows": results.counts[part]} for part in Part}


def print_files(results: Results) -> None:
    """The files and the rows of each on stdout, for people."""
    print_lines(f"{results.counts[part]:>9,}  {results.files[part]}\n" for part in Part)
