"""What an organisation lists about itself (users, modules, fields, …), kept in Redis for everybody for a while.

Workers and the command line read it from Zoho and keep it here; producers, who have no credentials, look it up.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from massconvert.errors import StoreError
from massconvert.model import Listing
from massconvert.store.connection import Redis, reaching
from massconvert.store.keys import Keys

#: Seconds for which a listing is kept.
KEPT = 3600
#: The form of the rows (zoho/listings.py); another version's are not read.
FORM = 2


@dataclass(frozen=True)
class Kept:
    """A listing as it was read at ``read_at`` (Unix seconds of the ledger's clock)."""

    rows: tuple[Mapping[str, Any], ...]
    read_at: float

    def age(self, now: float) -> float:
        """Seconds since it was read."""
        return max(0.0, now - self.read_at)


class Shelf:
    """The kept listings of one account. Raises StoreError when Redis cannot be reached."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def look(self, listings: Collection[Listing]) -> dict[Listing, Kept]:
        """Those of ``listings`` that are kept. What this version cannot read counts as not kept: it is read again."""
        if not listings:
            return {}
        with reaching(self._redis):
            texts = self._redis.mget([self._keys.listing(listing.value) for listing in listings])
        kept = {listing: _load(text) for listing, text in zip(listings, texts, strict=True)}
        return {listing: found for listing, found in kept.items() if found}

    def rows(self, listing: Listing) -> tuple[Mapping[str, Any], ...]:
        """The rows of a listing, as long as it is kept; none where it is not. Raises StoreError."""
        kept = self.look([listing]).get(listing)
        return tuple(kept.rows) if kept else ()

    def keep(self, listing: Listing, rows: Sequence[Mapping[str, Any]], *, now: float) -> Kept:
        """Keep a listing that has just been read whole."""
        text = json.dumps({"form": FORM, "read_at": now, "rows": list(rows)}, separators=(",", ":"), ensure_ascii=False)
        with (
            suppress(StoreError),
            reaching(self._redis),
        ):  # a full Redis keeps no more: it is good for this one all the same
            self._redis.set(self._keys.listing(listing.value), text, ex=KEPT)
        return Kept(tuple(rows), now)


def _load(text: str | None) -> Kept | None:
    try:
        kept = json.loads(text or "")
        if kept["form"] != FORM:
            return None
        return Kept(tuple(row for row in kept["rows"] if isinstance(row, dict)), float(kept["read_at"]))
    except (ValueError, TypeError, KeyError):
        return None
