"""A lead that somebody converted just before our payload is not taken for ours: Zoho's own clock tells."""

from __future__ import annotations

from dataclasses import replace

import pytest

from massconvert.ledger.codec import dump_chunk
from massconvert.model import (
    Accepted,
    Chunk,
    Code,
    JobStatus,
    Kind,
    LeadsRead,
    LeadState,
    PerhapsAccepted,
    Progress,
    State,
    Why,
)
from massconvert.policy import Moment, Row, Tuning, after_post, after_read, after_status, reaching, sender_lost
from massconvert.zoho.values import date_of

NOW = 1_800_000_000.0
TUNING = Tuning()
MOMENT = Moment(now=NOW, chance=0.5, tuning=TUNING)
A, B = "3652397000009850001", "3652397000009850002"
WAITING = Chunk("7", "f" * 16, State.WAITING, (A, B), created_at=NOW - 20, claimed_at=NOW - 11)
#: Zoho's clock is 40 s ahead of ours.
BEGAN = NOW - 10 + 40
SENDING = replace(reaching(WAITING, BEGAN, TUNING), state=State.SENDING, sent_at=NOW - 10)


def counted(converted: int) -> Chunk:
    """The payload was accepted, and its job counts so many of two as converted."""
    running = after_post(SENDING, Accepted("471"), MOMENT).chunk
    return after_status(running, JobStatus(Progress.COMPLETED, 2, converted, 0, 2 - converted), MOMENT).chunk


def shown(a: float, b: float | None) -> LeadsRead:
    """A was converted at this time of Zoho's clock, and B at this one, or not at all."""
    return LeadsRead({A: LeadState(A, True, converted_at=a), B: LeadState(B, b is not None, converted_at=b)})


@pytest.mark.parametrize(
    ("date", "at"),
    [
        ("Fri, 15 Jan 2027 08:00:00 GMT", NOW),
        ("Fri, 15 Jan 2027 08:00:00 -0000", NOW),
        ("soon", None),
        ("", None),
    ],
)
def test_each_answers_own_date_is_zohos_clock(date: str, at: float | None) -> None:
    assert date_of(date) == at


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
    ("waiting", "zoho_now"),
    [
        (replace(WAITING, submitted=True), BEGAN),  # an earlier payload was lost on its way
        (replace(WAITING, doubted=True), BEGAN),  # of another batch
        (WAITING, None),  # no answer had a time lately
        (WAITING, NOW - 11 + TUNING.clock_skew + 1.0),  # a clock that nobody believes
    ],
)
def test_a_time_that_tells_nothing_is_not_kept(waiting: Chunk, zoho_now: float | None) -> None:
    assert reaching(waiting, zoho_now, TUNING).reached_at == 0.0


LOST = (
    after_post(SENDING, PerhapsAccepted("HTTP 500"), MOMENT).chunk,
    sender_lost(SENDING, MOMENT).chunk,
    replace(counted(1), why=Why.JOB_FAILED, claimed_converted=-1),
)


@pytest.mark.parametrize("lost", LOST)
def test_without_a_count_the_payloads_own_time_tells_as_well(lost: Chunk) -> None:
    """Zoho's servers may differ by some seconds more: no count shows that they do not."""
    outcomes = after_read(lost, shown(BEGAN - 8.0, BEGAN - 6.0), MOMENT).outcomes
    assert outcomes[A].code == Code.ALREADY_CONVERTED
    assert outcomes[B].kind is Kind.CONVERTED


def test_without_the_payloads_time_two_clocks_are_compared() -> None:
    lost = after_post(replace(SENDING, reached_at=0.0), PerhapsAccepted("HTTP 500"), MOMENT).chunk
    skew = TUNING.clock_skew
    outcomes = after_read(lost, shown(NOW - 20 - skew - 1.0, NOW - 20 - skew + 1.0), MOMENT).outcomes
    assert (outcomes[A].code, outcomes[B].kind) == (Code.ALREADY_CONVERTED, Kind.CONVERTED)


def test_the_time_is_kept_from_the_first_payload_to_the_read() -> None:
    kept = counted(1)
    assert kept.reached_at == BEGAN
    assert dump_chunk(kept)["reached"] == repr(BEGAN)
    assert reaching(replace(kept, state=State.WAITING), BEGAN + 60, TUNING).reached_at == BEGAN


def test_a_payload_of_several_batches_is_as_old_as_each_leads_own_batch() -> None:
    """After a break of Redis' history the payload counts as old as the oldest batch; the other lead's came later."""
    skew = TUNING.clock_skew
    mixed = replace(
        SENDING,
        state=State.SETTLING,
        why=Why.ANSWER_LOST,
        submitted=True,
        reached_at=0.0,
        created_at=NOW - 3 * skew,
        since={A: NOW - 3 * skew, B: NOW - 1.0},
    )
    outcomes = after_read(mixed, shown(NOW - 2 * skew, NOW - 2 * skew), MOMENT).outcomes
    assert outcomes[A].kind is Kind.CONVERTED
    assert outcomes[B].code == Code.ALREADY_CONVERTED
