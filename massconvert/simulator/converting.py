"""What a conversion makes of a lead: its contact, account and deal, new or found, as the organisation behaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from massconvert.simulator.fields import NAME_OF, SOURCES
from massconvert.simulator.leads import CALLER, Lead
from massconvert.simulator.records import Record, Records, folded
from massconvert.simulator.rules import Rules

#: By which fields of a lead its contacts and accounts are found, the most telling first; after the unique ones.
MATCHED_BY = {"Contacts": ("Email", "Full_Name"), "Accounts": ("Account_Name",)}


@dataclass(frozen=True)
class Wanted:
    """What a conversion is asked to make: a deal of these fields, or none; links to these records; for this owner."""

    deal: Mapping[str, Any] | None = None
    contact_id: str = ""
    account_id: str = ""
    owner: str = ""
    overwrite: bool = False  # a contact moves to the lead's account
    matches: frozenset[str] = frozenset()  # of these modules a record that matches is taken instead of a new one
    accounts: dict[str, str] = field(default_factory=dict)  # of this job, by company


@dataclass
class Converting:
    """Converts leads, one by one."""

    records: Records
    rules: Rules

    def of_job(self, payload: Mapping[str, Any]) -> Wanted:
        """What a mass convert payload asks for, as this organisation understands it."""
        rules = self.rules
        matches = {"create": (), "link_account": ("Accounts",), "link_both": ("Contacts", "Accounts")}[rules.duplicates]
        if rules.unknown_keys == "obeyed" and payload.get("add_to_existing_record") is True:
            matches = ("Contacts", "Accounts")
        owner = payload.get("assign_to")
        return Wanted(
            deal=payload.get("Deals"),
            owner=str(owner["id"]) if isinstance(owner, dict) and "id" in owner else "",
            matches=frozenset(matches),
        )

    def candidates(self, lead: Lead, module: str) -> Iterator[tuple[str, list[Record]]]:
        """The records that match a lead, by the field that tells: those of unique fields first."""
        unique = [name for name in SOURCES[module] if f"{module}.{name}" in self.rules.unique_fields]
        for name in dict.fromkeys((*unique, *MATCHED_BY[module])):
            if found := self.records.find(module, name, lead.value(SOURCES[module].get(name, name))):
                yield name, found

    def clash(self, lead: Lead, wanted: Wanted) -> tuple[str, Record] | None:
        """The unique field, and the record that has its value already, so that a new one cannot be made."""
        if not self.rules.unique_fields:
            return None
        for module, linked in (("Contacts", wanted.contact_id), ("Accounts", wanted.account_id)):
            if linked or module in wanted.matches or (module == "Accounts" and not lead.value("Company")):
                continue
            for name, source in SOURCES[module].items():
                if f"{module}.{name}" in self.rules.unique_fields:
                    for found in self.records.find(module, name, lead.value(source)):
                        return name, found
        return None

    def convert(self, lead: Lead, now: float, wanted: Wanted) -> bool:
        """Convert a lead, whatever state it is in, unless a unique field forbids it; whether it is done."""
        if self.clash(lead, wanted):
            return False
        contact_id, account_id, deal_id = self.records.new_ids()
        unassigned = lead.value("Owner") if self.rules.unassigned_owner == "lead_owner" else CALLER
        owner = wanted.owner or unassigned or CALLER
        account = self._account(lead, wanted, Record("Accounts", account_id, now, lead, owner=owner))
        contact = self._contact(lead, wanted, Record("Contacts", contact_id, now, lead, account, owner=owner))
        if wanted.deal is not None:
            deal = Record("Deals", deal_id, now, lead, account, contact, owner, dict(wanted.deal))
            self.records.add(deal)
        lead.converted_at, lead.contact_id, lead.account_id = now, contact, account
        lead.deal_id = deal_id if wanted.deal is not None else ""
        return True

    def _account(self, lead: Lead, wanted: Wanted, new: Record) -> str:
        """The account's id; nothing where the lead has no company."""
        company = lead.value("Company")
        if not company and not wanted.account_id:
            if self.rules.without_company == "no_account":
                return ""
            new.values["Account_Name"] = lead.value("Full_Name")
        known = wanted.account_id or (self._match(lead, "Accounts") if "Accounts" in wanted.matches else "")
        if not known and self.rules.new_accounts == "each_company":
            known = wanted.accounts.get(folded(company), "")
        return self._taken(lead, known, new, wanted.accounts, folded(company))

    def _contact(self, lead: Lead, wanted: Wanted, new: Record) -> str:
        known = wanted.contact_id or (self._match(lead, "Contacts") if "Contacts" in wanted.matches else "")
        contact = self._taken(lead, known, new, {}, "")
        found = self.records.get("Contacts", contact)
        if known and wanted.overwrite and new.account_id and isinstance(found, Record):
            self.records.write(found, {"Account_Name": new.account_id})
        return contact

    def _taken(self, lead: Lead, known: str, new: Record, by_name: dict[str, str], name: str) -> str:
        """The record that is there, or else the new one."""
        found = self.records.get(new.module, known) if known else None
        if not isinstance(found, Record):
            by_name[name] = self.records.add(new).id
            return new.id
        if self.rules.linking_changes:
            written = {name: lead.value(source) for name, source in SOURCES[new.module].items()}
            self.records.write(found, {name: value for name, value in written.items() if value is not None})
        return found.id

    def _match(self, lead: Lead, module: str) -> str:
        return next((found[0].id for _, found in self.candidates(lead, module)), "")

    def mismatch(self, lead: Lead, module: str, record: Record) -> bool:
        """Whether a lead may not be linked to this record, as it says something else."""
        strictness = self.rules.linking_strictness
        if strictness == "unchecked":
            return False

        def differs(name: str) -> bool:
            mine, theirs = lead.value(SOURCES[module].get(name, name)) or "", record.value(name) or ""
            return folded(mine) != folded(theirs) if strictness == "folded" else bool(mine != theirs)

        if module == "Accounts":
            return differs(NAME_OF[module])
        email, name = bool(lead.value("Email")) and differs("Email"), differs("Full_Name")
        return (email or name) if self.rules.contact_match == "email_and_name" else (email and name)
