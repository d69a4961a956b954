"""Look up: read a whole listing of the organisation, each call with a permit of its own, and keep it for everybody."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from massconvert.model import Busy, Call, Listing, Page, PerhapsAccepted, Refused, Trouble
from massconvert.steps.ask import Asked, ask
from massconvert.steps.ports import Ports
from massconvert.store import Kept
from massconvert.zoho.listings import SCOPES

#: Seconds for which what a listing says is sure; where an older one knows no such name, Zoho is asked again.
SURE = 60.0
#: The most calls for one listing (20,000 users): beyond that something is wrong with the pages.
MOST_CALLS = 100


def look_up(ports: Ports, listing: Listing) -> Kept | Busy | Asked[Trouble]:
    """Read ``listing`` again. What stops it comes back as it is, and nothing is kept then.

    A worker that is slow at it loses its claim, which does no harm: nothing is sent here.
    """
    rows: list[Mapping[str, Any]] = []
    began = ports.clock.now()
    places, calls = deque([""]), 0
    while places:
        if calls == MOST_CALLS:
            return Asked(PerhapsAccepted(f"the {listing.value} have no end after {calls} calls"), probe=False)
        asked = ask(ports, Call.READ, partial(ports.zoho.read_page, listing, places.popleft()))
        if isinstance(asked, Busy):
            return asked
        answer = asked.answer
        if not isinstance(answer, Page):
            return Asked(_with_its_scope(answer, listing), asked.probe, asked.at)
        calls += 1
        rows += answer.rows
        places.extend(answer.more)
    return ports.ledger.shelf.keep(listing, rows, now=began)


def _with_its_scope(answer: Trouble, listing: Listing) -> Trouble:
    """A missing scope is named, since Zoho does not say which it is."""
    if not (isinstance(answer, Refused) and answer.code == "OAUTH_SCOPE_MISMATCH"):
        return answer
    what = listing.value.replace("_", " ")
    return replace(answer, message=f"{answer.message} (the {what} need the scope {SCOPES[listing]})")
