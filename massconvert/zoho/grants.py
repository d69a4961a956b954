"""Tokens: one question to the accounts server for each, and what its answer means.

The body decides, whatever the status: Zoho answers errors with 200 as well as with 400. What only a person can fix
(the credentials, the address) is told apart from what passes (too many refreshes, an outage), since the first pauses
the organisation and the second does not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from pydantic import SecretStr

from massconvert.model import NotSent, PerhapsAccepted, Unsent
from massconvert.zoho.datacenters import DATA_CENTERS, Hosts
from massconvert.zoho.transport import Reply, Transport

if TYPE_CHECKING:
    from massconvert.settings import Settings

USUAL_LIFE = 3600.0
LONGEST_LIFE = 86_400.0
TROUBLE = 5.0  # seconds until a refresh that failed may be tried again, by any process
TOO_MANY = 120.0  # the same after "too many requests"; the limit counts over 10 minutes
DENIED = 30.0  # the same for a reason that is not known here
REFUSED = 5.0  # the same for credentials that Zoho refuses: the organisation pauses, and a resume must find them gone


@dataclass(frozen=True)
class Credentials:
    """What a person made in Zoho's API console."""

    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr

    @classmethod
    def of(cls, settings: Settings) -> Credentials:
        """Those that the settings have; blank where they have none."""
        return cls(settings.zoho_client_id, settings.zoho_client_secret, settings.zoho_refresh_token)

    def digest(self, accounts_url: str) -> str:
        """A name for these credentials that tells nothing about them."""
        secrets = (self.client_id, self.client_secret.get_secret_value(), self.refresh_token.get_secret_value())
        return hashlib.sha256(json.dumps([accounts_url, *secrets]).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Grant:
    """A token that Zoho granted: ``life`` in seconds, ``api_domain`` and ``scope`` as they came (or empty).

    Only the exchange of a grant code brings a ``refresh_token``.
    """

    value: SecretStr
    life: float
    api_domain: str
    scope: str = ""
    refresh_token: SecretStr = field(default_factory=lambda: SecretStr(""))


def ask_for_token(
    transport: Transport, credentials: Credentials, hosts: Hosts, data_center: str = "", *, worked: bool = False
) -> Grant | NotSent:
    """Ask Zoho for a new access token; nothing is shared or remembered. Raises nothing."""
    refresh_token = credentials.refresh_token.get_secret_value()
    form = {
        "refresh_token": refresh_token,
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret.get_secret_value(),
        "grant_type": "refresh_token",
    }
    answer = _post(transport, hosts, "token", form)
    if isinstance(answer, NotSent):
        return answer
    return parse_grant(answer, _host(hosts), data_center, refresh_token, worked=worked)


def exchange_code(
    transport: Transport, client_id: str, client_secret: SecretStr, code: SecretStr, hosts: Hosts
) -> Grant | NotSent:
    """Exchange a self client's grant code, which is good once and for minutes, for a refresh token. Raises nothing."""
    form = {
        "code": code.get_secret_value(),
        "client_id": client_id,
        "client_secret": client_secret.get_secret_value(),
        "grant_type": "authorization_code",
    }
    answer = _post(transport, hosts, "token", form)
    return answer if isinstance(answer, NotSent) else parse_grant(answer, _host(hosts))


def revoke(transport: Transport, refresh_token: SecretStr, hosts: Hosts) -> str | NotSent:
    """End a refresh token, and with it its access tokens; blank where Zoho has done it, else what it says.

    Raises nothing.
    """
    answer = _post(transport, hosts, "token/revoke", {"token": refresh_token.get_secret_value()})
    if isinstance(answer, NotSent):
        return answer
    body = _json_object(answer.body)
    if answer.status < 300 and "error" not in body:
        return ""
    said = body.get("error")
    return said[:60] if isinstance(said, str) and said else f"HTTP {answer.status}"


def _post(transport: Transport, hosts: Hosts, call: str, form: Mapping[str, str]) -> Reply | NotSent:
    """Secrets travel in the body: a URL ends in logs."""
    answer = transport.exchange(
        "POST",
        f"{hosts.accounts_url}/oauth/v2/{call}",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        body=urlencode(form).encode(),
    )
    if isinstance(answer, NotSent | PerhapsAccepted):
        detail = f"Zoho's accounts server {_host(hosts)} gave no answer: {answer.detail}"
        return NotSent(Unsent.NO_TOKEN, detail, retry_after=TROUBLE)
    return answer


def _host(hosts: Hosts) -> str:
    return urlsplit(hosts.accounts_url).netloc


#: What Zoho calls credentials that it refuses (its pages on OAuth; RFC 6749, 5.2), and what is likely to be wrong.
_WRONG = {
    "invalid_code": "the refresh token is wrong, was revoked, or belongs to another client or data centre",
    "invalid_grant": "the refresh token is wrong, was revoked, or belongs to another client or data centre",
    "invalid_client": "the client id is unknown there, which usually means another data centre",
    "invalid_client_secret": "the client secret is not the one of this client id, or of this data centre",
    "unauthorized_client": "the client was deleted in Zoho's API console, or may not refresh tokens",
    "access_denied": "the user of the refresh token is gone, or has taken the access back",
}
#: The rest of their kind: what is wrong with a question stays wrong, until a person asks another one.
_KIND = re.compile(r"(?:invalid|unauthori[sz]ed|unsupported|mismatch|redirect_uri)_[a-z_]{1,60}|access_denied")
#: What passes by itself (RFC 6749, 4.1.2.1, and what is seen at Zoho).
_PASSES = frozenset({"general_error", "server_error", "internal_error", "temporarily_unavailable", "slow_down"})
#: Grant codes, refresh tokens and access tokens look alike.
_TOKEN_SHAPE = re.compile(r"1000\.[0-9a-f]{32}\.[0-9a-f]{32}")
#: Statuses of a server that is not Zoho's accounts server, or of something in between that lets nobody through.
_NOT_THERE = frozenset({401, 403, 404, 405, 407, 410})


def parse_grant(
    reply: Reply, host: str, data_center: str = "", refresh_token: str = "", *, worked: bool = False
) -> Grant | NotSent:
    """The answer to a refresh, judged by its body: failures come with status 200 as well as 400.

    ``host`` and ``data_center`` are named in what goes wrong. ``worked``: this refresh token has had a token before.
    Raises nothing.
    """
    body = _json_object(reply.body)
    value, error = body.get("access_token"), body.get("error")
    if reply.status < 300 and isinstance(value, str) and re.fullmatch(r"[\x21-\x7e]{1,2000}", value):
        domain, scope = (text if isinstance(text, str) else "" for text in map(body.get, ("api_domain", "scope")))
        lasting = body.get("refresh_token")
        refresh = lasting if isinstance(lasting, str) and re.fullmatch(r"[\x21-\x7e]{1,2000}", lasting) else ""
        return Grant(SecretStr(value), _life(body), domain, scope, SecretStr(refresh))
    said = error.strip() if isinstance(error, str) else ""
    where = f"Zoho's accounts server {host}"
    if reply.status == 429 or _says_too_many(said, body.get("error_description")):
        detail = f"{where} says that too many access tokens were asked for lately"
        return NotSent(Unsent.DENIED, detail, "ACCESS_DENIED", retry_after=TOO_MANY)
    if _KIND.fullmatch(said.lower()):
        words = _wrong(said.lower(), data_center, "" if worked else refresh_token)
        return NotSent(Unsent.CREDENTIALS, f"{where} answered {said}: {words}", said.lower(), retry_after=REFUSED)
    if not said and (wrong := _not_the_accounts_server(reply)):
        detail = f"{where} answered HTTP {reply.status} {wrong}"
        return NotSent(Unsent.CREDENTIALS, detail, "ACCOUNTS_URL", retry_after=REFUSED)
    quoted = f" {said[:100]!r}" if said else ""
    detail = f"{where} answered HTTP {reply.status}{quoted} and no access token"
    if said and reply.status < 500 and said.lower() not in _PASSES:
        return NotSent(Unsent.DENIED, detail, said[:60], retry_after=DENIED)
    return NotSent(Unsent.NO_TOKEN, detail, retry_after=TROUBLE)


def _says_too_many(error: str, description: Any) -> bool:
    """``Access Denied`` counts refreshes; ``access_denied`` is OAuth's word for a refusal, unless it says otherwise."""
    words = description.lower() if isinstance(description, str) else ""
    return error.lower() == "access denied" or "too many" in words or "after some time" in words


def _wrong(error: str, data_center: str, refresh_token: str) -> str:
    words = _WRONG.get(error, "a setting is not what it expects")
    if error in ("invalid_code", "invalid_grant") and _TOKEN_SHAPE.fullmatch(refresh_token.strip()):
        words += (
            "; if it is new, this looks like a grant code (what a self client's Generate Code shows): "
            "the command login exchanges it for a refresh token"
        )
    if not data_center:
        return words
    words += f" (ZOHO_DATA_CENTER is {data_center}"
    if error in ("invalid_client", "invalid_code", "invalid_grant"):
        words += f"; the others are {', '.join(name for name in DATA_CENTERS if name != data_center)}"
    return f"{words})"


def _not_the_accounts_server(reply: Reply) -> str:
    """What speaks against an accounts server behind the address, in words; blank where nothing does."""
    page = reply.body.lstrip()[:1] == b"<"
    if 300 <= reply.status < 400 or (page and reply.status < 300):
        return "and a page, perhaps to log in: ZOHO_ACCOUNTS_URL is not an accounts server's, or a proxy is in between"
    if reply.status in (404, 405, 410):
        return "and knows no tokens: ZOHO_ACCOUNTS_URL is not like https://accounts.zoho.eu"
    if reply.status in _NOT_THERE:
        return "and no reason: a proxy, a firewall or a rule about addresses is in between"
    return ""


def _json_object(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _life(body: Mapping[str, Any]) -> float:
    """Seconds that the token lives. Older answers have milliseconds in ``expires_in``, and ``expires_in_sec``."""
    for name in ("expires_in_sec", "expires_in"):
        text = str(body.get(name, ""))
        if not re.fullmatch(r"[0-9]{1,12}", text):
            continue
        seconds = float(text) if float(text) <= LONGEST_LIFE else float(text) / 1000
        if 0 < seconds <= LONGEST_LIFE:
            return seconds
    return USUAL_LIFE
