"""Stop is a stop: after a cancel or a pause nothing goes out that was not under way, wherever it comes to rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from massconvert.model import (
    Accepted,
    Busy,
    Call,
    Chunk,
    Done,
    JobStatus,
    Kind,
    LeadsRead,
    LeadState,
    NotSent,
    Outcome,
    PerhapsAccepted,
    PostAnswer,
    Progress,
    Refused,
    State,
    Unsent,
    Why,
)
from massconvert.policy import Permit, after_post, after_read, after_status, no_permit, sender_lost
from massconvert.zoho import Governor
from tests.integration.books import FINGERPRINT, MOMENT, NOW, OTHER_FINGERPRINT, TUNING, Books, leads

pytestmark = pytest.mark.integration

LATER = NOW + TUNING.linger
MUCH_LATER = LATER + 10_000.0
CANCELLED = Outcome(Kind.CANCELLED)
NOT_ALLOWED = Refused(403, "NO_PERMISSION", "permission denied")


def drain(books: Books) -> None:
    while books.chunks.drain(now=MUCH_LATER):
        pass


def answered(books: Books, sending: Chunk, answer: PostAnswer) -> Chunk | None:
    """The chunk after the answer to its payload, as the next worker claims it; ``None`` where nothing is left."""
    assert books.chunks.move(sending, after_post(sending, answer, at(LATER + 1)), now=LATER + 1)
    return claimed(books, sending.id)


def claimed(books: Books, chunk_id: str) -> Chunk | None:
    found = books.try_claim(chunk_id, now=MUCH_LATER)
    return found if isinstance(found, Chunk) else None


def at(now: float) -> Any:
    return replace(MOMENT, now=now)


def read(books: Books, settling: Chunk, *converted: str, names_lags: int = 5) -> None:
    """A look that shows the leads of a chunk: some are converted, the others are not."""
    shown = {lead: LeadState(lead, lead in converted, converted_at=MUCH_LATER) for lead in settling.leads}
    settling = replace(settling, lags=names_lags, claimed_converted=-1)
    assert books.chunks.move(settling, after_read(settling, LeadsRead(shown), at(MUCH_LATER)), now=MUCH_LATER)


# --- cancel


UNSENT = {
    "the connection could not be made": NotSent(Unsent.CONNECT, "refused"),
    "no token": NotSent(Unsent.NO_TOKEN, "none", retry_after=5.0),
    "the token expired": Refused(401, "INVALID_TOKEN", "expired"),
    "throttled": Refused(429, "TOO_MANY_REQUESTS", "slow down", retry_after=1.0),
    "not allowed": NOT_ALLOWED,
    "too many leads": Refused(400, "RECORD_LIMIT_EXCEEDED", "too many"),
}


@pytest.mark.parametrize("answer", UNSENT.values(), ids=UNSENT.keys())
def test_what_turns_out_not_to_be_sent_after_a_cancel_ends_as_cancelled(books: Books, answer: PostAnswer) -> None:
    books.batch("b", leads(6))
    sending = books.send(*books.form())
    assert books.batches.cancel("b", now=LATER) == (0, 6)
    assert answered(books, sending, answer) is None
    assert books.outcomes("b") == dict.fromkeys(leads(6), CANCELLED)
    assert books.batches.status("b").finished
    assert not [path for path in books.look() if path.startswith(("due/", "unsent/", "jobs/", "chunk:", "live:"))]


@pytest.mark.parametrize("lost", ["an answer", "a sender"])
@pytest.mark.parametrize("before", [True, False], ids=["cancelled while under way", "cancelled while it waits again"])
def test_what_a_look_shows_unconverted_ends_as_cancelled_and_not_as_sent_again(
    books: Books, lost: str, before: bool
) -> None:
    books.batch("b", leads(6))
    sending = books.send(*books.form())
    if before:
        assert books.batches.cancel("b", now=LATER) == (0, 6)
    if lost == "an answer":
        settling = answered(books, sending, PerhapsAccepted("HTTP 500"))
    else:
        found = books.claim(sending.id, now=MUCH_LATER)
        assert books.chunks.move(found, sender_lost(found, at(MUCH_LATER)), now=MUCH_LATER)
        settling = books.claim(sending.id, now=MUCH_LATER + 100)
    assert settling is not None
    assert settling.why is Why.ANSWER_LOST
    read(books, settling, leads(6)[0])
    if not before:
        assert books.counts("b")["sent"] == 5
        assert books.batches.cancel("b", now=MUCH_LATER) == (5, 0)
    assert books.counts("b") == {"total": 6, "converted": 1, "cancelled": 5}
    assert claimed(books, sending.id) is None
    assert books.batches.status("b").finished


def test_what_a_job_left_unconverted_ends_as_cancelled(books: Books) -> None:
    books.batch("b", leads(6))
    books.accept(*books.form())
    assert books.batches.cancel("b", now=LATER) == (0, 6)
    running = books.claim("1", now=LATER + 100)
    decision = after_status(running, JobStatus(Progress.COMPLETED, 6, 2, 0, 4), at(LATER + 100))
    assert books.chunks.move(running, decision, now=LATER + 100)
    settling = books.claim("1", now=LATER + 200)
    read(books, settling, *leads(2))
    assert books.counts("b") == {"total": 6, "converted": 2, "cancelled": 4}


def test_the_halves_of_a_refused_payload_end_as_cancelled_and_others_go_on(books: Books) -> None:
    books.batch("mine", leads(6), flush=False)
    books.batch("theirs", leads(4, 50), flush=False)
    sending = books.send(*books.form())
    assert books.batches.cancel("mine", now=LATER) == (0, 6)
    moved = books.chunks.move(
        sending, after_post(sending, Refused(400, "RECORD_LIMIT_EXCEEDED", "too many"), at(LATER)), now=LATER
    )
    assert moved
    assert books.counts("mine") == {"total": 6, "cancelled": 6}
    going = [each.leads for each in (claimed(books, "1"), claimed(books, (moved.siblings or ("2",))[0])) if each]
    assert sorted(lead for some in going for lead in some) == leads(4, 50)


def test_a_claimed_payload_goes_out_without_what_was_cancelled_since(books: Books) -> None:
    """It is handed back, so that what is sent is what was written ahead."""
    books.batch("mine", leads(5), flush=False)
    books.batch("theirs", leads(5, 50), flush=False)
    (formed,) = books.form()
    waits = books.claim(formed)
    assert books.batches.cancel("mine", now=LATER) == (5, 0)
    assert books.chunks.begin_send(waits, now=LATER) is None
    assert books.chunks.move(waits, no_permit(waits, Busy(1.0, ""), at(LATER)), now=LATER) is None
    assert [found.chunk_id for found in books.chunks.overdue(now=LATER + 1)] == [waits.id]
    assert books.claim(waits.id, now=LATER + 1).leads == tuple(leads(5, 50))


def test_what_an_older_version_left_to_send_of_a_cancelled_batch_is_not_sent(books: Books) -> None:
    """It followed leads that had been submitted before, into the next payload."""
    books.batch("mine", leads(5), flush=False)
    books.batch("theirs", leads(5, 50), flush=False)
    (formed,) = books.form()
    waits = books.claim(formed)
    books.redis.hset(books.keys.batch("mine"), "drain", '["cancelled", "[\\"cancelled\\"]"]')
    assert books.chunks.begin_send(waits, now=LATER) is None
    assert books.outcomes("mine") == dict.fromkeys(leads(5), CANCELLED)
    assert books.batches.status("mine").finished
    assert books.send(waits.id, now=LATER + 1).leads == tuple(leads(5, 50))


def test_a_cancel_of_many_payloads_is_whole_although_its_scripts_are_short(books: Books) -> None:
    books.chunks._tuning = replace(TUNING, window=100)
    books.batch("b", leads(3000))
    formed = books.form()
    assert len(formed) == 60
    sending = books.send(formed[0])
    assert books.batches.cancel("b", now=LATER) == (2950, 50)
    drain(books)
    assert books.counts("b") == {"total": 3000, "waiting": 50, "cancelled": 2950}
    assert answered(books, sending, Accepted("7")) is not None


# --- the organisation's pause


def test_a_payload_that_was_claimed_before_a_pause_is_not_sent_and_goes_when_it_is_over(books: Books) -> None:
    books.batch("b", leads(5))
    (formed,) = books.form()
    waits = books.claim(formed)
    books.ledger.organisation.pause(now=LATER, reason="by hand")
    assert books.chunks.begin_send(waits, now=LATER) is None
    assert books.chunks.overdue(now=MUCH_LATER) == []
    assert isinstance(books.try_claim(waits.id, now=MUCH_LATER), Done)
    assert books.ledger.organisation.resume()
    assert [found.chunk_id for found in books.chunks.overdue(now=LATER + 1)] == [waits.id]
    assert books.send(waits.id, now=LATER + 1).leads == tuple(leads(5))


def test_only_the_probe_of_a_pause_is_sent(books: Books) -> None:
    books.batch("b", leads(150))
    refused, waits, probe = books.form()
    sending, other = books.send(refused), books.claim(waits)
    assert books.chunks.move(sending, after_post(sending, NOT_ALLOWED, at(LATER)), now=LATER)
    assert books.chunks.begin_send(other, now=LATER + 1) is None
    when = LATER + TUNING.pause_probe
    assert books.send(probe, now=when).id == probe


def test_what_was_under_way_neither_replaces_nor_ends_the_pause_of_a_person(books: Books) -> None:
    books.batch("b", leads(100))
    first, second = (books.send(chunk) for chunk in books.form())
    books.ledger.organisation.pause(now=LATER, reason="by hand")
    assert books.chunks.move(first, after_post(first, NOT_ALLOWED, at(LATER)), now=LATER)
    paused = books.ledger.organisation.paused()
    assert paused is not None
    assert paused.code == ""
    assert "by hand" in paused.reason
    assert "NO_PERMISSION" in paused.reason
    assert books.chunks.overdue(now=MUCH_LATER) == []
    assert isinstance(books.try_claim(first.id, now=MUCH_LATER), Done)
    assert books.chunks.move(second, after_post(second, Accepted("7"), at(LATER)), now=LATER)
    assert books.ledger.organisation.paused() is not None
    assert books.ledger.organisation.resume()
    assert books.ledger.organisation.paused() is None


def test_a_person_who_pauses_over_a_pause_of_zoho_ends_its_probes(books: Books) -> None:
    books.batch("b", leads(50))
    sending = books.send(*books.form())
    assert books.chunks.move(sending, after_post(sending, NOT_ALLOWED, at(LATER)), now=LATER)
    books.ledger.organisation.pause(now=LATER + 1, reason="by hand")
    books.ledger.organisation.pause(now=LATER + 9, reason="again")
    paused = books.ledger.organisation.paused()
    assert paused is not None
    assert (paused.code, paused.since) == ("", LATER + 1)
    assert paused.reason.startswith("by hand NO_PERMISSION: ")
    assert isinstance(books.try_claim(sending.id, now=MUCH_LATER), Done)


def test_no_worker_gets_a_permit_while_a_person_has_paused(books: Books) -> None:
    """A worker may have claimed something before; a person who looks something up decides for themselves."""

    def governor(*, obeys_pause: bool) -> Governor:
        clock: Any = type("Clock", (), {"now": lambda _self: LATER})()
        asked: Callable[[], Any] = lambda: None  # noqa: E731 - it is never called
        return Governor(books.redis, books.keys, clock, limit=5, ask_org=asked, wait=0.0, obeys_pause=obeys_pause)

    worker, person = governor(obeys_pause=True), governor(obeys_pause=False)
    assert isinstance(worker.acquire(Call.READ), Permit)
    books.ledger.organisation.pause(now=LATER, reason="by hand")
    for call in Call:
        busy = worker.acquire(call)
        assert isinstance(busy, Busy)
        assert "paused" in busy.why
        assert busy.in_seconds < 10.0
    assert isinstance(person.acquire(Call.READ), Permit)
    books.ledger.organisation.resume()
    assert isinstance(worker.acquire(Call.STATUS), Permit)


# --- a batch on hold


def test_a_claimed_payload_of_held_batches_alone_is_not_sent(books: Books) -> None:
    books.batch("mine", leads(5), flush=False)
    books.batch("theirs", leads(5, 50), flush=False)
    (formed,) = books.form()
    waits = books.claim(formed)
    for batch in ("mine", "theirs"):
        books.redis.hset(books.keys.batch(batch), mapping={"held": "why", "held_at": LATER})  # and was not parked yet
    assert books.chunks.begin_send(waits, now=LATER) is None
    assert books.chunks.overdue(now=MUCH_LATER) == []
    books.batches.release("mine", now=LATER)
    assert books.claim(waits.id, [State.WAITING], now=LATER + 1).leads == (*leads(5), *leads(5, 50))


# --- options that were refused


def refuse(books: Books, chunk: Chunk) -> None:
    wrong = Refused(400, "MANDATORY_NOT_FOUND", "required field not found", paths=("$.Deals.Deal_Name",))
    assert books.chunks.move(chunk, after_post(chunk, wrong, at(LATER)), now=LATER)


def test_a_refusal_of_options_touches_no_batch_that_waits_and_all_of_them_end(books: Books) -> None:
    for number in range(120):
        books.batch(f"b{number}", leads(1, number + 1), accepted=False, flush=False)
    sending = books.send(*books.form())
    with books.watching("batch:b99", "batch:b100", "draining", "interactive:", "bulk:") as changed:
        refuse(books, sending)
    assert changed == {}
    assert books.form(LATER + 10) == ()
    left = 1
    while books.chunks.drain(now=LATER + 1):
        left += 1
    assert left > 2, "a few batches a script"
    codes = {outcome.code for number in range(120) for outcome in books.outcomes(f"b{number}").values() if outcome}
    assert codes == {"MANDATORY_NOT_FOUND"}
    assert all(books.batches.status(f"b{number}").finished for number in range(120))
    rest = books.look()
    assert not [path for path in rest if path.startswith(("draining", "refused", "bulk:", "inboxes", "live:"))]
    assert not [path for path in rest if path.endswith((".refused_turn", ".refused_fate", ".refused_waiting"))]


def test_what_comes_to_a_refused_batch_before_it_is_drained_ends_with_it(books: Books) -> None:
    books.batch("b", leads(60), accepted=False, seal=False)
    refuse(books, books.send(*books.form()))
    assert books.batches.add("b", "b:1", leads(5, 500), now=LATER).nudge_in == 0.0
    drain(books)
    assert books.counts("b") == {"total": 65, "failed": 65}


def test_a_batch_that_comes_after_a_refusal_tries_the_options_itself(books: Books) -> None:
    books.batch("b", leads(60), accepted=False)
    refuse(books, books.send(*books.form()))
    books.batch("later", leads(5, 500), accepted=False)
    (chunk,) = books.form(LATER + 10)
    assert books.claim(chunk, now=LATER + 10).leads == tuple(leads(5, 500))
    drain(books)
    assert books.counts("b") == {"total": 60, "failed": 60}


@pytest.mark.parametrize("what", ["cancel", "hold"])
def test_a_refused_batch_that_is_not_drained_yet_can_be_stopped(books: Books, what: str) -> None:
    books.batch("b", leads(60), accepted=False)
    books.batch("other", leads(60, 100), fingerprint=OTHER_FINGERPRINT)
    refuse(books, next(chunk for chunk in map(books.send, books.form()) if chunk.fingerprint == FINGERPRINT))
    waiting = books.counts("b").get("waiting", 0)
    if what == "cancel":
        assert books.batches.cancel("b", now=LATER) == (waiting, 0)
    else:
        assert not books.batches.hold("b", "why", now=LATER)
    drain(books)
    assert books.batches.status("b").finished
    assert books.counts("b").get("cancelled", 0) == (waiting if what == "cancel" else 0)
    assert books.counts("other").get("cancelled", 0) == 0


def test_options_that_zoho_takes_after_a_refusal_let_the_rest_go_on(books: Books) -> None:
    """The stage had been taken away, and was put back: what has not ended is not failed for an old refusal."""
    books.batch("b", leads(200))
    first, second, *_ = (books.send(chunk) for chunk in books.form()[:2])
    refuse(books, first)
    books.batch("more", leads(100, 500))
    assert books.chunks.move(second, after_post(second, Accepted("7"), at(LATER)), now=LATER)
    drain(books)
    assert books.counts("more") == {"total": 100, "waiting": 100}
    going = {lead for when in (10, 20) for chunk in books.form(LATER + when) for lead in books.open_leads(chunk)}
    assert set(leads(100, 500)) <= going


def test_queues_of_an_older_version_are_served_and_refused_too(books: Books) -> None:
    """It kept them in lists."""
    books.batch("b", leads(60))
    books.batch("held", leads(60, 100))
    key = books.keys.queue(FINGERPRINT)
    waiting = books.redis.zrange(key, 0, -1)
    books.redis.delete(key)
    books.redis.rpush(f"{books.keys.prefix}queue:{FINGERPRINT}", *waiting)
    books.batches.hold("held", "why", now=LATER)
    formed = books.form()
    assert sum(len(books.open_leads(chunk)) for chunk in formed) == 60
    assert books.batches.release("held", now=LATER).was_held
    later = [chunk for when in (10, 20) for chunk in books.form(LATER + when)]
    assert sum(len(books.open_leads(chunk)) for chunk in later) == 60
