"""What of the options is ours and not Zoho's: it stands under the key ``$`` of the body, and is never sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from massconvert.model import Matching, MatchKey, OnMatch, Why
from massconvert.model.matching import MATCH_KEYS, USUAL_KEYS
from massconvert.model.template import TemplateError, fields_of, placeholder

#: No key of Zoho's begins with it. It is a part of the options, so leads with other extras travel apart.
EXTRAS = "$"
PREFLIGHT = "preflight"
#: Set by a retry of deals alone, and by nobody else: the leads are converted, and no payload is made of them.
DEALS_ONLY = "deals_only"
#: What is done with leads that match a contact or an account, and by which fields they do.
ON_MATCH, MATCH = "on_match", "match"
#: Set by a retry of leads that were sent and of which nobody knows what became, and by nobody else.
DOUBTED = "doubted"


def extras_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Our own part of a body; empty where there is none."""
    extras = body.get(EXTRAS)
    return extras if isinstance(extras, Mapping) else {}


def begins_with(body: Mapping[str, Any]) -> Why:
    """Why leads with these options are settled before anything is sent; ``Why.NONE`` where they are not."""
    extras = extras_of(body)
    if extras.get(DEALS_ONLY) is True:
        return Why.IDS
    return Why.PREFLIGHT if extras.get(PREFLIGHT) is True else Why.NONE


def matching_of(body: Mapping[str, Any]) -> Matching | None:
    """How contacts and accounts are looked for before leads with these options are sent; ``None``: they are not.

    Fields of the organisation's own are those that have been looked up (`resolve_names`).
    """
    extras = extras_of(body)
    if ON_MATCH not in extras:
        return None
    given = extras.get(MATCH) or USUAL_KEYS
    own = tuple(MatchKey(**key) for key in given if isinstance(key, Mapping))
    return Matching(OnMatch(extras[ON_MATCH]), tuple(key for key in given if key in (*MATCH_KEYS,)), own)


def is_doubted(body: Mapping[str, Any]) -> bool:
    """Whether leads with these options may be converted already, for all that anybody knows."""
    return extras_of(body).get(DOUBTED) is True


def doubted(body: Mapping[str, Any]) -> dict[str, Any]:
    """``body`` for leads that may be converted already: each is read, and only what is seen unconverted is sent."""
    return {**body, EXTRAS: {**extras_of(body), PREFLIGHT: True, DOUBTED: True}}


def without_doubts(body: Mapping[str, Any]) -> dict[str, Any]:
    """``body`` as anybody may give it."""
    extras = {name: value for name, value in extras_of(body).items() if name != DOUBTED}
    return {name: value for name, value in body.items() if name != EXTRAS} | ({EXTRAS: extras} if extras else {})


def deals_only(body: Mapping[str, Any]) -> dict[str, Any]:
    """Options for leads that are converted: what ``body`` gives their deals by the leads' own fields, and nothing else.

    Without what Zoho looks at before a conversion, so nothing that has changed there since stands in their way.
    """
    return {"Deals": deal_templates(body), EXTRAS: {DEALS_ONLY: True}}


def deal_templates(body: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a body's deal that name fields of the lead, by their field. A text without a template is plain."""
    deal = body.get("Deals")
    return {name: text for name, text in deal.items() if _names_fields(text)} if isinstance(deal, Mapping) else {}


def plain_deal(deal: Mapping[str, Any]) -> dict[str, Any]:
    """A deal as a payload takes it, for any lead: with placeholders, and single braces for doubled ones."""
    return {name: _plain(value) for name, value in deal.items()}


def _names_fields(text: Any) -> bool:
    try:
        return isinstance(text, str) and bool(fields_of(text))
    except TemplateError:
        return False


def _plain(value: Any) -> Any:
    try:
        return placeholder(value) if isinstance(value, str) and ("{" in value or "}" in value) else value
    except TemplateError:  # kept from before there were templates
        return value
