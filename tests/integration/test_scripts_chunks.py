"""The scripts about chunks: what each changes, and that a wrong state, a stale token or a second call changes nothing.

tests/unit/test_ledger.py runs the same tests on fakeredis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from massconvert.errors import LedgerError
from massconvert.model import (
    Accepted,
    Again,
    BatchState,
    Busy,
    Chunk,
    Code,
    Done,
    JobStatus,
    Kind,
    LeadsRead,
    LeadState,
    Outcome,
    PerhapsAccepted,
    Progress,
    Refused,
    State,
)
from massconvert.policy import (
    Decision,
    Row,
    after_post,
    after_read,
    after_status,
    no_permit,
    sender_lost,
)
from tests.integration.books import (
    FINGERPRINT,
    MOMENT,
    NOW,
    OTHER_FINGERPRINT,
    TUNING,
    Books,
    leads,
)

pytestmark = pytest.mark.integration

A, B, C, D = LEADS = leads(4)
THEN = NOW + TUNING.linger  # when a tail may be formed
WRONG = Refused(400, "MANDATORY_NOT_FOUND", "required field not found", ("$.Deals.Deal_Name",))
CONVERTED = Outcome(Kind.CONVERTED, job_id="77", attempts=1)


@pytest.fixture
def four(books: Books) -> Chunk:
    """Four leads of two batches, on their way in one payload."""
    books.batch("b1", [A, B], flush=False)
    books.batch("b2", [C, D], flush=False)
    return books.send(*books.form())


def at(now: float) -> Any:
    return replace(MOMENT, now=now)


def move(books: Books, chunk: Chunk, decision: Decision, now: float = THEN + 1) -> None:
    assert books.chunks.move(chunk, decision, now=now)


def accept(books: Books, chunk: Chunk, now: float = THEN + 1) -> Chunk:
    """The chunk as its job is looked at."""
    decision = after_post(chunk, Accepted("77"), at(now))
    move(books, chunk, decision, now)
    return books.claim(chunk.id, [State.RUNNING], now=decision.chunk.due_at)


def shown(*done: str) -> LeadsRead:
    return LeadsRead({lead: LeadState(lead, lead in done, converted_at=THEN) for lead in LEADS})


# --- form_chunks


def test_form_chunks_makes_full_payloads_and_lets_the_tail_wait(books: Books) -> None:
    books.batch("b", leads(120), flush=False)
    formed = books.chunks.form(now=NOW)
    assert len(formed.chunk_ids) == 2
    assert formed.next_in == pytest.approx(TUNING.linger)
    assert not formed.full
    (tail,) = books.form(THEN)
    payloads = [books.claim(chunk_id, now=THEN).leads for chunk_id in (*formed.chunk_ids, tail)]
    assert [len(payload) for payload in payloads] == [50, 50, 20]
    assert sorted(lead for payload in payloads for lead in payload) == leads(120)


def test_form_chunks_writes_when_each_chunk_is_due_and_that_it_waits(books: Books) -> None:
    books.batch("b", [A])
    with books.watching("due", "unsent", "chunk:", "inboxes") as changed:
        (chunk_id,) = books.form()
    promised = {
        f"chunk:{chunk_id}.state": "waiting",
        f"chunk:{chunk_id}.fp": FINGERPRINT,
        f"chunk:{chunk_id}.due": str(int(THEN)),
        f"due/{chunk_id}": THEN + TUNING.sweep_grace,
        f"unsent/{chunk_id}": True,
        f"inboxes/{FINGERPRINT}": None,
    }
    assert changed.items() >= promised.items()
    assert books.counts("b") == {"total": 1, "waiting": 1}


def test_form_chunks_lets_leads_of_different_producers_travel_together(books: Books) -> None:
    books.batch("b1", [A, B], flush=False)
    books.batch("b2", [C, D], flush=False)
    (chunk_id,) = books.form()
    assert set(books.claim(chunk_id).leads) == set(LEADS)


def test_form_chunks_never_mixes_options(books: Books) -> None:
    books.batch("b1", [A])
    books.batch("b2", [B], fingerprint=OTHER_FINGERPRINT)
    assert sorted(books.claim(chunk_id).leads for chunk_id in books.form()) == [(A,), (B,)]


def test_form_chunks_stops_at_the_window_and_goes_on_when_one_was_sent(redis_client: Any, account: str) -> None:
    books = Books(redis_client, account, replace(TUNING, window=2))
    books.batch("b", leads(200))
    formed = books.chunks.form(now=NOW)
    assert (len(formed.chunk_ids), formed.full) == (2, True)
    with books.watching() as changed:
        assert books.chunks.form(now=NOW).chunk_ids == ()
    assert changed == {}
    accept(books, books.send(formed.chunk_ids[0]))
    assert len(books.form()) == 1


def test_form_chunks_stops_at_the_bound_of_jobs(redis_client: Any, account: str) -> None:
    books = Books(redis_client, account, replace(TUNING, max_jobs=1))
    books.batch("b", leads(100))
    first, second = books.form()
    accept(books, books.send(first))
    books.batch("late", leads(50, 101))
    assert books.chunks.form(now=THEN).full
    books.send(second)


def test_form_chunks_with_nothing_ready_changes_nothing(books: Books) -> None:
    books.batch("b", [A], flush=False)
    with books.watching() as changed:
        formed = books.chunks.form(now=NOW)
    assert (formed.chunk_ids, formed.next_in, formed.full) == ((), TUNING.linger, False)
    assert changed == {}


def test_form_chunks_tries_new_options_with_one_payload(books: Books) -> None:
    """One wrong setting costs one call; the first acceptance lets all others go."""
    books.batch("b", leads(150), accepted=False)
    (probe,) = books.form()
    assert books.form(THEN + 60) == ()
    accept(books, books.send(probe))
    assert len(books.form(THEN + 1)) == 2


def test_form_chunks_keeps_to_a_lower_limit_that_zoho_has_shown(books: Books) -> None:
    books.redis.set(books.keys.max_leads, 30)
    books.batch("b", leads(60))
    assert [len(books.claim(chunk_id).leads) for chunk_id in books.form()] == [30, 30]


# --- claim_chunk


def test_claim_chunk_gives_a_lease_to_one_worker(books: Books) -> None:
    books.batch("b", [A])
    (chunk_id,) = books.form()
    with books.watching() as changed:
        chunk = books.claim(chunk_id)
    assert changed == {
        f"chunk:{chunk_id}.lease": str(int(THEN + TUNING.lease)),
        f"chunk:{chunk_id}.token": chunk.token,
        f"due/{chunk_id}": THEN + TUNING.lease,
    }
    assert (chunk.state, chunk.leads, chunk.due_at) == (State.WAITING, (A,), THEN)
    assert chunk.options_accepted
    with books.watching() as changed:
        assert books.try_claim(chunk_id) == Done()
        assert books.try_claim(chunk_id, now=THEN + TUNING.lease - 0.01) == Done()
    assert changed == {}


def test_claim_chunk_hands_out_again_what_a_dead_worker_held(books: Books) -> None:
    books.batch("b", [A])
    (chunk_id,) = books.form()
    dead = books.claim(chunk_id)
    heir = books.claim(chunk_id, now=THEN + TUNING.lease)
    assert heir.leads == (A,)
    assert heir.token != dead.token
    with books.watching() as changed:
        assert books.chunks.begin_send(dead, now=THEN + TUNING.lease + 1) is None
        assert books.chunks.move(dead, no_permit(dead, Busy(1.0, "full"), MOMENT), now=THEN + TUNING.lease) is None
    assert changed == {}


def test_claim_chunk_in_another_state_changes_nothing(books: Books) -> None:
    books.batch("b", [A])
    (chunk_id,) = books.form()
    with books.watching() as changed:
        assert books.try_claim(chunk_id, [State.RUNNING, State.SETTLING]) == Done()
        assert books.try_claim("999") == Done()
    assert changed == {}


def test_claim_chunk_too_early_tells_one_message_when_to_come_again(books: Books, four: Chunk) -> None:
    """Others that come meanwhile end: one is enough."""
    lost = after_post(four, PerhapsAccepted("HTTP 500"), at(THEN + 1))
    move(books, four, lost)
    due = lost.chunk.due_at
    assert due == THEN + 1 + TUNING.job_wait
    with books.watching() as changed:
        assert books.try_claim(four.id, now=due - 5) == Done()
    assert changed == {}
    # Nobody has come when somebody should have: this message takes its place.
    books.redis.hset(books.keys.chunk(four.id), "expected", THEN)
    with books.watching() as changed:
        assert books.try_claim(four.id, now=due - 5) == Again(5.0)
    assert changed == {f"chunk:{four.id}.expected": str(int(due))}
    assert books.look()[f"due/{four.id}"] == due + TUNING.sweep_grace
    assert books.try_claim(four.id, now=due - 4) == Done()
    assert books.claim(four.id, now=due).state is State.SETTLING


def test_claim_chunk_that_is_read_tells_how_old_the_batch_of_each_lead_is(books: Books) -> None:
    """Where it has several: what was converted before its own batch was made is not ours."""
    books.batch("b1", [A, B], now=NOW - 50, flush=False)
    books.batch("b2", [C, D], flush=False)
    sent = books.send(*books.form())
    assert sent.since == {}
    lost = after_post(sent, PerhapsAccepted("HTTP 500"), at(THEN + 1))
    move(books, sent, lost)
    settling = books.claim(sent.id, now=lost.chunk.due_at)
    assert settling.since == {A: NOW - 50, B: NOW - 50, C: NOW, D: NOW}


def test_claim_chunk_that_has_ended_changes_nothing(books: Books, four: Chunk) -> None:
    move(books, four, after_post(four, WRONG, at(THEN + 1)))
    with books.watching() as changed:
        assert books.try_claim(four.id, now=THEN + 999) == Done()
    assert changed == {}


def test_claim_chunk_while_paused_hands_out_nothing(books: Books) -> None:
    books.batch("b", [A])
    (chunk_id,) = books.form()
    books.ledger.organisation.pause(now=NOW, reason="by hand")
    with books.watching() as changed:
        assert books.try_claim(chunk_id, now=THEN + 1e6) == Done()
    assert changed == {}
    assert books.batches.status("b").state is BatchState.PAUSED
    assert books.ledger.organisation.resume()
    assert books.claim(chunk_id).leads == (A,)


def test_claim_chunk_while_zoho_refuses_lets_one_probe_through_at_a_time(books: Books, four: Chunk) -> None:
    refused = after_post(four, Refused(403, "NO_PERMISSION", "no"), at(THEN + 1))
    move(books, four, refused)
    assert books.try_claim(four.id, now=THEN + 2) == Done()
    probe = THEN + 1 + TUNING.pause_probe
    assert books.claim(four.id, now=probe).leads == four.leads
    assert books.try_claim(four.id, now=probe + TUNING.lease) == Done()  # the next one comes a whole distance later


def test_claim_chunk_tells_a_refusal_of_its_options(books: Books) -> None:
    """It waited when another chunk with the same options was refused."""
    books.batch("b", leads(100))
    first, second = books.form()
    sending = books.send(first)
    move(books, sending, after_post(sending, WRONG, at(THEN + 1)))
    refusal = books.claim(second).refusal
    assert refusal is not None
    assert (refusal.code, refusal.path) == ("MANDATORY_NOT_FOUND", "$.Deals.Deal_Name")
    # Leads that are enqueued later try anew.
    books.batch("later", [str(int(A) + 5000)], now=THEN + 50)
    (fresh,) = books.form(THEN + 60)
    assert books.claim(fresh, now=THEN + 60).refusal is None


# --- begin_send


def test_begin_send_writes_ahead_and_renews_the_lease(books: Books) -> None:
    books.batch("b", [A])
    chunk = books.claim(books.form()[0])
    now = THEN + 30
    with books.watching() as changed:
        sending = books.chunks.begin_send(chunk, now=now)
    send_by = now + TUNING.send_within
    assert sending == replace(chunk, state=State.SENDING, sent_at=now, send_by=send_by)
    assert changed == {
        f"chunk:{chunk.id}.state": "sending",
        f"chunk:{chunk.id}.sent_at": str(int(now)),
        f"chunk:{chunk.id}.send_by": str(int(send_by)),
        f"chunk:{chunk.id}.lease": str(int(now + TUNING.lease)),
        f"chunk:{chunk.id}.story": f"{THEN};formed|0||{chunk.id}|1;sending|30|||1",
        f"due/{chunk.id}": now + TUNING.lease,
    }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda books, chunk: replace(chunk, token="somebody else's"),
        lambda books, chunk: replace(chunk, id="999"),
        lambda books, chunk: [chunk, books.chunks.begin_send(chunk, now=THEN)][0],  # it has been written before
    ],
    ids=["stale token", "no such chunk", "sending already"],
)
def test_begin_send_without_the_claim_is_refused_and_changes_nothing(
    books: Books, spoil: Callable[[Books, Chunk], Chunk]
) -> None:
    books.batch("b", [A])
    chunk = spoil(books, books.claim(books.form()[0]))
    with books.watching() as changed:
        assert books.chunks.begin_send(chunk, now=THEN) is None
    assert changed == {}


def test_begin_send_after_the_lease_is_refused_and_changes_nothing(books: Books) -> None:
    """The worker was frozen; somebody else may look at the chunk by now."""
    books.batch("b", [A])
    chunk = books.claim(books.form()[0])
    with books.watching() as changed:
        assert books.chunks.begin_send(chunk, now=THEN + TUNING.lease) is None
    assert changed == {}


def test_whoever_finds_a_lapsed_sender_knows_that_it_was_sending(books: Books, four: Chunk) -> None:
    found = books.claim(four.id, now=four.sent_at + TUNING.lease)
    assert (found.state, found.sent_at) == (State.SENDING, four.sent_at)
    move(books, found, sender_lost(found, at(four.sent_at + TUNING.lease)), four.sent_at + TUNING.lease)
    assert books.counts("b1") == {"total": 2, "sent": 2}


# --- move_chunk


def test_move_chunk_writes_an_acceptance_and_counts_the_leads_as_sent(books: Books, four: Chunk) -> None:
    decision = after_post(four, Accepted("77"), at(THEN + 1))
    with books.watching("chunk:", "unsent", "jobs", "due") as changed:
        move(books, four, decision)
    promised = {
        f"chunk:{four.id}.state": "running",
        f"chunk:{four.id}.job": "77",
        f"chunk:{four.id}.attempts": "1",
        f"chunk:{four.id}.submitted": "1",
        f"chunk:{four.id}.token": None,
        f"chunk:{four.id}.lease": None,
        f"unsent/{four.id}": None,
        f"jobs/{four.id}": True,
    }
    assert changed.items() >= promised.items()
    assert float(books.look()[f"chunk:{four.id}.due"]) == decision.chunk.due_at
    assert books.counts("b1") == books.counts("b2") == {"total": 2, "sent": 2}
    assert books.look()[f"options:{FINGERPRINT}.accepted"] == "1"


def test_move_chunk_ends_all_leads_of_a_job_with_one_outcome(books: Books, four: Chunk) -> None:
    running = accept(books, four)
    now = running.due_at
    move(books, running, after_status(running, JobStatus(Progress.COMPLETED, 4, 4, 0, 0), at(now)), now)
    assert books.outcomes("b1") == {A: CONVERTED, B: CONVERTED}
    assert books.outcomes("b2") == {C: CONVERTED, D: CONVERTED}
    for batch in ("b1", "b2"):
        assert books.counts(batch) == {"total": 2, "converted": 2}
        assert books.batches.status(batch).state is BatchState.FINISHED
        assert books.redis.ttl(books.keys.batch(batch)) > 0
    after = books.look()
    assert not [path for path in after if path.startswith(("due", "unsent", "jobs", "live:", "inboxes", "queue:"))]
    assert [float(time) for time in after["jobtimes"]] == [now - four.sent_at]


def test_move_chunk_ends_some_leads_and_keeps_the_others_open(books: Books, four: Chunk) -> None:
    running = accept(books, four)
    now = running.due_at
    counted = after_status(running, JobStatus(Progress.COMPLETED, 4, 2, 0, 2), at(now))
    move(books, running, counted, now)
    settling = books.claim(four.id, now=now + TUNING.read_lag)
    assert (settling.claimed_converted, settling.why.value) == (2, "counts_differ")
    decision = after_read(settling, shown(A, C), at(now + TUNING.read_lag))
    move(books, settling, decision, now + TUNING.read_lag)
    assert books.outcomes("b1") == {A: CONVERTED, B: None}
    assert books.outcomes("b2") == {C: CONVERTED, D: None}
    for batch in ("b1", "b2"):
        assert books.counts(batch) == {"total": 2, "sent": 1, "converted": 1}
        assert not books.batches.status(batch).finished
    again = books.claim(four.id, [State.WAITING], now=now + TUNING.read_lag)
    assert set(again.leads) == {B, D}
    assert (again.attempts, again.submitted, again.claimed_converted) == (1, True, -1)


def test_move_chunk_gives_what_is_left_its_common_outcome_and_keeps_the_exceptions(books: Books, four: Chunk) -> None:
    running = replace(accept(books, four), attempts=TUNING.max_attempts)
    now = running.due_at
    move(books, running, after_status(running, JobStatus(Progress.COMPLETED, 4, 1, 0, 3), at(now)), now)
    settling = books.claim(four.id, now=now + TUNING.read_lag)
    decision = after_read(settling, shown(A), at(now + TUNING.read_lag))
    assert decision.row is Row.OUT_OF_ATTEMPTS
    move(books, settling, decision, now + TUNING.read_lag)
    failed = decision.rest
    assert failed is not None
    assert books.outcomes("b1") == {A: decision.outcomes[A], B: failed}
    assert books.outcomes("b2") == {C: failed, D: failed}
    assert books.counts("b1") == {"total": 2, "converted": 1, "failed": 1}
    assert failed.code == Code.NOT_CONVERTED


def test_move_chunk_splits_a_chunk_in_halves_that_both_go_out(books: Books, four: Chunk) -> None:
    too_many = after_post(four, Refused(400, "RECORD_LIMIT_EXCEEDED", "too many"), at(THEN + 1))
    moved = books.chunks.move(four, too_many, now=THEN + 1)
    assert moved is not None
    assert moved.siblings[0] not in ("", four.id)
    halves = [books.claim(chunk_id, [State.WAITING], now=THEN + 1) for chunk_id in (four.id, moved.siblings[0])]
    assert [half.leads for half in halves] == [four.leads[:2], four.leads[2:]]
    assert [half.attempts for half in halves] == [1, 1]
    after = books.look()
    assert after["max_leads"] == "2"
    assert after["max_leads expires"]
    assert after[f"unsent/{moved.siblings[0]}"]
    assert books.outcomes("b1") == {A: None, B: None}
    assert books.counts("b2") == {"total": 2, "waiting": 2}


def test_move_chunk_refuses_options_for_all_that_wait_with_them(books: Books) -> None:
    """In every batch, with the same code and path; no further call is made for them."""
    books.batch("b1", leads(60), accepted=False)
    books.batch("b2", leads(40, 61), accepted=False)
    books.batch("others", leads(5, 101), fingerprint=OTHER_FINGERPRINT, accepted=False)
    chunk = next(c for c in (books.send(i) for i in books.form()) if c.fingerprint == FINGERPRINT)
    move(books, chunk, after_post(chunk, WRONG, at(THEN + 1)))
    while books.chunks.drain(now=THEN + 2):
        pass
    assert books.counts("b1") == {"total": 60, "failed": 60}
    assert books.counts("b2") == {"total": 40, "failed": 40}
    assert books.counts("others") == {"total": 5, "waiting": 5}
    said = {(o.code, o.message) for batch in ("b1", "b2") for o in books.outcomes(batch).values() if o}
    assert said == {("MANDATORY_NOT_FOUND", "required field not found ($.Deals.Deal_Name)")}
    assert books.form(THEN + 60) == ()


def test_move_chunk_pauses_and_a_probe_that_gets_through_resumes(books: Books, four: Chunk) -> None:
    refused = after_post(four, Refused(403, "NO_PERMISSION", "permission denied"), at(THEN + 1))
    with books.watching("pause") as changed:
        move(books, four, refused)
    assert refused.pause is not None
    assert changed == {
        "pause.code": "NO_PERMISSION",
        "pause.reason": refused.pause.reason,
        "pause.hint": refused.pause.hint,
        "pause.since": str(int(THEN + 1)),
        "pause.probe": str(int(THEN + 1 + TUNING.pause_probe)),
    }
    assert books.counts("b1") == {"total": 2, "waiting": 2}
    probe = books.send(four.id, now=THEN + 1 + TUNING.pause_probe)
    accept(books, probe, probe.sent_at + 1)
    assert books.ledger.organisation.paused() is None


def test_move_chunk_does_not_end_a_pause_that_a_person_made(books: Books, four: Chunk) -> None:
    books.ledger.organisation.pause(now=THEN, reason="by hand")
    move(books, four, after_post(four, Accepted("77"), at(THEN + 1)))
    pause = books.ledger.organisation.paused()
    assert pause is not None
    assert pause.reason == "by hand"


def spoiled(four: Chunk) -> dict[str, Chunk]:
    return {
        "stale token": replace(four, token="somebody else's"),
        "another state": replace(four, state=State.RUNNING),
        "no such chunk": replace(four, id="999"),
    }


@pytest.mark.parametrize("how", ["stale token", "another state", "no such chunk"])
@pytest.mark.parametrize(
    "answer",
    [Accepted("77"), WRONG, PerhapsAccepted("HTTP 500"), Refused(403, "NO_PERMISSION", "no")],
    ids=lambda answer: type(answer).__name__,
)
def test_move_chunk_without_the_claim_changes_nothing(books: Books, four: Chunk, how: str, answer: Any) -> None:
    """A worker that wakes up late changes nothing: not the chunk, not the counts, not the organisation."""
    with books.watching() as changed:
        assert books.chunks.move(spoiled(four)[how], after_post(four, answer, at(THEN + 1)), now=THEN + 1) is None
    assert changed == {}


@pytest.mark.parametrize(
    "answer", [Accepted("77"), WRONG, PerhapsAccepted("HTTP 500")], ids=lambda answer: type(answer).__name__
)
def test_move_chunk_twice_writes_once(books: Books, four: Chunk, answer: Any) -> None:
    decision = after_post(four, answer, at(THEN + 1))
    move(books, four, decision)
    with books.watching() as changed:
        assert books.chunks.move(four, decision, now=THEN + 2) is None
    assert changed == {}


def test_move_chunk_refuses_to_end_a_chunk_with_open_leads(books: Books, four: Chunk) -> None:
    """No decision does; if one did, no lead would be lost."""
    wrong = Decision(Row.SETTLED, replace(four, state=State.DONE), Done(), outcomes={A: CONVERTED})
    with pytest.raises(LedgerError, match="leads are open in chunk"):
        books.chunks.move(four, wrong, now=THEN + 1)
    assert books.claim(four.id, now=THEN + TUNING.lease).state is State.SENDING


def test_move_chunk_refuses_to_keep_a_chunk_without_open_leads(books: Books, four: Chunk) -> None:
    wrong = Decision(Row.SETTLED, replace(four, state=State.WAITING), Done(), outcomes=dict.fromkeys(LEADS, CONVERTED))
    with pytest.raises(LedgerError, match="nothing is open in chunk"):
        books.chunks.move(four, wrong, now=THEN + 1)


# --- take_overdue


def test_take_overdue_takes_what_no_message_came_for_once(books: Books, four: Chunk) -> None:
    accept_at = THEN + 1
    decision = after_post(four, Accepted("77"), at(accept_at))
    move(books, four, decision, accept_at)
    now = decision.chunk.due_at + TUNING.sweep_grace  # the message comes when the job is due
    assert books.chunks.overdue(now=now - 0.1) == []
    with books.watching() as changed:
        (found,) = books.chunks.overdue(now=now)
    assert (found.chunk_id, found.state, found.job_id) == (four.id, State.RUNNING, "77")
    assert changed == {f"due/{four.id}": now + 2 * TUNING.sweep_grace}
    with books.watching() as changed:
        assert books.chunks.overdue(now=now) == []
    assert changed == {}


def test_take_overdue_finds_a_sender_whose_lease_has_lapsed(books: Books, four: Chunk) -> None:
    assert books.chunks.overdue(now=THEN + TUNING.lease - 1) == []
    (found,) = books.chunks.overdue(now=THEN + TUNING.lease)
    assert (found.chunk_id, found.state, found.job_id) == (four.id, State.SENDING, "")


def test_take_overdue_takes_the_oldest_first_and_no_more_than_asked_for(books: Books) -> None:
    books.batch("b", leads(150))
    ids = books.form(NOW)
    late = NOW + TUNING.sweep_grace
    assert [overdue.chunk_id for overdue in books.chunks.overdue(now=late, most=2)] == list(ids[:2])
    assert [overdue.chunk_id for overdue in books.chunks.overdue(now=late, most=2)] == [ids[2]]


def test_take_overdue_while_paused_takes_nothing_but_a_probe_that_is_due(books: Books) -> None:
    books.batch("b", leads(150))
    chunk = books.send(books.form(NOW)[0], now=NOW)
    move(books, chunk, after_post(chunk, Refused(403, "NO_PERMISSION", "no"), at(NOW + 1)), NOW + 1)
    with books.watching() as changed:
        assert books.chunks.overdue(now=NOW + TUNING.pause_probe) == []
    assert changed == {}
    assert len(books.chunks.overdue(now=NOW + 1 + TUNING.pause_probe)) == 1


def test_take_overdue_forgets_a_chunk_that_is_not_there(books: Books) -> None:
    books.redis.zadd(books.keys.due, {"999": NOW})
    with books.watching() as changed:
        assert books.chunks.overdue(now=NOW) == []
    assert changed == {"due/999": None}
