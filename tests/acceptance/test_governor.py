"""Real workers at Zoho's limits: never over them, no hammering in an outage, and back within a minute of its end."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from massconvert.policy import Row
from massconvert.policy.holds import DEAREST_CALL
from tests.acceptance.house import House, until
from tests.acceptance.rows import takes
from tests.acceptance.test_pipeline import write_inputs
from tests.acceptance.truth import assert_true, reported

pytestmark = pytest.mark.acceptance
LIMIT = 5
OUTAGE = [{"method": "*", "do": "status", "status": 503, "name": "outage"}]


def begin(
    house: House, *simulator: str, workers: int = 2, credits_header: str = "from_half", **environment: str
) -> list[str]:
    """Redis, a simulator that enforces the limit, workers that know it, and one batch on its way."""
    house.environment |= {"ZOHO_CONCURRENCY": str(LIMIT), "MASSCONVERT_JOB_WAIT": "2", **environment}
    house.redis()
    # Leads end with their job (where they are read first, all are sent before one ends), and credits are told.
    told = {"counts": "add_up", "credits_header": credits_header, "call_cost": {}}
    house.simulator("--concurrency", str(LIMIT), *simulator, **told)
    for number in range(workers):
        house.worker(f"worker-{number}")
    leads = house.leads()
    write_inputs(house, leads)
    done = house.command("enqueue", "leads.csv", "--options", "options.json", "--key", "k", "--json")
    assert done.returncode == 0, done.stderr
    return leads


def overview(house: House) -> dict[str, Any]:
    done = house.command("status", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def held(house: House, kind: str | None) -> bool:
    hold = overview(house)["calls"]["held"]
    return bool((hold and hold["kind"]) == kind)


def finished(house: House) -> bool:
    return bool(overview(house)["batches"][0]["state"] == "finished")


def calls(house: House) -> int:
    return sum(count for name, count in house.ask("calls").items() if name != "POST token")


@takes(Row.LOOK_LATER)
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_outage_is_probed_and_not_hammered_and_work_goes_on_within_a_minute_of_its_end(house: House) -> None:
    """Two workers of twenty slots, a limit of five calls: no 429 before, during or after."""
    leads = begin(house, "--leads", "10000", "--latency", "0.2", "--job-seconds", "0.5")
    until(lambda: overview(house)["batches"][0]["converted"], 60, "the first leads")
    seen = overview(house)
    assert seen["leads_waiting"] > 0
    assert seen["workers_useful"] == 1
    assert seen["calls"]["limit_learnt"] == LIMIT

    house.ask("faults", "PUT", OUTAGE)
    until(lambda: held(house, "outage"), 60, "the hold")
    said = house.command("status").stdout
    assert "Zoho gives no usable answer: HTTP 503" in said
    assert "the next call finds out in" in said
    threading.Event().wait(8.0)  # until probes are far apart
    before = calls(house)
    threading.Event().wait(25.0)  # the outage goes on
    assert 1 <= calls(house) - before <= 5

    house.ask("faults", "PUT", [])
    ended = time.monotonic()
    until(lambda: held(house, None), 60, "the end of the hold")
    until(lambda: finished(house), 150, "the batch")
    assert time.monotonic() - ended < 150
    assert "Zoho answers again" in "".join((house.folder / f"worker-{n}.log").read_text() for n in range(2))
    rows = reported(house, "k")
    assert set(rows) == set(leads)
    assert {row["outcome"] for row in rows.values()} == {"converted"}
    assert_true(house, rows)
    load = house.ask("load")
    assert load["highest"] <= LIMIT
    assert load["throttled"] == 0


def test_calls_stop_at_the_reserve_of_credits_and_the_status_says_so(house: House) -> None:
    """Before Zoho refuses anything, and with most of the leads unsent: the company's other integrations go on."""
    begin(house, "--leads", "1000", "--day-credits", "100", workers=1, MASSCONVERT_CREDITS_RESERVE="30")
    until(lambda: held(house, "credits"), 60, "the hold")
    seen = overview(house)
    assert 0 < seen["calls"]["credits_left"] < 30 + DEAREST_CALL
    assert 240 <= seen["calls"]["held"]["next_probe_in"] <= 300
    assert seen["leads_waiting"] > 0
    said = house.command("status").stdout
    assert "of which 30 are kept for other integrations" in said
    assert house.ask("load")["throttled"] == 0
    assert house.ask("load")["credits_used"] <= 100


@pytest.mark.timeout(300)
def test_credits_that_run_out_without_a_header_fail_no_lead_and_are_named(house: House) -> None:
    """A 429 does not say which limit it is about: calls go one by one, further and further apart."""
    leads = begin(house, "--leads", "1000", "--day-credits", "40", workers=1, credits_header="never")

    def told() -> bool:
        said = " ".join(house.command("status", "k").stdout.split())
        return "Zoho refuses single calls, too: the day's API credits may be used up" in said

    until(told, 120, "a call that is refused alone")
    before = calls(house)
    threading.Event().wait(20.0)
    # A cheaper call may pass with the last credits, and others then follow soon. Without a gate they are hundreds.
    assert calls(house) - before <= 30
    house.ask("limits", "PUT", {"credits": None})  # they have come back
    until(lambda: finished(house), 120, "the batch")
    rows = reported(house, "k")
    assert set(rows) == set(leads)
    assert {row["outcome"] for row in rows.values()} == {"converted"}
    assert_true(house, rows)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_beside_another_client_fewer_calls_are_made_and_all_again_when_it_has_gone(house: House) -> None:
    leads = begin(house, "--leads", "10000", "--latency", "0.2", "--job-seconds", "0.3")
    until(lambda: overview(house)["batches"][0]["converted"], 60, "the first leads")
    house.ask("limits", "PUT", {"neighbour": 3})
    until(lambda: overview(house)["calls"]["limit_learnt"] < LIMIT, 30, "a lower limit")
    house.ask("limits", "PUT", {"neighbour": 0})
    until(lambda: finished(house), 150, "the batch")
    load = house.ask("load")
    assert 1 <= load["throttled"] <= 8
    assert load["highest"] <= LIMIT
    rows = reported(house, "k")
    assert set(rows) == set(leads)
    assert_true(house, rows)
