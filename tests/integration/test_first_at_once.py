"""The first lead into a quiet inbox goes at once; what follows it waits for company, so a stream makes few payloads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from massconvert.model import Priority
from massconvert.policy import Tuning
from tests.integration.books import FINGERPRINT, NOW, OPTIONS, OTHER_FINGERPRINT, Books, leads

TUNING = Tuning()
LINGER, QUIET = TUNING.linger, 2 * TUNING.linger


@pytest.fixture
def books(redis_client: Any, account: str) -> Books:
    return Books(redis_client, account, TUNING)


def come(books: Books, number: int, at: float, *, count: int = 1, fingerprint: str = FINGERPRINT) -> float | None:
    """A batch of its own with the ``number``-th lead, and those after it; when workers are to look, in seconds."""
    books.batches.open(f"b{number}", fingerprint, OPTIONS, now=at, leads=count, priority=Priority.INTERACTIVE)
    books.redis.hset(books.keys.options(fingerprint), "accepted", 1)
    return books.batches.add(f"b{number}", "call", leads(count, number), now=at).nudge_in


def payloads(books: Books, at: float) -> list[int]:
    """How many leads are in each payload that can be formed."""
    return [len(books.claim(chunk, now=at).leads) for chunk in books.form(at)]


def test_add_leads_lets_the_first_lead_into_a_quiet_inbox_go_at_once(books: Books) -> None:
    assert come(books, 1, NOW) == 0.0
    assert payloads(books, NOW) == [1]


def test_add_leads_has_what_follows_wait_and_travel_together(books: Books) -> None:
    come(books, 1, NOW)
    assert payloads(books, NOW) == [1]
    assert come(books, 2, NOW + 0.5) == LINGER
    assert come(books, 3, NOW + 1.5) == pytest.approx(LINGER - 1.0)
    assert payloads(books, NOW + 0.5 + LINGER - 0.01) == []
    assert payloads(books, NOW + 0.5 + LINGER) == [2]


def of_a_stream(books: Books, first: int, apart: float) -> int:
    """How many payloads 24 s of single leads make that come so many seconds apart."""
    made, times = 0, [number * apart for number in range(int(24.0 / apart) + 1)]
    for number, after in enumerate(times, start=first):
        soon = books.redis.zscore(books.keys.inboxes, FINGERPRINT)
        if soon is not None and soon <= NOW + after:
            made += len(payloads(books, float(soon)))
        if come(books, number, NOW + after) == 0.0:
            made += len(payloads(books, NOW + after))
    return made + len(payloads(books, NOW + 24.0 + LINGER))


@pytest.mark.parametrize("apart", [0.1, 0.9, 1.0, 1.9, 2.1, 3.0, 5.0])
def test_add_leads_makes_one_payload_more_of_a_stream(books: Books, apart: float) -> None:
    other = Books(books.redis, f"{books.keys.account}-2", replace(TUNING, at_once=False))
    assert of_a_stream(books, 1, apart) <= of_a_stream(other, 1, apart) + 1


def test_add_leads_is_quiet_for_each_set_of_options_by_itself(books: Books) -> None:
    come(books, 1, NOW)
    assert payloads(books, NOW) == [1]
    assert come(books, 2, NOW + 0.5, fingerprint=OTHER_FINGERPRINT) == 0.0


def test_add_leads_lets_a_lead_go_at_once_again_after_two_lingers(books: Books) -> None:
    come(books, 1, NOW)
    assert payloads(books, NOW) == [1]
    assert come(books, 2, NOW + QUIET) == 0.0


def test_add_leads_waits_as_ever_where_the_first_is_not_to_go_at_once(redis_client: Any, account: str) -> None:
    assert come(Books(redis_client, account, replace(TUNING, at_once=False)), 1, NOW) == LINGER


@pytest.mark.parametrize("what", ["wanted", "gate", "hold", "pause"])
def test_add_leads_has_even_the_first_wait_where_no_call_is_free(books: Books, what: str) -> None:
    """A payload that must wait for its call anyway may as well wait for company."""
    match what:
        case "wanted":
            books.redis.zadd(books.keys.prefix + "permits:wanted", {"somebody": NOW + 1})
        case "gate":
            books.redis.hset(books.keys.gate, mapping={"until": NOW + 1, "why": "429"})
        case "hold":
            books.redis.hset(books.keys.hold, mapping={"kind": "outage", "why": "500", "probe": NOW + 1})
        case "pause":
            books.ledger.organisation.pause(reason="by hand", now=NOW)
    assert come(books, 1, NOW) == LINGER


def test_add_leads_looks_at_marks_and_gates_of_now_alone(books: Books) -> None:
    books.redis.zadd(books.keys.prefix + "permits:wanted", {"somebody": NOW - 1})
    books.redis.hset(books.keys.gate, mapping={"until": NOW - 1, "why": "429"})
    assert come(books, 1, NOW) == 0.0


def test_form_chunks_notes_when_a_payload_was_made_so_that_a_bulk_is_not_quiet(books: Books) -> None:
    books.batch("bulk", leads(100, 1000))
    assert payloads(books, NOW + 1) == [50, 50]
    assert books.redis.hget(books.keys.options(FINGERPRINT), "formed") == str(int(NOW + 1))
    assert come(books, 1, NOW + 2) == LINGER
