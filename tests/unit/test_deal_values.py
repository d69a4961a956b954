"""What single leads bring for their deals: from a call, from a message, from a CSV's columns, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from massconvert.deal_values import parse_deal_values, read_deal_cells
from massconvert.errors import InputError
from massconvert.leads import Leads, open_leads
from massconvert.model import Kind, Outcome
from tests.unit.cli_shell import OPTIONS, A, B, C, Shell


def parsed(given: Any) -> dict[str, Any]:
    return {lead: json.loads(text) for lead, text in parse_deal_values(given, [A, B]).items()}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, {}),
        ({}, {}),
        ({A: {}}, {}),
        ({A: {"Amount": None}}, {}),
        ({A: {"Amount": 1000, "Type": "New Business"}}, {A: {"Amount": 1000, "Type": "New Business"}}),
        ({f"zcrm_{A}": {"Amount": Decimal("10.50")}}, {A: {"Amount": 10.5}}),
        ({int(A): {"Closing_Date": date(2026, 12, 24)}}, {A: {"Closing_Date": "2026-12-24"}}),
        ({A: {"Deal_Name": "{Company}"}}, {A: {"Deal_Name": "{Company}"}}),  # it is no template
        ({A: {"Owner": {"id": "5"}}, B: {"X": True}}, {A: {"Owner": {"id": "5"}}, B: {"X": True}}),
    ],
)
def test_values_of_leads_are_taken_as_the_deal_takes_them(given: Any, found: Mapping[str, Any]) -> None:
    assert parsed(given) == found


def test_everything_that_is_wrong_is_told_at_once_with_its_lead_and_field() -> None:
    with pytest.raises(InputError) as caught:
        parsed(
            {
                A: {"Amount": float("nan"), "Closing_Date": "+30d", "id": "7", "Deal_Name": " "},
                B: [1],
                C: {"Amount": 1},
                "7x": {"Amount": 1},
            }
        )
    lines = caught.value.message.splitlines()
    assert lines[0] == "The deal values are wrong:"
    assert lines[1:] == [
        f"  $.deal_values[{A}].Amount is nan, which JSON cannot carry",
        f"  $.deal_values[{A}].Closing_Date is '+30d', but for a single deal must be a date like 2026-12-24",
        f"  $.deal_values[{A}].id is not the API name of a field of deals, like Amount",
        f"  $.deal_values[{A}].Deal_Name is empty",
        f"  $.deal_values[{B}] must be an object with fields of the Deals module, not a list",
        f"  $.deal_values[{C}] is not among the leads that are enqueued",
        "  $.deal_values[7x] is not a string of digits",
    ]


@pytest.mark.parametrize("given", [[A], "x", 7])
def test_what_is_no_object_is_refused(given: Any) -> None:
    with pytest.raises(InputError, match="deal_values must be an object"):
        parsed(given)


def read(text: str) -> Leads:
    return open_leads("-", stdin=BytesIO(text.encode()), read_deal=read_deal_cells)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1000", 1000),
        ("-10.50", -10.5),
        ("0", 0),
        ("true", True),
        ("New Business", "New Business"),
        ("0049", "0049"),
        ("3652397000009850001", "3652397000009850001"),
        ("1e5", "1e5"),
        ('"1000"', "1000"),
        ("{Company}", "{Company}"),
    ],
)
def test_a_cell_is_a_number_where_it_looks_like_one_and_else_a_text(cell: str, value: Any) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    with read(f"id,deal.Custom\n{A},{quoted}\n") as leads:
        assert json.loads(leads.deal_values[A]) == {"Custom": value}


def test_texts_of_every_deal_stay_texts() -> None:
    with read(f"id,Deal.Deal_Name,deal.Amount\n{A},1000,1000\n") as leads:
        assert leads.deal_values == {A: '{"Deal_Name":"1000","Amount":1000}'}


def test_a_blank_cell_is_no_value_and_a_lead_without_any_takes_no_room() -> None:
    with read(f"id;name;deal.Amount;deal.Type\n{A};x; ;\n{B};y;5;\n{B};z;6;New\n") as leads:
        assert leads.deal_values == {B: '{"Amount":5}'}  # of a lead the first row counts
        assert list(leads) == [A, B, B]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"id,deal.Closing_Date\n{A},2026-12-24\n{B},tomorrow\n",
            f"line 3 (lead {B}): deal.Closing_Date is 'tomorrow'",
        ),
        (f"id,deal.Annual Revenue\n{A},5\n", 'deal["Annual Revenue"] is not the API name of a field of deals'),
        (f"id,deal.id\n{A},5\n", "deal.id is not the API name"),
        (f"id,deal.Amount,deal.Amount\n{A},5,5\n", "more than one column deal.Amount"),
    ],
)
def test_a_wrong_cell_is_told_with_its_line_its_lead_and_its_column(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert told in caught.value.message


# --- the command line


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    made = Shell(monkeypatch, capsys, tmp_path)
    made.write("leads.csv", f"id,deal.Amount\n{A},1000\n{B},\n")
    return made


def test_columns_of_the_input_come_into_the_batch(shell: Shell) -> None:
    said = shell.run("enqueue", "leads.csv", "--options", shell.options(), "--key", "k")
    assert said.code == 0, said.err
    assert shell.ledger.batches.deal_values("k", [A, B]) == {A: '{"Amount":1000}'}


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_options_without_a_deal_are_refused(shell: Shell, more: tuple[str, ...]) -> None:
    shell.write("bare.json", json.dumps({"assign_to": OPTIONS["assign_to"]}))
    said = shell.run("enqueue", "leads.csv", "--options", "bare.json", *more)
    assert (said.code, said.out) == (2, "")
    assert "1 leads bring values for their deals, but the options make no deal" in said.err
    assert shell.ledger.batches.recent() == []


def test_a_retry_brings_them_along(shell: Shell) -> None:
    shell.run("enqueue", "leads.csv", "--options", shell.options(), "--key", "k")
    shell.end("k", {A: Outcome(Kind.FAILED, "GAVE_UP", "no answer"), B: Outcome(Kind.FAILED, "GAVE_UP", "no answer")})
    made = shell.run("retry", "k", "--json").json["batch"]
    assert shell.ledger.batches.deal_values(made, [A, B]) == {A: '{"Amount":1000}'}


def test_deals_are_tried_again_with_them_alone_only_where_each_has_some(shell: Shell) -> None:
    undone = Outcome(Kind.CONVERTED, "DEAL_NOT_UPDATED", "no")
    shell.run("enqueue", "leads.csv", "--options", shell.options(), "--key", "k")
    shell.end("k", {A: undone, B: undone})
    assert "nothing that the deals of batch k could be updated with" in shell.run("retry", "k", "--deals").err
    made = shell.run("retry", "k", "--deals", "--id", A, "--json").json["batch"]
    assert shell.ledger.batches.deal_values(made, [A]) == {A: '{"Amount":1000}'}
