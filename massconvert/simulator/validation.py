"""What Zoho says to the payload of a mass convert call, place by place; pure.

The wording follows the API page and the examples of the current description. What is checked first decides which of
several mistakes is told, as only one ever is: the shape of ``ids``, then the options, then the leads themselves (see
``Behaviour.leads_first``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from massconvert.simulator import catalogue
from massconvert.simulator.leads import Lead
from massconvert.simulator.messages import RefusedError, place
from massconvert.simulator.records import Record
from massconvert.simulator.rules import Rules
from massconvert.simulator.special import ALREADY_CONVERTED, LOCKED, NOT_APPROVED

_ID = re.compile(r"[0-9]{1,19}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Payload:
    """A payload that Zoho takes. ``fails``: its job converts nobody."""

    ids: Sequence[str]
    options: Mapping[str, Any]
    fails: bool = False


#: The keys of a body, and the first version that has each; others are unknown to it.
_KEYS = {
    **dict.fromkeys(("ids", "Deals", "assign_to", "carry_over_tags", "related_modules", "move_attachments_to"), 4),
    "portal_user_type": 4,
    "apply_assignment_threshold": 5,
}


def read_payload(body: bytes, rules: Rules, lead_of: Callable[[str], Lead | None], version: int) -> Payload:
    """The payload in ``body``; ``lead_of`` gives the lead of an id that the user sees.

    Raises RefusedError with Zoho's words.
    """
    payload = parse(body)
    ids = _ids(payload, rules)
    if rules.leads_first:
        _check_leads(ids, rules, lead_of)
    fails = False
    try:
        _check_options(payload, rules, version)
    except RefusedError as refused:
        first = next(iter(refused.details.get("expected_fields", ())), refused.details)
        fails = rules.wrong_deal == "in_job" and str(first.get("json_path")).startswith("$.Deals")
        if not fails:
            raise
    if not rules.leads_first:
        _check_leads(ids, rules, lead_of)
    return Payload(ids, payload, fails)


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises RefusedError."""
    try:
        payload = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        payload = None
    if not isinstance(payload, dict):
        raise RefusedError(400, "INVALID_DATA", "body", {"expected_data_type": "jsonobject"})
    return payload


# --- the leads --------------------------------------------------------------------------------------------


def _ids(payload: Mapping[str, Any], rules: Rules) -> list[str]:
    if payload.get("ids") is None:
        raise missing_error("$.ids")
    given = payload["ids"]
    if not isinstance(given, list):
        raise invalid_error("$.ids", "jsonarray")
    if not given:
        raise missing_error("$.ids")
    if len(given) > rules.most_leads:
        raise _too_many(rules)
    return [id_in(value, f"$.ids[{number}]") for number, value in enumerate(given)]


def _too_many(rules: Rules) -> RefusedError:
    details = {"limit": rules.most_leads, "limit_due_to": [place("$.ids")]}
    return RefusedError(400, rules.too_many_code, "Limit exceeded for mass convert", details)


def _check_leads(ids: Sequence[str], rules: Rules, lead_of: Callable[[str], Lead | None]) -> None:
    handling = {LOCKED: rules.locked_lead, NOT_APPROVED: rules.unapproved_lead, ALREADY_CONVERTED: rules.converted_lead}
    bad: dict[str, list[int]] = {"unknown": [], "converted": []}
    for number, lead_id in enumerate(ids):
        lead = lead_of(lead_id)
        if lead and lead.special:
            if handling.get(lead.special.code, "refuse_all") == "refuse_all":
                raise lead.special.refusal(lead_id, number)
        elif lead is None or lead_id in ids[:number]:
            bad["unknown"] += [number] if rules.one_bad_id == "refuse_all" else []
        elif lead.converted_at is not None:
            bad["converted"] += [number] if rules.converted_lead == "refuse_all" else []
        elif lead.live_jobs and rules.two_jobs_one_lead == "refuse":
            raise RefusedError(400, "ALREADY_SCHEDULED", "a job with this record is running", place(f"$.ids[{number}]"))
    first = bad.pop(rules.first_named, [])
    places = [*first, *sorted(each for others in bad.values() for each in others)]
    paths = [f"$.ids[{number}]" for number in places]
    if not paths:
        return
    if rules.names_bad_leads == "all" and len(paths) > 1:
        raise RefusedError(400, "INVALID_DATA", "invalid data", {"errors": [place(path) for path in paths]})
    raise invalid_error(paths[0] if rules.names_bad_leads != "none" else "$.ids")


