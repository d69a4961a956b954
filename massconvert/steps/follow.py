"""Follow: one look at a job."""

from __future__ import annotations

from massconvert.model import Busy, Call, Chunk, Next
from massconvert.policy import after_status, no_permit
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write


def follow(ports: Ports, chunk: Chunk) -> Next:
    """Ask Zoho about the job of a claimed chunk (RUNNING)."""
    permit = ports.governor.acquire(Call.STATUS)
    if isinstance(permit, Busy):
        return write(ports, chunk, no_permit(chunk, permit, moment(ports)))
    try:
        answer = ports.zoho.job_status(chunk.job_id)
    finally:
        ports.governor.release(permit)
    return write(ports, chunk, after_status(chunk, answer, moment(ports)))
