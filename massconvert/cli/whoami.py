"""``massconvert whoami`` and ``logout``: whose credentials these are, and how their token ends."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated, Any

import typer
from rich.console import Console

from massconvert.cli.account import command_settings
from massconvert.cli.console import hint, out, print_json, say, tell, told_by_us
from massconvert.cli.dotenv_file import DOTENV, write_dotenv
from massconvert.cli.interview import agreed, somebody_is_there
from massconvert.cli.layout import Column, Pairs, Sheet
from massconvert.cli.live import some_redis
from massconvert.cli.login import as_dict, tell_trial
from massconvert.contract import Exit
from massconvert.doctor import Level
from massconvert.doctor.scopes import SCOPES, Scope
from massconvert.doctor.site import Site
from massconvert.doctor.whose import Whose
from massconvert.doctor.zoho_checks import ZohoLook
from massconvert.errors import InputError, ZohoError
from massconvert.model import NotSent
from massconvert.settings import Settings, read_dotenv
from massconvert.words.next_command import next_command
from massconvert.words.readable import readable
from massconvert.zoho.datacenters import hosts_of
from massconvert.zoho.grants import revoke
from massconvert.zoho.identity import papers_of
from massconvert.zoho.kept_token import forget_token
from massconvert.zoho.standing import read_standing
from massconvert.zoho.transport import Transport

_WHOAMI = """\b
Examples:
  massconvert whoami
  massconvert whoami --json | jq -r .organisation.environment
\b
It changes nothing at Zoho, and makes a dozen calls there. Exit status: 3 where a scope is missing without which
nothing is converted."""
_LOGOUT = """\b
Example:
  massconvert logout
\b
The refresh token ends at Zoho, for every machine that uses it; the client id and its secret stay."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("whoami", epilog=_WHOAMI)(_whoami)
    app.command("logout", epilog=_LOGOUT)(_logout)


def _whoami(as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Show whose credentials these are: organisation, user, edition, scopes."""
    settings = command_settings()
    settings.require_zoho()
    look = ZohoLook()
    with some_redis(settings) as here, told_by_us():
        site = Site(here)
        found = list(look.at(*site.zoho))
        calls = read_standing(site.redis, site.keys, site.clock, settings.zoho_concurrency)
    wrong = next((finding for finding in found if finding.level is Level.WRONG and finding.check != "scope"), None)
    if wrong or not look.complete:
        stopped = wrong or found[-1]
        raise ZohoError(stopped.what, hint=stopped.fix)
    missing = look.missing()
    if as_json:
        print_json(
            as_dict(look.whose)
            | {"data_center": papers_of(settings).place, "calls_at_once": calls.limit}
            | {"missing_scopes": [scope.name for scope in missing]}
        )
    else:
        _show(out(), look.whose, papers_of(settings).place, f"at most {calls.limit} at once ({calls.source})", missing)
    tell_trial(look.whose)
    refused = [finding for finding in found if finding.level is Level.WRONG]
    if refused:
        say(refused[0].what, "red")
        hint(refused[0].fix)
        raise typer.Exit(Exit.UNREACHABLE)


def _show(console: Console, found: Whose, place: str, calls: str, missing: list[Scope]) -> None:
    org = found.organisation
    rows: list[tuple[str, str]] = []
    if isinstance(org, str):
        rows.append(("organisation", f"not known: {org}"))
    else:
        rows.append(("organisation", f"{org.name or 'without a name'}, id {org.org_id}"))
        rows.append(("environment", org.kind or "not told"))
    if found.edition:
        rows.append(("edition", f"{found.edition}{_until('paid until', found.paid_until)}"))
    if found.trial_ends is not None:
        rows.append(("trial ends", _day(found.trial_ends)))
    rows.append(("user", _person(found) or "not known"))
    rows += [("data centre", place), ("calls", calls)]
    rows.append(("scopes", f"{len(SCOPES) - len(missing)} of {len(SCOPES)}" if missing else f"all {len(SCOPES)}"))
    console.print(Pairs([(name, readable(said)) for name, said in rows]))
    if missing:
        lost = [(scope.name, scope.without) for scope in missing]
        console.print()
        console.print(Sheet((Column("missing"), Column("what that costs", prose=True)), lost))


def _person(found: Whose) -> str:
    address = f"<{found.email}>" if found.email else ""
    profile = f"profile {found.profile}" if found.profile else ""
    return ", ".join(filter(None, (f"{found.user} {address}".strip(), profile)))


def _until(words: str, moment: float | None) -> str:
    return "" if moment is None else f", {words} {_day(moment)}"


def _day(moment: float) -> str:
    return str(datetime.fromtimestamp(moment, timezone.utc).date())


# --- logout -----------------------------------------------------------------------------------------------


def _logout(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Revoke the refresh token at Zoho, and take it out of .env."""
    settings = command_settings()
    settings.require_zoho()
    _demand_yes(yes=yes)
    name = settings.credential_names[2]
    with told_by_us():
        answer = _revoke(settings)
    if isinstance(answer, NotSent):
        raise ZohoError(f"Nothing was revoked: {answer.detail}.", hint="See proxy, firewall, ZOHO_ACCOUNTS_URL.")
    forget_token(settings)
    in_file = read_dotenv(DOTENV).get(name, "").strip() == settings.zoho_refresh_token.get_secret_value()
    if in_file:
        write_dotenv({name: ""})
    if answer:
        say(f"Zoho does not know the refresh token ({answer}): it has been revoked before, or is another server's.")
    again = next_command("login", account=settings.account)
    tell(f"Logged out: workers with this token call Zoho no more. To log in: {again}")
    if not in_file:
        say(f"{name} is not in .env here: take it out of where it is set.", "yellow")


def _demand_yes(*, yes: bool) -> None:
    """Raises InputError where nobody is there to be asked, typer.Exit for a no."""
    if yes:
        return
    if not somebody_is_there():
        raise InputError("A revoked token does not come back, and nobody is there to be asked.", hint="Add --yes.")
    if not agreed("Revoke the refresh token, for every machine that uses it?"):
        say("Nothing was revoked.")
        raise typer.Exit(Exit.USAGE)


def _revoke(settings: Settings) -> Any:
    transport = Transport(connect_timeout=settings.connect_timeout, deadline=settings.call_deadline, slots=1)
    try:
        return revoke(transport, settings.zoho_refresh_token, hosts_of(settings))
    finally:
        transport.close()
