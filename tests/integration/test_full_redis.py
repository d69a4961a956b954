"""A full Redis: what stops work or ends it goes on, nothing new begins, and what is refused leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from massconvert.errors import StoreError
from massconvert.ledger import Letters, Member, Message
from massconvert.ledger.fleet import REMEMBER
from massconvert.model import Accepted, Call, Canary, Chunk, JobStatus, Listing, Progress, Refused, State
from massconvert.policy import Permit, after_post, after_status
from massconvert.store import connect
from massconvert.zoho import Governor
from tests.integration.books import FINGERPRINT, MOMENT, NOW, OPTIONS, TUNING, Books, leads
from tests.integration.conftest import RedisServer

pytestmark = pytest.mark.integration

LATER = NOW + TUNING.linger


@pytest.fixture
def books(own_redis: Callable[..., RedisServer]) -> Iterator[Books]:
    client = connect(own_redis("--maxmemory-policy", "noeviction").url)
    yield Books(client, "full")
    client.close()


@contextmanager
def full(books: Books) -> Iterator[None]:
    """Redis has no memory left, until somebody gives it more."""
    books.redis.config_set("maxmemory", 1)
    with pytest.raises(Exception, match="maxmemory"):
        books.redis.set("anything", "x" * 100)
    yield
    books.redis.config_set("maxmemory", 0)


def test_an_enqueue_is_refused_in_plain_words_and_leaves_nothing_half_written(books: Books) -> None:
    books.batch("done", leads(3))
    books.convert(*books.form())
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=9)
    with full(books), books.watching() as changed:
        for enqueue in (
            lambda: books.batches.open("new", FINGERPRINT, OPTIONS, now=NOW, leads=9),
            lambda: books.batches.open("done", FINGERPRINT, OPTIONS, now=NOW, leads=9),
            lambda: books.batches.add("b", "1", leads(9), now=NOW),
            lambda: books.batches.add("done", "1", leads(9, 50), now=NOW),
            lambda: books.batches.refuse_ids("done", {"abc": "no"}, now=NOW),
        ):
            with pytest.raises(StoreError, match="is full"):
                enqueue()
    assert changed == {}
    assert books.batches.add("b", "1", leads(9), now=NOW).accepted == 9


def test_what_stops_work_works(books: Books) -> None:
    for number, name in enumerate(("cancelled", "held", "resumed", "sealed")):
        books.batch(name, leads(120, 200 * number), seal=name != "sealed")
    books.batches.hold("resumed", "why", now=NOW)
    books.form()
    with full(books):
        books.ledger.organisation.pause(now=LATER, reason="by hand")
        assert books.ledger.organisation.paused() is not None
        assert books.ledger.organisation.resume()
        ended, followed = books.batches.cancel("cancelled", now=LATER)
        assert (ended, followed) == (120, 0)
        while books.chunks.drain(now=LATER):
            pass
        assert books.batches.status("cancelled").finished
        assert books.batches.hold("held", "why", now=LATER)
        assert books.batches.status("held").held == "why"
        assert books.batches.release("resumed", now=LATER).was_held
        books.batches.seal("sealed", now=LATER, flush=True)
        assert books.ledger.organisation.take_sweep(12.0, now=LATER)


def test_what_is_under_way_ends_and_nothing_new_is_formed(books: Books) -> None:
    books.chunks._tuning = replace(TUNING, window=2)
    books.batch("b", leads(150), canary=Canary(50, 100.0))
    (chunk_id,) = books.form()
    with full(books):
        sending = books.send(chunk_id, now=LATER)
        assert books.chunks.move(sending, after_post(sending, Accepted("7"), MOMENT), now=LATER + 1)
        later = LATER + TUNING.poll_cap
        assert [found.chunk_id for found in books.chunks.overdue(now=later)] == [chunk_id]
        running = books.claim(chunk_id, now=later)
        decision = after_status(running, JobStatus(Progress.COMPLETED, 50, 50, 0, 0), replace(MOMENT, now=later))
        assert books.chunks.move(running, decision, now=later)
        assert books.counts("b") == {"total": 150, "converted": 50, "waiting": 100}
        formed = books.chunks.form(now=later)
        assert (formed.chunk_ids, formed.full) == ((), True)
        assert books.ledger.runs.overdue(now=later) == []
    assert len(books.form(later)) == 2
    for each in books.form(later) or ("2", "3"):
        books.convert(each, now=later)
    assert books.batches.status("b").finished


def test_a_refusal_and_its_drain_and_calls_about_batches_that_finish_go_on(books: Books) -> None:
    books.batch("b", leads(60), accepted=False)
    books.redis.hset(books.keys.batch("b"), mapping={"targets": 1, "on_complete": '[["task","t",[],{},"q"]]'})
    sending = books.send(*books.form())
    with full(books):
        refused = after_post(sending, Refused(400, "MANDATORY_NOT_FOUND", "no", paths=("$.Deals.Stage",)), MOMENT)
        assert books.chunks.move(sending, refused, now=LATER)
        while books.chunks.drain(now=LATER):
            pass
        assert books.counts("b") == {"total": 60, "failed": 60}
        assert books.ledger.callbacks.due(now=LATER) == 1


def test_permits_locks_notes_and_the_token_go_on(books: Books) -> None:
    clock: Any = type("Clock", (), {"now": lambda _self: NOW})()
    governor = Governor(books.redis, books.keys, clock, limit=2, ask_org=lambda: None, wait=0.0)  # type: ignore[arg-type,return-value]  # nobody asks
    before = governor.acquire(Call.POST)
    assert isinstance(before, Permit)
    k = books.keys
    with full(books):
        governor.release(before)
        permits = [governor.acquire(Call.POST) for _ in range(2)]
        assert all(isinstance(permit, Permit) for permit in permits)
        assert books.scripts.run("take_lock", keys=[k.token_lock("c")], args=["me", 60_000]) == 1
        keys = [k.token("c"), k.token_lock("c"), k.token_trouble("c"), k.token_wake("c"), k.token_grants("c")]
        token: list[str | float] = ["token-1", "https://www.zohoapis.com", 1.0, 2.0, NOW, 2, 600_000]
        books.scripts.run("end_refresh", keys=keys, args=["me", 60_000, "", *token])
        assert books.redis.hget(k.token("c"), "value") == "token-1"
        books.scripts.run("keep_limit", keys=[k.limit], args=[15, "enterprise", 60])
        books.ledger.fleet.note(Member("worker", "old", NOW - REMEMBER - 1))
        books.ledger.fleet.forget(now=NOW)
        assert not books.redis.exists(k.fleet)
        kept = books.ledger.shelf.keep(Listing.USERS, [{"id": "1"}], now=NOW)
        assert kept.rows == ({"id": "1"},)


def test_a_chunk_in_the_hands_of_a_worker_is_handed_back(books: Books) -> None:
    books.batch("b", leads(5))
    (formed,) = books.form()
    waits = books.claim(formed)
    books.ledger.organisation.pause(now=LATER, reason="by hand")
    with full(books):
        assert books.chunks.begin_send(waits, now=LATER) is None
    books.ledger.organisation.resume()
    assert isinstance(books.try_claim(waits.id, [State.WAITING], now=LATER + 1), Chunk)


def test_whose_ledger_it_is_can_be_said(books: Books) -> None:
    """A worker that starts meanwhile has to know before it ends anything."""
    owner = ["owner", "organisation", "Acme", "eu", "credentials", "client", "Europe/Berlin"]
    with full(books):
        assert books.scripts.run("claim_title", keys=[books.keys.title], args=owner) == 1
        assert books.scripts.run("claim_title", keys=[books.keys.title], args=["another", *owner[1:]]) == 0
    assert books.redis.hget(books.keys.title, "owner") == "owner"


def test_messages_and_notes_of_them_are_left_to_the_broker_and_nothing_is_half_written(books: Books) -> None:
    letters, message = Letters(books.redis, books.keys, books.scripts), Message("m1", [leads(3)], {})
    letters.keep(Message("m0", [leads(3)], {}), "refused", "why", 1, now=NOW)
    takes: list[Callable[[], object]] = [
        lambda: letters.keep(message, "stuck", "why", 8, now=NOW),
        lambda: letters.keep(message, "refused", "why", 1, now=NOW),
        lambda: letters.note("m1", "why", now=NOW),
    ]
    with full(books), books.watching() as changed:
        for take in takes:
            with pytest.raises(StoreError, match="is full"):
                take()
    assert changed == {}
    assert letters.keep(message, "stuck", "why", 8, now=NOW)
    assert letters.note("m1", "why", now=NOW) == 1
    with full(books):
        assert letters.keep(message, "stuck", "why", 9, now=NOW)  # a second delivery, which takes no more room
        assert letters.drop("m1")
    assert letters.counts() == {"stuck": 0, "refused": 1}
