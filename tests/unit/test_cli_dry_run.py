"""--dry-run: what it shows, what it builds on, and that it enqueues nothing."""

from __future__ import annotations

import json
import tracemalloc
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from massconvert.cli import dry_run
from massconvert.contract import Exit
from massconvert.leads import open_leads
from massconvert.model import Observed
from tests.unit.cli_shell import OPTIONS, A, B, FakeNudge, Shell

DRY = ("--dry-run", "--json")


@pytest.mark.parametrize("command", ["enqueue", "convert"])
def test_the_json_has_the_payload_the_counts_and_the_cost_and_nothing_is_enqueued(shell: Shell, command: str) -> None:
    """Also for convert, which starts nothing and needs no credentials."""
    ids = [str(int(A) + number * 1000) for number in range(120)]
    shell.write("leads.txt", "\n".join([*ids, A, "nonsense"]))
    said = shell.run(command, "leads.txt", "--options", shell.options(), "--skip-invalid", *DRY)
    assert said.code == Exit.OK, said.err
    found = said.json
    assert {name: found[name] for name in ("dry_run", "leads", "duplicates", "invalid", "payloads", "credits")} == {
        "dry_run": True,
        "leads": 120,
        "duplicates": 1,
        "invalid": 1,
        "payloads": 3,
        "credits": 18,
    }
    assert found["calls"] == {"post": 3, "status": 3, "read": 0, "update": 0, "query": 0, "convert": 0}
    assert found["seconds"] > 30
    closing = (datetime.now(timezone.utc).date() + timedelta(days=30)).isoformat()
    deal = {**OPTIONS["Deals"], "Closing_Date": closing}
    assert found["payload"] == {"ids": ids[:50], **OPTIONS, "Deals": deal}
    assert "nothing was enqueued" in said.err
    assert not shell.connect("").keys("*")
    assert not FakeNudge.told
    assert [path.name for path in shell.folder.iterdir() if path.suffix == ".csv"] == []


def test_people_see_the_same(shell: Shell) -> None:
    ids = [str(int(A) + number * 1000) for number in range(60)]
    said = shell.run("enqueue", *ids, "--options", shell.options(), "--dry-run")
    lines = [line.split(maxsplit=1) for line in said.out.splitlines()]
    assert ["leads", "60"] in [[cell.strip() for cell in line] for line in lines]
    assert "2 of up to 50 leads" in said.out
    assert "5 (assumed)" in said.out
    payload = json.loads(said.out.split("the first payload:\n")[1])
    assert payload["ids"] == [ids[0], ids[1], "… 48 more"]


