"""Identify: read what converted leads have become, a hundred a call. Outside of the pipeline: nothing is written."""

from __future__ import annotations

from collections.abc import Sequence

from massconvert.model import Busy, Call, ReadAnswer
from massconvert.steps.ask import ask
from massconvert.steps.ports import Ports


def identify(ports: Ports, leads: Sequence[str]) -> ReadAnswer | Busy:
    """Read up to 100 leads with one call, under the organisation's limit like every other."""
    asked = ask(ports, Call.READ, lambda: ports.zoho.read_leads(leads))
    return asked if isinstance(asked, Busy) else asked.answer
