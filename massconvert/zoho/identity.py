"""Which organisation these credentials are of: its id where Zoho tells it, else the client and where it calls."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from massconvert.addresses import is_loopback
from massconvert.model import Busy, Call, NotSent, Owner, OwnerKind, PerhapsAccepted, Unsent
from massconvert.policy import CallAnswer, Permit
from massconvert.policy.codes import TOKEN_CODES
from massconvert.settings import Settings
from massconvert.zoho.answers import Body
from massconvert.zoho.datacenters import hosts_of
from massconvert.zoho.edition import OrgAnswer, organisation_in


class _Client(Protocol):
    def get(self, path: str) -> OrgAnswer: ...


class _Governor(Protocol):
    def acquire(self, call: Call) -> Permit | Busy: ...

    def release(self, permit: Permit, answer: CallAnswer = None) -> object: ...


@dataclass(frozen=True)
class Papers:
    """What names these credentials without a call.

    ``credentials`` is the digest of all three, ``client`` that of the client and where it calls; ``place`` is where
    that is, for people; ``apart`` keeps the organisations of simulators apart.
    """

    credentials: str
    client: str
    place: str
    apart: str


def papers_of(settings: Settings) -> Papers:
    """Those of the settings. Raises SettingsError for a wrong data centre or URL."""
    hosts = hosts_of(settings)
    host = urlsplit(hosts.api_domain)
    # Every simulator has an organisation of the same id; a proxy before Zoho does not change who is behind it.
    apart = host.netloc if is_loopback(host.hostname or "") else ""
    place = settings.zoho_data_center if not (settings.zoho_api_domain or settings.zoho_accounts_url) else host.netloc
    client = _digest("client", settings.zoho_client_id, hosts.accounts_url, hosts.api_domain)
    return Papers(settings.credentials_digest, client, place, apart)


@dataclass(frozen=True)
class Identity:
    """An organisation as GET ``org`` names it. ``kind`` is its ``type``: production, sandbox, developer or bigin.

    ``zone`` is its time zone, like Asia/Kolkata.

    Blank is what it does not tell.
    """

    org_id: str
    name: str
    kind: str
    zone: str = ""


@dataclass(frozen=True)
class Unknown:
    """Why it is not known whose credentials these are.

    ``refused``: Zoho gives no token for them, so nothing can be sent with them.
    """

    why: str
    refused: bool = False


def identify(zoho: _Client, governor: _Governor, papers: Papers) -> Owner | Unknown:
    """Ask Zoho whose credentials these are, with one call.

    Raises StoreError when Redis cannot be reached.
    """
    answer = ask_org(zoho, governor)
    return Unknown(answer.why) if isinstance(answer, Busy) else owner_of(answer, papers)


def ask_org(zoho: _Client, governor: _Governor) -> OrgAnswer | Busy:
    """Make the cheapest call that any credentials may make: GET ``org``. Raises StoreError."""
    permit = governor.acquire(Call.READ)
    if isinstance(permit, Busy):
        return permit
    answer: OrgAnswer | None = None
    try:
        answer = zoho.get("org")
    finally:
        governor.release(permit, answer)
    return answer


def owner_of(answer: OrgAnswer, papers: Papers) -> Owner | Unknown:
    """The owner that an answer to GET ``org`` names. One that may not ask is known by its client."""
    if isinstance(answer, NotSent):
        return Unknown(answer.detail, refused=answer.why is Unsent.CREDENTIALS)
    if isinstance(answer, PerhapsAccepted):
        return Unknown(answer.detail)
    if isinstance(answer, Body):
        org = _organisation(answer.data)
        if org.org_id:
            digest = _digest("organisation", papers.apart, org.org_id)
            return Owner(digest, OwnerKind.ORGANISATION, org.name, papers.place, papers.client, org.zone)
    elif answer.status == 429 or answer.status >= 500 or answer.code in TOKEN_CODES:
        return Unknown(f"Zoho answered {answer.status} {answer.code}")
    return Owner(papers.client, OwnerKind.CLIENT, "", papers.place, papers.client)


def identity_in(answer: OrgAnswer) -> Identity | str:
    """The organisation that an answer to GET ``org`` names; why it names none."""
    if isinstance(answer, NotSent | PerhapsAccepted):
        return answer.detail
    if isinstance(answer, Body):
        found = _organisation(answer.data)
        return found if found.org_id else "Zoho does not tell it"
    return f"Zoho answered {answer.status} {answer.code}"


def _organisation(data: Mapping[str, Any]) -> Identity:
    """The organisation in ``data``; blank where there is none."""
    org = organisation_in(data)
    org_id = org.get("id") or org.get("zgid")
    known = isinstance(org_id, str | int) and not isinstance(org_id, bool)
    name, kind, zone = (
        value.strip()[:80] if isinstance(value, str) else ""
        for value in map(org.get, ("company_name", "type", "time_zone"))
    )
    return Identity(str(org_id)[:40] if known else "", name, kind.lower(), zone)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
