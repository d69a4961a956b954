"""Claim a chunk and take the step that its state asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from massconvert.model import Chunk, Next, State
from massconvert.policy import after_break
from massconvert.steps.follow import follow
from massconvert.steps.ports import Ports
from massconvert.steps.send import send
from massconvert.steps.settle import settle
from massconvert.steps.update_deals import update
from massconvert.steps.write import moment, write
from massconvert.telemetry.traces import visiting

#: What the two tasks may act on. A chunk is settled by whichever comes first.
CONVERTING: frozenset[State] = frozenset({State.WAITING, State.SENDING, State.SETTLING, State.UPDATING})
FOLLOWING: frozenset[State] = frozenset({State.RUNNING, State.SETTLING})

_STEPS: dict[State, Callable[[Ports, Chunk], Next]] = {
    State.WAITING: send,
    State.SENDING: send,
    State.RUNNING: follow,
    State.SETTLING: settle,
    State.UPDATING: update,
}


def advance(ports: Ports, chunk_id: str, states: Collection[State]) -> Next:
    """Take one step of a chunk, if it is due, in one of ``states`` and nobody holds it; say what comes next."""
    token = UUID(int=ports.random.getrandbits(128)).hex
    claimed = ports.ledger.chunks.claim(chunk_id, states, token=token)
    if not isinstance(claimed, Chunk):
        return claimed
    with visiting(ports.ledger.account, claimed):
        if claimed.broken_at is not None:
            return write(ports, claimed, after_break(claimed, moment(ports, claimed)))
        return _STEPS[claimed.state](ports, claimed)
