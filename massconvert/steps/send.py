"""Send: one POST of one payload, with its write-ahead before and its record after."""

from __future__ import annotations

from datetime import datetime, timezone

from massconvert.model import Busy, Call, Chunk, Done, Next, NotSent, PostAnswer, State
from massconvert.options import resolve_body, unresolved
from massconvert.policy import after_post, no_permit, options_refused_before, sender_lost
from massconvert.steps.ask import ask
from massconvert.steps.ports import Ports
from massconvert.steps.resolve import resolve
from massconvert.steps.write import moment, write


def send(ports: Ports, chunk: Chunk) -> Next:
    """Send the payload of a claimed chunk (WAITING), or find that its last sender died (SENDING)."""
    if chunk.state is State.SENDING:
        return write(ports, chunk, sender_lost(chunk, moment(ports, chunk)))
    if chunk.refusal:
        return write(ports, chunk, options_refused_before(chunk, chunk.refusal))
    if unresolved(chunk.options):
        return resolve(ports, chunk)
    sending: Chunk | None = None

    def post() -> PostAnswer | None:
        nonlocal sending
        token = ports.zoho.ready()  # it may take long, and must not do so between the write-ahead and the POST
        send_by = ports.steady() + ports.tuning.send_within  # counted from before the lease begins
        sending = ports.ledger.chunks.begin_send(chunk)
        if sending is None or isinstance(token, NotSent):
            return token if sending else None
        today = datetime.fromtimestamp(sending.sent_at, timezone.utc).date()
        return ports.zoho.mass_convert(chunk.leads, resolve_body(chunk.options, today), token=token, send_by=send_by)

    asked = ask(ports, Call.EXPRESS if chunk.express else Call.POST, post)
    if isinstance(asked, Busy):
        return write(ports, chunk, no_permit(chunk, asked, moment(ports, chunk)))
    if sending is None or asked.answer is None:
        return Done()
    return write(ports, sending, after_post(sending, asked.answer, moment(ports, sending, asked)))
