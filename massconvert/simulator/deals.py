"""Update Records of the module Deals: up to 100 records a call, and a result for each."""

from __future__ import annotations

import json
from typing import Any

from massconvert.simulator import catalogue
from massconvert.simulator.leads import Leads
from massconvert.simulator.messages import RefusedError, envelope
from massconvert.simulator.validation import check_field

MOST_RECORDS = 100


def read_rows(body: bytes) -> list[dict[str, Any]]:
    """The records of a body. Raises RefusedError."""
    try:
        rows = json.loads(body)["data"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "data"}) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        details = {"api_name": "data", "expected_data_type": "jsonarray", "json_path": "$.data"}
        raise RefusedError(400, "INVALID_DATA", "invalid data", details)
    if len(rows) > MOST_RECORDS:
        raise RefusedError(400, "LIMIT_EXCEEDED", "record limit exceeded", {"limit": MOST_RECORDS})
    return rows


def update_deal(leads: Leads, row: dict[str, Any]) -> dict[str, Any]:
    """Write one record, or refuse it; its entry in the answer."""
    lead = leads.of_deal(str(row.get("id", "")))
    if lead is None:
        return envelope("INVALID_DATA", "the id given seems to be invalid", {"id": row.get("id")})
    fields = {field["api_name"]: field for field in catalogue.fields("Deals", pipelines=True)}
    known = {key: value for key, value in row.items() if key in fields}  # others are ignored, as in a payload
    if known.get("Deal_Name") == "":
        return envelope("INVALID_DATA", "invalid data", {"expected_data_type": "text", "api_name": "Deal_Name"})
    name = ""
    try:
        for name, value in known.items():
            check_field(value, fields[name])
    except RefusedError as refused:
        return envelope(refused.code, refused.message, refused.details | {"api_name": name})
    lead.deal |= known
    return {"code": "SUCCESS", "details": {"id": lead.deal_id}, "message": "record updated", "status": "success"}
