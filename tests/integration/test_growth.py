"""Nothing grows for ever, and nothing that somebody waits for takes longer the more there is."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from massconvert.errors import InputError, LedgerError
from massconvert.model import Accepted, Chunk, JobStatus, LeadsRead, LeadState, Progress, State
from massconvert.on_complete.targets import parse_targets
from massconvert.policy import Row, after_post, after_read, after_status
from massconvert.steps.sweep import sweep
from tests.integration.books import FINGERPRINT, MOMENT, NOW, OPTIONS, TUNING, Books, leads

pytestmark = pytest.mark.integration

LATER = NOW + TUNING.linger
OLD = NOW + TUNING.retention + 1.0


def opened(books: Books, name: str, now: float) -> None:
    books.batches.open(name, FINGERPRINT, OPTIONS, now=now, leads=1)


def test_old_batches_that_live_do_not_keep_expired_ones_from_being_forgotten(books: Books) -> None:
    for number in range(150):
        opened(books, f"lives-{number:03}", NOW)
    for number in range(10):
        books.redis.zadd(books.keys.batches, {f"expired-{number}": NOW + 0.5})
    for number in range(10):
        opened(books, f"new-{number}", OLD)
    kept = books.redis.zrange(books.keys.batches, 0, -1)
    assert not [name for name in kept if name.startswith("expired")]
    assert len(kept) == 160


def test_the_latest_batches_are_read_a_page_at_a_time(books: Books) -> None:
    for number in range(5):
        opened(books, f"lives-{number}", NOW + number)
    for number in range(200):
        books.redis.zadd(books.keys.batches, {f"expired-{number}": NOW + 10 + number})
    assert books.batches.known() == 205
    assert [status.batch for status in books.batches.recent(3)] == ["lives-4", "lives-3", "lives-2"]
    assert books.batches.known() <= 9
    assert len(books.batches.recent(20)) == 5


def test_whom_a_second_call_with_the_same_key_names_no_more_is_called_no_more(books: Books) -> None:
    """An entry for somebody who is not there took one of the four places for a minute, again and again."""

    def finish(*places: str) -> None:
        targets = parse_targets(list(places))
        books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1, on_complete=targets)
        books.batches.refuse_ids("b", {f"x{len(places)}": "is none"}, now=NOW)
        books.batches.seal("b", now=NOW, flush=True)

    finish("one@q", "two@q", "three@q")
    assert books.ledger.callbacks.due(now=NOW) == 3
    finish("one@q")
    assert books.redis.zrange(books.keys.callbacks, 0, -1) == ["1:b"]
    books.redis.zadd(books.keys.callbacks, {"3:b": NOW - 9})  # as an older version left it
    call = books.ledger.callbacks.take(now=NOW)
    assert call is not None
    assert call.id == "1:b"
    assert not books.redis.zscore(books.keys.callbacks, "3:b")


def overdue(books: Books, chunk_id: str) -> Chunk:
    """A job without an end by its deadline, whose leads were read once."""
    sending = books.send(chunk_id)
    decision = after_post(sending, Accepted(f"7{chunk_id}"), MOMENT)
    assert books.chunks.move(sending, decision, now=LATER + 1)
    late = LATER + TUNING.job_deadline + 10.0
    running = books.claim(chunk_id, now=late)
    decision = after_status(running, JobStatus(Progress.IN_PROGRESS, 0, 0, 0, 0), replace(MOMENT, now=late))
    assert decision.row is Row.JOB_OVERDUE
    assert books.chunks.move(running, decision, now=late)
    return books.claim(chunk_id, now=late)


def test_jobs_without_an_end_take_no_room_from_others_and_are_named(books: Books) -> None:
    books.chunks._tuning = replace(TUNING, max_jobs=1, window=1)
    books.batch("b", leads(100))
    (first,) = books.form()
    settling = overdue(books, first)
    assert books.redis.smembers(books.keys.overdue) == {first}
    (second,) = books.form(settling.due_at + 1)
    shown = LeadsRead({lead: LeadState(lead, False) for lead in settling.leads})
    watched = after_read(settling, shown, replace(MOMENT, now=settling.due_at))
    assert watched.row is Row.OVERDUE_WATCHED
    assert books.chunks.move(settling, watched, now=settling.due_at)
    assert books.redis.smembers(books.keys.overdue) == {first}
    assert books.ledger.organisation.counts()["jobs_running"] == 1
    backlog = books.ledger.backlog(now=settling.due_at, grace=60.0)
    assert (backlog.overdue, backlog.overdue_jobs) == (1, (f"7{first}",))
    # It ends after all, and so do the others.
    much_later = settling.due_at + 2 * TUNING.overdue_pace
    running = books.claim(first, now=much_later)
    size = len(running.leads)
    ended = after_status(running, JobStatus(Progress.COMPLETED, size, size, 0, 0), replace(MOMENT, now=much_later))
    assert books.chunks.move(running, ended, now=much_later)
    assert not books.redis.exists(books.keys.overdue)
    books.convert(second, now=much_later)
    assert books.batches.status("b").finished


@pytest.mark.parametrize("name", ["job=47;11", "a,b", "a b", "a\nb", "", "x" * 201])
def test_no_name_becomes_a_part_of_a_payload(books: Books, name: str) -> None:
    with books.watching() as changed, pytest.raises(InputError, match="cannot name a batch"):
        books.batches.open(name, FINGERPRINT, OPTIONS, now=NOW, leads=1)
    assert changed == {}


@pytest.mark.parametrize(
    "members",
    ["job=47;11=3652397000009850001", "b=", "b=12a", "b=1;", "=1", "b 1=2", "b=1, 2", "b=1;b"],
)
def test_a_chunk_whose_members_are_not_what_we_write_is_not_sent(books: Books, members: str) -> None:
    books.batch("b", leads(2))
    (formed,) = books.form()
    waits = books.claim(formed)
    if members.startswith("job"):
        members = "b=3652397000009850001;job=47;11"
    books.redis.hset(books.keys.chunk(formed), "members", members)
    with books.watching() as changed, pytest.raises(LedgerError):
        books.chunks.begin_send(waits, now=LATER)
    assert changed == {}
    with pytest.raises(LedgerError):
        books.try_claim(formed, [State.WAITING], now=LATER + 1000)


def test_one_sweep_goes_on_while_more_is_overdue(books: Books) -> None:
    """A hundred at a time: an outage of the broker leaves thousands."""
    for number in range(250):
        chunk: Any = {"state": "waiting", "fp": FINGERPRINT, "members": f"b={number + 1}", "due": NOW}
        books.redis.hset(books.keys.chunk(str(number)), mapping=chunk)
        books.redis.zadd(books.keys.due, {str(number): 1.0})  # by Redis' own clock long ago
    clock: Any = type("Clock", (), {"now": lambda _self: LATER})()
    ports: Any = SimpleNamespace(ledger=books.ledger, clock=clock)
    found = [overdue.chunk_id for overdue in sweep(ports)]
    assert sorted(found, key=int) == [str(number) for number in range(250)]
    assert list(sweep(ports)) == []
