"""Chunks of a preflight: formed of twice as many leads, and counted as unsent until they are sent or have ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from massconvert.model import Kind, LeadsRead, LeadState, Refused, State, Why
from massconvert.policy import Decision, after_read
from tests.integration.books import MOMENT, NOW, TUNING, Books, leads

pytestmark = pytest.mark.integration

THEN = NOW + TUNING.linger
FLOWN = {"$": {"preflight": True}}


@pytest.fixture
def flown(books: Books) -> Books:
    """A hundred and twenty leads that are to be read first."""
    ids = leads(120)
    books.batches.open("a", "f" * 16, FLOWN, now=NOW, leads=len(ids))
    books.redis.hset(books.keys.options("f" * 16), "accepted", 1)
    books.batches.add("a", "a:0", ids, now=NOW)
    books.batches.seal("a", now=NOW, flush=True)
    return books


def read_all(books: Books, chunk_id: str) -> Decision:
    """Every lead is there and unconverted."""
    chunk = books.claim(chunk_id)
    states = LeadsRead({lead: LeadState(lead, converted=False) for lead in chunk.leads})
    decision = after_read(chunk, states, replace(MOMENT, now=THEN))
    assert books.chunks.move(chunk, decision, now=THEN)
    return decision


def test_one_read_has_the_leads_of_two_payloads(flown: Books) -> None:
    first, second = flown.form()
    chunk = flown.claim(first)
    assert (chunk.state, chunk.why, len(chunk.leads), chunk.most) == (State.SETTLING, Why.PREFLIGHT, 100, 50)
    assert len(flown.claim(second).leads) == 20


def test_what_passes_goes_out_in_payloads_of_fifty(flown: Books) -> None:
    first, _ = flown.form()
    read_all(flown, first)
    assert [len(flown.claim(chunk_id).leads) for chunk_id in (first, "3")] == [50, 50]
    assert {flown.claim(chunk_id, now=NOW + 1000).state for chunk_id in (first, "3")} == {State.WAITING}
    assert flown.counts("a") == {"total": 120, "waiting": 120}


def test_it_counts_as_unsent_until_it_is_sent(flown: Books) -> None:
    """So the window bounds it as it bounds what waits."""
    ids = flown.form()
    assert flown.redis.smembers(flown.keys.unsent) == set(ids)
    assert not flown.redis.exists(flown.keys.jobs)


def test_a_lower_limit_of_zoho_s_lowers_what_is_read_together(flown: Books) -> None:
    flown.redis.set(flown.keys.max_leads, 20)
    chunk = flown.claim(flown.form()[0])
    assert (len(chunk.leads), chunk.most) == (40, 20)


def test_a_cancelled_batch_is_not_sent_even_by_who_reads_it_now(flown: Books) -> None:
    """A conversion cannot be undone, and a read can be thrown away."""
    first, _ = flown.form()
    reading = flown.claim(first)
    assert flown.batches.cancel("a", now=THEN) == (120, 0)
    states = LeadsRead({lead: LeadState(lead, converted=False) for lead in reading.leads})
    assert flown.chunks.move(reading, after_read(reading, states, MOMENT), now=THEN) is None
    assert {outcome.kind for outcome in flown.outcomes("a").values() if outcome} == {Kind.CANCELLED}
    assert not any(flown.redis.exists(key) for key in (flown.keys.due, flown.keys.unsent, flown.keys.jobs))


def test_more_ids_than_a_read_takes_are_read_in_halves_and_the_limit_is_remembered(flown: Books) -> None:
    first, _ = flown.form()
    reading = flown.claim(first)
    refused = Refused(400, "INVALID_DATA", "too long", ("ids",), {"param_name": "ids", "maximum_length": 1024})
    moved = flown.chunks.move(reading, after_read(reading, refused, MOMENT), now=THEN)
    assert moved is not None
    halves = [flown.claim(chunk_id) for chunk_id in (first, moved.siblings[0])]
    assert [half.leads for half in halves] == [reading.leads[:50], reading.leads[50:]]
    assert {(half.state, half.why, half.most) for half in halves} == {(State.SETTLING, Why.PREFLIGHT, 50)}
    assert {first, moved.siblings[0]} <= flown.redis.smembers(flown.keys.unsent)
    assert flown.redis.get(flown.keys.max_read) == "50"
    assert 0 < flown.redis.ttl(flown.keys.max_read) <= 86_400


def test_a_lower_limit_of_reads_lowers_what_is_read_together(flown: Books) -> None:
    flown.redis.set(flown.keys.max_read, 30)
    chunk = flown.claim(flown.form()[0])
    assert (len(chunk.leads), chunk.most) == (30, 50)


def test_a_limit_of_reads_that_is_no_number_is_none_of_ours(flown: Books) -> None:
    flown.redis.set(flown.keys.max_read, "many")
    assert len(flown.claim(flown.form()[0]).leads) == 100
