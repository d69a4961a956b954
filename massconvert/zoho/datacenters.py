"""Zoho's data centres: which hosts an organisation's token may be asked of, and sent to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from massconvert.addresses import is_loopback
from massconvert.errors import SettingsError

if TYPE_CHECKING:
    from massconvert.settings import Settings


@dataclass(frozen=True)
class Hosts:
    """Where to call: base URLs without a path.

    ``api_domain_given`` says that the API domain was set by hand, so that what a token answer says of it is ignored.
    """

    accounts_url: str
    api_domain: str
    api_domain_given: bool = False


#: Data centre → accounts server, API domain (Zoho's own SDK; "Multi DC" page of the API). uk and ae are in public
#: integrations only.
_HOSTS: dict[str, tuple[str, str]] = {
    "us": ("accounts.zoho.com", "zohoapis.com"),
    "eu": ("accounts.zoho.eu", "zohoapis.eu"),
    "in": ("accounts.zoho.in", "zohoapis.in"),
    "au": ("accounts.zoho.com.au", "zohoapis.com.au"),
    "cn": ("accounts.zoho.com.cn", "zohoapis.com.cn"),
    "jp": ("accounts.zoho.jp", "zohoapis.jp"),
    "ca": ("accounts.zohocloud.ca", "zohoapis.ca"),
    "sa": ("accounts.zoho.sa", "zohoapis.sa"),
    "uk": ("accounts.zoho.uk", "zohoapis.uk"),
    "ae": ("accounts.zoho.ae", "zohoapis.ae"),
}
DATA_CENTERS: tuple[str, ...] = tuple(_HOSTS)

#: Production, sandbox and developer editions.
_EDITIONS = ("www", "sandbox", "developer")
_API_HOSTS = {f"{edition}.{domain}": name for name, (_, domain) in _HOSTS.items() for edition in _EDITIONS}
_ACCOUNTS_HOSTS = {accounts: name for name, (accounts, _) in _HOSTS.items()}
#: The API of a data centre that is not in the list: Zoho's name under a country, as those in the list are.
_LIKE_ZOHOS = re.compile(rf"(?:{'|'.join(_EDITIONS)})\.zohoapis\.(?:(?:com?\.)?[a-z]{{2}}|com)")
#: What somebody would own who hopes that ``.com`` is mistyped.
_MISTYPED = ("co", "cm", "om", "con")


def resolve(data_center: str, accounts_url: str | None = None, api_domain: str | None = None) -> Hosts:
    """The hosts of a data centre, each replaced by its override where one is given.

    Raises SettingsError for an unknown data centre, or an override that is not an https URL (http is accepted on
    loopback, for the simulator) or is another server of Zoho's.
    """
    known = _HOSTS.get(data_center.strip().lower())
    if known is None:
        raise SettingsError(
            f"ZOHO_DATA_CENTER is {data_center!r}, which is not a data centre of Zoho.",
            hint=f"Use one of {', '.join(DATA_CENTERS)}.",
        )
    accounts, domain = known
    return Hosts(
        accounts_url=_base("ZOHO_ACCOUNTS_URL", accounts_url) if accounts_url else f"https://{accounts}",
        api_domain=_base("ZOHO_API_DOMAIN", api_domain) if api_domain else f"https://www.{domain}",
        api_domain_given=bool(api_domain),
    )


def data_center_of(text: str) -> str:
    """The data centre that ``text`` names: its name, or the address of the CRM or of another page of Zoho's there.

    Blank where it names none.
    """
    word = text.strip().lower()
    if word in _HOSTS:
        return word
    try:
        host = (urlsplit(word if "://" in word else f"https://{word}").hostname or "").rstrip(".")
    except ValueError:
        return ""
    suffixes = {name: accounts.removeprefix("accounts.") for name, (accounts, _) in _HOSTS.items()}
    return next((name for name, suffix in suffixes.items() if host == suffix or host.endswith(f".{suffix}")), "")


def hosts_of(settings: Settings) -> Hosts:
    """The hosts that the settings name. Raises SettingsError, as `resolve` does."""
    return resolve(settings.zoho_data_center, settings.zoho_accounts_url, settings.zoho_api_domain)


def crm_pages(place: str) -> str:
    """Where people of a data centre see the CRM's records: a base URL; blank for an unknown host, as a sandbox's."""
    known = _HOSTS.get(place)
    return f"https://crm.{known[0].removeprefix('accounts.')}" if known else ""


def is_zoho_host(host: str) -> bool:
    """Whether ``host`` is a documented API host of Zoho, sandbox and developer editions included."""
    return host.lower() in _API_HOSTS


def documented_api_domain(url: str) -> str | None:
    """The base URL in ``url`` if it is https on a documented API host and its usual port, else ``None``."""
    try:
        parts = urlsplit(url.strip())
        usual = parts.scheme == "https" and parts.port in (None, 443) and "@" not in parts.netloc
    except ValueError:
        return None
    host = parts.hostname or ""
    return f"https://{host}" if usual and is_zoho_host(host) else None


@dataclass(frozen=True)
class ApiDomain:
    """What a token answer's ``api_domain`` comes to: a base URL, blank where it must not be used, and ``why`` not.

    ``listed`` says that the host is documented. One that is not looks like Zoho's.
    """

    url: str
    listed: bool = False
    why: str = ""


def judged_api_domain(said: str, accounts_url: str) -> ApiDomain:
    """Whether the access token may be sent to ``said``, which the accounts server at ``accounts_url`` has named.

    Zoho opens data centres faster than anybody lists them, so a host that has Zoho's own form is used. Never one of
    another data centre than that of the accounts server, where both are known: the token would not be known there.
    """
    here = _ACCOUNTS_HOSTS.get(urlsplit(accounts_url).hostname or "")
    if listed := documented_api_domain(said):
        there = _API_HOSTS[listed.removeprefix("https://")]
        if here in (None, there):
            return ApiDomain(listed, listed=True)
        return ApiDomain("", why=f"is that of data centre {there}, and the accounts server that of {here}")
    host = said.strip().removesuffix("/").removeprefix("https://")
    if said.strip().startswith("https://") and _LIKE_ZOHOS.fullmatch(host) and host.split(".")[-1] not in _MISTYPED:
        return ApiDomain(f"https://{host}", why="is in no list of Zoho's data centres that is known here")
    return ApiDomain("", why="is not one of Zoho's")


#: Servers of Zoho's that people take for the accounts server or the API: the CRM's pages and the API console.
_PAGES = re.compile(r"(?:www|crm|api-console|accounts-portal|one)\.zoho(?:cloud)?\.([a-z.]{2,6})")
#: What stands in the addresses of Zoho's documentation after the host that is wanted.
_CALLS = {"ZOHO_ACCOUNTS_URL": "/oauth", "ZOHO_API_DOMAIN": "/crm"}


def _base(name: str, url: str) -> str:
    """``url`` without a trailing slash, and without the path of a call. Raises SettingsError.

    It must be https, or http on loopback, and no other server of Zoho's than the one that is wanted.
    """
    text = url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        host, port = "", None
    if not host or "@" in text or parts.query or parts.fragment or any(c.isspace() for c in host):
        # The value is not repeated: it may hold a password.
        raise SettingsError(f"{name} is no URL of a server alone.", hint=f"Write it like {_right(name, 'us')}.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise SettingsError(
            f"{name} is {parts.scheme}://{host}, and would send credentials unprotected.",
            hint="Use https; http is accepted for 127.0.0.1, ::1 and localhost only.",
        )
    _check_server(name, host)
    path = re.sub(rf"/*{_CALLS[name]}(/.*)?$", "", parts.path.rstrip("/"))
    if path and (host in _ACCOUNTS_HOSTS or is_zoho_host(host)):
        raise SettingsError(
            f"{name} has the path {path}, which Zoho's server does not have.", hint=f"Write https://{host}."
        )
    at = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{at}{f':{port}' if port else ''}{path}"


def _check_server(name: str, host: str) -> None:
    """Raises SettingsError where ``host`` is another server of Zoho's than the one that is wanted."""
    wants_accounts = name == "ZOHO_ACCOUNTS_URL"
    there = _API_HOSTS.get(host) if wants_accounts else _ACCOUNTS_HOSTS.get(host)
    page = _PAGES.fullmatch(host)
    if there is None and page is None:
        return
    if there is None and page:
        there = next((center for center, (_, api) in _HOSTS.items() if api == f"zohoapis.{page[1]}"), "us")
    what = "accounts server" if wants_accounts else "API"
    raise SettingsError(
        f"{name} is https://{host}, which is not Zoho's {what}.",
        hint=f"Write it like {_right(name, there or 'us')}, or unset it and set ZOHO_DATA_CENTER.",
    )


def _right(name: str, data_center: str) -> str:
    accounts, domain = _HOSTS[data_center]
    return f"https://{accounts}" if name == "ZOHO_ACCOUNTS_URL" else f"https://www.{domain}"
