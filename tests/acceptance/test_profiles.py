"""Profiles with real commands, a worker and beat: found, enqueued once, converted."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from celery import Celery

from massconvert.store import connect
from tests.acceptance.house import House, until
from tests.acceptance.truth import assert_true, reported

pytestmark = pytest.mark.acceptance

OPTIONS = """
assign_to = { id = "3652397000000281001" }
[profiles.NAME.options.Deals]
Deal_Name = "Renewal"
Stage = "Needs Analysis"
Closing_Date = "+30d"
"""


def profile(name: str, criteria: str, more: str = "") -> str:
    """A profile's tables."""
    options = f"[profiles.{name}.options]{OPTIONS.replace('NAME', name)}"
    return f"[profiles.{name}.criteria]\n{criteria}\n{options}\n{more}\n"


def write(house: House, text: str) -> None:
    """Save massconvert.toml as an editor does, where every process of the house reads it."""
    path = house.folder / "massconvert.toml"
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
    house.environment["MASSCONVERT_CONFIG"] = str(path)


def start(house: House, text: str, *simulator: str) -> list[str]:
    """Redis, simulator and a worker that reads these profiles; the leads whose status is Qualified."""
    write(house, text)
    house.redis()
    house.simulator(*simulator)
    house.worker()
    truth = house.truth()
    return [lead for number, lead in enumerate(house.leads()) if number % 4 == 1 and lead in truth]


def beat(house: House, name: str) -> Any:
    """A beat with a state directory of its own."""
    state = house.folder / name
    house.environment["MASSCONVERT_STATE_DIR"] = str(state)
    process = house.run("celery", "-A", "workers", "beat", name=name)
    log = house.folder / f"{name}.log"
    until(lambda: "is scheduled" in log.read_text(), 40, f"{name} to read the profiles")
    return process


COQL = """coql = "Lead_Status = 'Qualified' and Email is not null" """


def test_a_profile_is_checked_tried_run_and_ends_with_true_outcomes(house: House) -> None:
    """check, run --dry-run, run --wait, list: a user's first hour, with answers that get lost on the way."""
    faults = [{"method": "POST coql", "do": "status", "status": 500, "times": 1}]
    (house.folder / "faults.json").write_text(json.dumps(faults))
    crm = ("--leads", "9000", "--converted", "80", "--unknown", "20", "--job-seconds", "0.2")
    want = start(house, profile("nightly", COQL), *crm, "--faults", str(house.folder / "faults.json"))
    assert house.command("profile", "check").stdout == "nightly: ok\n"
    tried = house.command("profile", "run", "nightly", "--dry-run", "--json")
    assert tried.returncode == 3, tried.stdout  # the 500
    tried = house.command("profile", "run", "nightly", "--dry-run", "--json")
    seen = json.loads(tried.stdout)
    assert 2000 < seen["leads"] <= len(want)
    assert seen["payloads"] == -(-seen["leads"] // 50)
    done = house.command("profile", "run", "nightly", "--wait", "150", "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["state"], run["found"], run["enqueued"]) == ("done", seen["leads"], seen["leads"])
    rows = reported(house, run["batch"])
    assert len(rows) == seen["leads"]
    assert set(rows) <= set(want)
    assert_true(house, rows)
    listed = json.loads(house.command("profile", "list", "--json").stdout)
    assert listed["profiles"][0]["last_run"]["state"] == "done"
    assert house.calls("POST coql") <= 8  # 1 lost, 2 of the dry run, 2 pages, one more where a page was full


@pytest.mark.slow
def test_two_beats_run_each_slot_once_and_follow_edits(house: House) -> None:
    """The ledger decides by `profile@slot`; what the last run has in flight or converted is enqueued by none again."""
    want = start(house, profile("often", COQL), "--leads", "200", "--job-seconds", "0.2")
    scheduled = profile("often", COQL, '[profiles.often.schedule]\nevery = "10s"')
    write(house, scheduled)
    beats = [beat(house, name) for name in ("beat-1", "beat-2")]
    client = connect(house.redis_url)

    def runs() -> list[str]:
        return sorted(client.keys("mc:{default}:run:often@*"))

    until(lambda: len(runs()) >= 3, 60, "three slots")
    assert all(process.poll() is None for process in beats)
    logs = [house.folder / f"{name}.log" for name in ("beat-1", "beat-2")]
    sent = [log.read_text().count("Sending due task profile:often") for log in logs]
    assert min(sent) >= 2, sent
    until(lambda: all(house.truth()[lead]["converted"] for lead in want), 60, "all conversions")
    truth = house.truth()
    assert all(truth[lead]["submissions"] == 1 for lead in want)
    write(house, profile("often", COQL))
    until(lambda: all("is no longer scheduled" in log.read_text() for log in logs), 30, "the edit to be seen")
    # A run's slots are ten seconds apart, and each has one run.
    slots = [int(client.hget(key, "slot")[-3:-1]) % 10 for key in runs()]
    assert set(slots) == {0}
    client.close()


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_goes_on_from_its_cursor(house: House) -> None:
    """Another worker finds it in the ledger; no lead is missed, none is converted twice."""
    want = start(house, profile("nightly", COQL), "--leads", "20000", "--job-seconds", "0.2", "--latency", "2")
    worker = house.processes[-1]
    done = house.command("profile", "run", "nightly", "--json")
    run_id = json.loads(done.stdout)["run"]
    client = connect(house.redis_url)
    key = f"mc:{{default}}:run:{run_id}"
    until(lambda: client.hget(key, "after"), 60, "the first page")
    house.kill(worker, signal.SIGKILL)
    assert client.hget(key, "state") == "finding"
    house.worker("second")
    until(lambda: client.hget(key, "state") == "done", 150, "the end of the run")
    status = json.loads(house.command("status", run_id, "--json").stdout)
    assert status["total"] == len(want)
    client.close()


def test_an_app_that_has_only_celery_uses_profiles(house: House) -> None:
    """send_task with profile= takes its options, and run_profile runs it; criteria in Search's form."""
    search = 'search = "(Lead_Status:equals:Qualified)"'
    want = start(house, profile("web", search), "--leads", "40", "--job-seconds", "0.1")
    given = [lead for lead in house.leads() if lead not in want][:3]
    app = Celery(broker=house.broker.url)
    app.send_task("massconvert.enqueue", args=[given], kwargs={"profile": "web", "key": "given"}, queue="massconvert")
    app.send_task("massconvert.run_profile", args=["web"], queue="massconvert")

    def converted() -> bool:
        truth = house.truth()
        return all(truth[lead]["converted"] for lead in [*want, *given])

    until(converted, 40, "the conversions")
    truth = house.truth()
    assert all(truth[lead]["deal_id"] for lead in given)
    assert sum(lead["conversions"] for lead in truth.values()) == len(want) + len(given)
    app.close()


def test_refused_criteria_are_told_and_nothing_is_lost(house: House) -> None:
    """Zoho's own words, in the command and in the list; exit status 1."""
    start(house, profile("wrong", 'coql = "No_Such_Field = 1"'), "--leads", "8")
    done = house.command("profile", "run", "wrong", "--wait", "60")
    assert done.returncode == 1, done.stderr
    assert "INVALID_QUERY: column given seems to be invalid" in done.stderr
    assert "Traceback" not in done.stderr
    dry = house.command("profile", "run", "wrong", "--dry-run")
    assert dry.returncode == 2
    assert "No_Such_Field" in dry.stderr
    listed = json.loads(house.command("profile", "list", "--json").stdout)
    assert listed["profiles"][0]["last_run"]["code"] == "INVALID_QUERY"
