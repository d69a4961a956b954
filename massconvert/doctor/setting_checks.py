"""Settings: what is missing, wrong or misspelt. What is wrong is left out, so that the other checks can go on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.site import Site
from massconvert.errors import MassConvertError, SettingsError
from massconvert.profiles import Accounts
from massconvert.settings import Settings, load_settings, variables
from massconvert.words.next_command import next_command
from massconvert.zoho.datacenters import hosts_of

_ALL = "docs/settings.md has every setting."


def read_settings(
    environ: Mapping[str, str] | None = None, account: str | None = None
) -> tuple[Settings | None, list[Finding]]:
    """The settings, with the default in the place of each that is wrong, and what is wrong with those.

    ``account`` is one of massconvert.toml's; without a name it is the environment's own, or the first that workers
    serve where that has no credentials. ``None`` when none can be had: a file that cannot be read, an unknown account.
    """
    given = dict(os.environ if environ is None else environ)
    found: list[Finding] = []
    while (settings := _load(given, found)) is None and (bad := _named(found) - _blank(given)):
        given |= dict.fromkeys(bad, "")  # a blank one also hides the one in .env
    return (_of_account(settings, account, given, found) if settings else None), found


def _of_account(
    base: Settings, account: str | None, environ: Mapping[str, str], found: list[Finding]
) -> Settings | None:
    try:
        accounts = Accounts(environ, base=base)
        served = accounts.served()
        settings = accounts.settings(account or served[0])
    except MassConvertError as error:
        found.append(wrong("settings", error.message, error.hint or "docs/accounts.md says how accounts are written."))
        return None
    others = [name for name in served if name != settings.account]
    if others:
        found.append(ok("accounts", f"This is {settings.account}; ask --account {', '.join(others)} for the others."))
    return settings


def _load(given: Mapping[str, str], found: list[Finding]) -> Settings | None:
    try:
        return load_settings(given)
    except SettingsError as error:
        found += [wrong("settings", line, error.hint or _ALL) for line in error.message.splitlines()]
        return None


def _named(found: list[Finding]) -> set[str]:
    """The variables that the findings begin with."""
    return {finding.what.partition(" ")[0] for finding in found} & variables().keys()


def _blank(given: Mapping[str, str]) -> set[str]:
    return {name for name, value in given.items() if not value}


def check_settings(site: Site) -> Iterator[Finding]:
    """Slips in names, and where the settings point."""
    settings = site.settings
    for slip in settings.hints:
        yield warning("settings", slip, _ALL)
    where = "REDIS_URL" if settings.redis_url_given else "the default REDIS_URL"
    yield ok("settings", f"account {settings.account}; the ledger is where {where} says.")


def check_credentials(site: Site) -> Iterator[Finding]:
    """Whether the credentials are there, and which data centre they are for."""
    settings = site.settings
    try:
        settings.require_zoho()
    except SettingsError as error:
        alone = f"On a machine that only enqueues: {next_command('doctor', '--producer', account=settings.account)}"
        yield wrong("credentials", error.message, f"Set them in the environment or in .env. {alone}")
    hosts = hosts_of(settings)
    names = (urlsplit(hosts.accounts_url).netloc, urlsplit(hosts.api_domain).netloc)
    yield ok("data centre", f"{settings.zoho_data_center}: accounts server {names[0]}, API {names[1]}.")
