"""Sweep: find what is overdue. No message has to survive, since the ledger knows when each chunk is due."""

from __future__ import annotations

from collections.abc import Iterator

from massconvert.ledger import Overdue
from massconvert.steps.ports import Ports

#: How many chunks one script takes, and how many times one sweep asks: what is overdue for longest comes first, and
#: what is left comes with the next sweep.
MOST, TIMES = 100, 50


def sweep(ports: Ports) -> Iterator[Overdue]:
    """Seal the batches of producers that died, and take the chunks for which no message came in time.

    It also has as many events kept as the settings say, and members of the fleet forgotten that are long gone: somebody
    does it soon.
    """
    ports.ledger.events.set_up()
    ports.ledger.batches.seal_abandoned()
    ports.ledger.fleet.forget(now=ports.clock.now())
    for _ in range(TIMES):
        found = ports.ledger.chunks.overdue(most=MOST)
        yield from found
        if len(found) < MOST:
            return
