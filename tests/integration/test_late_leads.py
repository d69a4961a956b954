"""What comes late finds its place in the ledger: leads of a slow producer, and the message chained to a payload."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.ledger import Ledger
from massconvert.model import Accepted, BatchState, Chunk, Done, State, Submitted
from massconvert.policy import Moment, Tuning, after_post

pytestmark = pytest.mark.integration

TUNING = Tuning()
NOW = 1_800_000_000.0
OPTIONS = {"Deals": {"Deal_Name": "Renewal"}}
FINGERPRINT = "f" * 16
FIRST, SECOND = "3652397000009850001", "3652397000009850002"


@pytest.fixture
def ledger(redis_client: Any, account: str) -> Ledger:
    return Ledger(redis_client, account, TUNING)


def sent(ledger: Ledger, now: float) -> Chunk:
    """The one chunk that can be formed now, claimed and on its way."""
    chunk_id = ledger.chunks.form(now=now).chunk_ids[0]
    claimed = ledger.chunks.claim(chunk_id, [State.WAITING], token="a", now=now)
    assert isinstance(claimed, Chunk)
    sending = ledger.chunks.begin_send(claimed, now=now)
    assert sending is not None
    return sending


def test_leads_that_come_after_their_batch_was_taken_for_abandoned_open_it_again(ledger: Ledger) -> None:
    """A producer that was slow for a quarter of an hour goes on; its batch has not finished without its leads."""
    for batch in ("other", "slow"):  # the first lead of `slow` is in flight in `other`, so nothing of it is open
        ledger.batches.open(batch, FINGERPRINT, OPTIONS, now=NOW, leads=1)
        ledger.batches.add(batch, f"{batch}:0", [FIRST], now=NOW)
    late = NOW + TUNING.enqueue_idle + 1
    ledger.batches.seal_abandoned(now=late)
    assert ledger.batches.status("slow").state is BatchState.FINISHED
    ledger.batches.add("slow", "slow:1", [SECOND], now=late)
    status = ledger.batches.status("slow")
    assert (status.state, status.waiting, status.sealed) == (BatchState.RUNNING, 1, False)
    assert not ledger.batches.seal("slow", now=late, flush=True).finished


def test_the_message_chained_to_a_payload_is_served_when_the_job_is_due(ledger: Ledger) -> None:
    """A copy that comes before ends: one message a job is enough."""
    ledger.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1)
    ledger.batches.add("b", "b:0", [FIRST], now=NOW)
    now = NOW + TUNING.linger
    sending = sent(ledger, now)
    decision = after_post(sending, Accepted("7"), Moment(now=now, chance=0.0, tuning=TUNING))
    assert isinstance(decision.next, Submitted)
    assert ledger.chunks.move(sending, decision, now=now)
    assert isinstance(ledger.chunks.claim(sending.id, [State.RUNNING], token="b", now=now + 0.05), Done)
    due = now + decision.next.job.due_in
    assert isinstance(ledger.chunks.claim(sending.id, [State.RUNNING], token="c", now=due), Chunk)
