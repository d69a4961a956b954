"""The rules by which a lead is created, linked, held, or made to wait: pure.

Nothing is guessed. A lead is linked only where one contact (with its account), or one account, is there that has the
lead's own values; Zoho would refuse anything else (DATA_MISMATCH), and what looks alike but is not the same is for a
person. Values are compared without regard to case and blanks. What cannot be asked for is not taken for unknown.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from massconvert.model.matching import ACCOUNTS, CONTACTS, Link, Matching, OnMatch, Record

#: A value that may stand in COQL's quotes: letters, digits and what is usual in names and addresses.
_PLAIN = re.compile(r"[\w .,;:&@+\-/()#!*=?]+")
#: Of another value, the parts that may; the longest is asked for with ``like``, and what comes back is compared here.
_RUN = re.compile(r"[^\W_]+")
_SHORTEST_RUN = 3
#: Values that are asked for one by one, in one visit to a payload.
MOST_ODD = 10
_NAME, _COMPANY = "Full_Name", "Company"
#: How many records are named for a person.
_NAMED = 3

Place = tuple[str, str]  # a module and a field of it


class Judgement(Enum):
    """What becomes of a lead."""

    CREATE = "create"
    LINK = "link"
    HOLD = "hold"
    UNCLEAR = "unclear"
    WAIT = "wait"
    LATER = "later"


@dataclass(frozen=True)
class Judged:
    """A verdict: ``link`` where the lead is linked, ``words`` for people where it is held, the digests
    that others have and it waits ``behind``.
    """

    verdict: Judgement
    link: Link | None = None
    words: str = ""
    behind: tuple[str, ...] = ()


@dataclass(frozen=True)
class Questions:
    """What to ask Zoho for: ``plain`` values by place; ``odd`` ones (place, part, value), by the part
    of them that can be asked for with ``like``.

    ``unaskable`` are places with values of which too little can be asked for; ``later`` are leads that have to wait for
    another visit, since too many values were odd.
    """

    plain: Mapping[Place, tuple[str, ...]]
    odd: tuple[tuple[Place, str, str], ...] = ()
    unaskable: frozenset[tuple[Place, str]] = frozenset()
    later: tuple[str, ...] = ()


@dataclass
class Found:
    """The records that Zoho has, by place and folded value. ``unknown`` are values of which nobody knows.

    ``calls`` are the queries that it took.
    """

    unknown: set[tuple[Place, str]] = field(default_factory=set)
    calls: int = 0
    _records: dict[tuple[Place, str], dict[str, Record]] = field(default_factory=dict)

    def add(self, place: Place, records: Iterable[Record]) -> None:
        """Take in what a query for this place has found."""
        for record in records:
            if value := folded(record.values.get(place[1], "")):
                self._records.setdefault((place, value), {})[record.id] = record

    def take(self, other: Found) -> None:
        """Take in what other queries have found."""
        self.unknown |= other.unknown
        self.calls += other.calls
        for key, records in other._records.items():
            self._records.setdefault(key, {}).update(records)

    def undecided(self, place: Place, values: Iterable[str]) -> tuple[str, ...]:
        """Those of the values that may match otherwise once more is found: a lead with several matches is held."""
        return tuple(value for value in values if len(self.at(place, value)) <= 1)

    def at(self, place: Place, value: str) -> tuple[Record, ...]:
        """The records that have this value there."""
        return tuple(self._records.get((place, folded(value)), {}).values())


def folded(value: str) -> str:
    """A value for comparing: case and blanks aside."""
    return " ".join(unicodedata.normalize("NFKC", value).split()).casefold()


def fields_to_read(matching: Matching) -> tuple[str, ...]:
    """The fields of leads that matching needs."""
    return tuple(dict.fromkeys((_NAME, *(each.lead_field for each in matching.fields), _COMPANY)))


def identities(matching: Matching, lead: Mapping[str, str]) -> dict[Place, str]:
    """What identifies a lead, as digests: two leads that have one in common would make the same record."""
    return {
        place: hashlib.sha256("\n".join((*place, folded(value))).encode()).hexdigest()[:16]
        for place, value in _values(matching, lead)
    }


def wanted(matching: Matching, leads: Mapping[str, Mapping[str, str]]) -> Questions:
    """What to ask for, for these leads."""
    plain: dict[Place, dict[str, None]] = {}
    odd: dict[tuple[Place, str, str], None] = {}
    unaskable: set[tuple[Place, str]] = set()
    later: list[str] = []
    for lead_id, lead in leads.items():
        strange = dict.fromkeys((p, v) for p, v in _values(matching, lead) if not _PLAIN.fullmatch(v))
        runs = {(place, run, value): None for place, value in strange if (run := _run_of(value))}
        if len(odd | runs) > MOST_ODD and odd:
            later.append(lead_id)
            continue
        odd |= runs
        unaskable |= {(place, folded(value)) for place, value in strange if not _run_of(value)}
        for place, value in _values(matching, lead):
            if (place, value) not in strange:
                plain.setdefault(place, {}).update(dict.fromkeys(_spellings(place, value)))
    return Questions(
        {place: tuple(values) for place, values in plain.items()}, tuple(odd), frozenset(unaskable), tuple(later)
    )


def judge(matching: Matching, lead: Mapping[str, str], found: Found) -> Judged:
    """What becomes of a lead with these fields, by what Zoho has; other leads aside."""
    contacts, accounts = candidates(matching, lead, found, CONTACTS), candidates(matching, lead, found, ACCOUNTS)
    strange = [value for place, value in _values(matching, lead) if (place, folded(value)) in found.unknown]
    if strange and not (contacts or accounts):
        return Judged(Judgement.UNCLEAR, words=f"Zoho cannot be asked whether it has {strange[0]!r}")
    if not contacts and not accounts:
        return Judged(Judgement.CREATE)
    told = in_words((*contacts, *accounts))
    if why := _why_not(lead, contacts, accounts, sure=not strange):
        return Judged(Judgement.HOLD, words=f"{why}: {told}")
    if matching.on_match is OnMatch.HOLD:
        return Judged(Judgement.HOLD, words=f"it matches {told}")
    if contacts:  # without a company Zoho would refuse the contact's account
        account = contacts[0].account_id if folded(lead.get(_COMPANY, "")) else ""
        return Judged(Judgement.LINK, Link(contacts[0].id, account))
    return Judged(Judgement.LINK, Link("", accounts[0].id))


def makes(matching: Matching, lead: Mapping[str, str], judged: Judged) -> tuple[str, ...]:
    """The digests of what the conversion of a lead makes: nobody else makes that meanwhile."""
    modules = {
        Judgement.CREATE: (CONTACTS, ACCOUNTS),
        Judgement.LINK: () if judged.link and judged.link.contact_id else (CONTACTS,),
    }.get(judged.verdict, ())
    return tuple(digest for place, digest in identities(matching, lead).items() if place[0] in modules)


def behind_others(judged: Judged, made: Sequence[str], taken: Mapping[str, str], together: Collection[str]) -> Judged:
    """``judged``, or that the lead waits: others have ``taken`` (digest → lead) what its conversion would make.

    So does one that is to be held for what a lead of another payload may just be making: it is half made, perhaps.
    Those it is ``together`` with have been looked at as well.
    """
    if judged.verdict in (Judgement.CREATE, Judgement.LINK):
        behind = tuple(digest for digest in made if digest in taken)
    elif judged.verdict is Judgement.HOLD:
        behind = tuple(digest for digest, lead in taken.items() if lead not in together)
    else:
        return judged
    return Judged(Judgement.WAIT, behind=behind) if behind else judged


def in_words(records: Sequence[Record]) -> str:
    """Records for people, with their ids."""
    named = [_in_words(record) for record in records[:_NAMED]]
    if len(records) > _NAMED:
        named.append("and more")  # nobody has counted them: two are enough to hold a lead
    return ", ".join(named)


def _in_words(record: Record) -> str:
    if record.module == ACCOUNTS:
        return f"account {record.id} ({record.name})"
    of = f" of {record.account_name}" if record.account_name else ""
    return f"contact {record.id} ({record.name}{of})"


def _why_not(lead: Mapping[str, str], contacts: Sequence[Record], accounts: Sequence[Record], *, sure: bool) -> str:
    """Why a lead with these matches is not linked; blank where it is."""
    if len(contacts) > 1 or len(accounts) > 1:
        return "several records match"
    if not sure:
        return "a value of it cannot be looked up, and others match"
    account = accounts[0] if accounts else None
    if account and folded(account.name) != folded(lead.get(_COMPANY, "")):
        return "the account has another name than the lead's company"
    return _why_not_to(contacts[0], account, lead) if contacts else ""


def _why_not_to(contact: Record, account: Record | None, lead: Mapping[str, str]) -> str:
    """The same of one contact, and the account that the lead's company is."""
    company = folded(lead.get(_COMPANY, ""))
    if folded(contact.name) != folded(lead.get(_NAME, "")):
        return "the contact has another name than the lead"
    if company and not contact.account_id:
        return "the contact belongs to no account, and the lead has a company"
    its_own = account.id == contact.account_id if account else folded(contact.account_name) == company
    return "" if its_own or not company else "the contact belongs to another company"


def candidates(matching: Matching, lead: Mapping[str, str], found: Found, module: str) -> tuple[Record, ...]:
    """The records of a module that a lead may be."""
    places = ((place, value) for place, value in _values(matching, lead) if place[0] == module)
    return tuple({record.id: record for place, value in places for record in found.at(place, value)}.values())


def _values(matching: Matching, lead: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    """What a lead has, by the place where a record that it matches has the same."""
    for of in matching.fields:
        if value := lead.get(of.lead_field, "").strip():
            yield (of.module, of.field), value


def _spellings(place: Place, value: str) -> tuple[str, ...]:
    """How a value is asked for. Whether Zoho minds the case is not documented: an address in small letters, too."""
    once = " ".join(value.split())
    return (value, once, once.lower()) if place[1] == "Email" else (value, once)


def _run_of(value: str) -> str:
    """The longest part of an odd value that can be asked for; blank where it is too short to be of use."""
    run = max(_RUN.findall(value), key=len, default="")
    return run if len(run) >= _SHORTEST_RUN else ""
