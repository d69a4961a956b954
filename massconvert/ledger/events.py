"""The stream of ended leads, for apps that want to know of each as it happens; written by the scripts that end them.

An entry has ``lead``, ``batch``, ``outcome``, ``code``, ``message``, ``job`` and ``attempts``. It is in the stream if,
and only if, the outcome is in the ledger: both are written in one step. How many entries are kept is a key of its own
and no argument, so that every script that ends a lead reports it, even for a producer without the setting.
"""

from __future__ import annotations

from massconvert.ledger.book import Book
from massconvert.store import reaching


class Events(Book):
    """The events of one account."""

    def set_up(self) -> None:
        """Have as many kept as the settings say; none for 0; as it was where they say nothing. Raises StoreError."""
        keep = self._tuning.events
        if keep is None:
            return
        with reaching(self._redis):
            if keep and self._redis.get(self._keys.events_keep) == str(keep):
                return  # nor does a full Redis refuse it
            if keep:
                self._redis.set(self._keys.events_keep, keep)
            else:
                self._redis.delete(self._keys.events_keep)
