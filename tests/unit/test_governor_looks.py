"""When a job is first looked at: the wait is learnt from whether the look came too early."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import fakeredis
import pytest

from massconvert.ledger import Ledger
from massconvert.ledger.codec import dump_look
from massconvert.model import Chunk, JobStatus, Progress, Refused, State
from massconvert.policy import Look, Moment, Tuning, after_status, relearnt, size_of
from massconvert.policy.looks import LONGER, LONGEST, SHORTER, SHORTEST

NOW = 1_800_000_000.0
MOMENT = Moment(now=NOW, chance=0.0, tuning=Tuning())
KNOWN = Look(4.0, at=NOW - 100.0, found=True)


@pytest.mark.parametrize(("leads", "size"), [(1, 5), (5, 5), (6, 20), (20, 20), (21, 50), (50, 50)])
def test_jobs_of_like_size_are_learnt_together(leads: int, size: int) -> None:
    assert size_of(leads) == size


@pytest.mark.parametrize(
    ("look", "age", "ended", "seconds"),
    [
        (KNOWN, 4.0, False, 6.4),  # too early: much longer
        (KNOWN, 4.2, True, 3.9),  # not too early: a little shorter
        (Look(2.0), 2.1, True, 1.6),  # a guess that may be far too long is left quickly
        (KNOWN, 60.0, True, None),  # so late, anything would have ended
        (KNOWN, 101.0, False, None),  # planned before the last change
        (Look(50.0), 51.0, False, LONGEST),
        (Look(SHORTEST), 0.2, True, SHORTEST),
    ],
)
def test_a_first_look_teaches_when_to_look_first(look: Look, age: float, ended: bool, seconds: float | None) -> None:
    found = relearnt(look, sent_at=NOW - age, now=NOW, ended=ended)
    assert (found.seconds if found else None) == (pytest.approx(seconds) if seconds else None)
    assert found is None or found.at == NOW


@pytest.mark.parametrize("spread", [0.0, 0.3])
@pytest.mark.parametrize("at_once", [1, 20])
@pytest.mark.parametrize("typical", [0.5, 1.0, 30.0])
def test_close_to_one_look_a_job_whatever_jobs_take(typical: float, at_once: int, spread: float) -> None:
    """And not much later than they end. ``at_once`` jobs are sent together, and know nothing of each other."""
    random, look, now, early, waits = Random(1), Look(2.0), NOW, 0, []
    for generation in range(400):
        used, sent = look, now
        waited = [used.seconds * (1.0 + 0.1 * random.random()) for _ in range(at_once)]
        for wait in sorted(waited):
            ended = typical * (1.0 + spread * random.random()) <= wait
            if generation >= 100:
                early += not ended
                waits.append(wait)
            look = relearnt(look, sent_at=sent, now=sent + wait, ended=ended) or look
        now = sent + max(waited) + 0.001
    assert early / len(waits) <= 0.07
    assert sum(waits) / len(waits) <= 1.6 * typical * (1.0 + spread)


RUNNING = Chunk("1", "f", State.RUNNING, ("3652397000009850001",), job_id="7", sent_at=NOW - 4.2)
ENDED = JobStatus(Progress.COMPLETED, 1, 1, 0, 0)
RUNS = JobStatus(Progress.IN_PROGRESS, 1, 0, 1, 0)
MOMENT_KNOWN = replace(MOMENT, look=KNOWN)


def test_only_the_first_look_at_a_job_teaches() -> None:
    assert after_status(RUNNING, ENDED, MOMENT_KNOWN).look == (KNOWN, Look(4.0 * SHORTER, NOW, True))
    assert after_status(RUNNING, RUNS, MOMENT_KNOWN).look == (KNOWN, Look(4.0 * LONGER, NOW, True))
    assert after_status(replace(RUNNING, polls=1), ENDED, MOMENT_KNOWN).look is None
    assert after_status(RUNNING, Refused(429, "TOO_MANY_REQUESTS", ""), MOMENT_KNOWN).look is None


def test_before_anything_is_learnt_the_first_guess_is_judged() -> None:
    found = after_status(replace(RUNNING, sent_at=NOW - 2.0), RUNS, MOMENT).look
    assert found == (None, Look(2.0 * LONGER, NOW, True))


@pytest.mark.parametrize("late", [{"outages": 3}, {"sent_at": NOW - 3600.0}])
def test_what_an_outage_delayed_is_no_job_time(late: dict[str, float]) -> None:
    """Else a lost answer would be looked at hours later for the rest of the day."""
    decision = after_status(replace(RUNNING, **late), ENDED, MOMENT_KNOWN)  # type: ignore[arg-type]  # fields of a chunk
    assert decision.job_took is None
    assert decision.look is None
    assert after_status(RUNNING, ENDED, MOMENT_KNOWN).job_took == pytest.approx(4.2)


def test_looks_are_spread_out_and_back_off() -> None:
    first = [replace(MOMENT_KNOWN, chance=chance).next_look(0) for chance in (0.0, 0.5, 0.99)]
    assert first == sorted(set(first))
    assert [MOMENT_KNOWN.next_look(polls) for polls in (1, 2, 3)] == [pytest.approx(w) for w in (3.0, 4.5, 6.75)]


def test_a_chunk_whose_call_was_the_probe_comes_back_at_the_pace_of_probes() -> None:
    """Its own backoff would reach five minutes, and the recovery would be seen so late."""
    lost = replace(MOMENT, chance=1.0, probe=True)
    assert lost.backoff(9) == Tuning().probe_backoff_cap
    assert replace(lost, probe=False).backoff(9) == 256.0


# --- in the ledger ----------------------------------------------------------------------------------------------------


@pytest.fixture
def redis() -> Any:
    return fakeredis.FakeRedis(decode_responses=True)


def test_what_was_learnt_is_read_again_after_a_second_and_not_at_each_decision(redis: Any) -> None:
    organisation = Ledger(redis, "acme", Tuning()).organisation
    assert organisation.job_lengths(now=NOW).looks == {}
    redis.hset("mc:{acme}:looks", "5", dump_look(KNOWN))
    redis.rpush("mc:{acme}:jobtimes", *range(10))
    assert organisation.job_lengths(now=NOW + 0.9).looks == {}
    found = organisation.job_lengths(now=NOW + 1.0)
    assert found.looks == {5: KNOWN}
    assert found.times == tuple(float(time) for time in range(10))


@pytest.mark.parametrize("junk", ["", "soon", "[]", "[1]", "[-1, 0, 0]", "[1e999, 0, 0]", '["x", 0, 1]', "{}"])
def test_a_look_that_was_tampered_with_is_learnt_anew(redis: Any, junk: str) -> None:
    redis.hset("mc:{acme}:looks", mapping={"5": junk, "50": dump_look(KNOWN)})
    organisation = Ledger(redis, "acme", Tuning()).organisation
    assert organisation.job_lengths(now=NOW).looks == {}
    assert redis.exists("mc:{acme}:looks") == 0
