"""The story of a lead, as the scripts write it and the ledger tells it.

tests/unit/test_ledger.py runs some of the same scripts on fakeredis.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from massconvert.ledger.stories import dump_told, load_story
from massconvert.model import (
    Busy,
    Chunk,
    Kind,
    LeadsRead,
    LeadState,
    Outcome,
    PerhapsAccepted,
    Refused,
    Resend,
    State,
)
from massconvert.model.story import Entry, Proof, Story, Told, Whereabouts
from massconvert.policy import Decision, Row, after_post, after_read, no_permit
from massconvert.policy.story import told_of
from tests.integration.books import MOMENT, NOW, TUNING, Books, leads

pytestmark = pytest.mark.integration

A, B, C, D = LEADS = leads(4)
THEN = NOW + TUNING.linger


def told(books: Books, lead: str) -> Story:
    (story,) = books.ledger.stories.of(lead)
    return story


def events(story: Story) -> list[str]:
    return [entry.event for entry in story.entries]


def post(books: Books, chunk: Chunk, answer: Any, now: float) -> Decision:
    decision = after_post(chunk, answer, replace(MOMENT, now=now))
    assert books.chunks.move(chunk, decision, told_of(answer), now=now)
    return decision


def read(books: Books, chunk_id: str, converted: set[str], now: float) -> Decision:
    chunk = books.claim(chunk_id, [State.SETTLING], now=now)
    states = {lead: LeadState(lead, lead in converted, converted_at=now) for lead in chunk.leads}
    decision = after_read(chunk, LeadsRead(states), replace(MOMENT, now=now))
    assert books.chunks.move(chunk, decision, told_of(LeadsRead(states)), now=now)
    return decision


def test_a_lead_that_was_converted_at_once_has_four_events_and_zohos_counts(books: Books) -> None:
    books.batch("b", LEADS)
    (chunk_id,) = books.form()
    books.convert(chunk_id)
    story = told(books, B)
    assert (story.batch, story.place, story.enqueued_at, story.whole) == ("b", Whereabouts.ENDED, NOW, True)
    assert story.outcome == Outcome(Kind.CONVERTED, job_id=f"9{chunk_id}", attempts=1)
    assert story.proof is Proof.COUNTS
    assert events(story) == ["formed", "sending", "accepted", "job_all_converted"]
    assert [entry.at for entry in story.entries] == [THEN, THEN, THEN, THEN + TUNING.poll_cap]
    (payload,) = story.payloads
    assert (payload.id, payload.parent, payload.leads) == (chunk_id, "", 4)


def test_an_answer_of_zohos_stands_in_the_story_word_for_word(books: Books) -> None:
    books.batch("b", [A])
    sending = books.send(*books.form())
    words = "a; b | c % d, \x00 \x1b and \N{LATIN SMALL LETTER E WITH ACUTE}"
    post(books, sending, PerhapsAccepted(words, 500, "INTERNAL_ERROR"), THEN)
    story = told(books, A)
    assert story.place is Whereabouts.PAYLOAD
    assert story.state == "settling"
    last = story.entries[-1]
    assert last == Entry("perhaps_accepted", THEN, 1, THEN, sending.id, 0, Told("", 500, "INTERNAL_ERROR", words))
    assert story.outcome is None
    assert story.proof is None


def test_each_attempt_is_told_with_its_answer(books: Books) -> None:
    books.batch("b", [A, B])
    (chunk_id,) = books.form()
    now = THEN
    for _ in range(2):
        post(books, books.send(chunk_id, now=now), PerhapsAccepted("no answer", 500), now)
        now += 4000.0
        read(books, chunk_id, set(), now)
        now += 1.0
    wanted = ["sending", "perhaps_accepted", "unconverted_again"]
    assert events(told(books, A)) == ["formed", *wanted, *wanted]


def test_waits_in_a_row_are_one_entry_with_how_many_they_were(books: Books) -> None:
    books.batch("b", [A])
    (chunk_id,) = books.form()
    for number in range(5):
        now = THEN + 100.0 * number
        claimed = books.claim(chunk_id, now=now)
        assert books.chunks.move(claimed, no_permit(claimed, Busy(1.0, "full"), replace(MOMENT, now=now)), now=now)
    formed, waited = told(books, A).entries
    assert formed.event == "formed"
    assert waited == Entry("no_permit", THEN, 5, THEN + 400.0, chunk_id)


def test_events_that_take_turns_are_an_entry_each(books: Books) -> None:
    """As looks at a long job do, and permits that are missing in between."""
    books.batch("b", [A])
    (chunk_id,) = books.form()
    for number in range(20):
        now = THEN + 100.0 * number
        post(books, books.send(chunk_id, now=now), Refused(429, "TOO_MANY_REQUESTS", "wait"), now)
    assert [(entry.event, entry.times) for entry in told(books, A).entries] == [
        ("formed", 1),
        ("sending", 20),
        ("throttled", 20),
    ]


def test_a_story_stays_short_however_long_a_payload_is_tried(books: Books) -> None:
    books.batch("b", [A, B])
    (chunk_id,) = books.form()
    sizes, now = list[int](), THEN
    for _ in range(60):
        post(books, books.send(chunk_id, now=now), PerhapsAccepted("x" * 500, 500), now)
        now += 4000.0
        chunk = books.claim(chunk_id, [State.SETTLING], now=now)
        again = Decision(Row.UNCONVERTED_AGAIN, replace(chunk, state=State.WAITING, due_at=now), Resend(0.0))
        assert books.chunks.move(chunk, again, now=now)
        sizes.append(len(books.redis.hget(books.keys.chunk(chunk_id), "story")))
    assert max(sizes) < 2500
    assert sizes[-1] <= sizes[20] + 20  # only numbers grow
    story = told(books, A)
    times = {name: sum(entry.times for entry in story.entries if entry.event == name) for name in events(story)}
    assert times == {"formed": 1, "sending": 60, "perhaps_accepted": 60, "unconverted_again": 60}
    assert story.entries[0].event == "formed"
    assert [entry.last_at for entry in story.entries] == sorted(entry.last_at for entry in story.entries)


def test_a_half_begins_with_the_story_of_its_parent_and_names_it(books: Books) -> None:
    books.batch("b", LEADS)
    (chunk_id,) = books.form()
    sending = books.send(chunk_id)
    post(books, sending, Refused(400, "LIMIT_EXCEEDED", "too many", ("$.ids",)), THEN)
    first, second = told(books, A), told(books, D)
    assert events(first) == ["formed", "sending", "too_many_leads"]
    assert events(second) == ["formed", "sending", "too_many_leads", "split_off"]
    parent, child = second.payloads
    assert (parent.id, child.parent, child.leads) == (chunk_id, chunk_id, 2)
    assert child.id != chunk_id


def test_leads_that_are_read_have_one_story_for_all_their_outcomes(books: Books) -> None:
    books.batch("b", LEADS)
    (chunk_id,) = books.form()
    post(books, books.send(chunk_id), PerhapsAccepted("gone", 504), THEN)
    read(books, chunk_id, set(LEADS), THEN + 4000.0)
    ended = books.redis.lrange(books.keys.batch_ended("b"), 0, -1)
    outcomes = [element for element in ended if element.startswith("[")]
    assert sum("formed" in element for element in outcomes) == 1
    for lead in LEADS:
        story = told(books, lead)
        assert events(story) == ["formed", "sending", "perhaps_accepted", "settled"]
        assert story.proof is Proof.READ


def test_what_an_older_version_ended_has_its_outcome_and_no_story(books: Books) -> None:
    """Also where it stands behind the story of another payload: workers of two versions run side by side."""
    books.batch("b", LEADS)
    (chunk_id,) = books.form()
    books.convert(chunk_id)
    old, *_ = leads(1, first=900)
    books.redis.rpush(books.keys.batch_ended("b"), '["converted","","","77",1]', old)
    books.redis.sadd(books.keys.batch_members("b", 0), old)
    story = told(books, old)
    assert story.outcome == Outcome(Kind.CONVERTED, job_id="77", attempts=1)
    assert (story.entries, story.whole, story.proof) == ((), False, None)


def test_a_chunk_of_an_older_version_tells_from_now_on(books: Books) -> None:
    books.batch("b", [A])
    (chunk_id,) = books.form()
    books.redis.hdel(books.keys.chunk(chunk_id), "story")
    books.convert(chunk_id)
    story = told(books, A)
    assert events(story) == ["sending", "accepted", "job_all_converted"]
    assert not story.whole


def test_an_older_version_reads_an_outcome_with_a_story_as_it_was(books: Books) -> None:
    """As load_outcome did before: a list of which the first eight elements are known."""
    books.batch("b", [A])
    books.convert(*books.form())
    outcome, lead = books.redis.lrange(books.keys.batch_ended("b"), 0, -1)
    assert json.loads(outcome)[:8] == ["converted", "", "", "91", 1, "", "", ""]
    assert lead == A


def test_a_lead_that_waits_or_is_elsewhere_or_was_cancelled_says_so(books: Books) -> None:
    books.batch("b1", [A, B])
    books.batch("b2", [A])
    first, second = books.ledger.stories.of(A)
    assert (first.batch, first.place, first.entries) == ("b1", Whereabouts.WAITING, ())
    assert (second.batch, second.proof, events(second)) == ("b2", Proof.ELSEWHERE, ["already_queued"])
    books.batches.cancel("b1", now=NOW + 5)
    books.chunks.drain(now=NOW + 5)
    story = told(books, B)
    assert (story.proof, events(story), story.entries[0].at) == (Proof.CANCELLED, ["cancelled"], NOW + 5)


def test_a_lead_that_is_cancelled_in_its_payload_keeps_what_came_before(books: Books) -> None:
    books.batch("b", [A])
    (chunk_id,) = books.form()
    post(books, books.send(chunk_id), Refused(429, "TOO_MANY_REQUESTS", "wait"), THEN)
    books.batches.cancel("b", now=THEN + 1)
    assert events(told(books, A)) == ["formed", "sending", "throttled", "cancelled"]


def test_a_lead_that_waited_when_its_options_were_refused_says_so(books: Books) -> None:
    books.batch("b", leads(60), accepted=False)
    (chunk_id,) = books.form()
    wrong = Refused(400, "MANDATORY_NOT_FOUND", "no stage", ("$.Deals.Stage",))
    post(books, books.send(chunk_id), wrong, THEN)
    while books.chunks.drain(now=THEN + 3):
        pass
    sent, waited = told(books, leads(60)[0]), told(books, leads(60)[-1])
    assert (events(sent)[-1], sent.proof) == ("options_refused", Proof.OPTIONS)
    assert sent.entries[-1].told == Told("", 400, "MANDATORY_NOT_FOUND", "no stage ($.Deals.Stage)")
    assert (events(waited), waited.proof) == (["refused_waiting"], Proof.OPTIONS)


def test_a_lead_that_zoho_names_is_known_by_its_name(books: Books) -> None:
    books.batch("b", LEADS)
    (chunk_id,) = books.form()
    post(books, books.send(chunk_id), Refused(400, "INVALID_DATA", "invalid", ("$.ids[1]",)), THEN)
    read(books, chunk_id, set(), THEN + 10)
    read(books, chunk_id, set(), THEN + 100)
    story = told(books, B)
    assert story.proof is Proof.NAMED
    assert events(story) == ["formed", "sending", "bad_leads", "read_lags", "named_out"]
    assert told(books, A).place is Whereabouts.PAYLOAD


def test_a_lead_of_no_batch_has_no_story(books: Books) -> None:
    books.batch("b", LEADS)
    assert books.ledger.stories.of(leads(1, first=500)[0]) == []


def test_several_leads_are_told_in_the_order_asked(books: Books) -> None:
    books.batch("b1", [A, B])
    books.batch("b2", [C])
    found = books.ledger.stories.of_each([C, D, A])
    assert {lead: [story.batch for story in stories] for lead, stories in found.items()} == {
        C: ["b2"],
        D: [],
        A: ["b1"],
    }
    assert list(found) == [C, D, A]


def test_a_lead_far_from_its_outcome_in_the_list_is_found(books: Books) -> None:
    ids = leads(3000)
    books.batch("b1", ids)
    books.batch("b2", ids)  # all are in flight elsewhere: one outcome for a slice of them
    assert told_in(books, ids[2999], "b2").proof is Proof.ELSEWHERE


def told_in(books: Books, lead: str, batch: str) -> Story:
    (story,) = (story for story in books.ledger.stories.of(lead) if story.batch == batch)
    return story


def test_a_story_that_something_else_has_written_to_is_begun_again(books: Books) -> None:
    books.batch("b", [A])
    (chunk_id,) = books.form()
    books.redis.hset(books.keys.chunk(chunk_id), "story", "nonsense")
    books.convert(chunk_id)
    assert events(told(books, A)) == ["sending", "accepted", "job_all_converted"]


def test_an_answer_comes_back_as_it_was_written() -> None:
    said = Told("77", 202, "C|;%", 'said: 100 %; "so"')
    (back,) = load_story(f"100.5;accepted|1.5||{dump_told(said)}")
    assert back == Entry("accepted", 102.0, 1, 102.0, "", 0, said)
