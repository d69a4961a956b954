"""Leads of which some are customers already, and what must become of each with ``on_match: link``.

A judge of its own: it knows who was put in, and compares the simulator's truth, its records and the outcomes with that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, TypeAlias

#: Leads of a group that match each other.
TOGETHER = 5
#: The ids of the records that are there: above those that a simulator makes.
_FIRST = 3652397000090000000

Rows: TypeAlias = Mapping[str, Mapping[str, Any]]


class Sort(str, Enum):
    """What a lead matches."""

    CUSTOMER = "one contact, in its account"
    COMPANY = "an account alone"
    TWO_CONTACTS = "several contacts"
    TWO_ACCOUNTS = "several accounts"
    PERSON = "each other: one person"
    COLLEAGUES = "each other: one new company"
    NOBODY = "nobody"


_HELD = (Sort.TWO_CONTACTS, Sort.TWO_ACCOUNTS)
_TOGETHER = (Sort.PERSON, Sort.COLLEAGUES)
_OWN_CONTACT = (Sort.COMPANY, Sort.COLLEAGUES, Sort.NOBODY)
_IDS = ("contact_id", "account_id", "deal_id")


@dataclass(frozen=True)
class Cast:
    """Who is who: the ``sort`` of each lead, the records that it matches, and the group that it belongs to.

    ``fields`` are those of the leads, ``contacts`` and ``accounts`` the records that are there; for the simulator.
    """

    sort: dict[str, Sort]
    contact: dict[str, str] = field(default_factory=dict)
    account: dict[str, str] = field(default_factory=dict)
    group: dict[str, str] = field(default_factory=dict)
    fields: dict[str, dict[str, str]] = field(default_factory=dict)
    contacts: list[dict[str, str]] = field(default_factory=list)
    accounts: list[dict[str, str]] = field(default_factory=list)

    def enter(self, put: Callable[[str, Any], Any]) -> None:
        """Put all into a simulator; ``put`` writes one of its pages."""
        put("leads", self.fields)
        put("accounts", self.accounts)
        put("contacts", self.contacts)


def cast(leads: Sequence[str], counts: Mapping[Sort, int], seed: int = 1) -> Cast:
    """Give ``counts`` of the leads what they match, anywhere in the file; the others match nobody."""
    made = Cast(dict.fromkeys(leads, Sort.NOBODY))
    drawn = iter(Random(seed).sample(leads, sum(counts.values())))
    for sort, count in counts.items():
        for number in range(count):
            _give(made, next(drawn), sort, number)
    return made


def _give(made: Cast, lead: str, sort: Sort, number: int) -> None:
    group = number // TOGETHER if sort in _TOGETHER else number
    who = group if sort is Sort.PERSON else number
    name = sort.name.lower()
    person = {"First_Name": f"Ann {who}", "Last_Name": "Lee", "Email": f"{name}{who}@example.org"}
    company = f"Firm {name} {group}"
    made.sort[lead], made.fields[lead] = sort, {**person, "Company": company}
    if sort in _TOGETHER:
        made.group[lead] = company
    first = _FIRST + 10 * len(made.fields)
    account, contact = str(first), str(first + 5)
    if sort in (Sort.CUSTOMER, Sort.COMPANY, *_HELD):
        made.account[lead] = account
        made.accounts.append({"id": account, "Account_Name": company})
    if sort is Sort.TWO_ACCOUNTS:
        made.accounts.append({"id": str(int(account) + 1), "Account_Name": company})
    if sort in (Sort.CUSTOMER, Sort.TWO_CONTACTS):
        made.contact[lead] = contact
        made.contacts.append({"id": contact, **person, "Account_Name": account})
    if sort is Sort.TWO_CONTACTS:
        made.contacts.append({"id": str(int(contact) + 1), **person, "Account_Name": account})


def wrong(made: Cast, rows: Rows, truth: Rows, records: Callable[[str], Rows]) -> Counter[tuple[Sort, str]]:
    """What is not as the rule says, by the sort of lead; nothing where all is well.

    ``rows`` are the outcomes by lead, ``truth`` the simulator's of each lead; ``records`` gives one of its modules.
    """
    found: Counter[tuple[Sort, str]] = Counter()
    contacts, accounts, deals = records("contacts"), records("accounts"), records("deals")
    for lead, sort in made.sort.items():
        found.update((sort, why) for why in _wrong_of(made, lead, rows[lead], truth[lead], contacts, accounts))
    for company in set(made.group.values()):
        leads = [lead for lead, group in made.group.items() if group == company]
        sort = made.sort[leads[0]]
        found.update((sort, why) for why in _wrong_together(sort, [truth[lead] for lead in leads]))
    for name, module in (("contact", contacts), ("account", accounts), ("deal", deals)):
        for record, row in module.items():
            if (maker := row["made_by"]) and truth[maker][f"{name}_id"] != record:
                found[made.sort[maker], f"made a {name} that it does not have"] += 1
    return found


def _wrong_of(
    made: Cast, lead: str, row: Mapping[str, Any], known: Mapping[str, Any], contacts: Rows, accounts: Rows
) -> Iterable[str]:
    sort = made.sort[lead]
    ended = (row["outcome"], row["code"])
    if sort in _HELD:
        if ended != ("skipped", "MATCH_FOUND") or known["converted"]:
            yield f"ended as {ended}"
        return
    if ended != ("converted", None) or not known["converted"]:
        yield f"ended as {ended}"
        return
    made_by = {"contact": contacts[known["contact_id"]]["made_by"], "account": accounts[known["account_id"]]["made_by"]}
    checks = {
        "was converted twice": (known["conversions"], known["overlaps"]) != (1, 0),
        "got the id of another record": any(row[name] not in (None, known[name]) for name in _IDS),
        "has no deal": not known["deal_id"],
        "was not linked to its account": known["account_id"] != made.account.get(lead, known["account_id"]),
        "was not linked to its contact": known["contact_id"] != made.contact.get(lead, known["contact_id"]),
        "has a contact that is not its own": sort in _OWN_CONTACT and made_by["contact"] != lead,
        "has an account that is not its own": sort is Sort.NOBODY and made_by["account"] != lead,
    }
    yield from (why for why, so in checks.items() if so)


def _wrong_together(sort: Sort, group: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    if len({each["account_id"] for each in group}) != 1:
        yield "are in several accounts"
    wanted = 1 if sort is Sort.PERSON else len(group)
    if len({each["contact_id"] for each in group}) != wanted:
        yield "are not as many contacts as persons"
