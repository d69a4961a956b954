"""A deal against the organisation's own metadata: everything that Zoho would refuse, at once and before a call; pure.

What decides is said by Zoho's pages: a deal needs the fields that are mandatory in the module and in the layout, apart
from what the conversion itself fills in; picklists take the values they list (``display_value`` is what requests send,
``actual_value`` is accepted too); a stage must belong to the pipeline. A key that the Fields API does not list would be
lost or refused, so it is refused here, with the nearest. Anything that is less than sure is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from massconvert.leads.ids import is_id
from massconvert.model import Listing
from massconvert.model.template import fields_of, placeholder
from massconvert.options.check import SPAN
from massconvert.options.extras import deal_templates
from massconvert.options.names import Listings, Row
from massconvert.options.problem import Problem, kind_of, nearest, shown

#: What a deal is checked against.
SHAPE = (Listing.FIELDS, Listing.LAYOUTS, Listing.PIPELINES, Listing.LEAD_FIELDS)
#: Keys of a record that are not fields of the module.
_BESIDES = frozenset({"Layout", "Tag", "id"})
#: What a conversion fills in by itself: the new contact and account, and the owner from ``assign_to``.
_FILLED_IN = frozenset({"Owner", "Account_Name", "Contact_Name", "Contact_Role", "Created_By", "Modified_By"})
#: What a template may fill in.
_TEXTS = frozenset({"text", "textarea"})
#: Nobody writes these.
_COMPUTED = frozenset({"formula", "autonumber", "auto_number", "rollup_summary", "profileimage"})


@dataclass
class Findings:
    """What was found: ``problems`` are sure, ``warnings`` are for people to look at."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def check_deal(deal: Mapping[str, Any], listings: Listings) -> Findings:
    """Check a deal under Zoho's names against as much of `SHAPE` as ``listings`` has."""
    found = Findings()
    fields = {row["api_name"]: row for row in listings.get(Listing.FIELDS) or ()}
    layout = _layout(deal, listings.get(Listing.LAYOUTS) or (), found)
    if fields:
        _missing(deal, fields, layout, listings, found)
        for key, value in deal.items():
            _field(key, value, fields, found)
    _templates(deal, listings.get(Listing.LEAD_FIELDS) or (), found)
    pipelines = listings.get(Listing.PIPELINES) or ()
    if layout is not None:
        pipelines = [row for row in pipelines if row["layout"] == layout["id"]] or pipelines
    _stage(deal, fields, pipelines, found)
    return found


# --- what must be there -----------------------------------------------------------------------------------


def _layout(deal: Mapping[str, Any], layouts: Sequence[Row], found: Findings) -> Row | None:
    """The layout that the deals get: the one given, or Standard (the page: others' mandatory fields do not count)."""
    given = deal.get("Layout")
    wanted = str(given.get("id")) if isinstance(given, Mapping) else given if isinstance(given, str) else None
    if wanted is not None and layouts:
        for row in layouts:
            if wanted in (row["id"], row["name"]):
                return row
        known = [(form, row["name"]) for row in layouts for form in (row["name"], row["id"])]
        found.problems.append(
            Problem("$.Deals.Layout", f"is {wanted!r}, but there is no such layout{nearest(wanted, known)}")
        )
    return next((row for row in layouts if row["name"] == "Standard"), layouts[0] if layouts else None)


def _missing(
    deal: Mapping[str, Any], fields: Mapping[str, Row], layout: Row | None, listings: Listings, found: Findings
) -> None:
    by_layout = set(layout["required"]) if layout is not None else set()
    # Of other layouts, the page says that their mandatory fields are not looked at.
    sure = layout is not None and layout["name"] == "Standard" and Listing.LEAD_FIELDS in listings
    mapped = {row["fills"]: row["api_name"] for row in listings.get(Listing.LEAD_FIELDS) or () if row["fills"]}
    for name, row in fields.items():
        if deal.get(name) not in (None, "") or not (row["mandatory"] or name in by_layout):
            continue
        if name in _FILLED_IN or row["computed"] or row["default"] or row["type"] in ("boolean", *_COMPUTED):
            continue
        why = "mandatory in the Deals module" if row["mandatory"] else "mandatory in the layout"
        path = f"$.Deals.{name}"
        if name in mapped:
            words = f"is missing; it is {why}, and is filled from the lead's {mapped[name]} where that is not empty"
            found.warnings.append(Problem(path, words))
        elif row["mandatory"] or sure:
            found.problems.append(Problem(path, f"is missing, but is {why}{_choices(row)}"))
        else:
            found.warnings.append(Problem(path, f"is missing; it is {why}, and Zoho may ask for it{_choices(row)}"))


