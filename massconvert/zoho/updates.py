"""The answer to Update Records, as a value of the model: a result for each deal, whatever the status of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from massconvert.model import DealsUpdated, Refusal
from massconvert.zoho.answers import (
    Failure,
    UnusableError,
    credits_left_of,
    object_of,
    parse_answer,
    paths_of,
    text_of,
    word_of,
)

#: The statuses with which Update Records has a result for each record: 200, 207; others where all of them fail.
_WITH_RESULTS = frozenset({200, 201, 202, 207, 400})


def parse_update(status: int, headers: Mapping[str, str], body: bytes, count: int) -> DealsUpdated | Failure:
    """The answer to Update Records for ``count`` deals: a result for each, whatever the status of the whole."""
    try:
        answer = object_of(body) if status in _WITH_RESULTS else {}
        refused = _results(answer, count)
    except (ValueError, RecursionError):
        return parse_answer(status, headers, body, _no_results)
    return DealsUpdated(refused, credits_left=credits_left_of(headers))


def _results(answer: Mapping[str, Any], count: int) -> tuple[Refusal | None, ...]:
    items = answer.get("data")
    if not isinstance(items, list) or len(items) != count:
        raise UnusableError("not a result for each deal")
    return tuple(_result(item) for item in items)


def _result(item: Any) -> Refusal | None:
    word = word_of(item.get("status")) if isinstance(item, dict) else ""
    if word == "success":
        return None
    if word == "error" and text_of(item.get("code")):
        paths = [*paths_of(item.get("details")), text_of(_details(item).get("api_name")), ""]
        return Refusal(text_of(item["code"]), text_of(item.get("message")), paths[0])
    raise UnusableError("a deal without a result")


def _details(item: Mapping[str, Any]) -> Mapping[str, Any]:
    details = item.get("details")
    return details if isinstance(details, dict) else {}


def _no_results(_answer: dict[str, Any]) -> DealsUpdated:
    raise UnusableError("not a result for each deal")
