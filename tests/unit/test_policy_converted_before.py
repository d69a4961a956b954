"""A lead that somebody converted just before our payload is not taken for ours: Zoho's own clock and counts tell."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from massconvert.ledger.codec import dump_chunk
from massconvert.model import Accepted, Chunk, Code, JobStatus, Kind, LeadsRead, LeadState, Progress, State, Why
from massconvert.policy import Moment, Row, Tuning, after_post, after_read, after_status
from massconvert.zoho.answers import parse_post

NOW = 1_800_000_000.0
TUNING = Tuning()
MOMENT = Moment(now=NOW, chance=0.5, tuning=TUNING)
A, B = "3652397000009850001", "3652397000009850002"
SENDING = Chunk("7", "f" * 16, State.SENDING, (A, B), created_at=NOW - 20, sent_at=NOW - 10)
#: Zoho's clock is 40 s ahead of ours.
BEGAN = NOW - 10 + 40
TAKEN = json.dumps({"status": "success", "code": "SUCCESS", "details": {"job_id": "471"}}).encode()


def counted(converted: int, began: float | None = BEGAN) -> Chunk:
    """The payload was accepted, and its job counts so many of two as converted."""
    running = after_post(SENDING, Accepted("471", began=began), MOMENT).chunk
    return after_status(running, JobStatus(Progress.COMPLETED, 2, converted, 0, 2 - converted), MOMENT).chunk


def shown(a: float, b: float | None) -> LeadsRead:
    """A was converted at this time of Zoho's clock, and B at this one, or not at all."""
    return LeadsRead({A: LeadState(A, True, converted_at=a), B: LeadState(B, b is not None, converted_at=b)})


@pytest.mark.parametrize(
    ("date", "took", "began"),
    [
        ("Fri, 15 Jan 2027 08:00:00 GMT", 2.5, NOW - 2.5 - 3.0),
        ("Fri, 15 Jan 2027 08:00:00 -0000", 0.0, NOW - 3.0),
        ("soon", 0.0, None),
        ("", 0.0, None),
    ],
)
def test_the_answers_own_date_says_before_when_the_payload_cannot_have_reached_zoho(
    date: str, took: float, began: float | None
) -> None:
    answer = parse_post(202, {"Date": date} if date else {}, TAKEN, took=took)
    assert isinstance(answer, Accepted)
    assert answer.began == began


def test_what_was_converted_before_the_payload_reached_zoho_is_not_ours() -> None:
    """Both were so within the seconds by which two clocks may differ."""
    decision = after_read(counted(1), shown(BEGAN - 1.0, BEGAN + 3.0), MOMENT)
    assert decision.row is Row.SETTLED
    assert (decision.outcomes[A].kind, decision.outcomes[A].code) == (Kind.SKIPPED, Code.ALREADY_CONVERTED)
    assert decision.outcomes[B].kind is Kind.CONVERTED


def test_a_lead_alone_that_the_job_did_not_count_is_not_ours() -> None:
    decision = after_read(counted(0), shown(BEGAN - 1.0, None), MOMENT)
    assert decision.outcomes[A].code == Code.ALREADY_CONVERTED
    assert B not in decision.outcomes


def test_where_the_count_says_that_the_clock_is_wrong_the_count_is_believed() -> None:
    """After as many looks as a read that lags may need."""
    looked = replace(counted(1), claimed_converted=2)
    late = shown(BEGAN - 1.0, BEGAN + 3.0)
    for _ in range(TUNING.read_lags):
        decision = after_read(looked, late, MOMENT)
        assert decision.row is Row.READ_LAGS
        looked = decision.chunk
    assert {outcome.kind for outcome in after_read(looked, late, MOMENT).outcomes.values()} == {Kind.CONVERTED}


@pytest.mark.parametrize(
    ("sending", "began"),
    [
        (replace(SENDING, submitted=True), BEGAN),  # an earlier payload was lost on its way
        (replace(SENDING, doubted=True), BEGAN),  # of another batch
        (SENDING, None),  # the answer has no time
        (SENDING, NOW - 10 + TUNING.clock_skew + 1.0),  # a clock that nobody believes
    ],
)
def test_a_time_that_tells_nothing_is_not_kept(sending: Chunk, began: float | None) -> None:
    assert after_post(sending, Accepted("471", began=began), MOMENT).chunk.reached_at == 0.0


def test_without_a_count_two_clocks_are_compared() -> None:
    """A job that failed has none."""
    failed = replace(counted(1), why=Why.JOB_FAILED, claimed_converted=-1)
    assert after_read(failed, shown(BEGAN - 1.0, BEGAN + 3.0), MOMENT).outcomes[A].kind is Kind.CONVERTED


def test_the_time_is_kept_from_the_post_to_the_read() -> None:
    kept = counted(1)
    assert kept.reached_at == BEGAN
    assert dump_chunk(kept)["reached"] == repr(BEGAN)
    again = after_post(replace(kept, state=State.SENDING), Accepted("472", began=BEGAN + 60), MOMENT)
    assert again.chunk.reached_at == BEGAN


def test_a_payload_of_several_batches_is_as_old_as_each_leads_own_batch() -> None:
    """After a break of Redis' history the payload counts as old as the oldest batch; the other lead's came later."""
    skew = TUNING.clock_skew
    mixed = replace(
        SENDING,
        state=State.SETTLING,
        why=Why.ANSWER_LOST,
        submitted=True,
        created_at=NOW - 3 * skew,
        since={A: NOW - 3 * skew, B: NOW - 1.0},
    )
    outcomes = after_read(mixed, shown(NOW - 2 * skew, NOW - 2 * skew), MOMENT).outcomes
    assert outcomes[A].kind is Kind.CONVERTED
    assert outcomes[B].code == Code.ALREADY_CONVERTED
