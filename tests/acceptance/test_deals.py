"""Deals that cannot be given their own values, for a day or until somebody fixes it: their leads are converted."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from typing import Any

import pytest

from massconvert.policy import Row
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.rows import steps, takes
from tests.acceptance.truth import Rows, assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

NAMED = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": "{Company} {Last_Name}"}}

#: Seconds: less than the worker here allows for. One that takes a read for true too soon sends leads again.
READS_LAG = 0.1


@pytest.fixture
def house(house: House) -> House:
    """A house whose worker has no patience.

    A day of five seconds is much longer than it takes one chunk alone to meet the answers in a row that begin a hold.
    """
    house.hurry(
        give_up=5.0, backoff_base=0.2, backoff_cap=1.0, probe_backoff_cap=1.0, first_look=0.5, read_lag=0.2, linger=0.2
    )
    house.environment["MASSCONVERT_PERMIT_WAIT"] = "0.5"
    house.redis()
    return house


def assert_converted_once(house: House, rows: Rows, leads: Sequence[str]) -> None:
    """Whatever became of their deals, and by one payload each."""
    assert rows.keys() == set(leads)
    assert {row["outcome"] for row in rows.values()} == {"converted"}
    assert_true(house, rows)
    truth = house.truth()
    assert {truth[lead]["submissions"] for lead in leads} == {1}


def names(house: House, leads: Sequence[str]) -> list[str]:
    """What their deals are called."""
    truth = house.truth()
    return [truth[lead]["deal"]["Deal_Name"] for lead in leads]


def own_names(house: House, leads: Sequence[str]) -> list[str]:
    """What they shall be called."""
    order = {lead: number for number, lead in enumerate(house.leads())}
    return [f"Company {order[lead]} Lead {order[lead]}" for lead in leads]


@pytest.mark.slow
@takes(Row.DEALS_UNREAD, Row.UPDATE_RETRY, Row.UPDATE_NO_PERMIT, Row.UPDATE_GIVE_UP)
def test_deals_that_cannot_be_read_or_updated_for_a_day_belong_to_converted_leads(house: House) -> None:
    """The unusable answers hold all calls back for a while, and nothing that this delays is lost.

    That the leads are converted is known by the counts of their job: what nothing shows is asked for without an end.
    """
    house.simulator("--leads", "100", "--job-seconds", "0.2", counts="add_up", reads_lag=READS_LAG)
    unread, not_updated = house.leads()[:50], house.leads()[50:]
    house.set_faults(
        {"method": "GET Leads", "do": "status", "status": 500, "ids": unread},
        {"method": "PUT Deals", "do": "status", "status": 500},
    )
    house.worker(app="tests.acceptance.hurried_worker")
    mc = house.producer()
    batches = [mc.enqueue(leads, options=NAMED) for leads in (unread, not_updated)]
    said: list[dict[str, Any]] = []
    for batch, leads in zip(batches, (unread, not_updated), strict=True):
        batch.wait(60)
        rows = outcomes_of(batch)
        assert_converted_once(house, rows, leads)
        assert {row["code"] for row in rows.values()} == {"DEAL_NOT_UPDATED"}
        assert batch.progress().deals_not_updated == 50
        said.append(rows[leads[0]])
    assert "when the lead was to be read: HTTP 500" in said[0]["message"]
    assert "when the lead was to be read" not in said[1]["message"]
    truth = house.truth()
    assert (said[0]["deal_id"] or "", said[1]["deal_id"]) == ("", truth[not_updated[0]]["deal_id"])
    assert set(names(house, house.leads())).isdisjoint(own_names(house, house.leads()))
    assert house.unfired() == []


@takes(Row.UPDATE_RETRY, Row.UPDATE_NOT_ALLOWED, Row.DEALS_UPDATED)
def test_a_refresh_token_revoked_before_the_update_pauses_until_workers_have_another(house: House) -> None:
    house.simulator("--leads", "50", "--job-seconds", "0.2", reads_lag=READS_LAG)
    house.set_faults(
        {"method": "PUT Deals", "do": "expire_tokens", "times": 1},
        {"method": "POST token", "do": "status", "status": 200, "body": '{"error": "invalid_code"}', "skip": 1},
    )
    worker = house.worker(app="tests.acceptance.hurried_worker")
    leads = house.leads()
    batch = house.producer().enqueue(leads, options=NAMED)
    until(lambda: Row.UPDATE_NOT_ALLOWED in {step.row for step in steps(house)}, 20, "the refused credentials")
    status = batch.progress()
    assert (status.state.value, status.ended) == ("paused", 0)
    assert set(names(house, leads)).isdisjoint(own_names(house, leads))
    said = json.loads(house.command("status", "--json").stdout)["paused"]
    assert "the refresh token is wrong, was revoked" in said["reason"]
    assert house.unfired() == []
    house.kill(worker, signal.SIGTERM)
    house.set_faults()
    house.environment["ZOHO_REFRESH_TOKEN"] = "1000.another"
    house.worker(app="tests.acceptance.hurried_worker")
    assert house.command("resume").returncode == 0
    assert batch.wait(30).deals_not_updated == 0
    rows = outcomes_of(batch)
    assert_converted_once(house, rows, leads)
    assert {row["code"] for row in rows.values()} == {None}
    assert names(house, leads) == own_names(house, leads)
