"""The leads of the simulated organisation: what Zoho knows of them, and what a test wants to know too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from random import Random
from typing import Any

from massconvert.simulator.fields import FIELDS
from massconvert.simulator.messages import SimulatorError
from massconvert.simulator.special import Special

FIRST_ID = 3652397000009850001
STEP = 1000
#: Whom the tokens belong to, and who has what nobody else was given: the first user of the catalogue.
CALLER = "3652397000000281001"

#: What a conversion writes, and the attribute of a lead that has it.
LOOKUPS = {"Converted_Contact": "contact_id", "Converted_Account": "account_id", "Converted_Deal": "deal_id"}
STATE = frozenset({"Converted__s", "Converted_Date_Time", *LOOKUPS})
#: What somebody may give a lead.
GIVEN = tuple(each.name for each in FIELDS["Leads"] if each.name not in STATE | {"Full_Name"})


@dataclass(slots=True)
class Lead:
    """A lead. ``*_id`` are of the records that it was converted into; times are Unix seconds.

    ``submissions`` counts the payloads with it that were carried out, ``conversions`` the times that a call converted
    it, ``overlaps`` the payloads that were carried out while another live job held it already: harm, if it happens.
    ``given`` are the fields that it was given; the others are invented, unless it is ``made`` by a call.
    """

    id: str
    converted_at: float | None = None
    contact_id: str = ""
    account_id: str = ""
    deal_id: str = ""
    submissions: int = 0
    conversions: int = 0
    overlaps: int = 0
    live_jobs: int = 0
    locked: bool = False
    special: Special | None = None  # a payload with it is refused
    given: dict[str, Any] | None = None
    made: bool = False

    def converted(self, as_of: float) -> bool:
        """Whether it had been converted by then."""
        return self.converted_at is not None and self.converted_at <= as_of

    def value(self, name: str) -> Any:
        """What a field holds, apart from those that a conversion writes; a lookup its id, None is null."""
        if name == "Full_Name":
            return " ".join(filter(None, (self.value("First_Name"), self.value("Last_Name")))) or None
        if self.given is not None and name in self.given:
            return self.given[name]
        if name == "Owner":
            return CALLER
        invent = None if self.made else _INVENTED.get(name)
        return invent((int(self.id) - FIRST_ID) // STEP) if invent else None

    def give(self, values: Mapping[str, Any]) -> None:
        """Somebody writes these fields. Raises SimulatorError for one that there is not."""
        for name in values:
            if name not in GIVEN:
                raise SimulatorError(f"a lead has no field {name!r} that can be given; it has {', '.join(GIVEN)}")
        self.given = {**(self.given or {}), **values}


class Leads:
    """All leads, by id. ``all_ids`` has those that do not exist (any more) too, in the order of the ids.

    Of ``count`` ids, ``unknown`` do not exist and ``converted`` are to have been converted before: which, is drawn.
    """

    def __init__(self, count: int, unknown: int, converted: int, random: Random) -> None:
        if min(count, unknown, converted) < 0 or unknown + converted > count:
            raise SimulatorError(f"{unknown} unknown and {converted} converted leads are not a part of {count} leads")
        self.all_ids = [str(FIRST_ID + STEP * number) for number in range(count)]
        drawn = random.sample(range(count), unknown + converted)
        missing = set(drawn[:unknown])
        self._leads = {lead_id: Lead(lead_id) for n, lead_id in enumerate(self.all_ids) if n not in missing}
        self.converted_before = [self._leads[self.all_ids[number]] for number in drawn[unknown:]]

    def __len__(self) -> int:
        return len(self._leads)

    def __iter__(self) -> Iterator[Lead]:
        return iter(self._leads.values())

    def get(self, lead_id: str) -> Lead | None:
        """The lead of that id, if it exists."""
        return self._leads.get(lead_id)

    def add(self, lead_id: str) -> Lead:
        """Somebody makes a lead of this id; one that is there already stays as it is."""
        if lead_id not in self._leads:
            self._leads[lead_id] = Lead(lead_id)
            self.all_ids.append(lead_id)
        return self._leads[lead_id]

    def delete(self, lead_id: str) -> None:
        """Somebody deletes a lead."""
        self._leads.pop(lead_id, None)

    def lock(self, lead_id: str) -> None:
        """A process locks a lead: no job converts it."""
        self._leads[lead_id].locked = True

    def make_special(self, lead_id: str, special: Special | None) -> None:
        """A payload with the lead is refused; ``None``: no longer."""
        self._leads[lead_id].special = special


def moment(seconds: float) -> str:
    """Unix seconds as Zoho writes times."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).isoformat()


_STATUSES = ("Contacted", "Qualified", "Contact in Future", "Junk Lead")
_SOURCES = ("Web Download", "Trade Show", None)
#: The fields that tell nothing of a conversion, by the number of the lead.
_INVENTED: dict[str, Callable[[int], Any]] = {
    "Last_Name": "Lead {}".format,
    "Company": "Company {}".format,
    "Email": "lead{}@example.com".format,
    "Lead_Status": lambda number: _STATUSES[number % len(_STATUSES)],
    "Lead_Source": lambda number: _SOURCES[number % len(_SOURCES)],
    "Annual_Revenue": lambda number: number * 1000,
}
