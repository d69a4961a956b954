"""What the scripts count: each end once, each call once, and what came in a quarter of an hour on its day."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.ledger.days import DAY, QUARTER
from massconvert.model import Accepted, Call, Code, Kind, NotSent, Outcome, PerhapsAccepted, Refused, Unsent
from massconvert.policy import Permit
from massconvert.store import connect
from massconvert.zoho.governor import Governor
from tests.integration.books import FINGERPRINT, NOW, OPTIONS, TUNING, Books, leads
from tests.stand_ins import Clock

pytestmark = pytest.mark.integration

LATER = NOW + TUNING.linger
NEXT = (NOW // QUARTER + 1) * QUARTER


def totals(books: Books) -> dict[str, int]:
    return dict(books.ledger.days.totals().counted.numbers)


def test_each_end_of_a_lead_is_counted_where_it_is_written(books: Books) -> None:
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=4)
    books.redis.hset(books.keys.options(FINGERPRINT), "accepted", 1)
    for _ in range(2):  # the same call once more changes nothing
        books.batches.add("b", "b:0", leads(4), now=NOW)
        books.batches.refuse_ids("b", {"x": "is none"}, now=NOW)
    books.batches.open("other", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    books.batches.add("other", "other:0", leads(1), now=NOW)
    books.batches.seal("b", now=NOW, flush=True)
    (formed,) = books.form()
    one, two, three, four = leads(4)
    refused = Outcome(Kind.FAILED, "INVALID_DATA", "no", "", 1)
    books.end(formed, {one: Outcome(Kind.CONVERTED), two: Outcome(Kind.CONVERTED), three: refused, four: refused})
    counted = books.ledger.days.totals().counted
    assert counted.enqueued == 6
    assert counted.ended == {
        ("converted", ""): 2,
        ("failed", "INVALID_DATA"): 2,
        ("failed", Code.INVALID_ID): 1,
        ("skipped", Code.ALREADY_QUEUED): 1,
    }
    assert counted.outcomes == {"converted": 2, "failed": 3, "skipped": 1}
    assert counted.rows == {"accepted": 1, "settled": 1}
    assert counted.payloads.number == 1
    assert counted.payloads.seconds == pytest.approx(TUNING.poll_cap)
    assert books.ledger.days.totals().ended_at == pytest.approx(LATER + TUNING.poll_cap)


def test_what_is_cancelled_is_counted(books: Books) -> None:
    books.batch("b", leads(60), seal=False, flush=False)
    books.form()
    books.batches.cancel("b", now=LATER)
    while books.chunks.drain(now=LATER):
        pass
    assert books.ledger.days.totals().counted.outcomes == {"cancelled": 60}


def test_a_quarter_is_written_on_its_day_when_a_later_one_begins(books: Books) -> None:
    books.batch("b", leads(3))
    (formed,) = books.form()
    books.convert(formed)
    books.redis.hset(books.keys.credits, "left", 4200)
    began = int(NOW // QUARTER) * QUARTER
    (now,) = books.ledger.days.read(NOW - DAY, NOW + DAY)
    assert (now.began, now.counted.enqueued, now.credits_left) == (began, 3, None)
    assert not books.redis.exists(books.keys.day(int(NOW // DAY)))
    books.batch("c", leads(2, 10), now=NEXT + 2 * QUARTER)
    first, last = books.ledger.days.read(NOW - DAY, NOW + DAY)
    assert (first.began, first.credits_left) == (began, 4200)
    assert first.counted.numbers == now.counted.numbers
    assert (last.began, last.counted.numbers) == (int(NEXT + 2 * QUARTER), {"enqueued|": 2})
    assert 399 * DAY < books.redis.ttl(books.keys.day(int(NOW // DAY))) <= 400 * DAY
    assert books.ledger.days.read(NEXT, NEXT + QUARTER) == []


def test_a_clock_that_is_put_back_counts_in_the_quarter_that_it_was(books: Books) -> None:
    books.batch("b", leads(1), now=NEXT)
    books.batch("c", leads(1, 5), now=NOW)
    (only,) = books.ledger.days.read(NOW - DAY, NOW + DAY)
    assert (only.began, only.counted.enqueued) == (NEXT, 2)


def test_a_server_that_invents_codes_fills_no_memory(books: Books) -> None:
    codes = {f"lead|failed|CODE_{number}": 1 for number in range(400)}
    books.redis.hset(books.keys.counts, mapping={**codes, "names": 400})
    for number in range(2):
        books.batch(f"b{number}", leads(1, 1 + number))
        (formed,) = books.form()
        (lead,) = leads(1, 1 + number)
        books.end(formed, {lead: Outcome(Kind.FAILED, f"NEW_{number}", "", "", 1)})
    ended = books.ledger.days.totals().counted.ended
    assert ended["failed", "other"] == 2
    assert ended["failed", "CODE_7"] == 1
    assert not [code for _, code in ended if code.startswith("NEW")]


# --- the permits: take_permit and return_permit


class Calls:
    """A governor of the account, and what it has counted."""

    def __init__(self, url: str, books: Books) -> None:
        self.clock, self.books = Clock(NOW), books
        self.governor = Governor(connect(url), books.keys, self.clock, limit=2, ask_org=self.none, wait=0.0, lease=75.0)

    def none(self) -> Any:
        raise AssertionError("the limit is given")

    def take(self, call: Call) -> Permit:
        permit = self.governor.acquire(call)
        assert isinstance(permit, Permit)
        return permit

    @property
    def counted(self) -> dict[tuple[str, str], int]:
        return self.books.ledger.days.totals().counted.calls


@pytest.fixture
def calls(redis_url: str, books: Books) -> Calls:
    return Calls(redis_url, books)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Accepted("7"), "ok"),
        (Refused(400, "INVALID_DATA", "no"), "refused"),
        (Refused(429, "TOO_MANY_REQUESTS", "slow"), "throttled"),
        (PerhapsAccepted("HTTP 502"), "broken"),
        (NotSent(Unsent.CONNECT, "refused"), "not_sent"),
        (None, "none"),
    ],
)
def test_a_call_is_counted_once_by_its_answer(calls: Calls, answer: Any, word: str) -> None:
    permit = calls.take(Call.EXPRESS)
    assert calls.counted == {}
    calls.clock.time += 1.5
    for _ in range(2):
        calls.governor.release(permit, answer)
    assert calls.counted == {("express", word): 1}
    took = calls.books.ledger.days.totals().counted.call_times
    assert ("express" in took) == (word != "none")
    assert all(each == (1, 1.5) for each in took.values())


def test_nobody_knows_the_answer_to_a_call_whose_worker_died_and_it_is_counted_as_such(calls: Calls) -> None:
    dead = calls.take(Call.POST)
    calls.clock.time += 76.0
    calls.take(Call.STATUS)
    calls.governor.release(dead, Accepted("7"))  # it lived after all, and came too late
    assert calls.counted == {("post", "unknown"): 1}


def test_who_finds_no_permit_is_counted(calls: Calls) -> None:
    for _ in range(2):
        calls.take(Call.READ)
    calls.governor.acquire(Call.READ)
    assert calls.books.ledger.days.totals().counted.full == 1
