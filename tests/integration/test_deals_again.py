"""Chunks that only update deals: formed to be read, and never to be sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from massconvert.model import DealsUpdated, Kind, LeadsRead, LeadState, State, Why
from massconvert.options import deals_only
from massconvert.policy import Moment, after_read, after_update
from tests.integration.books import FINGERPRINT, MOMENT, NOW, TUNING, Books, leads

pytestmark = pytest.mark.integration

THEN = NOW + TUNING.linger
AGAIN = deals_only({"Deals": {"Deal_Name": "{Company} renewal", "Stage": "Closed Won"}})


@pytest.fixture
def books(books: Books) -> Books:
    """Two hundred and twenty converted leads whose deals are to be updated."""
    ids = leads(220)
    books.batches.open("a", FINGERPRINT, AGAIN, now=NOW, leads=len(ids))
    books.batches.add("a", "a:0", ids, now=NOW)
    books.batches.seal("a", now=NOW, flush=True)
    return books


def test_they_are_formed_at_once_of_as_many_leads_as_one_update_takes(books: Books) -> None:
    """Zoho has never accepted these options, and need not: no payload is made with them."""
    ids = books.form()
    chunks = [books.claim(chunk_id) for chunk_id in ids]
    assert [len(chunk.leads) for chunk in chunks] == [100, 100, 20]
    assert {(chunk.state, chunk.why, chunk.submitted) for chunk in chunks} == {(State.SETTLING, Why.IDS, False)}
    assert chunks[0].deal == {"Deal_Name": "{Company} renewal"}


def test_they_take_no_room_of_what_is_to_be_sent(books: Books) -> None:
    ids = books.form()
    assert books.redis.smembers(books.keys.jobs) == set(ids)
    assert not books.redis.exists(books.keys.unsent)


def test_they_go_from_the_read_to_the_update_and_end(books: Books) -> None:
    first = books.form()[0]
    chunk = books.claim(first)
    states = {
        lead: LeadState(lead, converted=True, deal_id=f"9{lead}", fields={"Company": "Acme"}) for lead in chunk.leads
    }
    moment: Moment = replace(MOMENT, now=THEN)
    assert books.chunks.move(chunk, after_read(chunk, LeadsRead(states), moment), now=THEN)
    assert books.counts("a") == {"total": 220, "waiting": 120, "sent": 100}
    updating = books.claim(first)
    assert {update.values["Deal_Name"] for update in updating.updates} == {"Acme renewal"}
    decision = after_update(updating, DealsUpdated((None,) * 100), moment)
    assert books.chunks.move(updating, decision, now=THEN)
    assert books.counts("a") == {"total": 220, "waiting": 120, "converted": 100}


def test_a_cancelled_batch_follows_what_is_under_way(books: Books) -> None:
    """A deal may have been updated already; what is only read before an update is called off."""
    first, *_ = books.form()
    chunk = books.claim(first)
    states = {
        lead: LeadState(lead, converted=True, deal_id=f"9{lead}", fields={"Company": "Acme"}) for lead in chunk.leads
    }
    assert books.chunks.move(chunk, after_read(chunk, LeadsRead(states), replace(MOMENT, now=THEN)), now=THEN)
    assert books.batches.cancel("a", now=THEN) == (120, 100)
    assert books.claim(first).state is State.UPDATING


def test_a_cancelled_batch_ends_what_waits(books: Books) -> None:
    assert books.batches.cancel("a", now=THEN) == (220, 0)
    while books.chunks.drain(now=THEN):
        pass
    assert {outcome.kind for outcome in books.outcomes("a").values() if outcome} == {Kind.CANCELLED}
