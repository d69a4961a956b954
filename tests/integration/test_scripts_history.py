"""Redis' history breaks: what was written before may be out of date, and is read before it is sent.

The break is a real one: a server that is demoted and promoted again begins another history (``master_replid``), as one
does that was promoted in a failover, or started from its log or from a copy.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from massconvert.errors import StoreError
from massconvert.ledger.chunks import Moved
from massconvert.model import Accepted, Again, Chunk, Done, Kind, LeadsRead, LeadState, Outcome, State, Why
from massconvert.policy import Decision, Moment, Row, Tuning, after_break, after_post, after_read
from massconvert.store import connect
from tests.integration.books import MOMENT, NOW, OPTIONS, OTHER_FINGERPRINT, TUNING, Books, leads

pytestmark = pytest.mark.integration

THEN = NOW + TUNING.linger
#: When a chunk of before may be looked at: everything that may have been sent before the break has ended.
SURELY = NOW + 60.0 + TUNING.send_within + TUNING.job_wait
BREAK = NOW + 60.0


def breaks(books: Books, at: float = BREAK) -> None:
    """The history of this Redis breaks; somebody takes notice ``at``."""
    books.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    books.redis.execute_command("REPLICAOF", "NO", "ONE")
    books.form(at)


def looked_at(books: Books, chunk_id: str, at: float = BREAK) -> Chunk:
    """Claim a chunk of before the break, and have it looked at later."""
    chunk = books.claim(chunk_id, now=at)
    assert chunk.broken_at == pytest.approx(at)
    decision = after_break(chunk, Moment(now=at, chance=0.0, tuning=TUNING))
    assert books.chunks.move(chunk, decision, now=at)
    assert isinstance(books.try_claim(chunk_id, now=decision.chunk.due_at - 1.0), Again | Done)
    return books.claim(chunk_id, now=decision.chunk.due_at)


def shows(*converted: str, of: Chunk, at: float = SURELY) -> Decision:
    """What a read decides that shows these as converted."""
    read = LeadsRead({lead: LeadState(lead, lead in converted, converted_at=NOW + 30.0) for lead in of.leads})
    return after_read(of, read, Moment(now=at, chance=0.0, tuning=TUNING))


# --- begin_send, claim_chunk


def test_begin_send_sends_nothing_of_an_earlier_history(books: Books) -> None:
    books.batch("b", leads(3))
    (chunk_id,) = books.form()
    claimed = books.claim(chunk_id, now=BREAK - 1)
    breaks(books)
    assert books.chunks.begin_send(claimed, now=BREAK) is None
    assert books.claim(chunk_id, now=BREAK).broken_at == pytest.approx(BREAK)  # at once: nobody holds it any more


def test_what_waited_is_looked_at_and_only_the_unconverted_go_out(books: Books) -> None:
    books.batch("b", leads(3))
    (chunk_id,) = books.form()
    breaks(books)
    chunk = looked_at(books, chunk_id)
    assert (chunk.state, chunk.why, chunk.broken_at) == (State.SETTLING, Why.ANSWER_LOST, None)
    assert books.counts("b") == {"total": 3, "sent": 3}
    first, *others = chunk.leads
    again = shows(first, of=chunk)  # some are converted: a lost job may be at work
    assert again.row is Row.STILL_CONVERTING
    assert books.chunks.move(chunk, again, now=SURELY)
    chunk = books.claim(chunk_id, now=again.chunk.due_at)
    assert books.chunks.move(chunk, shows(of=chunk), now=again.chunk.due_at)
    waiting = books.claim(chunk_id, now=again.chunk.due_at + 1)
    assert (waiting.leads, waiting.broken_at) == (tuple(others), None)
    assert books.chunks.begin_send(waiting, now=again.chunk.due_at + 1)
    assert books.outcomes("b")[first] == Outcome(Kind.CONVERTED, attempts=1)


def test_a_chunk_that_was_up_to_date_goes_as_ever(books: Books) -> None:
    breaks(books, NOW - 2 * TUNING.doubt)
    books.batch("b", leads(3))
    (chunk_id,) = books.form()
    assert books.send(chunk_id).broken_at is None


def test_a_running_job_is_asked_again_when_a_later_one_has_surely_ended(books: Books) -> None:
    books.batch("b", leads(3))
    (chunk_id,) = books.form()
    books.accept(chunk_id)
    breaks(books)
    chunk = looked_at(books, chunk_id)
    assert (chunk.state, chunk.job_id) == (State.RUNNING, f"9{chunk_id}")


# --- move_chunk


def test_move_chunk_writes_no_decision_by_a_read_of_an_earlier_history(books: Books) -> None:
    """What it read may be out of date: a later payload, of which the ledger knows nothing any more, may be at work."""
    books.batch("b", leads(3))
    (chunk_id,) = books.form()
    breaks(books, BREAK - 2)
    chunk = looked_at(books, chunk_id, BREAK - 2)
    breaks(books, SURELY)
    assert books.chunks.move(chunk, shows(of=chunk), now=SURELY + 1) is None
    assert books.claim(chunk_id, now=SURELY + 1).broken_at == pytest.approx(SURELY)


def test_move_chunk_writes_the_answer_to_our_own_payload(books: Books) -> None:
    """A worker that still holds its claim knows what Zoho said; that job is then followed as one of before."""
    books.batch("b", leads(3))
    (chunk_id,) = books.form()
    sending = books.send(chunk_id)
    breaks(books)
    assert books.chunks.move(sending, after_post(sending, Accepted("77"), MOMENT), now=BREAK) == Moved(())
    assert books.claim(chunk_id, now=BREAK + 60).broken_at == pytest.approx(BREAK)


def test_move_chunk_ends_no_lead_by_an_answer_of_an_earlier_history(books: Books) -> None:
    books.batch("b", leads(3))
    (chunk_id,) = books.form()
    sending = books.send(chunk_id)
    breaks(books)
    rest = Outcome(Kind.FAILED, "X")
    gone = Decision(Row.OPTIONS_REFUSED, replace(sending, state=State.DONE), Done(), rest=rest)
    assert books.chunks.move(sending, gone, now=BREAK) is None
    assert set(books.outcomes("b").values()) == {None}


def test_parts_of_a_chunk_are_of_the_history_of_the_whole(books: Books) -> None:
    books.batch("b", leads(100))
    breaks(books)
    (chunk_id,) = books.redis.smembers(books.keys.batch_chunks("b"))  # a hundred leads of before are read at once
    chunk = looked_at(books, chunk_id)
    assert len(chunk.leads) == 100
    moved = books.chunks.move(chunk, shows(of=chunk), now=SURELY)
    assert moved
    for part in (chunk_id, moved.siblings[0]):
        waiting = books.claim(part, now=SURELY + 1)
        assert (len(waiting.leads), waiting.broken_at) == (50, None)
    breaks(books, SURELY + 100)
    for part in (chunk_id, moved.siblings[0]):
        assert books.claim(part, now=SURELY + 200).broken_at == pytest.approx(SURELY + 100)


# --- form_chunks, open_batch, add_leads


def test_form_chunks_marks_what_a_batch_of_before_had_in_its_inbox(books: Books) -> None:
    books.batch("b", leads(2))
    breaks(books, BREAK)
    (chunk_id,) = books.redis.smembers(books.keys.batch_chunks("b"))
    chunk = books.claim(chunk_id, now=BREAK)
    assert chunk.broken_at == pytest.approx(BREAK)
    assert chunk.created_at == NOW  # as old as its batch


@pytest.mark.parametrize(("after", "doubted"), [(60.0, True), (TUNING.doubt + 60.0, False)])
def test_form_chunks_doubts_new_batches_for_a_while_after_a_break(books: Books, after: float, doubted: bool) -> None:
    """An old primary may have taken and sent them, and their producer calls again since it had no answer."""
    books.batch("old", leads(2, 50))
    breaks(books, NOW)
    books.batch("b", leads(2), now=NOW + after, fingerprint=OTHER_FINGERPRINT)
    books.form(NOW + after + 60.0)
    (chunk_id,) = books.redis.smembers(books.keys.batch_chunks("b"))
    assert (books.claim(chunk_id, now=NOW + after + 60.0).broken_at is not None) is doubted


def test_add_leads_to_a_batch_of_before_makes_all_of_them_doubtful(books: Books) -> None:
    books.batches.open("b", OTHER_FINGERPRINT, OPTIONS, now=NOW, leads=2)
    breaks(books, NOW + 1)
    long_after = NOW + 2 * TUNING.doubt
    books.batches.add("b", "1", leads(2), now=long_after)
    books.batches.seal("b", now=long_after, flush=True)
    (chunk_id,) = books.form(long_after + 60)
    assert books.claim(chunk_id, now=long_after + 60).broken_at == NOW + 1


def test_what_an_older_version_wrote_is_up_to_date_until_a_break_comes_after_it(books: Books) -> None:
    books.batch("b", leads(100))
    before, after = books.form()
    for key in (books.keys.chunk(before), books.keys.chunk(after), books.keys.batch("b")):
        books.redis.hdel(key, "history")
    assert books.claim(before).broken_at is None
    breaks(books)
    assert books.claim(after, now=BREAK).broken_at == pytest.approx(BREAK)


# --- cancel_batch, drain_inbox


def test_drain_inbox_reads_leads_of_before_first_and_ends_only_the_unconverted(books: Books) -> None:
    books.batch("b", leads(3), seal=False)  # held in its inbox, so that no chunk is formed of it
    books.batches.hold("b", "wait")
    breaks(books)
    books.batches.cancel("b", now=BREAK)
    assert not books.chunks.drain(now=BREAK)
    assert set(books.outcomes("b").values()) == {None}
    (chunk_id,) = books.redis.smembers(books.keys.batch_chunks("b"))
    chunk = looked_at(books, chunk_id)
    books.chunks.move(chunk, shows(*chunk.leads, of=chunk), now=SURELY)
    assert {outcome.kind for outcome in books.outcomes("b").values() if outcome} == {Kind.CONVERTED}
    assert books.batches.status("b").finished


def test_cancel_batch_reads_what_waits_in_a_chunk_of_before(books: Books) -> None:
    books.batch("b", leads(3))
    (chunk_id,) = books.form()
    breaks(books)
    books.batches.cancel("b", now=BREAK)
    assert set(books.outcomes("b").values()) == {None}
    chunk = looked_at(books, chunk_id)
    books.chunks.move(chunk, shows(of=chunk), now=SURELY)
    assert {outcome.kind for outcome in books.outcomes("b").values() if outcome} == {Kind.CANCELLED}


def test_drain_inbox_makes_no_more_chunks_than_jobs_may_be_open(books: Books) -> None:
    books.batch("b", leads(300), seal=False)
    books.batches.hold("b", "wait")
    breaks(books)
    books.batches.cancel("b", now=BREAK)
    few = Books(books.redis, books.keys.account, replace(TUNING, max_jobs=2))
    while few.chunks.drain(now=BREAK):
        pass
    assert few.redis.scard(few.keys.batch_chunks("b")) == 2
    assert few.redis.llen(few.keys.batch_inbox("b")) == 100


def test_without_doubt_new_batches_go_at_once(books: Books) -> None:
    sure = Books(books.redis, books.keys.account, Tuning(doubt=0.0))
    sure.batch("old", leads(1, 60))
    breaks(sure, NOW)
    sure.batch("b", leads(2), now=NOW + 1, fingerprint=OTHER_FINGERPRINT)
    sure.form(NOW + 10)
    (chunk_id,) = sure.redis.smembers(sure.keys.batch_chunks("b"))
    assert sure.send(chunk_id, now=NOW + 10)


def test_where_info_is_refused_every_payload_is_read_before_it_is_sent(books: Books, redis_tcp_url: str) -> None:
    """Nothing tells then whether Redis has forgotten anything. Who is sure of their Redis says so: no doubt."""
    user = f"blind-{books.keys.account}"
    books.redis.execute_command("ACL", "SETUSER", user, "on", ">pw", "~*", "+@all", "-info")
    client = connect(redis_tcp_url.replace("redis://", f"redis://{user}:pw@"))
    try:
        blind = Books(client, books.keys.account)
        blind.batch("b", leads(2))
        (chunk_id,) = blind.form()
        chunk = blind.claim(chunk_id)
        assert chunk.broken_at == 0.0
        looked = after_break(chunk, Moment(now=THEN, chance=0.0, tuning=TUNING))
        assert blind.chunks.move(chunk, looked, now=THEN)
        chunk = blind.claim(chunk_id, now=THEN + 1)  # at once: there was no break that anybody knows of
        assert blind.chunks.move(chunk, shows(of=chunk, at=THEN + 1), now=THEN + 1)
        assert blind.send(chunk_id, now=THEN + 2)
        sure = Books(client, books.keys.account, Tuning(doubt=0.0))
        sure.batch("c", leads(2, 50), fingerprint=OTHER_FINGERPRINT)
        (chunk_id,) = sure.form(THEN + 9)
        assert sure.send(chunk_id, now=THEN + 9)
    finally:
        client.close()
        books.redis.execute_command("ACL", "DELUSER", user)


# --- replicas that are gone


def test_a_replica_that_left_while_the_ledger_was_idle_is_waited_for_still(books: Books) -> None:
    """As on an old primary in a planned failover: the first script for an hour comes when its replicas are gone."""
    books.batch("before", leads(1))
    books.redis.hset(books.keys.history, "replicas", 1)
    later = NOW + 3600.0
    for at in (later, later + 19.0):
        with pytest.raises(StoreError) as caught:
            books.batch("b", leads(1, 10), now=at)
        assert caught.value.code == "REPLICAS"
    books.batch("b", leads(1, 10), now=later + 21.0)
    assert books.redis.hget(books.keys.history, "replicas") == "0"
    assert not books.redis.hexists(books.keys.history, "fewer_since")
