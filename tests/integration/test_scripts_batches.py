"""The scripts about batches: what each changes, and that a wrong state or a second call changes nothing.

tests/unit/test_ledger.py runs the same tests on fakeredis.
"""

from __future__ import annotations

import pytest

from massconvert.errors import KeyConflictError, StoreError, UnknownBatchError
from massconvert.ledger import FailedWith
from massconvert.model import (
    Accepted,
    BatchState,
    Code,
    Done,
    Kind,
    Outcome,
    PerhapsAccepted,
    Refused,
    State,
)
from massconvert.policy import after_post
from tests.integration.books import (
    FINGERPRINT,
    MOMENT,
    NOW,
    OPTIONS,
    OTHER_FINGERPRINT,
    TUNING,
    Books,
    leads,
)

pytestmark = pytest.mark.integration

CANCELLED = Outcome(Kind.CANCELLED)
A, B, C = leads(3)


# --- open_batch


def test_open_batch_registers_an_empty_batch_that_takes_leads(books: Books) -> None:
    with books.watching() as changed:
        assert books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1).is_new
    promised = {
        "batch:b.fp": FINGERPRINT,
        "batch:b.created": "1800000000",
        "batch:b.sealed": "0",
        **{f"batch:b.{count}": "0" for count in ("total", "sent", "converted", "failed", "skipped", "cancelled")},
        f"options:{FINGERPRINT}.json": '{"Deals":{"Deal_Name":"Renewal"}}',
        f"options:{FINGERPRINT}.batches": "1",
        "batches/b": NOW,
        "unsealed/b": NOW,
    }
    assert changed.items() >= promised.items()
    assert books.counts("b") == {}
    assert books.batches.status("b").state is BatchState.RUNNING
    assert books.batches.options("b") == OPTIONS


def test_open_batch_with_the_same_options_goes_on_with_what_is_there(books: Books) -> None:
    books.batch("b", [A, B], seal=False)
    before = books.outcomes("b")
    with books.watching("batch:b.total", f"options:{FINGERPRINT}.batches", "batches", "batch:b.created") as changed:
        assert not books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW + 9, leads=1_000_000).is_new
    assert changed == {}
    assert books.outcomes("b") == before


def test_open_batch_with_other_options_is_refused_and_changes_nothing(books: Books) -> None:
    books.batch("b", [A])
    with books.watching() as changed, pytest.raises(KeyConflictError, match="'b' was used before"):
        books.batches.open("b", OTHER_FINGERPRINT, {}, now=NOW + 9, leads=1)
    assert changed == {}


def test_open_batch_on_a_finished_batch_keeps_it_from_expiring(books: Books) -> None:
    books.batch("b", [])
    assert books.batches.status("b").state is BatchState.FINISHED
    with books.watching("batch:b ", f"options:{FINGERPRINT} ", "batch:b.finished", "unsealed") as changed:
        assert not books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW + 9, leads=1).is_new
    assert changed == {
        "batch:b expires": None,
        f"options:{FINGERPRINT} expires": None,
        "batch:b.finished": None,
        "batch:b.finished_before": str(int(NOW)),
        "unsealed/b": NOW + 9,
    }


# --- add_leads


def test_add_leads_lets_new_leads_wait_and_counts_them(books: Books) -> None:
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    added = books.batches.add("b", "call", [A, B], now=NOW + 1)
    assert (added.accepted, added.duplicates, added.skipped) == (2, 0, 0)
    assert added.nudge_in == TUNING.linger  # a tail waits for company
    assert books.counts("b") == {"total": 2, "waiting": 2}
    assert books.outcomes("b") == {A: None, B: None}
    assert books.look()["unsealed/b"] == NOW + 1


def test_add_leads_tells_the_workers_once_for_a_tail_and_at_once_for_a_payload(books: Books) -> None:
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    assert books.batches.add("b", "1", leads(10), now=NOW).nudge_in == TUNING.linger
    assert books.batches.add("b", "2", leads(10, 11), now=NOW).nudge_in is None
    assert books.batches.add("b", "3", leads(30, 21), now=NOW).nudge_in == 0.0
    assert books.batches.add("b", "4", leads(30, 51), now=NOW).nudge_in is None


