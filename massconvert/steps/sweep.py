"""Sweep: find what is overdue. No message has to survive, since the ledger knows when each chunk is due."""

from __future__ import annotations

from massconvert.ledger import Overdue
from massconvert.steps.ports import Ports


def sweep(ports: Ports) -> list[Overdue]:
    """Seal the batches of producers that died, and take the chunks for which no message came in time.

    It also has as many events kept as the settings say: somebody does it soon after they have changed.
    """
    now = ports.clock.now()
    ports.ledger.events.set_up()
    ports.ledger.batches.seal_abandoned(now=now)
    return ports.ledger.chunks.overdue(now=now)
