"""Holds and canaries: what of a batch waits, what goes, and how it goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from massconvert.errors import UnknownBatchError
from massconvert.model import (
    HELD_FOR_CANARY,
    Again,
    BatchState,
    Canary,
    CanaryCounts,
    Done,
    Kind,
    Outcome,
    Priority,
    State,
)
from massconvert.policy import Decision, Row
from tests.integration.books import FINGERPRINT, NOW, OPTIONS, TUNING, Books, leads

pytestmark = pytest.mark.integration

LATER = NOW + TUNING.linger
CONVERTED = Outcome(Kind.CONVERTED, job_id="91", attempts=1)
FAILED = Outcome(Kind.FAILED, "NOT_CONVERTED", "no")


def held(books: Books, batch: str) -> tuple[BatchState, str]:
    """What the status says of a hold."""
    status = books.batches.status(batch)
    return status.state, status.held


# --- hold_batch and release_batch


def test_nothing_of_a_held_batch_is_formed_and_others_go_on(books: Books) -> None:
    books.batch("b", leads(200))
    books.batch("other", leads(60, 500))
    assert books.batches.hold("b", "wrong stage", now=NOW)
    assert held(books, "b") == (BatchState.PAUSED, "wrong stage")
    assert held(books, "other") == (BatchState.RUNNING, "")
    formed = books.form()
    assert [set(books.claim(chunk).leads) <= set(leads(60, 500)) for chunk in formed] == [True, True]
    assert books.counts("b") == {"total": 200, "waiting": 200}


def test_leads_that_come_to_a_held_batch_wait_with_the_others(books: Books) -> None:
    books.batch("b", leads(3), seal=False)
    books.batches.hold("b", "", now=NOW)
    books.batches.hold("b", "why", now=NOW)
    assert books.batches.add("b", "b:1", leads(100, 50), now=NOW).nudge_in is None
    assert books.form() == ()
    books.batches.release("b", now=LATER)
    assert len(books.form()) == 2
    assert len(books.form(LATER + TUNING.linger)) == 1


def test_what_was_formed_and_not_sent_waits_and_leaves_the_window_to_others(books: Books) -> None:
    books.batch("b", leads(200))
    formed = books.form()
    taken = books.claim(formed[0])  # a worker waits for a permit with it
    books.batches.hold("b", "why", now=LATER)
    assert books.chunks.begin_send(taken, now=LATER) is None
    assert all(isinstance(books.try_claim(chunk), Done) for chunk in formed)
    assert books.chunks.overdue(now=LATER + 10_000) == []
    assert books.ledger.organisation.counts()["chunks_waiting"] == 0
    released = books.batches.release("b", now=LATER + 60)
    assert released.was_held
    assert sorted(released.chunk_ids) == sorted(formed)
    for chunk in formed:
        books.convert(chunk, now=LATER + 60)
    assert books.batches.status("b").finished


def test_a_payload_that_carries_leads_of_others_goes_unless_all_are_held(books: Books) -> None:
    books.batch("b", leads(20))
    books.batch("other", leads(20, 50))
    (chunk,) = books.form()
    books.batches.hold("b", "why", now=LATER)
    assert books.claim(chunk).leads == (*leads(20), *leads(20, 50))
    books.batches.hold("other", "why", now=LATER)
    assert isinstance(books.try_claim(chunk, now=LATER + 1000), Done)
    assert books.batches.release("other", now=LATER).chunk_ids == (chunk,)
    assert books.batches.release("b", now=LATER).chunk_ids == ()


def test_what_was_sent_is_followed_and_does_not_go_out_again_while_held(books: Books) -> None:
    """Unconverted leads would be sent once more; that waits for the release."""
    books.batch("b", leads(50))
    (chunk,) = books.form()
    books.accept(chunk)
    books.batches.hold("b", "why", now=LATER)
    running = books.claim(chunk, [State.RUNNING], now=LATER + 60)
    again = Decision(
        Row.UNCONVERTED_AGAIN,
        replace(running, state=State.WAITING, due_at=LATER + 90),
        Again(30.0),
        outcomes=dict.fromkeys(running.leads[:20], CONVERTED),
    )
    assert books.chunks.move(running, again, now=LATER + 60)
    assert books.counts("b") == {"total": 50, "converted": 20, "sent": 30}
    assert isinstance(books.try_claim(chunk, now=LATER + 1000), Done)
    assert books.batches.release("b", now=LATER + 70).chunk_ids == (chunk,)
    early = books.try_claim(chunk, now=LATER + 71)
    assert isinstance(early, Done | Again), "its backoff has not ended"
    assert books.claim(chunk, now=LATER + 91).leads == tuple(leads(50)[20:])


def test_a_chunk_that_tries_new_options_does_not_keep_others_waiting_while_it_is_held(books: Books) -> None:
    books.batch("b", leads(50), accepted=False)
    (probe,) = books.form()
    books.batch("other", leads(50, 100), accepted=False)
    books.batches.hold("b", "why", now=LATER)
    (next_probe,) = books.form()
    assert books.claim(next_probe).leads == tuple(leads(50, 100))
    assert isinstance(books.try_claim(probe), Done)


def test_a_held_batch_can_be_cancelled(books: Books) -> None:
    books.batch("b", leads(120))
    formed = books.form()
    books.accept(formed[0])
    books.batches.hold("b", "why", now=LATER)
    assert books.batches.cancel("b", now=LATER) == (70, 50)
    while books.chunks.drain(now=LATER):
        pass
    assert held(books, "b") == (BatchState.RUNNING, "")
    books.chunks.form(now=LATER)
    assert books.counts("b") == {"total": 120, "sent": 50, "cancelled": 70}


def test_cancelling_one_batch_of_a_payload_leaves_the_other_held(books: Books) -> None:
    books.batch("b", leads(20))
    books.batch("other", leads(20, 50))
    (chunk,) = books.form()
    for name in ("b", "other"):
        books.batches.hold(name, "why", now=LATER)
    assert books.batches.cancel("b", now=LATER) == (20, 0)
    assert isinstance(books.try_claim(chunk), Done)
    assert books.batches.release("other", now=LATER).chunk_ids == (chunk,)
    assert books.claim(chunk).leads == tuple(leads(20, 50))


def test_holding_and_releasing_are_safe_to_repeat(books: Books) -> None:
    books.batch("b", leads(120))
    books.form()
    for _ in range(2):
        assert books.batches.hold("b", "why", now=LATER)
    with books.watching() as changed:
        books.batches.hold("b", "why", now=LATER + 5)
    assert changed == {}
    assert books.batches.release("b", now=LATER).was_held
    with books.watching() as changed:
        assert not books.batches.release("b", now=LATER + 5).was_held
    assert changed == {}
    assert books.redis.hget(books.keys.options(FINGERPRINT), "waiting") == "0"


def test_the_first_person_their_reason_and_when_they_held_it_stand_until_it_is_released(books: Books) -> None:
    books.batch("b", leads(60))
    books.batches.hold("b", "wrong stage", by="ann@laptop", now=NOW)
    books.batches.hold("b", "", by="bob@laptop", now=LATER)
    status = books.batches.status("b")
    assert (status.held, status.held_by, status.held_since) == ("wrong stage", "ann@laptop", NOW)
    books.batches.release("b", now=LATER)
    status = books.batches.status("b")
    assert (status.held, status.held_by, status.held_since) == ("", "", None)
    books.batches.hold("b", "", by="bob@laptop", now=LATER)
    books.batches.cancel("b", now=LATER)
    assert books.redis.hmget(books.keys.batch("b"), "held", "held_by", "held_at") == [None, None, None]


def test_there_is_nothing_to_hold_of_a_batch_that_has_finished_or_was_cancelled(books: Books) -> None:
    books.batch("done", leads(5))
    books.convert(*books.form())
    books.batch("gone", leads(60, 100))
    books.batches.cancel("gone", now=LATER)
    for name in ("done", "gone"):
        assert not books.batches.hold(name, "why", now=LATER)
        assert books.batches.status(name).held == ""


def test_a_batch_that_does_not_exist_is_told(books: Books) -> None:
    with pytest.raises(UnknownBatchError):
        books.batches.hold("nobody", "why", now=NOW)
    with pytest.raises(UnknownBatchError):
        books.batches.release("nobody", now=NOW)


# --- canaries: form_chunks and move_chunk


def canary(books: Books, max_failed: float | None, *, count: int = 300, ahead: int = 50) -> str:
    """A batch with a canary of so many leads, which is on its way; the chunk of it."""
    books.batch("b", leads(count), canary=Canary(ahead, max_failed))
    (chunk,) = books.form()
    return chunk


def end(books: Books, chunk: str, failed: int) -> None:
    """The canary's end: so many leads failed."""
    ids = books.redis.hget(books.keys.chunk(chunk), "members").partition("=")[2].split(",")
    books.end(chunk, {lead: FAILED if number < failed else CONVERTED for number, lead in enumerate(ids)})


