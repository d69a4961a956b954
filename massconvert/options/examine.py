"""Options against everything that the organisation lists about itself: what to look at, and what it says; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from massconvert.model import Listing
from massconvert.options.deals import SHAPE, check_deal
from massconvert.options.lengths import cut_notes
from massconvert.options.names import Listings, check_ids, references, resolve_names
from massconvert.options.problem import Problem


@dataclass(frozen=True)
class Examined:
    """What was found. ``problems`` are sure, as far as the listings are; ``warnings`` are for people.

    ``notes`` are no fault: they say what will be done.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    notes: tuple[Problem, ...] = ()


def listings_for(body: Mapping[str, Any]) -> tuple[Listing, ...]:
    """The listings that say something about ``body``."""
    named = {listing for reference in references(body) for listing in reference.listings}
    wanted = named | set(SHAPE if isinstance(body.get("Deals"), Mapping) else ())
    return tuple(listing for listing in Listing if listing in wanted)


def examine(body: Mapping[str, Any], listings: Listings) -> Examined:
    """Every problem of ``body`` that ``listings`` show; where one is missing, nothing is said about what it lists."""
    problems = [*resolve_names(body, listings).problems, *check_ids(body, listings)]
    deal = body.get("Deals")
    if not isinstance(deal, Mapping):
        return Examined(tuple(problems), ())
    found = check_deal(deal, listings)
    notes = cut_notes(body, listings.get(Listing.FIELDS) or ())
    return Examined((*found.problems, *problems), tuple(found.warnings), notes)
