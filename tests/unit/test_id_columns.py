"""An id is taken from a column or key that is known to be the lead's, and from nowhere else, whatever is skipped."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import pytest

from massconvert.errors import InputError
from massconvert.leads import open_leads, open_table, parse_lead_id

A, B, C = "3652397000009850001", "3652397000009851001", "3652397000009852001"
OWNER, OTHER, PHONE = "3652397000000281001", "3652397000009990001", "4915112345678"


def taken(content: str | bytes, *, skip_invalid: bool = True, **how: Any) -> list[str]:
    """The ids of a file that is opened for enqueueing, with what is wrong in it left out."""
    data = content if isinstance(content, bytes) else content.encode()
    with open_leads("-", stdin=io.BytesIO(data), skip_invalid=skip_invalid, **how) as leads:
        return list(leads)


def refusal(content: str | bytes, **how: Any) -> str:
    with pytest.raises(InputError) as caught:
        taken(content, **how)
    return str(caught.value)


# --- where the heading is -----------------------------------------------------------------------------------

REPORT = (
    f'"Record Id","Company","Phone","Lead Owner.id","Referred By.id"\n"zcrm_{A}","Acme","{PHONE}","{OWNER}","{OTHER}"\n'
)


@pytest.mark.parametrize(
    "above",
    [
        "",
        "Leads\n",
        "\n\n",
        "Leads\n\n",
        "Leads by source,,,,\nCreated by,Ann,,,\n,,,,\n",
        '"Leads, all of them"\nAs of 24.11.2026 10:00\n\n',
        "sep=,\nLeads\n",
        "Leads 2026; open\n",
        "# exported\nLeads\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_heading_below_a_title_is_found_and_only_its_column_has_ids(above: str, encoding: str) -> None:
    assert taken((above + REPORT).encode(encoding), skip_invalid=False) == [A]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_a_heading_below_a_title_is_found_whatever_separates_the_columns(delimiter: str) -> None:
    rows = [["Phone", "Record Id", "Company"], [PHONE, A, "Acme, Inc"], [PHONE, f'="{B}"', "Bolt"]]
    assert taken("Leads\r\n\r\n" + "\r\n".join(map(delimiter.join, rows)), skip_invalid=False) == [A, B]


def test_lines_are_counted_from_the_top_also_below_a_title() -> None:
    text = refusal(f"Leads\n\nid,Phone\n{A},1\nn7,{PHONE}\n", skip_invalid=False)
    assert "line 5: 'n7' is not a string of digits" in text
    assert "has 3 cells where the heading has 2" in refusal(f"Leads\nid,Phone\n{A},1,2\n", skip_invalid=False)


def test_a_number_column_called_hash_is_no_comment() -> None:
    assert taken(f"#,Record Id,Phone\n1,{A},{PHONE}\n", skip_invalid=False) == [A]


@pytest.mark.parametrize("above", [PHONE, f"Owner,{OWNER}", f"{A}\n{B}", "45", f"Name,Phone\nAnn,{PHONE}"])
def test_data_above_the_heading_is_named_and_not_left_out_in_silence(above: str) -> None:
    assert "above the heading, which is in line" in refusal(f"{above}\n{REPORT}")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"Lead Owner Id,Account Id,Contact.id\n{OWNER},{OTHER},{B}\n", "'Lead Owner Id', 'Account Id', 'Contact.id'"),
        (f"Converted Deal.id\n{OTHER}\n", "'Converted Deal.id'"),
        (f"Leads\nDatensatz-ID;Firma\n{A};Acme\n", "line 2 has 'Datensatz-ID', 'Firma'"),
        (f"Datensatz-ID\n{A}\n", "'Datensatz-ID'"),
        (f"Phone\n{PHONE}\n", "'Phone'"),
        (f"\n\nPhone\n{PHONE}\n", "'Phone'"),
        (f"{A},{OWNER}\n{B},{OWNER}\n", f"'{A}', '{OWNER}'"),
        (f"{A}\t{PHONE}\n", f"'{A}', '{PHONE}'"),
        (f"{A} {PHONE}\n", f"'{A} {PHONE}'"),
        (f"{A}, {B}\n", f"'{A}', '{B}'"),
        ("sep=;\nid,x\n1,2\n", "'id,x'"),
        (f'"Leads\nRecord Id,Phone\n{A},{PHONE}\n', ""),
    ],
)
def test_a_file_without_a_known_column_is_refused_with_what_it_has_and_what_to_write(content: str, found: str) -> None:
    for skip_invalid in (False, True):
        text = refusal(content, skip_invalid=skip_invalid)
        assert "has no column for the lead ids" in text
        assert found in text
        assert "--id-column NAME" in text
        assert "Record Id" in text


def test_two_columns_that_may_be_meant_are_refused_until_one_is_named() -> None:
    content = f"Id,Record Id,Phone\n{B},zcrm_{A},{PHONE}\n"
    assert "more than one column that may hold the lead ids: 'Id', 'Record Id'" in refusal(content)
    assert "--id-column NAME" in refusal(content)
    assert taken(content, id_column="Record Id") == [A]
    assert taken(content, id_column="id") == [B]
    assert "Rename or remove all but the one" in refusal(f"id,id\n{A},{B}\n", id_column="id")


def test_a_heading_that_may_be_read_in_two_ways_is_refused() -> None:
    text = refusal(f"Id,Phone;Record Id\n{A},{PHONE};{B}\n")
    assert "line 1 can be read in two ways, with its columns separated by ',' or by ';'" in text
    assert taken(f"sep=;\nId,Phone;Record Id\n{PHONE};{B}\n") == [B]
    assert "can be read in two ways" in refusal(f"sep=,\n\tRecord Id\n{PHONE}\t\n")  # it is not true


# --- rows ---------------------------------------------------------------------------------------------------


def test_a_heading_that_is_repeated_in_the_middle_is_passed_over() -> None:
    assert taken(f"Record Id,Phone\n{A},1\n\nRecord Id,Phone\n{B},2\n", skip_invalid=False) == [A, B]


@pytest.mark.parametrize(
    "other",
    [
        f"Phone,Record Id\n{PHONE},{B}\n",
        f"Mobile,Lead Id\n{PHONE},{B}\n",
        f"\nPhone,Company\n{PHONE},Acme\n",
        f"\n\nLead Owner Id,Name\n{OWNER},Ann\n",
        f"Lead Id,Mobile\n{PHONE},{B}\n",
    ],
)
def test_another_table_further_down_is_not_read_with_the_first_ones_heading(other: str) -> None:
    text = refusal(f"Record Id,Company\n{A},Acme\n{other}")
    assert "may be the heading of another table" in text


def test_a_list_does_not_go_on_into_a_table() -> None:
    assert "may be the heading of another table" in refusal(f"{A}\n\nPhone\n{PHONE}\n")
    assert taken(f"{A}\n{PHONE},{OWNER}\nabc\n{B}\n") == [A, B]
    assert f"line 2: '{A},{OWNER}' has 2 values" in refusal(f"{B}\n{A},{OWNER}\n", skip_invalid=False)


def test_what_merely_looks_like_a_heading_costs_its_line_and_not_the_file() -> None:
    idaho = f"Record Id,Company,State\n{A},Acme,ID\n,Bolt,ID\nTotal,2,\n{B},Cord,ID\n"
    assert taken(idaho) == [A, B]


def test_a_row_that_lacks_a_cell_is_not_believed_when_the_id_may_have_moved() -> None:
    content = f"Company,Record Id,Phone\nAcme,{A},1\n{B},{PHONE}\n"
    assert taken(content) == [A]
    assert "so which cell is which cannot be known" in refusal(content, skip_invalid=False)
    assert taken(f"Record Id,Company,Phone\n{A}\n{B},Bolt\n", skip_invalid=False) == [A, B]
    # Columns without a name hold nothing: a row may have moved into them, or lack a cell because of them.
    assert taken(f"Company,Record Id,,\nAcme,{A},,\n{B},{PHONE},\n") == [A]
    assert taken(f"Company,Record Id,Phone,\nAcme,{A},1,\nBolt,{PHONE},{B},1\n") == [A]


def test_a_row_with_a_blank_cell_too_many_is_not_believed_when_the_id_may_have_moved() -> None:
    content = f"Company,Record Id,Phone\nAcme,{A},1\nBolt,{PHONE},{B},\n"
    assert taken(content) == [A]
    assert "so which cell is which cannot be known" in refusal(content, skip_invalid=False)
    assert taken(f"Record Id,Company\n{A},Acme,\n{B},Bolt,,\n", skip_invalid=False) == [A, B]


def test_a_cell_of_a_whole_mail_thread_is_read() -> None:
    thread = "Dear Ann,\n" * 14_000
    assert taken(f'Record Id,Description\n{A},"{thread}"\n{B},x\n', skip_invalid=False) == [A, B]
    with open_table(io.BytesIO(f'Description,Id\n"{thread}",{A}\n'.encode())) as table:
        assert [cells for _, cells in table.rows] == [[thread, A]]


def test_a_limit_that_the_host_has_raised_is_left_alone() -> None:
    before = csv.field_size_limit(1 << 30)
    try:
        taken(f"id\n{A}\n")
        assert csv.field_size_limit() == 1 << 30
    finally:
        csv.field_size_limit(before)


# --- --id-column --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (f"Datensatz-ID;Firma;Telefon\n{A};Acme;{PHONE}\n", "Datensatz-ID"),
        (f"Leads\n\nDatensatz-ID;Firma;Telefon\n{A};Acme;{PHONE}\n", "datensatz-id"),
        (f'"Id de l\u2019enregistrement"\t"Id"\n"{A}"\t{OTHER}\n', "Id de l\u2019enregistrement"),
        (f"Identita\u0308t\n{A}\n", "Identit\u00e4t"),
        (f"\u30ec\u30b3\u30fc\u30c9ID,\u96fb\u8a71\n{A},{PHONE}\n", "\u30ec\u30b3\u30fc\u30c9ID"),
        (f"ID,Id,id\n{OTHER},{A},{OWNER}\n", "Id"),
        (f"Lead Owner.id,Record Id\n{A},{OTHER}\n", " Lead Owner.id "),
        (f'{{"datensatz": "{A}", "id": "{OTHER}"}}\n', "datensatz"),
        (json.dumps([{"Datensatz": int(A), "owner": {"id": OWNER}}], indent=1), "datensatz"),
    ],
)
def test_a_named_column_or_key_is_the_one_whatever_others_are_called(content: str, name: str) -> None:
    assert taken(content, id_column=name, skip_invalid=False) == [A]
    with open_table(io.BytesIO(content.encode()), id_column=name) as table:
        assert [line.lead_id for line, _ in table.rows] == [A]


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (f"Record Id,Firma\n{A},Acme\n", "Datensatz-ID", "has no column 'Datensatz-ID'; its first row has 'Record Id'"),
        (f"{A}\n{B}\n", "Datensatz-ID", "has no column 'Datensatz-ID'"),
        (f'{{"id": "{A}"}}\n', "Datensatz", "is an object without 'Datensatz'; it has 'id'"),
        (f'"{A}"\n', "Datensatz", "has no column 'Datensatz'"),
        (f'["{A}"]', "Datensatz", "is no object with the key 'Datensatz'"),
        (f"id\n{A}\n", " ", "--id-column names no column"),
    ],
)
def test_a_named_column_that_is_not_there_is_told_and_no_other_is_taken(content: str, name: str, said: str) -> None:
    assert said in refusal(content, id_column=name)


def test_a_column_is_of_a_file_and_not_of_ids() -> None:
    with pytest.raises(InputError, match="--id-column names a column of a file"):
        open_leads(ids=[A], id_column="x")


def test_a_list_as_a_table_is_called_as_was_said(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(f'{{"Datensatz": "{A}"}}\n')
    with open_table(path, id_column="Datensatz") as table:
        assert table.columns == ["Datensatz"]


# --- JSON ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        f'{{"lead": {{"id": "{OTHER}"}}}}',
        f'{{"Owner": {{"id": "{OWNER}"}}, "Phone": "{PHONE}"}}',
        f'{{"id": "{A}", "lead_id": "{OTHER}"}}',
        f'{{"id": "{A}", "id": "{OTHER}"}}',
        f'{{"id": {{"id": "{OTHER}"}}}}',
        f'{{"id": ["{OTHER}"]}}',
        '{"id": 3.652397000009850001e18}',
        f'{{"contact_id": "{OTHER}"}}',
    ],
)
def test_an_object_gives_the_id_under_its_one_key_or_none(wrong: str) -> None:
    for content in (f'{{"id": "{C}"}}\n{wrong}\n', f'[{{"id": "{C}"}},\n{wrong}]'):
        assert taken(content) == [C]
        assert "line 2" in refusal(content, skip_invalid=False)


def test_all_objects_of_a_file_have_the_id_under_the_same_key() -> None:
    for content in (f'{{"id": 17}}\n{{"lead_id": "{A}"}}\n', f'[{{"id": 17}}, {{"lead_id": "{A}"}}]'):
        text = refusal(content)
        assert "has its id under 'lead_id', others before under 'id'" in text
        assert "--id-column NAME" in text
    assert taken(f'{{"id": 17}}\n{{"lead_id": "{A}"}}\n', id_column="lead_id") == [A]
    assert taken(f'{{"Record Id": "{A}"}}\n{{"record_id": "{B}"}}\n') == [A, B]


# --- how people keep an id from being rounded ---------------------------------------------------------------

KEPT = [
    f'="{A}"',
    f"={A}",
    f'=  "{A}" ',
    f'=T("{A}")',
    f'=TEXT("{A}","0")',
    f'=text({A};"0")',
    f"'{A}",
    f"'{A}'",
    f"\u2019{A}",
    f'"{A}"',
    f'""{A}""',
    f"\u201c{A}\u201d",
    f"\u201e{A}\u201c",
    f"\u00ab{A}\u00bb",
    f"`{A}`",
    f"\t{A}",
    f"{A}\t\r\n",
    f"\u00a0{A}\u00a0",
    f"\u202f{A}",
    f"\u200b{A}\u200e",
    f"\ufeff{A}",
    f"\u2068{A}\u2069",
    f"zcrm_{A}",
    f'="zcrm_{A}"',
    f"'zcrm_{A}",
    f'\'="{A}"',
    f"\ufeff\"='{A}'\"",
]


@pytest.mark.parametrize("value", KEPT)
def test_an_id_is_taken_in_every_dress_that_keeps_its_digits(value: str) -> None:
    assert parse_lead_id(value) == A
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows([["Record Id", "Phone"], [value, PHONE]])
    assert taken(text.getvalue(), skip_invalid=False) == [A]
    assert taken(json.dumps({"id": value}), skip_invalid=False) == [A]
    assert taken(f"{B}\n{value}\n", skip_invalid=False) == [B, A]
    assert taken(f"{value}\n{B}\n", skip_invalid=False) == [A, B]


def test_a_dressed_id_is_taken_unquoted_between_separators() -> None:
    assert taken(f'Company;Record Id;Phone\nAcme;="{A}";{PHONE}\nBolt; "{B}";\n', skip_invalid=False) == [A, B]
    assert taken(f'\ufeff="Record Id",Phone\n="{A}",{PHONE}\n', skip_invalid=False) == [A]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('="3.6524E+18"', "rounded"),
        ("'3,65240E+18", "rounded"),
        ("=3652397000009850000.0", "rounded"),
        ("3,652,397,000,009,850,001", "in groups of three digits"),
        ("3.652.397.000.009.850.000", "in groups of three digits"),
        ("3 652 397 000 009 850 001", "in groups of three digits"),
        ("3\u202f652\u202f397\u202f000\u202f009\u202f850\u202f001", "in groups of three digits"),
        (f'=HYPERLINK("https://crm.zoho.com/{A}","{A}")', "is not a string of digits"),
        (f'="{A[:9]}"&"{A[9:]}"', "is not a string of digits"),
        (f"={A}+1", "is not a string of digits"),
        (f"=-{A}", "is not a string of digits"),
        (f"{A[:9]}\u200b{A[9:]}", "is not a string of digits"),
        (f'"{A}', "is not a string of digits"),
        ('=""', "is empty"),
        ("'", "is empty"),
        ("'" * 30 + A, ""),
        ("=" * 100_000, ""),
    ],
)
def test_what_has_lost_digits_or_is_more_than_an_id_is_refused(value: str, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_lead_id(value)
    assert reason in caught.value.message
    for content in (f"{A}\n{value}\n", json.dumps([A, value])):
        assert taken(content) == [A]


class Int64:
    """A whole number as numpy has them: no int, but known to be Integral."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __int__(self) -> int:
        return self.number


