"""Settle: find each lead's outcome by reading the leads themselves, when counts or a lost answer cannot tell."""

from __future__ import annotations

from massconvert.model import Busy, Call, Chunk, Next
from massconvert.policy import after_read, no_permit
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write


def settle(ports: Ports, chunk: Chunk) -> Next:
    """Read the open leads of a claimed chunk (SETTLING) with one call, and decide by their own state."""
    permit = ports.governor.acquire(Call.READ)
    if isinstance(permit, Busy):
        return write(ports, chunk, no_permit(chunk, permit, moment(ports)))
    try:
        answer = ports.zoho.read_leads(chunk.leads)
    finally:
        ports.governor.release(permit)
    return write(ports, chunk, after_read(chunk, answer, moment(ports)))
