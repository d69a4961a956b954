"""Two real workers, real HTTP: whatever stands still between a write-ahead and its POST, nothing is sent twice."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from massconvert import Batch
from massconvert.policy import Row
from massconvert.store import Keys
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.rows import steps, takes
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

POST = "POST mass_convert"
LEASE = 3.0


def begin(house: House, lease: float = LEASE) -> list[str]:
    """Redis, a Zoho, and no patience: a short lease, of which a payload may leave in the first 1.5 s.

    But a look comes when each job has ended, as the settings must have it: on a busy machine an answer may be lost.
    """
    house.hurry(lease=lease, send_within=LEASE / 2)
    house.environment["MASSCONVERT_JOB_WAIT"] = "12"
    house.redis()
    house.simulator("--leads", "50", "--job-seconds", "4")
    return house.leads()


def stopped_before_its_post(house: House, lease: float = LEASE) -> tuple[subprocess.Popen[bytes], Batch, list[str]]:
    """A worker that stands still between a write-ahead and its POST."""
    leads, freeze = begin(house, lease), Path(house.folder / "freeze")
    house.environment |= {"FREEZE_IF": str(freeze), "GO_ON_IF": str(house.folder / "go on")}
    freeze.touch()
    worker = house.worker("first", "-P", "threads", app="tests.acceptance.frozen_worker")
    batch = enqueue(house, leads)
    until(lambda: not freeze.exists(), 20, "the write-ahead")
    worker.send_signal(signal.SIGSTOP)
    return worker, batch, leads


def go_on(house: House, worker: subprocess.Popen[bytes]) -> None:
    (house.folder / "go on").touch()
    worker.send_signal(signal.SIGCONT)


def enqueue(house: House, leads: list[str]) -> Batch:
    return house.producer().enqueue(leads, options=OPTIONS, key="k")


def all_converted_at_once(house: House, batch: Batch, leads: list[str]) -> None:
    """Each was submitted once, and all that is told of it is true."""
    until(lambda: batch.progress().finished, 60, "the batch")
    rows = outcomes_of(batch)
    assert {row["outcome"] for row in rows.values()} == {"converted"}
    assert_true(house, rows)
    truth = house.truth()
    assert {truth[lead]["submissions"] for lead in leads} == {1}


def test_a_token_that_takes_longer_than_a_lease_costs_no_second_submission(house: House) -> None:
    """It is had before the write-ahead: else the payload left when another worker had taken its sender for lost."""
    leads = begin(house)
    house.environment["MASSCONVERT_CALL_DEADLINE"] = "12"  # half of it for the token
    for name in ("first", "second"):
        house.worker(name, app="tests.acceptance.hurried_worker")
    house.set_faults({"method": "POST token", "do": "latency", "seconds": LEASE + 2.0, "times": 1})
    for key in house.ledger.scan_iter("*:token:*"):  # they had one when they asked whose ledger it is
        house.ledger.delete(key)
    batch = enqueue(house, leads)
    all_converted_at_once(house, batch, leads)
    assert house.unfired() == []


@takes(Row.SENDER_LOST, Row.UNCONVERTED_AGAIN, Row.JOB_ALL_CONVERTED)
def test_a_worker_that_is_stopped_before_its_post_sends_nothing_when_it_goes_on(house: House) -> None:
    """Another has taken it for lost, looked, and sent."""
    first, batch, leads = stopped_before_its_post(house)
    house.worker("second", app="tests.acceptance.hurried_worker")
    until(lambda: house.truth()[leads[0]]["submissions"], 60, "the second one's payload")
    go_on(house, first)
    all_converted_at_once(house, batch, leads)
    with house.ledger as ledger:
        assert not ledger.exists(Keys("default").chunk("1"))
    assert {step.row for step in steps(house)} >= {Row.SENDER_LOST}


def test_a_worker_that_is_stopped_for_less_than_its_lease_sends_nothing_late(house: House) -> None:
    """Its claim is its own still, and the payload goes again without a look: it surely was not sent."""
    worker, batch, leads = stopped_before_its_post(house, lease=20.0)
    time.sleep(LEASE * 0.7)  # nothing is to happen meanwhile
    go_on(house, worker)
    all_converted_at_once(house, batch, leads)
    assert next(step.row for step in steps(house)) is Row.NOT_SENT
