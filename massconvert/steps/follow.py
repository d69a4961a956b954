"""Follow: one look at a job."""

from __future__ import annotations

from massconvert.model import Busy, Call, Chunk, Next
from massconvert.policy import after_status, before_look, no_permit
from massconvert.steps.ask import ask
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write


def follow(ports: Ports, chunk: Chunk) -> Next:
    """Ask Zoho about the job of a claimed chunk (RUNNING)."""
    if later := before_look(chunk, moment(ports, chunk, at=chunk.claimed_at)):
        return write(ports, chunk, later)
    asked = ask(ports, Call.STATUS, lambda: ports.zoho.job_status(chunk.job_id))
    if isinstance(asked, Busy):
        return write(ports, chunk, no_permit(chunk, asked, moment(ports, chunk)), asked)
    return write(ports, chunk, after_status(chunk, asked.answer, moment(ports, chunk, asked)), asked.answer)
