"""The fields of each module that the simulator knows: what ``settings/fields`` says, and what criteria may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True)
class Field:
    """A field; ``fills`` are the fields that it fills when a lead is converted, by module."""

    name: str
    data_type: str = "text"
    json_type: str = "string"
    mandatory: bool = False
    fills: Mapping[str, str] = field(default_factory=dict)


def _fills(*modules: str, name: str) -> dict[str, str]:
    return dict.fromkeys(modules, name)


_CONVERTED = tuple(Field(f"Converted_{name}", "lookup", "jsonobject") for name in ("Account", "Contact", "Deal"))
FIELDS: dict[str, tuple[Field, ...]] = {
    "Leads": (
        Field("Last_Name", mandatory=True, fills=_fills("Contacts", name="Last_Name")),
        Field("Budget_Code", fills=_fills("Deals", name="Budget_Code")),
        Field("Company", fills=_fills("Accounts", name="Account_Name")),
        Field("Email", "email", fills=_fills("Contacts", name="Email")),
        Field("Full_Name"),
        Field("Lead_Status", "picklist"),
        Field("Lead_Source", "picklist", fills=_fills("Contacts", name="Lead_Source")),
        Field("Annual_Revenue", "currency", "double", fills=_fills("Accounts", name="Annual_Revenue")),
        Field("First_Name", fills=_fills("Contacts", name="First_Name")),
        Field("Phone", "phone", fills=_fills("Contacts", "Accounts", name="Phone")),
        Field("Mobile", "phone", fills=_fills("Contacts", name="Mobile")),
        Field("Website", "website", fills=_fills("Accounts", name="Website")),
        Field("Owner", "ownerlookup", "jsonobject"),
        Field("Converted__s", "boolean", "boolean"),
        Field("Converted_Date_Time", "datetime"),
        *_CONVERTED,
    ),
    "Deals": (
        Field("Deal_Name", mandatory=True),
        Field("Stage", "picklist", mandatory=True),
        Field("Closing_Date", "date", mandatory=True),
        Field("Pipeline", "picklist"),
        Field("Amount", "currency", "double"),
        Field("Owner", "ownerlookup", "jsonobject"),
        Field("Account_Name", "lookup", "jsonobject"),
        Field("Contact_Name", "lookup", "jsonobject"),
        Field("Type", "picklist"),
        Field("Sales_Regions", "multiselectpicklist", "jsonarray"),
        Field("Next_Step"),
        Field("Probability", "integer", "integer"),
        Field("Renewal", "boolean", "boolean"),
        Field("Demo_At", "datetime"),
        Field("Budget_Code"),
        Field("Expected_Revenue", "formula", "double"),
    ),
    "Contacts": (
        Field("Last_Name", mandatory=True),
        Field("Email", "email"),
        Field("First_Name"),
        Field("Full_Name"),
        Field("Account_Name", "lookup", "jsonobject"),
        Field("Phone", "phone"),
        Field("Mobile", "phone"),
        Field("Secondary_Email", "email"),
        Field("Lead_Source", "picklist"),
        Field("Owner", "ownerlookup", "jsonobject"),
    ),
    "Accounts": (
        Field("Account_Name", mandatory=True),
        Field("Phone", "phone"),
        Field("Website", "website"),
        Field("Account_Type", "picklist"),
        Field("Annual_Revenue", "currency", "double"),
        Field("Owner", "ownerlookup", "jsonobject"),
    ),
}
#: The modules whose records a conversion makes.
MADE = ("Contacts", "Accounts", "Deals")
#: The field that a record of a module is shown by.
NAME_OF = {"Leads": "Full_Name", "Contacts": "Full_Name", "Accounts": "Account_Name", "Deals": "Deal_Name"}
#: What a lookup looks up. The owner is a user.
LOOKS_UP = {
    **{each.name: f"{each.name.removeprefix('Converted_')}s" for each in _CONVERTED},
    "Account_Name": "Accounts",
    "Contact_Name": "Contacts",
    "Owner": "users",
}
#: The lead's field that fills a field of a record that a conversion makes, by module and field.
SOURCES = {
    module: {each.fills[module]: each.name for each in FIELDS["Leads"] if module in each.fills} for module in MADE
}
_BY_NAME = {module: {each.name: each for each in known} for module, known in FIELDS.items()}
_KINDS = {
    "currency": "number",
    "integer": "number",
    "formula": "number",
    "boolean": "boolean",
    "date": "datetime",
    "datetime": "datetime",
    "lookup": "id",
    "ownerlookup": "id",
}


def field_of(module: str, name: str) -> Field | None:
    """The field of that name, if the module has it."""
    return _BY_NAME.get(module, {}).get(name)


@lru_cache(maxsize=1024)  # it is asked for every field of every row
def is_lookup(module: str, name: str) -> bool:
    """Whether a field holds another record; an account's ``Account_Name`` is text."""
    found = field_of(module, name)
    return found is not None and found.data_type in ("lookup", "ownerlookup")


@lru_cache(maxsize=1024)  # as above
def kind_of(module: str, name: str) -> str | None:
    """How criteria compare a field: ``id``, ``text``, ``number``, ``boolean`` or ``datetime``; None: there is none.

    ``Account_Name.Website`` is a field of the record that a lookup holds.
    """
    if name == "id":
        return "id"
    lookup, _, inner = name.partition(".")
    if inner:
        return kind_of(LOOKS_UP[lookup], inner) if is_lookup(module, lookup) else None
    found = field_of(module, name)
    return None if found is None else _KINDS.get(found.data_type, "text")
