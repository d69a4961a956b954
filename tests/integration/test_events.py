"""The stream of ended leads: each outcome is told of in the step that writes it, however a lead ends."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.model import Accepted, JobStatus, Progress
from massconvert.policy import Tuning, after_post, after_status
from tests.integration.books import FINGERPRINT, MOMENT, NOW, OPTIONS, Books, leads

pytestmark = pytest.mark.integration
A, B, C, D = leads(4)


@pytest.fixture
def books(redis_client: Any, account: str) -> Books:
    """A ledger in which somebody wants events."""
    made = Books(redis_client, account, Tuning(events=1000))
    made.ledger.events.set_up()
    return made


def told(books: Books) -> list[tuple[str, str, str, str]]:
    """The events: lead, batch, outcome, code."""
    entries = [fields for _, fields in books.redis.xrange(books.keys.events)]
    return [(each["lead"], each["batch"], each["outcome"], each["code"]) for each in entries]


def test_a_converted_lead_is_told_of_with_its_job(books: Books) -> None:
    books.batch("b", [A, B])
    (chunk_id,) = books.form()
    chunk = books.claim(chunk_id)
    sending = books.chunks.begin_send(chunk, now=NOW + 2)
    assert sending
    books.chunks.move(sending, after_post(sending, Accepted("365"), MOMENT), now=NOW + 2)
    assert told(books) == []
    running = books.claim(chunk_id, now=NOW + 100)
    answer = JobStatus(Progress.COMPLETED, 2, 2, 0, 0)
    books.chunks.move(running, after_status(running, answer, MOMENT), now=NOW + 100)
    assert told(books) == [(A, "b", "converted", ""), (B, "b", "converted", "")]
    ((_, first), _) = books.redis.xrange(books.keys.events)
    assert (first["job"], first["attempts"]) == ("365", "1")


def test_skipped_invalid_and_cancelled_leads_are_told_of_too(books: Books) -> None:
    books.batch("b", [A, B])
    books.batch("c", [A, C])
    books.batches.refuse_ids("c", {"abc": "is not a string of digits"}, now=NOW)
    books.batches.refuse_ids("c", {"abc": "is not a string of digits"}, now=NOW)
    books.batches.cancel("c", now=NOW)
    while books.chunks.drain(now=NOW):
        pass
    assert sorted(told(books)) == sorted(
        [(A, "c", "skipped", "ALREADY_QUEUED"), ("abc", "c", "failed", "INVALID_ID"), (C, "c", "cancelled", "")]
    )


def test_without_anybody_who_wants_them_nothing_is_written(redis_client: Any, account: str) -> None:
    """And 0 turns them off for everybody; a setting that is not there leaves them as they are."""
    quiet = Books(redis_client, account)
    quiet.ledger.events.set_up()
    quiet.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    quiet.batches.refuse_ids("b", {"x": "no"}, now=NOW)
    assert told(quiet) == []
    Books(redis_client, account, Tuning(events=5)).ledger.events.set_up()
    quiet.ledger.events.set_up()
    quiet.batches.refuse_ids("b", {"y": "no"}, now=NOW)
    assert told(quiet) == [("y", "b", "failed", "INVALID_ID")]
    Books(redis_client, account, Tuning(events=0)).ledger.events.set_up()
    quiet.batches.refuse_ids("b", {"z": "no"}, now=NOW)
    assert len(told(quiet)) == 1


def test_about_as_many_are_kept_as_were_asked_for(redis_client: Any, account: str) -> None:
    """Redis drops whole pages, of a hundred entries."""
    books = Books(redis_client, account, Tuning(events=200))
    books.ledger.events.set_up()
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    books.batches.refuse_ids("b", {f"x{number}": "no" for number in range(2000)}, now=NOW)
    assert 200 <= books.redis.xlen(books.keys.events) <= 300
