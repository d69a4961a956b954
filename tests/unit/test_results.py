"""The three result files: which row stands where, in what form, and under which name."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from massconvert.errors import InputError
from massconvert.leads import open_table, read_lead_ids
from massconvert.leads.spreadsheets import row_name
from massconvert.model import Kind, LeadRow, Outcome
from massconvert.results import COLUMNS, Part, Results, files, write_results

A, B, C, D, E = (str(3652397000009850001 + number * 1000) for number in range(5))
CONVERTED = Outcome(Kind.CONVERTED, job_id="77", attempts=1, contact_id="5", account_id="6", deal_id="7")
FAILED = Outcome(Kind.FAILED, "NOT_FOUND", "Zoho does not return this lead", attempts=1)
BEFORE = Outcome(Kind.SKIPPED, "ALREADY_CONVERTED", "converted before")
ELSEWHERE = Outcome(Kind.SKIPPED, "ALREADY_QUEUED", "another batch is converting this lead")
CANCELLED = Outcome(Kind.CANCELLED)
ROWS = [
    LeadRow(E, None),  # in an order of the ledger's own
    LeadRow(B, FAILED),
    LeadRow(A, CONVERTED),
    LeadRow(D, CANCELLED),
    LeadRow(C, BEFORE),
]


def write(folder: Path, text: str | bytes | None, rows: Iterable[LeadRow] = ROWS, **how: Any) -> Results:
    if text is None:
        return write_results("k", rows, folder, **how)
    stream = io.BytesIO(text.encode() if isinstance(text, str) else text)
    with open_table(stream, "leads.csv") as table:
        return write_results("k", rows, folder, table, **how)


def cells(path: Path, **dialect: Any) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.reader(stream, **dialect))


def placed(results: Results, column: int = 0) -> dict[str, list[str]]:
    return {part.value: [row[column] for row in cells(results.files[part])[1:]] for part in Part}


def test_without_the_input_each_lead_stands_in_one_file_by_its_outcome(tmp_path: Path) -> None:
    results = write(tmp_path, None, [*ROWS, LeadRow("8", ELSEWHERE)])
    assert placed(results) == {"success": [A, C], "error": [B], "unprocessed": [E, D, "8"]}
    assert {part.value: count for part, count in results.counts.items()} == {"success": 2, "error": 1, "unprocessed": 3}
    assert sorted(os.listdir(tmp_path)) == ["k-error.csv", "k-success.csv", "k-unprocessed.csv"]
    heading, first, _ = cells(results.files[Part.SUCCESS])
    assert heading == ["id", *COLUMNS]
    assert first == [A, "converted", "", "", "77", "5", "6", "7", row_name("k", A)]


def test_the_columns_are_those_that_scripts_rely_on() -> None:
    names = ("outcome", "code", "message", "job_id", "contact_id", "account_id", "deal_id", "row")
    assert tuple(f"mc_{name}" for name in names) == COLUMNS


def test_the_inputs_rows_keep_their_columns_and_order_and_are_matched_by_id(tmp_path: Path) -> None:
    text = "Company,Record Id,Status\n" + "".join(f"Co {n},{lead},new\n" for n, lead in enumerate((E, D, C, B, A)))
    results = write(tmp_path, text)
    assert cells(results.files[Part.SUCCESS]) == [
        ["Company", "Record Id", "Status", *COLUMNS],
        ["Co 2", C, "new", "skipped", "ALREADY_CONVERTED", "converted before", "", "", "", "", row_name("k", C)],
        ["Co 4", A, "new", "converted", "", "", "77", "5", "6", "7", row_name("k", A)],
    ]
    assert placed(results) == {"success": ["Co 2", "Co 4"], "error": ["Co 3"], "unprocessed": ["Co 0", "Co 1"]}
    assert results.not_in_input == 0


def test_each_row_of_a_lead_that_is_there_twice_gets_its_line(tmp_path: Path) -> None:
    results = write(tmp_path, f"id,n\n{A},1\n{B},2\n{A},3\n" + f"{C},x\n{D},x\n{E},x\n" * 400 + f"{A},last\n")
    lines = cells(results.files[Part.SUCCESS])[1:]
    assert [row[1] for row in lines if row[0] == A] == ["1", "3", "last"]
    assert {row[2] for row in lines if row[0] == A} == {"converted"}


def test_a_row_that_names_no_lead_is_an_error_and_one_that_the_batch_lacks_was_not_processed(tmp_path: Path) -> None:
    results = write(tmp_path, f"n,id\nbad,3.65E+18\nstranger,123\n\n,\nwide,{A},x,y\nshort\n")
    assert placed(results) == {"success": [], "error": ["bad", "wide", "short"], "unprocessed": ["stranger"]}
    bad, wide, short = cells(results.files[Part.ERROR])[1:]
    assert bad[2:4] == wide[2:4] == short[2:4] == ["", "INVALID_ID"]
    assert "rounded" in bad[4]
    assert "has 4 cells where the heading has 2" in wide[4]
    assert short[1] == ""
    (stranger,) = cells(results.files[Part.UNPROCESSED])[1:]
    assert stranger[2:5] == ["", "NOT_IN_BATCH", "batch k does not have this lead"]
    assert (results.not_in_input, results.for_example) == (5, (A, B, C))


def test_of_a_batch_that_goes_on_no_row_is_said_to_be_missing_for_sure(tmp_path: Path) -> None:
    results = write(tmp_path, "id\n123\n", finished=False)
    assert "on its way" in cells(results.files[Part.UNPROCESSED])[1][3]


def test_what_this_product_wrote_into_the_input_before_is_replaced(tmp_path: Path) -> None:
    """The fixed error file of an earlier batch, through a spreadsheet that has rounded an id."""
    text = f"mc_code,id,Name,mc_outcome,mc_row\nOLD,3.6524E+18,Ann,failed,old:{A}\n"
    results = write(tmp_path, text)
    assert cells(results.files[Part.SUCCESS]) == [
        ["id", "Name", *COLUMNS],
        [A, "Ann", "converted", "", "", "77", "5", "6", "7", row_name("k", A)],
    ]


def test_the_files_are_written_in_the_form_of_the_input(tmp_path: Path) -> None:
    """A mark for Excel, CRLF, semicolons, the sep line, an umlaut, a line end in a cell."""
    results = write(tmp_path, f'sep=;\r\nName;id\r\n"Jürgen\r\n""J"";";{A}\r\n'.encode("utf-8-sig"))
    raw = results.files[Part.SUCCESS].read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfsep=;\r\nName;id;mc_outcome")
    assert raw.count(b"\r\n") == 3
    assert cells(results.files[Part.SUCCESS], delimiter=";")[2][:3] == ['Jürgen\n"J";', A, "converted"]
    assert [line.lead_id for line in read_lead_ids(results.files[Part.SUCCESS])] == [A]


def test_a_plain_input_stays_plain(tmp_path: Path) -> None:
    raw = write(tmp_path, f"id\n{A}\n").files[Part.SUCCESS].read_bytes()
    assert raw.startswith(b"id,")
    assert b"\r" not in raw


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16_comes_back_as_utf_8_with_a_mark(tmp_path: Path, encoding: str) -> None:
    raw = write(tmp_path, f"Näme\tid\nx\t{A}\n".encode(encoding)).files[Part.SUCCESS].read_bytes()
    assert raw.startswith("\ufeffNäme\tid\t".encode())


@pytest.mark.parametrize("text", [f"{A}\n{B}\n", f'["{A}", "{B}"]', f'{{"id": "{A}", "x": 1}}\n{{"id": "{B}"}}\n'])
def test_what_is_no_csv_has_one_column(tmp_path: Path, text: str) -> None:
    results = write(tmp_path, text)
    assert (placed(results)["success"], placed(results)["error"]) == ([A], [B])
    assert cells(results.files[Part.ERROR])[0] == ["id", *COLUMNS]


def test_no_cell_of_the_input_or_of_zoho_runs_in_a_spreadsheet_and_going_round_changes_nothing_more(
    tmp_path: Path,
) -> None:
    evil = Outcome(Kind.FAILED, "X", '=HYPERLINK("http://example.invalid")')
    first = write(tmp_path, f"Name,Phone,id\n=1+1,+49 30 1,{A}\n", [LeadRow(A, evil)]).files[Part.ERROR]
    row = cells(first)[1]
    assert row[:2] == ["'=1+1", "+49 30 1"]
    assert row[5].startswith("'=HYPERLINK")
    again = write(tmp_path, first.read_bytes(), [LeadRow(A, evil)]).files[Part.ERROR]
    assert again.read_bytes() == first.read_bytes()


def test_what_was_never_an_id_stands_in_the_error_file_and_cannot_be_restored(tmp_path: Path) -> None:
    results = write(tmp_path, None, [LeadRow("=nonsense", Outcome(Kind.FAILED, "INVALID_ID", "is not"))])
    assert cells(results.files[Part.ERROR])[1] == ["'=nonsense", "failed", "INVALID_ID", "is not", "", "", "", "", ""]
    assert placed(write(tmp_path, f"id\n{A}\n", [LeadRow("=nonsense", FAILED), LeadRow(A, CONVERTED)]))["success"] == [
        A
    ]


def test_of_a_lead_that_moved_while_it_was_read_the_later_row_counts(tmp_path: Path) -> None:
    assert placed(write(tmp_path, f"id\n{A}\n", [LeadRow(A, None), LeadRow(A, CONVERTED)]))["success"] == [A]


# --- names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("links", [True, False])
def test_nothing_is_ever_overwritten_and_the_three_share_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:  # FAT, and some network drives

        def refuse(*_: object) -> None:
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr("os.link", refuse)
    (tmp_path / "k-unprocessed.csv").write_text("mine")
    (tmp_path / "k-error-2.csv").write_text("mine too")
    names = write(tmp_path, None).files
    assert [names[part].name for part in Part] == ["k-success-3.csv", "k-error-3.csv", "k-unprocessed-3.csv"]
    assert (tmp_path / "k-unprocessed.csv").read_text() == "mine"
    assert len(os.listdir(tmp_path)) == 5
    assert all(len(cells(path)) > 1 for path in names.values())


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InputError("the ledger went away")])
def test_files_that_break_off_leave_nothing_behind(tmp_path: Path, error: BaseException) -> None:
    def rows() -> Iterator[LeadRow]:
        yield ROWS[1]
        raise error

    with pytest.raises(type(error)):
        write(tmp_path, None, rows())
    with pytest.raises(type(error)):
        write(tmp_path, f"id\n{A}\n", rows())
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    def rows() -> Iterator[LeadRow]:
        yield ROWS[1]
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left on device"):
        write(tmp_path, None, rows())
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    write(tmp_path / "not" / "there", None)
    assert len(os.listdir(tmp_path / "not" / "there")) == 3


def test_rows_stream_into_the_files(tmp_path: Path) -> None:
    """No row of the input is held for longer than it takes to look up its neighbours."""
    read = 0

    def lines() -> Iterator[str]:
        nonlocal read
        yield "id\n"
        for _ in range(5000):
            read += 1
            yield f"{A}\n"

    class Source(io.RawIOBase):
        """Hands out a line at a time."""

        def __init__(self) -> None:
            self._lines = lines()

        def read(self, _: int = -1) -> bytes:
            return next(self._lines, "").encode()

    most = 0
    original = files.ResultFiles.add

    def add(self: files.ResultFiles, part: Part, row: Any) -> None:
        nonlocal most
        most = max(most, read - self.counts[part])
        original(self, part, row)

    with pytest.MonkeyPatch.context() as patch, open_table(Source(), "source") as table:  # type: ignore[arg-type]  # a stream has no more to it
        patch.setattr(files.ResultFiles, "add", add)
        write_results("k", ROWS, tmp_path, table)
    assert read == 5000
    assert most < 1000
