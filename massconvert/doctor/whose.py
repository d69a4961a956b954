"""Whose credentials these are, as answers to two plain calls tell: organisation, edition, trial, user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from massconvert.doctor.finding import Finding, ok, warning
from massconvert.model import Refused
from massconvert.zoho.answers import Body
from massconvert.zoho.edition import OrgAnswer, organisation_in
from massconvert.zoho.identity import Identity, identity_in

_DAY = 86_400.0
#: The way on where a trial or a licence ends.
CHOOSE_EDITION = "Choose an edition in the CRM's Setup, under Subscription."
#: An end within this many days is told. A licence that is paid monthly is always near its end.
_SOON = {"trial": 14 * _DAY, "licence": 3 * _DAY}
#: The edition to which an organisation falls when its trial is over.
_FREE = "free"


@dataclass(frozen=True)
class Whose:
    """What Zoho tells; blank or ``None`` is what it does not. Moments are Unix seconds.

    ``organisation`` is a text where it is not told: why not.
    """

    organisation: Identity | str
    edition: str = ""
    trial_ends: float | None = None
    paid_until: float | None = None
    user: str = ""
    email: str = ""
    profile: str = ""

    def trial_over(self, now: float) -> bool:
        """Whether the organisation's trial has ended."""
        return self.trial_ends is not None and self.trial_ends <= now


def whose(org: OrgAnswer, user: object = None) -> Whose:
    """What the answers to GET ``org`` and GET ``users?type=CurrentUser`` tell."""
    found = organisation_in(org.data) if isinstance(org, Body) else {}
    details = found.get("license_details")
    licence = details if isinstance(details, Mapping) else {}
    person = _first_user(user)
    profile = person.get("profile")
    paid, edition = licence.get("paid") is True, _text(licence.get("paid_type"))
    in_trial = not paid and edition.lower() != _FREE
    return Whose(
        organisation=identity_in(org),
        edition=edition,
        trial_ends=_moment(licence.get("trial_expiry")) if in_trial else None,
        paid_until=_moment(licence.get("paid_expiry")) if paid else None,
        user=_text(person.get("full_name")),
        email=_text(person.get("email")),
        profile=_text(profile.get("name")) if isinstance(profile, Mapping) else "",
    )


def findings_of(found: Whose, now: float) -> Iterator[Finding]:
    """What the doctor says of it."""
    org = found.organisation
    if isinstance(org, str):
        return  # the scope's own line says so
    facts = [org.kind, f"edition {found.edition}" if found.edition else ""]
    told = ", ".join(fact for fact in facts if fact)
    person = f"; the user is {found.user or found.email}" if found.user or found.email else ""
    yield ok("organisation", f"{org.name or org.org_id}{f' ({told})' if told else ''}{person}.")
    for what, ends in (("trial", found.trial_ends), ("licence", found.paid_until)):
        if ends is not None and ends - now < _SOON[what]:
            when = "ended" if ends <= now else "ends"
            day = datetime.fromtimestamp(ends, timezone.utc).date()
            yield warning(
                "licence", f"The organisation's {what} {when} on {day}: Zoho may refuse calls.", CHOOSE_EDITION
            )


def refused_entirely(answer: object) -> tuple[str, str] | None:
    """What a first refusal with a good token and the right scope comes to, and the way on; ``None`` for the rest."""
    if not isinstance(answer, Refused) or answer.status not in (401, 403) or answer.code == "OAUTH_SCOPE_MISMATCH":
        return None
    what = f"Zoho gives a token and refuses the call with it: {answer.status} {answer.code} {answer.message}".rstrip()
    fix = (
        "See whether the CRM's Setup allows this machine's address (Security Control, Allowed IPs) and the user's "
        "profile API access; and whether the trial is over."
    )
    return f"{what}.", fix


def _first_user(answer: object) -> Mapping[str, Any]:
    users = answer.data.get("users") if isinstance(answer, Body) else None
    first = users[0] if isinstance(users, list) and users else None
    return first if isinstance(first, Mapping) else {}


def _text(value: object) -> str:
    return value.strip()[:100] if isinstance(value, str) else ""


def _moment(value: object) -> float | None:
    """A time as Zoho writes it, with an offset; a date alone is its beginning in UTC."""
    try:
        told = datetime.fromisoformat(_text(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (told if told.tzinfo else told.replace(tzinfo=timezone.utc)).timestamp()
