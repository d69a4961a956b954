"""Leads that say what they are linked to: where that comes in, what is refused, and that they are linked to that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from massconvert.cli import match as match_command
from massconvert.cli import matches
from massconvert.contract import Exit
from massconvert.errors import InputError, ZohoError
from massconvert.leads import Leads, open_leads
from massconvert.ledger.codec import load_chunk
from massconvert.model import Code, Kind, Link, Outcome, dump_brought, load_brought
from massconvert.options import Options
from massconvert.policy import Row
from massconvert.producer.deal_values import bring, demand_taken, parse_links, read_deal_cells
from massconvert.producer.retry import brought_again
from massconvert.steps.ports import Ports
from tests.unit.cli_shell import OPTIONS, A, B, C, Shell
from tests.unit.simulated_crm import ANN, DEAL
from tests.unit.test_match import LINK, contact, run, town
from tests.unit.test_resolve import Pipeline

CREATE = {"Deals": DEAL, "assign_to": ANN}


def read(text: str) -> Leads:
    return open_leads("-", stdin=BytesIO(text.encode()), read_deal=read_deal_cells)


# --- where they come from


def test_what_a_lead_brings_comes_back_as_it_was() -> None:
    link = Link("61", "71")
    for values in ("", '{"Amount":7}'):
        text = dump_brought(values, link)
        assert load_brought(text) == (json.loads(values or "{}"), link)
        with pytest.raises(TypeError):
            dict(json.loads(text))  # what a version before it makes of it: it refuses, and makes no other records
    assert dump_brought('{"Amount":7}', None) == '{"Amount":7}'
    assert load_brought(None) == ({}, None)


@pytest.mark.parametrize(
    "text",
    [
        f"id,contact_id,account_id\n{A},61,71\n{B},,\n{C},,72\n",
        f"id;Account ID;x;Contact-Id\n{A};71;y;61\n{B}; ;y;\n{C};zcrm_72;y;\n",
        f'{{"id": "{A}", "contact_id": "61", "account_id": 71}}\n{{"id": "{B}"}}\n{{"id":"{C}","account_id":"72"}}\n',
        f'[{{"id": "{A}", "contact_id": 61, "account_id": "71"}}, {{"id": {C}, "contact_id": null, "account_id": 72}}]',
    ],
    ids=["csv", "other names", "json lines", "array"],
)
def test_columns_and_keys_say_what_each_lead_is_linked_to(text: str) -> None:
    with read(text) as leads:
        found = {lead: load_brought(kept)[1] for lead, kept in leads.deal_values.items()}
    assert found == {A: Link("61", "71"), C: Link("", "72")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"id,contact_id\n{A},61\n{B},Ann\n", f"line 3 (lead {B}): contact_id ('Ann') is not a string of digits"),
        (f"id,account_id\n{A},3.65E+18\n", "account_id ('3.65E+18') is a number that a spreadsheet"),
        (f"id,account_id,Account ID\n{A},71,71\n", "more than one column account_id"),
        (f'{{"id": "{A}", "contact_id": true}}', "contact_id (True) is a bool"),
        (f'{{"id": "{A}", "contact_id": "61", "Contact Id": "62"}}', "has the key 'contact_id' twice"),
    ],
)
def test_a_wrong_id_is_told_with_its_line_its_lead_and_its_column(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert told in caught.value.message


def test_a_call_s_links_are_taken_or_refused_all_at_once() -> None:
    assert parse_links({A: {"contact_id": 61}, B: {"account_id": ""}}, [A, B]) == {A: Link("61")}
    assert parse_links(None, []) == {}
    with pytest.raises(InputError) as caught:
        parse_links({A: {"contact": "61"}, B: {"account_id": "x"}, C: {"account_id": "1"}, "y": {}}, [A, B])
    assert caught.value.message.splitlines()[1:] == [
        f"  $.links[{A}] must be an object with contact_id and account_id, and nothing else",
        f"  $.links[{B}].account_id ('x') is not a string of digits",
        f"  $.links[{C}] is not among the leads that are enqueued",
        "  $.links[y] is not a string of digits",
    ]
    with pytest.raises(InputError, match="links must be an object"):
        parse_links([A], [A])


def test_options_that_zoho_does_not_take_where_it_links_are_refused_with_such_leads() -> None:
    body = Options.parse({"portal_user_type": {"id": "7"}}).body()
    demand_taken(body, {})
    with pytest.raises(InputError, match=r"1 lead names a contact or an account .* portal_user_type"):
        demand_taken(body, bring({}, {A: Link("61")}))
    demand_taken({}, bring({}, {A: Link("61")}))  # no deal is needed for it


def test_the_ledger_hands_out_deals_and_links_apart() -> None:
    brought = json.dumps(
        {A: dump_brought("", Link("61")), B: '{"Amount":7}', C: dump_brought('{"Amount":8}', Link("", "7"))}
    )
    fields = {"state": "waiting", "fp": "f", "token": "t", "due": "0", "created": "0", "members": f"k={A},{B},{C}"}
    chunk = load_chunk("1", {**fields, "options_json": "{}", "deal_values": brought})
    assert chunk.deal_values == {B: {"Amount": 7}, C: {"Amount": 8}}
    assert chunk.links == {A: Link("61"), C: Link("", "7")}


# --- the pipeline


def enqueue(
    line: Pipeline, options: Any, links: dict[str, Link], leads: list[str], deals: dict[str, str] | None = None
) -> None:
    line.intake.take(leads, Options.parse(options).body(), key="k", deal_values=bring(deals or {}, links))


@pytest.mark.parametrize("options", [CREATE, LINK, {**LINK, "on_match": "hold"}], ids=["create", "link", "hold"])
def test_a_lead_is_linked_to_what_it_names_without_a_query_for_it(options: Any) -> None:
    """Also where rules would hold it: there are two of her."""
    line = town()
    line.crm.organisation.put_records("Contacts", [contact("62", "Ann Lee", "ann@example.com", "71")])
    ann = line.crm.ids[0]
    enqueue(line, options, {ann: Link("62", "71")}, line.crm.ids[:1])
    (ended,) = run(line).values()
    assert ended is not None
    assert (ended.kind, ended.contact_id, ended.account_id) == (Kind.CONVERTED, "62", "71")
    assert (line.calls("POST coql"), line.calls("POST convert"), line.posts()) == (0, 1, 0)
    assert line.rows == [Row.MATCHED, Row.LINKED]


def test_the_others_of_its_payload_go_as_their_options_say() -> None:
    line = town()
    enqueue(line, CREATE, {line.crm.ids[0]: Link("61", "71")}, line.crm.ids[:3])
    ended = run(line)
    jobs = [outcome and bool(outcome.job_id) for outcome in ended.values()]
    assert sorted(jobs, key=bool) == [False, True, True]
    assert (line.posts(), line.calls("POST convert"), line.calls("POST coql")) == (1, 1, 0)


def test_its_own_deal_goes_with_the_call_and_needs_no_update() -> None:
    line = town()
    ann = line.crm.ids[0]
    named = {**CREATE, "Deals": {**DEAL, "Deal_Name": "{Company} renewal"}}
    enqueue(line, named, {ann: Link("61", "71")}, [ann], {ann: '{"Amount":7}'})
    (ended,) = run(line).values()
    assert ended is not None
    deal = line.crm.organisation.records("Deals")[ended.deal_id]
    assert (deal["Deal_Name"], deal["Amount"]) == ("acme renewal", 7)
    assert line.calls("PUT Deals") == 0


def test_what_zoho_does_not_link_is_held_and_a_retry_with_other_ids_links_it() -> None:
    line = town()
    ann = line.crm.ids[0]
    line.crm.organisation.put_records("Contacts", [contact("62", "Andy Roe", "andy@example.com")])
    enqueue(line, CREATE, {ann: Link("62")}, [ann])
    (held,) = run(line).values()
    assert held is not None
    assert (held.kind, held.code) == (Kind.SKIPPED, Code.MATCH_FOUND)
    assert "Zoho does not link it to contact 62" in held.message
    again = line.intake.retry("k", CREATE, brought=bring({}, {ann: Link("61", "71")}))
    (ended,) = run(line, again.id).values()
    assert ended is not None
    assert (ended.kind, ended.contact_id) == (Kind.CONVERTED, "61")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_looked_into_and_not_sent_twice(when: str) -> None:
    line = town(faults=[{"method": "POST convert", "times": 1, "do": "status", "status": 500, "when": when}])
    enqueue(line, CREATE, {line.crm.ids[0]: Link("61", "71")}, line.crm.ids[:1])
    (ended,) = run(line).values()
    assert ended is not None
    assert (ended.kind, ended.contact_id) == (Kind.CONVERTED, "61")
    assert line.calls("POST convert") == (2 if when == "before" else 1)


def test_another_lead_waits_for_the_contact_that_it_makes() -> None:
    line = town()
    same = {"Email": "eve@example.com", "First_Name": "Eve", "Last_Name": "Day", "Company": "Acme"}
    line.crm.organisation.give_leads(dict.fromkeys(line.crm.ids[:2], same))
    enqueue(line, LINK, {line.crm.ids[0]: Link("", "71")}, line.crm.ids[:2])
    ended = run(line)
    assert len({outcome.contact_id for outcome in ended.values() if outcome}) == 1
    assert (line.posts(), line.calls("POST convert")) == (0, 2)


# --- retries


def test_what_leads_bring_now_counts_and_else_what_they_brought() -> None:
    old, new = Link("61"), Link("62")
    before = {A: dump_brought('{"Amount":7}', old), B: '{"Amount":8}', C: dump_brought("", old)}
    assert brought_again(before, {}, [A, B, C], unlinked=False) == (before, {})
    values, changed = brought_again(before, {A: dump_brought("", new)}, [A, B, C], unlinked=False)
    assert load_brought(values[A]) == ({"Amount": 7}, new)
    assert changed == {A: values[A]}
    values, changed = brought_again(before, {}, [A, B, C], unlinked=True)
    assert values == {A: '{"Amount":7}', B: '{"Amount":8}'}
    assert set(changed) == {A, C}


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    return Shell(monkeypatch, capsys, tmp_path)


def held(shell: Shell) -> None:
    """A batch k of which A is held, B failed, and C was converted."""
    shell.run("enqueue", A, B, C, "--options", shell.options(), "--key", "k")
    outcomes = {
        A: Outcome(Kind.SKIPPED, Code.MATCH_FOUND, "several records match"),
        B: Outcome(Kind.FAILED, "RECORD_LOCKED", "locked"),
        C: Outcome(Kind.CONVERTED, job_id="7"),
    }
    shell.end("k", outcomes)


def test_a_fixed_file_decides_what_was_held(shell: Shell) -> None:
    held(shell)
    shell.write("fixed.csv", f"id,contact_id,deal.Amount\n{A},61,5\n{C},62,\n")
    said = shell.run("retry", "k", "--file", "fixed.csv", "--json")
    assert said.code == Exit.OK, said.err
    made = said.json["batch"]
    assert said.json["accepted"] == 1
    assert "1 lead of fixed.csv left out" in said.err
    assert load_brought(shell.ledger.batches.deal_values(made, [A])[A]) == ({"Amount": 5}, Link("61"))
    assert shell.run("retry", "k", "--file", "fixed.csv", "--json").json["batch"] == made  # safe to repeat
    shell.write("other.csv", f"id,contact_id,deal.Amount\n{A},63,5\n")
    shell.land(A)
    assert shell.run("retry", "k", "--file", "other.csv", "--json").json["batch"] != made


def test_what_was_held_and_is_not_decided_stays_held(shell: Shell) -> None:
    held(shell)
    shell.write("fixed.csv", f"id,contact_id\n{A},\n{B},\n")
    said = shell.run("retry", "k", "--file", "fixed.csv", "--json")
    assert said.json["accepted"] == 1
    assert [row.lead_id for row in shell.ledger.batches.rows(said.json["batch"])] == [B]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--file", "fixed.csv", "--id", A), "--file and --id are given"),
        (("--id-column", "x"), "--id-column goes with --file"),
        (("--file", "wrong.csv"), "contact_id ('x') is not a string of digits"),
        (("--file", "none.csv"), "has no failed leads to retry"),
    ],
)
def test_a_retry_that_cannot_be_is_refused(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    held(shell)
    shell.write("fixed.csv", f"id,contact_id\n{A},61\n")
    shell.write("wrong.csv", f"id,contact_id\n{A},x\n")
    shell.write("none.csv", f"id,contact_id\n{C},61\n")
    said = shell.run("retry", "k", *arguments)
    assert (said.code, told in said.err) == (Exit.USAGE, True), said.err


def test_on_match_create_forgets_what_a_lead_was_to_be_linked_to(shell: Shell) -> None:
    shell.write("leads.csv", f"id,contact_id\n{A},61\n")
    shell.run("enqueue", "leads.csv", "--options", shell.options(), "--key", "k")
    shell.end("k", {A: Outcome(Kind.SKIPPED, Code.MATCH_FOUND, "Zoho does not link it")})
    kept = shell.run("retry", "k", "--code", "MATCH_FOUND", "--json").json["batch"]
    assert load_brought(shell.ledger.batches.deal_values(kept, [A])[A])[1] == Link("61")
    shell.end(kept, {A: Outcome(Kind.SKIPPED, Code.MATCH_FOUND, "Zoho does not link it")})
    made = shell.run("retry", kept, "--code", "MATCH_FOUND", "--on-match", "create", "--json").json["batch"]
    assert shell.ledger.batches.deal_values(made, [A]) == {}


@pytest.mark.parametrize(("wanted", "asked"), [("link", True), ("hold", True), ("create", False)])
def test_whether_a_retry_may_look_is_asked_before_anything_is_enqueued(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, wanted: str, asked: bool
) -> None:
    def refuse(_settings: Any, options: Options) -> str:
        raise ZohoError(f"a scope is missing for {options.on_match}")

    held(shell)
    monkeypatch.setattr("massconvert.cli.retry.check_before_enqueue", refuse)
    said = shell.run("retry", "k", "--on-match", wanted)
    assert (said.code == Exit.OK, f"a scope is missing for {wanted}" in said.err) == (not asked, asked)
    assert (shell.ledger.batches.known() == 1) is asked


def test_the_same_key_again_with_other_ids_changes_nothing(shell: Shell) -> None:
    """As for deal values: what a lead brought first stays."""
    for link in ("61", "62"):
        shell.write("leads.csv", f"id,contact_id\n{A},{link}\n")
        assert shell.run("enqueue", "leads.csv", "--options", shell.options(), "--key", "k").code == Exit.OK
    assert load_brought(shell.ledger.batches.deal_values("k", [A])[A])[1] == Link("61")


def test_the_cost_counts_a_call_for_each_lead_that_is_linked(shell: Shell) -> None:
    shell.write("leads.csv", f"id,contact_id\n{A},61\n{B},\n")
    found = shell.run("enqueue", "leads.csv", "--options", shell.options(), "--dry-run", "--json").json
    assert found["calls"] == {"post": 1, "status": 1, "read": 1, "update": 0, "query": 0, "convert": 1}
    assert found["credits"] == 6 + 1 + 5
    assert found["matches"] is None


def test_a_look_beforehand_takes_them_as_given(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    line = town()

    @contextmanager
    def live(_settings: Any = None) -> Iterator[Ports]:
        yield line.ports

    for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"):
        monkeypatch.setenv(f"ZOHO_{name}", "a-fake-one")
    for room in (match_command, matches):
        monkeypatch.setattr(room, "live_organisation", live)
    shell.write("leads.csv", f"id,contact_id,account_id\n{line.crm.ids[0]},62,\n{line.crm.ids[1]},,\n")
    found = shell.run("match", "leads.csv", "--json").json
    assert (found["link"], found["create"], found["looked"]["query"]) == (1, 1, 2)
    assert found["examples"][0]["contact_id"] == "62"
    assert found["examples"][0]["why"] == "as given"


def test_options_in_the_way_are_told_by_the_command(shell: Shell) -> None:
    shell.write("leads.csv", f"id,contact_id\n{A},61\n")
    shell.write("o.json", json.dumps({**OPTIONS, "related_modules": ["Tasks"]}))
    said = shell.run("enqueue", "leads.csv", "--options", "o.json")
    assert said.code == Exit.USAGE
    assert "related_modules, which Zoho does not take where it links a lead" in said.err
