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
    """A scope; without a ``needed`` one nothing can be converted. ``call`` is the permit that its probe wants."""

    name: str
    needed: bool
    without: str
    probe: Callable[[ZohoClient], Answer]
    call: Call = Call.READ


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
        needed=True,
        without="no lead can be converted",
        probe=lambda zoho: zoho.mass_convert((), {}),
        call=Call.POST,
    ),
    Scope(
        "ZohoCRM.mass_convert.leads.READ",
        needed=True,
        without="no job can be followed",
        probe=lambda zoho: zoho.job_status(NOBODY),
    ),
    Scope(
        "ZohoCRM.modules.leads.READ",
        needed=True,
        without="no lead's outcome can be looked up after a lost answer or a job that failed in part",
        probe=lambda zoho: zoho.read_leads((NOBODY,)),
    ),
    Scope(
        "ZohoCRM.modules.deals.UPDATE",
        needed=False,
        without="deals named after their leads keep the name that they were made with",
        probe=lambda zoho: zoho.update_deals(()),
    ),
    Scope(
        "ZohoCRM.org.READ",
        needed=False,
        without="the edition's limit cannot be read, and at most 5 calls run at once",
        probe=_get("org"),
    ),
    Scope(
        "ZohoCRM.users.READ",
        needed=False,
        without="assign_to takes ids only, no names or e-mail addresses",
        probe=_get("users", type="CurrentUser"),
    ),
    Scope(
        "ZohoCRM.coql.READ",
        needed=False,
        without="profiles with COQL criteria find no leads, and leads with on_match wait",
        probe=lambda zoho: zoho.coql("select id from Leads where id = 1 limit 1"),
        call=Call.QUERY,
    ),
    Scope(
        "ZohoCRM.modules.contacts.READ",
        needed=False,
        without="leads with on_match wait, since contacts cannot be looked for",
        probe=lambda zoho: zoho.records(values_query(*_CONTACTS, (NOBODY,)), *_CONTACTS),
        call=Call.QUERY,
    ),
    Scope(
        "ZohoCRM.modules.accounts.READ",
        needed=False,
        without="leads with on_match wait, since accounts cannot be looked for",
        probe=lambda zoho: zoho.records(values_query(*_ACCOUNTS, (NOBODY,)), *_ACCOUNTS),
        call=Call.QUERY,
    ),
    Scope(
        "ZohoCRM.modules.leads.CREATE",
        needed=False,
        without="leads cannot be linked to the contact or account that they match",
        probe=lambda zoho: zoho.convert(NOBODY, {}),
        call=Call.LINK,
    ),
    Scope(
        "ZohoSearch.securesearch.READ",
        needed=False,
        without="profiles with search criteria find no leads",
        probe=lambda zoho: zoho.search(f"(id:equals:{NOBODY})", 1),
    ),
    Scope(
        "ZohoCRM.settings.modules.READ",
        needed=False,
        without="modules must be given with their ids, not by name alone",
        probe=_get("settings/modules"),
    ),
    Scope(
        "ZohoCRM.settings.clientportal.READ",
        needed=False,
        without="portal_user_type takes ids only, no names",
        probe=_get("settings/portals"),
    ),
    Scope(
        "ZohoCRM.settings.fields.READ",
        needed=False,
        without="deals cannot be checked before they are sent, and leads wait that match by a field of your own",
        probe=_get("settings/fields", module="Deals"),
    ),
    Scope(
        "ZohoCRM.settings.layouts.READ",
        needed=False,
        without="deals cannot be checked for their layout's mandatory fields",
        probe=_get("settings/layouts", module="Deals"),
    ),
    Scope(
        "ZohoCRM.settings.pipeline.READ",
        needed=False,
        without="a deal's stage cannot be checked against its pipeline",
        probe=_get("settings/pipeline", layout_id=NOBODY),
    ),
)

#: What converts leads and says what became of them, and how many calls may run at once.
NARROW: tuple[str, ...] = tuple(scope.name for scope in SCOPES if scope.needed or scope.name == "ZohoCRM.org.READ")
ALL: tuple[str, ...] = tuple(scope.name for scope in SCOPES)
