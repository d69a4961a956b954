"""The waits: how long until the next try, the next look at a job, and the first look at a lost answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massconvert.policy import Look, Moment, Tuning
from massconvert.policy.polling import LONGEST, SHORTEST
from tests.unit.policy_cases import LEARNT, MOMENT, TUNING

CHANCE = st.floats(0.0, 1.0, exclude_max=True)
FAILURES = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("failures", "ceiling"),
    [(0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (8, 128.0), (9, 256.0), (10, 300.0), (11, 300.0), (10**9, 300.0)],
)
def test_the_backoff_doubles_to_its_cap(failures: int, ceiling: float) -> None:
    """With full jitter: anywhere between a tenth of the ceiling and all of it."""
    assert replace(MOMENT, chance=0.0).backoff(failures) == pytest.approx(ceiling * 0.1)
    assert replace(MOMENT, chance=0.5).backoff(failures) == pytest.approx(ceiling * 0.55)
    assert replace(MOMENT, chance=1.0).backoff(failures) == pytest.approx(ceiling)


@given(failures=FAILURES, chance=CHANCE)
def test_no_luck_makes_a_backoff_hammer_or_exceed_its_cap(failures: int, chance: float) -> None:
    wait = replace(MOMENT, chance=chance).backoff(failures)
    assert 0.1 * TUNING.backoff_base <= wait <= TUNING.backoff_cap


def test_two_workers_that_failed_together_do_not_come_back_together() -> None:
    assert replace(MOMENT, chance=0.1).backoff(5) != replace(MOMENT, chance=0.9).backoff(5)


@pytest.mark.parametrize(
    ("moment", "looks"),
    [
        # Nothing is learnt: after 2 s, then at a growing distance.
        (MOMENT, [2.1, 1.575, 2.3625, 3.54375]),
        # Jobs have tended to be done after 8 s: the first look comes then.
        (LEARNT, [8.4, 6.3, 9.45, 14.175]),
        # Jobs that take no time are not asked for in a tight loop.
        (replace(MOMENT, look=Look(SHORTEST)), [0.21, 0.1575]),
    ],
)
def test_the_first_look_is_when_such_jobs_have_tended_to_be_done(moment: Moment, looks: list[float]) -> None:
    assert [moment.next_look(polls) for polls in range(len(looks))] == pytest.approx(looks)


@given(polls=FAILURES, chance=CHANCE, learnt=st.none() | st.builds(Look, seconds=st.floats(SHORTEST, LONGEST)))
def test_the_distance_between_looks_is_bounded(polls: int, chance: float, learnt: Look | None) -> None:
    wait = replace(MOMENT, chance=chance, look=learnt).next_look(polls)
    assert 0.1 <= wait <= TUNING.poll_cap


def test_a_lost_answer_is_looked_at_after_all_but_the_slowest_jobs_would_have_ended() -> None:
    """And after a read that lags would show it. While nothing is learnt, the setting decides."""
    assert MOMENT.job_wait == TUNING.job_wait
    assert LEARNT.job_wait == 20.0 * 1.5 + 1.0 + TUNING.read_lag
    assert replace(MOMENT, tuning=Tuning(job_wait=7.0)).job_wait == 7.0
