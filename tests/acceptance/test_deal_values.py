"""Columns of the input that are for each lead's own deal: real commands, a real Redis, real workers, real HTTP."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.house import OPTIONS, House

pytestmark = pytest.mark.acceptance

NAMED = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": "{Company} renewal"}}


@pytest.fixture
def at_work(house: House) -> House:
    """A house with a Redis, a Zoho of 60 leads and a worker."""
    house.redis()
    house.simulator("--leads", "60", "--job-seconds", "0.2")
    house.worker()
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))
    return house


def written(path: Path, rows: Mapping[str, tuple[str, str, str]]) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, delimiter=";")
        out.writerow(["id", "deal.Amount", "deal.Closing_Date", "deal.Deal_Name"])
        out.writerows([lead, *cells] for lead, cells in rows.items())
    return path.name


def deal_of(truth: Mapping[str, Any], lead: str) -> tuple[Any, ...]:
    deal = truth[lead]["deal"]
    return deal.get("Amount"), deal["Closing_Date"], deal["Deal_Name"].partition(" ")[0]


def test_each_deal_has_what_its_lead_brings_and_the_others_what_the_options_say(at_work: House) -> None:
    """At first the token may not edit deals, so the values wait for a retry, which converts nothing again."""
    leads = at_work.leads()
    rows = {
        lead: (str(100 + n), "2031-05-06" if n % 2 else "", "Own" if n == 3 else "") if n < 40 else ("", "", "")
        for n, lead in enumerate(leads)
    }
    file = written(at_work.folder / "leads.csv", rows)
    no_scope = {"status": 401, "code": "OAUTH_SCOPE_MISMATCH", "message": "invalid oauth scope"}
    at_work.set_faults({"method": "PUT Deals", "do": "status", **no_scope})
    done = at_work.command("enqueue", file, "--options", "options.json", "--key", "k", "--wait")
    assert done.returncode == 1, done.stderr
    counts = json.loads(at_work.command("status", "k", "--json").stdout)
    assert (counts["converted"], counts["deals_not_updated"]) == (60, 40)
    at_work.set_faults()
    again = at_work.command("retry", "k", "--deals", "--wait")
    assert again.returncode == 0, again.stderr
    truth = at_work.truth()
    usual = deal_of(truth, leads[-1])
    assert usual[0] is None
    for n, lead in enumerate(leads):
        amount, closing, name = rows[lead]
        assert deal_of(truth, lead) == (int(amount) if amount else None, closing or usual[1], name or usual[2]), n
    assert all(lead["conversions"] == 1 for lead in truth.values())


def test_they_are_written_over_the_templates_and_one_machine_takes_them_too(house: House) -> None:
    house.simulator("--leads", "60", "--job-seconds", "0.2")
    del house.environment["REDIS_URL"]
    (house.folder / "named.json").write_text(json.dumps(NAMED))
    leads = house.leads()
    rows = {lead: (str(100 + n), "", "Own" if n % 2 else "") for n, lead in enumerate(leads)}
    file = written(house.folder / "leads.csv", rows)
    done = house.command("convert", file, "--options", "named.json")
    assert done.returncode == 0, done.stderr
    truth = house.truth()
    assert [deal_of(truth, lead)[::2] for lead in leads] == [
        (100 + n, "Own" if n % 2 else "Company") for n in range(len(leads))
    ]


def test_a_wrong_cell_stops_everything_before_anything_is_sent(at_work: House) -> None:
    lead = at_work.leads()[0]
    file = written(at_work.folder / "leads.csv", {lead: ("5", "soon", "")})
    done = at_work.command("enqueue", file, "--options", "options.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"line 2 (lead {lead}): deal.Closing_Date is 'soon'" in done.stderr
    assert at_work.calls("POST mass_convert") == 0


@pytest.mark.parametrize("command", ["enqueue", "convert"])
def test_what_the_organisation_has_no_field_for_stops_everything_too(at_work: House, command: str) -> None:
    """Where the command has credentials, and Zoho tells; what it does not tell is told afterwards, by the update."""
    first, second = at_work.leads()[:2]
    text = f"id,deal.Amout,deal.Amount\n{first},5,\n{second},,5 EUR\n"
    (at_work.folder / "leads.csv").write_text(text)
    done = at_work.command(command, "leads.csv", "--options", "options.json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "deal.Amout is no field of the Deals module that this user may see; nearest: Amount" in done.stderr
    assert f"lead {second}: deal.Amount must be a number, not a text" in done.stderr
    assert at_work.calls("POST mass_convert") == 0
    if command == "enqueue":
        no_scope = {"status": 401, "code": "OAUTH_SCOPE_MISMATCH", "message": "invalid oauth scope"}
        at_work.set_faults({"method": "GET settings/fields", "do": "status", **no_scope})
        at_work.ledger.delete(*at_work.ledger.keys("mc:{default}:listing:*"))
        done = at_work.command("enqueue", "leads.csv", "--options", "options.json", "--key", "k", "--wait")
        assert done.returncode == 1, done.stderr
        assert "not checked: the fields of deals: 401 OAUTH_SCOPE_MISMATCH" in done.stderr
        report = at_work.command("report", "k", "--format", "jsonl").stdout.splitlines()
        said = {row["lead_id"]: row["message"] for row in map(json.loads, report) if row["code"]}
        assert list(said) == [second]
        assert "INVALID_DATA" in said[second]


def test_values_for_deals_that_are_not_made_are_told_before_anything_is_started(at_work: House) -> None:
    (at_work.folder / "leads.csv").write_text(f"id,deal.Amount\n{at_work.leads()[0]},5\n")
    (at_work.folder / "plain.json").write_text("{}")
    for command in ("enqueue", "convert"):
        done = at_work.command(command, "leads.csv", "--options", "plain.json")
        assert (done.returncode, done.stdout) == (2, "")
        assert "but the options make no deal." in done.stderr
        assert "starting" not in done.stderr
