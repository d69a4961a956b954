"""What is done with a body of options on its way: its fingerprint, and its date when the payload is built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from massconvert.options.check import SPAN
from massconvert.options.extras import EXTRAS, plain_deal

_LISTS = ("related_modules", "carry_over_tags")


def fingerprint(body: Mapping[str, Any]) -> str:
    """16 hex digits that equal bodies share, whatever the order of their keys and of the modules they list."""
    plain = {key: sorted(value, key=_canonical) if key in _LISTS else value for key, value in body.items()}
    return hashlib.sha256(_canonical(plain).encode()).hexdigest()[:16]


def resolve_body(body: Mapping[str, Any], today: date) -> dict[str, Any]:
    """``body`` as Zoho takes it: without what is ours, with placeholders for templates, and dates for "+30d".

    A relative closing date is counted from ``today``.
    """
    body = {key: value for key, value in body.items() if key != EXTRAS}
    deal = body.get("Deals")
    if isinstance(deal, Mapping):
        deal = plain_deal(deal)
        body["Deals"] = deal
    closing = deal.get("Closing_Date") if isinstance(deal, Mapping) else None
    span = SPAN.fullmatch(closing) if isinstance(closing, str) else None
    if not span or not isinstance(deal, Mapping):
        return body
    day = today + timedelta(days=int(span[1]))
    return {**body, "Deals": {**deal, "Closing_Date": day.isoformat()}}


def _canonical(value: Any) -> str:
    return json.dumps(_numbers(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _numbers(value: Any) -> Any:
    """10000.0 is the number 10000, as in JSON."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _numbers(item) for key, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list | tuple) else value
