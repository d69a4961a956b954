"""massconvert report: forms, filters, files."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from massconvert.cli.output_file import write_output
from massconvert.contract import Exit
from massconvert.errors import InputError
from massconvert.model import Kind, Outcome
from massconvert.report import COLUMNS
from tests.unit.cli_shell import A, B, Shell, finished


@pytest.fixture
def shell(shell: Shell) -> Shell:
    shell.batch("k", finished(3))
    return shell


def test_jsonl_is_a_line_a_lead(shell: Shell) -> None:
    said = shell.run("report", "k", "--format", "jsonl")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert said.code == Exit.OK
    assert [list(row) for row in rows] == [list(COLUMNS)] * 3
    assert [row["outcome"] for row in rows] == ["failed", "converted", "converted"]


def test_csv_can_be_read_back(shell: Shell) -> None:
    rows = list(csv.DictReader(io.StringIO(shell.run("report", "k", "--format", "csv").out)))
    assert {row["lead_id"] for row in rows} == set(finished(3))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_only_what_failed_can_be_had(shell: Shell, form: str) -> None:
    said = shell.run("report", "k", "--format", form, "--outcome", "failed")
    assert "NOT_FOUND" in said.out
    assert "converted" not in said.out


def test_the_table_counts_and_names_the_failed(shell: Shell) -> None:
    said = shell.run("report", "k")
    words = [line.split() for line in said.out.splitlines()]
    assert ["failed", "NOT_FOUND", "1", A, "gone"] in words
    assert ["converted", "2", B] in words
    assert ["all", "3"] in words
    assert said.err == ""


def test_a_batch_that_goes_on_says_so_beside_the_report(shell: Shell) -> None:
    shell.batch("half", finished(1), waiting=["7", "8"])
    said = shell.run("report", "half", "--format", "jsonl")
    assert [json.loads(line)["outcome"] for line in said.out.splitlines()] == ["failed", None, None]
    assert "1 of 3 leads have ended" in said.err


def test_messages_of_zoho_are_shown_as_they_are_but_for_control_characters(shell: Shell) -> None:
    shell.batch("odd", {A: Outcome(Kind.FAILED, "X", "the id [$.ids[3]] \x1b[31m:smile: is [bold]bad[/bold]")})
    out = shell.run("report", "odd").out
    assert r"the id [$.ids[3]] \x1b[31m:smile: is [bold]bad[/bold]" in out


@pytest.mark.parametrize("form", ["table", "csv", "jsonl"])
def test_a_file_has_what_stdout_would_have_had(shell: Shell, form: str) -> None:
    shown = shell.run("report", "k", "--format", form).out
    said = shell.run("report", "k", "--format", form, "--output", "report.txt")
    assert said.out == ""
    assert "report.txt" in said.err
    assert (shell.folder / "report.txt").read_text().split() == shown.split()
    assert os.listdir(shell.folder) == ["report.txt"]


def test_a_file_that_is_there_is_not_replaced_unless_forced(shell: Shell) -> None:
    shell.write("report.csv", "mine")
    said = shell.run("report", "k", "--format", "csv", "--output", "report.csv")
    assert said.code == Exit.USAGE
    assert "--force" in said.err
    assert (shell.folder / "report.csv").read_text() == "mine"
    assert shell.run("report", "k", "--format", "csv", "--output", "report.csv", "--force").code == Exit.OK
    assert (shell.folder / "report.csv").read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nope",), "There is no batch 'nope'"),
        (("k", "--output", "report.xlsx"), "report.xlsx does not say in which form"),
        (("k", "--output", "report"), "ends in .csv, .json, .jsonl, .ndjson, .txt, or say which with --format"),
        (("k", "--output", "."), "is a directory"),
        (("k", "--format", "xls"), "xls"),
        (("k", "--outcome", "lost"), "lost"),
        ((), "BATCH"),
    ],
)
def test_what_is_typed_wrong_is_told_in_words(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    said = shell.run("report", *arguments)
    assert said.code == Exit.USAGE
    assert said.out == ""
    assert told in said.err
    assert os.listdir(shell.folder) == []


def test_a_folder_that_may_not_be_written_to_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root, who may write anywhere
    said = shell.run("report", "k", "--output", "report.csv")
    assert said.code == Exit.USAGE
    assert "permission denied" in said.err


def test_a_report_that_breaks_off_leaves_nothing_half_written(tmp_path: Path) -> None:
    def lines() -> Any:
        yield "first\n"
        raise InputError("the ledger went away")

    report = tmp_path / "report.csv"
    report.write_text("old")
    with pytest.raises(InputError, match="went away"):
        write_output(report, lines(), force=True)
    assert report.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.csv"]


def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    def lines() -> Any:
        yield "first\n"
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left on device"):
        write_output(tmp_path / "report.csv", lines())
    assert os.listdir(tmp_path) == []


def test_a_pipe_or_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    write_output(Path(os.devnull), ["a line\n"])
    assert Path(os.devnull).is_char_device()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    link.symlink_to(real)
    write_output(link, ["new\n"], force=True)
    assert link.is_symlink()
    assert real.read_text() == "new\n"


# --- what the name of the file says, and codes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("x.csv", "csv"),
        ("x.CSV", "csv"),
        ("x.json", "json"),
        ("x.jsonl", "jsonl"),
        ("x.ndjson", "jsonl"),
        ("x.txt", "table"),
    ],
)
def test_the_ending_of_the_file_says_the_form(shell: Shell, name: str, form: str) -> None:
    assert shell.run("report", "k", "--output", name).code == Exit.OK
    assert (shell.folder / name).read_text() == shell.run("report", "k", "--format", form).out


def test_a_form_that_is_given_wins_over_the_ending(shell: Shell) -> None:
    for name in ("x.csv", "report", "x.xlsx"):
        assert shell.run("report", "k", "--format", "jsonl", "--output", name).code == Exit.OK
        assert (shell.folder / name).read_text() == shell.run("report", "k", "--format", "jsonl").out


def test_json_is_one_array(shell: Shell) -> None:
    lines = [json.loads(line) for line in shell.run("report", "k", "--format", "jsonl").out.splitlines()]
    assert json.loads(shell.run("report", "k", "--format", "json").out) == lines
    assert json.loads(shell.run("report", "k", "--format", "json", "--code", "NONE_SUCH").out) == []


def test_a_directory_that_is_missing_is_made_once_there_is_something_to_write(shell: Shell) -> None:
    assert shell.run("report", "nope", "--output", "a/b/x.csv").code == Exit.USAGE
    assert os.listdir(shell.folder) == []
    assert shell.run("report", "k", "--output", "a/b/x.csv").code == Exit.OK
    assert os.listdir(shell.folder / "a" / "b") == ["x.csv"]
    assert shell.run("report", "k", "--files", "--dir", "c/d").code == Exit.OK
    assert len(os.listdir(shell.folder / "c" / "d")) == 3
    said = shell.run("report", "k", "--output", "a/b/x.csv/y.csv")
    assert said.code == Exit.USAGE
    assert "x.csv is a file and no directory" in said.err


def test_only_leads_with_some_codes_can_be_had(shell: Shell) -> None:
    failed = {A: Outcome(Kind.FAILED, "NOT_FOUND"), B: Outcome(Kind.FAILED, "LOCKED")}
    shell.batch("codes", {**failed, "9": Outcome(Kind.CONVERTED)})

    def leads(*arguments: str) -> set[str]:
        said = shell.run("report", "codes", "--format", "jsonl", *arguments)
        return {json.loads(line)["lead_id"] for line in said.out.splitlines()}

    assert leads("--code", "NOT_FOUND") == {A}
    assert leads("--code", "not_found", "--code", "LOCKED") == {A, B}
    assert leads("--code", "LOCKED", "--outcome", "converted") == set()
    assert "LOCKED" not in shell.run("report", "codes", "--code", "NOT_FOUND").out
