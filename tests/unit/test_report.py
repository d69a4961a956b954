"""Reports: rows in, CSV, JSON lines and summaries out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator

import pytest

from massconvert.model import Kind, LeadRow, Outcome
from massconvert.report import COLUMNS, csv_lines, json_lines, only, summarise

A, B, C = "3652397000009850001", "3652397000009851001", "3652397000009852001"
CONVERTED = LeadRow(A, Outcome(Kind.CONVERTED, job_id="77", attempts=1, contact_id="5", account_id="6", deal_id="7"))
FAILED = LeadRow(B, Outcome(Kind.FAILED, "NOT_FOUND", "Zoho does not return this lead", attempts=2))
OPEN = LeadRow(C, None)


def cells(*rows: LeadRow) -> list[list[str]]:
    return list(csv.reader(io.StringIO("".join(csv_lines(rows)))))


def test_json_lines_have_every_column_and_null_where_nothing_is_known() -> None:
    lines = [json.loads(line) for line in json_lines([CONVERTED, FAILED, OPEN])]
    assert [list(line) for line in lines] == [list(COLUMNS)] * 3
    assert lines[0] == {
        "lead_id": A,
        "outcome": "converted",
        "code": None,
        "message": None,
        "job_id": "77",
        "attempts": 1,
        "contact_id": "5",
        "account_id": "6",
        "deal_id": "7",
    }
    assert lines[1]["code"] == "NOT_FOUND"
    assert lines[1]["contact_id"] is None
    assert lines[2] == {**dict.fromkeys(COLUMNS), "lead_id": C}


def test_a_json_line_is_one_line_whatever_the_message_holds() -> None:
    odd = LeadRow(A, Outcome(Kind.FAILED, "X", 'two\nlines, "quoted", ümläut'))
    (line,) = json_lines([odd])
    assert line.count("\n") == 1
    assert json.loads(line)["message"] == 'two\nlines, "quoted", ümläut'


def test_csv_has_a_heading_and_the_same_columns() -> None:
    assert cells(CONVERTED, FAILED, OPEN) == [
        list(COLUMNS),
        [A, "converted", "", "", "77", "1", "5", "6", "7"],
        [B, "failed", "NOT_FOUND", "Zoho does not return this lead", "", "2", "", "", ""],
        [C, *[""] * 8],
    ]


def test_csv_of_no_leads_is_its_heading() -> None:
    assert cells() == [list(COLUMNS)]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_text_that_a_spreadsheet_would_run_is_disarmed(start: str) -> None:
    text = f'{start}HYPERLINK("http://example.invalid")'
    row = cells(LeadRow(A, Outcome(Kind.FAILED, text, text)))[1]
    assert row[2] == row[3] == f"'{text}"
    assert row[0] == A


def test_a_lead_id_that_was_never_one_is_disarmed_too() -> None:
    assert cells(LeadRow("=1+1", Outcome(Kind.FAILED, "INVALID_ID", "is not a string of digits")))[1][0] == "'=1+1"


def test_commas_quotes_and_line_ends_survive_csv() -> None:
    message = 'a, "b"\r\nc'
    assert cells(LeadRow(A, Outcome(Kind.FAILED, "X", message)))[1][3] == message


@pytest.mark.parametrize("form", [json_lines, csv_lines])
def test_reports_stream(form: Callable[[Iterator[LeadRow]], Iterator[str]]) -> None:
    """A line is out before the next row is asked for, so memory stays flat."""
    asked = 0

    def rows() -> Iterator[LeadRow]:
        nonlocal asked
        while True:
            asked += 1
            yield CONVERTED

    lines = form(rows())
    for _ in range(5):
        next(lines)
    assert asked <= 5


def test_only_keeps_one_kind_of_outcome() -> None:
    assert list(only([CONVERTED, FAILED, OPEN], Kind.FAILED)) == [FAILED]
    assert list(only([CONVERTED, FAILED, OPEN], None)) == [CONVERTED, FAILED, OPEN]


def test_a_summary_counts_by_outcome_and_code_with_an_example() -> None:
    gave_up = LeadRow(C, Outcome(Kind.FAILED, "GAVE_UP", "no answer"))
    rows = [OPEN, FAILED, LeadRow("1", FAILED.outcome), gave_up, CONVERTED, CONVERTED]
    summary = summarise(rows)
    assert [(line.outcome, line.code, line.count, line.lead_id) for line in summary.lines] == [
        ("converted", "", 2, A),
        ("failed", "NOT_FOUND", 2, B),
        ("failed", "GAVE_UP", 1, C),
        ("", "", 1, C),
    ]
    assert summary.lines[2].message == "no answer"
    assert summary.total == 6


def test_a_summary_folds_equal_failures_and_names_the_first_leads_of_each() -> None:
    rows = [LeadRow(str(number), FAILED.outcome) for number in range(1, 50)]
    other = LeadRow("99", Outcome(Kind.FAILED, "NOT_FOUND", "another message"))
    summary = summarise([CONVERTED, other, *rows])
    assert [(failure.count, failure.lead_ids) for failure in summary.failures] == [(49, ("1", "2", "3")), (1, ("99",))]
    assert summary.other_failures == 0


def test_a_summary_of_a_million_messages_tells_some_and_counts_the_others() -> None:
    rows = [LeadRow(str(number), Outcome(Kind.FAILED, "X", f"message {number % 50}")) for number in range(200)]
    summary = summarise(rows, told=3)
    assert [failure.message for failure in summary.failures] == ["message 0", "message 1", "message 2"]
    assert (sum(failure.count for failure in summary.failures), summary.other_failures) == (12, 188)


def test_a_summary_of_nothing_is_empty() -> None:
    assert summarise([]).total == 0
