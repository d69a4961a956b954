"""The values that the deal of a converted lead gets, and what single leads bring along."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from massconvert.model.matching import Link

#: The form of what a lead brings that is to be linked to records: a list, which versions before it refuse to read. They
#: would make others.
_FORM = 2


@dataclass(frozen=True)
class DealUpdate:
    """What the deal of a converted lead gets: ``values`` by the API names of its fields."""

    lead_id: str
    deal_id: str
    contact_id: str
    account_id: str
    values: Mapping[str, Any]


def dump_brought(values: str, link: Link | None) -> str:
    """What a lead brings, as JSON: ``values`` of its deal (JSON, blank for none), and the records of its ``link``."""
    if link is None:
        return values
    kept = [_FORM, json.loads(values or "{}"), link.contact_id, link.account_id]
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)


def load_brought(text: str | None) -> tuple[dict[str, Any], Link | None]:
    """The values of its deal, and the records that it is to be linked to. Raises ValueError, TypeError."""
    kept = json.loads(text or "{}")
    if not isinstance(kept, list):
        return dict(kept), None
    form, values, contact_id, account_id = kept
    if form != _FORM:
        raise ValueError("what a lead brings, of a later version")
    return dict(values), Link(str(contact_id), str(account_id))
