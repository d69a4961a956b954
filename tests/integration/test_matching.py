"""Payloads that are matched before they are sent: parts that go their own ways, and claims on what a lead makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from massconvert.model import Code, Done, Kind, LeadsRead, LeadState, Link, Linked, Matching, OnMatch, State, Why
from massconvert.model.matching import USUAL_KEYS
from massconvert.policy import Row, after_match, after_post, still_behind
from massconvert.policy.matching import Judged, Judgement
from tests.integration.books import MOMENT, NOW, TUNING, Books, leads

pytestmark = pytest.mark.integration

THEN = NOW + TUNING.linger
LINKED = {"$": {"on_match": "link"}}
CREATE, HELD = Judged(Judgement.CREATE), Judged(Judgement.HOLD, words="several records match")
BEHIND = Judged(Judgement.WAIT, behind=("d1",))


def to(contact: str) -> Judged:
    return Judged(Judgement.LINK, Link(contact, "71", {"Deal_Name": "Acme"}, ("vip",)))


@pytest.fixture
def books(redis_client: Any, account: str) -> Books:
    made = Books(redis_client, account)
    ids = leads(6)
    made.batches.open("a", "f" * 16, LINKED, now=NOW, leads=len(ids))
    made.redis.hset(made.keys.options("f" * 16), "accepted", 1)
    made.batches.add("a", "a:0", ids, now=NOW)
    made.batches.seal("a", now=NOW, flush=True)
    return made


def matched(books: Books, chunk_id: str, judged: Mapping[int, Judged], made: Mapping[int, str] = {}) -> tuple[str, ...]:
    """Write what became of the leads of a chunk, by their number; the chunks that were set apart."""
    chunk = books.claim(chunk_id)
    states = LeadsRead({lead: LeadState(lead, converted=False) for lead in chunk.leads})
    by_lead = {lead: judged[number] for number, lead in enumerate(chunk.leads) if number in judged}
    digests = {chunk.leads[number]: (digest,) for number, digest in made.items()}
    decision = after_match(chunk, states, by_lead, digests, replace(MOMENT, now=THEN))
    moved = books.chunks.move(chunk, decision, now=THEN)
    assert moved is not None
    return moved.siblings


def test_options_that_older_versions_must_not_ignore_are_kept_in_a_form_that_they_refuse(books: Books) -> None:
    assert json.loads(books.redis.hget(books.keys.options("f" * 16), "json")) == [2, LINKED]
    assert books.batches.options("a") == LINKED
    chunk = books.claim(books.form()[0])
    assert (chunk.matching, chunk.matched_at) == (Matching(OnMatch.LINK, USUAL_KEYS), 0.0)
    assert books.ledger.waiting_options() == []


def test_parts_of_a_payload_go_their_own_ways(books: Books) -> None:
    (first,) = books.form()
    ids = books.claim(first).leads
    books.redis.hdel(books.keys.chunk(first), "lease")
    judged = {0: CREATE, 1: CREATE, 2: to("61"), 3: to("62"), 4: HELD, 5: BEHIND}
    siblings = matched(books, first, judged)
    chunks = [books.claim(chunk_id, now=THEN + 60) for chunk_id in (first, *siblings)]
    assert [chunk.leads for chunk in chunks] == [ids[:2], (ids[2],), (ids[3],), (ids[5],)]
    assert [chunk.link for chunk in chunks] == [None, to("61").link, to("62").link, None]
    assert [chunk.matched_at for chunk in chunks] == [THEN, THEN, THEN, 0.0]
    assert [chunk.why for chunk in chunks] == [Why.NONE, Why.NONE, Why.NONE, Why.ANOTHER]
    assert books.counts("a") == {"total": 6, "waiting": 5, "skipped": 1}
    assert books.outcomes("a")[ids[4]].code == Code.MATCH_FOUND  # type: ignore[union-attr]  # it has ended
    # What waits for other leads takes no room.
    assert books.redis.smembers(books.keys.unsent) == {first, *siblings[:2]}
    assert books.redis.smembers(books.keys.overdue) == {siblings[2]}


def test_parts_of_a_batch_that_is_held_wait_and_a_cancelled_one_ends(books: Books) -> None:
    (first,) = books.form()
    assert books.batches.hold("a", "no", now=THEN)
    books.batches.release("a", now=THEN)
    siblings = matched(books, first, {0: CREATE, 1: to("61"), 2: BEHIND, 3: CREATE, 4: CREATE, 5: CREATE})
    assert books.batches.hold("a", "no", now=THEN)
    assert not any(books.redis.exists(key) for key in (books.keys.unsent, books.keys.overdue, books.keys.due))
    books.batches.release("a", now=THEN)
    assert books.redis.smembers(books.keys.unsent) == {first, siblings[0]}
    assert books.redis.smembers(books.keys.overdue) == {siblings[1]}
    assert books.batches.cancel("a", now=THEN) == (6, 0)
    assert not any(books.redis.exists(key) for key in (books.keys.unsent, books.keys.overdue, books.keys.due))


def test_a_linked_lead_ends_with_its_records(books: Books) -> None:
    (first,) = books.form()
    ids = books.claim(first).leads
    books.redis.hdel(books.keys.chunk(first), "lease")
    (linking, *_) = matched(books, first, {0: CREATE, 1: to("61"), 2: HELD, 3: HELD, 4: HELD, 5: HELD})
    chunk = books.claim(linking, now=THEN)
    sending = books.chunks.begin_send(chunk, now=THEN)
    assert sending is not None
    decision = after_post(sending, Linked("61", "71", "81"), replace(MOMENT, now=THEN))
    assert decision.row is Row.LINKED
    assert books.chunks.move(sending, decision, now=THEN)
    outcome = books.outcomes("a")[ids[1]]
    assert outcome is not None
    assert (outcome.kind, outcome.contact_id, outcome.deal_id) == (Kind.CONVERTED, "61", "81")


def customers(redis_client: Any, account: str, count: int, *, accepted: bool) -> Books:
    """A ledger with leads to be linked: ten a payload, four payloads in the window."""
    made = Books(redis_client, account, replace(TUNING, max_leads=10, window=4))
    made.batches.open("a", "f" * 16, LINKED, now=NOW, leads=count)
    if accepted:
        made.redis.hset(made.keys.options("f" * 16), "accepted", 1)
    made.batches.add("a", "a:0", leads(count), now=NOW)
    made.batches.seal("a", now=NOW, flush=True)
    return made


def link(books: Books, *chunk_ids: str) -> None:
    """Link the leads of these chunks."""
    for chunk_id in chunk_ids:
        sending = books.chunks.begin_send(books.claim(chunk_id, now=THEN), now=THEN)
        assert sending is not None
        assert books.chunks.move(sending, after_post(sending, Linked("61", "71", "81"), MOMENT), now=THEN)


def test_the_first_lead_that_is_linked_lets_the_next_payload_be_made(redis_client: Any, account: str) -> None:
    """Not the last of its payload: Zoho has taken the options in a call for a single lead."""
    books = customers(redis_client, account, 30, accepted=False)
    (first,) = books.form()
    siblings = matched(books, first, dict.fromkeys(range(10), to("61")))
    assert books.form(now=THEN) == ()
    link(books, siblings[3])
    (second,) = books.form(now=THEN)
    assert books.claim(second, now=THEN).leads == tuple(leads(10, 11))
    assert not books.redis.hexists(books.keys.options("f" * 16), "accepted")  # by mass convert they are not


def test_leads_to_be_linked_take_a_fifth_of_the_room(redis_client: Any, account: str) -> None:
    """So the next payload is matched while they are linked, and few are matched long before their turn."""
    books = customers(redis_client, account, 100, accepted=True)
    formed = books.form()
    assert len(formed) == 4
    linking = [
        one for chunk in formed[:3] for one in (chunk, *matched(books, chunk, dict.fromkeys(range(10), to("61"))))
    ]
    assert books.redis.smembers(books.keys.linking) == set(linking)
    link(books, *linking[:15])  # 15 are left, and the fourth payload
    assert books.form(now=THEN) == ()
    link(books, linking[15])
    assert len(books.form(now=THEN)) == 1
    link(books, *linking[16:])
    assert not books.redis.exists(books.keys.linking)


# --- claim_identities


def test_claim_identities_the_first_has_it_and_the_others_are_told(books: Books) -> None:
    one, two, three = leads(3)
    taken = books.chunks.claim_identities({one: ("d1", "d2"), two: ("d2", "d3"), three: ("d9",)}, now=NOW)
    assert taken == {two: {"d2": one}}
    assert books.redis.hgetall(books.keys.making) == {"d1": one, "d2": one, "d3": two, "d9": three}
    assert books.chunks.claim_identities({one: ("d2",)}, now=NOW) == {}  # again, and less
    assert books.redis.hgetall(books.keys.making) == {"d2": one, "d3": two, "d9": three}


def test_claim_identities_of_a_lead_that_is_not_in_flight_are_nobody_s(books: Books) -> None:
    one, gone = leads(1)[0], "3652397000009990001"
    books.redis.hset(books.keys.making, mapping={"d1": gone})
    assert books.chunks.claim_identities({one: ("d1",), gone: ("d5",)}, now=NOW) == {}
    assert books.redis.hgetall(books.keys.making) == {"d1": one}
    assert books.redis.hgetall(books.keys.identities) == {one: "d1"}


def test_claims_are_what_a_conversion_makes_and_end_with_its_lead(books: Books) -> None:
    (first,) = books.form()
    ids = books.claim(first).leads
    books.redis.hdel(books.keys.chunk(first), "lease")
    books.chunks.claim_identities({lead: (f"c{n}", f"a{n}") for n, lead in enumerate(ids)}, now=THEN)
    judged = {0: CREATE, 1: to("61"), 2: HELD, 3: HELD, 4: HELD, 5: BEHIND}
    matched(
        books,
        first,
        judged,
        {
            0: "c0",
        },
    )
    known = books.redis.hgetall(books.keys.making)
    assert known["c0"] == ids[0]
    assert "a0" not in known
    assert not {digest for digest in known if digest[1] in "234"}
    books.batches.cancel("a", now=THEN)
    assert not books.redis.exists(books.keys.making, books.keys.identities)


def test_who_waits_learns_at_a_claim_that_what_it_waits_for_has_ended(books: Books) -> None:
    (first,) = books.form()
    ids = books.claim(first).leads
    books.redis.hdel(books.keys.chunk(first), "lease")
    books.chunks.claim_identities({ids[0]: ("d1",)}, now=THEN)
    (waits,) = matched(books, first, {0: CREATE, 1: BEHIND, 2: HELD, 3: HELD, 4: HELD, 5: HELD}, {0: "d1"})
    chunk = books.claim(waits, now=THEN + 60)
    assert (chunk.behind, chunk.freed) == (("d1",), False)
    assert books.chunks.move(chunk, still_behind(chunk, replace(MOMENT, now=THEN + 60)), now=THEN + 60)
    sending = books.chunks.begin_send(books.claim(first, now=THEN + 60), now=THEN + 60)
    assert sending is not None
    ended = replace(sending, link=Link("61"))
    assert books.chunks.move(sending, after_post(ended, Linked("61"), replace(MOMENT, now=THEN + 61)), now=THEN + 61)
    assert books.claim(waits, now=THEN + 300).freed


def test_options_of_a_chunk_that_waits_for_others_are_tried_by_the_next_one(books: Books) -> None:
    books.redis.hdel(books.keys.options("f" * 16), "accepted")
    (first,) = books.form()
    assert books.redis.hget(books.keys.options("f" * 16), "probing") == first
    matched(books, first, dict.fromkeys(range(6), BEHIND))
    assert not books.redis.hexists(books.keys.options("f" * 16), "probing")
    assert books.claim(first, now=THEN + 60).state is State.WAITING


def test_who_waits_for_another_lead_is_no_probe_of_a_pause(books: Books) -> None:
    """It calls nobody, so the pause would never end."""
    (first,) = books.form()
    books.chunks.claim_identities({books.claim(first).leads[0]: ("d1",)}, now=THEN)
    books.redis.hdel(books.keys.chunk(first), "lease")
    judged = {0: CREATE, 1: BEHIND, 2: HELD, 3: HELD, 4: HELD, 5: HELD}
    (waits,) = matched(books, first, judged, {0: "d1"})
    books.redis.hset(books.keys.pause, mapping={"code": "x", "reason": "x", "probe": NOW})
    assert books.try_claim(waits, now=THEN + 60) == Done()
    assert books.claim(first, now=THEN + 60).leads


def test_who_claims_what_it_waits_for_and_dies_before_it_is_matched_is_not_behind_itself(books: Books) -> None:
    (first,) = books.form()
    ids = books.claim(first).leads
    books.redis.hdel(books.keys.chunk(first), "lease")
    books.chunks.claim_identities({ids[0]: ("d1",)}, now=THEN)
    judged = {0: CREATE, 1: BEHIND, 2: HELD, 3: HELD, 4: HELD, 5: HELD}
    (waits,) = matched(books, first, judged, {0: "d1"})
    books.redis.hset(books.keys.making, "d1", ids[1])
    assert books.claim(waits, now=THEN + 60).freed


def test_how_single_conversions_fare_says_nothing_of_mass_convert(books: Books) -> None:
    """They are other calls: Zoho may answer the one while it loses each of the other, and no lead is to blame."""
    (first,) = books.form()
    other, another = matched(books, first, {0: CREATE, 1: to("61"), 2: to("62"), 3: HELD, 4: HELD, 5: HELD})
    sending = books.send(other, now=THEN + 1)
    decision = after_post(sending, Linked("61", "71", "81"), replace(MOMENT, now=THEN + 1))
    assert decision.row is Row.LINKED
    assert books.chunks.move(sending, decision, now=THEN + 1)
    fared = [books.claim(chunk_id, now=THEN + 60).fared for chunk_id in (first, another)]
    assert [each.answered for each in fared] == [0.0, THEN + 1]
    assert [each.converted for each in fared] == [0.0, 0.0]