def _choices(row: Row) -> str:
    values = [forms[0] for forms in row["values"] if forms[0] != "-None-"]
    return f"; there are: {', '.join(values)}" if 0 < len(values) <= 12 else ""


# --- each value -------------------------------------------------------------------------------------------


def _field(key: str, value: Any, fields: Mapping[str, Row], found: Findings) -> None:
    path = f"$.Deals.{key}" if re.fullmatch(r"\w+", key) else f"$.Deals[{key!r}]"
    row = fields.get(key)
    if row is None:
        if key not in _BESIDES and not key.startswith("$"):
            found.problems.append(Problem(path, unlisted(key, "Deals", fields.values())))
        return
    if value is None:
        return
    if reason := not_written(row):
        found.warnings.append(Problem(path, reason))
        return
    if key == "Closing_Date" and isinstance(value, str) and SPAN.fullmatch(value):
        return
    if key in deal_templates({"Deals": {key: value}}):
        reason = _template(value, row)
    else:
        reason = "" if key in ("Stage", "Pipeline") else not_taken(value, row)  # see _stage
    if reason:
        found.problems.append(Problem(path, reason))


def _template(text: str, row: Row) -> str:
    """Why a field does not take a text that names fields of the lead. One that gets too long is cut (lengths.py)."""
    if row["type"] not in _TEXTS:
        return f"names fields of the lead, but is no text: its type is {row['type']}"
    reason = _text(placeholder(text), row)  # what the payload carries
    return f"without the lead's fields {reason}" if reason else ""


def _templates(deal: Mapping[str, Any], lead_fields: Sequence[Row], found: Findings) -> None:
    """A field of the lead that there is not would be empty in every deal's name."""
    known = {row["api_name"] for row in lead_fields}
    for key, text in deal_templates({"Deals": deal}).items() if known else ():
        for name in fields_of(text):
            if name not in known and name not in _BESIDES:
                words = f"names {{{name}}}, which {unlisted(name, 'Leads', lead_fields)}"
                found.problems.append(Problem(f"$.Deals.{key}", words))


def unlisted(name: str, module: str, fields: Iterable[Row]) -> str:
    """What is wrong with a field that the Fields API does not list, with the nearest of those that it does."""
    known = [(form, row["api_name"]) for row in fields for form in (row["api_name"], row["label"]) if form]
    return f"is no field of the {module} module that this user may see{nearest(name, known)}"


def not_written(row: Row) -> str:
    """Why nobody gives this field a value; blank where somebody may."""
    return "is set by Zoho itself and cannot be given" if row["computed"] or row["type"] in _COMPUTED else ""


def not_taken(value: Any, row: Row) -> str:
    """Why a field does not take ``value``, by its type; blank where it does, or only Zoho can say."""
    rule = _RULES.get(row["type"])
    return rule(value, row) if rule else ""


def _text(value: Any, row: Row) -> str:
    if not isinstance(value, str):
        return f"must be a text, not {kind_of(value)}"
    if row["length"] and len(value) > row["length"]:
        return f"has {len(value)} characters; at most {row['length']} are taken"
    return ""


def _choice(value: Any, row: Row) -> str:
    if not isinstance(value, str):
        return f"must be one of the picklist's values, not {kind_of(value)}"
    return "" if not row["values"] or _listed(value, row["values"]) else _not_listed(value, row["values"])


def _choices_of(value: Any, row: Row) -> str:
    if not isinstance(value, list | tuple):
        return f"must be a list of the picklist's values, not {kind_of(value)}"
    return next((reason for item in value if (reason := _choice(item, row))), "")


def _number(value: Any, row: Row) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number, not {kind_of(value)}"
    whole = row["type"] in ("integer", "bigint")
    return "must be a whole number" if whole and isinstance(value, float) and not value.is_integer() else ""