# --- the options ------------------------------------------------------------------------------------------


def _check_options(payload: Mapping[str, Any], rules: Rules, version: int) -> None:
    unknown = [name for name in payload if _KEYS.get(name, version + 1) > version]
    if unknown and rules.unknown_keys == "refused":
        raise invalid_error(f"$.{unknown[0]}")
    if not rules.takes_any_options:
        _check_known_options({name: value for name, value in payload.items() if name not in unknown}, rules)


def _check_known_options(payload: Mapping[str, Any], rules: Rules) -> None:
    if "Deals" in payload:
        check_deal(payload["Deals"], rules)
    if rules.assign_to_mandatory and "assign_to" not in payload:
        raise missing_error("$.assign_to")
    check_assign_to(payload, rules)
    if "portal_user_type" in payload:
        _check_portal_user_type(payload["portal_user_type"])
    for name in ("related_modules", "carry_over_tags"):
        if name in payload:
            if not isinstance(payload[name], list):
                raise invalid_error(f"$.{name}", "jsonarray")
            for number, module in enumerate(payload[name]):
                check_module(module, f"$.{name}[{number}]", catalogue.ALLOWED_MODULES[name])
    if "move_attachments_to" in payload:
        name = "move_attachments_to"
        check_module(payload[name], f"$.{name}", catalogue.ALLOWED_MODULES[name])
    if not isinstance(payload.get("apply_assignment_threshold", True), bool):
        raise invalid_error("$.apply_assignment_threshold", "boolean")


def check_deal(deal: Any, rules: Rules, at: str = "$.Deals") -> None:
    """The deal of a body, at this path. Raises RefusedError."""
    if not isinstance(deal, dict):
        raise invalid_error(at, "jsonobject")
    mandatory = ["Deal_Name", "Stage", "Closing_Date", *(["Pipeline"] if rules.pipelines else [])]
    further = sorted(rules.mandatory_deal_fields)
    missing = [f"{at}.{name}" for name in (*mandatory, *further) if deal.get(name) in (None, "")]
    if missing:
        raise missing_error(*missing)
    for name in mandatory:
        if not isinstance(deal[name], str):
            raise invalid_error(f"{at}.{name}", "date" if name == "Closing_Date" else "string")
    if not _is_date(deal["Closing_Date"]):
        raise invalid_error(f"{at}.Closing_Date", "date")
    if len(deal["Deal_Name"]) > 255:
        raise invalid_error(f"{at}.Deal_Name", maximum_length=255)
    for field in catalogue.fields("Deals", pipelines=rules.pipelines):
        if field["api_name"] not in mandatory and deal.get(field["api_name"]) is not None:
            check_field(deal[field["api_name"]], field, at)
    _check_stage(deal, rules, at)


def check_field(value: Any, field: Mapping[str, Any], at: str) -> None:
    """A field of the record at this path, by its metadata. Raises RefusedError."""
    path, json_type = f"{at}.{field['api_name']}", str(field["json_type"])
    if isinstance(value, bool) != (json_type == "boolean") or not isinstance(value, _JSON_TYPES[json_type]):
        raise invalid_error(path, json_type)
    if isinstance(value, str) and len(value) > field["length"]:
        raise invalid_error(path, maximum_length=field["length"])
    known = [choice["display_value"] for choice in field["pick_list_values"]]
    if known and any(item not in known for item in (value if isinstance(value, list) else [value])):
        raise invalid_error(path)


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "double": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "jsonobject": (dict,),
    "jsonarray": (list,),
}


def _check_stage(deal: Mapping[str, Any], rules: Rules, at: str) -> None:
    stages: Sequence[str] = catalogue.STAGES
    if rules.pipelines:
        by_name = {_packed(name): stages for name, stages in catalogue.PIPELINES.items()}
        if _packed(deal["Pipeline"]) not in by_name:
            raise invalid_error(f"{at}.Pipeline")
        stages = by_name[_packed(deal["Pipeline"])]
    if deal["Stage"] not in stages:
        if rules.pipelines and deal["Stage"] in catalogue.STAGES and at != "$.Deals":  # as a single convert says it
            details = {"mapped_field": "Pipeline", **place(f"{at}.Stage")}
            raise RefusedError(400, "MAPPING_MISMATCH", "Pipeline doesn`t contain the Stage", details)
        raise invalid_error(f"{at}.Stage")


