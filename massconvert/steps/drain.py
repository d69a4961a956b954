"""Drain: end the leads that wait in the inboxes of refused and cancelled batches."""

from __future__ import annotations

from massconvert.steps.ports import Ports

#: How many slices one visit ends: a million cancelled leads must not keep a worker from what is to be sent.
SLICES = 20


def drain(ports: Ports) -> bool:
    """End some slices of what waits in refused and cancelled batches; return whether more is left."""
    return all(ports.ledger.chunks.drain() for _ in range(SLICES))
