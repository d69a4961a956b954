"""Values that leads bring along for their own deals: read from a call, a message or a CSV's cells; pure.

They are checked once, when they are enqueued, and from then on are the compact JSON of an object, by lead id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from massconvert.errors import InputError
from massconvert.leads import LeadLine, parse_lead_id, valid_ids
from massconvert.options.check import BodyCheck
from massconvert.options.deals import not_taken, not_written, unlisted
from massconvert.options.names import Row
from massconvert.options.problem import Problem, kind_of
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

#: How many wrong values are named.
NAMED = 20
#: Texts whatever they look like: fields of every Deals module.
_TEXTS = frozenset(
    {"Deal_Name", "Stage", "Pipeline", "Closing_Date", "Type", "Lead_Source", "Next_Step", "Description"}
)
#: What is a number in a cell; what has more digits, or begins with a nought, is rather an id or a telephone number.
_is_number = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?").fullmatch


def parse_deal_values(given: Any, lead_ids: Iterable[Any]) -> dict[str, str]:
    """``given`` (lead id → field → value) as JSON by lead id; leads for which it has nothing are left out.

    Raises InputError for a lead that is not among ``lead_ids``, for a wrong field or value: all at once, each
    with its lead and field.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(f"deal_values must be an object, lead id → field → value, not {kind_of(given)}.")
    known, check, found = set(valid_ids(lead_ids, {})), BodyCheck(), dict[str, str]()
    for lead, values in given.items():
        path = f"$.deal_values[{lead!s:.40}]"
        try:
            lead_id = parse_lead_id(lead)
        except InputError as error:
            check.note(path, error.message)
            continue
        if lead_id not in known:
            check.note(path, "is not among the leads that are enqueued")
        elif not isinstance(values, Mapping):
            check.note(path, f"must be an object with fields of the Deals module, not {kind_of(values)}")
        elif text := _dump(check, path, values):
            found[lead_id] = text
    _demand(check, "The deal values are wrong")
    return found


def read_deal_cells(line: LeadLine) -> str:
    """The values in a row's cells as JSON; blank where there are none. Raises InputError with the line and column."""
    check = BodyCheck()
    values = {field: _value(field, cell.strip()) for field, cell in line.deal if cell.strip()}
    text = _dump(check, f"line {line.line} (lead {line.lead_id}): deal", values)
    _demand(check, "A value for a deal is wrong")
    return text


def demand_deal(body: Mapping[str, Any], values: Collection[str]) -> None:
    """Raise InputError where there are ``values`` for deals, and options that make none."""
    if values and "Deals" not in body:
        raise InputError(
            f"{number_of(len(values), 'lead brings', 'leads bring')} values for deals, but the options make no deal.",
            hint="Give Deals in the options, or leave the deal values out. Nothing was enqueued.",
        )


@dataclass(frozen=True)
class Misfits:
    """Values that the Deals module has no field for, or whose field does not take them: the first, and how many."""

    problems: tuple[Problem, ...] = ()
    more: int = 0

    def demand_none(self) -> None:
        """Raise InputError where there are any."""
        _refuse("The deal values are wrong", self.problems, self.more)


def misfits(values: Mapping[str, str], fields: Iterable[Row]) -> Misfits:
    """Hold ``values`` against what the Fields API lists of Deals; where nothing is known of it, nothing is said."""
    rows = {row["api_name"]: row for row in fields}
    whole, each, count = dict[str, Problem](), list[Problem](), 0
    for lead_id, text in values.items() if rows else ():
        for name, value in json.loads(text).items():
            row = rows.get(name)
            if (row is None or not_written(row)) and name not in whole:
                reason = unlisted(name, "Deals", rows.values()) if row is None else not_written(row)
                whole[name] = Problem(f"deal.{name}", reason)
            elif row is not None and name not in whole and (reason := not_taken(value, row)):
                count += 1
                if count <= NAMED:
                    each.append(Problem(f"lead {lead_id}: deal.{name}", reason))
    told = (*whole.values(), *each)
    return Misfits(told[:NAMED], len(whole) + count - min(len(told), NAMED))


def _demand(check: BodyCheck, what: str) -> None:
    _refuse(what, check.problems[:NAMED], len(check.problems) - NAMED)


def _refuse(what: str, problems: Iterable[Problem], more: int) -> None:
    told = "\n".join(readable(f"  {problem.path} {problem.reason}") for problem in problems)
    others = f"\n  and {more:,} more" if more > 0 else ""
    if told:
        raise InputError(f"{what}:\n{told}{others}", hint="Nothing was enqueued.")


def _dump(check: BodyCheck, path: str, values: Mapping[Any, Any]) -> str:
    found = {str(api): check.deal_value(path, api, value) for api, value in values.items() if value is not None}
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False, default=str) if found else ""


def _value(field: str, cell: str) -> Any:
    """What a cell means: a number, true, false, or a text, which may stand in double quotes; else the text it is."""
    if field in _TEXTS:
        return cell
    if _is_number(cell) or cell in ("true", "false"):
        return json.loads(cell)
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        return cell[1:-1]
    return cell
