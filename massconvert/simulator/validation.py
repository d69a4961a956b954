"""What Zoho says to the payload of a mass convert call, place by place; pure.

The wording follows the API page and the examples of the current description. What is checked first decides which of
several mistakes is told, as only one ever is: the shape of ``ids``, then the options, then the leads themselves (see
``Rules.leads_first``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from massconvert.simulator import catalogue
from massconvert.simulator.messages import RefusedError, place
from massconvert.simulator.rules import Rules
from massconvert.simulator.special import Special

_ID = re.compile(r"[0-9]{1,19}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Payload:
    """A payload that Zoho takes."""

    ids: Sequence[str]
    deal: dict[str, Any] | None


def read_payload(
    body: bytes, rules: Rules, convertible: Callable[[str], bool], special: Callable[[str], Special | None]
) -> Payload:
    """The payload in ``body``. ``convertible`` tells of a lead id whether that lead exists and is unconverted, and
    ``special`` how a payload with it is refused.

    Raises RefusedError with Zoho's words.
    """
    payload = _parse(body)
    ids = _ids(payload, rules)
    if rules.leads_first:
        _check_leads(ids, rules, convertible, special)
    _check_options(payload, rules)
    if not rules.leads_first:
        _check_leads(ids, rules, convertible, special)
    return Payload(ids, deal=payload.get("Deals"))


def _parse(body: bytes) -> dict[str, Any]:
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
        raise _missing("$.ids")
    given = payload["ids"]
    if not isinstance(given, list):
        raise _invalid("$.ids", "jsonarray")
    if not given:
        raise _missing("$.ids")
    if len(given) > rules.most_leads:
        raise _too_many(rules)
    return [_id(value, f"$.ids[{number}]") for number, value in enumerate(given)]


def _too_many(rules: Rules) -> RefusedError:
    details = {"limit": rules.most_leads, "limit_due_to": [place("$.ids")]}
    return RefusedError(400, rules.too_many_code, "Limit exceeded for mass convert", details)


def _check_leads(
    ids: Sequence[str], rules: Rules, convertible: Callable[[str], bool], special: Callable[[str], Special | None]
) -> None:
    for number, lead_id in enumerate(ids):
        if found := special(lead_id):
            raise found.refusal(lead_id, number)
    bad = [
        f"$.ids[{number}]" for number, lead_id in enumerate(ids) if lead_id in ids[:number] or not convertible(lead_id)
    ]
    if not bad:
        return
    if rules.names_bad_leads == "all" and len(bad) > 1:
        raise RefusedError(400, "INVALID_DATA", "invalid data", {"errors": [place(path) for path in bad]})
    raise _invalid(bad[0] if rules.names_bad_leads != "none" else "$.ids")


# --- the options ------------------------------------------------------------------------------------------


def _check_options(payload: Mapping[str, Any], rules: Rules) -> None:
    if rules.takes_any_options:
        return
    if "Deals" in payload:
        _check_deal(payload["Deals"], rules)
    _check_assign_to(payload, rules)
    if "portal_user_type" in payload:
        _check_portal_user_type(payload["portal_user_type"])
    for name in ("related_modules", "carry_over_tags"):
        if name in payload:
            if not isinstance(payload[name], list):
                raise _invalid(f"$.{name}", "jsonarray")
            for number, module in enumerate(payload[name]):
                _check_module(module, f"$.{name}[{number}]", catalogue.ALLOWED_MODULES[name])
    if "move_attachments_to" in payload:
        name = "move_attachments_to"
        _check_module(payload[name], f"$.{name}", catalogue.ALLOWED_MODULES[name])
    if not isinstance(payload.get("apply_assignment_threshold", True), bool):
        raise _invalid("$.apply_assignment_threshold", "boolean")


def _check_deal(deal: Any, rules: Rules) -> None:
    if not isinstance(deal, dict):
        raise _invalid("$.Deals", "jsonobject")
    mandatory = ["Deal_Name", "Stage", "Closing_Date", *(["Pipeline"] if rules.pipelines else [])]
    besides = sorted(rules.mandatory_deal_fields)
    missing = [f"$.Deals.{name}" for name in (*mandatory, *besides) if deal.get(name) in (None, "")]
    if missing:
        raise _missing(*missing)
    for name in mandatory:
        if not isinstance(deal[name], str):
            raise _invalid(f"$.Deals.{name}", "date" if name == "Closing_Date" else "string")
    if not _is_date(deal["Closing_Date"]):
        raise _invalid("$.Deals.Closing_Date", "date")
    if len(deal["Deal_Name"]) > 255:
        raise _invalid("$.Deals.Deal_Name", maximum_length=255)
    for field in catalogue.fields("Deals", pipelines=rules.pipelines):
        if field["api_name"] not in mandatory and deal.get(field["api_name"]) is not None:
            check_field(deal[field["api_name"]], field)
    _check_stage(deal, rules)


def check_field(value: Any, field: Mapping[str, Any]) -> None:
    """A field of a deal, by its metadata. A key that is no field at all is ignored."""
    path, json_type = f"$.Deals.{field['api_name']}", str(field["json_type"])
    if isinstance(value, bool) != (json_type == "boolean") or not isinstance(value, _JSON_TYPES[json_type]):
        raise _invalid(path, json_type)
    if isinstance(value, str) and len(value) > field["length"]:
        raise _invalid(path, maximum_length=field["length"])
    known = [choice["display_value"] for choice in field["pick_list_values"]]
    if known and any(item not in known for item in (value if isinstance(value, list) else [value])):
        raise _invalid(path)


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "double": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "jsonobject": (dict,),
    "jsonarray": (list,),
}


def _check_stage(deal: Mapping[str, Any], rules: Rules) -> None:
    stages: Sequence[str] = catalogue.STAGES
    if rules.pipelines:
        by_name = {_packed(name): stages for name, stages in catalogue.PIPELINES.items()}
        if _packed(deal["Pipeline"]) not in by_name:
            raise _invalid("$.Deals.Pipeline")
        stages = by_name[_packed(deal["Pipeline"])]
    if deal["Stage"] not in stages:
        raise _invalid("$.Deals.Stage")


def _check_assign_to(payload: Mapping[str, Any], rules: Rules) -> None:
    if "assign_to" not in payload:
        if rules.assign_to_mandatory:
            raise _missing("$.assign_to")
        return
    user = _object(payload["assign_to"], "$.assign_to")
    if user.get("id") is None:
        raise _missing("$.assign_to.id")
    if not catalogue.is_active(_id(user["id"], "$.assign_to.id"), rules.more_users):
        # The path is Zoho's own, though no such key is in the body.
        raise RefusedError(400, "INVALID_DATA", "Given assignee param does not match", place("$.assignee.id"))


def _check_portal_user_type(given: Any) -> None:
    portal = _object(given, "$.portal_user_type")
    if portal.get("id") is None:
        raise _missing("$.portal_user_type.id")
    known = catalogue.PORTAL_USER_TYPES.get(_id(portal["id"], "$.portal_user_type.id"))
    if known is None:
        raise _invalid("$.portal_user_type.id")
    for name in ("name", "api_name"):  # the page has the one, the description the other
        if portal.get(name, known) != known:
            raise _invalid(f"$.portal_user_type.{name}")


def _check_module(given: Any, path: str, allowed: Sequence[str]) -> None:
    module = _object(given, path)
    name, module_id = module.get("api_name"), module.get("id")
    if name is None and module_id is None:
        expected = [place(f"{path}.id"), place(f"{path}.api_name")]
        raise RefusedError(400, "EXPECTED_FIELD_MISSING", "Specify Atleast one field", {"expected_fields": expected})
    by_id = None
    if module_id is not None:
        wanted = _id(module_id, f"{path}.id")
        by_id = next((known for known, (known_id, _) in catalogue.MODULES.items() if known_id == wanted), None)
        if by_id is None:
            raise _invalid(f"{path}.id")
    if name is not None and name not in catalogue.MODULES:
        raise _invalid(f"{path}.api_name")
    if name is not None and by_id is not None and name != by_id:
        due_to = [place(f"{path}.id"), place(f"{path}.api_name")]
        details = {"ambiguity_due_to": due_to}
        raise RefusedError(400, "AMBIGUITY_DURING_PROCESSING", "two modules are different", details)
    if (name or by_id) not in allowed:
        raise _invalid(f"{path}.{'api_name' if name is not None else 'id'}")


# --- values -----------------------------------------------------------------------------------------------


def _id(value: Any, path: str) -> str:
    """An id, which Zoho takes as text or as a number."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise _invalid(path, "long")
    return text


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(path, "jsonobject")
    return value


def _is_date(text: str) -> bool:
    try:
        return bool(_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def _packed(name: str) -> str:
    """A pipeline's name without blanks: the API page itself writes ``Standard(Standard)``."""
    return name.replace(" ", "")


def _missing(*paths: str) -> RefusedError:
    """Mandatory keys are missing: one is named by itself, several in a list."""
    if len(paths) == 1:
        return RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", place(paths[0]))
    details = {"expected_fields": [place(path) for path in paths]}
    return RefusedError(400, "EXPECTED_FIELD_MISSING", "required field not found", details)


def _invalid(path: str, expected_data_type: str = "", **more: Any) -> RefusedError:
    """The value at ``path`` is wrong, or of the wrong type."""
    details = {**place(path), **more}
    if expected_data_type:
        details["expected_data_type"] = expected_data_type
    return RefusedError(400, "INVALID_DATA", "invalid data", details)