def check_assign_to(payload: Mapping[str, Any], rules: Rules, at: str = "$") -> None:
    """The owner to be, within the object at this path. Raises RefusedError."""
    if "assign_to" not in payload:
        return
    user = object_in(payload["assign_to"], f"{at}.assign_to")
    if user.get("id") is None:
        raise missing_error(f"{at}.assign_to.id")
    if not catalogue.is_active(id_in(user["id"], f"{at}.assign_to.id"), rules.more_users):
        if at != "$":
            raise RefusedError(400, "INVALID_DATA", "Non Subordinate User Found", place(f"{at}.assign_to.id"))
        # The path is Zoho's own, though no such key is in the body.
        raise RefusedError(400, "INVALID_DATA", "Given assignee param does not match", place("$.assignee.id"))


def _check_portal_user_type(given: Any) -> None:
    portal = object_in(given, "$.portal_user_type")
    if portal.get("id") is None:
        raise missing_error("$.portal_user_type.id")
    known = catalogue.PORTAL_USER_TYPES.get(id_in(portal["id"], "$.portal_user_type.id"))
    if known is None:
        raise invalid_error("$.portal_user_type.id")
    for name in ("name", "api_name"):  # the page has the one, the description the other
        if portal.get(name, known) != known:
            raise invalid_error(f"$.portal_user_type.{name}")


def check_module(given: Any, path: str, allowed: Sequence[str]) -> None:
    """A module that an option names by its name or id. Raises RefusedError."""
    module = object_in(given, path)
    name, module_id = module.get("api_name"), module.get("id")
    if name is None and module_id is None:
        expected = [place(f"{path}.id"), place(f"{path}.api_name")]
        raise RefusedError(400, "EXPECTED_FIELD_MISSING", "Specify Atleast one field", {"expected_fields": expected})
    by_id = None
    if module_id is not None:
        wanted = id_in(module_id, f"{path}.id")
        by_id = next((known for known, (known_id, _) in catalogue.MODULES.items() if known_id == wanted), None)
        if by_id is None:
            raise invalid_error(f"{path}.id")
    if name is not None and name not in catalogue.MODULES:
        raise invalid_error(f"{path}.api_name")
    if name is not None and by_id is not None and name != by_id:
        due_to = [place(f"{path}.id"), place(f"{path}.api_name")]
        details = {"ambiguity_due_to": due_to}
        raise RefusedError(400, "AMBIGUITY_DURING_PROCESSING", "two modules are different", details)
    if (name or by_id) not in allowed:
        raise invalid_error(f"{path}.{'api_name' if name is not None else 'id'}")


# --- values -----------------------------------------------------------------------------------------------


def id_in(value: Any, path: str) -> str:
    """An id, which Zoho takes as text or as a number."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise invalid_error(path, "long")
    return text


def object_in(value: Any, path: str) -> dict[str, Any]:
    """An object. Raises RefusedError."""
    if not isinstance(value, dict):
        raise invalid_error(path, "jsonobject")
    return value


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _packed(name: str) -> str:
    """A pipeline's name without blanks: the API page itself writes ``Standard(Standard)``."""
    return name.replace(" ", "")


def missing_error(*paths: str) -> RefusedError:
    """Mandatory keys are missing: one is named by itself, several in a list."""
    if len(paths) == 1:
        return RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", place(paths[0]))
    details = {"expected_fields": [place(path) for path in paths]}
    return RefusedError(400, "EXPECTED_FIELD_MISSING", "required field not found", details)


def invalid_error(path: str, expected_data_type: str = "", **more: Any) -> RefusedError:
    """The value at ``path`` is wrong, or of the wrong type."""
    details = {**place(path), **more}
    if expected_data_type:
        details["expected_data_type"] = expected_data_type
    return RefusedError(400, "INVALID_DATA", "invalid data", details)


def duplicate_error(record: Record, named: Mapping[str, str], status: int = 400) -> RefusedError:
    """A unique field of what is to be made has the value of this record; ``named`` is the field, or the lead."""
    module = {"api_name": record.module, "id": catalogue.MODULES[record.module][0]}
    details = {**named, "duplicate_record": {"id": record.id, "module": module}}
    return RefusedError(status, "DUPLICATE_DATA", "duplicate data", details)
