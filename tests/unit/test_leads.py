"""Lead ids: every usual form of a file is read as what it is, and what is no id is refused before anything happens."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massconvert.errors import InputError
from massconvert.leads import LeadLine, check_batch_key, open_leads, parse_lead_id, read_lead_ids, valid_ids
from massconvert.leads import spool as spool_room
from massconvert.leads.ids import is_id

A, B, C = "3652397000009850001", "3652397000009851001", "3652397000009852001"
lead_ids = st.integers(min_value=1, max_value=2**63 - 1).map(str)


def rows(content: str | bytes, encoding: str = "utf-8") -> list[LeadLine]:
    """What is read of a file with this content."""
    data = content if isinstance(content, bytes) else content.encode(encoding)
    return list(read_lead_ids(io.BytesIO(data), "leads.csv"))


def ids(content: str | bytes, encoding: str = "utf-8") -> list[str]:
    """The ids of a file in which nothing is wrong."""
    read = rows(content, encoding)
    assert [line for line in read if line.problem] == []
    return [str(line.lead_id) for line in read]


def refusal(content: str | bytes, **how: Any) -> str:
    """What is said against a file when it is opened for enqueueing."""
    with pytest.raises(InputError) as caught:
        taken(content, **how)
    return str(caught.value)


def taken(content: str | bytes, **how: Any) -> list[str]:
    """The ids of a file that has been opened for enqueueing."""
    data = content if isinstance(content, bytes) else content.encode()
    with open_leads("-", stdin=io.BytesIO(data), **how) as leads:
        return list(leads)


# --- what is an id ---


@pytest.mark.parametrize(
    ("value", "lead_id"),
    [
        (A, A),
        (f" {A}\r\n", A),
        (f"zcrm_{A}", A),
        (f"ZCRM_{A}", A),
        (int(A), A),
        (1, "1"),
        ("7", "7"),
        (2**53 + 1, str(2**53 + 1)),
        (2**63 - 1, "9223372036854775807"),
        ("9223372036854775807", "9223372036854775807"),
    ],
)
def test_digits_and_exact_whole_numbers_are_ids(value: object, lead_id: str) -> None:
    assert parse_lead_id(value) == lead_id


@pytest.mark.parametrize(
    "value", ["3.6524E+18", "3,6524E+18", "3.65239700000985e+18", "1e3", "3652397000009850000.0", 3.6524e18, 1.0]
)
def test_a_rounded_number_is_refused_with_what_has_rounded_it_and_what_to_do(value: object) -> None:
    with pytest.raises(InputError) as caught:
        parse_lead_id(value)
    for word in ("spreadsheet", "JavaScript", "rounded", "export", "as text"):
        assert word in caught.value.message


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("zcrm_", "is not a string of digits"),
        (None, "is missing"),
        (True, "is a bool, not a string of digits"),
        ([A], "is a list, not a string of digits"),
        (b"1", "is a bytes, not a string of digits"),
        ("abc", "is not a string of digits"),
        (f"-{A}", "is not a string of digits"),
        ("٣٤٥", "is not a string of digits"),
        ("²", "is not a string of digits"),
        ("0", "begins with 0"),
        (f"0{A[1:]}", "begins with 0"),
        ("9223372036854775808", "at most 9223372036854775807"),
        (A + "5", "has 20 digits"),
        (0, "outside the range"),
        (-1, "outside the range"),
        (2**63, "outside the range"),
    ],
)
def test_anything_else_is_refused_with_its_reason(value: object, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_lead_id(value)
    assert reason in caught.value.message


@pytest.mark.parametrize("text", ["1", "999999999999999999", "3652397000009850001", "9223372036854775807"])
def test_an_id_as_zoho_writes_it_is_one_for_options_too(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("text", ["", "0", "01", "-1", "1.0", "9223372036854775808", "92233720368547758070", "9²", "x"])
def test_what_zoho_does_not_write_is_no_id(text: str) -> None:
    assert not is_id(text)


@given(st.integers())
def test_a_number_and_its_digits_are_judged_alike(number: int) -> None:
    def judged(value: object) -> str | None:
        try:
            return parse_lead_id(value)
        except InputError:
            return None

    assert judged(number) == judged(str(number)) == (str(number) if 0 < number < 2**63 else None)


@given(st.text() | st.floats() | st.none() | st.binary() | st.booleans())
def test_whatever_is_given_an_id_comes_out_or_an_input_error(value: object) -> None:
    try:
        lead_id = parse_lead_id(value)
    except InputError:
        return
    assert lead_id.isascii()
    assert 0 < int(lead_id) < 2**63
    assert str(int(lead_id)) == lead_id


# --- keys of batches ---


@pytest.mark.parametrize(
    "key", ["import-2026-11-24", "7", "a.b_c@d+e", "0" * 200, "c2a4b1de-0000-4000-8000-000000000000"]
)
def test_a_key_of_plain_characters_may_name_a_batch(key: str) -> None:
    assert check_batch_key(key) == key


@pytest.mark.parametrize(
    "key", ["", " a", "a b", "a:inbox", "a=b", "a;b", "a,b", "a/b", "-a", "ä", "a\n", "0" * 201, 7, None]
)
def test_a_key_that_would_break_the_ledgers_names_is_refused(key: object) -> None:
    with pytest.raises(InputError, match="cannot name a batch"):
        check_batch_key(key)


# --- plain lists and JSON ---


@pytest.mark.parametrize(
    "content",
    [
        f"{A}\n{B}\n",
        f"{A}\n{B}",
        f"{A}\r\n{B}\r\n",
        f"{A}\r{B}\r",
        f"\n\n# leads of Monday\n  {A}  \n\n{B}\n# end\n",
        f"{A},\n{B},\n",
        f" {A} ;\n{B}\t\n",
        f"{A} # Ann\n{B} # Bob\n",
        f"zcrm_{A}\nzcrm_{B}\n",
        f'"{A}"\n"{B}"\n',
        f"'{A}',\n'{B}',\n",
        f'{{"id": "{A}"}}\n{{"id": {B}, "Email": "b@example.com"}}\n',
        f'{{"Record Id": "zcrm_{A}"}}\n\n"{B}"\n',
        f'{{"lead_id": "{A}", "outcome": "failed", "contact_id": null}}\n{{"lead_id": "{B}"}}',
        json.dumps([A, B]),
        json.dumps([int(A), {"id": B}], indent=2),
        f'\n [\n"{A}" , "{B}"\n]\n\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_lists_and_json_are_read_in_every_usual_form_and_encoding(content: str, encoding: str) -> None:
    assert ids(content, encoding) == [A, B]


def test_lines_are_counted_from_the_top_of_the_file_whatever_its_form() -> None:
    for end in ("\n", "\r\n", "\r"):
        assert [line.line for line in rows(end.join(["# x", "", A, "no", B, ""]))] == [3, 4, 5]
    assert [line.line for line in rows(f'\n[\n"{A}",\n\n7.5,\n"{B}"]')] == [3, 5, 6]
    assert [line.line for line in rows(f'\n# c\nsep=;\nName;Id\n"a\nb";{A}\r\n;no\n;{B}')] == [5, 7, 8]


@pytest.mark.parametrize("line", ["3,6524E+18", "3.6524E+18", "3.6524E+18,"])
def test_a_rounded_number_in_a_list_is_one_wrong_value_and_not_two_ids(line: str) -> None:
    wrong = rows(f"{A}\n{line}\n")[1:]
    assert [(found.line, found.lead_id) for found in wrong] == [(2, None)]
    assert "rounded" in str(wrong[0].problem)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"id": 3.6524E+18}', "rounded"),
        ('{"id": null}', "is missing"),
        ('{"id": true}', "is a bool"),
        ('{"name": "Ann"}', "is an object without an id; it has 'name'"),
        ("{}", "it has nothing"),
        ('{"id": 1, "lead_id": 2}', "has more than one id: 'id', 'lead_id'"),
        ("[[1]]", "is a list"),
        ('{"id": {"id": 1}}', "is a dict, not a string of digits"),
    ],
)
def test_a_json_line_without_an_id_is_told_by_its_reason(value: str, reason: str) -> None:
    (_, wrong) = rows(f"{A}\n{value}\n")
    assert (wrong.line, wrong.lead_id) == (2, None)
    assert reason in str(wrong.problem)


@pytest.mark.parametrize(
    "value", ['{"id": ', '{"id": ' + "9" * 5000 + "}", "[" * 100_000, f'{{"owners": [\n"{B}"\n]}}']
)
@pytest.mark.parametrize("before", [f"{A}\n", f'{{"id": "{A}"}}\n', ""])
def test_a_line_that_is_not_whole_json_refuses_the_file_since_what_is_below_may_be_a_part_of_it(
    before: str, value: str
) -> None:
    text = refusal(f"{before}{value}\n{B}\n", skip_invalid=True)
    assert "is not JSON" in text or "is not a whole JSON array" in text


@pytest.mark.parametrize(
    "content",
    [
        "[",
        f'["{A}"',
        f'["{A}",',
        f'["{A}",]',
        f'["{A}",,"{B}"]',
        f'["{A}" "{B}"]',
        f"[{A}",
        '["',
        "[}",
        f'[\n"{A}",\n{{"id": ]',
    ],
)
def test_an_array_that_breaks_off_refuses_the_file_and_names_the_line(content: str) -> None:
    assert "is not a whole JSON array: it breaks off or is wrong at line" in refusal(content, skip_invalid=True)


def test_nothing_may_follow_an_array() -> None:
    assert "goes on after the end of its JSON array" in refusal(f'["{A}"]\n["{B}"]')


def test_an_array_that_is_cut_by_blocks_anywhere_is_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps([A, int(B), {"id": C, "x": ["]", '"']}, "1"], indent=1)
    for size in range(1, 40):
        monkeypatch.setattr("massconvert.leads.text._BLOCK", size)
        assert ids(content) == [A, B, C, "1"]


# --- CSV ---


@pytest.mark.parametrize(
    "column",
    ["id", "Id", "ID", "Record Id", "record_id", "Lead Id", "Lead ID", "LEAD_ID", "leadId", " id ", '"Record Id"'],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_column_of_the_ids_is_found_by_its_name(column: str, delimiter: str) -> None:
    lines = [["Name", column, "mc_outcome"], ["Ann", A, "failed"], ['"O; , \t Ltd"', B, ""], ["", f" zcrm_{C} ", ""]]
    assert ids("\r\n".join(delimiter.join(row) for row in lines)) == [A, B, C]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_excel_saves_is_read(encoding: str) -> None:
    assert ids(f"sep=;\r\nRecord Id;Näme\r\n{A};Änne\r\n\r\n;\r\n{B};Bö\r\n", encoding) == [A, B]


def test_a_single_column_is_a_csv_as_well() -> None:
    assert ids(f"id\n{A}\n{B}\n") == [A, B]


def test_rows_without_anything_are_nothing_but_a_row_without_its_id_is_told() -> None:
    read = rows(f"Name,id\n,\n\n   ,\nAnn,\nBob\nCid,{A}\n")
    assert [(line.line, line.lead_id, line.problem) for line in read] == [
        (5, None, "is empty"),
        (6, None, "is empty"),
        (7, A, None),
    ]


def test_a_row_that_is_shifted_by_a_delimiter_in_a_cell_is_never_believed() -> None:
    (line,) = rows(f"Company,Phone,id\nAcme, Inc,5551234567,{A}\n")  # else the phone number would be the lead
    assert line.lead_id is None
    assert "has 4 cells where the heading has 3" in str(line.problem)
    assert ids(f"id,Name\n{A},Ann,\n{B},Bob,,\n") == [A, B]  # delimiters at the end are harmless


@pytest.mark.parametrize(
    "content", [f'id,Name\n{A},"Ann\n{B},Bob\n', f'id,Name\n{A},"Ann"x\n', 'id,Name\n1,"' + "x" * (17 << 20) + '"\n']
)
def test_a_broken_quote_refuses_the_file_instead_of_swallowing_its_rest(content: str) -> None:
    text = refusal(content, skip_invalid=True)
    assert "is not valid CSV from line 2 on" in text
    assert "a quote that is not closed" in text


@pytest.mark.parametrize(
    "content",
    [
        "Name,Email\nAnn,ann@example.com\n",
        "Name;Email;mc_outcome\nAnn;ann@example.com;failed\n",
        f"'Name',Email\n{A},ann@example.com\n",
        f"{A},Ann Smith,ann@example.com\n",
        f"Ann\t{A}\n",
        "sep=;\nName;Email\n",
    ],
)
def test_a_csv_without_the_column_is_refused_with_the_columns_that_it_has(content: str) -> None:
    text = refusal(content, skip_invalid=True)
    assert "has no column for the lead ids; its first row has " in text
    assert "mc_outcome" not in text
    assert "Email" in text or A in text
    assert "Name the column id, Record Id or Lead Id" in text


def test_two_columns_that_may_hold_the_ids_are_not_chosen_between() -> None:
    text = refusal(f"id,Lead Id\n1,{A}\n")
    assert "more than one column that may hold the lead ids: 'id', 'Lead Id'" in text


# --- what is no text ---


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04rest", "is an Excel workbook or a zip archive"),
        (b"\x1f\x8brest", "is compressed"),
        (b"\xd0\xcf\x11\xe0rest", "is an old Excel workbook"),
        (b"1\n2\n\0\0\0\0", "is not text: it has zero bytes"),
        (b"\0\0\0\0", "is not text: it has zero bytes"),
        (f"id,Name\n{A},Ann\n{B},Jürgen\n".encode("cp1252"), "is not UTF-8 text: line 3 cannot be read"),
        (f"id,Name\r\n{A},Ann\r\n{B},Jürgen\r\n".encode("cp1252"), "is not UTF-8 text: line 3 cannot be read"),
        (f"\ufeffid\n{A}\n".encode("utf-16-le") + b"\x00", "is not UTF-16 text: line 3 cannot be read"),
    ],
)
def test_what_is_no_text_that_we_know_is_named_with_what_to_do(content: bytes, said: str) -> None:
    text = refusal(content, skip_invalid=True)
    assert said in text
    assert "CSV UTF-8" in text


def test_the_line_of_a_wrong_byte_is_right_however_far_down_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("massconvert.leads.text._BLOCK", 7)
    assert "line 41 cannot be read" in refusal(b"12345\r\n" * 40 + b"\xfc\n")


def test_a_file_that_is_not_there_or_a_directory_is_told(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "no.csv", "No such file"), (tmp_path, "Is a directory"), ("a\0b", "null")):
        with pytest.raises(InputError, match=f"cannot be read: .*{reason}"):
            open_leads(path)


def test_a_line_without_an_end_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("massconvert.leads.text._LONGEST_LINE", 200_000)
    assert "has a line of more than" in refusal(f"{A}\n" + "1," * 200_000)


# --- the whole file, before anything is enqueued ---


def test_one_wrong_line_refuses_the_whole_file_and_is_named() -> None:
    text = refusal(f"id\n{A}\n3.6524E+18\n{B}\nabc\n")
    assert "stdin: 2 of 4 values are not lead ids; nothing was enqueued." in text
    assert "line 3: '3.6524E+18' is a number that a spreadsheet or JavaScript has rounded" in text
    assert "line 5: 'abc' is not a string of digits" in text
    assert "--skip-invalid" in text


def test_the_first_twenty_wrong_lines_are_named_and_how_many_more_there_are() -> None:
    lines = refusal(f"{A}\n" + "x\n" * 1234).splitlines()
    assert "1,234 of 1,235 values" in lines[0]
    assert [line.split()[1] for line in lines[1:21]] == [f"{number}:" for number in range(2, 22)]
    assert lines[21:] == ["  and 1,214 more", "Fix them, or add --skip-invalid to go on with the others."]


def test_with_skip_invalid_the_others_go_on_and_the_wrong_ones_are_counted() -> None:
    with open_leads("-", stdin=io.BytesIO(f"{A}\nabc\n{B}\n".encode()), skip_invalid=True) as leads:
        assert (list(leads), len(leads), leads.invalid) == ([A, B], 2, 1)
        assert leads.problems == (LeadLine(2, None, "is not a string of digits", "abc"),)
        assert leads.complaint() == "  line 2: 'abc' is not a string of digits"


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n", "id\n", "Name,id\n,\n", "[]", " [ ] ", "\ufeff"])
@pytest.mark.parametrize("skip_invalid", [False, True])
def test_a_file_without_any_id_is_refused(content: str, *, skip_invalid: bool) -> None:
    assert refusal(content, skip_invalid=skip_invalid).startswith("stdin has no lead ids.")


def test_a_file_of_wrong_values_only_is_refused_even_with_skip_invalid() -> None:
    text = refusal("id\nabc\nxyz\n", skip_invalid=True)
    assert "2 of 2 values are not lead ids" in text
    assert "--skip-invalid" not in text


def test_ids_of_the_command_line_are_checked_like_a_file() -> None:
    with open_leads(ids=(A, f"zcrm_{B}", int(C))) as leads:
        assert list(leads) == [A, B, C]
    with pytest.raises(InputError, match=r"value 2: 'leads\.csv' is not a string of digits"):
        open_leads(ids=(A, "leads.csv"))
    with pytest.raises(InputError, match=r"value 1: .*outside the range"):
        open_leads(ids=(10**5000,))


def test_a_file_and_ids_at_once_or_neither_is_a_wrong_call() -> None:
    for source, values in (("leads.csv", (A,)), (None, ())):
        with pytest.raises(InputError, match="Give either a file"):
            open_leads(source, values)


def test_a_path_is_read_and_called_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_text(f"id\n{A}\nabc\n")
    with pytest.raises(InputError, match=r"leads\.csv: 1 of 2 values"):
        open_leads(path)
    with open_leads(str(path), skip_invalid=True) as leads:
        assert list(leads) == [A]


def test_a_producer_sees_a_checked_collection_that_may_be_read_again_and_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool_room, "_BLOCK", 5)
    with open_leads(ids=[A, B, A]) as leads:
        assert isinstance(leads, Collection)
        assert leads.checked
        assert list(zip(leads, leads, strict=True)) == [(A, A), (B, B), (A, A)]
        assert B in leads
        assert C not in leads


def test_a_list_that_does_not_fit_into_memory_comes_back_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_room, "_IN_MEMORY", 1000)
    monkeypatch.setattr(spool_room, "_BLOCK", 77)
    monkeypatch.setattr(spool_room, "_AT_ONCE", 10)
    chance = random.Random(1)
    many = [str(chance.randrange(1, 10 ** chance.randrange(1, 19))) for _ in range(999)]
    assert taken("\n".join(many)) == many


def test_a_full_disk_is_told_with_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool_room, "SpooledTemporaryFile", lambda **_: Full())
    assert "No space left on device" in refusal(f"{A}\n")


def test_memory_stays_flat_however_long_the_file_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_room, "_IN_MEMORY", 100_000)

    def peak(count: int) -> int:
        data = io.BytesIO(b"Name,id\n" + b"".join(b"Ann,%d\n" % number for number in range(10**18, 10**18 + count)))
        tracemalloc.start()
        with open_leads("-", stdin=data) as leads:
            assert sum(1 for _ in leads) == count
        (_, most) = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(60_000) < peak(15_000) + 1_500_000  # 45,000 more strings would be 3 MB


# --- properties ---


@given(
    st.lists(lead_ids, min_size=1),
    st.sampled_from(["plain", "csv", "jsonl", "array"]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 64),
)
def test_what_was_written_in_any_form_is_read_back_in_any_blocks(
    values: list[str], form: str, end: str, block: int
) -> None:
    content = {
        "plain": end.join(values),
        "csv": end.join(['Näme,"Record Id"', *(f'"x, ""y""{end}z",{value}' for value in values)]),
        "jsonl": end.join(json.dumps({"id": value}) for value in values),
        "array": json.dumps(values, indent=1).replace("\n", end),
    }[form]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("massconvert.leads.text._BLOCK", block)
        assert taken(content) == values


@given(
    st.binary(max_size=300)
    | st.text(alphabet='id,;\n\r\t"0123456789[]{}:#zcrm_ e+.\\ä\0').map(lambda text: text.encode())
)
def test_whatever_a_file_holds_ids_come_out_or_an_input_error(content: bytes) -> None:
    try:
        values = taken(content, skip_invalid=True)
    except InputError:
        return
    assert values
    assert all(parse_lead_id(value) == value for value in values)


def test_of_many_values_the_ids_come_out_and_the_others_are_told() -> None:
    wrong: dict[str, str] = {}
    values = ["3652397000009850001", 42, "0000000000000000042", "9223372036854775808", "zcrm_7", None]
    assert list(valid_ids(values, wrong)) == ["3652397000009850001", "42", "7"]
    assert set(wrong) == {"0000000000000000042", "9223372036854775808", "None"}
