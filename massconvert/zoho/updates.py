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
)
from massconvert.zoho.refusals import opened, paths_of
from massconvert.zoho.values import text_of, word_of

#: The statuses with which Update Records has a result for each record: 200, 207; others where all of them fail.
_WITH_RESULTS = frozenset({200, 201, 202, 207, 400, 409, 412, 422})


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
        error = next(opened(item))
        names = (text_of(each.get("api_name")) for each in error.details if isinstance(each, dict))
        return Refusal(error.code, error.message, next(filter(None, (*paths_of(error.details), *names)), ""))
    raise UnusableError("a deal without a result")


def _no_results(_answer: dict[str, Any]) -> DealsUpdated:
    raise UnusableError("not a result for each deal")
