"""What a batch will cost: the model, checked against what can be counted by hand."""

from __future__ import annotations

import pytest

from massconvert.policy.cost import CALL_SECONDS, JOB_SECONDS, Deals, Pace, forecast

PACE = Pace(calls=10, posts=10, jobs=200, call_seconds=1.0, job_seconds=30.0)


@pytest.mark.parametrize(("leads", "payloads"), [(0, 0), (1, 1), (50, 1), (51, 2), (1_000_000, 20_000)])
def test_payloads_are_the_fewest_and_each_costs_a_post_and_a_status_call(leads: int, payloads: int) -> None:
    found = forecast(leads, PACE)
    assert (found.payloads, found.posts, found.status_calls) == (payloads, payloads, payloads)
    assert found.credits == 6 * payloads


def test_nothing_takes_no_time_and_one_payload_takes_its_calls_and_its_job() -> None:
    assert forecast(0, PACE, ahead=1000).seconds == 0
    assert forecast(1, PACE).seconds == 32


@pytest.mark.parametrize(
    ("pace", "seconds"),
    [
        (Pace(calls=10, posts=10, jobs=10_000), 200),  # the calls: 1,000 posts and 1,000 status calls, ten at once
        (Pace(calls=20, posts=5, jobs=10_000), 200),  # the posts: five at once
        (Pace(calls=100, posts=100, jobs=31), 1000),  # the jobs: 31 at once, 31 s each
    ],
)
def test_the_narrowest_place_decides(pace: Pace, seconds: float) -> None:
    assert forecast(50_000, pace).seconds == pytest.approx(seconds + 2 * CALL_SECONDS + JOB_SECONDS, abs=1.5)


def test_what_waits_before_takes_its_time_first() -> None:
    assert forecast(50, PACE, ahead=5000).seconds == pytest.approx(forecast(5050, PACE).seconds)


def test_deals_that_are_updated_cost_calls_credits_and_time() -> None:
    plain, named = forecast(5000, PACE), forecast(5000, PACE, deals=Deals(5000, 100))
    assert (named.reads, named.updates) == (100, 100)
    assert named.credits == plain.credits + 100 + 500
    assert named.seconds > 1.5 * plain.seconds - JOB_SECONDS
