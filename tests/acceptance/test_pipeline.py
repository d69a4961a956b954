"""The main job, end to end: real commands, real workers, a real redis-server, real HTTP."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, reported

pytestmark = pytest.mark.acceptance


def write_inputs(house: House, leads: list[str], options: dict[str, Any] = OPTIONS) -> None:
    """leads.csv and options.json in the house's folder, as a user has them."""
    (house.folder / "leads.csv").write_text("id,Company\n" + "".join(f"{lead},ACME\n" for lead in leads))
    (house.folder / "options.json").write_text(json.dumps(options))


def start(house: House, *simulator: str, **behaviour: Any) -> list[str]:
    """Redis, simulator and one worker; the simulator's ids."""
    house.redis()
    house.simulator(*simulator, **behaviour)
    house.worker()
    return house.leads()


def test_a_thousand_leads_end_with_the_outcome_that_zoho_knows(house: House) -> None:
    """enqueue --wait, status and report, for leads of which some are unknown or converted already."""
    leads = start(house, "--leads", "1000", "--job-seconds", "0.3")
    leads += ["3652397000999999001", "3652397000999999002"]
    write_inputs(house, leads)
    done = house.command("enqueue", "leads.csv", "--options", "options.json", "--key", "k", "--wait", "100", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert (found["batch"], found["accepted"], found["total"]) == ("k", len(leads), len(leads))
    rows = reported(house, "k")
    assert set(rows) == set(leads)
    assert_true(house, rows)
    counts = Counter(row["outcome"] for row in rows.values())
    status = json.loads(house.command("status", "k", "--json").stdout)
    assert status["state"] == "finished"
    assert {kind: status[kind] for kind in counts} == dict(counts)
    calls = house.ask("calls")
    assert calls["POST mass_convert"] <= len(leads) / 50 + 10, calls


def test_a_payload_costs_two_messages(house: House) -> None:
    """One to send it, and the one chained to it, which comes when its job is due and not before."""
    house.environment["MASSCONVERT_LOG_LEVEL"] = "DEBUG"
    told: dict[str, Any] = {"counts": "add_up", "job_jitter": 0.0, "status_known_after": 0.0}
    leads = start(house, "--leads", "50", "--job-seconds", "0.2", **told)
    write_inputs(house, leads)
    assert house.command("enqueue", "leads.csv", "--options", "options.json", "--wait", "60").returncode == 0
    received = Counter(re.findall(r"Task massconvert\.(convert|status)\[\S+\] received", house.log()))
    assert received == {"convert": 1, "status": 1}
    assert house.calls("GET mass_convert") == 1


def test_leads_of_two_producers_travel_in_one_payload(house: House) -> None:
    """Two single-lead batches with equal options share a POST."""
    leads = start(house, "--leads", "10", "--job-seconds", "0.1")
    house.environment["MASSCONVERT_LINGER"] = "10"  # longer than two commands take on a busy machine
    write_inputs(house, leads)
    # Options that Zoho has never accepted go out alone; after the first acceptance leads share payloads.
    for lead in leads[:3]:
        done = house.command("enqueue", lead, "--options", "options.json", "--json")
        assert done.returncode == 0, done.stderr
    batches = house.command("status", "--json")
    names = [batch["batch"] for batch in json.loads(batches.stdout)["batches"]]

    def ended() -> bool:
        return all(json.loads(house.command("status", name, "--json").stdout)["state"] == "finished" for name in names)

    until(ended, 60, "three batches")
    assert house.calls("POST mass_convert") < 3


def test_a_producer_needs_nothing_but_celery(house: House) -> None:
    """send_task by name is enough, and the same key twice is the same batch."""
    leads = start(house, "--leads", "60", "--job-seconds", "0.1")
    app = Celery(broker=house.broker.url)
    for _ in range(2):
        app.send_task(
            "massconvert.enqueue",
            args=[[*leads, "3.6524E+18"]],
            kwargs={"options": OPTIONS, "key": "shop-1"},
            queue="massconvert",
            ignore_result=True,
        )

    def finished() -> bool:
        done = house.command("status", "shop-1", "--json")
        return done.returncode == 0 and json.loads(done.stdout)["state"] == "finished"

    until(finished, 40, "the batch")
    app.close()
    rows = reported(house, "shop-1")
    assert rows.pop("3.6524E+18")["code"] == "INVALID_ID"
    assert set(rows) == set(leads)
    assert_true(house, rows)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_500_before_or_after_the_effect_changes_no_outcome(house: House, tmp_path: Path, when: str) -> None:
    """Carried out or not: the leads are looked at, and none is submitted without need."""
    faults = [{"method": "POST mass_convert", "when": when, "do": "status", "status": 500, "times": 2}]
    (tmp_path / "faults.json").write_text(json.dumps(faults))
    house.environment["MASSCONVERT_JOB_WAIT"] = "2"
    leads = start(house, "--leads", "120", "--job-seconds", "0.2", "--faults", str(tmp_path / "faults.json"))
    write_inputs(house, leads)
    done = house.command("enqueue", "leads.csv", "--options", "options.json", "--key", "k", "--wait", "100")
    assert done.returncode == 0, done.stderr
    rows = reported(house, "k")
    assert_true(house, rows)
    truth = house.truth()
    assert all(truth[lead]["conversions"] == 1 for lead in leads)
    assert all(truth[lead]["submissions"] == 1 for lead in leads)
    assert house.ask("fired") != {}
