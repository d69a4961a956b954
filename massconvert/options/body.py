"""What is done with a body of options on its way: its fingerprint, and its date when the payload is built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from massconvert.model import Link
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


def link_body(body: Mapping[str, Any], link: Link, deal_values: Mapping[str, Any]) -> dict[str, Any]:
    """What Zoho's call for a single lead takes, from a body as `resolve_body` makes it.

    The deal has what is the lead's own at once; the lead's tags are named, where a payload names modules alone.
    """
    made: dict[str, Any] = {}
    for module, record_id in (("Contacts", link.contact_id), ("Accounts", link.account_id)):
        if record_id:
            made[module] = {"id": record_id}
    if "Deals" in body:
        made["Deals"] = {**body["Deals"], **link.deal, **deal_values}
    if "assign_to" in body:
        made["assign_to"] = {"id": body["assign_to"]["id"]}
    if "move_attachments_to" in body:
        made["move_attachments_to"] = body["move_attachments_to"]
    modules = [module["api_name"] for module in body.get("carry_over_tags", ())]
    if modules and link.tags:
        made["carry_over_tags"] = {module: list(link.tags) for module in modules}
    return made


def _canonical(value: Any) -> str:
    return json.dumps(_numbers(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _numbers(value: Any) -> Any:
    """10000.0 is the number 10000, as in JSON."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: _numbers(item) for key, item in value.items()}
    return [_numbers(item) for item in value] if isinstance(value, list | tuple) else value
