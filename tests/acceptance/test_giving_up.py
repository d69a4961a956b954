"""Zoho out of reach, for a while and for longer than we wait: what was surely not sent, and what nobody can know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from massconvert import Batch
from massconvert.policy import Row
from massconvert.store import connect
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.rows import steps, takes
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = pytest.mark.acceptance


@pytest.fixture
def house(house: House) -> House:
    """A house whose worker has no patience: a day of three seconds."""
    house.hurry(give_up=3.0, backoff_base=0.2, first_look=0.5, read_lag=0.2, backoff_cap=1.0)
    return house


@pytest.mark.slow
@takes(Row.NAMES_RETRY, Row.NAMES_GIVE_UP)
def test_names_that_cannot_be_looked_up_for_a_day_end_their_leads(house: House) -> None:
    house.redis()
    house.simulator("--leads", "100")
    house.set_faults({"method": "GET users", "do": "status", "status": 500})
    house.worker(app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(house.leads(), options={**OPTIONS, "assign_to": "ann@example.com"})
    batch.wait(60)
    rows = outcomes_of(batch)
    assert {(row["outcome"], row["code"]) for row in rows.values()} == {("failed", "GAVE_UP")}
    assert_true(house, rows)
    assert house.unfired() == []


@takes(Row.READ_RETRY, Row.PREFLIGHT_GIVE_UP)
def test_leads_that_cannot_be_read_for_a_day_before_they_are_sent_end(house: House) -> None:
    house.redis()
    house.simulator("--leads", "100")
    house.set_faults({"method": "GET Leads", "do": "status", "status": 500})
    house.worker(app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(house.leads(), options={**OPTIONS, "preflight": True})
    batch.wait(60)
    rows = outcomes_of(batch)
    assert {(row["outcome"], row["code"]) for row in rows.values()} == {("failed", "GAVE_UP")}
    assert_true(house, rows)
    assert house.unfired() == []


@takes(Row.NOT_ALLOWED, Row.NOT_SENT)
def test_access_tokens_that_are_used_up_for_a_day_pause_and_end_no_lead(house: House) -> None:
    """Another program asks for them with the same refresh token: a person finds it, and the batch goes on."""
    house.hurry(give_up=3.0, backoff_base=0.2, first_look=0.5, read_lag=0.2, backoff_cap=1.0, poll_cap=0.5)
    house.redis()
    house.simulator("--leads", "100", "--job-seconds", "0.2")
    denied = {"error": "Access Denied", "error_description": "You have made too many requests continuously."}
    house.worker(app="tests.acceptance.hurried_worker")
    mc = house.producer()
    assert mc.enqueue(house.leads()[:1], options=OPTIONS).wait(20).converted == 1
    house.set_faults(
        {"method": "POST token", "do": "status", "status": 400, "body": json.dumps(denied)},
        {"method": "POST mass_convert", "do": "expire_tokens", "times": 1},
    )
    batch = mc.enqueue(house.leads()[1:], options=OPTIONS)

    def paused() -> dict[str, Any]:
        return dict(json.loads(house.command("status", "--json").stdout)["paused"] or {})

    said = until(paused, 30, "the pause")
    assert said["code"] == "ACCESS_DENIED"
    assert "too many access tokens were asked for" in said["reason"]
    assert "give each program a refresh token of its own, then: massconvert resume" in said["hint"]
    assert (batch.progress().waiting, batch.progress().ended) == (99, 0)
    house.set_faults()
    client = connect(house.redis_url)
    for kept in client.scan_iter("*:trouble"):
        client.delete(kept)  # the two minutes are over
    assert house.command("resume").returncode == 0
    assert batch.wait(40).converted == 99
    assert_true(house, outcomes_of(batch))


@takes(Row.NOT_SENT, Row.NOT_SENT_GIVE_UP, Row.READ_GIVE_UP, Row.STATUS_RETRY)
def test_an_outage_is_borne_and_only_a_day_without_an_answer_ends_a_lead(house: House) -> None:
    """What has a job when Zoho goes away is never given up."""
    house.redis()
    house.simulator("--leads", "250", "--job-seconds", "0.2")
    door = house.put_door()
    house.worker(app="tests.acceptance.hurried_worker")
    parts = [house.leads()[start : start + 50] for start in range(0, 250, 50)]
    accepted, unanswered, refused, waiting, given_up = parts
    mc = house.producer()
    house.set_faults(
        {"method": "POST mass_convert", "do": "status", "status": 500, "ids": unanswered},
        {"method": "POST mass_convert", "do": "job_slow", "ids": waiting, "seconds": 1},
    )
    assert mc.enqueue(accepted, options=OPTIONS).wait(20).converted == 50

    def outcome_of(batch: Batch) -> set[tuple[str, str | None]]:
        batch.wait(60)
        rows = outcomes_of(batch)
        assert_true(house, rows)
        return {(row["outcome"], row["code"]) for row in rows.values()}

    def await_row(row: Row) -> None:
        until(lambda: row in {step.row for step in steps(house)}, 20, row.value)

    assert outcome_of(mc.enqueue(unanswered, options=OPTIONS)) == {("failed", "GAVE_UP")}

    door.shut()  # for less than a day
    short = mc.enqueue(refused, options=OPTIONS)
    await_row(Row.NOT_SENT)
    door.open()
    assert outcome_of(short) == {("converted", None)}

    followed = mc.enqueue(waiting, options=OPTIONS)
    until(lambda: followed.progress().sent == 50, 20, "the job")
    door.shut()
    await_row(Row.STATUS_RETRY)
    door.open()
    assert outcome_of(followed) == {("converted", None)}

    door.shut()  # for longer; only probes go out, so the day is over when one comes to it after its end
    assert outcome_of(mc.enqueue(given_up, options=OPTIONS)) == {("failed", "GAVE_UP")}
    assert {house.truth()[lead]["submissions"] for lead in (*unanswered, *given_up)} == {0}
    assert house.unfired() == []
