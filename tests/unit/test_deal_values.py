"""What single leads bring for their deals: from a call, from a message, from a CSV's columns, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest

from massconvert.errors import InputError
from massconvert.leads import Leads, open_leads
from massconvert.leads.brought import Brought
from massconvert.model import Kind, Listing, Outcome
from massconvert.producer.deal_values import NAMED, misfits, parse_deal_values, read_deal_cells
from massconvert.producer.mass_convert import MassConvert
from massconvert.settings import load_settings
from massconvert.store import RedisClock
from tests.unit.cli_shell import OPTIONS, A, B, C, Shell
from tests.unit.listed import listed
from tests.unit.simulated_crm import Crm


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
def shell(shell: Shell) -> Shell:
    shell.write("leads.csv", f"id,deal.Amount\n{A},1000\n{B},\n")
    return shell


def test_columns_of_the_input_come_into_the_batch(shell: Shell) -> None:
    said = shell.run("enqueue", "leads.csv", "--options", shell.options(), "--key", "k")
    assert said.code == 0, said.err
    assert shell.ledger.batches.deal_values("k", [A, B]) == {A: '{"Amount":1000}'}


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_options_without_a_deal_are_refused(shell: Shell, more: tuple[str, ...]) -> None:
    shell.write("bare.json", json.dumps({"assign_to": OPTIONS["assign_to"]}))
    said = shell.run("enqueue", "leads.csv", "--options", "bare.json", *more)
    assert (said.code, said.out) == (2, "")
    assert "1 lead brings values for deals, but the options make no deal" in said.err
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


@pytest.fixture(scope="module")
def fields() -> Any:
    return listed(Crm(), Listing.FIELDS)[Listing.FIELDS]


def brought(values: Mapping[str, Any]) -> dict[str, str]:
    return {lead: json.dumps(each) for lead, each in values.items()}


def test_values_that_the_deals_module_takes_fit(fields: Any) -> None:
    good = {"Amount": 10.5, "Type": "New Business", "Closing_Date": "2026-12-24", "Renewal": True, "Deal_Name": "{x}"}
    assert misfits(brought({A: good, B: {"Stage": "Qualification", "Probability": 5}}), fields).problems == ()
    assert misfits(brought({A: {"Amout": 1}}), ()).problems == ()  # nothing is known of the fields


def test_values_that_do_not_fit_are_told_at_once_and_what_is_wrong_for_all_once(fields: Any) -> None:
    wrong = {"Amout": 1, "Amount": "much", "Type": "New Busines", "Expected_Revenue": 3}
    with pytest.raises(InputError) as caught:
        misfits(brought({A: wrong, B: {**wrong, "Amount": 7}}), fields).demand_none()
    assert caught.value.message.splitlines()[1:] == [
        "  deal.Amout is no field of the Deals module that this user may see; nearest: Amount",
        "  deal.Expected_Revenue is set by Zoho itself and cannot be given",
        f"  lead {A}: deal.Amount must be a number, not a text",
        f"  lead {A}: deal.Type is 'New Busines', but there is no such value; nearest: New Business, Existing Business",
        f"  lead {B}: deal.Type is 'New Busines', but there is no such value; nearest: New Business, Existing Business",
    ]


def test_of_very_many_the_first_are_told_and_how_many_more(fields: Any) -> None:
    many = brought({str(int(A) + number): {"Amount": "x", "Amout": 1} for number in range(NAMED + 5)})
    with pytest.raises(InputError) as caught:
        misfits(many, fields).demand_none()
    assert len(caught.value.message.splitlines()) == 1 + NAMED + 1
    assert caught.value.message.endswith("and 6 more")


def test_what_a_file_brings_is_kept_outside_of_memory_and_of_a_lead_the_first_counts() -> None:
    values = Brought()
    assert (len(values), list(values.items()), values.get(A)) == (0, [], None)
    for lead, text in ((B, "b"), (A, "a"), (B, "later")):
        values.add(lead, text)
    assert (len(values), dict(values), list(values)) == (2, {A: "a", B: "b"}, [A, B])
    assert (values[B], values.get(C), C in values) == ("b", None, False)
    values.close()
    values.close()
    assert dict(values) == {}


def test_a_producer_refuses_what_a_fresh_listing_speaks_against_and_a_retry_does_not(shell: Shell, fields: Any) -> None:
    """The values of a batch cannot be fixed in a retry: what Zoho says then is the truth."""
    producer = MassConvert(load_settings({"REDIS_URL": "redis://127.0.0.1:1/0"}, dotenv=None))
    shell.ledger.shelf.keep(Listing.FIELDS, fields, now=RedisClock(shell.connect("")).now())
    with pytest.raises(InputError, match=r"deal\.Amout is no field"):
        producer.enqueue([A], OPTIONS, key="k", deal_values={A: {"Amout": 1}})
    assert not shell.connect("").exists("mc:{default}:batch:k")
    shell.ledger.batches.open("old", "0" * 16, OPTIONS, now=1_800_000_000.0, leads=1)
    shell.end("old", {A: Outcome(Kind.FAILED, "X")})
    shell.connect("").hset("mc:{default}:batch:old:deals", A, json.dumps({"Amout": 1}))
    assert producer.retry("old").accepted == 1


def test_a_row_that_lacks_a_cell_gives_no_deal_another_columns_value() -> None:
    with pytest.raises(InputError, match="so which cell is which cannot be known"):
        read(f"id,Company,deal.Amount,deal.Probability\n{A},500,10\n")