def test_only_the_canary_goes_ahead_and_the_batch_waits(books: Books) -> None:
    chunk = canary(books, None)
    assert held(books, "b") == (BatchState.PAUSED, HELD_FOR_CANARY)
    assert books.form() == ()
    end(books, chunk, 0)
    assert books.form(LATER + 100) == ()
    assert books.batches.status("b").canary == CanaryCounts(50, 50, 0)
    assert books.counts("b") == {"total": 300, "converted": 50, "waiting": 250}
    assert books.batches.release("b", now=LATER + 100).was_held
    assert len(books.form(LATER + 100)) == 5


@pytest.mark.parametrize(("failed", "goes_on"), [(0, True), (2, True), (3, False), (50, False)])
def test_it_goes_on_by_itself_when_few_enough_of_its_canary_failed(books: Books, failed: int, goes_on: bool) -> None:
    chunk = canary(books, 5.0)  # 5 per cent of 50 are 2.5
    end(books, chunk, failed)
    assert books.batches.status("b").canary == CanaryCounts(50, 50, failed)
    assert held(books, "b") == ((BatchState.RUNNING, "") if goes_on else (BatchState.PAUSED, HELD_FOR_CANARY))
    assert len(books.form(LATER + 100)) == (5 if goes_on else 0)


def test_a_canary_travels_alone(books: Books) -> None:
    """With others' leads beside it, a fault of theirs would look like one of the canary's."""
    books.batch("first", leads(10, 900))
    books.batch("b", leads(300), canary=Canary(20))
    books.batch("last", leads(10, 950))
    found = [books.claim(chunk).leads for chunk in books.form()]
    found += [books.claim(chunk, now=LATER + 10).leads for chunk in books.form(LATER + TUNING.linger)]
    assert tuple(leads(20)) in found
    assert sum(len(ids) for ids in found) == 40


