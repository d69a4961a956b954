"""Options against the live organisation, where the environment has credentials: told before anything is enqueued."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeGuard

from massconvert import wiring
from massconvert.cli.console import say, told_by_us
from massconvert.errors import InputError, SettingsError, ZohoError
from massconvert.model import Busy, Listing, Matching, NotSent, Refused, Trouble, Unsent
from massconvert.options import Options, demand, listings_for, matching_of, resolve_names, unresolved
from massconvert.options.extras import EXTRAS, extras_of
from massconvert.policy import Meaning, meaning
from massconvert.settings import Settings
from massconvert.steps.check import check, read, why
from massconvert.steps.look_up import SURE
from massconvert.steps.match import may_match
from massconvert.steps.ports import Ports

_FIELDS = "Reading them needs the scope ZohoCRM.settings.fields.READ."
#: What looking for contacts and accounts needs.
MATCH_SCOPES = "ZohoCRM.coql.READ, ZohoCRM.modules.contacts.READ and ZohoCRM.modules.accounts.READ"


def check_before_enqueue(
    settings: Settings, options: Options, deal_values: Mapping[str, str] = MappingProxyType({}), *, alone: bool = False
) -> str:
    """`check_live`, where there are credentials. Without any nothing is called: workers look the names up.

    What is found out is kept for the enqueue that follows, which writes ids. Returns what was told of trouble with
    Zoho.
    """
    try:
        settings.require_zoho()
    except SettingsError:
        return ""
    rules = matching_of(options.body())
    if not listings_for(options.body()) and rules is None:
        return ""
    ports = wiring.open_ports(settings)
    if rules:
        demand_matchable(ports, rules)
    return check_live(ports, options, deal_values, alone=alone)


def rules_of(ports: Ports, options: Options) -> Matching:
    """How contacts and accounts are looked for, with fields of the organisation's own looked up.

    Raises OptionsError for one that cannot be used, ZohoError where that cannot be read, InputError where the options
    say that nothing is looked for.
    """
    own: Mapping[str, Any] = {EXTRAS: extras_of(options.body())}
    if unresolved(own):
        kept, unread = read(ports, listings_for(own), SURE)
        for trouble in unread.values():
            raise ZohoError(f"The fields of leads, contacts and accounts cannot be read: {why(trouble)}", hint=_FIELDS)
        found = resolve_names(own, {listing: each.rows for listing, each in kept.items()})
        demand(found.problems)
        own = found.body
    rules = matching_of(own)
    if rules is None:
        raise InputError("on_match create looks for nothing.", hint="Give link or hold.")
    return rules


def demand_matchable(ports: Ports, rules: Matching) -> None:
    """Raise ZohoError where contacts and accounts cannot be looked for; that it is not known is told."""
    with told_by_us():
        trouble = may_match(ports, rules)
    if trouble is None:
        return
    if isinstance(trouble, Refused) and meaning(trouble) not in (Meaning.TOKEN, Meaning.UNCLEAR, Meaning.THROTTLED):
        raise ZohoError(
            f"Zoho does not let contacts and accounts be looked for: {why(trouble)}",
            hint=f"Give the refresh token the scopes {MATCH_SCOPES}, and its user permission to see both; "
            "encrypted fields cannot be asked for. Or leave on_match out. Nothing was enqueued.",
            code=trouble.code,
        )
    say(f"not checked: whether contacts and accounts can be looked for: {why(trouble)}", "yellow")


def check_live(
    ports: Ports,
    options: Options,
    deal_values: Mapping[str, str] = MappingProxyType({}),
    *,
    alone: bool = False,
    enqueues: bool = True,
) -> str:
    """Look the names up and hold the deal against the metadata; what could not be read is told and not checked.

    ``deal_values`` are those that single leads bring, as JSON. ``alone``: no worker has other credentials.
    ``enqueues``: leads are enqueued with the options afterwards, else they are written to a file. Returns what was told
    of trouble with Zoho. Raises OptionsError with every problem, InputError with every deal value that does not fit,
    ZohoError where Zoho refuses the credentials and the command is ``alone``, StoreError.
    """
    body, hint = options.body(), "Nothing was enqueued." if enqueues else "Nothing was written."
    with told_by_us():
        checked = check(ports, body, deal_values)
    demand(checked.problems, hint)
    checked.misfits.demand_none()
    for path, reason in checked.warnings:
        say(f"{path} {reason}", "yellow")
    refused = next((each for each in checked.unread.values() if _refuses_credentials(each)), None)
    if alone and refused:
        raise ZohoError(f"{refused.detail}.", hint=f"{CHECK_CREDENTIALS}\n{hint}", code=refused.code)
    unread = unread_words(checked.unread)
    for what, reason in unread.items():
        say(f"not checked: {what}: {reason}", "yellow")
    if enqueues and any(listing in checked.unread for each in unresolved(body) for listing in each.listings):
        say("a worker will look the names up before it sends anything.", "yellow")
    return "; ".join(unread.values())


def _refuses_credentials(trouble: Busy | Trouble) -> TypeGuard[NotSent]:
    return isinstance(trouble, NotSent) and trouble.why is Unsent.CREDENTIALS


CHECK_CREDENTIALS = "Check ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN and ZOHO_DATA_CENTER."


#: What each listing is for, in people's words.
_WORDS = {
    Listing.USERS: "users",
    Listing.MODULES: "modules",
    Listing.PORTALS: "portal user types",
    Listing.FIELDS: "the fields of deals",
    Listing.LAYOUTS: "the layouts of deals",
    Listing.PIPELINES: "the pipelines of deals",
    Listing.LEAD_FIELDS: "the fields of leads",
    Listing.CONTACT_FIELDS: "the fields of contacts",
    Listing.ACCOUNT_FIELDS: "the fields of accounts",
}


def unread_words(unread: Mapping[Listing, Busy | Trouble]) -> dict[str, str]:
    """What was not checked, and why; what has the same reason is one line."""
    by_reason: dict[str, list[str]] = {}
    for listing, trouble in unread.items():
        by_reason.setdefault(why(trouble), []).append(_WORDS[listing])
    return {", ".join(names): reason for reason, names in by_reason.items()}
