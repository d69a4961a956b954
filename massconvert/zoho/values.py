"""Single values out of somebody else's JSON: pure, and never raising."""

from __future__ import annotations

import re
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

#: Longest text of somebody else's that goes into the ledger or a log.
MAX_TEXT = 500

_DIGITS = re.compile(r"[0-9]{1,40}")


def id_of(value: Any) -> str:
    """An id given as a string or a number; empty when it is neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and _DIGITS.fullmatch(value) else ""


def record_id_of(value: Any) -> str:
    """The id of a record that a field names, as an object with its ``id`` or by the id alone; empty for neither."""
    return id_of(value.get("id") if isinstance(value, dict) else value)


def date_of(text: str) -> float | None:
    """An HTTP date (RFC 9110, 5.6.7) in whole Unix seconds; ``None`` where the text is no date."""
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=date.tzinfo or timezone.utc).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def items_of(value: Any) -> list[Any]:
    """The items of a list; anything else is one item."""
    return value if isinstance(value, list) else [value]


def word_of(value: Any) -> str:
    """A name or a value for comparing: case, blanks, dashes and underscores aside."""
    return re.sub(r"[\s_-]", "", value).lower() if isinstance(value, str) else ""


def text_of(value: Any) -> str:
    """A text of somebody else's, cut to a length that a ledger and a log can bear; empty when it is none."""
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def cleaned(value: Any) -> Any:
    """``value`` with what UTF-8 cannot carry (lone surrogates) replaced, so that it can be stored and printed."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if isinstance(value, dict):
        return {cleaned(name): cleaned(item) for name, item in value.items()}
    return value
