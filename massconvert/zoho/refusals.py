"""The errors in an answer of Zoho's, wherever they stand in it, and what they name: pure, and never raising.

Zoho says an error bare, as an item of ``data`` or ``errors``, or inside another one. It names what is wrong by
JSON paths and parameter names (in ``details``, or lists like ``limit_due_to``, ``ambiguity_due_to`` and
``expected_fields`` in them), by the ids of records, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from massconvert.model import Refused
from massconvert.policy import CODES
from massconvert.zoho.values import MAX_TEXT, date_of, id_of, items_of, text_of, word_of

#: The longest wait that a header may ask for: credits come back within a day.
MAX_RETRY_AFTER = 86_400.0

#: How deep errors may lie in errors, and how many places and ids one answer may name.
MAX_DEPTH = 5
MAX_NAMED = 1000


@dataclass(frozen=True)
class SaidError:
    """One error of an answer; ``details`` are its own, and those of the error that it was found in."""

    code: str
    message: str
    details: tuple[Any, ...]


def errors_in(answer: Mapping[str, Any]) -> Iterator[SaidError]:
    """The errors in an answer: itself, items of its ``data`` or ``errors``, and what an error says is inside it."""
    for item in (answer, *items_of(answer.get("data")), *items_of(answer.get("errors"))):
        if isinstance(item, dict) and _is_error(item):
            yield from opened(item)


def _is_error(item: Mapping[str, Any]) -> bool:
    """Whether it says so, or says nothing and has a code that only errors have."""
    status, code = word_of(item.get("status")), text_of(item.get("code"))
    return bool(code) and (status == "error" or (not status and code.upper() in CODES))


def opened(item: Mapping[str, Any], outer: tuple[Any, ...] = ()) -> Iterator[SaidError]:
    """The errors inside an error (MULTIPLE_OR_MULTI_ERRORS), or itself where there are none."""
    details = item.get("details")
    around = {name: value for name, value in details.items() if name != "errors"} if isinstance(details, dict) else {}
    within = details.get("errors") if isinstance(details, dict) else None
    inner = [each for each in (*items_of(within), *items_of(item.get("errors"))) if _has_code(each)]
    if inner and len(outer) < MAX_DEPTH:
        for each in inner:
            yield from opened(each, (*outer, around))
    else:
        yield SaidError(text_of(item.get("code")), text_of(item.get("message")), (details, *outer))


def _has_code(item: Any) -> bool:
    return isinstance(item, dict) and bool(text_of(item.get("code"))) and word_of(item.get("status")) != "success"


def refused(status: int, headers: Mapping[str, str], errors: Sequence[SaidError]) -> Refused:
    """The first error, and what all errors with its code name: the next call tells about the others."""
    lower = {str(name).lower(): str(value) for name, value in headers.items()}
    first = errors[0] if errors else SaidError("", "", ())
    details = [each for error in errors if error.code == first.code for each in error.details]
    return Refused(
        status=status,
        code="TOO_MANY_REQUESTS" if status == 429 else first.code,
        message=first.message or (f"HTTP {status}" if not first.code else ""),
        paths=tuple(dict.fromkeys(islice(paths_of(details), MAX_NAMED))),
        details=next((each for each in first.details if isinstance(each, dict)), {}),
        retry_after=_retry_after(lower),
        ids=tuple(dict.fromkeys(islice(ids_of(details), MAX_NAMED))),
    )


def paths_of(details: Any) -> Iterator[str]:
    """All JSON paths and parameter names that ``details`` has, in order, however deep."""
    if isinstance(details, list | tuple):
        for item in details:
            yield from paths_of(item)
    elif isinstance(details, dict):
        for name, value in details.items():
            if name in ("json_path", "param", "param_name") and isinstance(value, str):
                yield value[:MAX_TEXT]
            else:
                yield from paths_of(value)
    elif isinstance(details, str) and details.startswith("$."):
        yield details[:MAX_TEXT]


def ids_of(details: Any) -> Iterator[str]:
    """The ids of records that ``details`` names as wrong, in order; not those of their duplicates."""
    if isinstance(details, list | tuple):
        for item in details:
            yield from ids_of(item)
    elif isinstance(details, dict):
        for name, value in details.items():
            if name in ("id", "ids", "record_id", "record_ids"):
                yield from filter(None, map(id_of, items_of(value)))
            if name != "duplicate_record":
                yield from ids_of(value)


def _retry_after(lower: Mapping[str, str]) -> float | None:
    """``Retry-After`` in seconds; a date is counted from the same answer's ``Date``."""
    text = lower.get("retry-after", "").strip()
    if id_of(text):
        return min(float(text), MAX_RETRY_AFTER)
    until, now = date_of(text), date_of(lower.get("date", ""))
    return None if until is None or now is None else min(max(0.0, until - now), MAX_RETRY_AFTER)
