"""The leads of the simulated organisation: what Zoho knows of them, and what a test wants to know besides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from random import Random
from typing import Any

from massconvert.simulator.messages import SimulatorError
from massconvert.simulator.special import Special

FIRST_ID = 3652397000009850001
STEP = 1000


@dataclass(slots=True)
class Lead:
    """A lead. ``*_id`` are of the records that a conversion made; times are Unix seconds.

    ``submissions`` counts the payloads with it that were carried out, ``conversions`` the times that a job converted
    it, ``overlaps`` the payloads that were carried out while another live job held it already: harm, if it happens.
    """

    id: str
    converted_at: float | None = None
    contact_id: str = ""
    account_id: str = ""
    deal_id: str = ""
    deal: dict[str, Any] = field(default_factory=dict)
    submissions: int = 0
    conversions: int = 0
    overlaps: int = 0
    live_jobs: int = 0
    locked: bool = False
    special: Special | None = None  # a payload with it is refused

    def converted(self, as_of: float) -> bool:
        """Whether it had been converted by then."""
        return self.converted_at is not None and self.converted_at <= as_of


class Leads:
    """All leads, by id. ``all_ids`` has those that do not exist (any more) too, in the order of the ids.

    Of ``count`` ids, ``unknown`` do not exist and ``converted`` have been converted before now: which, is drawn.
    """

    def __init__(self, count: int, unknown: int, converted: int, random: Random, now: float) -> None:
        if min(count, unknown, converted) < 0 or unknown + converted > count:
            raise SimulatorError(f"{unknown} unknown and {converted} converted leads are not a part of {count} leads")
        self.all_ids = [str(FIRST_ID + STEP * number) for number in range(count)]
        drawn = random.sample(range(count), unknown + converted)
        missing = set(drawn[:unknown])
        self._leads = {lead_id: Lead(lead_id) for n, lead_id in enumerate(self.all_ids) if n not in missing}
        self._records = 0
        self._of_deals: dict[str, Lead] = {}
        for number in drawn[unknown:]:
            self._make_records(self._leads[self.all_ids[number]], now - 86_400.0, deal=None)

    def __len__(self) -> int:
        return len(self._leads)

    def __iter__(self) -> Iterator[Lead]:
        return iter(self._leads.values())

    def get(self, lead_id: str) -> Lead | None:
        """The lead of that id, if it exists."""
        return self._leads.get(lead_id)

    def add(self, lead_id: str) -> None:
        """Somebody makes a lead of this id; one that is there already stays as it is."""
        if lead_id not in self._leads:
            self._leads[lead_id] = Lead(lead_id)
            self.all_ids.append(lead_id)

    def of_deal(self, deal_id: str) -> Lead | None:
        """The lead whose conversion made this deal."""
        return self._of_deals.get(deal_id)

    def delete(self, lead_id: str) -> None:
        """Somebody deletes a lead."""
        self._leads.pop(lead_id, None)

    def convert_by_hand(self, lead_id: str, now: float) -> None:
        """Somebody converts a lead in Zoho's own pages."""
        self._make_records(self._leads[lead_id], now, deal=None)

    def lock(self, lead_id: str) -> None:
        """A process locks a lead: no job converts it."""
        self._leads[lead_id].locked = True

    def make_special(self, lead_id: str, special: Special | None) -> None:
        """A payload with the lead is refused; ``None``: no longer."""
        self._leads[lead_id].special = special

    def convert(self, lead_ids: Iterable[str], now: float, *, deal: dict[str, Any] | None) -> int:
        """A job converts these; how many it could, that is, existed, was not locked and had not been converted."""
        count = 0
        for lead_id in lead_ids:
            lead = self._leads.get(lead_id)
            if lead is not None and lead.converted_at is None and not lead.locked and lead.special is None:
                self._make_records(lead, now, deal=deal)
                lead.conversions += 1
                count += 1
        return count

    def truth(self) -> dict[str, dict[str, Any]]:
        """What became of each lead that exists."""
        return {
            lead.id: {
                "converted": lead.converted_at is not None,
                "converted_at": lead.converted_at,
                "contact_id": lead.contact_id or None,
                "account_id": lead.account_id or None,
                "deal_id": lead.deal_id or None,
                "deal": lead.deal or None,
                "submissions": lead.submissions,
                "conversions": lead.conversions,
                "overlaps": lead.overlaps,
            }
            for lead in self
        }

    def _make_records(self, lead: Lead, now: float, *, deal: dict[str, Any] | None) -> None:
        self._records += 1
        base = 3652397000010000000 + self._records * STEP
        lead.converted_at = now
        lead.contact_id, lead.account_id = str(base + 1), str(base + 2)
        lead.deal_id = str(base + 3) if deal is not None else ""
        lead.deal = dict(deal or {})
        if lead.deal_id:
            self._of_deals[lead.deal_id] = lead


