"""Zoho's data centres: which hosts an organisation's token may be asked of, and sent to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from massconvert.errors import SettingsError
from massconvert.loopback import is_loopback


@dataclass(frozen=True)
class Hosts:
    """Where to call: base URLs without a path.

    ``api_domain_given`` says that the API domain was set by hand, so that what a token answer says of it is ignored.
    """

    accounts_url: str
    api_domain: str
    api_domain_given: bool = False


#: Data centre → accounts server, API domain (Zoho's own SDK; "Multi DC" page of the API).
_HOSTS: dict[str, tuple[str, str]] = {
    "us": ("accounts.zoho.com", "zohoapis.com"),
    "eu": ("accounts.zoho.eu", "zohoapis.eu"),
    "in": ("accounts.zoho.in", "zohoapis.in"),
    "au": ("accounts.zoho.com.au", "zohoapis.com.au"),
    "cn": ("accounts.zoho.com.cn", "zohoapis.com.cn"),
    "jp": ("accounts.zoho.jp", "zohoapis.jp"),
    "ca": ("accounts.zohocloud.ca", "zohoapis.ca"),
    "sa": ("accounts.zoho.sa", "zohoapis.sa"),
}
DATA_CENTERS: tuple[str, ...] = tuple(_HOSTS)

#: Production, sandbox and developer editions.
_EDITIONS = ("www", "sandbox", "developer")
_API_HOSTS = frozenset(f"{edition}.{domain}" for _, domain in _HOSTS.values() for edition in _EDITIONS)


def resolve(data_center: str, accounts_url: str | None = None, api_domain: str | None = None) -> Hosts:
    """The hosts of a data centre, each replaced by its override where one is given.

    Raises SettingsError for an unknown data centre, or an override that is not an https URL (http is accepted on
    loopback, for the simulator).
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


def _base(name: str, url: str) -> str:
    """``url`` without a trailing slash. Raises SettingsError unless it is https, or http on loopback."""
    text = url.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or "@" in text or parts.query or parts.fragment or any(c.isspace() for c in host):
        # The value is not repeated: it may hold a password.
        raise SettingsError(f"{name} is not a URL.", hint=f"Write it like https://{_HOSTS['us'][0]}.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise SettingsError(
            f"{name} is {parts.scheme}://{host}, and would send credentials unprotected.",
            hint="Use https; http is accepted for 127.0.0.1, ::1 and localhost only.",
        )
    at = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{at}{f':{port}' if port else ''}{parts.path.rstrip('/')}"
