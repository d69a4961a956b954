"""Convert one lead, and what it could be converted into: the calls ``actions/convert`` and ``__conversion_options``.

Sources: Zoho's pages on both, its descriptions 3.0 and 3.1, and what integrations have seen of how linking is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from massconvert.simulator import catalogue, routes
from massconvert.simulator.converting import Converting, Wanted
from massconvert.simulator.faults import Faults
from massconvert.simulator.jobs import Jobs
from massconvert.simulator.leads import Lead
from massconvert.simulator.messages import RefusedError, Response, place
from massconvert.simulator.records import Record, Records
from massconvert.simulator.routes import Visit
from massconvert.simulator.rules import Rules
from massconvert.simulator.special import KINDS, LOCKED
from massconvert.simulator.validation import (
    check_assign_to,
    check_deal,
    check_module,
    duplicate_error,
    id_in,
    invalid_error,
    missing_error,
    object_in,
    parse,
)

AT = "$.data[0]"
_FLAGS = ("overwrite", "notify_lead_owner", "notify_new_entity_owner")


@dataclass
class Single:
    """The calls about converting one lead. Not thread-safe."""

    rules: Rules
    records: Records
    jobs: Jobs
    converting: Converting

    def convert(self, visit: Visit, faults: Faults) -> Response:
        """``POST Leads/{id}/actions/convert``: at once, or as a job."""
        try:
            lead = self._lead(visit)
            wanted = self._wanted(lead, visit)
        except RefusedError as refused:
            about_path = "resource_path_index" in refused.details
            shape = self.rules.single_refusal if not about_path else "bare"
            status = self.rules.single_refusal_status if refused.status == 400 else refused.status
            raise RefusedError(status, refused.code, refused.message, refused.details, shape) from None
        if self.rules.single_convert == "scheduled":
            job = self.jobs.add([lead.id], visit.now, wanted, faults.on_job([lead.id]))
            return _answer(202, "SCHEDULED", "Lead conversion scheduled successfully", {"job_id": job.id})
        lead.submissions += 1
        lead.overlaps += lead.live_jobs > 0
        self.converting.convert(lead, visit.now, wanted)
        lead.conversions += 1
        made = {"Contacts": lead.contact_id, "Accounts": lead.account_id, "Deals": lead.deal_id}
        details = {
            module: {"name": self.records.name(module, made_id), "id": made_id} if made_id else None
            for module, made_id in made.items()
        }
        return _answer(200, "SUCCESS", "The record has been converted successfully", details)

    def options(self, visit: Visit) -> Response:
        """``GET Leads/{id}/__conversion_options``: which records a lead matches; 204 where there are none."""
        lead = self._lead(visit)
        matched: dict[str, list[Record]] = {}
        told: dict[str, list[dict[str, Any]] | None] = {"Contacts": None, "Accounts": None, "Deals": None}
        for module in ("Contacts", "Accounts"):
            for name, found in self.converting.candidates(lead, module):
                seen = list(self.records.seen(found, visit.now))
                if seen and module not in matched:
                    matched[module] = [row for row in seen if isinstance(row, Record)][:100]
                    known = {"api_name": name, "id": catalogue.field_id(module, name)}
                    told[module] = [{"field": known, "matched_lead_value": matched[module][0].value(name)}]
        if not matched:
            return Response(204)
        preferred = next(iter(matched))
        options: dict[str, Any] = {
            "module_preference": {"api_name": preferred, "id": catalogue.MODULES[preferred][0]},
            "Deals": None,
            "preference_field_matched_value": told,
            "modules_with_multiple_layouts": None,
        }
        for module in ("Contacts", "Accounts"):
            rows = matched.get(module)
            options[module] = [self._option(module, row, visit.now) for row in rows] if rows else None
        return Response(200, {"__conversion_options": options})

    def _option(self, module: str, row: Record, now: float) -> dict[str, Any]:
        names = {
            "Contacts": ("Full_Name", "Email", "Account_Name"),
            "Accounts": ("Account_Name", "Phone", "Website", "Account_Type"),
        }[module]
        shown = {name: self.records.shown(module, row, name, now) for name in ("id", *names)}
        layout = {"name": "Standard", "id": catalogue.LAYOUTS[module]}
        return {**shown, "Layout": layout, "Locked__s": False, "$editable": True, "$approval_state": "approved"}

    def _lead(self, visit: Visit) -> Lead:
        """The lead of the path, if it can be converted. Raises RefusedError."""
        lead = self.records.leads.get(routes.id_of(visit))
        if lead is None or lead.id in self.records.hidden:
            raise RefusedError(400, "INVALID_DATA", "invalid data", {"resource_path_index": 1})
        if lead.converted_at is not None:
            details = {"resource_path_index": 1}
            raise RefusedError(400, "ID_ALREADY_CONVERTED", "id already converted", details)
        special = KINDS["locked"] if lead.locked else lead.special
        if special and (special.code == LOCKED or not self._converts_anyway(special.code)):
            raise special.alone()
        return lead

    def _converts_anyway(self, code: str) -> bool:
        return code == "NOT_APPROVED" and self.rules.unapproved_lead == "convert"

    def _wanted(self, lead: Lead, visit: Visit) -> Wanted:
        """What the body asks for. Raises RefusedError."""
        body = parse(visit.request.body)
        rows = body.get("data")
        if not isinstance(rows, list) or not rows:
            raise missing_error("$.data") if rows in (None, []) else invalid_error("$.data", "jsonarray")
        given = object_in(rows[0], AT)
        self._check_options(given)
        linked = {module: self._linked(lead, given, module, visit) for module in ("Accounts", "Contacts")}
        owner = given.get("assign_to")
        matching = self.rules.single_matches and given.get("add_to_existing_record") is True
        wanted = Wanted(
            deal=given.get("Deals"),
            contact_id=linked["Contacts"],
            account_id=linked["Accounts"],
            owner=str(owner["id"]) if owner else "",
            overwrite=given.get("overwrite") is True,
            matches=frozenset(linked) if matching else frozenset(),
        )
        if clash := self.converting.clash(lead, wanted):
            name, record = clash
            raise duplicate_error(record, {"api_name": name}, self.rules.duplicate_status)
        return wanted

    def _check_options(self, given: Mapping[str, Any]) -> None:
        for name in _FLAGS:
            if not isinstance(given.get(name, False), bool):
                raise invalid_error(f"{AT}.{name}", "boolean")
        if given.get("add_to_existing_record", True) is not True:
            raise invalid_error(f"{AT}.add_to_existing_record", "boolean")
        if self.rules.takes_any_options:
            return
        if given.get("Deals") is not None:
            check_deal(given["Deals"], self.rules, f"{AT}.Deals")
        check_assign_to(given, self.rules, AT)
        if "move_attachments_to" in given:
            check_module(given["move_attachments_to"], f"{AT}.move_attachments_to", ("Contacts", "Accounts", "Deals"))
        tags = object_in(given.get("carry_over_tags", {}), f"{AT}.carry_over_tags")
        for module, names in tags.items():
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise invalid_error(f"{AT}.carry_over_tags.{module}", "jsonarray")

    def _linked(self, lead: Lead, given: Mapping[str, Any], module: str, visit: Visit) -> str:
        """The id of the record that the lead is to be linked to, if it may be. Raises RefusedError."""
        if given.get(module) is None:
            return ""
        at, wanted = f"{AT}.{module}", given[module]
        if visit.found.version > 2:
            wanted = object_in(wanted, at).get("id")
            at = f"{at}.id"
        if wanted is None:
            raise missing_error(at)
        record = self.records.get(module, id_in(wanted, at))
        if not isinstance(record, Record) or record.id in self.records.hidden:
            raise invalid_error(at)
        if self.converting.mismatch(lead, module, record):
            message = f"{module.removesuffix('s')} data doesn't match"
            raise RefusedError(400, self.rules.mismatch_code, message, place(at))
        return record.id


def _answer(status: int, code: str, message: str, details: dict[str, Any]) -> Response:
    item = {"code": code, "details": details, "message": message, "status": "success"}
    return Response(status, {"data": [item]})
