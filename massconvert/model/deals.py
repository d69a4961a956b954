"""The values that the deal of a converted lead gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DealUpdate:
    """What the deal of a converted lead gets: ``values`` by the API names of its fields."""

    lead_id: str
    deal_id: str
    contact_id: str
    account_id: str
    values: Mapping[str, Any]