def record(lead: Lead, wanted: Collection[str], as_of: float) -> dict[str, Any]:
    """A lead as Get Records answers it: the fields ``wanted``, and what comes along with every record."""
    number = (int(lead.id) - FIRST_ID) // STEP
    converted = lead.converted(as_of)
    shown: dict[str, Any] = {"id": lead.id}
    for name in wanted:
        if name in _PLAIN:
            shown[name] = _PLAIN[name](number)
        elif name == "Converted__s":
            shown[name] = converted
        elif name == "Converted_Date_Time":
            shown[name] = moment(lead.converted_at) if converted and lead.converted_at else None
        elif name in _LOOKUPS:
            record_id = getattr(lead, _LOOKUPS[name]) if converted else ""
            shown[name] = {"id": record_id, "name": _PLAIN["Last_Name"](number)} if record_id else None
    shown |= {
        "$converted": converted,
        "$locked_for_me": lead.locked,
        "$approved": True,
        "$in_merge": False,
        "$process_flow": False,
        "$editable": True,
    }
    return {**shown, **(lead.special.shows if lead.special else {})}


def blanked(row: dict[str, Any]) -> dict[str, Any]:
    """A record that does not say whether its lead is converted."""
    silent = {name: None for name in row if name in ("Converted__s", "Converted_Date_Time", *_LOOKUPS)}
    return {name: value for name, value in (row | silent).items() if name != "$converted"}


def converted_detail(lead: Lead, as_of: float) -> dict[str, Any]:
    """``$converted_detail``, which only the read of a single lead has."""
    if not lead.converted(as_of):
        return {}
    ids = {"contact": lead.contact_id, "account": lead.account_id, "deal": lead.deal_id}
    return {"converted_date": moment(lead.converted_at or 0.0), **{name: value for name, value in ids.items() if value}}


def moment(seconds: float) -> str:
    """Unix seconds as Zoho writes times."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).isoformat()


_STATUSES = ("Contacted", "Qualified", "Contact in Future", "Junk Lead")
_SOURCES = ("Web Download", "Trade Show", None)
#: The fields that tell nothing of a conversion, by the number of the lead.
_PLAIN: dict[str, Callable[[int], Any]] = {
    "Last_Name": "Lead {}".format,
    "Full_Name": "Lead {}".format,
    "Company": "Company {}".format,
    "Email": "lead{}@example.com".format,
    "Lead_Status": lambda number: _STATUSES[number % len(_STATUSES)],
    "Lead_Source": lambda number: _SOURCES[number % len(_SOURCES)],
    "Annual_Revenue": lambda number: number * 1000,
}
_LOOKUPS = {"Converted_Contact": "contact_id", "Converted_Account": "account_id", "Converted_Deal": "deal_id"}
PLAIN_FIELDS = (*_PLAIN, "Converted__s", "Converted_Date_Time", *_LOOKUPS)
#: The fields that criteria may name, and the type of each.
FIELD_TYPES = {
    "id": "id",
    **dict.fromkeys(_PLAIN, "text"),
    "Annual_Revenue": "number",
    "Converted__s": "boolean",
    "Converted_Date_Time": "datetime",
}


def field_value(lead: Lead, name: str, as_of: float) -> Any:
    """What a field of a lead holds, for criteria; None is null."""
    if name == "id":
        return int(lead.id)
    return record(lead, (name,), as_of)[name]
