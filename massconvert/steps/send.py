"""Send: one POST of one payload, with its write-ahead before and its record after."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from massconvert.errors import StoreError
from massconvert.model import Busy, Call, Chunk, Done, Next, NotSent, PostAnswer, State
from massconvert.model.changed import changed
from massconvert.options import link_body, resolve_body, unresolved
from massconvert.policy import (
    after_post,
    is_matched,
    no_permit,
    options_refused_before,
    reaching,
    sender_lost,
    too_few_replicas,
)
from massconvert.steps.ask import ask
from massconvert.steps.match import match
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
    if not is_matched(chunk, ports.tuning):
        return match(ports, chunk)
    return _post(ports, chunk)


def _post(ports: Ports, chunk: Chunk) -> Next:
    payload = _Payload(ports, chunk)
    call = Call.LINK if chunk.link else Call.EXPRESS if chunk.express else Call.POST
    asked = ask(ports, call, payload.post)
    if isinstance(asked, Busy):
        return write(ports, chunk, no_permit(chunk, asked, moment(ports, chunk)), asked)
    sending = payload.sending
    if sending and payload.unsure:
        decision = too_few_replicas(sending, moment(ports, sending))
    elif sending and asked.answer is not None:
        decision = after_post(sending, asked.answer, moment(ports, sending, asked))
    else:
        return Done()
    return write(ports, sending, decision, asked.answer)


class _Payload:
    """One payload on its way: ``sending`` once it is written ahead, ``unsure`` where too few replicas know of that."""

    def __init__(self, ports: Ports, chunk: Chunk) -> None:
        self._ports, self._chunk = ports, chunk
        self.sending: Chunk | None = None
        self.unsure = False

    def post(self) -> PostAnswer | None:
        """Write ahead and POST; ``None`` where nothing may be sent."""
        ports, chunk = self._ports, self._chunk
        token = ports.zoho.ready()  # it may take long, and must not do so between the write-ahead and the POST
        began = ports.steady()
        send_by = began + ports.tuning.send_within  # counted from before the lease begins
        zoho_now = ports.zoho.clock()
        chunk = reaching(chunk, zoho_now, ports.tuning)
        try:
            self.sending = ports.ledger.chunks.begin_send(chunk)
        except StoreError as error:
            if error.code != "REPLICAS":
                raise
            self.sending, self.unsure = changed(chunk, state=State.SENDING), True
        if self.sending is None or self.unsure:
            return None
        if isinstance(token, NotSent):
            return token
        answer = self._leave(self.sending, token, send_by)
        if zoho_now is None and (zoho_now := ports.zoho.clock()) is not None:  # from this answer
            self.sending = reaching(self.sending, zoho_now - (ports.steady() - began), ports.tuning)
        return answer

    def _leave(self, chunk: Chunk, token: Any, send_by: float) -> PostAnswer:
        zoho, today = self._ports.zoho, datetime.fromtimestamp(chunk.sent_at, timezone.utc).date()
        body = resolve_body(chunk.options, today)
        if chunk.link is None:
            return zoho.mass_convert(chunk.leads, body, token=token, send_by=send_by)
        (lead,) = chunk.leads
        single = link_body(body, chunk.link, chunk.deal_values.get(lead, {}))
        return zoho.convert(lead, single, token=token, send_by=send_by)
