"""Resolve: find the ids of the names in a waiting chunk's options, once for all that waits with the same options."""

from __future__ import annotations

from massconvert.model import Busy, Chunk, Listing, Next
from massconvert.options import Resolution, resolve_names, unresolved
from massconvert.policy import name_unknown, names_found, names_not_read, no_permit
from massconvert.steps.ask import Asked
from massconvert.steps.look_up import SURE, look_up
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write
from massconvert.store import Kept


def resolve(ports: Ports, chunk: Chunk) -> Next:
    """Look up the names of a claimed chunk (WAITING): in what is kept, and at Zoho where that does not know them."""
    wanted = sorted({listing for reference in unresolved(chunk.options) for listing in reference.listings})
    kept = ports.ledger.shelf.look(wanted)
    found = _found(chunk, kept)
    now = ports.clock.now()
    doubted = {listing for listing in found.doubted if kept[listing].age(now) > SURE}
    unknown = {listing for reference in found.left for listing in reference.listings if listing not in kept}
    for listing in sorted(doubted | unknown):
        answer = look_up(ports, listing)
        if isinstance(answer, Busy):
            return write(ports, chunk, no_permit(chunk, answer, moment(ports, chunk)), answer)
        if isinstance(answer, Asked):
            return write(
                ports, chunk, names_not_read(chunk, answer.answer, moment(ports, chunk, answer)), answer.answer
            )
        kept[listing] = answer
        found = _found(chunk, kept)
    if found.problems:
        first, *others = found.problems
        reason = f"{first.reason}{f' (and {len(others)} more)' if others else ''}"
        return write(ports, chunk, name_unknown(chunk, first.path, reason))
    return write(ports, chunk, names_found(chunk, found.body, moment(ports, chunk)))


def _found(chunk: Chunk, kept: dict[Listing, Kept]) -> Resolution:
    return resolve_names(chunk.options, {listing: each.rows for listing, each in kept.items()})
