"""Update: give the deals of converted leads values of their own, with one call."""

from __future__ import annotations

from massconvert.model import Busy, Call, Chunk, Next
from massconvert.policy import after_update, no_permit
from massconvert.steps.ask import ask
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write


def update(ports: Ports, chunk: Chunk) -> Next:
    """Write what the deals of a claimed chunk (UPDATING) shall have."""
    asked = ask(ports, Call.UPDATE, lambda: ports.zoho.update_deals(chunk.updates))
    if isinstance(asked, Busy):
        return write(ports, chunk, no_permit(chunk, asked, moment(ports, chunk)))
    return write(ports, chunk, after_update(chunk, asked.answer, moment(ports, chunk, probe=asked.probe)))
