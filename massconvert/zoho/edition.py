"""The one limit that is in no answer to a call: how many may run at once, by the organisation's edition."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, TypeAlias

from massconvert.model import NotSent, PerhapsAccepted, Refused
from massconvert.policy.codes import TOKEN_CODES
from massconvert.zoho.answers import Body

log = logging.getLogger("massconvert.zoho")

#: The answer to GET ``org``.
OrgAnswer: TypeAlias = Body | Refused | PerhapsAccepted | NotSent

#: Simultaneous calls by edition (Zoho's limits page). Bundles are named like ``zohooneenterprise`` and
#: ``crmplusprofessional``, so the first of these names found inside ``paid_type`` counts.
EDITIONS: tuple[tuple[str, int], ...] = (
    ("free", 5),
    ("standard", 10),
    ("professional", 15),
    ("enterprise", 20),
    ("ultimate", 25),
    ("crmplus", 25),
    ("one", 20),
)
#: Zoho's sub-limit for heavy calls in every edition.
MAX_POSTS = 10
#: What every edition allows.
LEAST = 5
REMEDY = "set ZOHO_CONCURRENCY, or give the refresh token the scope ZohoCRM.org.READ"

_DAY = 86_400
_HOUR = 3600
_MINUTE = 60


def limit_of(answer: OrgAnswer) -> tuple[int, str, int]:
    """The limit that an answer to GET ``org`` shows, where it comes from, and for how many seconds it holds.

    Where the edition cannot be read it is the least of all editions, with a warning that names the remedy.
    """
    if isinstance(answer, Body):
        edition = _edition(answer.data)
        calls = next((calls for name, calls in EDITIONS if name in edition.lower()), None)
        if calls is not None:
            return calls, f"edition {edition}", _DAY
        why, seconds = f"the edition {edition!r} is not known" if edition else "Zoho does not tell the edition", _DAY
    elif isinstance(answer, Refused) and answer.status != 429 and answer.code not in TOKEN_CODES:
        why, seconds = f"Zoho refuses to tell the edition ({answer.status} {answer.code})", _HOUR
    else:
        why, seconds = "Zoho did not tell the edition", _MINUTE  # soon again: an outage, or a token that has ended
    log.warning("At most %d calls run at once, since %s: %s.", LEAST, why, REMEDY)
    return LEAST, f"{why}: {REMEDY}", seconds


def organisation_in(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first organisation in an answer to GET ``org``; empty where there is none."""
    orgs = data.get("org")
    org = orgs[0] if isinstance(orgs, list) and orgs else orgs
    return org if isinstance(org, dict) else {}


def _edition(data: Mapping[str, Any]) -> str:
    """``license_details.paid_type`` of the organisation in ``data``; empty where there is none."""
    details = organisation_in(data).get("license_details")
    edition = details.get("paid_type") if isinstance(details, dict) else None
    return edition.strip()[:100] if isinstance(edition, str) else ""
