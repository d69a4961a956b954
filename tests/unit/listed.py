"""A simulated organisation behind the real client, without a socket; and all that it lists, as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from massconvert.model import Listing, NotSent, Page, PerhapsAccepted
from massconvert.simulator import Request
from massconvert.simulator.messages import Fate
from massconvert.zoho.client import ZohoClient
from massconvert.zoho.oauth import Token
from massconvert.zoho.transport import Reply
from tests.unit.simulated_crm import Crm

Rows = tuple[Mapping[str, Any], ...]


class Direct:
    """Stands in for `Transport`: a call goes to the organisation itself. What would not arrive is perhaps accepted."""

    def __init__(self, crm: Crm) -> None:
        self._crm = crm

    def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None, **_: Any
    ) -> Reply | NotSent | PerhapsAccepted:
        parts = urlsplit(url)
        lower = {name.lower(): value for name, value in headers.items()}
        request = Request(method, unquote(parts.path), dict(parse_qsl(parts.query)), lower, body or b"")
        answer = self._crm.organisation.handle(request)
        if answer.fate is not Fate.SENT:
            return PerhapsAccepted(f"the answer is lost: {answer.fate.value}")
        return Reply(answer.status, answer.headers, answer.content())


class OneToken:
    """Hands out a token that is good for the whole test."""

    def __init__(self, crm: Crm) -> None:
        self._token = Token(SecretStr(crm.access_token()), "http://127.0.0.1")

    def get(self) -> Token:
        return self._token

    def discard(self, token: Token) -> None:
        """Nothing: a test that lets tokens expire does not use this."""


def client_of(crm: Crm) -> ZohoClient:
    """The product's client, for a simulated organisation."""
    transport: Any = Direct(crm)
    return ZohoClient(OneToken(crm), transport, "v8")


def listed(crm: Crm, *listings: Listing) -> dict[Listing, Rows]:
    """What the organisation lists, read whole."""
    client = client_of(crm)
    found: dict[Listing, Rows] = {}
    for listing in listings or tuple(Listing):
        rows: list[Mapping[str, Any]] = []
        places = [""]
        while places:
            page = client.read_page(listing, places.pop(0))
            assert isinstance(page, Page), page
            rows += page.rows
            places += page.more
        found[listing] = tuple(rows)
    return found
