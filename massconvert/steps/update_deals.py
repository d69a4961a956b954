"""Update: give the deals of converted leads values of their own, with one call."""

from __future__ import annotations

from massconvert.model import Busy, Call, Chunk, DealUpdate, Listing, Next
from massconvert.options import fitted
from massconvert.policy import after_update, no_permit
from massconvert.steps.ask import ask
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write


def update(ports: Ports, chunk: Chunk) -> Next:
    """Write the values of the deals of a claimed chunk (UPDATING)."""
    updates = _fitted(ports, chunk) if chunk.deal else chunk.updates
    asked = ask(ports, Call.UPDATE, lambda: ports.zoho.update_deals(updates))
    if isinstance(asked, Busy):
        return write(ports, chunk, no_permit(chunk, asked, moment(ports, chunk)), asked)
    return write(ports, chunk, after_update(chunk, asked.answer, moment(ports, chunk, asked)), asked.answer)


def _fitted(ports: Ports, chunk: Chunk) -> tuple[DealUpdate, ...]:
    """The values for the deals, with texts cut to their fields, as the organisation lists those where that is kept."""
    return fitted(chunk.updates, chunk.deal, chunk.deal_values, ports.ledger.shelf.rows(Listing.FIELDS))
