"""What each call of Zoho CRM does and answers, once it has been let in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from massconvert.simulator import catalogue, coql, routes, search
from massconvert.simulator.accounts import Accounts
from massconvert.simulator.deals import read_rows, update_deal
from massconvert.simulator.faults import POST, QUERY, READ, REVOKE, SEARCH, TOKEN, UPDATE, Faults
from massconvert.simulator.jobs import Jobs
from massconvert.simulator.leads import PLAIN_FIELDS, Lead, Leads, blanked, converted_detail, field_value, record
from massconvert.simulator.messages import RefusedError, Request, Response
from massconvert.simulator.routes import Found
from massconvert.simulator.rules import Rules
from massconvert.simulator.special import Special
from massconvert.simulator.validation import read_payload

MASS_CONVERT_FROM = 4  # the first version that has it (likewise)
SCHEDULED_FROM = 7  # the first version whose code of success is SCHEDULED (Zoho's SDKs, one a version)


@dataclass(frozen=True)
class Visit:
    """A call that was let in, and the moment (Unix seconds) it is answered for; ``stale`` seconds ago for reads.

    Reads do not show the leads that are ``hidden``, and do not say of ``blank`` ones whether they are converted.
    """

    request: Request
    found: Found
    now: float
    stale: float = 0.0
    hidden: frozenset[str] = frozenset()
    blank: frozenset[str] = frozenset()


@dataclass
class Api:
    """The calls over the organisation's leads, jobs and tokens. Not thread-safe."""

    rules: Rules
    leads: Leads
    jobs: Jobs
    accounts: Accounts
    faults: Faults
    _work: dict[str, Callable[[Visit], Response]] = field(init=False)

    def __post_init__(self) -> None:
        self._work = {
            TOKEN: self._token,
            REVOKE: lambda visit: self.accounts.revoke(_form(visit)),
            POST: self._mass_convert,
            "GET mass_convert": self._status,
            READ: self._read,
            "GET Lead": self._read_one,
            UPDATE: self._update_deals,
            QUERY: self._query,
            SEARCH: self._search,
            "GET users": self._users,
            "GET org": lambda visit: Response(200, catalogue.organisation(self.rules, visit.now)),
            "GET settings/modules": lambda _visit: Response(200, catalogue.modules()),
            "GET settings/fields": self._fields,
            "GET settings/layouts": self._layouts,
            "GET settings/pipeline": self._pipelines,
            "GET settings/portals": lambda _visit: Response(200, {"portals": catalogue.portals()}),
            "GET settings/user_type": self._user_types,
        }

    def answer(self, visit: Visit) -> Response:
        """Zoho's answer, whether it is what was asked for or a refusal. Raises nothing."""
        try:
            found, route = visit.found, visit.found.route
            if route is None:
                raise _no_such_call(found)
            if route.scope:
                self.accounts.check(visit.request.headers.get("authorization", ""), route.scope, visit.now)
            return self._work[route.name](visit)
        except RefusedError as error:
            return error.response()

    def _token(self, visit: Visit) -> Response:
        # The origin that the client itself uses, so that a container's name works too.
        return self.accounts.grant(_form(visit), f"http://{visit.request.headers.get('host', '127.0.0.1')}", visit.now)

    def _mass_convert(self, visit: Visit) -> Response:
        self._check_mass_convert(visit)
        rules = self.rules.of_version(visit.found.version)
        payload = read_payload(visit.request.body, rules, self._convertible, self._special)
        fault = self.faults.on_job(payload.ids)
        job = self.jobs.add(payload.ids, visit.now, deal=payload.deal, fault=fault)
        answer = {
            "code": "SCHEDULED" if visit.found.version >= SCHEDULED_FROM else "SUCCESS",
            "details": {"job_id": job.id},
            "message": "Mass Convert scheduled successfully",
            "status": "success",
        }
        return Response(self.rules.accepted_status, answer)

    def _status(self, visit: Visit) -> Response:
        self._check_mass_convert(visit)
        job_id = visit.request.query.get("job_id", "")
        if not job_id:
            details = {"param": "job_id", "json_path": "$.job_id"}
            raise RefusedError(400, "REQUIRED_PARAM_MISSING", "job_id is required.", details)
        job = self.jobs.all.get(job_id)
        if job is None or visit.now < job.known_from:
            message = "The jobid given seems to be invalid"
            raise RefusedError(400, "INVALID_DATA", message, {"param_name": "job_id"})
        return Response(200, {"data": [job.status(visit.now, self.rules)]})

    def _read(self, visit: Visit) -> Response:
        query, as_of = visit.request.query, visit.now - visit.stale
        fields = routes.checked_fields(query.get("fields", ""), visit.found.version) or list(PLAIN_FIELDS)
        wanted = routes.wanted_states(query)
        page = routes.number(query, "page", 1, 10**6)
        per_page = routes.number(query, "per_page", routes.MOST_PER_PAGE, routes.MOST_PER_PAGE)
        if "ids" in query:
            found: Iterable[Lead] = filter(
                None, map(self.leads.get, routes.checked_ids(query["ids"], self.rules.most_id_characters))
            )
        else:
            found = self.leads
        chosen = (lead for lead in found if lead.converted(as_of) in wanted and lead.id not in visit.hidden)
        shown = list(islice(chosen, (page - 1) * per_page, page * per_page + 1))
        if not shown:
            return Response(204)
        more = len(shown) > per_page
        del shown[per_page:]
        info = {"per_page": per_page, "count": len(shown), "page": page, "more_records": more}
        rows = [record(lead, fields, as_of) for lead in shown]
        return Response(
            200, {"data": [blanked(row) if row["id"] in visit.blank else row for row in rows], "info": info}
        )

    def _read_one(self, visit: Visit) -> Response:
        lead_id, query, as_of = visit.found.rest.rpartition("/")[2], visit.request.query, visit.now - visit.stale
        if not lead_id.isdigit():
            details = {"resource_path_index": 1}
            raise RefusedError(400, "INVALID_DATA", "the id given seems to be invalid", details)
        wanted, lead = routes.wanted_states(query), self.leads.get(lead_id)
        if lead is None or lead.converted(as_of) not in wanted:
            return Response(204)
        fields = routes.checked_fields(query.get("fields", ""), 0) or PLAIN_FIELDS
        shown = record(lead, fields, as_of) | {"$converted_detail": converted_detail(lead, as_of)}
        return Response(200, {"data": [shown]})

    def _update_deals(self, visit: Visit) -> Response:
        if not self.rules.may_edit_deals:
            details = {"permissions": ["Crm_Implied_Edit_Potentials"]}
            raise RefusedError(403, "NO_PERMISSION", "permission denied", details)
        results = [update_deal(self.leads, row) for row in read_rows(visit.request.body)]
        failed = sum(result["status"] == "error" for result in results)
        status = 200 if not failed else 207 if failed < len(results) else 202
        return Response(status, {"data": results})

    def _query(self, visit: Visit) -> Response:
        try:
            text = json.loads(visit.request.body)["select_query"]
        except (ValueError, RecursionError, KeyError, TypeError):
            text = None
        if not isinstance(text, str):
            raise RefusedError(400, "MANDATORY_NOT_FOUND", "required field not found", {"api_name": "select_query"})
        query, as_of = coql.parse(text), visit.now - visit.stale
        found = [lead for lead in self.leads if query.test(lead, as_of)]
        if query.count:
            info = {"count": 1, "more_records": False}
            return Response(200, {"data": [{"COUNT(id)": len(found)}], "info": info})
        found.sort(key=lambda lead: int(lead.id), reverse=query.descending)
        shown = found[query.offset : query.offset + query.limit]
        if not shown:
            return Response(204)
        info = {"count": len(shown), "more_records": len(found) > query.offset + query.limit}
        rows = [{name: _shown(lead, name, as_of) for name in {*query.columns, "id"}} for lead in shown]
        return Response(200, {"data": rows, "info": info})

    def _search(self, visit: Visit) -> Response:
        query, as_of = visit.request.query, visit.now - visit.stale
        if not query.get("criteria"):
            raise RefusedError(400, "EXPECTED_PARAM_MISSING", "mandatory param missing", {"param_name": "criteria"})
        test, wanted = search.parse(query["criteria"]), routes.wanted_states(query)
        page, per_page = routes.number(query, "page", 1, 10**6), routes.number(query, "per_page", 200, search.MOST_PAGE)
        if page * per_page > search.MOST_FOUND:
            raise RefusedError(400, "LIMIT_REACHED", "Maximum response iteration limit reached", {"limit": 2000})
        found = [lead for lead in self.leads if lead.converted(as_of) in wanted and test(lead, as_of)]
        shown = found[(page - 1) * per_page : page * per_page]
        if not shown:
            return Response(204)
        fields = [name.strip() for name in query.get("fields", "").split(",") if name.strip()] or list(PLAIN_FIELDS)
        more = len(found) > page * per_page
        info = {"per_page": per_page, "count": len(shown), "page": page, "more_records": more}
        return Response(200, {"data": [record(lead, fields, as_of) for lead in shown], "info": info})

    def _users(self, visit: Visit) -> Response:
        query = visit.request.query
        kind = query.get("type", "AllUsers")
        page = routes.number(query, "page", 1, 10**6)
        per_page = routes.number(query, "per_page", routes.MOST_PER_PAGE, routes.MOST_PER_PAGE)
        status = {"ActiveUsers": "active", "DeactiveUsers": "disabled"}.get(kind)
        users = [user for user in catalogue.users(self.rules.more_users) if status in (None, user["status"])]
        if kind == "CurrentUser":
            users = users[:1]
        shown = users[(page - 1) * per_page : page * per_page]
        if not shown:
            return Response(204)
        more = len(users) > page * per_page
        info = {"per_page": per_page, "count": len(shown), "page": page, "more_records": more}
        return Response(200, {"users": shown, "info": info})

    def _fields(self, visit: Visit) -> Response:
        found = catalogue.fields(_module(visit), pipelines=self.rules.pipelines)
        return Response(200, {"fields": found}) if found else Response(204)

    def _layouts(self, visit: Visit) -> Response:
        rules, module = self.rules, _module(visit)
        required = rules.mandatory_deal_fields if module == "Deals" else ()
        found = catalogue.layouts(module, pipelines=rules.pipelines, required=required)
        return Response(200, {"layouts": found})

    def _user_types(self, visit: Visit) -> Response:
        portal = visit.found.rest.split("/")[2]
        if portal not in catalogue.PORTALS:
            details = {"resource_path_index": 2}
            raise RefusedError(400, "INVALID_DATA", "the portal name given seems to be invalid", details)
        return Response(200, {"user_type": catalogue.user_types(portal)})

    def _pipelines(self, visit: Visit) -> Response:
        if _param(visit, "layout_id") != catalogue.LAYOUTS["Deals"]:
            message = "the layout_id given seems to be invalid"
            raise RefusedError(400, "INVALID_DATA", message, {"param_name": "layout_id"})
        return Response(200, {"pipeline": catalogue.pipelines()}) if self.rules.pipelines else Response(204)

    def _check_mass_convert(self, visit: Visit) -> None:
        if visit.found.version < MASS_CONVERT_FROM:
            raise RefusedError(400, "API_NOT_SUPPORTED", "The API is not supported in this version")
        if not self.rules.may_convert:
            details = {"permissions": ["Crm_Implied_Mass_Convert_Leads"]}
            raise RefusedError(403, "NO_PERMISSION", "permission denied", details)

    def _special(self, lead_id: str) -> Special | None:
        lead = self.leads.get(lead_id)
        return lead.special if lead else None

    def _convertible(self, lead_id: str) -> bool:
        lead = self.leads.get(lead_id)
        return lead is not None and lead.converted_at is None


def _form(visit: Visit) -> dict[str, str]:
    return dict(visit.request.query) | dict(parse_qsl(visit.request.body.decode("utf-8", "replace")))


def _shown(lead: Lead, name: str, as_of: float) -> Any:
    return lead.id if name == "id" else field_value(lead, name, as_of)


def _no_such_call(found: Found) -> RefusedError:
    if found.known_path:
        return RefusedError(400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")
    message = "Please check if the URL trying to access is a correct one"
    return RefusedError(404, "INVALID_URL_PATTERN", message)


def _param(visit: Visit, name: str) -> str:
    value = visit.request.query.get(name, "")
    if not value:
        message = "One of the expected parameter is missing"
        raise RefusedError(400, "REQUIRED_PARAM_MISSING", message, {"param_name": name})
    return value


def _module(visit: Visit) -> str:
    module = _param(visit, "module")
    if module not in catalogue.MODULES:
        message = "the module name given seems to be invalid"
        raise RefusedError(400, "INVALID_MODULE", message, {"param_name": "module"})
    return module
