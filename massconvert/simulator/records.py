"""Every record of the organisation: its leads, and the contacts, accounts and deals that they become."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from massconvert.simulator.fields import FIELDS, LOOKS_UP, MADE, NAME_OF, SOURCES, is_lookup, kind_of
from massconvert.simulator.leads import CALLER, LOOKUPS, STATE, STEP, Lead, Leads, moment
from massconvert.simulator.messages import SimulatorError

#: The ids of what a conversion makes, and of what a call or a test makes.
_CONVERTED_FROM, _WRITTEN_FROM = 3652397000010000000, 3652397000060000001


@dataclass(slots=True)
class Record:
    """A contact, account or deal. ``lead`` is the one whose conversion made it: what nobody wrote is the lead's."""

    module: str
    id: str
    made_at: float
    lead: Lead | None = None
    account_id: str = ""  # of a contact or a deal
    contact_id: str = ""  # of a deal
    owner: str = CALLER
    values: dict[str, Any] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """What a field holds; a lookup its id, None is null."""
        if name == "Full_Name":
            return " ".join(filter(None, (self.value("First_Name"), self.value("Last_Name")))) or None
        if name in self.values:
            return self.values[name]
        if name == "Owner":
            return self.owner
        if is_lookup(self.module, name):
            return (self.account_id if name == "Account_Name" else self.contact_id) or None
        source = SOURCES[self.module].get(name)
        return self.lead.value(source) if self.lead and source else None


Row = Lead | Record


@dataclass
class Deleted:
    """A row in the recycle bin."""

    module: str
    row: Row
    at: float


