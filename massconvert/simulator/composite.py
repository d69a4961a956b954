"""Composite requests: up to five calls in one. The shape of the answer is inferred, the rest is documented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from massconvert.simulator.messages import RefusedError, Request, Response, place

KEY = "__composite_requests"
MOST_REQUESTS = 5
#: Calls that none may hold.
_LEFT_OUT = re.compile(r"/(?:mass_convert|__conversion_options|__composite_requests)$")


def requests_in(request: Request) -> Iterator[tuple[str, Request]]:
    """The calls in a body, each with its id. Raises RefusedError."""
    try:
        given = json.loads(request.body)[KEY]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", place(f"$.{KEY}")) from None
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        details = {**place(f"$.{KEY}"), "expected_data_type": "jsonarray"}
        raise RefusedError(400, "INVALID_DATA", "invalid data", details)
    if len(given) > MOST_REQUESTS:
        due_to = [place(f"$.{KEY}")]
        raise RefusedError(400, "LIMIT_EXCEEDED", "limit exceeded", {"limit": MOST_REQUESTS, "limit_due_to": due_to})
    for number, each in enumerate(given):
        at = f"$.{KEY}[{number}]"
        for name in ("uri", "method"):
            if not isinstance(each.get(name), str):
                raise RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", place(f"{at}.{name}"))
        if not isinstance(each.get("params") or {}, dict):
            raise RefusedError(400, "INVALID_DATA", "invalid data", place(f"{at}.params"))
        if _LEFT_OUT.search(each["uri"]):
            raise RefusedError(
                400, "NOT_SUPPORTED", "the call is not possible in a composite request", place(f"{at}.uri")
            )
    for number, each in enumerate(given, start=1):
        query = {str(name): str(value) for name, value in (each.get("params") or {}).items()}
        body = json.dumps(each["body"]).encode() if each.get("body") is not None else b""
        yield (
            str(each.get("sub_request_id", number)),
            Request(each["method"], each["uri"], query, request.headers, body),
        )


def response_of(sub_request_id: str, answer: Response) -> dict[str, Any]:
    """A call's entry in the answer."""
    done = answer.status < 400
    return {
        "sub_request_id": sub_request_id,
        "code": "SUCCESS" if done else "FAILURE",
        "details": {"response": {"status_code": answer.status, "body": answer.body}},
        "message": "composite sub request executed",
        "status": "success" if done else "error",
    }