def test_add_leads_drops_and_counts_duplicates(books: Books) -> None:
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    first = books.batches.add("b", "1", [A, B, A], now=NOW)
    second = books.batches.add("b", "2", [B, C], now=NOW)
    assert (first.accepted, first.duplicates) == (2, 1)
    assert (second.accepted, second.duplicates) == (1, 1)
    assert books.counts("b") == {"total": 3, "waiting": 3}


def test_add_leads_skips_what_is_in_flight_in_another_batch(books: Books) -> None:
    books.batch("first", [A, B])
    books.batches.open("second", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    added = books.batches.add("second", "1", [B, C], now=NOW)
    assert (added.accepted, added.duplicates, added.skipped) == (1, 0, 1)
    assert books.counts("second") == {"total": 2, "waiting": 1, "skipped": 1}
    outcome = books.outcomes("second")[B]
    assert outcome is not None
    assert (outcome.kind, outcome.code) == (Kind.SKIPPED, Code.ALREADY_QUEUED)
    assert books.outcomes("first")[B] is None


def test_add_leads_takes_a_lead_whose_earlier_batch_has_ended_it(books: Books) -> None:
    books.batch("first", [A])
    sending = books.send(*books.form())
    refused = after_post(sending, Refused(400, "MANDATORY_NOT_FOUND", "no"), MOMENT)
    assert books.chunks.move(sending, refused, now=NOW + 3)
    books.batches.open("second", OTHER_FINGERPRINT, {}, now=NOW + 4, leads=1)
    assert books.batches.add("second", "1", [A], now=NOW + 4).accepted == 1


def test_add_leads_again_with_the_same_call_changes_nothing_and_answers_the_same(books: Books) -> None:
    """The answer to the first was lost."""
    books.batch("other", [B])
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    answer = books.batches.add("b", "call", [A, A, B], now=NOW)
    with books.watching() as changed:
        assert books.batches.add("b", "call", [A, A, B], now=NOW + 5) == answer
    assert changed == {}


def test_add_leads_to_no_batch_is_refused_and_changes_nothing(books: Books) -> None:
    with books.watching() as changed, pytest.raises(StoreError, match="has lost this batch"):
        books.batches.add("nobody", "call", [A], now=NOW)
    assert changed == {}


# --- refuse_ids


def test_refuse_ids_ends_what_is_no_id_at_once(books: Books) -> None:
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    with books.watching() as changed:
        assert books.batches.refuse_ids("b", {"abc": "is not a string of digits", "0": "begins with 0"}, now=NOW) == 2
    by_code = {"batch:b.failed:INVALID_ID", "batch:b.reason:INVALID_ID", "batch:b.failed_codes"}
    assert set(changed) == {"batch:b.total", "batch:b.failed", "batch:b:invalid.abc", "batch:b:invalid.0"} | by_code
    assert books.counts("b") == {"total": 2, "failed": 2}
    assert books.ledger.failures("b") == [FailedWith("INVALID_ID", 2, "is not a string of digits", "abc")]
    assert books.outcomes("b")["abc"] == Outcome(Kind.FAILED, Code.INVALID_ID, "is not a string of digits")


def test_refuse_ids_tells_forty_codes_apart_and_counts_the_others_together(books: Books) -> None:
    """A server that invents a code for each lead cannot fill the batch's hash."""
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    given = [text for place in range(50) for text in (f"x{place}", f'["failed","CODE_{place}","no {place}"]')]
    books.batches._run("refuse_ids", "b", NOW, *given, "y", '["failed"]', "z", '["failed","CODE_3"]')
    found = {each.code: each.leads for each in books.ledger.failures("b")}
    assert sum(found.values()) == books.counts("b")["failed"] == 52
    assert found == {**{f"CODE_{place}": 1 for place in range(40)}, "CODE_3": 2, "other": 11}


def test_refuse_ids_again_changes_nothing(books: Books) -> None:
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    books.batches.refuse_ids("b", {"abc": "no"}, now=NOW)
    with books.watching() as changed:
        assert books.batches.refuse_ids("b", {"abc": "no"}, now=NOW) == 0
    assert changed == {}


def test_refuse_ids_of_a_batch_that_was_cancelled_meanwhile_opens_it_again(books: Books) -> None:
    """Its producer is still at it; a batch that has finished takes nothing."""
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    books.batches.cancel("b", now=NOW)
    assert books.batches.status("b").finished
    assert books.batches.refuse_ids("b", {"abc": "no"}, now=NOW) == 1
    assert not books.batches.status("b").finished
    books.batches.seal("b", now=NOW, flush=False)
    assert (books.batches.status("b").finished, books.batches.status("b").failed) == (True, 1)


def test_refuse_ids_of_no_batch_is_refused_and_changes_nothing(books: Books) -> None:
    with books.watching() as changed, pytest.raises(StoreError, match="has lost this batch"):
        books.batches.refuse_ids("nobody", {"abc": "no"}, now=NOW)
    assert changed == {}


# --- seal_batch


def test_seal_batch_lets_the_tail_of_a_bulk_go_at_once(books: Books) -> None:
    books.batch("b", leads(60), seal=False)
    books.form(NOW)  # the first 50; ten wait for company
    assert books.form(NOW) == ()
    with books.watching("batch:b.sealed", "unsealed", "batch:b.total") as changed:
        sealed = books.batches.seal("b", now=NOW, flush=True)
    assert (sealed.finished, sealed.nudge_in) == (False, 0.0)
    assert changed == {"batch:b.sealed": "1", "unsealed/b": None}
    assert len(books.form(NOW)) == 1


def test_seal_batch_leaves_a_few_leads_to_wait_for_company(books: Books) -> None:
    books.batch("b", [A], seal=False)
    assert books.batches.seal("b", now=NOW, flush=False).nudge_in is None
    assert books.form(NOW) == ()
    assert len(books.form(NOW + TUNING.linger)) == 1


def test_seal_batch_finishes_a_batch_in_which_nothing_is_open(books: Books) -> None:
    books.batch("b", [A], seal=False)
    books.batch("same", [A], seal=False)
    sealed = books.batches.seal("same", now=NOW + 7, flush=True)
    assert sealed.finished
    status = books.batches.status("same")
    assert (status.state, status.finished_at, status.skipped) == (BatchState.FINISHED, NOW + 7, 1)
    assert 0 < books.redis.ttl(books.keys.batch("same")) <= TUNING.retention
    assert books.redis.ttl(books.keys.batch("b")) == -1


@pytest.mark.parametrize("ids", [[], [A]])
def test_seal_batch_again_changes_nothing(books: Books, ids: list[str]) -> None:
    books.batch("b", ids, seal=False)
    books.batches.seal("b", now=NOW, flush=False)
    with books.watching() as changed:
        assert not books.batches.seal("b", now=NOW + 9, flush=False).finished
    assert changed == {}


def test_seal_batch_of_a_batch_that_has_expired_only_forgets_it(books: Books) -> None:
    books.redis.zadd(books.keys.unsealed, {"gone": NOW})
    with books.watching() as changed:
        assert books.batches.seal_abandoned(now=NOW + TUNING.enqueue_idle + 1) == ["gone"]
    assert changed == {"unsealed/gone": None}


def test_seal_batch_of_a_batch_that_redis_has_lost_says_so(books: Books) -> None:
    """Its producer takes it for accepted otherwise."""
    with pytest.raises(StoreError, match="some of its leads may be lost") as caught:
        books.batches.seal("gone", now=NOW, flush=True, history="h1")
    assert "same key" in str(caught.value.hint)
    assert not books.batches.seal("gone", now=NOW, flush=True).finished  # a run that found nothing has no batch


def test_an_enqueue_that_added_something_lately_is_not_abandoned(books: Books) -> None:
    books.batch("slow", [A], seal=False)
    books.batch("dead", [B], seal=False)
    books.batches.add("slow", "again", [C], now=NOW + 1)
    late = NOW + TUNING.enqueue_idle + 0.5
    assert books.batches.seal_abandoned(now=late) == ["dead"]
    assert books.batches.status("dead").sealed
    assert not books.batches.status("slow").sealed
    with books.watching() as changed:
        assert books.batches.seal_abandoned(now=late) == []
    assert changed == {}


def test_seal_batch_as_abandoned_leaves_one_to_which_leads_came_a_moment_ago(books: Books) -> None:
    """They came after the sweep had looked for idle ones."""
    books.batch("b", [A], seal=False)
    with books.watching() as changed:
        answer = books.scripts.run(
            "seal_batch", keys=[books.keys.prefix], args=["b", NOW + 1, 1, int(TUNING.retention), NOW - 1]
        )
    assert answer == [0, "", "", "", ""]
    assert changed == {}


# --- cancel_batch and drain_inbox


def drain(books: Books) -> None:
    while books.chunks.drain(now=NOW + 5, most=7):
        pass


def test_cancel_batch_ends_what_waits_in_its_inbox_in_slices(books: Books) -> None:
    ids = leads(20)
    books.batch("b", ids)
    assert books.batches.cancel("b", now=NOW) == (20, 0)
    assert books.form() == ()
    left = [books.chunks.drain(now=NOW + 1, most=7) for _ in range(3)]
    assert left == [True, True, False]
    assert books.counts("b") == {"total": 20, "cancelled": 20}
    assert books.outcomes("b") == dict.fromkeys(ids, CANCELLED)
    assert books.batches.status("b").state is BatchState.CANCELLED


def test_the_batch_that_was_cancelled_first_is_drained_first(books: Books) -> None:
    for number, name in enumerate(("z", "a", "m")):
        books.batch(name, leads(3, 10 * number))
        books.batches.cancel(name, now=NOW + number)
    assert books.redis.zrange(books.keys.draining, 0, -1) == ["z", "a", "m"]
    books.batches.cancel("z", now=NOW + 9)  # again: it keeps its place
    assert books.chunks.drain(now=NOW + 9, batches=1)
    assert [books.counts(name).get("cancelled", 0) for name in "zam"] == [3, 0, 0]
    assert books.redis.zrange(books.keys.draining, 0, -1) == ["a", "m"]


def test_what_an_older_version_left_to_drain_is_drained_too(books: Books) -> None:
    """It kept a set of batches, in another key; both are looked at while both are there."""
    for name, first in (("old", 1), ("older", 10)):
        books.batch(name, leads(3, first))
        books.batches.cancel(name, now=NOW)
        books.redis.zrem(books.keys.draining, name)
        books.redis.sadd(f"{books.keys.prefix}drain", name)
    assert books.chunks.form(now=NOW).drains
    drain(books)
    assert books.counts("old") == books.counts("older") == {"total": 3, "cancelled": 3}
    assert not books.redis.exists(f"{books.keys.prefix}drain", books.keys.draining)
    assert not books.chunks.form(now=NOW).drains


def test_drain_inbox_with_nothing_to_drain_changes_nothing(books: Books) -> None:
    books.batch("b", [A])
    with books.watching() as changed:
        assert not books.chunks.drain(now=NOW)
    assert changed == {}


def test_cancel_batch_ends_a_chunk_that_waits_and_that_nobody_holds(books: Books) -> None:
    books.batch("b", [A, B])
    (chunk_id,) = books.form()
    assert books.batches.cancel("b", now=NOW + 3) == (2, 0)
    drain(books)
    assert books.outcomes("b") == {A: CANCELLED, B: CANCELLED}
    assert books.ledger.organisation.counts() == dict.fromkeys(
        ("chunks_waiting", "jobs_running", "leads_waiting", "leads_at_zoho"), 0
    )
    assert books.try_claim(chunk_id) == Done()
    assert books.batches.status("b").finished
    assert f"due/{chunk_id}" not in books.look()


def test_cancel_batch_leaves_the_leads_of_others_in_the_same_payload(books: Books) -> None:
    books.batch("mine", [A], flush=False)
    books.batch("theirs", [B], flush=False)
    (chunk_id,) = books.form()
    assert books.batches.cancel("mine", now=NOW + 3) == (1, 0)
    drain(books)
    assert books.outcomes("mine") == {A: CANCELLED}
    assert books.outcomes("theirs") == {B: None}
    assert books.claim(chunk_id).leads == (B,)


def test_cancel_batch_follows_what_zoho_may_have_and_takes_back_what_waits_for_a_permit(books: Books) -> None:
    """A lead that is being sent is never called cancelled; it gets the outcome that Zoho tells."""
    books.batch("b", leads(150))
    held, sending, sent = books.form()
    waits = books.claim(held)
    on_its_way = books.send(sending)
    accepted = books.send(sent)
    assert books.chunks.move(accepted, after_post(accepted, Accepted("7"), MOMENT), now=NOW + 3)
    assert books.batches.cancel("b", now=NOW + 4) == (50, 100)
    assert books.chunks.begin_send(waits, now=NOW + 4) is None
    drain(books)
    assert books.counts("b") == {"total": 150, "waiting": 50, "sent": 50, "cancelled": 50}
    lost = after_post(on_its_way, PerhapsAccepted("HTTP 500"), MOMENT)
    assert books.chunks.move(on_its_way, lost, now=NOW + 5)


def test_cancel_batch_again_ends_nothing_more(books: Books) -> None:
    books.batch("b", [A])
    books.form()
    books.batches.cancel("b", now=NOW + 3)
    drain(books)
    with books.watching() as changed:
        assert books.batches.cancel("b", now=NOW + 9) == (0, 0)
    assert changed == {}


def test_cancel_batch_of_a_finished_batch_changes_nothing(books: Books) -> None:
    books.batch("b", [])
    with books.watching() as changed:
        assert books.batches.cancel("b", now=NOW + 9) == (0, 0)
    assert changed == {}


def test_cancel_batch_of_no_batch_is_refused(books: Books) -> None:
    with books.watching() as changed, pytest.raises(UnknownBatchError, match="'nobody'"):
        books.batches.cancel("nobody", now=NOW)
    assert changed == {}


@pytest.mark.parametrize("formed", [True, False], ids=["in a chunk", "in the inbox"])
def test_a_cancelled_lead_may_be_enqueued_again(books: Books, formed: bool) -> None:
    books.batch("b", [A, B])
    if formed:
        books.form()
    books.batches.cancel("b", now=NOW + 3)
    drain(books)
    books.batch("again", [A, B], now=NOW + 6)
    assert books.counts("again") == {"total": 2, "waiting": 2}


def test_cancelling_the_chunk_that_tries_new_options_lets_others_with_them_go(books: Books) -> None:
    """Options that Zoho has never accepted go out one chunk at a time; a cancelled one must not block the rest."""
    books.batch("mine", leads(50), accepted=False)
    books.batch("theirs", leads(50, 51), accepted=False)
    (probe,) = books.form()
    assert books.form() == ()
    books.batches.cancel("mine", now=NOW + 3)
    drain(books)
    (chunk_id,) = books.form(NOW + 3)
    assert chunk_id != probe
    assert books.claim(chunk_id, [State.WAITING], now=NOW + 3).leads == tuple(leads(50, 51))


def test_cancelling_the_chunk_that_tries_new_options_lets_later_leads_try_them(books: Books) -> None:
    books.batch("mine", [A], accepted=False)
    books.form()
    books.batches.cancel("mine", now=NOW + 3)
    drain(books)
    books.batch("later", [B], now=NOW + 6, accepted=False)
    (chunk_id,) = books.form(NOW + 6 + TUNING.linger)
    assert books.claim(chunk_id, [State.WAITING], now=NOW + 9).leads == (B,)
