"""What a rehearsal has seen: kept, read back, and used where it is safer, never where it is less safe."""

from __future__ import annotations

import json
from random import Random
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest

from massconvert.ledger import Ledger
from massconvert.model import Chunk, Observed, State
from massconvert.policy import Tuning
from massconvert.policy.cost import Costs, Pace, forecast
from massconvert.policy.rehearsed import LONGEST, tuned
from massconvert.steps.write import moment
from massconvert.store import Keys

KEY = Keys("default").seen
FULL = Observed(
    at=1_800_000_000.0,
    where="Example Ltd (sandbox)",
    post_credits=7.0,
    status_credits=1.0,
    read_credits=2.0,
    query_credits=1.0,
    job_seconds={10: 3.0, 50: 9.0},
    job_known_after=0.5,
    read_lag=1.0,
    status_lives=3600.0,
    status_gone=86_400.0,
    ids_a_read=50,
    one_bad_id_refuses_all=True,
    converts_twice=False,
    links=False,
)


@pytest.fixture
def redis() -> Any:
    return fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)


@pytest.fixture
def ledger(redis: Any) -> Ledger:
    return Ledger(redis, "default", Tuning())


# --- kept -------------------------------------------------------------------------------------------------


def test_facts_are_read_as_they_were_kept(ledger: Ledger, redis: Any) -> None:
    assert ledger.rehearsed.look() is None
    ledger.rehearsed.keep(FULL)
    assert ledger.rehearsed.look() == FULL
    assert redis.get(Keys("default").max_read) == "50"  # as a refusal would have taught it
    ledger.rehearsed.keep(Observed(at=1.0, ids_a_read=100))
    assert redis.get(Keys("default").max_read) is None
    ledger.rehearsed.keep(FULL)
    assert ledger.rehearsed.forget()
    assert ledger.rehearsed.look() is None
    assert redis.get(Keys("default").max_read) is None
    assert not ledger.rehearsed.forget()


def test_a_smaller_rehearsal_leaves_what_a_larger_one_has_seen(ledger: Ledger) -> None:
    ledger.rehearsed.keep(FULL)
    ledger.rehearsed.keep(Observed(at=1_900_000_000.0, read_lag=4.0))
    found = ledger.rehearsed.look()
    assert found is not None
    assert (found.at, found.read_lag, found.post_credits) == (1_900_000_000.0, 4.0, 7.0)
    ledger.rehearsed.keep(Observed(at=1_900_000_000.0, one_bad_id_refuses_all=False))
    found = ledger.rehearsed.look()
    assert found is not None
    assert found.one_bad_id_refuses_all is False


def test_facts_are_looked_up_once_a_minute(ledger: Ledger, redis: Any) -> None:
    assert ledger.rehearsed.known(now=100.0) is None
    redis.set(KEY, json.dumps({"form": 1, "at": 5.0, "read_lag": 9.0}))
    assert ledger.rehearsed.known(now=159.0) is None
    found = ledger.rehearsed.known(now=160.0)
    assert found is not None
    assert found.read_lag == 9.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"form": 2, "at": 1}',
        '{"form": 1}',
        '{"form": 1, "at": "x"}',
        "[" * 100_000,
    ],
)
def test_what_cannot_be_read_changes_nothing(ledger: Ledger, redis: Any, text: str) -> None:
    redis.set(KEY, text)
    assert ledger.rehearsed.look() is None


def test_a_key_of_another_type_changes_nothing(ledger: Ledger, redis: Any) -> None:
    redis.rpush(KEY, "x")
    assert ledger.rehearsed.look() is None


@pytest.mark.parametrize("value", ["9", True, -1, None, [], 1e12, {"a": 1}])
def test_a_fact_that_is_no_number_is_left_out(ledger: Ledger, redis: Any, value: Any) -> None:
    kept = {"form": 1, "at": 5.0, "read_lag": value, "job_seconds": {"10": value}, "links": "no", "ids_a_read": value}
    redis.set(KEY, json.dumps(kept))
    assert ledger.rehearsed.look() == Observed(at=5.0)


# --- used -------------------------------------------------------------------------------------------------


def test_without_facts_nothing_changes() -> None:
    tuning = Tuning()
    assert tuned(tuning, None) is tuning
    assert tuned(tuning, Observed(at=1.0)) == tuning


def test_waits_grow_with_what_was_seen() -> None:
    found = tuned(Tuning(), Observed(at=1.0, job_seconds={50: 100.0}, read_lag=12.0, job_known_after=90.0))
    assert found.job_wait == 162.0
    assert found.read_lag == 12.0
    assert found.status_lag == 135.0
    assert found.scout_first == 4.0


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.5])
def test_no_wait_shrinks_by_what_was_seen(seconds: float) -> None:
    """A wait keeps a lead from being sent twice, and a rehearsal sees a few jobs of one day."""
    seen = Observed(at=1.0, job_seconds={1: seconds}, read_lag=seconds, job_known_after=seconds)
    assert tuned(Tuning(), seen) == Tuning()


def test_no_fact_stops_the_work() -> None:
    found = tuned(Tuning(), Observed(at=1.0, job_seconds={1: 9e8}, read_lag=9e8, job_known_after=9e8))
    assert max(found.job_wait, found.read_lag, found.status_lag) == LONGEST


def test_a_forecast_counts_with_the_credits_that_were_seen() -> None:
    pace = Pace(10, 10, 200)
    assert forecast(100, pace).credits == 12
    assert forecast(100, pace, preflight=True, costs=Costs.of(FULL)).credits == 2 * 8 + 2
    assert Costs.of(None) == Costs()
    assert Costs.of(Observed(at=1.0)) == Costs()
    assert Costs.of(Observed(at=1.0, post_credits=50.0)).status == 1


def test_each_decision_goes_by_the_facts_of_its_ledger(ledger: Ledger) -> None:
    ports: Any = SimpleNamespace(ledger=ledger, random=Random(1), tuning=Tuning())
    chunk = Chunk("1", "f" * 16, State.RUNNING, ("1",))
    assert moment(ports, chunk, at=100.0).tuning.read_lag == Tuning().read_lag
    ledger.rehearsed.keep(Observed(at=1.0, read_lag=20.0, job_seconds={50: 100.0}))
    found = moment(ports, chunk, at=200.0)
    assert found.tuning.read_lag == 20.0
    assert found.job_wait == 170.0  # before a look at a lost answer
