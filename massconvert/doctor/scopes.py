"""The scopes of the refresh token: which are needed, what fails without each, and a harmless call that shows it.

Names as Zoho documents them with each call. No probe changes anything: the POST has no lead in it, the PUT no deal, and
the others ask for a lead and a job that cannot exist.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from massconvert.model import (
    Accepted,
    Call,
    DealsUpdated,
    JobStatus,
    LeadsFound,
    LeadsRead,
    Linked,
    NotSent,
    PerhapsAccepted,
    RecordsFound,
    Refused,
)
from massconvert.zoho import ZohoClient
from massconvert.zoho.answers import Body
from massconvert.zoho.records import values_query

Answer: TypeAlias = (
    Accepted
    | Linked
    | JobStatus
    | LeadsFound
    | LeadsRead
    | RecordsFound
    | DealsUpdated
    | Body
    | Refused
    | PerhapsAccepted
    | NotSent
)

#: An id that no record has: Zoho's have 15 digits and more.
NOBODY = "1"
_CONTACTS, _ACCOUNTS = ("Contacts", "Email"), ("Accounts", "Account_Name")


@dataclass(frozen=True)
class Scope:
    """A scope, and what fails ``without`` it; without a ``needed`` one nothing can be converted.

    ``call`` is the permit that its ``probe`` wants.
    """

    name: str
    without: str
    probe: Callable[[ZohoClient], Answer]
    call: Call = Call.READ
    needed: bool = False


def not_granted(granted: str) -> list[Scope]:
    """The scopes that a token answer's ``scope`` does not name; none where it names nothing."""
    names = granted.replace(",", " ").split()
    return [scope for scope in SCOPES if names and not any(_covers(name, scope.name) for name in names)]


def _covers(granted: str, scope: str) -> bool:
    """``ZohoCRM.modules.ALL`` covers ``ZohoCRM.modules.leads.READ``; letter case does not matter."""
    granted, scope = granted.lower(), scope.lower()
    return granted == scope or (granted.endswith(".all") and scope.startswith(granted.removesuffix("all")))


def _get(path: str, **query: str) -> Callable[[ZohoClient], Any]:
    return lambda zoho: zoho.get(path, query)


SCOPES: tuple[Scope, ...] = (
    Scope(
        "ZohoCRM.mass_convert.leads.CREATE",
        "no lead can be converted",
        lambda zoho: zoho.mass_convert((), {}),
        Call.POST,
        needed=True,
    ),
    Scope(
        "ZohoCRM.mass_convert.leads.READ", "no job can be followed", lambda zoho: zoho.job_status(NOBODY), needed=True
    ),
    Scope(
        "ZohoCRM.modules.leads.READ",
        "no lead's outcome can be looked up after a lost answer or a job that failed in part",
        lambda zoho: zoho.read_leads((NOBODY,)),
        needed=True,
    ),
    Scope(
        "ZohoCRM.modules.deals.UPDATE",
        "deals named after their leads keep the name that they were made with",
        lambda zoho: zoho.update_deals(()),
    ),
    Scope("ZohoCRM.org.READ", "the edition's limit cannot be read, and at most 5 calls run at once", _get("org")),
    Scope(
        "ZohoCRM.users.READ",
        "assign_to takes ids only, no names or e-mail addresses",
        _get("users", type="CurrentUser"),
    ),
    Scope(
        "ZohoCRM.coql.READ",
        "profiles with COQL criteria find no leads, and leads with on_match wait",
        lambda zoho: zoho.coql("select id from Leads where id = 1 limit 1"),
        Call.QUERY,
    ),
    Scope(
        "ZohoCRM.modules.contacts.READ",
        "leads with on_match wait, since contacts cannot be looked for",
        lambda zoho: zoho.records(values_query(*_CONTACTS, (NOBODY,)), *_CONTACTS),
        Call.QUERY,
    ),
    Scope(
        "ZohoCRM.modules.accounts.READ",
        "leads with on_match wait, since accounts cannot be looked for",
        lambda zoho: zoho.records(values_query(*_ACCOUNTS, (NOBODY,)), *_ACCOUNTS),
        Call.QUERY,
    ),
    Scope(
        "ZohoCRM.modules.leads.CREATE",
        "leads cannot be linked to the contact or account that they match",
        lambda zoho: zoho.convert(NOBODY, {}),
        Call.LINK,
    ),
    Scope(
        "ZohoSearch.securesearch.READ",
        "profiles with search criteria find no leads",
        lambda zoho: zoho.search(f"(id:equals:{NOBODY})", 1),
    ),
    Scope(
        "ZohoCRM.settings.modules.READ",
        "modules must be given with their ids, not by name alone",
        _get("settings/modules"),
    ),
    Scope("ZohoCRM.settings.clientportal.READ", "portal_user_type takes ids only, no names", _get("settings/portals")),
    Scope(
        "ZohoCRM.settings.fields.READ",
        "deals cannot be checked before they are sent, and leads wait that match by a field of your own",
        _get("settings/fields", module="Deals"),
    ),
    Scope(
        "ZohoCRM.settings.layouts.READ",
        "deals cannot be checked for their layout's mandatory fields",
        _get("settings/layouts", module="Deals"),
    ),
    Scope(
        "ZohoCRM.settings.pipeline.READ",
        "a deal's stage cannot be checked against its pipeline",
        _get("settings/pipeline", layout_id=NOBODY),
    ),
)

#: What converts leads and says what became of them, and how many calls may run at once.
NARROW: tuple[str, ...] = tuple(scope.name for scope in SCOPES if scope.needed or scope.name == "ZohoCRM.org.READ")
ALL: tuple[str, ...] = tuple(scope.name for scope in SCOPES)
