"""How numbers are said: the one place where a word gets its plural."""

from __future__ import annotations


def number_of(count: int, one: str, many: str = "") -> str:
    """``1 lead``, ``2,000 leads``: ``one`` for a single thing, ``many`` (or ``one`` and an s) for every other number.

    Both may be more than a word, so that the verb fits too: ``number_of(n, "lead waits", "leads wait")``.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def ended_of(ended: int, total: int) -> str:
    """How many of all leads have ended: ``399 of 400 leads have ended``."""
    return f"{ended:,} of {number_of(total, 'lead has', 'leads have')} ended"