class Float32:
    """A number as numpy has them: no float, but known to be Real."""


Integral.register(Int64)
Real.register(Float32)


@pytest.mark.parametrize(
    "value",
    [
        Int64(int(A)),
        Decimal(A),
        Decimal(f"{A}.000"),
        Decimal(f"{A[0]}.{A[1:]}E+18"),
        Decimal(int(A)),
    ],
)
def test_a_whole_number_of_another_library_is_taken_where_it_has_all_its_digits(value: object) -> None:
    assert parse_lead_id(value) == A


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Decimal("3.6524E+18"), "rounded"),
        (Decimal("3652397000009850000").normalize(), "rounded"),
        (Decimal("1E+999999"), "rounded"),
        (Decimal(f"{A}.5"), "is not a whole number"),
        (Decimal("1E-999999"), "is not a whole number"),
        (Decimal("NaN"), "is not a number"),
        (Decimal("sNaN"), "is not a number"),
        (Decimal("Infinity"), "is not a number"),
        (Decimal(-7), "outside the range"),
        (Decimal("9" * 5000), "outside the range"),
        (Decimal(0), "outside the range"),
        (Int64(0), "outside the range"),
        (Int64(2**63), "outside the range"),
        (Float32(), "rounded"),
        (True, "is a bool"),
        (1j, "is a complex"),
    ],
)
def test_a_number_that_is_not_whole_or_has_lost_digits_is_refused(value: object, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_lead_id(value)
    assert reason in caught.value.message
