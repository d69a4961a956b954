"""What leads bring along: values for their own deals, and the records that they are to be linked to; pure.

Read from a call, a message or a file's cells. It is checked once, when it is enqueued, and from then on is compact
JSON, by lead id (`dump_brought`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from massconvert.errors import InputError
from massconvert.leads import LeadLine, parse_lead_id, valid_ids
from massconvert.model import Link, dump_brought, load_brought
from massconvert.options.check import BodyCheck
from massconvert.options.deals import not_taken, not_written, unlisted
from massconvert.options.names import Row
from massconvert.options.ours import NOT_LINKED
from massconvert.options.problem import Problem, kind_of, shown
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

#: How many wrong values are named.
NAMED = 20
#: The ids that say what a lead is linked to.
LINKS = ("contact_id", "account_id")
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
    check, found = BodyCheck(), dict[str, str]()
    for path, lead_id, values in _each_lead(check, "deal_values", given, lead_ids):
        if not isinstance(values, Mapping):
            check.note(path, f"must be an object with fields of the Deals module, not {kind_of(values)}")
        elif text := _dump(check, path, values):
            found[lead_id] = text
    _demand(check, "The deal values are wrong")
    return found


def parse_links(given: Any, lead_ids: Iterable[Any]) -> dict[str, Link]:
    """``given`` (lead id → ``contact_id`` and ``account_id``, one of them or both) as what each lead is linked to.

    Raises InputError as `parse_deal_values` does.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InputError(f"links must be an object, lead id → contact_id, account_id, not {kind_of(given)}.")
    check, found = BodyCheck(), dict[str, Link]()
    for path, lead_id, ids in _each_lead(check, "links", given, lead_ids):
        if not isinstance(ids, Mapping) or not ids.keys() <= set(LINKS):
            check.note(path, f"must be an object with {' and '.join(LINKS)}, and nothing else")
        elif link := _link(check, f"{path}.", ids.items()):
            found[lead_id] = link
    _demand(check, "The links are wrong")
    return found


def bring(values: Mapping[str, str], links: Mapping[str, Link]) -> dict[str, str]:
    """All that each lead brings, from what the two parsers make."""
    return {lead: dump_brought(values.get(lead, ""), links.get(lead)) for lead in (*values, *links)}


def read_deal_cells(line: LeadLine) -> str:
    """What a row's cells bring, as JSON; blank where that is nothing. Raises InputError with the line and column."""
    check, row = BodyCheck(), f"line {line.line} (lead {line.lead_id}): "
    values = {field: _value(field, cell.strip()) for field, cell in line.deal if cell.strip()}
    text = _dump(check, f"{row}deal", values)
    link = _link(check, row, line.link)
    _demand(check, "What a lead brings along is wrong")
    return dump_brought(text, link)


def demand_taken(body: Mapping[str, Any], brought: Mapping[str, str]) -> None:
    """Raise InputError where leads bring what cannot be done with these options."""
    if brought and "Deals" not in body and (some := brought_deals(brought)):
        raise InputError(
            f"{number_of(some, 'lead brings', 'leads bring')} values for deals, but the options make no deal.",
            hint="Give Deals in the options, or leave the deal values out. Nothing was enqueued.",
        )
    in_the_way = [key for key in NOT_LINKED if body.get(key) is not None]
    if brought and in_the_way and (some := brought_links(brought)):
        raise InputError(
            f"{number_of(some, 'lead names', 'leads name')} a contact or an account to be linked to, and the options "
            f"have {', '.join(in_the_way)}, which Zoho does not take where it links a lead.",
            hint="Leave that out of the options, or enqueue those leads in a batch of their own. Nothing was enqueued.",
        )


def brought_deals(brought: Mapping[str, str]) -> int:
    """How many leads bring values for their deals."""
    return sum(bool(load_brought(text)[0]) for _, text in brought.items())


def brought_links(brought: Mapping[str, str]) -> int:
    """How many leads say what they are to be linked to."""
    return sum(load_brought(text)[1] is not None for _, text in brought.items())


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
        for name, value in load_brought(text)[0].items():
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


def _each_lead(
    check: BodyCheck, root: str, given: Mapping[Any, Any], lead_ids: Iterable[Any]
) -> Iterator[tuple[str, str, Any]]:
    """Each path, lead and what it is given; a key that means none of ``lead_ids`` is noted and left out."""
    known = set(valid_ids(lead_ids, {}))
    for key, value in given.items():
        path = f"$.{root}[{key!s:.40}]"
        try:
            lead_id = parse_lead_id(key)
        except InputError as error:
            check.note(path, error.message)
            continue
        if lead_id in known:
            yield path, lead_id, value
        else:
            check.note(path, "is not among the leads that are enqueued")


def _link(check: BodyCheck, path: str, ids: Iterable[tuple[str, Any]]) -> Link | None:
    """What a lead is to be linked to, by the ids under `LINKS`; blank ones are none."""
    found: dict[str, str] = {}
    for name, value in ids:
        if value is None or (isinstance(value, str) and not value.strip()):
            continue
        try:
            found[name] = parse_lead_id(value)
        except InputError as error:
            check.note(f"{path}{name} ({shown(value)})", error.message)
    return Link(found.get("contact_id", ""), found.get("account_id", "")) if found else None


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
