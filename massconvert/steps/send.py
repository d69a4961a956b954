"""Send: one POST of one payload, with its write-ahead before and its record after."""

from __future__ import annotations

from datetime import datetime, timezone

from massconvert.model import Busy, Call, Chunk, Done, Next, State
from massconvert.options import resolve_body
from massconvert.policy import after_post, no_permit, options_refused_before, sender_lost
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write


def send(ports: Ports, chunk: Chunk) -> Next:
    """Send the payload of a claimed chunk (WAITING), or find that its last sender died (SENDING)."""
    if chunk.state is State.SENDING:
        return write(ports, chunk, sender_lost(chunk, moment(ports)))
    if chunk.refusal:
        return write(ports, chunk, options_refused_before(chunk, chunk.refusal))
    permit = ports.governor.acquire(Call.POST)
    if isinstance(permit, Busy):
        return write(ports, chunk, no_permit(chunk, permit, moment(ports)))
    try:
        now = ports.clock.now()
        sending = ports.ledger.chunks.begin_send(chunk, now=now)
        if sending is None:
            return Done()
        today = datetime.fromtimestamp(now, timezone.utc).date()
        answer = ports.zoho.mass_convert(chunk.leads, resolve_body(chunk.options, today))
    finally:
        ports.governor.release(permit)
    return write(ports, sending, after_post(sending, answer, moment(ports)))
