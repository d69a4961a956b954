"""A break of Redis' history: nothing of a chunk is believed but its leads, and they are read when it is surely over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from massconvert.model import Again, Chunk, LeadsRead, LeadState, Refusal, Settle, State, Why
from massconvert.policy import Decision, Moment, Row, after_break, after_read
from tests.unit.policy_cases import COUNTED, LEARNT, MOMENT, NOW, RUNNING, SENDING, TUNING, UNSENT, WAITING, Case

LOST_WORDS = Refusal("HISTORY_LOST", "Redis has lost what was written last about this lead, so it may have been sent")
#: The history broke three seconds ago; what was sent before is surely over so much later.
SURELY = TUNING.send_within + TUNING.job_wait
WAIT = SURELY - 3.0


def broken(chunk: Chunk) -> Chunk:
    return replace(chunk, broken_at=NOW - 3.0, history="h2")


def case(why: str, chunk: Chunk, decision: Decision) -> Case:
    return Case(why, chunk, None, lambda: after_break(chunk, MOMENT), replace(decision, history="h2"))


def settles(row: Row, chunk: Chunk, **changes: object) -> Decision:
    moved = replace(chunk, state=State.SETTLING, submitted=True, due_at=NOW + WAIT, **changes)  # type: ignore[arg-type]  # each case names fields
    return Decision(row, moved, Settle(WAIT))


CASES = [
    case(
        "it may have been sent since",
        broken(WAITING),
        settles(Row.PERHAPS_SENT, broken(WAITING), why=Why.ANSWER_LOST, said=LOST_WORDS),
    ),
    case(
        "it may have been sent again since its job ended",
        broken(COUNTED),
        settles(Row.PERHAPS_READ, broken(COUNTED)),
    ),
    case(
        "a preflight looks as after a lost answer",
        broken(UNSENT),
        settles(Row.PERHAPS_READ, broken(UNSENT), why=Why.ANSWER_LOST, said=LOST_WORDS),
    ),
    case(
        "its job may have ended, and another may be at work",
        broken(RUNNING),
        Decision(Row.PERHAPS_RAN_ON, replace(broken(RUNNING), due_at=NOW + WAIT), Again(WAIT)),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_after_a_break_a_chunk_is_looked_at_when_what_was_lost_is_surely_over(case: Case) -> None:
    assert case.decide() == case.decision


def test_a_lost_sender_of_an_earlier_history_is_waited_for_from_the_break_on() -> None:
    chunk = broken(replace(SENDING, sent_at=NOW - 1000.0, send_by=NOW - 985.0))
    decision = after_break(chunk, MOMENT)
    assert decision.row is Row.SENDER_LOST
    assert decision.history == "h2"
    assert decision.chunk.due_at == NOW + WAIT
    assert decision.next == Settle(WAIT)


def test_a_break_that_is_long_over_is_waited_for_no_more() -> None:
    chunk = replace(WAITING, broken_at=NOW - 1000.0, history="h2")
    assert after_break(chunk, MOMENT).next == Settle(0.0)


def test_the_wait_is_as_long_as_jobs_have_been_seen_to_take() -> None:
    chunk = replace(WAITING, broken_at=NOW, history="h2")
    assert after_break(chunk, LEARNT).next == Settle(TUNING.send_within + LEARNT.job_wait)


def test_leads_that_were_read_for_two_payloads_go_out_as_two() -> None:
    """Nothing of a broken history has converted them: they are sent, and no payload has more leads than it may."""
    perhaps = after_break(replace(WAITING, broken_at=NOW - 1000.0, most=2), MOMENT).chunk
    read = LeadsRead({lead: LeadState(lead, False) for lead in perhaps.leads})
    decision = after_read(perhaps, read, Moment(now=NOW, chance=0.5, tuning=TUNING))
    assert (decision.row, decision.split) == (Row.UNCONVERTED_AGAIN, True)
    assert not after_read(replace(perhaps, most=4), read, MOMENT).split


def test_leads_that_were_converted_since_their_batch_was_made_were_converted_by_us() -> None:
    perhaps = after_break(replace(WAITING, broken_at=NOW - 1000.0, created_at=NOW - 500.0), MOMENT).chunk
    times = {"before": NOW - 900.0, "since": NOW - 400.0}
    read = LeadsRead(
        {
            lead: LeadState(lead, True, converted_at=times["before" if number else "since"])
            for number, lead in enumerate(perhaps.leads)
        }
    )
    outcomes = after_read(perhaps, read, MOMENT).outcomes
    assert [outcomes[lead].kind.value for lead in perhaps.leads] == ["converted", "skipped", "skipped", "skipped"]
