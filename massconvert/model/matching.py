"""What a lead may match in Zoho: which fields decide, the records that were found, and how a lead is linked to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class OnMatch(str, Enum):
    """What is done with a lead that matches a contact or an account."""

    CREATE = "create"  # it is not looked for: new records, as Zoho makes them
    LINK = "link"  # one clear match: the lead is linked to it
    HOLD = "hold"  # it is left to a person


@dataclass(frozen=True)
class MatchKey:
    """A field of leads, and the field of contacts or accounts that has the same value where they match."""

    lead_field: str
    module: str
    field: str


CONTACTS, ACCOUNTS = "Contacts", "Accounts"
#: By the name that options give it.
MATCH_KEYS: Mapping[str, MatchKey] = {
    "email": MatchKey("Email", CONTACTS, "Email"),
    "company": MatchKey("Company", ACCOUNTS, "Account_Name"),
    "website": MatchKey("Website", ACCOUNTS, "Website"),
    "phone": MatchKey("Phone", CONTACTS, "Phone"),
}
#: Where the options name none.
USUAL_KEYS = ("email", "company")


@dataclass(frozen=True)
class Matching:
    """What the options ask for: ``keys`` are names of `MATCH_KEYS`, ``own`` are unique fields of the organisation's."""

    on_match: OnMatch
    keys: tuple[str, ...] = USUAL_KEYS
    own: tuple[MatchKey, ...] = ()

    @property
    def fields(self) -> tuple[MatchKey, ...]:
        """The fields that are compared."""
        return (*(MATCH_KEYS[key] for key in self.keys), *self.own)


@dataclass(frozen=True)
class Record:
    """A contact or an account. ``account_id`` and ``account_name`` are a contact's, blank where it has none."""

    module: str
    id: str
    name: str
    values: Mapping[str, str] = field(default_factory=dict)
    account_id: str = ""
    account_name: str = ""


@dataclass(frozen=True)
class Link:
    """How one lead is converted by Zoho's call for single leads: into these records, blank for a new one.

    ``deal`` has the texts of its deal that name fields of the lead, filled in; ``tags`` are those of the lead that go
    along.
    """

    contact_id: str = ""
    account_id: str = ""
    deal: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
