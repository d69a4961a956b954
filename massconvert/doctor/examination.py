"""All checks, side by side, each in a bounded time: one that hangs or breaks costs its own lines and no others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field

from massconvert.doctor.finding import Finding, warning, wrong
from massconvert.doctor.message_checks import check_messages
from massconvert.doctor.name_checks import check_names
from massconvert.doctor.profile_checks import check_profiles
from massconvert.doctor.redis_checks import check_broker, check_redis
from massconvert.doctor.rehearsal_checks import check_rehearsal
from massconvert.doctor.rights import check_rights
from massconvert.doctor.setting_checks import check_credentials, check_settings, read_settings
from massconvert.doctor.site import Site
from massconvert.doctor.title_checks import check_title
from massconvert.doctor.work_checks import check_backlog, check_calls, check_fleet, check_organisation
from massconvert.doctor.zoho_checks import check_zoho
from massconvert.errors import MassConvertError, StoreError
from massconvert.settings import Settings


@dataclass(frozen=True)
class Check:
    """A check: what it is called when it fails itself, what it does, how many seconds it may take.

    ``of_workers``: it looks at what only workers need, and a producer's machine can do without.
    """

    name: str
    run: Callable[[Site], Iterable[Finding]]
    within: float = 15.0
    of_workers: bool = False


#: In the order in which people fix: a later one often fails for the reason that an earlier one names.
CHECKS: tuple[Check, ...] = (
    Check("settings", check_settings),
    Check("credentials", check_credentials, of_workers=True),
    Check("zoho", check_zoho, within=60.0, of_workers=True),
    Check("redis", check_redis),
    Check("ledger", check_title, within=60.0),
    Check("rehearsal", check_rehearsal, of_workers=True),
    Check("broker", check_broker),
    Check("rights", check_rights),
    Check("organisation", check_organisation),
    Check("fleet", check_fleet),
    Check("queues", check_backlog),
    Check("messages", check_messages),
    Check("callbacks", check_calls),
    Check("profiles", check_profiles),
    Check("names", check_names, within=60.0, of_workers=True),
)


@dataclass
class _Running:
    """A check in its thread; what it has found so far counts even if it never ends."""

    check: Check
    thread: threading.Thread
    found: list[Finding] = field(default_factory=list)


def examine(
    environ: Mapping[str, str] | None = None,
    *,
    account: str | None = None,
    producer: bool = False,
    checks: Iterable[Check] = CHECKS,
    lend: Callable[[Settings], AbstractContextManager[Settings]] | None = None,
) -> list[Finding]:
    """Run every check against the settings of ``environ`` (the process' own); return all that was found.

    ``account`` names one of massconvert.toml's instead of the environment's own. ``producer`` leaves out what only
    workers need. ``lend`` gives settings with a Redis that it starts, over which Zoho is asked where there is none.
    Raises nothing; takes no longer than its longest check may, and ``lend``.
    """
    settings, found = read_settings(environ, account)
    if settings is None:
        return found
    try:
        site = Site(settings, producer=producer)
    except MassConvertError as error:
        return [*found, wrong("settings", error.message, error.hint)]
    chosen = [check for check in checks if not (producer and check.of_workers)]
    with ExitStack() as ends:
        if lend and not producer:
            _borrow(site, lend, ends)
        return found + _run_all(chosen, site)


def _borrow(site: Site, lend: Callable[[Settings], AbstractContextManager[Settings]], ends: ExitStack) -> None:
    """Have Zoho asked over a Redis that is lent; not where REDIS_URL is set, since workers' permits are in that."""
    if site.settings.redis_url_given:
        return
    try:
        site.reach_redis()
    except StoreError:
        with suppress(MassConvertError, OSError):  # what is left then is a look at the token alone
            site.settings.require_zoho()
            site.aside = Site(ends.enter_context(lend(site.settings)))


def _run_all(checks: Iterable[Check], site: Site) -> list[Finding]:
    found: list[Finding] = []
    began = time.monotonic()
    running = [_start(check, site) for check in checks]
    for one in running:
        one.thread.join(max(0.0, began + one.check.within - time.monotonic()))
        found += list(one.found)
        if one.thread.is_alive():
            what = f"This check did not end within {one.check.within:g} s."
            found.append(wrong(one.check.name, what, "Something that it asks hangs: see the lines above."))
    return found


def _start(check: Check, site: Site) -> _Running:
    running = _Running(check, threading.Thread(name=f"doctor-{check.name}", daemon=True))
    running.thread = threading.Thread(target=_run, args=(running, site), name=f"doctor-{check.name}", daemon=True)
    running.thread.start()
    return running


def _run(running: _Running, site: Site) -> None:
    name = running.check.name
    try:
        for finding in running.check.run(site):
            running.found.append(finding)
    except StoreError as error:  # Redis' own check names it as what is wrong
        running.found.append(warning(name, f"Not looked at: {error.message}", error.hint))
    except MassConvertError as error:
        running.found.append(wrong(name, error.message, error.hint))
    except Exception as error:  # noqa: BLE001 - a bug in one check must not hide what the others found
        what = f"This check failed by itself: {type(error).__name__}."
        running.found.append(warning(name, what, "Please report it; the other checks are not affected."))
