"""Kill what can be killed in mid-run: the same truth."""

from __future__ import annotations

import json
import signal

import pytest

from tests.acceptance.house import House, until
from tests.acceptance.test_pipeline import assert_true, outcomes, start, write_inputs

pytestmark = pytest.mark.acceptance


def _converting(house: House) -> bool:
    status = json.loads(house.command("status", "k", "--json").stdout)
    return bool(status["sent"] or status["converted"])


def _enqueue(house: House, leads: list[str]) -> None:
    write_inputs(house, leads)
    done = house.command("enqueue", "leads.csv", "--options", "options.json", "--key", "k", "--json")
    assert done.returncode == 0, done.stderr


def _all_converted(house: House, leads: list[str]) -> None:
    def finished() -> bool:
        done = house.command("status", "k", "--json")
        return done.returncode == 0 and json.loads(done.stdout)["state"] == "finished"

    until(finished, 150, "the batch")
    rows = outcomes(house, "k")
    assert set(rows) == set(leads)
    assert_true(house, rows)
    truth = house.truth()
    assert all(truth[lead]["conversions"] <= 1 for lead in leads)


def test_a_worker_killed_in_mid_run_and_another_started_give_the_same_truth(house: House) -> None:
    """kill -9: what it held is looked at before it is sent again."""
    house.environment |= {"MASSCONVERT_CALL_DEADLINE": "3", "MASSCONVERT_JOB_WAIT": "2", "MASSCONVERT_PERMIT_WAIT": "1"}
    house.redis()
    house.simulator("--leads", "400", "--job-seconds", "0.5", "--latency", "0.2")
    first = house.worker("first")
    leads = house.leads()
    _enqueue(house, leads)
    until(lambda: _converting(house), 30, "the first payload")
    house.kill(first)
    house.worker("second")
    _all_converted(house, leads)


def test_redis_restarted_in_mid_run_gives_the_same_truth(house: House) -> None:
    """The worker comes through without being restarted by hand."""
    house.environment |= {"MASSCONVERT_CALL_DEADLINE": "3", "MASSCONVERT_JOB_WAIT": "2", "MASSCONVERT_PERMIT_WAIT": "1"}
    server = house.redis()
    house.simulator("--leads", "400", "--job-seconds", "0.5", "--latency", "0.2")
    worker = house.worker()
    leads = house.leads()
    _enqueue(house, leads)
    until(lambda: _converting(house), 30, "the first payload")
    house.kill(server)
    house.redis()
    _all_converted(house, leads)
    assert worker.poll() is None


def test_sigterm_hands_back_what_a_worker_holds(house: House) -> None:
    """A worker told to stop ends within its grace, and another goes on."""
    leads = start(house, "--leads", "300", "--job-seconds", "0.5", "--latency", "0.2")
    _enqueue(house, leads)
    until(lambda: _converting(house), 30, "the first payload")
    house.kill(house.processes[-1], signal.SIGTERM)
    house.worker("second")
    _all_converted(house, leads)
