"""What would become of leads by the rules of matching, those included that match another lead before them: pure.

The pipeline converts leads that match each other one after the other. Here the first is taken as converted: what it
makes is there for those that follow. It has no id yet, so it is called by the lead that makes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Protocol

from massconvert.model import LeadState, Link, Matching, Record
from massconvert.model.matching import ACCOUNTS, CONTACTS
from massconvert.policy.matching import Found, Judged, Judgement, candidates, identities, judge, makes

#: What stands in the place of an id of a record that is yet to be made.
_OF_LEAD = "of lead "


class Would(str, Enum):
    """What would become of a lead."""

    LINK = "link"
    HOLD = "hold"
    CREATE = "create"
    SKIP = "skip"  # it cannot be converted, whatever it matches


_WOULD = {Judgement.CREATE: Would.CREATE, Judgement.LINK: Would.LINK}


@dataclass(frozen=True)
class Foreseen:
    """What would become of a lead, and ``why``.

    The contact and the account are those that it would be linked to, blank where they are new. The leads that it waits
    ``behind`` make them: then they have a name, and no id yet.
    """

    lead_id: str
    would: Would
    contact_id: str = ""
    contact_name: str = ""
    account_id: str = ""
    account_name: str = ""
    why: str = ""
    behind: tuple[str, ...] = ()


class Made(Protocol):
    """What the leads before make, as texts by number: there may be a million."""

    def get(self, key: str, /) -> str | None: ...

    def add(self, key: str, text: str, /) -> None: ...


def not_convertible(lead_id: str, state: LeadState | None, *, unclear: bool) -> Foreseen | None:
    """Why a lead is not converted at all, by its own state; ``None`` where it can be."""
    if unclear:
        return Foreseen(lead_id, Would.SKIP, why="Zoho did not tell its state")
    if state is None:
        return Foreseen(lead_id, Would.SKIP, why="Zoho has no such lead, or does not show it")
    if state.converted:
        return Foreseen(lead_id, Would.SKIP, why="it is converted already")
    return Foreseen(lead_id, Would.SKIP, why="Zoho has locked it for the user") if state.locked else None


def foresee(
    matching: Matching, lead_id: str, lead: Mapping[str, str], found: Found, made: Made, link: Link | None = None
) -> Foreseen:
    """What would become of a lead with these fields, by what Zoho has (``found``) and the leads before have ``made``.

    ``link`` is what somebody has said that it is linked to. Takes in what it would make itself.
    """
    own = identities(matching, lead)
    for place, digest in own.items():
        if text := made.get(_number(digest)):
            found.add(place, [Record(**json.loads(text))])
    judged = Judged(Judgement.LINK, link) if link else judge(matching, lead, found)
    making = set(makes(matching, lead, judged))
    for place, digest in own.items():
        if digest in making:
            made.add(_number(digest), json.dumps(asdict(_record(matching, place[0], lead_id, lead, judged.link))))
    if link:
        return Foreseen(lead_id, Would.LINK, contact_id=link.contact_id, account_id=link.account_id, why="as given")
    return _foreseen(matching, lead_id, lead, judged, found)


def _foreseen(matching: Matching, lead_id: str, lead: Mapping[str, str], judged: Judged, found: Found) -> Foreseen:
    would = _WOULD.get(judged.verdict, Would.HOLD)
    link = judged.link
    if link is None:
        return Foreseen(lead_id, would, why=judged.words or "nothing matches")
    contact = next((each for each in candidates(matching, lead, found, CONTACTS) if each.id == link.contact_id), None)
    account = next((each for each in candidates(matching, lead, found, ACCOUNTS) if each.id == link.account_id), None)
    named = account.name if account else contact.account_name if contact and link.account_id else ""
    ids = dict.fromkeys((link.contact_id, link.account_id))
    behind = tuple(each.removeprefix(_OF_LEAD) for each in ids if each.startswith(_OF_LEAD))
    return Foreseen(
        lead_id,
        would,
        _known(link.contact_id),
        contact.name if contact else "",
        _known(link.account_id),
        named,
        f"linked to what lead {' and lead '.join(behind)} makes" if behind else "one clear match",
        behind,
    )


def _record(matching: Matching, module: str, lead_id: str, lead: Mapping[str, str], link: Link | None) -> Record:
    """What the conversion of a lead makes in a module; its account may be there already."""
    company, mine = lead.get("Company", ""), f"{_OF_LEAD}{lead_id}"
    values = {each.field: lead.get(each.lead_field, "") for each in matching.fields if each.module == module}
    if module == ACCOUNTS:
        return Record(ACCOUNTS, mine, company, values)
    account = link.account_id if link else mine if company.strip() else ""
    return Record(CONTACTS, mine, lead.get("Full_Name", ""), values, account, company if account else "")


def _known(record_id: str) -> str:
    return "" if record_id.startswith(_OF_LEAD) else record_id


def _number(digest: str) -> str:
    """A digest as a number that SQLite can keep."""
    return str(int(digest, 16) >> 1)