class Records:
    """All rows by module and id. ``hidden`` are those that the user does not see; ``names`` are those of users."""

    def __init__(self, leads: Leads, users: Mapping[str, str]) -> None:
        self.leads = leads
        self.hidden: frozenset[str] = frozenset()
        self.bin: dict[str, Deleted] = {}
        self._made: dict[str, dict[str, Record]] = {module: {} for module in MADE}
        self._users = users
        self._conversions = self._written = 0
        self._indexes: dict[tuple[str, str], defaultdict[str, dict[str, Record]]] = {}

    # --- which there are ---

    def get(self, module: str, row_id: str) -> Row | None:
        """The row of that id, if it exists; whether somebody sees it is another matter."""
        return self.leads.get(row_id) if module == "Leads" else self._made[module].get(row_id)

    def all(self, module: str) -> Iterable[Row]:
        """All rows of a module."""
        return self.leads if module == "Leads" else self._made[module].values()

    def seen(self, rows: Iterable[Row | None], as_of: float, hidden: Iterable[str] = ()) -> Iterator[Row]:
        """Those of these rows that the user sees, as they were then."""
        out_of_sight = self.hidden.union(hidden)
        for row in rows:
            if row is not None and row.id not in out_of_sight and (isinstance(row, Lead) or row.made_at <= as_of):
                yield row

    def find(self, module: str, name: str, text: Any) -> list[Record]:
        """The contacts, accounts or deals whose field is this text, in whatever case: quick, however many there are."""
        return list(self._index(module, name).get(folded(text), {}).values()) if text else []

    # --- what becomes of them ---

    def new_ids(self) -> tuple[str, str, str]:
        """The ids of the contact, the account and the deal that a conversion makes."""
        self._conversions += 1
        base = _CONVERTED_FROM + self._conversions * STEP
        return str(base + 1), str(base + 2), str(base + 3)

    def new_id(self) -> str:
        """The id of a row that a call makes."""
        self._written += 1
        return str(_WRITTEN_FROM + self._written * STEP)

    def add(self, record: Record) -> Record:
        """Put a record in, in the place of one with its id."""
        self.remove(record.module, record.id)
        self._made[record.module][record.id] = record
        self._file(record)
        return record

    def write(self, record: Record, values: Mapping[str, Any]) -> None:
        """Somebody writes these fields, whose lookups are ids."""
        self._unfile(record)
        record.values |= values
        self._file(record)

    def remove(self, module: str, row_id: str) -> Row | None:
        """Take a row out; which it was."""
        if module == "Leads":
            lead = self.leads.get(row_id)
            self.leads.delete(row_id)
            return lead
        record = self._made[module].pop(row_id, None)
        if record:
            self._unfile(record)
        return record

    def put(self, module: str, rows: Any, now: float) -> None:
        """A test puts contacts, accounts or deals in: objects with their fields, perhaps their ``id``.

        Raises SimulatorError, and changes nothing, where one is wrong.
        """
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SimulatorError(f"a list of {module.lower()} is wanted, each an object of its fields")
        made: list[Record] = []
        for row in rows:
            values = {name: value for name, value in row.items() if name != "id"}
            for name, value in values.items():
                if kind_of(module, name) is None or "." in name:
                    known = ", ".join(each.name for each in FIELDS[module])
                    raise SimulatorError(f"{module} have no field {name!r}; they have {known}")
                if is_lookup(module, name):
                    values[name] = self._looked_up(name, value)
            made.append(Record(module, str(row.get("id") or self.new_id()), now, values=values))
        for record in made:
            self.add(record)

    def _looked_up(self, name: str, value: Any) -> str | None:
        given = value.get("id") if isinstance(value, dict) else value
        module = LOOKS_UP[name]
        known = given in self._users if module == "users" else self.get(module, str(given)) is not None
        if given is not None and not known:
            raise SimulatorError(f"{name} is {given!r}, but there is no such record among {module}")
        return given if given is None else str(given)

    # --- what they hold ---

    def value(self, module: str, row: Row, name: str, as_of: float) -> Any:
        """What a field holds, for criteria: ids as numbers, ``Account_Name.Website`` of the record looked up."""
        if "." in name:
            lookup, _, inner = name.partition(".")
            held = self._held(row, lookup, as_of)
            if inner == "id" or not held:
                return int(held) if held else None
            found = self.get(LOOKS_UP[lookup], held)
            return self.value(LOOKS_UP[lookup], found, inner, as_of) if found else None
        held = row.id if name == "id" else self._held(row, name, as_of)
        return int(held) if held and kind_of(module, name) == "id" else held

    def shown(self, module: str, row: Row, name: str, as_of: float, *, bare: bool = False) -> Any:
        """What a field holds, as an answer has it: a lookup with its name, unless it is to be ``bare``."""
        if name == "id":
            return row.id
        if "." in name:
            found = self.value(module, row, name, as_of)
            return str(found) if found is not None and kind_of(module, name) == "id" else found
        held = self._held(row, name, as_of)
        if not held or not is_lookup(module, name):
            return held
        return {"id": held} if bare else {"name": self.name(LOOKS_UP[name], held), "id": held}

    def name(self, module: str, row_id: str) -> str | None:
        """What a record is shown by."""
        if module == "users":
            return self._users.get(row_id)
        found = self.get(module, row_id)
        return found.value(NAME_OF[module]) if found else None

    def written(self, module: str, row_id: str) -> dict[str, Any] | None:
        """The fields of a record that somebody gave or wrote; None where there is no such record."""
        found = self._made[module].get(row_id)
        return dict(found.values) if found and found.values else None

    def report(self, module: str) -> dict[str, Any]:
        """All records of a module for a test: their fields, which lead ``made`` them, and the ``leads`` they hold."""
        attribute = LOOKUPS[f"Converted_{module.removesuffix('s')}"]
        held: defaultdict[str, list[str]] = defaultdict(list)
        for lead in self.leads:
            if lead.converted_at is not None:
                held[getattr(lead, attribute)].append(lead.id)
        return {
            record.id: {
                **{each.name: record.value(each.name) for each in FIELDS[module]},
                "made_by": record.lead.id if record.lead else None,
                "leads": held[record.id],
            }
            for record in self._made[module].values()
        }

    @staticmethod
    def _held(row: Row, name: str, as_of: float) -> Any:
        if name not in STATE or not isinstance(row, Lead):
            return row.value(name)
        converted = row.converted(as_of)
        if name == "Converted__s":
            return converted
        if not converted or row.converted_at is None:
            return None
        return moment(row.converted_at) if name not in LOOKUPS else getattr(row, LOOKUPS[name]) or None

    # --- finding by text ---

    def _index(self, module: str, name: str) -> defaultdict[str, dict[str, Record]]:
        index = self._indexes.get((module, name))
        if index is None:
            index = self._indexes[module, name] = defaultdict(dict)
            for record in self._made[module].values():
                index[folded(record.value(name))][record.id] = record
        return index

    def _file(self, record: Record) -> None:
        for (module, name), index in self._indexes.items():
            if module == record.module:
                index[folded(record.value(name))][record.id] = record

    def _unfile(self, record: Record) -> None:
        for (module, name), index in self._indexes.items():
            if module == record.module:
                index[folded(record.value(name))].pop(record.id, None)


def folded(text: Any) -> str:
    """A text without its case and the blanks around it."""
    return str(text or "").strip().casefold()
