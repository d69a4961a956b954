"""What spreadsheets do to cells, and how it is undone or kept from doing harm."""

from __future__ import annotations

from io import BytesIO

import pytest

from massconvert.leads import open_leads, read_lead_ids
from massconvert.leads.spreadsheets import guarded, guarded_row, restored, row_name

ID = "3652397000009851234"
ROW = row_name("import-2026", ID)


@pytest.mark.parametrize(
    "made",
    [
        "3.6524E+18",
        "3.65E+18",
        "3,65E+18",
        "3.65239700000985E+18",
        "4E+18",
        "3652397000009850000",  # a column of numbers in Excel: 15 digits, then noughts
        "3652397000009851392",  # the float nearest to it, written out: pandas
        "3652397000009851400",  # the shortest form of that float: JavaScript
        "3652397000009850000.0",
        "3652397000009851392.00",
        " 3.6524E+18 ",
    ],
)
def test_an_id_that_was_rounded_is_restored(made: str) -> None:
    assert restored(made, ROW) == ID


@pytest.mark.parametrize(
    "given",
    [
        "3652397000009851235",  # the neighbour, whose float is the same: somebody has fixed the id
        "3652397000009860000",
        "3.66E+18",
        "3.64E+18",
        "0E+18",
        "3.6525E+18",
        "3.6E+17",
        "7",
        "",
        "nonsense",
        ID,
        "9" * 60,
        "1E+999999999",
        "3.6524E+00018" * 5,
    ],
)
def test_what_is_not_that_id_rounded_is_left_as_it_is(given: str) -> None:
    assert restored(given, ROW) is None


@pytest.mark.parametrize("row", ["", "k", "k:", "k:17x", ":", "k:0123", "k:3.65E+18"])
def test_a_row_that_names_no_lead_restores_nothing(row: str) -> None:
    assert restored("3.6524E+18", row) is None


def test_a_short_id_is_exact_in_a_spreadsheet_and_is_never_restored_from_a_neighbour() -> None:
    assert restored("123456", row_name("k", "123457")) is None


@pytest.mark.parametrize(
    "cell", ["=1+1", "+cmd|' /C calc'!A0", "-2+3+cmd()", "@SUM(A1)", "\tx", "\rx", "\nx", "=", "@"]
)
def test_a_cell_that_would_run_is_disarmed_once(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"
    assert guarded(guarded(cell)) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "ACME", "-5", "+49 30 1234-5", "-1,234.50", "+1 (555) 010-9999", "'=1+1", "a=b"])
def test_numbers_telephone_numbers_and_plain_texts_stay_as_they_are(cell: str) -> None:
    assert guarded(cell) == cell
    assert guarded_row(["=x", cell]) == ["'=x", cell]


# --- a fixed file that comes back --------------------------------------------------------------------------


def read(text: str) -> list[tuple[str | None, bool]]:
    return [(line.lead_id, line.restored) for line in read_lead_ids(BytesIO(text.encode()))]


def test_a_file_that_went_through_a_spreadsheet_is_read_as_if_it_had_not() -> None:
    text = (
        "\ufeffCompany;Record Id;mc_outcome;mc_row\r\n"
        f"ACME;3,6524E+18;failed;{ROW}\r\n"
        f"Acme;3652397000009850000;failed;{ROW}\r\n"  # looks like an id, and would be another lead's
        f"Beta;{ID};failed;{ROW}\r\n"
        f"Gamma;3652397000009859999;failed;{ROW}\r\n"  # somebody has put in another lead
    )
    assert read(text) == [(ID, True), (ID, True), (ID, False), ("3652397000009859999", False)]


def test_a_rounded_id_whose_row_says_another_is_refused_as_ever() -> None:
    (line,) = read_lead_ids(BytesIO(f"id,mc_row\n9.9E+18,{ROW}\n".encode()))
    assert line.lead_id is None
    assert "rounded" in (line.problem or "")


def test_columns_of_ours_are_nobodys_ids_and_are_not_named_in_a_complaint() -> None:
    assert read(f"mc_job_id,mc_row,mc_contact_id,id\n5,,7,{ID}\n") == [(ID, False)]
    with pytest.raises(Exception, match="its first row has 'Name'\\."):
        read("mc_job_id,Name\n5,x\n")


def test_how_many_were_restored_is_known() -> None:
    stream = BytesIO(f"id,mc_row\n3.6524E+18,{ROW}\n{ID},{ROW}\n".encode())
    with open_leads("-", stdin=stream) as leads:
        assert (list(leads), leads.restored, leads.invalid) == ([ID, ID], 1, 0)
