"""Fields of an organisation's own by which leads are matched: unique ones, which fields of leads fill; pure.

Written is the lead's field. The field of contacts or accounts that a conversion fills from it is listed by the
organisation, and so is whether that is unique (Zoho's pages on fields: ``convert_mapping``, ``unique``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from massconvert.model import Listing, MatchKey
from massconvert.model.matching import ACCOUNTS, CONTACTS, MATCH_KEYS
from massconvert.options.problem import nearest

#: What says something about such a field.
LISTINGS = (Listing.LEAD_FIELDS, Listing.CONTACT_FIELDS, Listing.ACCOUNT_FIELDS)
#: How one is written: its API name, which begins with a capital; one that does not, with its module.
is_written = re.compile(r"[A-Z][A-Za-z0-9_]{0,99}|Leads\.[A-Za-z][A-Za-z0-9_]{0,99}").fullmatch
#: Types of which COQL takes a value in quotes.
_TEXTS = frozenset({"text", "email", "phone", "website", "autonumber"})
_MODULES = ((CONTACTS, "contact", Listing.CONTACT_FIELDS), (ACCOUNTS, "account", Listing.ACCOUNT_FIELDS))

Rows: TypeAlias = Mapping[Listing, Sequence[Mapping[str, Any]]]


def match_field(written: str, listings: Rows) -> MatchKey | str:
    """The fields that are compared, by all of `LISTINGS`; or why there are none."""
    name = written.removeprefix("Leads.")
    leads = listings[Listing.LEAD_FIELDS]
    row = next((row for row in leads if row["api_name"] == name), None)
    if row is None:
        known = [(form, row["api_name"]) for row in leads for form in (row["api_name"], row["label"]) if form]
        return f"names {name}, which is no field of the Leads module that this user may see{nearest(name, known)}"
    targets = [(module, row.get(which) or "", listing) for module, which, listing in _MODULES]
    filled = [(module, target, listing) for module, target, listing in targets if target]
    if not filled:
        return (
            f"names {name}, which fills no field of contacts or accounts; map it in Zoho (Setup > Modules and Fields > "
            "Leads > Map Dependency Fields)"
        )
    for module, target, listing in filled:
        of = next((each for each in listings[listing] if each["api_name"] == target), None)
        if of is None or not of["unique"]:
            continue
        if of["type"] not in _TEXTS:
            return f"names {name}, which fills {module}.{target}; its type is {of['type']}, and only texts are compared"
        return MatchKey(name, module, target)
    fields = " and ".join(f"{module}.{target}" for module, target, _ in filled)
    usual = next((f'; for that, write "{key}"' for key, each in MATCH_KEYS.items() if each.lead_field == name), "")
    return f"names {name}, which fills {fields}; Zoho does not keep that unique, so it does not tell who is who{usual}"
