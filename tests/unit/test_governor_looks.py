"""When a job is looked at: what first looks teach, early looks of idle calls, and one scout while nothing is known."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import fakeredis
import pytest

from massconvert.ledger import Ledger
from massconvert.ledger.codec import dump_look, load_looks
from massconvert.ledger.organisation import JobLengths
from massconvert.model import Accepted, Chunk, JobStatus, Progress, Refused, State, Submitted
from massconvert.policy import Look, Moment, Row, Tuning, after_post, after_status, before_look, relearnt, size_of
from massconvert.policy.polling import (
    AFTER_SCOUT,
    LONGER,
    LONGEST,
    LOST,
    OPEN,
    SCOUT_FIRST,
    SCOUT_GROWTH,
    SCOUT_LONG,
    SHORTER,
    SHORTEST,
    SOON_LONGER,
    SOON_SHORTER,
    TAKES_OVER,
    TRIED,
)

NOW = 1_800_000_000.0
MOMENT = Moment(now=NOW, chance=0.0, tuning=Tuning())
KNOWN = Look(4.0, at=NOW - 100.0, soon=3.0, soon_at=NOW - 100.0)
BUSY, IDLE = replace(MOMENT, look=KNOWN), replace(MOMENT, look=KNOWN, idle=True)
LEADS = tuple(str(3652397000009850001 + number) for number in range(6))
SENT = Chunk("1", "f", State.SENDING, LEADS, sent_at=NOW - 0.5)
ENDED = JobStatus(Progress.COMPLETED, 6, 6, 0, 0)
RUNS = JobStatus(Progress.IN_PROGRESS, 6, 0, 6, 0)
UNKNOWN = Refused(400, "INVALID_DATA", "")


def running(age: float, *, wait: float | None = None, **fields: Any) -> Chunk:
    """A job whose payload was sent ``age`` seconds ago, and that was to be looked at after ``wait`` of them."""
    due = NOW - age + (age if wait is None else wait)
    return replace(SENT, state=State.RUNNING, job_id="7", sent_at=NOW - age, due_at=due, **fields)


@pytest.mark.parametrize(("leads", "size"), [(1, 5), (5, 5), (6, 20), (20, 20), (21, 50), (50, 50)])
def test_jobs_of_like_size_are_learnt_together(leads: int, size: int) -> None:
    assert size_of(leads) == size


# --- known jobs -------------------------------------------------------------------------------------------------------


def taken(moment: Moment, chunk: Chunk = SENT) -> float:
    """How long after its payload a job is first looked at that is taken now."""
    decision = after_post(chunk, Accepted("7"), moment)
    assert isinstance(decision.next, Submitted)
    assert decision.next.job.due_in == pytest.approx(decision.chunk.due_at - NOW)
    return decision.chunk.due_at - chunk.sent_at


def test_a_job_is_looked_at_late_while_payloads_wait_and_soon_while_calls_are_idle() -> None:
    assert taken(BUSY) == pytest.approx(3.0)  # one of twenty is tried
    assert taken(replace(BUSY, chance=TRIED)) == pytest.approx(4.0 * 1.03 + 0.2 * TRIED)
    assert taken(IDLE) == pytest.approx(3.0)
    assert taken(replace(IDLE, look=Look(4.0))) == pytest.approx(4.0)  # an older version learnt no shorter wait


def test_a_few_leads_are_looked_at_once_as_ever() -> None:
    """A day of single leads costs no more credits for it."""
    few, late = replace(SENT, leads=LEADS[:5]), replace(IDLE, chance=TRIED)
    assert taken(late, few) == taken(replace(late, idle=False), few) > taken(late)


def test_first_looks_are_spread_out_where_there_are_many() -> None:
    waits = [taken(replace(BUSY, chance=chance)) for chance in (0.1, 0.5, 0.99)]
    assert waits == sorted(set(waits))


def test_an_answer_that_was_slow_is_followed_by_a_look_all_the_same() -> None:
    assert taken(IDLE, replace(SENT, sent_at=NOW - 30.0)) == pytest.approx(30.0 + 0.5 * SHORTEST)


@pytest.mark.parametrize(
    ("polls", "wait"),
    [(0, 0.75), (1, 1.0), (4, 5.0625)],  # a little later, after four seconds, and then at a growing distance
)
def test_a_job_that_runs_is_looked_at_again_after_the_longer_wait_and_then_ever_later(polls: int, wait: float) -> None:
    decision = after_status(running(3.0 if polls < 2 else 5.0, polls=polls), RUNS, BUSY)
    assert decision.row is Row.JOB_RUNS
    assert decision.chunk.due_at - NOW == pytest.approx(wait)


@pytest.mark.parametrize(
    ("chunk", "ended", "learnt"),
    [
        # planned for the longer wait
        (running(4.2, wait=4.0), True, replace(KNOWN, seconds=4.0 * SHORTER, at=NOW)),
        (running(4.2, wait=4.0), False, replace(KNOWN, seconds=4.0 * LONGER, at=NOW, row=1)),
        # for the shorter one: what has ended by then has also ended by the other
        (
            running(3.2, wait=3.0),
            True,
            Look(4.0 * SHORTER, NOW, soon=3.0 * SOON_SHORTER, soon_at=NOW, row=-1),
        ),
        (running(3.2, wait=3.0), False, replace(KNOWN, soon=3.0 * SOON_LONGER, soon_at=NOW, row=1)),
        # the second look at a job comes after the longer wait
        (running(4.2, wait=4.0, polls=1), True, replace(KNOWN, seconds=4.0 * SHORTER, at=NOW)),
        (running(4.2, wait=4.0, polls=1), False, replace(KNOWN, seconds=4.0 * LONGER, at=NOW, row=1)),
        (running(3.8, wait=3.75, polls=1), False, None),
        (running(9.0, wait=9.0, polls=3), True, None),
        (running(60.0, wait=4.0), True, None),  # so late, anything would have ended
        (running(101.0, wait=101.0), False, None),  # planned before the last change
    ],
)
def test_what_a_look_teaches(chunk: Chunk, ended: bool, learnt: Look | None) -> None:
    decision = after_status(chunk, ENDED if ended else RUNS, BUSY)
    assert decision.look == (None if learnt is None else (KNOWN, learnt))


def test_a_third_look_too_early_in_a_row_says_that_all_jobs_take_longer() -> None:
    look, sent = KNOWN, NOW
    for _ in range(7):
        look = relearnt(look, polls=0, sent_at=sent, due_at=sent + look.seconds, now=sent + 5, ended=False) or look
        sent += 100.0
    assert look.seconds > 4 * KNOWN.seconds
    assert look.soon > 4 * KNOWN.soon


@pytest.mark.parametrize("seconds", [SHORTEST, LONGEST])
@pytest.mark.parametrize("ended", [True, False])
def test_waits_are_bounded(seconds: float, ended: bool) -> None:
    look = Look(seconds, soon=seconds)
    for wait in (seconds, 0.9 * seconds):
        found = relearnt(look, polls=0, sent_at=NOW, due_at=NOW + wait, now=NOW + wait, ended=ended) or look
        assert SHORTEST <= found.early <= found.seconds <= LONGEST


def looks_and_waits(takes: Any, *, at_once: int, idle: bool, generations: int = 240, first: float = 2.0) -> Any:
    """Let generations of ``at_once`` jobs run; looks a job, and how late their ends were seen, in their times."""
    random, look, now, looks, waits = Random(1), Look(first), NOW, 0, list[float]()
    for generation in range(generations):
        sent, counted = now, generation >= generations // 2
        jobs, seen_at = [], list[tuple[float, int]]()
        for number in range(at_once):
            moment = replace(MOMENT, look=look, idle=idle, now=sent, chance=random.random())
            chunk = after_post(replace(SENT, sent_at=sent), Accepted("7"), moment).chunk
            jobs.append((chunk, sent + takes(random)))
            seen_at.append((chunk.due_at, number))
        while seen_at:
            seen_at.sort()
            now, number = seen_at.pop(0)
            chunk, ends = jobs[number]
            decision = after_status(chunk, ENDED if ends <= now else RUNS, replace(MOMENT, look=look, now=now))
            look, looks = decision.look[1] if decision.look else look, looks + counted
            if ends <= now:
                waits += [(now - sent) / (ends - sent)] * counted
            else:
                jobs[number] = (decision.chunk, ends)
                seen_at.append((decision.chunk.due_at, number))
        now += 0.001
    return looks / len(waits), sum(waits) / len(waits)


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("typical", [0.5, 1.0, 30.0])
def test_looks_are_few_while_payloads_wait_and_early_while_calls_are_idle(typical: float, spread: float) -> None:
    def takes(random: Random) -> float:
        return typical * (1.0 + spread * random.random())

    few, late = looks_and_waits(takes, at_once=10, idle=False)
    assert few <= 1.05 + 0.03 * spread
    assert late <= 1.45 + 0.4 * spread
    for at_once in (1, 10):
        more, soon = looks_and_waits(takes, at_once=at_once, idle=True)
        assert more <= 1.3
        assert soon <= min(late, 1.1 + 0.35 * spread)


@pytest.mark.parametrize("idle", [True, False])
def test_jobs_that_become_much_shorter_are_seen_so(idle: bool) -> None:
    _, late = looks_and_waits(lambda _random: 1.0, at_once=20, idle=idle, generations=400, first=20.0)
    assert late <= 4.0


@pytest.mark.parametrize("late", [{"outages": 3}, {"sent_at": NOW - 3600.0}])
def test_what_an_outage_delayed_is_no_job_time(late: dict[str, float]) -> None:
    """Else a lost answer would be looked at hours later for the rest of the day."""
    decision = after_status(replace(running(4.2, wait=4.0), **late), ENDED, BUSY)  # type: ignore[arg-type]  # fields of a chunk
    assert decision.job_took is None
    assert decision.look is None
    assert after_status(running(4.2, wait=4.0), ENDED, BUSY).job_took == pytest.approx(4.2)
    assert after_status(running(4.2), Refused(429, "TOO_MANY_REQUESTS", ""), BUSY).look is None


def test_a_chunk_whose_call_was_the_probe_comes_back_at_the_pace_of_probes() -> None:
    """Its own backoff would reach five minutes, and the recovery would be seen so late."""
    lost = replace(MOMENT, chance=1.0, probe=True)
    assert lost.backoff(9) == Tuning().probe_backoff_cap
    assert replace(lost, probe=False).backoff(9) == 256.0


# --- nothing is known yet ---------------------------------------------------------------------------------------------

SCOUTING = Look(1.0, at=NOW + 0.5, scout="1")


def test_the_first_job_is_the_scout_and_is_looked_at_early() -> None:
    decision = after_post(SENT, Accepted("7"), MOMENT)
    assert decision.chunk.due_at == NOW + SCOUT_FIRST
    assert decision.look == (None, Look(0.5 + SCOUT_FIRST, NOW + SCOUT_FIRST, scout="1"))


def test_a_scout_whose_answer_was_slow_writes_what_can_be_read(redis: Any) -> None:
    look = after_post(replace(SENT, sent_at=NOW - 3600.0), Accepted("7"), MOMENT).look
    assert look
    redis.hset("mc:{acme}:looks", "20", dump_look(look[1]))
    assert Ledger(redis, "acme", Tuning()).organisation.job_lengths(now=NOW).looks == {20: look[1]}
    late = after_status(running(3600.0, wait=3600.0), RUNS, replace(MOMENT, look=look[1])).look
    assert late
    assert load_looks({"20": dump_look(late[1])}) == {20: late[1]}


def test_other_jobs_are_looked_at_after_the_scout_has_been() -> None:
    decision = after_post(replace(SENT, id="2"), Accepted("8"), replace(MOMENT, look=SCOUTING))
    assert decision.look is None
    assert decision.chunk.due_at == pytest.approx(SCOUTING.at + AFTER_SCOUT)


def test_a_scout_that_finds_its_job_at_work_comes_back_ever_later_and_says_when() -> None:
    decision = after_status(running(1.2, wait=1.0), RUNS, replace(MOMENT, look=SCOUTING))
    age = SCOUT_GROWTH * 1.0
    assert decision.chunk.due_at == pytest.approx(NOW - 1.2 + age)
    assert decision.look
    before, learnt = decision.look
    assert (before, learnt.scout) == (SCOUTING, "1")
    assert learnt.seconds == pytest.approx(age)
    assert learnt.at == pytest.approx(NOW - 1.2 + age)


def test_what_the_scout_finds_is_known_to_all() -> None:
    learnt = after_status(running(1.25, wait=1.0), ENDED, replace(MOMENT, look=SCOUTING)).look
    assert learnt == (SCOUTING, Look(1.2, NOW, soon=1.0, soon_at=NOW))


def test_a_scout_whose_job_takes_long_gives_way_to_another() -> None:
    look = Look(SCOUT_LONG, at=NOW, scout="1")
    chunk = running(SCOUT_LONG + 0.2, wait=SCOUT_LONG)
    decision = after_status(chunk, RUNS, replace(MOMENT, look=look))
    assert decision.look
    given = decision.look[1]
    assert given.scout == OPEN
    assert given.seconds == pytest.approx(SCOUT_GROWTH * SCOUT_LONG)
    assert decision.chunk.due_at > given.at + 2 * AFTER_SCOUT  # another is there first
    # One that is as old becomes the scout, and looks at once; one that is younger waits until it is.
    then = replace(MOMENT, now=given.at + AFTER_SCOUT, look=given)
    other = replace(chunk, id="2", sent_at=chunk.sent_at + 0.3)
    taken_over = before_look(other, then)
    assert taken_over
    assert taken_over.look == (given, replace(given, at=then.now + TAKES_OVER, scout="2"))
    young = before_look(replace(other, sent_at=then.now - 1.0), then)
    assert young
    assert young.look is None
    assert young.chunk.due_at == pytest.approx(then.now - 1.0 + given.seconds)


def test_a_job_that_comes_up_while_the_scout_is_at_it_waits() -> None:
    later = before_look(running(1.2, id="2"), replace(MOMENT, look=SCOUTING))
    assert later
    assert (later.row, later.look) == (Row.LOOK_LATER, None)
    assert later.chunk.due_at == pytest.approx(SCOUTING.at + AFTER_SCOUT)
    assert before_look(running(1.2), replace(MOMENT, look=SCOUTING)) is None  # the scout itself


def test_a_scout_that_was_lost_is_followed_by_another() -> None:
    late = replace(MOMENT, look=replace(SCOUTING, at=NOW - LOST))
    assert before_look(running(60.0, id="3"), late) is None  # so long after, any look tells
    taken_over = before_look(running(10.0, id="2"), late)
    assert taken_over
    assert taken_over.look == (late.look, replace(SCOUTING, at=NOW + TAKES_OVER, scout="2"))


@pytest.mark.parametrize("scout", [OPEN, "1"])
def test_a_place_that_nobody_has_keeps_no_job_waiting(scout: str) -> None:
    """However long ago it was left: an organisation may have been idle for a day."""
    left = replace(MOMENT, look=replace(SCOUTING, at=NOW - 86_400.0, scout=scout))
    assert taken(left, replace(SENT, id="2")) == pytest.approx(SCOUTING.seconds)


def test_a_scout_whose_job_zoho_does_not_know_yet_comes_back_ever_later_too() -> None:
    decision = after_status(running(1.2, wait=1.0), UNKNOWN, replace(MOMENT, look=SCOUTING))
    assert decision.row is Row.JOB_UNKNOWN_YET
    assert decision.look == after_status(running(1.2, wait=1.0), RUNS, replace(MOMENT, look=SCOUTING)).look


def test_a_scout_that_learns_nothing_gives_its_place_up() -> None:
    decision = after_status(running(1.2, wait=1.0), Refused(500, "INTERNAL_ERROR", ""), replace(MOMENT, look=SCOUTING))
    assert decision.look == (SCOUTING, replace(SCOUTING, at=NOW, scout=OPEN))


def test_looks_that_were_planned_before_the_lesson_are_moved() -> None:
    planned_early = running(1.0, id="2")
    later = before_look(planned_early, BUSY)
    assert later
    assert later.chunk.due_at == pytest.approx(NOW - 1.0 + KNOWN.soon)
    assert before_look(running(3.0, id="2"), BUSY) is None
    assert before_look(replace(planned_early, due_at=NOW + 1.95), BUSY) is None  # it was planned with the lesson
    assert before_look(replace(planned_early, outages=1), BUSY) is None
    assert before_look(planned_early, MOMENT) is None


# --- in the ledger ----------------------------------------------------------------------------------------------------


@pytest.fixture
def redis() -> Any:
    return fakeredis.FakeRedis(decode_responses=True)


def test_what_was_learnt_is_read_again_after_a_moment_and_not_at_each_decision(redis: Any) -> None:
    organisation = Ledger(redis, "acme", Tuning()).organisation
    redis.hset("mc:{acme}:looks", "50", dump_look(KNOWN))
    assert organisation.job_lengths(now=NOW).looks == {50: KNOWN}
    redis.hset("mc:{acme}:looks", "5", dump_look(KNOWN))
    redis.rpush("mc:{acme}:jobtimes", *range(10))
    redis.zadd("mc:{acme}:inboxes", {"f": NOW - 1})
    assert organisation.job_lengths(now=NOW + 0.2).looks == {50: KNOWN}
    found = organisation.job_lengths(now=NOW + 0.25)
    assert found.looks == {5: KNOWN, 50: KNOWN}
    assert found.times == tuple(float(time) for time in range(10))
    assert not found.idle


SCOUTING_LENGTHS = JobLengths(looks={5: SCOUTING, 50: KNOWN})


def test_while_nothing_is_known_it_is_read_again_much_sooner(redis: Any) -> None:
    organisation = Ledger(redis, "acme", Tuning()).organisation
    assert organisation.job_lengths(now=NOW).looks == {}
    redis.hset("mc:{acme}:looks", "5", dump_look(SCOUTING))
    assert organisation.job_lengths(now=NOW + 0.04).looks == {5: SCOUTING}
    redis.hset("mc:{acme}:looks", "5", dump_look(KNOWN))
    assert organisation.job_lengths(now=NOW + 0.08).looks == {5: KNOWN}
    assert SCOUTING_LENGTHS.fresh(SCOUTING.at) < 0.1 < SCOUTING_LENGTHS.fresh(SCOUTING.at + LOST)


def test_leads_that_wait_for_company_leave_the_organisation_idle(redis: Any) -> None:
    organisation = Ledger(redis, "acme", Tuning()).organisation
    redis.zadd("mc:{acme}:inboxes", {"f": NOW + 1})
    assert organisation.job_lengths(now=NOW).idle
    assert not organisation.job_lengths(now=NOW + 1).idle


@pytest.mark.parametrize("look", [Look(2.0), Look(2.0, 1.5), KNOWN, SCOUTING, replace(KNOWN, row=3)])
def test_what_was_learnt_comes_back_as_it_was(look: Look) -> None:
    assert load_looks({"50": dump_look(look)}) == {50: look}


def test_what_an_older_version_learnt_is_written_back_as_it_stands() -> None:
    """Else nothing could be learnt from then on: what is written is compared with what stands there."""
    old = "[2.0, 1799999999.5, 1]"
    assert dump_look(load_looks({"50": old})[50]) == old


@pytest.mark.parametrize(
    "junk",
    ["", "soon", "[]", "[1]", "[-1, 0, 0]", "[1e999, 0, 0]", '["x", 0, 1]', "{}", "[1, 0, 1, -1]", "[1,0,1,1,0,0,0,0]"],
)
def test_a_look_that_was_tampered_with_is_learnt_anew(redis: Any, junk: str) -> None:
    redis.hset("mc:{acme}:looks", mapping={"5": junk, "50": dump_look(KNOWN)})
    organisation = Ledger(redis, "acme", Tuning()).organisation
    assert organisation.job_lengths(now=NOW).looks == {}
    assert redis.exists("mc:{acme}:looks") == 0
