"""What of the options is ours and not Zoho's: it stands under the key ``$`` of the body, and is never sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from massconvert.model import Why

#: No key of Zoho's begins with it. It is a part of the options, so leads with other extras travel apart.
EXTRAS = "$"
PREFLIGHT = "preflight"


def extras_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our own part of a body; empty where there is none."""
    extras = body.get(EXTRAS)
    return extras if isinstance(extras, Mapping) else {}


def begins_with(body: Mapping[str, Any]) -> Why:
    """Why leads with these options are settled before anything is sent; ``Why.NONE`` where they are not."""
    return Why.PREFLIGHT if extras_of(body).get(PREFLIGHT) is True else Why.NONE
