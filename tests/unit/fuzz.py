"""What the fuzz tests share: how many cases they try, and a chance that can be had again."""

from __future__ import annotations

import os
from random import Random


def cases(default: int) -> int:
    """How many cases to try: MASSCONVERT_FUZZ where it is set (`make fuzz N=100000`), else ``default``."""
    return int(os.environ.get("MASSCONVERT_FUZZ") or default)


def generator(seed: int) -> Random:
    """A source of chance that gives the same for the same seed."""
    return Random(seed)
