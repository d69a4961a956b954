"""The calls that write records: create, update, delete, the recycle bin, locking; an item in the answer for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from massconvert.simulator import catalogue, routes
from massconvert.simulator.fields import FIELDS, LOOKS_UP, MADE, NAME_OF, field_of, is_lookup
from massconvert.simulator.leads import CALLER, Lead, moment
from massconvert.simulator.messages import RefusedError, Response, envelope, place
from massconvert.simulator.records import Deleted, Record, Records, Row
from massconvert.simulator.routes import Visit
from massconvert.simulator.rules import Rules
from massconvert.simulator.special import KINDS
from massconvert.simulator.validation import check_field, duplicate_error

MOST_RECORDS = 100
#: Days that a deleted record is kept.
KEPT = 60 * 86_400.0


@dataclass
class Writing:
    """The calls that write. Not thread-safe."""

    rules: Rules
    records: Records

    def create(self, visit: Visit) -> Response:
        """``POST Leads``, ``Contacts``, ``Accounts`` or ``Deals``."""
        rows = _rows(visit.request.body)
        return _answer([self._each(self._create, visit, row, number) for number, row in enumerate(rows)], 201)

    def update(self, visit: Visit) -> Response:
        """``PUT`` of the same, each with its id."""
        rows = _rows(visit.request.body)
        return _answer([self._each(self._update, visit, row, number) for number, row in enumerate(rows)])

    def delete(self, visit: Visit) -> Response:
        """``DELETE``, of the one in the path or those in ``ids``."""
        one = visit.found.rest.partition("/")[2]
        ids = (
            [one]
            if one
            else routes.checked_ids(routes.param(visit, "ids"), MOST_RECORDS, self.rules.most_id_characters)
        )
        return _answer([self._each(self._delete, visit, {"id": row_id}, 0) for row_id in ids])

    def bin(self, visit: Visit) -> Response:
        """``GET settings/recycle_bin``."""
        query = visit.request.query
        page, per_page = routes.number(query, "page", 1, 10**6), routes.number(query, "per_page", 200, 200)
        ids = query["ids"].split(",") if "ids" in query else list(self.records.bin)
        kept = [self.records.bin[each] for each in ids if each in self.records.bin]
        kept = [each for each in kept if each.at + KEPT > visit.now]
        user = {"name": self.records.name("users", CALLER), "id": CALLER}
        shown = [
            {
                "id": each.row.id,
                "display_name": each.row.value(NAME_OF[each.module]),
                "module": {"api_name": each.module, "id": catalogue.MODULES[each.module][0]},
                "deleted_time": moment(each.at),
                "deleted_by": user,
                "owner": user,
            }
            for each in kept[(page - 1) * per_page : page * per_page]
        ]
        return routes.page_of("recycle_bin", shown, page, per_page, more=len(kept) > page * per_page)

    def empty(self, visit: Visit) -> Response:
        """``DELETE settings/recycle_bin``: these are gone for good."""
        results = []
        for row_id in routes.checked_ids(routes.param(visit, "ids"), MOST_RECORDS):
            if self.records.bin.pop(row_id, None):
                results.append(_done("record deleted permanently", {"id": row_id}))
            else:
                results.append(envelope("INVALID_DATA", "the id given seems to be invalid", {"id": row_id}))
        return _answer(results, key="recycle_bin")

    def lock(self, visit: Visit) -> Response:
        """``POST`` (or ``DELETE``) ``Leads/{id}/Locking_Information__s``: somebody locks a lead, or unlocks it."""
        lead = self.records.leads.get(routes.id_of(visit))
        if lead is None:
            raise RefusedError(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 1})
        lead.special = KINDS["locked"] if visit.request.method == "POST" else None
        return _answer([_done("record locked" if lead.special else "record unlocked", {"id": lead.id})])

    # --- one record ---

    def _each(
        self, deed: Callable[[Visit, Mapping[str, Any], str], dict[str, Any]], visit: Visit, row: Any, number: int
    ) -> dict[str, Any]:
        try:
            return deed(visit, row, f"$.data[{number}]")
        except RefusedError as refused:
            return envelope(refused.code, refused.message, refused.details)

    def _create(self, visit: Visit, row: Mapping[str, Any], at: str) -> dict[str, Any]:
        module = visit.found.module
        values = self._checked(module, row, at)
        for known in FIELDS[module]:
            if known.mandatory and values.get(known.name) in (None, ""):
                raise RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", place(f"{at}.{known.name}"))
        self._check_unique(module, values, at, "")
        made: Row
        if module == "Leads":
            made = self.records.leads.add(self.records.new_id())
            made.made, made.given = True, dict(values)
            made.special = KINDS["not_approved"] if row.get("$approved") is False else None
        else:
            made = self.records.add(Record(module, self.records.new_id(), visit.now, values=values))
        return _done("record added", self._stamped(made, visit))

    def _update(self, visit: Visit, row: Mapping[str, Any], _at: str) -> dict[str, Any]:
        module, at = visit.found.module, f"$.{visit.found.module}"
        found = self._found(module, str(row.get("id", "")))
        values = self._checked(module, row, at)
        for known in FIELDS[module]:
            if known.mandatory and values.get(known.name, "x") in (None, ""):
                details = {"expected_data_type": "text", "api_name": known.name}
                raise RefusedError(400, "INVALID_DATA", "invalid data", details)
        self._check_unique(module, values, at, found.id)
        if isinstance(found, Lead):
            if found.converted_at is not None:
                raise RefusedError(400, "CONVERTED_RECORD", "the record has been converted", {"id": found.id})
            found.give(values)
        else:
            self.records.write(found, values)
        return _done("record updated", self._stamped(found, visit))

    def _delete(self, visit: Visit, row: Mapping[str, Any], _at: str) -> dict[str, Any]:
        module = visit.found.module
        found = self._found(module, row["id"])
        if isinstance(found, Lead) and found.converted_at is not None and self.rules.delete_converted == "refused":
            raise RefusedError(400, "CANNOT_PERFORM_ACTION", "a converted record cannot be deleted", {"id": found.id})
        self.records.remove(module, found.id)
        self.records.bin[found.id] = Deleted(module, found, visit.now)
        return _done("record deleted", {"id": found.id})

    def _found(self, module: str, row_id: str) -> Row:
        found = self.records.get(module, row_id)
        if found is None or found.id in self.records.hidden:
            raise RefusedError(400, "INVALID_DATA", "the id given seems to be invalid", {"id": row_id})
        if isinstance(found, Lead) and (found.locked or (found.special and found.special.code == "RECORD_LOCKED")):
            raise RefusedError(400, "RECORD_LOCKED", "record is locked", {"id": row_id})
        return found

    def _checked(self, module: str, row: Mapping[str, Any], at: str) -> dict[str, Any]:
        """The fields of a row that there are; other keys are ignored, as in a payload."""
        metadata = {each["api_name"]: each for each in catalogue.fields(module, pipelines=True)}
        values: dict[str, Any] = {}
        for name, value in row.items():
            if field_of(module, name) is None or metadata[name]["read_only"]:
                continue
            if value is not None:
                check_field(value, metadata[name], at)
            holds = is_lookup(module, name) and value is not None
            values[name] = self._related(LOOKS_UP[name], value, f"{at}.{name}") if holds else value
        return values

    def _related(self, module: str, value: Mapping[str, Any], at: str) -> str:
        """The id in a lookup."""
        if self.records.name(module, str(value.get("id"))) is None:
            raise RefusedError(400, "INVALID_DATA", "the related id given seems to be invalid", place(f"{at}.id"))
        return str(value["id"])

    def _check_unique(self, module: str, values: Mapping[str, Any], at: str, own: str) -> None:
        for name, value in values.items():
            if module in MADE and f"{module}.{name}" in self.rules.unique_fields:
                for clash in self.records.find(module, name, value):
                    if clash.id != own:
                        raise duplicate_error(clash, place(f"{at}.{name}"))

    def _stamped(self, row: Row, visit: Visit) -> dict[str, Any]:
        user = {"name": self.records.name("users", CALLER), "id": CALLER}
        now = moment(visit.now)
        times = {"Created_Time": now, "Modified_Time": now, "Created_By": user, "Modified_By": dict(user)}
        return {"id": row.id, **times}


def _rows(body: bytes) -> list[dict[str, Any]]:
    """The records of a body. Raises RefusedError."""
    try:
        rows = json.loads(body)["data"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "data"}) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        details = {"api_name": "data", "expected_data_type": "jsonarray", "json_path": "$.data"}
        raise RefusedError(400, "INVALID_DATA", "invalid data", details)
    if len(rows) > MOST_RECORDS:
        raise RefusedError(400, "LIMIT_EXCEEDED", "record limit exceeded", {"limit": MOST_RECORDS})
    return rows


def _done(message: str, details: Mapping[str, Any]) -> dict[str, Any]:
    return {"code": "SUCCESS", "details": dict(details), "message": message, "status": "success"}


def _answer(results: Sequence[dict[str, Any]], done: int = 200, key: str = "data") -> Response:
    """All results; 207 where some failed, 202 where all did."""
    failed = sum(result["status"] == "error" for result in results)
    return Response(done if not failed else 207 if failed < len(results) else 202, {key: list(results)})