def test_the_payload_has_its_lines_on_a_terminal_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not printable in it is shown as JSON writes it, so that what is shown is the payload."""
    shell.write("odd.json", json.dumps({**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": "a\x1bb\u200e"}}))
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout.isatty", lambda: True)
        said = shell.run("enqueue", A, "--options", "odd.json", "--dry-run")
    shown = said.out.split("the first payload:\n")[1].partition("\n}\n")[0] + "\n}"
    assert '\n  "Deals": {\n' in shown
    assert "\x1b" not in shown
    assert "\u200e" not in shown
    assert json.loads(shown)["Deals"]["Deal_Name"] == "a\x1bb\u200e"


def test_names_that_are_yet_to_be_looked_up_are_told(shell: Shell) -> None:
    shell.write("names.json", json.dumps({**OPTIONS, "assign_to": "ann@example.com"}))
    said = shell.run("enqueue", A, "--options", "names.json", *DRY)
    assert "looked up when the payload goes out: ann@example.com" in said.err
    assert "options check" in said.err
    assert "looked up" not in shell.run("enqueue", A, "--options", shell.options(), *DRY).err


def test_what_the_ledger_knows_is_used_and_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOHO_CONCURRENCY", "20")
    shell.run("enqueue", *map(str, range(1, 101)), "--options", shell.options())
    shell.connect("").rpush("mc:{default}:jobtimes", *["8.0"] * 10)
    shell.connect("").hset("mc:{default}:credits", "left", "1234")
    found = shell.run("enqueue", "--no-deal", A, *DRY).json
    assert found["waiting_before"] == 100
    assert found["credits_left"] == 1234
    assert found["built_on"] == {
        "calls_at_once": {"value": 20, "from": "ZOHO_CONCURRENCY"},
        "call_seconds": {"value": 1.0, "from": "assumed"},
        "job_seconds": {"value": 8.0, "from": "the latest jobs"},
        "credits_of_a_payload": {"value": 5, "from": "assumed"},
    }


def test_without_redis_the_time_is_built_on_what_is_assumed_and_it_says_so(shell: Shell) -> None:
    shell.redis_away()
    said = shell.run("enqueue", "--no-deal", A, *DRY)
    assert said.code == Exit.OK
    assert "The time is estimated without it" in said.err
    assert {fact["from"] for fact in said.json["built_on"].values()} == {"assumed"}


def test_a_key_that_is_there_is_told(shell: Shell) -> None:
    shell.run("enqueue", A, "--key", "k", "--options", shell.options())
    same = shell.run("enqueue", B, "--key", "k", "--options", shell.options(), *DRY)
    assert "would be dropped as duplicates" in same.err
    other = shell.run("enqueue", "--no-deal", B, "--key", "k", *DRY)
    assert "would be refused" in other.err
    assert "is there already" not in shell.run("enqueue", "--no-deal", B, "--key", "new", *DRY).err
    assert shell.ledger.batches.status("k").total == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("leads.txt",), "line 2"), ((A, "--options", "wrong.json"), "$.Deals.Stage"), ((), "No leads are given")],
)
def test_what_would_be_refused_is_refused(shell: Shell, arguments: tuple[str, ...], told: str) -> None:
    shell.write("leads.txt", f"{A}\nnonsense\n")
    shell.write("wrong.json", json.dumps({"Deals": {"Deal_Name": "x", "Closing_Date": "+30d"}}))
    said = shell.run("enqueue", "--no-deal", *arguments, "--dry-run")
    assert (said.code, said.out) == (Exit.USAGE, "")
    assert told in said.err


def test_a_preflight_shows_in_the_calls_and_not_in_the_payload(shell: Shell) -> None:
    shell.write("leads.txt", "\n".join(str(3652397000009850001 + number) for number in range(101)))
    found = shell.run("enqueue", "--no-deal", "leads.txt", "--preflight", "--dry-run", "--json").json
    assert found["calls"] == {"post": 3, "status": 3, "read": 2, "update": 0, "query": 0, "convert": 0}
    assert set(found["payload"]) == {"ids"}


def test_deals_with_names_of_their_own_cost_a_read_and_an_update_a_payload(shell: Shell) -> None:
    """And a credit for ten of them."""
    shell.write("leads.txt", "\n".join(str(3652397000009850001 + number) for number in range(101)))
    named = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": "{Company}"}}
    shell.write("named.json", json.dumps(named))
    found = shell.run("enqueue", "leads.txt", "--options", "named.json", *DRY).json
    assert found["calls"] == {"post": 3, "status": 3, "read": 3, "update": 3, "query": 0, "convert": 0}
    assert found["credits"] == 3 * 6 + 3 + 11
    said = shell.run("enqueue", "leads.txt", "--options", "named.json", "--dry-run")
    assert "12: 3 mass convert, 3 status, 3 to read leads, 3 to update deals" in said.out


def test_only_payloads_with_leads_that_bring_values_cost_more(shell: Shell) -> None:
    """Where a lead stands twice, its first place counts."""
    ids = [str(3652397000009850001 + number) for number in range(120)]
    brings = {0: "5", 3: "7", 110: "9"}
    rows = [f"{lead},{brings.get(number, '')}" for number, lead in enumerate(ids)]
    shell.write("leads.csv", "\n".join(["id,deal.Amount", *rows[:60], rows[0], *rows[60:]]))
    found = shell.run("convert", "leads.csv", "--options", shell.options(), *DRY).json
    assert found["calls"] == {"post": 3, "status": 3, "read": 2, "update": 2, "query": 0, "convert": 0}
    assert found["credits"] == 3 * 6 + 2 + 1


def test_texts_of_deals_are_told_without_an_example_where_there_are_no_credentials(shell: Shell) -> None:
    deal = {**OPTIONS["Deals"], "Deal_Name": "{Company} {Last_Name}"}
    shell.write("o.json", json.dumps({"Deals": deal}))
    for command in ("enqueue", "convert"):
        said = shell.run(command, A, "--options", "o.json", "--dry-run")
        assert "  Deal_Name: {Company} {Last_Name}\n" in said.out
        assert "no example of a deal: Not set: ZOHO_CLIENT_ID" in said.err
        found = shell.run(command, A, "--options", "o.json", *DRY).json["deals"]
        assert (found["texts"], found["examples"]) == ({"Deal_Name": "{Company} {Last_Name}"}, [])
        assert "ZOHO_CLIENT_ID" in found["not_read"]
    assert shell.run("enqueue", A, "--no-deal", *DRY).json["deals"] == {"texts": {}, "examples": [], "not_read": None}


def test_what_a_rehearsal_has_seen_is_counted_with_and_named(shell: Shell) -> None:
    seen = Observed(at=1_800_000_000.0, post_credits=50.0, job_seconds={10: 12.0})
    shell.ledger.rehearsed.keep(seen)
    found = shell.run("enqueue", "--no-deal", A, *DRY).json
    assert found["credits"] == 51
    assert found["built_on"]["job_seconds"] == {"value": 12.0, "from": "a rehearsal"}
    assert found["built_on"]["credits_of_a_payload"] == {"value": 50.0, "from": "a rehearsal"}
    said = shell.run("enqueue", "--no-deal", A, "--dry-run").out
    assert "50 a payload, 1 a status call, as seen on 2027-01-15" in said


def test_ids_are_counted_in_parts_so_that_many_take_no_more_memory_than_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run, "_A_PART", 10_000)
    peaks = []
    for number in (9_000, 60_000):
        path = tmp_path / f"{number}.txt"
        path.write_text("".join(f"{3652397000009850001 + lead % (number - 7) * 1000}\n" for lead in range(number)))
        with open_leads(path) as leads:
            list(leads)  # what the first reading of them keeps
            tracemalloc.start()
            assert dry_run.count_distinct(leads) == number - 7
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]
