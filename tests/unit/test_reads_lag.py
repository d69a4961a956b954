"""Zoho's reads may show a lead as it was a moment ago: no lead is failed for what such a read shows."""

from __future__ import annotations

from dataclasses import replace

from massconvert.model import (
    Chunk,
    JobStatus,
    LeadsRead,
    LeadState,
    Outcome,
    Progress,
    Refusal,
    Refused,
    Settle,
    State,
    Why,
)
from massconvert.policy import Look, Moment, Row, Tuning, after_read, after_status

TUNING = Tuning()
NOW = 1_800_000_000.0
MOMENT = Moment(now=NOW, chance=0.5, tuning=TUNING)
LEADS = ("3652397000009850001", "3652397000009850002")


def chunk(**changes: object) -> Chunk:
    made = Chunk(
        "7", "f" * 16, State.SETTLING, LEADS, created_at=NOW - 100, sent_at=NOW - 50, job_id="1", submitted=True
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # each caller names fields


def shown(*converted: str) -> LeadsRead:
    return LeadsRead({lead: LeadState(lead, lead in converted, converted_at=NOW - 1) for lead in LEADS})


def test_a_refusal_that_a_read_does_not_explain_is_looked_into_once_more() -> None:
    """The POST knows of a conversion at once, the read a little later."""
    refused = chunk(why=Why.BAD_LEADS, named=LEADS[:1], said=Refusal("INVALID_DATA", "invalid", "$.ids[0]"))
    first = after_read(refused, shown(), MOMENT)
    assert (first.row, first.chunk.state, first.outcomes) == (Row.READ_LAGS, State.SETTLING, {})
    assert first.next == Settle(TUNING.read_lag)
    assert after_read(first.chunk, shown(LEADS[0]), MOMENT).row is Row.BAD_LEADS_OUT
    second = after_read(first.chunk, shown(), MOMENT)
    assert second.row is Row.NAMED_OUT
    assert isinstance(second.outcomes[LEADS[0]], Outcome)


def test_a_failed_job_is_settled_only_when_reads_show_what_it_did() -> None:
    """A failed job may have converted some, and no count says how many."""
    decision = after_status(chunk(state=State.RUNNING), JobStatus(Progress.FAILED, 2, 0, 0, 2), MOMENT)
    assert decision.row is Row.JOB_FAILED
    assert decision.chunk.due_at == NOW + TUNING.read_lag
    assert decision.next == Settle(TUNING.read_lag)


def test_a_job_with_other_counts_is_settled_only_when_reads_show_what_it_did() -> None:
    """Its count may be made up by a lead that somebody else converted."""
    decision = after_status(chunk(state=State.RUNNING), JobStatus(Progress.COMPLETED, 2, 1, 0, 1), MOMENT)
    assert decision.row is Row.JOB_COUNTS_DIFFER
    assert decision.next == Settle(TUNING.read_lag)


def test_a_job_that_zoho_does_not_know_is_not_looked_at_before_it_can_have_ended() -> None:
    """It may run on; leads of a job that runs look unconverted."""
    unknown = Refused(400, "INVALID_DATA", "the job id is invalid")
    slow = replace(MOMENT, look=Look(60.0), job_p99=100.0)
    running = chunk(state=State.RUNNING, sent_at=NOW - TUNING.status_lag - 1)
    decision = after_status(running, unknown, slow)
    assert decision.row is Row.JOB_UNKNOWN
    assert decision.chunk.due_at == running.sent_at + slow.job_wait


def test_the_wait_before_a_look_covers_the_lag_of_the_read() -> None:
    """A job that ended just before the look is not shown yet."""
    assert replace(MOMENT, job_p99=2.0).job_wait >= 2.0 + TUNING.read_lag
