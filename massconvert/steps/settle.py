"""Settle: find each lead's outcome by reading the leads themselves, when counts or a lost answer cannot tell."""

from __future__ import annotations

from massconvert.model import Busy, Call, Chunk, Next, Why
from massconvert.model.template import fields_of
from massconvert.policy import after_read, no_permit
from massconvert.steps.ask import ask
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write


def settle(ports: Ports, chunk: Chunk) -> Next:
    """Read the open leads of a claimed chunk (SETTLING) with one call, and decide by their own state."""
    named = [name for text in chunk.deal.values() for name in fields_of(text)] if chunk.why is Why.IDS else []
    asked = ask(ports, Call.READ, lambda: ports.zoho.read_leads(chunk.leads, named))
    if isinstance(asked, Busy):
        return write(ports, chunk, no_permit(chunk, asked, moment(ports, chunk)), asked)
    return write(ports, chunk, after_read(chunk, asked.answer, moment(ports, chunk, asked)), asked.answer)
