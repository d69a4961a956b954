"""The moves that the three answers share."""

from __future__ import annotations

from dataclasses import replace

from massconvert.model import (
    Again,
    Chunk,
    Done,
    Kind,
    Outcome,
    Refusal,
    Refused,
    Settle,
    State,
)
from massconvert.policy.moment import Moment
from massconvert.policy.table import HINTS, Decision, PauseOrder, Row


def answered(chunk: Chunk) -> Chunk:
    """Count an answer about these leads, which ends an outage."""
    return replace(chunk, attempts=chunk.attempts + 1, outages=0, outage_since=0.0)


def another_outage(chunk: Chunk, moment: Moment) -> Chunk:
    return replace(chunk, outages=chunk.outages + 1, outage_since=chunk.outage_since or moment.now)


def tried(chunk: Chunk, at: float) -> Chunk:
    """Count as an outage only the time in which somebody tried: a pause, or no worker, moves its beginning."""
    idle = max(0.0, at - chunk.due_at)
    return replace(chunk, outage_since=chunk.outage_since + idle) if chunk.outage_since else chunk


def given_up(chunk: Chunk, moment: Moment) -> bool:
    return chunk.outage_since > 0.0 and moment.now - chunk.outage_since > moment.tuning.give_up


def same_again(row: Row, chunk: Chunk, moment: Moment, retry_after: float | None) -> Decision:
    chunk = replace(chunk, outages=chunk.outages + 1)
    wait = max(moment.backoff(chunk.outages), retry_after or 0.0)
    return Decision(row, replace(chunk, due_at=moment.now + wait), Again(wait))


def throttled(row: Row, state: State, chunk: Chunk, answer: Refused, moment: Moment) -> Decision:
    """429: the governor closes the gate for all (see `calls`); it does not count as an attempt."""
    outages = chunk.outages + 1
    wait = answer.retry_after if answer.retry_after is not None else moment.backoff(outages + 1)
    due = moment.now + wait * (1.0 + 0.5 * moment.chance)
    moved = replace(chunk, state=state, outages=outages, due_at=due)
    return Decision(row, moved, Again(due - moment.now))


def paused(row: Row, chunk: Chunk, order: PauseOrder, moment: Moment) -> Decision:
    """Nothing fails, nothing is lost: the chunk waits until the organisation may call again."""
    state = State.WAITING if chunk.state is State.SENDING else chunk.state
    moved = replace(chunk, state=state, due_at=moment.now)
    return Decision(row, moved, Done(), pause=order)


def pause_order(answer: Refused) -> PauseOrder:
    words = f"Zoho answered {answer.status} {answer.code}: {answer.message}"
    return PauseOrder(answer.code, words, HINTS.get(answer.code, HINTS[""]))


def failed(chunk: Chunk, said: Refusal, code: str = "") -> Outcome:
    words = f"{said.message} ({said.path})" if said.path else said.message
    return Outcome(Kind.FAILED, code or said.code, words, attempts=chunk.attempts, job_id=chunk.job_id)


def hours(seconds: float) -> str:
    return f"{seconds / 3600:g} h"


def to_settle(row: Row, chunk: Chunk, moment: Moment, wait: float = 0.0, job_took: float | None = None) -> Decision:
    moved = replace(chunk, state=State.SETTLING, lags=0, due_at=moment.now + wait)
    return Decision(row, moved, Settle(wait), job_took=job_took)
