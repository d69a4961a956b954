"""From a self client's grant code to credentials: at which data centre it is good, and what is wrong where at none.

A code is good once, and for the minutes that were chosen for it. Only the accounts server where the client was made
knows the client; the others answer ``invalid_client``. Each of them is asked once, so that all of them together get no
more than the ten requests in ten minutes that Zoho gives to one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import SecretStr

from massconvert.model import NotSent, Unsent
from massconvert.zoho.client import ZohoClient
from massconvert.zoho.datacenters import DATA_CENTERS, Hosts, judged_api_domain, resolve
from massconvert.zoho.grants import Grant, exchange_code
from massconvert.zoho.oauth import Token
from massconvert.zoho.transport import Transport

CONSOLE = "https://api-console.zoho.com"


@dataclass(frozen=True)
class SelfClient:
    """What a person copies from Zoho's API console."""

    client_id: str
    client_secret: SecretStr
    code: SecretStr


@dataclass(frozen=True)
class LoginServer:
    """An accounts server that may know the client; without a ``data_center`` its address was given by hand."""

    data_center: str
    hosts: Hosts


@dataclass(frozen=True)
class Login:
    """Where the code was good, and what Zoho gave for it."""

    place: LoginServer
    grant: Grant

    def client(self, transport: Transport, version: str) -> ZohoClient:
        """A client with the access token that came along."""
        hosts = self.place.hosts
        named = judged_api_domain(self.grant.api_domain, hosts.accounts_url).url
        domain = hosts.api_domain if hosts.api_domain_given else named or hosts.api_domain
        return ZohoClient(_OneToken(Token(self.grant.value, domain)), transport, version)


class _OneToken:
    """The access token of a login, which nobody shares."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def get(self) -> Token | NotSent:
        return self._token

    def discard(self, token: Token) -> None:
        """There is no other."""


def places(data_center: str, accounts_url: str | None, api_domain: str | None) -> tuple[LoginServer, ...]:
    """Where to ask, in this order: the data centre that was named, then all others; or the one address given by hand.

    Raises SettingsError for an address that cannot be used.
    """
    if accounts_url:
        return (LoginServer("", resolve(data_center or DATA_CENTERS[0], accounts_url, api_domain)),)
    names = dict.fromkeys([*([data_center] if data_center else []), *DATA_CENTERS])
    return tuple(LoginServer(name, resolve(name, None, api_domain)) for name in names)


def log_in(transport: Transport, client: SelfClient, asked: Sequence[LoginServer], *, named: bool) -> Login | NotSent:
    """Exchange the code at the first of these places that takes it. Raises nothing.

    ``named``: a person has named the first one, so that what it says of the code is the answer. Otherwise a client may
    be known at several data centres and the code at one of them.
    """
    at_one: NotSent | None = None
    silent: NotSent | None = None
    unknown: NotSent | None = None
    for number, place in enumerate(asked):
        answer = exchange_code(transport, client.client_id, client.client_secret, client.code, place.hosts)
        if isinstance(answer, Grant):
            return Login(place, answer)
        if answer.code == "invalid_client":
            unknown = unknown or answer
        elif answer.why is Unsent.NO_TOKEN:
            silent = silent or answer
        elif answer.code in _ABOUT_CODES and not (named and number == 0):
            at_one = at_one or answer
        else:
            return answer
    return at_one or unknown or silent or NotSent(Unsent.NO_TOKEN, "no accounts server was asked")


_ABOUT_CODES = frozenset({"invalid_code", "invalid_grant"})
_NEW_CODE = "Make a new one: Generate Code in the API console, its longest time, Create; paste it at once."
#: What is wrong, and the way on.
_WRONG: Mapping[str, tuple[str, str]] = {
    "invalid_code": ("Zoho does not take the code: it was used before, or its minutes are over.", _NEW_CODE),
    "invalid_client_secret": (
        "The client secret is not that of this client id.",
        "Copy it from the tab Client Secret of the self client; then make a new code.",
    ),
    "access_denied": ("Zoho refuses the code: access was denied.", _NEW_CODE),
    "ACCESS_DENIED": ("Zoho has been asked for too many tokens lately.", "Wait 10 minutes; then make a new code."),
    "unauthorized_client": (
        "Zoho does not let this client exchange codes.",
        "Use a self client: https://api-console.zoho.com, Self Client.",
    ),
}


def in_words(trouble: NotSent, asked: Sequence[LoginServer]) -> tuple[str, str]:
    """What is wrong with a login, and the way on: a line of each."""
    if trouble.code == "invalid_client":
        where = ", ".join(place.data_center for place in asked)
        if not where:
            fix = "Copy the id again; see whether ZOHO_ACCOUNTS_URL is the server of your data centre."
            return f"{trouble.detail.partition(' answered ')[0]} does not know the client id.", fix
        return (
            f"No data centre of Zoho knows this client id (asked: {where}).",
            "Copy it from the tab Client Secret of the self client; it begins with 1000.",
        )
    if trouble.code == "invalid_grant":
        return _WRONG["invalid_code"]
    if trouble.code in _WRONG:
        return _WRONG[trouble.code]
    fix = "See whether this machine may reach Zoho (proxy, firewall, DNS); the code may still be good."
    return f"{trouble.detail}.", fix
