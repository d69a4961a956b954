"""Who did what by hand on the page, to which batch, and when: for those who wonder why something waits."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from massconvert.ledger.book import Book
from massconvert.ledger.codec import unreadable
from massconvert.store import reaching

#: How many are kept.
KEPT = 500


@dataclass(frozen=True)
class Deed:
    """Something that a person did: ``what`` is a word such as ``pause``, ``batch`` is blank for the organisation.

    ``at``: Unix seconds by the ledger's clock. ``more`` is what it came to, or the reason that was given.
    """

    at: float
    who: str
    what: str
    batch: str = ""
    more: str = ""


class Deeds(Book):
    """The deeds of one account."""

    def note(self, deed: Deed) -> None:
        """Keep one, and forget the oldest beyond those that are kept. Raises StoreError."""
        with reaching(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            pipe.lpush(self._keys.deeds, json.dumps(asdict(deed), ensure_ascii=False))
            pipe.ltrim(self._keys.deeds, 0, KEPT - 1)
            pipe.execute()

    def latest(self) -> list[Deed]:
        """All that are kept, the latest first. Raises LedgerError, StoreError."""
        with reaching(self._redis):
            texts = self._redis.lrange(self._keys.deeds, 0, KEPT - 1)
        try:
            return [Deed(**json.loads(text)) for text in texts]
        except (ValueError, TypeError) as error:
            raise unreadable("deeds") from error
