"""Who goes next: a bounded window, interactive leads with the next payload, bulk in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from massconvert.ledger.codec import segments
from massconvert.model import Priority, Refused
from massconvert.policy import Moment, after_post
from massconvert.producer.intake import Intake
from tests.integration.books import FINGERPRINT, NOW, OPTIONS, OTHER_FINGERPRINT, TUNING, Books, leads
from tests.stand_ins import Clock, Told

pytestmark = pytest.mark.integration

URGENT = str(3652397000009990001)
LATER = NOW + TUNING.linger


def with_window(books: Books, **bounds: int) -> Books:
    """The same account under other bounds."""
    return Books(books.redis, books.keys.account, replace(TUNING, **bounds))  # type: ignore[arg-type]  # fields that are numbers


def of_batches(books: Books, chunk_id: str) -> dict[str, int]:
    """How many leads of each batch a chunk holds."""
    members = books.redis.hget(books.keys.chunk(chunk_id), "members")
    return {batch: len(ids) for batch, ids in segments(members)}


def one_at_a_time(books: Books, count: int, now: float = LATER) -> Iterator[str]:
    """So many chunks, each formed when the one before it has been sent."""
    for number in range(count):
        (chunk_id,) = books.chunks.form(now=now + number / 1000, most=1).chunk_ids
        books.accept(chunk_id, now=now + number / 1000)
        yield chunk_id


def test_a_bulk_batch_leaves_the_window_and_the_queues_short(books: Books) -> None:
    """A message when a chunk can be formed, none for the slices after it; and no more chunks than the window takes."""
    told = Told()
    intake = Intake(books.ledger, Clock(NOW), told)  # type: ignore[arg-type]  # the one message that an intake sends
    intake.take(leads(20_000), OPTIONS, key="bulk")
    assert len(told.countdowns) <= 3
    fingerprint = books.redis.hget(books.keys.batch("bulk"), "fp")
    books.redis.hset(books.keys.options(fingerprint), "accepted", 1)
    formed = books.chunks.form(now=LATER)
    assert (len(formed.chunk_ids), formed.full) == (TUNING.window, True)
    assert books.form() == ()


def test_jobs_that_run_have_a_bound_of_their_own(books: Books) -> None:
    books = with_window(books, window=2, max_jobs=3)
    books.batch("bulk", leads(500))
    assert len(list(one_at_a_time(books, 3))) == 3
    assert books.chunks.form(now=LATER).full


def test_an_interactive_lead_goes_with_the_next_payload_of_the_same_options(books: Books) -> None:
    books.batch("bulk", leads(500))
    list(one_at_a_time(books, 2))
    books.batch("one", [URGENT], now=LATER, priority=Priority.INTERACTIVE)
    (chunk_id,) = one_at_a_time(books, 1)
    assert of_batches(books, chunk_id) == {"one": 1, "bulk": 49}
    chunk = books.claim(chunk_id, now=LATER + 10 * TUNING.lease)
    assert (chunk.leads[0], chunk.express) == (URGENT, True)


def test_only_payloads_with_interactive_leads_overtake_on_their_way(books: Books) -> None:
    """Also when such a lead only fills up a payload of others, or is in the half that was split off."""
    books.batch("bulk", leads(75))
    (plain,) = books.chunks.form(now=LATER, most=1).chunk_ids
    books.batch("one", [URGENT], now=LATER, priority=Priority.INTERACTIVE)
    books.redis.set(books.keys.overtaken, 3)  # it is the turn of others, and they have room
    (mixed,) = books.chunks.form(now=LATER, most=1).chunk_ids
    assert of_batches(books, mixed) == {"bulk": 25, "one": 1}
    assert not books.claim(plain, now=LATER).express
    chunk = books.send(mixed, now=LATER)
    assert chunk.express
    too_many = after_post(
        chunk, Refused(400, "RECORD_LIMIT_EXCEEDED", "too many"), Moment(now=LATER, chance=0.0, tuning=TUNING)
    )
    moved = books.chunks.move(chunk, too_many, now=LATER)
    assert moved is not None
    assert books.claim(moved.siblings[0], now=LATER).express


def test_an_interactive_lead_with_other_options_is_next_once_it_has_waited_for_company(books: Books) -> None:
    """Though a hundred kinds of bulk have waited for longer."""
    for number in range(100):
        books.batch(f"bulk-{number}", leads(200, 200 * number), fingerprint=f"{number:016}")
    other = OTHER_FINGERPRINT[:-1] + "f"
    books.batch("one", [URGENT], fingerprint=other, priority=Priority.INTERACTIVE, flush=False)
    (before,) = one_at_a_time(books, 1, now=LATER - 0.01)
    assert "one" not in of_batches(books, before)
    (chunk_id,) = one_at_a_time(books, 1, now=LATER)
    assert of_batches(books, chunk_id) == {"one": 1}


def test_a_full_window_does_not_hold_up_interactive_leads(books: Books) -> None:
    """They may exceed it, and the bound of jobs, by a few payloads; bulk may not."""
    books = with_window(books, window=2, max_jobs=2, express=1)
    books.batch("bulk", leads(500))
    assert len(books.form()) == 2
    books.batch("one", [URGENT], fingerprint=OTHER_FINGERPRINT, priority=Priority.INTERACTIVE)
    (chunk_id,) = books.form()
    assert of_batches(books, chunk_id) == {"one": 1}
    books.batch("two", [str(int(URGENT) + 1)], fingerprint=OTHER_FINGERPRINT, priority=Priority.INTERACTIVE)
    assert books.form(LATER + TUNING.linger) == ()


def test_the_workers_are_told_of_an_interactive_lead_though_bulk_waits_already(books: Books) -> None:
    books.batch("bulk", leads(500))
    books.batches.open("one", FINGERPRINT, OPTIONS, now=NOW, leads=1, priority=Priority.INTERACTIVE)
    assert books.batches.add("one", "one:0", [URGENT], now=NOW).nudge_in == 0.0
    assert books.batches.add("bulk", "bulk:1", leads(50, 600), now=NOW).nudge_in is None


@pytest.mark.parametrize("fingerprint", [FINGERPRINT, OTHER_FINGERPRINT])
def test_a_flood_of_interactive_leads_leaves_one_payload_in_four_to_bulk(books: Books, fingerprint: str) -> None:
    """Otherwise an app that enqueues lead by lead would keep a bulk batch waiting for ever."""
    books.batch("bulk", leads(1000))
    books.batch("flood", leads(1000, 5000), fingerprint=fingerprint, priority=Priority.INTERACTIVE)
    found = [of_batches(books, chunk_id) for chunk_id in one_at_a_time(books, 12)]
    assert found == [{"flood": 50}, {"flood": 50}, {"flood": 50}, {"bulk": 50}] * 3


def test_bulk_batches_with_the_same_options_take_turns(books: Books) -> None:
    for number in range(5):
        books.batch(f"b{number}", leads(500, 500 * number))
    served = Counter(name for chunk in one_at_a_time(books, 20) for name in of_batches(books, chunk))
    assert set(served.values()) == {4}


def test_bulk_batches_with_a_hundred_kinds_of_options_take_turns(books: Books) -> None:
    books = with_window(books, max_jobs=1000)
    for number in range(100):
        books.batch(f"b{number}", leads(200, 200 * number), fingerprint=f"{number:016}", now=NOW + number / 1e4)
    served = [name for chunk in one_at_a_time(books, 300) for name in of_batches(books, chunk)]
    for turn in range(3):
        assert len(set(served[100 * turn : 100 * turn + 100])) == 100


def test_options_that_were_never_accepted_go_out_one_payload_at_a_time_interactive_or_not(books: Books) -> None:
    books.batch("bulk", leads(500), accepted=False)
    books.batch("one", [URGENT], priority=Priority.INTERACTIVE, accepted=False)
    (chunk_id,) = books.form()
    assert of_batches(books, chunk_id) == {"one": 1, "bulk": 49}
    assert books.form() == ()
    books.accept(chunk_id)
    assert len(books.form()) == 10


def test_what_went_with_the_express_leaves_nothing_behind(books: Books) -> None:
    books.batch("one", [URGENT], priority=Priority.INTERACTIVE)
    books.convert(*books.form())
    books.form(LATER + TUNING.linger)
    for name in ("express", "inboxes", f"express:{FINGERPRINT}", f"queue:{FINGERPRINT}", "unsent"):
        assert not books.redis.exists(books.keys.prefix + name)


def test_a_batch_is_interactive_by_its_size_unless_its_producer_says_otherwise(books: Books) -> None:
    intake = Intake(books.ledger, Clock(NOW), Told())  # type: ignore[arg-type]  # as above
    for name, count, wanted in (("few", 10, None), ("many", 11, None), ("urgent", 11, Priority.INTERACTIVE)):
        intake.take(leads(count, 100 * count), OPTIONS, key=name, priority=wanted)
    found = {name: books.redis.hget(books.keys.batch(name), "priority") for name in ("few", "many", "urgent")}
    assert found == {"few": "interactive", "many": "bulk", "urgent": "interactive"}