def _big(value: Any, row: Row) -> str:
    return "" if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value) else _number(value, row)


def _flag(value: Any, _row: Row) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, not {kind_of(value)}"


def _date(value: Any, _row: Row) -> str:
    try:
        good = isinstance(value, str) and bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value))
        return "" if good and date.fromisoformat(value) else _no_date(value)
    except ValueError:
        return _no_date(value)


def _no_date(value: Any) -> str:
    return f"is {shown(value)}, but must be a date like 2026-12-24"


def _moment(value: Any, _row: Row) -> str:
    try:
        if isinstance(value, str) and datetime.fromisoformat(re.sub("[zZ]$", "+00:00", value)).tzinfo:
            return ""
    except ValueError:
        pass
    return f"is {shown(value)}, but must be a time with its offset, like 2026-12-24T09:00:00+00:00"


def _lookup(value: Any, _row: Row) -> str:
    given = value.get("id") if isinstance(value, Mapping) else value
    if isinstance(value, Mapping) and given is None:
        return 'must be {"id": "…"}' if "name" not in value else ""
    if isinstance(given, bool) or not is_id(str(given)):
        return f'is {shown(value)}, but must be {{"id": "…"}}, the id of a record'
    return ""


def _many(value: Any, _row: Row) -> str:
    return "" if isinstance(value, list | tuple) else f"must be a list, not {kind_of(value)}"


#: By ``data_type`` of the Fields API; what is not here is Zoho's to judge.
_RULES: dict[str, Callable[[Any, Row], str]] = {
    **dict.fromkeys(("text", "textarea", "email", "phone", "website"), _text),
    "picklist": _choice,
    "multiselectpicklist": _choices_of,
    **dict.fromkeys(("integer", "double", "currency", "percent", "decimal"), _number),
    "bigint": _big,
    "boolean": _flag,
    "date": _date,
    "datetime": _moment,
    **dict.fromkeys(("lookup", "ownerlookup", "userlookup"), _lookup),
    **dict.fromkeys(("multiselectlookup", "multiuserlookup", "subform"), _many),
}


# --- the stage and its pipeline ---------------------------------------------------------------------------


def _stage(deal: Mapping[str, Any], fields: Mapping[str, Row], pipelines: Sequence[Row], found: Findings) -> None:
    stage, pipeline = deal.get("Stage"), deal.get("Pipeline")
    values = fields["Stage"]["values"] if "Stage" in fields else ()
    within = ""
    if isinstance(pipeline, str) and pipeline.strip() and pipelines:
        row = next((row for row in pipelines if _listed(pipeline, [row["name"]])), None)
        if row is None:
            reason = _not_listed(pipeline, [row["name"] for row in pipelines], "pipeline")
            found.problems.append(Problem("$.Deals.Pipeline", reason))
        else:
            values, within = row["stages"], f" in the pipeline {row['name'][0]}"
    elif pipeline is None and len(pipelines) > 1:
        if not any(problem.path == "$.Deals.Pipeline" for problem in found.problems):
            reason = "is missing; Zoho asks for it where pipelines are enabled"
            found.warnings.append(Problem("$.Deals.Pipeline", reason))
    elif pipeline is not None and not isinstance(pipeline, str):
        found.problems.append(Problem("$.Deals.Pipeline", f"must be the name of a pipeline, not {kind_of(pipeline)}"))
    if isinstance(stage, str) and values and not _listed(stage, values):
        found.problems.append(Problem("$.Deals.Stage", _not_listed(stage, values, "stage", within)))


# --- values and words -------------------------------------------------------------------------------------


def _listed(value: str, values: Iterable[Sequence[str]]) -> bool:
    """Whether a picklist has a value, as it is shown or as it is stored; blanks aside, as Zoho's own sample does."""
    packed = "".join(value.split())
    return any(packed == "".join(form.split()) for forms in values for form in forms)


def _not_listed(value: str, values: Iterable[Sequence[str]], what: str = "value", within: str = "") -> str:
    known = list(_forms(values))
    return f"is {shown(value)}, but there is no such {what}{within}{nearest(value, known)}"


def _forms(values: Iterable[Sequence[str]]) -> Iterator[tuple[str, str]]:
    for forms in values:
        yield from ((form, forms[0]) for form in forms)
