"""Check: options against the live organisation, before anything is enqueued or sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from massconvert.model import Busy, Listing, NotSent, PerhapsAccepted, Refused, Trouble
from massconvert.options import Problem, examine, listings_for
from massconvert.policy import Meaning, meaning
from massconvert.producer.deal_values import Misfits, misfits
from massconvert.steps.ask import Asked
from massconvert.steps.look_up import SURE, look_up
from massconvert.steps.ports import Ports
from massconvert.store import Kept

#: Seconds for which a listing is good enough; one that speaks against the options is read again after `SURE`.
FRESH = 900.0


@dataclass(frozen=True)
class Checked:
    """``problems`` are sure; ``warnings`` are for people; ``unread`` are the listings that could not be read, and why.

    ``misfits`` are the problems of what single leads bring for their deals. What ``unread`` lists was not checked. It
    is no problem: what Zoho says of it later stays the truth. ``notes`` say what will be done.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    misfits: Misfits
    unread: Mapping[Listing, Busy | Trouble]
    notes: tuple[Problem, ...] = ()


def check(ports: Ports, body: Mapping[str, Any], deal_values: Mapping[str, str] = MappingProxyType({})) -> Checked:
    """Hold ``body``, and what leads bring for their deals, against what the organisation lists. Raises StoreError."""
    found = _check(ports, body, deal_values, FRESH)
    # Where something is wrong it has perhaps been fixed in the CRM since.
    return _check(ports, body, deal_values, SURE) if found.problems or found.misfits.problems else found


def _check(ports: Ports, body: Mapping[str, Any], deal_values: Mapping[str, str], fresh: float) -> Checked:
    kept, unread = read(ports, listings_for(body), fresh)
    listings = {listing: each.rows for listing, each in kept.items()}
    found = examine(body, listings)
    wrong = misfits(deal_values, listings.get(Listing.FIELDS, ()))
    return Checked(found.problems, found.warnings, wrong, unread, found.notes)


def read(
    ports: Ports, wanted: Collection[Listing], fresh: float
) -> tuple[dict[Listing, Kept], dict[Listing, Busy | Trouble]]:
    """``wanted`` as they were at most ``fresh`` seconds ago, and what could not be read, each with the reason."""
    now = ports.clock.now()
    kept = {listing: each for listing, each in ports.ledger.shelf.look(wanted).items() if each.age(now) <= fresh}
    unread: dict[Listing, Busy | Trouble] = {}
    for listing in wanted:
        if listing in kept:
            continue
        if any(is_away(trouble) for trouble in unread.values()):  # nobody waits for seven time-outs
            unread[listing] = next(trouble for trouble in unread.values() if is_away(trouble))
            continue
        answer = look_up(ports, listing)
        if isinstance(answer, Asked) and isinstance(answer.answer, Refused) and meaning(answer.answer) is Meaning.TOKEN:
            answer = look_up(ports, listing)  # the client has dropped the token: once more, with another
        if isinstance(answer, Kept):
            kept[listing] = answer
        else:
            unread[listing] = answer.answer if isinstance(answer, Asked) else answer
    return kept, unread


def is_away(trouble: Busy | Trouble) -> bool:
    """Whether it concerns every call to Zoho, and not this listing alone."""
    if isinstance(trouble, Busy | NotSent):
        return True
    return trouble.status is None if isinstance(trouble, PerhapsAccepted) else trouble.status == 429


def why(trouble: Busy | Trouble) -> str:
    """Why a listing could not be read, for people."""
    if isinstance(trouble, Busy):
        return trouble.why
    if isinstance(trouble, NotSent):
        return trouble.in_words
    if isinstance(trouble, PerhapsAccepted):
        return trouble.detail
    return f"{trouble.status} {trouble.code}: {trouble.message}"
