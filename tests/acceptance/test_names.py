"""Names instead of ids, with real commands, workers, Redis and HTTP: told at once, looked up once, or failed truly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from tests.acceptance.house import ROOT, House, until
from tests.acceptance.test_cli import family_names

pytestmark = pytest.mark.acceptance

NAMED = {
    "Deals": {
        "Deal_Name": "Renewal",
        "Pipeline": "Standard (Standard)",
        "Stage": "Needs Analysis",
        "Closing_Date": "+30d",
    },
    "assign_to": "user249@example.com",
    "carry_over_tags": ["Contacts"],
    "move_attachments_to": "Contacts",
    "related_modules": ["Tasks", "Events"],
    "portal_user_type": "Client",
}

SHOP = """
import json, sys
from massconvert import Deal, MassConvert, Options
batch = MassConvert().enqueue(
    json.loads(sys.argv[1]),
    Options(
        deal=Deal(name="Renewal", pipeline="Renewals", stage="Closed Won", closing_date="+30d"),
        assign_to=sys.argv[2],
        carry_over_tags=["Contacts"],
    ),
    key=sys.argv[3],
)
print(batch.id)
"""


def shop(house: House, leads: list[str], assign_to: str, key: str) -> str:
    """An app of somebody's that has Redis and no credentials enqueues leads from Python; the error that it gets."""
    environment = {name: value for name, value in house.environment.items() if not name.startswith("ZOHO_")}
    done = subprocess.run(
        [sys.executable, "-c", SHOP, json.dumps(leads), assign_to, key],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        return done.stderr
    assert done.stdout.strip() == key
    return ""


def rows(house: House, batch: str) -> list[dict[str, Any]]:
    report = house.command("report", batch, "--format", "jsonl").stdout
    return [json.loads(line) for line in report.splitlines()]


def ended(house: House, batch: str) -> bool:
    return bool(json.loads(house.command("status", batch, "--json").stdout)["state"] == "finished")


def test_options_made_from_the_live_organisation_convert_leads_by_name(house: House) -> None:
    """options init, options check, enqueue: all in names, and Zoho is sent ids."""
    house.redis()
    house.simulator("--leads", "60", "--pipelines", "--more-users", "250", "--job-seconds", "0.2")
    flags = ["--deal-name", "Renewal", "--pipeline", "Renewals", "--stage", "Closed Won", "--tag", "Contacts"]
    made = house.command("options", "init", *flags, "--assign-to", "user249@example.com", "--output", "o.json")
    assert made.returncode == 0, made.stderr
    assert json.loads((house.folder / "o.json").read_text())["assign_to"] == "user249@example.com"
    checked = house.command("options", "check", "o.json", "--json")
    assert json.loads(checked.stdout) == {"ok": True, "problems": [], "warnings": [], "not_checked": []}
    wrong = {**NAMED, "assign_to": "user2490@example.com"}
    (house.folder / "wrong.json").write_text(json.dumps(wrong))
    refused = house.command("enqueue", *house.leads(), "--options", "wrong.json", "--key", "wrong")
    assert refused.returncode == 2
    assert "$.assign_to is 'user2490@example.com'" in refused.stderr
    assert house.calls("POST mass_convert") == 0
    (house.folder / "named.json").write_text(json.dumps(NAMED))
    house.worker()
    done = house.command("enqueue", *house.leads(), "--options", "named.json", "--key", "k", "--wait", "60", "--json")
    assert done.returncode == 0, done.stderr
    assert Counter(row["outcome"] for row in rows(house, "k")) == {"converted": 60}
    assert all(lead["converted"] for lead in house.truth().values())


def test_options_need_no_redis_of_ones_own_and_leave_nothing_behind(house: House) -> None:
    """For who uses `convert` alone; the command that is told wrong names converts nothing."""
    del house.environment["REDIS_URL"]
    house.environment["XDG_STATE_HOME"] = str(house.folder / "state")
    house.simulator("--leads", "5", "--job-seconds", "0.2")
    flags = ["--deal-name", "Renewal", "--stage", "Closed Won", "--assign-to", "ann@example.com"]
    assert house.command("options", "init", *flags, "--output", "o.json").returncode == 0
    checked = house.command("options", "check", "o.json")
    assert (checked.returncode, checked.stdout) == (0, "o.json: ok\n"), checked.stderr
    (house.folder / "wrong.json").write_text(json.dumps({"assign_to": "anne@example.com"}))
    wrong = house.command("convert", *house.leads(), "--options", "wrong.json")
    assert wrong.returncode == 2
    assert "nearest: Ann Archer <ann@example.com>" in wrong.stderr
    done = house.command("convert", *house.leads(), "--options", "o.json", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["converted"] == 5
    assert family_names(house) == ["simulator"]


def test_a_shop_without_credentials_writes_names_and_workers_find_the_ids(house: House) -> None:
    """Nothing of the organisation is known yet; users answer 500, 429 and nothing at all before they answer."""
    house.redis()
    house.simulator("--leads", "60", "--pipelines", "--more-users", "250", "--job-seconds", "0.2")
    faults = [
        {"method": "GET users", "do": "status", "status": 500, "times": 1},
        {"method": "GET users", "do": "status", "status": 429, "times": 1},
        {"method": "GET users", "do": "reset", "times": 1},
    ]
    house.ask("faults", "PUT", faults)
    leads = house.leads()
    house.worker()
    assert shop(house, leads[50:], "nobody@example.com", "bad") == ""
    until(lambda: ended(house, "bad"), 90, "the end of the batch with the unknown name")
    assert sum(house.ask("fired").values()) == 3
    for row in rows(house, "bad"):
        assert (row["outcome"], row["code"], row["attempts"]) == ("failed", "UNKNOWN_NAME", 0)
        assert "'nobody@example.com'" in row["message"]
        assert row["message"].endswith("($.assign_to)")
    assert house.calls("POST mass_convert") == 0
    # By now the users are known to producers too: who is wrong is told at once, who is right writes ids.
    assert "$.assign_to is 'nobody@example.com'" in shop(house, leads[:50], "nobody@example.com", "worse")
    assert house.command("status", "worse").returncode == 2
    assert shop(house, leads[:50], "user249@example.com", "good") == ""
    until(lambda: ended(house, "good"), 90, "the end of the batch")
    assert Counter(row["outcome"] for row in rows(house, "good")) == {"converted": 50}
    assert (house.calls("POST mass_convert"), house.calls("GET users")) == (1, 3 + 2)


def test_a_scope_that_is_missing_holds_up_only_leads_with_names(house: House) -> None:
    """They wait until the scope is there; others go on, and the organisation is not paused."""
    house.redis()
    house.simulator("--leads", "10", "--job-seconds", "0.2")
    scope = {"method": "GET users", "do": "status", "status": 401, "code": "OAUTH_SCOPE_MISMATCH"}
    house.ask("faults", "PUT", [scope])
    leads = house.leads()
    (house.folder / "id.json").write_text(json.dumps({"assign_to": "3652397000000281001"}))
    house.worker()
    name = json.dumps({"assign_to": "ann@example.com"})
    (house.folder / "name.json").write_text(name)
    waits = house.command("enqueue", *leads[:5], "--options", "name.json", "--key", "waits", "--wait", "4")
    assert waits.returncode == 4, waits.stderr
    assert "not checked: users: 401 OAUTH_SCOPE_MISMATCH" in waits.stderr
    assert "ZohoCRM.users.READ" in waits.stderr
    goes = house.command("enqueue", *leads[5:], "--options", "id.json", "--key", "goes", "--wait", "60")
    assert goes.returncode == 0, goes.stderr
    log = (house.folder / "worker.log").read_text()
    assert "Names in the options cannot be looked up, so their leads wait: OAUTH_SCOPE_MISMATCH" in log
    status = json.loads(house.command("status", "waits", "--json").stdout)
    assert (status["state"], status["failed"], status["waiting"]) == ("running", 0, 5)
    assert status["waits_for"]["code"] == "OAUTH_SCOPE_MISMATCH"
    shown = house.command("status", "waits").stdout
    assert "To be tried again" in shown
    assert "the users need the scope ZohoCRM.users.READ" in " ".join(shown.split())
