"""What a break of Redis' history means for a chunk that was written before it.

Redis may lose what it has acknowledged: a replica that lagged is promoted, a restart loses the end of its log, an
older copy is restored. A chunk that shows itself as waiting may then have been sent, and its job may be at work. So
nothing is believed of it but its leads: they are read once whatever was sent before the break has taken effect.
"""

from __future__ import annotations

from dataclasses import replace

from massconvert.model import Again, Chunk, Refusal, Settle, State, Why
from massconvert.policy.post import sender_lost
from massconvert.policy.table import Decision, Row
from massconvert.policy.timing import Moment

_SAID = Refusal("HISTORY_LOST", "Redis has lost what was written last about this lead, so it may have been sent")


def after_break(chunk: Chunk, moment: Moment) -> Decision:
    """Decide about a claimed chunk whose ``broken_at`` is set: when to look at it, and by what."""
    # A payload of the lost history has begun to leave by then, and its job has ended.
    surely = (chunk.broken_at or 0.0) + moment.tuning.send_within + moment.job_wait
    wait = max(0.0, surely - moment.now)
    if chunk.state is State.SENDING:
        lost = sender_lost(chunk, moment)
        due = max(surely, lost.chunk.due_at)
        moved = replace(lost.chunk, due_at=due)
        return replace(lost, chunk=moved, next=Settle(due - moment.now), history=chunk.history)
    if chunk.state is State.RUNNING:
        moved = replace(chunk, due_at=moment.now + wait)
        return Decision(Row.PERHAPS_RAN_ON, moved, Again(wait), history=chunk.history)
    # A preflight and a payload that waits are looked at as after a lost answer; other looks have their reason still.
    fresh = chunk.state is State.WAITING or chunk.why is Why.PREFLIGHT
    why, said = (Why.ANSWER_LOST, chunk.said or _SAID) if fresh else (chunk.why, chunk.said)
    row = Row.PERHAPS_SENT if chunk.state is State.WAITING else Row.PERHAPS_READ
    due = moment.now + wait
    moved = replace(chunk, state=State.SETTLING, why=why, said=said, submitted=True, lags=0, behind=(), due_at=due)
    return Decision(row, moved, Settle(wait), history=chunk.history)
