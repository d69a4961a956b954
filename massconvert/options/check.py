"""The check of options: every problem with its path, and the values as they are kept."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from massconvert.leads.ids import LARGEST_ID, is_id, is_rounded
from massconvert.model.template import TemplateError, fields_of
from massconvert.options.extras import EXTRAS
from massconvert.options.ours import OURS, check_ours
from massconvert.options.problem import Problem, at, demand, kind_of, shown

#: The modules that each key allows (API page).
RELATED = ("Tasks", "Events", "Calls")
MADE = ("Contacts", "Accounts", "Deals")
#: Zoho's name → ours, of the fields of a deal that have one.
DEAL_FIELDS = {
    "Deal_Name": "name",
    "Stage": "stage",
    "Closing_Date": "closing_date",
    "Pipeline": "pipeline",
    "Amount": "amount",
}
#: Where an id comes from.
_USERS = "Zoho's Get Users API has it (GET /users)"
_MODULES = "Zoho's Modules API has it (GET /settings/modules)"
_PORTALS = "Zoho's User Types API of the portal has it (GET /settings/portals)"
#: Under which key a mapping may have a name instead of its id.
_NAME_KEYS = {_USERS: ("email", "name"), _PORTALS: ("name", "api_name")}
SPAN = re.compile(r"\+([0-9]{1,5})d")
_LONGEST_SPAN = 36_500  # days
_LONGEST_NAME = 255
_DEEPEST = 50
_MOST_FIELDS = 10  # of the lead, in a template; Get Records takes 50 in all
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character: UTF-8 has no bytes for it
#: A text of digits is an id, or was meant to be one.
_RATHER_AN_ID = re.compile(r"[-+]?[0-9]*(?:[.,][0-9]*)?(?:[eE][-+]?[0-9]+)?")

#: The keys of the body, without Deals.
KEYS = (
    "assign_to",
    "portal_user_type",
    "related_modules",
    "carry_over_tags",
    "move_attachments_to",
    "apply_assignment_threshold",
)


class ProblemError(ValueError):
    """Why a value cannot stand where it stands."""


class BodyCheck:
    """Takes options apart, notes every problem with its path, and returns the values as they are kept."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def demand(self) -> None:
        """Raise OptionsError with all problems, if there is one."""
        demand(self.problems)

    def note(self, path: str, reason: str) -> None:
        self.problems.append(Problem(path, reason))

    def value(self, path: str, value: Any, rule: Callable[[Any], Any]) -> Any:
        """What ``rule`` makes of a value; ``None`` and a problem where it raises one."""
        try:
            return rule(value)
        except ProblemError as problem:
            self.note(path, str(problem))
            return None

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        for key in given:
            if key not in ("deal", "Deals", EXTRAS, *OURS, *KEYS):
                self.note(at("$", key), _unknown_key(key))
        rules: dict[str, Callable[[str, Any], Any]] = {
            "assign_to": lambda path, value: self.reference(path, value, _USERS),
            "portal_user_type": lambda path, value: self.reference(path, value, _PORTALS),
            "related_modules": lambda path, value: self.modules(path, value, RELATED),
            "carry_over_tags": lambda path, value: self.modules(path, value, MADE),
            "move_attachments_to": lambda path, value: self.module(path, value, MADE),
            "apply_assignment_threshold": lambda path, value: self.value(path, value, _flag),
        }
        fields: dict[str, Any] = {"deal": self.given_deal(given)}
        fields |= {key: rules[key](f"$.{key}", given[key]) for key in KEYS if given.get(key) is not None}
        fields |= check_ours(self, given)
        if given.get("deal") is None and given.get("Deals") is None:
            self.needs_no_deal(given)
        return fields

    def given_deal(self, given: Mapping[str, Any]) -> dict[str, Any] | None:
        ours: Any = given.get("deal")
        zohos: Any = given.get("Deals")
        if ours is not None and zohos is not None:
            self.note("$.Deals", "is given twice, as deal and as Deals")
        value = zohos if zohos is not None else ours
        if isinstance(ours, Mapping) and value is ours and not DEAL_FIELDS.keys() & ours.keys():
            value = zoho_names(self, ours)
        return None if value is None else self.deal("$.Deals", value)

    def deal(self, path: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            self.note(path, f"must be an object with Deal_Name, Stage and Closing_Date, not {kind_of(value)}")
            return {}
        rules = {"Deal_Name": _template, "Stage": _fixed, "Closing_Date": _closing}
        fields: dict[str, Any] = {}
        for api, rule in rules.items():
            if value.get(api) is None:
                self.note(at(path, api), "is missing")
            else:
                fields[DEAL_FIELDS[api]] = self.value(at(path, api), value[api], rule)
        rest = self.rest(path, value, rules)
        for key in rest.keys() - {"Pipeline"}:
            if isinstance(rest[key], str):
                self.value(at(path, key), rest[key], _template_or_empty)
        for api in ("Pipeline", "Amount"):
            fields[DEAL_FIELDS[api]] = rest.pop(api, None)
        if isinstance(fields["pipeline"], str):
            self.value(at(path, "Pipeline"), fields["pipeline"], _fixed)
        return {**fields, "extra": rest}

    def deal_value(self, path: str, api: Any, value: Any) -> Any:
        """A value for the deal of one lead, written after the conversion as it stands: no template, no span."""
        if not (isinstance(api, str) and _FIELD.fullmatch(api)) or api.lower() == "id":
            self.note(at(path, api), "is not the API name of a field of deals, like Amount")
            return None
        if rule := _OF_ONE_DEAL.get(api):
            return self.value(at(path, api), value, rule)
        return self.json(at(path, api), value)

    def rest(self, path: str, value: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
        """What of an object passes through: all but what stands under the ``known`` keys."""
        rest = {key: item for key, item in value.items() if key not in known}
        checked: dict[str, Any] = self.json(path, rest)
        return checked

    def json(self, path: str, value: Any, depth: int = 0) -> Any:
        """A value that passes through, if JSON can carry it; dates and decimals are written as Zoho takes them."""
        if depth > _DEEPEST:
            self.note(path, "is nested too deeply")
            return None
        if isinstance(value, Mapping):
            return {
                self.value(path, str(key), _plain): self.json(at(path, key), item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.json(f"{path}[{number}]", item, depth + 1) for number, item in enumerate(value)]
        return self.value(path, value, _plain)

    def id(self, path: str, value: Any, where: str) -> str | None:
        """An id of Zoho's: a string of digits, or a JSON number that is whole. ``where`` says where to get it."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID:
            return str(value)
        text = value.strip() if isinstance(value, str) else ""
        if is_id(text):
            return text
        if isinstance(value, float) or is_rounded(text):
            self.note(
                path, "is a number that a spreadsheet or JavaScript has rounded; write the id as a string of digits"
            )
        elif isinstance(value, str):
            self.note(path, f"is {shown(value)}, but an id is needed, a string of digits; {where}")
        else:
            self.note(path, f"must be an id, a string of digits, not {kind_of(value)}; {where}")
        return None

    def reference(self, path: str, value: Any, where: str) -> dict[str, Any]:
        """A user or a portal user type: by its id, or by a name, which is kept as ``name`` without an id."""
        if isinstance(value, str) and not _RATHER_AN_ID.fullmatch(value.strip()):
            return {"name": self.value(path, value, _name)}
        if not isinstance(value, Mapping):
            return {"id": self.id(path, value, where)}
        if value.get("id") is not None:
            rest = self.rest(path, value, ("id",))
            return {"id": self.id(f"{path}.id", value["id"], where), **rest}
        for key in _NAME_KEYS[where]:
            if value.get(key) is not None:
                keys = ("id", *_NAME_KEYS[where])
                rest = self.rest(path, value, keys)
                return {"name": self.value(at(path, key), value[key], _name), **rest}
        self.note(f"{path}.id", f"is missing; {where}, or give a name and it is looked up")
        return {}

    def modules(self, path: str, value: Any, allowed: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
        if not isinstance(value, list | tuple):
            self.note(path, f"must be a list of modules, not {kind_of(value)}")
            return ()
        made = tuple(self.module(f"{path}[{number}]", item, allowed) for number, item in enumerate(value))
        names = [module.get("api_name") for module in made]
        for number, name in enumerate(names):
            if name is not None and name in names[:number]:
                self.note(f"{path}[{number}]", f"names {name} a second time")
        return made

    def module(self, path: str, value: Any, allowed: tuple[str, ...]) -> dict[str, Any]:
        if isinstance(value, str):
            if value not in allowed:
                self.note(path, _not_allowed(value, allowed))
            return {"api_name": value}
        if not isinstance(value, Mapping):
            self.note(
                path, f"must be the API name of a module, or an object with api_name and id, not {kind_of(value)}"
            )
            return {}
        if value.get("api_name") is None:
            self.note(f"{path}.api_name", f"is missing; {_MODULES}")
        for key in sorted(map(str, value.keys() - {"api_name", "id", "name"})):
            self.note(at(path, key), "is not known; a module has api_name and id")
        name = value.get("api_name")
        if name is not None and name not in allowed:
            self.note(f"{path}.api_name", _not_allowed(name, allowed))
        kept = {key: self.json(at(path, key), value[key]) for key in ("api_name", "name") if value.get(key) is not None}
        return kept if value.get("id") is None else {**kept, "id": self.id(f"{path}.id", value["id"], _MODULES)}

    def needs_no_deal(self, given: Mapping[str, Any]) -> None:
        tags = given.get("carry_over_tags")
        places = [
            (f"$.carry_over_tags[{n}]", item) for n, item in enumerate(tags if isinstance(tags, list | tuple) else ())
        ]
        for path, item in [*places, ("$.move_attachments_to", given.get("move_attachments_to"))]:
            if item == "Deals" or (isinstance(item, Mapping) and item.get("api_name") == "Deals"):
                self.note(path, "goes to Deals, but no deal is made: give Deals as well, or leave this out")


# --- rules for single values --------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ProblemError(f"must be a text, not {kind_of(value)}")
    if not value.strip():
        raise ProblemError("is empty")
    return str(_plain(value))


def _template(value: Any) -> str:
    """A text, perhaps with fields of the lead."""
    return _template_or_empty(_text(value))


def _template_or_empty(text: str) -> str:
    try:
        named = fields_of(text)
    except TemplateError as error:
        raise ProblemError(
            f"{error}: a field of the lead is written {{Last_Name}}, and a brace itself twice, like {{{{ or }}}}"
        ) from None
    if len(named) > _MOST_FIELDS:
        raise ProblemError(f"names {len(named)} fields of the lead; at most {_MOST_FIELDS} are taken")
    return text


def _fixed(value: Any) -> str:
    """A text that Zoho looks at before it converts, so that it must be the same for every lead."""
    text = _text(value)
    if re.search(r"\{[A-Za-z]\w*\}", text):
        raise ProblemError(f"is {shown(text)}, but cannot name fields of the lead; it is the same for all")
    return text


def _name(value: Any) -> str:
    """A name, by which something will be looked up: blanks around it mean nothing."""
    text = " ".join(_text(value).split())
    if len(text) > _LONGEST_NAME:
        raise ProblemError(f"is {shown(text)}, which is longer than any name")
    return text


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ProblemError(f"must be true or false, not {kind_of(value)}")
    return value


def _closing(value: Any) -> str:
    """``yyyy-mm-dd`` or ``+30d``, without leading zeros, so that equal spans are equal options."""
    if isinstance(value, date):
        return (value.date() if isinstance(value, datetime) else value).isoformat()
    text = value.strip() if isinstance(value, str) else ""
    if span := SPAN.fullmatch(text):
        if int(span[1]) <= _LONGEST_SPAN:
            return f"+{int(span[1])}d"
        raise ProblemError(f"is {shown(text)}, but at most +{_LONGEST_SPAN}d is taken")
    try:
        # Python 3.11 and later take more forms than Zoho does.
        return date.fromisoformat(text if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else "").isoformat()
    except ValueError:
        raise ProblemError(
            f"is {shown(value)}, but must be a real date like 2026-12-24, or +30d for 30 days from when it is sent"
        ) from None


def _date(value: Any) -> str:
    """A date, and no span: it is written when the lead has been converted."""
    text = _closing(value)
    if SPAN.fullmatch(text):
        raise ProblemError(f"is {shown(text)}, but for a single deal must be a date like 2026-12-24")
    return text


_OF_ONE_DEAL: dict[str, Callable[[Any], Any]] = {
    "Deal_Name": _text,
    "Stage": _text,
    "Pipeline": _text,
    "Closing_Date": _date,
}


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        value = int(value) if value == value.to_integral_value() else float(value)
    elif isinstance(value, date):
        value = value.isoformat()
    if isinstance(value, str):
        carried = not _SURROGATE.search(value)
    else:
        carried = value is None or (isinstance(value, int | float) and abs(value) <= sys.float_info.max)  # nor nan
    if not carried:
        raise ProblemError(f"is {shown(value)}, which JSON cannot carry")
    return value


# --- words --------------------------------------------------------------------------------------------------


def zoho_names(check: BodyCheck, given: Mapping[str, Any]) -> dict[str, Any]:
    """A deal in Python's form under Zoho's names."""
    ours = {name: api for api, name in DEAL_FIELDS.items()}
    for key in given:
        if key in ours or key == "extra":
            continue
        meant = DEAL_FIELDS.get(key) or next(iter(get_close_matches(key, ours, n=1)), "")
        near = f"did you mean {meant}? " if meant else ""
        check.note(at("$.Deals", key), f"is not known; {near}Other fields of the Deals module go into extra={{…}}")
    extra = given.get("extra")
    if extra is not None and not isinstance(extra, Mapping):
        check.note("$.Deals.extra", f"must be an object with fields of the Deals module, not {kind_of(extra)}")
    deal = {api: given[name] for name, api in ours.items() if given.get(name) is not None}
    more = dict(extra) if isinstance(extra, Mapping) else {}
    for api in deal.keys() & more.keys():
        check.note(at("$.Deals", api), f"is given twice, as {DEAL_FIELDS[api]} and in extra")
    return {**more, **deal}


def _unknown_key(key: str) -> str:
    if key == "ids":
        return "does not belong here: the ids of the leads are given apart from the options"
    known = {name.lower(): name for name in ("Deals", *KEYS, *OURS)}
    near = get_close_matches(key.lower(), known, n=1)
    return f"is not known; {f'did you mean {known[near[0]]}?' if near else f'known are {_listed(known.values())}'}"


def _not_allowed(name: Any, allowed: tuple[str, ...]) -> str:
    if name in ("Meetings", "Meeting") and "Events" in allowed:
        return f"is {shown(name)}; the API's name of meetings is Events"
    return f"is {shown(name)}, but must be one of {_listed(allowed)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
