"""The calls that read records: Get Records, one record, COQL and search, of every module."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from massconvert.simulator import coql, routes, search
from massconvert.simulator.fields import FIELDS, field_of
from massconvert.simulator.leads import LOOKUPS, STATE, Lead, moment
from massconvert.simulator.messages import RefusedError, Response
from massconvert.simulator.records import Records, Row
from massconvert.simulator.routes import Visit
from massconvert.simulator.rules import Rules


@dataclass
class Reading:
    """The calls that read. Not thread-safe."""

    rules: Rules
    records: Records

    def as_of(self, visit: Visit) -> float:
        """The moment that a read shows."""
        return visit.now - max(visit.stale, self.rules.reads_lag)

    def read(self, visit: Visit) -> Response:
        """``GET Leads`` and its like."""
        query, as_of, module = visit.request.query, self.as_of(visit), visit.found.module
        fields = _known(module, routes.checked_fields(query.get("fields", ""), visit.found.version))
        wanted = routes.wanted_states(query)
        page = routes.number(query, "page", 1, 10**6)
        per_page = routes.number(query, "per_page", routes.MOST_PER_PAGE, routes.MOST_PER_PAGE)
        rows: Iterable[Row | None] = self.records.all(module)
        if "ids" in query:
            rules = self.rules
            ids = routes.checked_ids(query["ids"], rules.most_ids, rules.most_id_characters)
            rows = (self.records.get(module, row_id) for row_id in ids)
        seen = self.records.seen(rows, as_of, visit.hidden)
        chosen = (row for row in seen if not isinstance(row, Lead) or row.converted(as_of) in wanted)
        found = list(islice(chosen, (page - 1) * per_page, page * per_page + 1))
        made = [self.record(module, row, fields, as_of) for row in found[:per_page]]
        shown = [_blanked(row) if row["id"] in visit.blank else row for row in made]
        return routes.page_of("data", shown, page, per_page, more=len(found) > per_page)

    def read_one(self, visit: Visit) -> Response:
        """``GET Leads/{id}`` and its like."""
        query, as_of, module = visit.request.query, self.as_of(visit), visit.found.module
        row_id = routes.id_of(visit)
        wanted, row = routes.wanted_states(query), self.records.get(module, row_id)
        if row is None or not list(self.records.seen([row], as_of)):
            return Response(204)
        if isinstance(row, Lead) and row.converted(as_of) not in wanted:
            return Response(204)
        fields = _known(module, routes.checked_fields(query.get("fields", ""), 0))
        shown = self.record(module, row, fields, as_of)
        if isinstance(row, Lead):
            shown["$converted_detail"] = _converted_detail(row, as_of)
        return Response(200, {"data": [shown]})

    def query(self, visit: Visit, query: coql.Query) -> Response:
        """``POST coql``."""
        as_of = self.as_of(visit)
        rows: Iterable[Row] = self.records.all(query.module)
        narrow = query.narrow()
        if narrow and query.module != "Leads":
            name, texts = narrow
            rows = {row.id: row for text in texts for row in self.records.find(query.module, name, text)}.values()
        held = partial(self.records.value, query.module, as_of=as_of)
        found = [row for row in self.records.seen(rows, as_of) if query.test(partial(held, row))]
        if query.count:
            return Response(200, {"data": [{"COUNT(id)": len(found)}], "info": {"count": 1, "more_records": False}})
        found.sort(key=lambda row: _in_order(held(row, query.order)), reverse=query.descending)
        last = query.offset + query.limit
        shown, bare = found[query.offset : last], self.rules.query_lookups == "id"
        if not shown:
            return Response(204)
        info = {"count": len(shown), "more_records": len(found) > last}
        names = {*query.columns, "id"}
        data = [
            {name: self.records.shown(query.module, row, name, as_of, bare=bare) for name in names} for row in shown
        ]
        return Response(200, {"data": data, "info": info})

    def search(self, visit: Visit) -> Response:
        """``GET Leads/search``."""
        query, as_of = visit.request.query, self.as_of(visit)
        if not query.get("criteria"):
            raise RefusedError(400, "EXPECTED_PARAM_MISSING", "mandatory param missing", {"param_name": "criteria"})
        test, wanted = search.parse(query["criteria"]), routes.wanted_states(query)
        page, per_page = routes.number(query, "page", 1, 10**6), routes.number(query, "per_page", 200, search.MOST_PAGE)
        if page * per_page > search.MOST_FOUND:
            raise RefusedError(400, "LIMIT_REACHED", "Maximum response iteration limit reached", {"limit": 2000})
        held = partial(self.records.value, "Leads", as_of=as_of)
        found = [
            row
            for row in self.records.seen(self.records.leads, as_of)
            if isinstance(row, Lead) and row.converted(as_of) in wanted and test(partial(held, row))
        ]
        fields = _known("Leads", routes.checked_fields(query.get("fields", ""), 0))
        shown = [self.record("Leads", row, fields, as_of) for row in found[(page - 1) * per_page : page * per_page]]
        return routes.page_of("data", shown, page, per_page, more=len(found) > page * per_page)

    def record(self, module: str, row: Row, wanted: Sequence[str], as_of: float) -> dict[str, Any]:
        """A row as Get Records answers it: the fields ``wanted``, all known, and what comes with every record."""
        shown: dict[str, Any] = {"id": row.id}
        shown |= {name: self.records.shown(module, row, name, as_of) for name in wanted}
        shown |= {"$approved": True, "$in_merge": False, "$process_flow": False, "$editable": True}
        if not isinstance(row, Lead):
            return {**shown, "$locked_for_me": False}
        state = {"$converted": row.converted(as_of), "$locked_for_me": row.locked}
        return {**shown, **state, **(row.special.shows if row.special else {})}


def select_query(body: bytes) -> str:
    """The text of a query. Raises RefusedError."""
    try:
        text = json.loads(body)["select_query"]
    except (ValueError, RecursionError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        raise RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "select_query"})
    return text


def _known(module: str, names: Sequence[str]) -> list[str]:
    """Those of these fields that there are; all, where none is asked for."""
    return [name for name in names if field_of(module, name)] if names else [each.name for each in FIELDS[module]]


def _in_order(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if not isinstance(value, str) else value.casefold())


def _blanked(row: dict[str, Any]) -> dict[str, Any]:
    """A record that does not say whether its lead is converted."""
    silent = {name: None for name in row if name in STATE}
    return {name: value for name, value in (row | silent).items() if name != "$converted"}


def _converted_detail(lead: Lead, as_of: float) -> dict[str, Any]:
    """``$converted_detail``, which only the read of a single lead has."""
    if not lead.converted(as_of):
        return {}
    ids = {name.removeprefix("Converted_").lower(): getattr(lead, attribute) for name, attribute in LOOKUPS.items()}
    return {"converted_date": moment(lead.converted_at or 0.0), **{name: value for name, value in ids.items() if value}}
