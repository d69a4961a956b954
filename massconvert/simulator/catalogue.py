"""The fixed part of the simulated organisation: users, modules, fields, layouts, pipelines. All names are invented."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from massconvert.simulator import metadata
from massconvert.simulator.fields import FIELDS, LOOKS_UP, MADE
from massconvert.simulator.leads import CALLER, moment
from massconvert.simulator.rules import Rules

ORG_ID = "3652397"
LEADS = "3652397000000002175"

#: Modules by API name: their id and the name that people see.
MODULES = {
    "Leads": (LEADS, "Leads"),
    "Contacts": ("3652397000000002179", "Contacts"),
    "Accounts": ("3652397000000002180", "Accounts"),
    "Deals": ("3652397000000002172", "Deals"),
    "Tasks": ("3652397000000002193", "Tasks"),
    "Events": ("3652397000000002195", "Meetings"),
    "Calls": ("3652397000000002197", "Calls"),
}
#: What each module option of mass convert may name.
ALLOWED_MODULES = {
    "related_modules": ("Tasks", "Events", "Calls"),
    "carry_over_tags": ("Contacts", "Accounts", "Deals"),
    "move_attachments_to": ("Contacts", "Accounts", "Deals"),
}

STAGES = (
    "Qualification",
    "Needs Analysis",
    "Value Proposition",
    "Id. Decision Makers",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
)
#: Pipelines by name, with their stages.
PIPELINES = {"Standard (Standard)": STAGES, "Renewals": ("Qualification", "Negotiation/Review", "Closed Won")}
LAYOUTS = {module: f"36523970000000910{55 + place}" for place, module in enumerate(MODULES)}
PORTAL_USER_TYPES = {"3652397000000432001": "Client", "3652397000000432005": "Partner"}
#: Portals by name, with the ids of their user types.
PORTALS = {"ExamplePortal": tuple(PORTAL_USER_TYPES)}

USERS: tuple[dict[str, Any], ...] = tuple(
    {
        "id": user_id,
        "first_name": first,
        "last_name": last,
        "full_name": f"{first} {last}",
        "email": f"{first.lower()}@example.com",
        "status": status,
        "confirm": True,
        "role": {"name": "CEO" if first == "Ann" else "Manager", "id": "3652397000000026005"},
        "profile": {"name": "Administrator", "id": "3652397000000026011"},
    }
    for user_id, first, last, status in (
        (CALLER, "Ann", "Archer", "active"),
        ("3652397000000282001", "Bob", "Baker", "active"),
        ("3652397000000283001", "Carol", "Cooper", "disabled"),
    )
)
_FIRST_MORE_USER = 3652397000000900001


def users(more: int) -> list[dict[str, Any]]:
    """All users: those of the catalogue, and so ``more`` invented ones."""
    invented = (
        {
            **USERS[1],
            "id": str(_FIRST_MORE_USER + 1000 * number),
            "first_name": "User",
            "last_name": f"Number {number}",
            "full_name": f"User Number {number}",
            "email": f"user{number}@example.com",
        }
        for number in range(more)
    )
    return [*USERS, *invented]


def is_active(user_id: str, more: int) -> bool:
    """Whether there is an active user of that id."""
    return any(user["id"] == user_id and user["status"] == "active" for user in users(more))


#: The values of picklists.
_CHOICES = {
    "Stage": STAGES,
    "Pipeline": tuple(PIPELINES),
    "Type": ("-None-", "Existing Business", "New Business"),
    "Sales_Regions": ("North", "East", "South"),
}
#: Fields of Deals that nobody writes, or that the conversion fills in.
_COMPUTED = frozenset({"Expected_Revenue", "Full_Name"})


def modules() -> dict[str, Any]:
    """``GET settings/modules``."""
    return {
        "modules": [
            {
                **metadata.of_module(place),
                "id": module_id,
                "api_name": name,
                "module_name": name,
                "plural_label": label,
                "singular_label": label.removesuffix("s"),
                "generated_type": "default",
                "api_supported": True,
                "convertable": name == "Leads",
            }
            for place, (name, (module_id, label)) in enumerate(MODULES.items(), start=1)
        ]
    }


def field_id(module: str, name: str) -> str:
    """The id of a field."""
    names = [each.name for each in FIELDS[module]]
    return f"36523970000000{list(MODULES).index(module) + 10}{names.index(name):03}"


def fields(module: str, *, pipelines: bool, unique: Collection[str] = ()) -> list[dict[str, Any]]:
    """The fields of a module, as ``GET settings/fields`` and the sections of a layout have them."""
    found = []
    for number, known in enumerate(FIELDS.get(module, ())):
        name = known.name
        if name == "Pipeline" and not pipelines:
            continue
        values, label = _CHOICES.get(name, ()), name.removesuffix("__s").replace("_", " ")
        field: dict[str, Any] = {
            **metadata.of_field(name, label, (module, MODULES[module][0]), number),
            "id": field_id(module, name),
            "api_name": name,
            "field_label": label,
            "data_type": known.data_type,
            "json_type": known.json_type,
            "length": 120,
            "system_mandatory": known.mandatory,
            "custom_field": name in ("Budget_Code", "Sales_Regions", "Renewal", "Demo_At"),
            "visible": True,
            "read_only": name.startswith("Converted_") or name in _COMPUTED,
            "unique": {"casesensitive": False} if f"{module}.{name}" in unique else {},
            "pick_list_values": [
                {**metadata.of_value(place), "display_value": value, "actual_value": value}
                for place, value in enumerate(values, start=1)
            ],
        }
        if module == "Leads":
            field["convert_mapping"] = {made: known.fills.get(made) for made in MADE}
        if known.data_type == "lookup":
            field["lookup"] = {"module": {"api_name": LOOKS_UP[name], "id": MODULES[LOOKS_UP[name]][0]}}
        found.append(field)
    return found


def layouts(module: str, *, pipelines: bool, required: Collection[str] = ()) -> list[dict[str, Any]]:
    """The layouts of a module: one, Standard. ``required`` are fields in addition to those that always are."""
    always = {"Deals": ("Pipeline", "Owner", "Account_Name"), "Leads": ("Company",)}.get(module, ())
    mandatory = fields(module, pipelines=pipelines)
    for field in mandatory:
        field.update(metadata.of_laid_out_field(1))
        field["required"] = field["system_mandatory"] or field["api_name"] in (*always, *required)
    section = metadata.of_section(1) | {
        "api_name": f"{module}_Information",
        "display_label": f"{module} Information",
        "fields": mandatory,
    }
    named = {"id": LAYOUTS[module], "name": "Standard", "status": "active", "visible": True}
    return [metadata.of_layout("Standard") | named | {"sections": [section]}]


def portals() -> list[dict[str, Any]]:
    """``GET settings/portals``."""
    return [
        {**metadata.of_portal(), "name": name, "active": True, "zaid": f"10{number}"}
        for number, name in enumerate(PORTALS, start=1)
    ]


def user_types(portal: str) -> list[dict[str, Any]]:
    """The user types of a portal. Raises KeyError if there is no such portal."""
    return [
        {
            "id": type_id,
            "name": PORTAL_USER_TYPES[type_id],
            "active": True,
            "default": number == 0,
            "no_of_users": 0,
            "personality_module": {"api_name": "Contacts", "id": MODULES["Contacts"][0], "plural_label": "Contacts"},
        }
        for number, type_id in enumerate(PORTALS[portal])
    ]


def pipelines() -> list[dict[str, Any]]:
    """The pipelines of Deals' only layout."""
    return [
        {
            "id": f"365239700000000950{number}",
            "display_value": name,
            "actual_value": name,
            "default": number == 0,
            "maps": [
                {
                    **metadata.of_stage(stage),
                    "display_value": stage,
                    "actual_value": stage,
                    "sequence_number": place,
                    "id": f"36523970000000068{place:02}",
                }
                for place, stage in enumerate(stages, start=1)
            ],
        }
        for number, (name, stages) in enumerate(PIPELINES.items())
    ]


def organisation(rules: Rules, now: float) -> dict[str, Any]:
    """``GET org``."""
    trial = None if rules.trial_days is None else moment(now + rules.trial_days * 86_400)
    return {
        "org": [
            {
                "id": ORG_ID,
                "company_name": "Example Ltd",
                "type": rules.kind,
                "primary_email": USERS[0]["email"],
                "time_zone": "Etc/UTC",
                "currency": "US Dollar",
                "iso_code": "USD",
                "zgid": ORG_ID,
                "license_details": {
                    "paid": trial is None and rules.edition != "free",
                    "paid_type": rules.edition,
                    "paid_expiry": moment(now + 365 * 86_400),
                    "trial_type": rules.edition if trial else None,
                    "trial_expiry": trial,
                    "trial_action": "trial" if trial else "none",
                    "users_license_purchased": len(USERS),
                },
            }
        ]
    }
