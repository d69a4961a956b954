"""How long a text of a deal may get, and what of a filled template is cut; pure.

A template's text is as long as the lead's fields make it. Zoho refuses one that is longer than its field, and the deal
would stay without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from massconvert.model import DealUpdate
from massconvert.options.extras import deal_templates
from massconvert.options.problem import Problem, at

#: Zoho's own limits, for whom the organisation's metadata have not been read. Other fields' limits differ.
KNOWN = {"Deal_Name": 120}


def longest(field: str, fields: Iterable[Mapping[str, Any]]) -> int:
    """How many characters ``field`` takes, by the rows of the Fields API or what is known; 0 where it is not known."""
    listed = next((int(row["length"]) for row in fields if row["api_name"] == field), 0)
    return listed or KNOWN.get(field, 0)


def cut(text: str, most: int) -> str:
    """``text``, if it is too long without its end. A character beyond the first 65,536 (an emoji) counts as two."""
    units = 0
    for place, char in enumerate(text):
        units += 2 if ord(char) > 0xFFFF else 1
        if units > most:
            return text[:place].rstrip()
    return text


def fitted(
    updates: Sequence[DealUpdate],
    templates: Mapping[str, str],
    brought: Mapping[str, Mapping[str, Any]],
    fields: Sequence[Mapping[str, Any]],
) -> tuple[DealUpdate, ...]:
    """``updates`` with the texts of ``templates`` cut to what their fields take.

    What single leads have ``brought`` stands as it is: that it fits was checked when they were enqueued.
    """
    limits = {name: most for name in templates if (most := longest(name, fields))}
    return tuple(_fitted(update, limits, brought.get(update.lead_id, {})) for update in updates)


def _fitted(update: DealUpdate, limits: Mapping[str, int], brought: Mapping[str, Any]) -> DealUpdate:
    cuts = {
        name: cut(value, limits[name])
        for name, value in update.values.items()
        if name in limits and name not in brought and isinstance(value, str)
    }
    return replace(update, values={**update.values, **cuts}) if cuts else update


def cut_notes(body: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> tuple[Problem, ...]:
    """What is to be known of each template of a body: from which length on its text is cut."""
    limits = {name: longest(name, fields) for name in deal_templates(body)}
    return tuple(
        Problem(
            at("$.Deals", name),
            f"names fields of the lead; a text of more than {most} characters is cut to {most}, which the field takes",
        )
        for name, most in limits.items()
        if most
    )
