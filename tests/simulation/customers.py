"""Contacts and accounts of the simulated Zoho: the truth about them, and what Zoho makes of queries and links."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from massconvert.model import Record, RecordsFound

#: Rows of a page, so that a few records make several; and one more than it asks for values, as with Zoho.
ROWS = 3


@dataclass(frozen=True)
class RecordPlan:
    """A contact (with an e-mail) or an account that is there, or that somebody makes at a time (``at``)."""

    id: str
    name: str
    email: str = ""
    account: str = ""  # of a contact: the id of its account
    at: float = 0.0
    module: str = "Accounts"


@dataclass
class Kept:
    """A contact or an account. ``made_for`` is the lead and the batch whose conversion made it, if one did."""

    record: RecordPlan
    made_at: float
    made_for: tuple[str, str] = ("", "")


def same(one: str, other: str) -> bool:
    """Whether two values are the same for Zoho."""
    return bool(one) and " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


@dataclass
class Customers:
    """All contacts and accounts, by id."""

    kept: dict[str, Kept] = field(default_factory=dict)

    def add(self, record: RecordPlan, now: float, made_for: tuple[str, str] = ("", "")) -> None:
        """Somebody, or the conversion of a lead for a batch, makes a record."""
        self.kept.setdefault(record.id, Kept(record, now, made_for))

    def contacts(self, email: str) -> list[Kept]:
        """The contacts with an e-mail address."""
        return [
            each for each in self.kept.values() if each.record.module == "Contacts" and same(email, each.record.email)
        ]

    def accounts(self, name: str) -> list[Kept]:
        """The accounts of a name."""
        return [
            each for each in self.kept.values() if each.record.module == "Accounts" and same(name, each.record.name)
        ]

    def find(self, query: str, module: str, field_name: str) -> RecordsFound:
        """The answer to one of the product's queries."""
        after = re.search(r"and id > (\d+)", query)
        values, part = re.findall(r"'([^'%]*)'", query), re.search(r"like '%([^'%]*)%'", query)

        def meets(each: Kept) -> bool:
            record = each.record
            if record.module != module:
                return False
            own = record.email if field_name == "Email" else record.name
            return part[1].casefold() in own.casefold() if part else any(same(own, value) for value in values)

        found = sorted((each for each in self.kept.values() if meets(each)), key=lambda each: int(each.record.id))
        left = [each.record for each in found if int(each.record.id) > (int(after[1]) if after else 0)]
        most = max(ROWS, len(values) + 1)
        rows = tuple(self._row(record, module, field_name) for record in left[:most])
        return RecordsFound(rows, more=len(left) > most)

    def _row(self, record: RecordPlan, module: str, field_name: str) -> Record:
        account = self.kept.get(record.account)
        named = account.record.name if account else ""
        value = record.email if field_name == "Email" else record.name
        return Record(module, record.id, record.name, {field_name: value}, record.account if account else "", named)

    def mismatch(self, lead: Any, body: dict[str, Any]) -> str:
        """Why Zoho does not link a lead to the records that ``body`` names; blank where it does."""
        contact = self.kept.get(body.get("Contacts", {}).get("id", ""))
        account = self.kept.get(body.get("Accounts", {}).get("id", ""))
        if ("Contacts" in body and contact is None) or ("Accounts" in body and account is None):
            return "there is no such record"
        if contact and not (
            same(contact.record.email, lead.value("Email")) and same(contact.record.name, lead.value("Full_Name"))
        ):
            return "the contact is another's"
        if account and not same(account.record.name, lead.value("Company")):
            return "the account is another's"
        return ""
