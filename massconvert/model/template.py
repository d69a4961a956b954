"""A text with fields of a lead in it: ``{Company} {Last_Name}``; pure.

The grammar is our own and knows only ``{Api_Name}``, and ``{{`` and ``}}`` for a brace itself: no attributes,
indices or format specifications, so a template can reach nothing but the fields it is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_PART = re.compile(r"\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_]{0,99})\}|[{}]")
#: What the name of a deal is until its fields are filled in, where nothing else is left of its template.
NAMELESS = "Deal"


class TemplateError(ValueError):
    """A brace that is neither a field's nor a doubled one; says where."""


def fields_of(text: str) -> tuple[str, ...]:
    """The API names of the fields in a template, in order, each once. Raises TemplateError."""
    return tuple(dict.fromkeys(name for _, name in _parts(text) if name))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the values of its fields, blanks closed up where one is empty. Raises TemplateError."""
    return " ".join("".join(values.get(name, "") if name else plain for plain, name in _parts(text)).split())


def placeholder(text: str) -> str:
    """What stands in a template's place in a payload, which knows no lead. Raises TemplateError."""
    return filled(text, {}) or NAMELESS


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """A template as (plain text, "") and ("", name of a field)."""
    end = 0
    for match in _PART.finditer(text):
        if match[0] in "{}":
            raise TemplateError(f"has a single {match[0]} at character {match.start() + 1}")
        yield text[end : match.start()], ""
        yield ("", match[1]) if match[1] else (match[0][0], "")
        end = match.end()
    yield text[end:], ""