def test_a_canary_of_several_payloads_is_sent_as_a_whole_before_it_is_judged(books: Books) -> None:
    books.batch("b", leads(300), canary=Canary(120, 0.0))
    formed = books.form()
    assert [len(books.claim(chunk).leads) for chunk in formed] == [50, 50, 20]
    for chunk in formed:
        books.redis.hdel(books.keys.chunk(chunk), "lease")
    for number, chunk in enumerate(formed):
        assert held(books, "b")[1] == HELD_FOR_CANARY
        end(books, chunk, 0)
        assert (held(books, "b")[1] == "") == (number == 2)


def more(books: Books, first: int, count: int = 100) -> None:
    """The producer comes back with more leads, after its batch was sealed."""
    books.batch("b", leads(count, first), now=LATER + 50, call=f"more {first}")


@pytest.mark.parametrize("failed", [0, 3])
def test_what_comes_while_the_whole_batch_is_a_canary_on_its_way_waits_for_it(books: Books, failed: int) -> None:
    chunk = canary(books, 5.0, count=50)
    assert held(books, "b") == (BatchState.RUNNING, "")  # there is nothing to hold
    more(books, 51)
    assert held(books, "b") == (BatchState.PAUSED, HELD_FOR_CANARY)
    assert books.form(LATER + 100) == ()
    end(books, chunk, failed)
    assert len(books.form(LATER + 200)) == (2 if failed == 0 else 0)


def test_what_comes_after_a_batch_that_ended_as_a_canary_goes_as_that_ended(books: Books) -> None:
    """It ended well: it goes. It did not: a person lets it go, once for all that comes."""
    chunk = canary(books, 5.0, count=50)
    end(books, chunk, 3)
    more(books, 51)
    assert held(books, "b") == (BatchState.PAUSED, HELD_FOR_CANARY)
    assert books.batches.release("b", now=LATER + 100).was_held
    assert len(books.form(LATER + 100)) == 2
    more(books, 151)
    assert held(books, "b") == (BatchState.RUNNING, "")


def test_a_canary_that_waits_to_be_sent_again_is_not_held_by_its_own_hold(books: Books) -> None:
    chunk = canary(books, None)
    assert books.claim(chunk, now=LATER + 1).leads == tuple(leads(50))


def test_a_batch_that_a_person_held_in_its_canary_is_behind_its_canary_again(books: Books) -> None:
    chunk = canary(books, 0.0)
    books.batches.hold("b", "a person", now=LATER)
    assert held(books, "b")[1] == "a person"
    assert isinstance(books.try_claim(chunk), Done)
    assert books.batches.release("b", now=LATER).chunk_ids == (chunk,)
    assert held(books, "b") == (BatchState.PAUSED, HELD_FOR_CANARY)
    assert books.form(LATER + 10) == ()
    end(books, chunk, 0)
    assert held(books, "b") == (BatchState.RUNNING, "")
    assert len(books.form(LATER + 100)) == 5


