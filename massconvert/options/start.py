"""How a batch starts, as callers say it: its priority and its canary."""

from __future__ import annotations

from typing import Any

from massconvert.errors import InputError
from massconvert.model import Canary, Priority


def parse_priority(value: Any) -> Priority | None:
    """``value`` as a priority; ``None`` leaves it to the size of the batch. Raises InputError."""
    try:
        return None if value is None else Priority(value)
    except ValueError:
        known = " or ".join(repr(priority.value) for priority in Priority)
        raise InputError(f"The priority must be {known}, not {value!r:.60}.") from None


def parse_canary(leads: Any, max_failed: Any) -> Canary | None:
    """The canary: how many leads, and what share of them may fail, in per cent. Raises InputError."""
    if leads is None:
        if max_failed is not None:
            raise InputError("canary_max_failed needs a canary.", hint="Say how many leads go first, like canary=50.")
        return None
    if type(leads) is not int or leads < 1:
        raise InputError(f"The canary must be a number of leads, not {leads!r:.60}.", hint="A payload takes 50.")
    if max_failed is not None and not (type(max_failed) in (int, float) and 0 <= max_failed <= 100):
        raise InputError(f"canary_max_failed must be a percentage from 0 to 100, not {max_failed!r:.60}.")
    return Canary(leads, max_failed)
