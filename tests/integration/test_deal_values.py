"""What leads bring for their deals, in the ledger: from the enqueue to the chunk, and gone when it is not needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from massconvert.model import Code, Done, Kind, Link, Outcome, State, dump_brought
from massconvert.policy import Decision, Row
from tests.integration.books import FINGERPRINT, NOW, OPTIONS, TUNING, Books, leads

pytestmark = pytest.mark.integration

THEN = NOW + TUNING.linger
IDS = leads(3)
AMOUNT = '{"Amount":1000}'
CONVERTED = Outcome(Kind.CONVERTED)


def enqueued(books: Books, values: dict[str, str], *, call: str = "a:0") -> None:
    books.batches.open("a", FINGERPRINT, OPTIONS, now=NOW, leads=len(IDS))
    books.batches.add("a", call, IDS, now=NOW, deal_values=values)
    books.batches.seal("a", now=NOW, flush=True)


def ended(books: Books, chunk_id: str, outcomes: dict[str, Outcome]) -> None:
    chunk = books.claim(chunk_id)
    decision = Decision(Row.SETTLED, replace(chunk, state=State.DONE), Done(), outcomes=outcomes)
    assert books.chunks.move(chunk, decision, now=THEN)


def test_a_claim_hands_out_what_the_open_leads_bring(books: Books) -> None:
    enqueued(books, {IDS[0]: AMOUNT, IDS[2]: '{"Type":"Neugeschäft"}', "7": AMOUNT})
    (chunk_id,) = books.form()
    chunk = books.claim(chunk_id)
    assert chunk.deal_values == {IDS[0]: {"Amount": 1000}, IDS[2]: {"Type": "Neugeschäft"}}
    assert books.redis.hlen(books.keys.batch_deals("a")) == 2  # what is for no lead of the batch is not kept


def test_a_claim_hands_out_what_the_open_leads_are_to_be_linked_to(books: Books) -> None:
    """It goes the way of the values, and is gone like them; a lead that has failed keeps it for its retry."""
    link = Link("61", "71")
    enqueued(books, {IDS[0]: dump_brought("", link), IDS[1]: dump_brought(AMOUNT, Link("", "72")), IDS[2]: AMOUNT})
    (chunk_id,) = books.form()
    chunk = books.claim(chunk_id)
    assert chunk.links == {IDS[0]: link, IDS[1]: Link("", "72")}
    assert chunk.deal_values == {IDS[1]: {"Amount": 1000}, IDS[2]: {"Amount": 1000}}
    held = Outcome(Kind.SKIPPED, Code.MATCH_FOUND)
    decision = Decision(
        Row.SETTLED,
        replace(chunk, state=State.DONE),
        Done(),
        outcomes={IDS[0]: held, IDS[1]: CONVERTED, IDS[2]: CONVERTED},
    )
    assert books.chunks.move(chunk, decision, now=THEN)
    assert books.batches.deal_values("a", IDS) == {IDS[0]: dump_brought("", link)}


def test_leads_without_any_cost_nothing(books: Books) -> None:
    with books.watching() as changed:
        enqueued(books, {})
    assert not [path for path in changed if "deals" in path]
    (chunk_id,) = books.form()
    assert books.claim(chunk_id).deal_values == {}


def test_what_a_lead_brought_first_stays(books: Books) -> None:
    enqueued(books, {IDS[0]: AMOUNT})
    enqueued(books, {IDS[0]: '{"Amount":5}'}, call="b:0")
    assert books.batches.deal_values("a", IDS) == {IDS[0]: AMOUNT}


def test_they_are_gone_with_the_outcome_but_for_what_may_be_retried(books: Books) -> None:
    enqueued(books, dict.fromkeys(IDS, AMOUNT))
    (chunk_id,) = books.form()
    undone = Outcome(Kind.CONVERTED, Code.DEAL_NOT_UPDATED, "no")
    ended(books, chunk_id, {IDS[0]: CONVERTED, IDS[1]: undone, IDS[2]: Outcome(Kind.FAILED, Code.GAVE_UP, "no")})
    assert set(books.batches.deal_values("a", IDS)) == {IDS[1], IDS[2]}
    assert 0 < books.redis.ttl(books.keys.batch_deals("a")) <= TUNING.retention


def test_none_are_left_of_a_batch_that_was_converted(books: Books) -> None:
    enqueued(books, dict.fromkeys(IDS, AMOUNT))
    (chunk_id,) = books.form()
    ended(books, chunk_id, dict.fromkeys(IDS, CONVERTED))
    assert not books.redis.exists(books.keys.batch_deals("a"))