def test_a_canary_whose_first_payload_was_held_goes_on_with_its_second(books: Books) -> None:
    tuning = replace(TUNING, window=1)
    books.chunks._tuning = tuning
    books.batch("b", leads(300), canary=Canary(70))
    (first,) = books.form()
    books.batches.hold("b", "a person", now=LATER)
    books.batches.release("b", now=LATER)
    books.accept(first)
    (second,) = books.form(LATER + 10)
    assert len(books.claim(second, now=LATER + 10).leads) == 20
    assert held(books, "b")[1] == HELD_FOR_CANARY


@pytest.mark.parametrize("failed", [0, 50])
def test_the_hold_of_a_person_outlives_the_end_of_the_canary_and_then_one_resume_is_enough(
    books: Books, failed: int
) -> None:
    chunk = canary(books, 0.0)
    books.accept(chunk)
    books.batches.hold("b", "a person", now=LATER)
    running = books.claim(chunk, now=LATER + TUNING.poll_cap)
    outcomes = {lead: FAILED if number < failed else CONVERTED for number, lead in enumerate(running.leads)}
    ended = Decision(Row.SETTLED, replace(running, state=State.DONE), Done(), outcomes=outcomes)
    assert books.chunks.move(running, ended, now=LATER + TUNING.poll_cap)
    assert held(books, "b")[1] == "a person"
    assert books.form(LATER + 100) == ()
    books.batches.release("b", now=LATER + 100)
    assert held(books, "b") == (BatchState.RUNNING, "")
    assert len(books.form(LATER + 100)) == 5


def test_a_canary_that_is_on_its_way_cannot_be_skipped_so_that_resuming_twice_is_resuming_once(books: Books) -> None:
    canary(books, None)
    books.batches.hold("b", "a person", now=LATER)
    assert [books.batches.release("b", now=LATER).was_held for _ in range(2)] == [True, False]
    assert held(books, "b")[1] == HELD_FOR_CANARY
    assert books.form(LATER + 10) == ()


def test_a_person_whose_reason_is_the_word_canary_holds_the_canary_too(books: Books) -> None:
    chunk = canary(books, None)
    books.batches.hold("b", "canary", now=LATER)
    assert isinstance(books.try_claim(chunk), Done)


def test_a_hold_for_a_canary_as_an_older_version_wrote_it_is_one(books: Books) -> None:
    chunk = canary(books, 0.0)
    key = books.keys.batch("b")
    books.redis.hdel(key, "canary_held")
    books.redis.hset(key, mapping={"held": "canary", "held_at": LATER})
    assert held(books, "b")[1] == HELD_FOR_CANARY
    assert books.claim(chunk, now=LATER + 1).leads == tuple(leads(50))
    books.redis.hdel(books.keys.chunk(chunk), "lease", "token")
    end(books, chunk, 0)
    assert held(books, "b") == (BatchState.RUNNING, "")
    assert len(books.form(LATER + 100)) == 5


def test_a_batch_no_larger_than_its_canary_just_finishes(books: Books) -> None:
    chunk = canary(books, None, count=30)
    assert held(books, "b") == (BatchState.RUNNING, "")
    end(books, chunk, 30)
    assert books.batches.status("b").finished


def test_a_canary_is_formed_from_a_batch_that_is_still_being_filled(books: Books) -> None:
    books.batch("b", leads(30), seal=False, canary=Canary(50))
    (first,) = books.form()
    books.batches.add("b", "b:1", leads(300, 100), now=LATER)
    (second,) = books.form(LATER + TUNING.linger)
    assert [len(books.claim(chunk, now=LATER + 5).leads) for chunk in (first, second)] == [30, 20]
    assert held(books, "b")[1] == HELD_FOR_CANARY
    assert books.form(LATER + 100) == ()


def test_the_same_key_again_does_not_send_a_second_canary(books: Books) -> None:
    """An interrupted enqueue goes on; what it said first holds."""
    chunk = canary(books, 0.0)
    books.batches.open("b", FINGERPRINT, OPTIONS, now=LATER, leads=300, priority=Priority.BULK, canary=Canary(50))
    end(books, chunk, 0)
    assert held(books, "b") == (BatchState.RUNNING, "")
    assert books.batches.status("b").canary == CanaryCounts(50, 50, 0)


def test_ids_that_are_none_do_not_count_as_failures_of_the_canary(books: Books) -> None:
    chunk = canary(books, 0.0)
    books.batches.refuse_ids("b", {"abc": "is not a string of digits"}, now=LATER)
    end(books, chunk, 0)
    assert held(books, "b") == (BatchState.RUNNING, "")
