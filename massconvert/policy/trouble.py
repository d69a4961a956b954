"""The moves that the three answers share."""

from __future__ import annotations

from typing import TypeVar

from massconvert.model import (
    Again,
    Chunk,
    Done,
    Kind,
    NotSent,
    Outcome,
    Refusal,
    Refused,
    Run,
    Settle,
    State,
    Unsent,
)
from massconvert.model.changed import changed
from massconvert.policy.codes import CREDENTIALS_HINT, TOKEN_HINTS, Meaning, hint_of, meaning, reason_of, words_of
from massconvert.policy.failing import answered_again
from massconvert.policy.table import Decision, PauseOrder, Row
from massconvert.policy.timing import Moment

#: What is tried again after an outage: a payload, or a run.
_Tried = TypeVar("_Tried", Chunk, Run)


def answered(chunk: Chunk) -> Chunk:
    """Count an answer about these leads, which ends an outage."""
    failing = answered_again(chunk.failing)
    return changed(chunk, attempts=chunk.attempts + 1, outages=0, outage_since=0.0, failing=failing)


def another_outage(item: _Tried, moment: Moment) -> _Tried:
    return changed(item, outages=item.outages + 1, outage_since=item.outage_since or moment.now)


def tried(item: _Tried, at: float) -> _Tried:
    """Count as an outage only the time in which somebody tried: a pause, or no worker, moves its beginning."""
    idle = max(0.0, at - item.due_at)
    return changed(item, outage_since=item.outage_since + idle) if item.outage_since else item


def latest_sent(chunk: Chunk) -> float:
    """The last moment at which a byte of the payload can have left: a job that it became may begin as late as that."""
    return max(chunk.sent_at, chunk.send_by)


def given_up(item: Chunk | Run, moment: Moment) -> bool:
    return item.outage_since > 0.0 and moment.now - item.outage_since > moment.tuning.give_up


def same_again(row: Row, chunk: Chunk, moment: Moment, retry_after: float | None) -> Decision:
    chunk = changed(chunk, outages=chunk.outages + 1)
    wait = moment.next_try(chunk.outages, retry_after)
    return Decision(row, changed(chunk, due_at=moment.now + wait), Again(wait))


def held_up(chunk: Chunk, answer: object, moment: Moment, *, not_allowed: Row, too_many: Row) -> Decision | None:
    """Decide about an answer that stops every caller (refused credentials, 429); ``None`` for all others.

    ``not_allowed`` and ``too_many`` are the call's rows for refused credentials and for a 429.
    """
    if isinstance(answer, NotSent) and answer.why is Unsent.CREDENTIALS:
        return paused(not_allowed, chunk, PauseOrder(answer.code, answer.detail, CREDENTIALS_HINT), moment)
    if (order := _no_token_for_long(answer)) and _is_for_a_person(chunk, moment):
        return paused(not_allowed, changed(chunk, outage_since=0.0), order, moment)
    if isinstance(answer, Refused) and meaning(answer) is Meaning.THROTTLED:
        return throttled(too_many, chunk, answer, moment)
    return None


def _no_token_for_long(answer: object) -> PauseOrder | None:
    """What a person does where access tokens are used up, or Zoho takes none of them: that is not an outage."""
    if isinstance(answer, NotSent) and answer.why is Unsent.DENIED:
        return PauseOrder(answer.code, answer.detail, TOKEN_HINTS.get(answer.code, CREDENTIALS_HINT))
    return pause_order(answer) if isinstance(answer, Refused) and meaning(answer) is Meaning.TOKEN else None


def _is_for_a_person(chunk: Chunk, moment: Moment) -> bool:
    """Whether it has lasted too long to pass by itself: Zoho counts access tokens over ten minutes."""
    patience = min(moment.tuning.token_patience, moment.tuning.give_up)
    return chunk.outage_since > 0.0 and moment.now - chunk.outage_since > patience


def throttled(row: Row, chunk: Chunk, answer: Refused, moment: Moment) -> Decision:
    """429: the governor closes the gate for all (see `calls`); it does not count as an attempt."""
    outages = chunk.outages + 1
    wait = moment.after_a_429(outages, answer.retry_after)
    moved = changed(chunk, state=_unsent(chunk.state), outages=outages, due_at=moment.now + wait)
    return Decision(row, moved, Again(wait))


def paused(row: Row, chunk: Chunk, order: PauseOrder, moment: Moment) -> Decision:
    """Nothing fails, nothing is lost: the chunk waits until the organisation may call again."""
    moved = changed(chunk, state=_unsent(chunk.state), due_at=moment.now)
    return Decision(row, moved, Done(), pause=order)


def _unsent(state: State) -> State:
    """The state of a chunk whose call came to nothing: as before it."""
    return State.WAITING if state is State.SENDING else state


def pause_order(answer: Refused) -> PauseOrder:
    return PauseOrder(answer.code, reason_of(answer), hint_of(answer))


def refusal(answer: Refused) -> Refusal:
    """Zoho's own words, or ours where it has none; of several paths the first."""
    return Refusal(answer.code, answer.message or words_of(answer.code), answer.paths[0] if answer.paths else "")


def in_words(said: Refusal) -> str:
    """Zoho's message, with the place that it names."""
    return f"{said.message} ({said.path})" if said.path else said.message


def failed(chunk: Chunk, said: Refusal, code: str = "") -> Outcome:
    return Outcome(Kind.FAILED, code or said.code, in_words(said), attempts=chunk.attempts, job_id=chunk.job_id)


def hours(seconds: float) -> str:
    return f"{seconds / 3600:g} h"


def to_settle(row: Row, chunk: Chunk, moment: Moment, wait: float = 0.0, job_took: float | None = None) -> Decision:
    moved = changed(chunk, state=State.SETTLING, lags=0, due_at=moment.now + wait)
    return Decision(row, moved, Settle(wait), job_took=job_took)
