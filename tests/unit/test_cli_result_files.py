"""massconvert report --files: what is written, what is said of it, what goes together."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from massconvert.contract import Exit
from massconvert.model import Kind, Outcome
from tests.unit.cli_shell import A, B, C, Shell

CONVERTED, FAILED = Outcome(Kind.CONVERTED, job_id="77", attempts=1), Outcome(Kind.FAILED, "NOT_FOUND", "gone")


@pytest.fixture
def shell(shell: Shell) -> Shell:
    shell.batch("k", {A: CONVERTED, B: FAILED, C: Outcome(Kind.CANCELLED)})
    return shell


def column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return [row[name] for row in csv.DictReader(stream)]


def test_three_files_are_written_and_named_on_stdout(shell: Shell) -> None:
    said = shell.run("report", "k", "--files")
    assert (said.code, said.err) == (Exit.OK, "")
    assert [line.split() for line in said.out.splitlines()] == [
        ["1", "k-success.csv"],
        ["1", "k-error.csv"],
        ["1", "k-unprocessed.csv"],
    ]
    assert column(shell.folder / "k-error.csv", "id") == [B]


def test_scripts_get_the_names_and_the_rows_as_json(shell: Shell) -> None:
    (shell.folder / "out").mkdir()
    said = shell.run("report", "k", "--files", "--dir", "out", "--json")
    assert said.json == {
        "batch": "k",
        "account": "default",
        "success": {"file": "out/k-success.csv", "rows": 1},
        "error": {"file": "out/k-error.csv", "rows": 1},
        "unprocessed": {"file": "out/k-unprocessed.csv", "rows": 1},
        "not_in_input": 0,
    }


def test_a_second_time_nothing_is_replaced(shell: Shell) -> None:
    shell.run("report", "k", "--files")
    before = (shell.folder / "k-error.csv").read_bytes()
    said = shell.run("report", "k", "--files")
    assert said.code == Exit.OK
    assert "k-error-2.csv" in said.out
    assert (shell.folder / "k-error.csv").read_bytes() == before == (shell.folder / "k-error-2.csv").read_bytes()


def test_the_inputs_columns_are_kept_from_a_file_and_from_stdin(shell: Shell) -> None:
    text = f"Company,id\nACME,{A}\nBeta,{B}\nGamma,{C}\n"
    shell.write("leads.csv", text)
    shell.run("report", "k", "--files", "--input", "leads.csv")
    assert column(shell.folder / "k-error.csv", "Company") == ["Beta"]
    shell.run("report", "k", "--files", "--input", "-", stdin=text.encode())
    assert (shell.folder / "k-error-2.csv").read_bytes() == (shell.folder / "k-error.csv").read_bytes()


def test_leads_that_the_input_does_not_have_are_told(shell: Shell) -> None:
    shell.write("leads.csv", f"id\n{A}\n")
    said = shell.run("report", "k", "--files", "--input", "leads.csv", "--json")
    assert said.json["not_in_input"] == 2
    assert f"2 leads of batch k are not in leads.csv and so in none of the files: {B}, {C}." in said.err


def test_a_batch_that_goes_on_says_so_and_what_waits_is_unprocessed(shell: Shell) -> None:
    shell.batch("half", {A: CONVERTED}, waiting=[B])
    said = shell.run("report", "half", "--files")
    assert "1 of 2 leads have ended so far" in said.err
    assert column(shell.folder / "half-unprocessed.csv", "id") == [B]


def test_the_fixed_error_file_is_input_again_even_from_a_spreadsheet(shell: Shell) -> None:
    shell.run("report", "k", "--files")
    text = (shell.folder / "k-error.csv").read_text()
    assert text.count(B) == 2
    shell.write("fixed.csv", "\ufeff" + text.replace(f"{B},", "3.6524E+18,").replace("\n", "\r\n"))
    said = shell.run("enqueue", "--no-deal", "fixed.csv", "--key", "again", "--json")
    assert said.json == {"batch": "again", "accepted": 1, "duplicates": 0, "invalid": 0, "already_queued": 0}
    assert "ids that a spreadsheet had rounded, restored from the column mc_row: 1" in said.err
    assert [row.lead_id for row in shell.ledger.batches.rows("again")] == [B]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("k", "--files", "--output", "x.csv"), "--files and --output do not go together"),
        (("k", "--files", "--format", "csv"), "--files and --format do not go together"),
        (("k", "--files", "--outcome", "failed"), "--files and --outcome do not go together"),
        (("k", "--files", "--dir", "empty.csv"), "empty.csv is a file and no directory"),
        (("k", "--files", "--code", "NOT_FOUND"), "--files and --code do not go together"),
        (("k", "--files", "--input", "none.csv"), "none.csv cannot be read"),
        (("k", "--files", "--input", "empty.csv"), "empty.csv has no lead ids"),
        (("k", "--files", "--input", "names.csv"), "has no column for the lead ids"),
        (("k", "--dir", "."), "go with --files"),
        (("k", "--input", "empty.csv"), "go with --files"),
        (("k", "--with-ids"), "The table has no ids"),
        (("nope", "--files"), "There is no batch 'nope'"),
    ],
)
def test_what_is_typed_wrong_is_told_in_words_and_nothing_is_written(
    shell: Shell, arguments: tuple[str, ...], told: str
) -> None:
    shell.write("empty.csv", "")
    shell.write("names.csv", "Name,Company\nAnn,ACME\n")
    said = shell.run("report", *arguments)
    assert said.code == Exit.USAGE
    assert said.out == ""
    assert told in said.err
    assert sorted(os.listdir(shell.folder)) == ["empty.csv", "names.csv"]


def test_convert_checks_where_the_files_go_before_it_converts(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"):
        monkeypatch.setenv(name, "invented")
    shell.write("none", "")
    assert "none is a file and no directory" in shell.run("convert", "--no-deal", A, "--files", "--dir", "none").err
    assert "--dir goes with --files" in shell.run("convert", "--no-deal", A, "--dir", ".").err


def test_ids_are_not_asked_for_without_credentials_or_while_all_calls_are_stopped(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = shell.run("report", "k", "--files", "--with-ids")
    assert (said.code, said.out) == (Exit.UNREACHABLE, "")
    assert "ZOHO_CLIENT_ID" in said.err
    for name in ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"):
        monkeypatch.setenv(name, "invented")
    shell.run("pause")
    said = shell.run("report", "k", "--format", "jsonl", "--with-ids")
    assert (said.code, said.out) == (Exit.UNREACHABLE, "")
    assert "massconvert resume" in said.err
    assert os.listdir(shell.folder) == []


def test_the_inputs_column_is_named_as_when_it_was_enqueued_and_the_files_keep_it(shell: Shell) -> None:
    shell.write("leads.csv", f"Datensatz-ID;Id\n{A};1\n{B};2\n{C};3\n")
    said = shell.run("report", "k", "--files", "--input", "leads.csv", "--id-column", "Datensatz-ID")
    assert (said.code, said.err) == (Exit.OK, "")
    assert "Datensatz-ID;Id;mc_outcome;" in (shell.folder / "k-error.csv").read_text()
    assert f"\n{B};2;failed;" in (shell.folder / "k-error.csv").read_text()
    again = shell.run("enqueue", "--no-deal", "k-error.csv", "--id-column", "Datensatz-ID", "--key", "l", "--json")
    assert again.json["accepted"] == 1
    alone = shell.run("report", "k", "--files", "--id-column", "Datensatz-ID")
    assert (alone.code, "--id-column goes with --input" in alone.err) == (Exit.USAGE, True)
