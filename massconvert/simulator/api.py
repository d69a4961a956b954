"""What each call of Zoho CRM does and answers, once it has been let in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

from massconvert.simulator import catalogue, coql, routes
from massconvert.simulator.accounts import Accounts
from massconvert.simulator.composite import requests_in, response_of
from massconvert.simulator.converting import Wanted
from massconvert.simulator.faults import COMPOSITE, CONVERT, OPTIONS, POST, QUERY, REVOKE, SEARCH, TOKEN, Faults
from massconvert.simulator.fields import NAME_OF
from massconvert.simulator.jobs import Jobs
from massconvert.simulator.leads import Lead
from massconvert.simulator.messages import RefusedError, Response, place
from massconvert.simulator.reading import Reading, select_query
from massconvert.simulator.records import Records
from massconvert.simulator.routes import Found, Route, Visit
from massconvert.simulator.rules import Rules
from massconvert.simulator.single import Single
from massconvert.simulator.validation import Payload, duplicate_error, read_payload
from massconvert.simulator.writing import Writing

SCHEDULED_FROM = 7  # the first version whose code of success is SCHEDULED (Zoho's SDKs, one a version)


@dataclass
class Api:
    """The calls over the organisation's records, jobs and tokens. Not thread-safe."""

    rules: Rules
    records: Records
    jobs: Jobs
    accounts: Accounts
    faults: Faults
    reading: Reading
    single: Single
    writing: Writing
    _work: dict[str, Callable[[Visit], Response]] = field(init=False)

    def __post_init__(self) -> None:
        self._work = {
            TOKEN: self._token,
            REVOKE: lambda visit: self.accounts.revoke(_form(visit)),
            POST: self._mass_convert,
            "GET mass_convert": self._status,
            CONVERT: lambda visit: self.single.convert(visit, self.faults),
            OPTIONS: self.single.options,
            COMPOSITE: self._composite,
            "POST lock": self.writing.lock,
            "DELETE lock": self.writing.lock,
            "GET recycle_bin": self.writing.bin,
            "DELETE recycle_bin": self.writing.empty,
            QUERY: self._query,
            SEARCH: self.reading.search,
            "GET users": self._users,
            "GET org": lambda visit: Response(200, catalogue.organisation(self.rules, visit.now)),
            "GET settings/modules": lambda _visit: Response(200, catalogue.modules()),
            "GET settings/fields": self._fields,
            "GET settings/layouts": self._layouts,
            "GET settings/pipeline": self._pipelines,
            "GET settings/portals": lambda _visit: Response(200, {"portals": catalogue.portals()}),
            "GET settings/user_type": self._user_types,
        }
        for module in NAME_OF:
            self._work[f"GET {module}"] = self.reading.read
            self._work[f"POST {module}"] = self.writing.create
            self._work[f"PUT {module}"] = self.writing.update
            self._work[f"DELETE {module}"] = self._work[f"DELETE {module.removesuffix('s')}"] = self.writing.delete
            self._work[f"GET {module.removesuffix('s')}"] = self.reading.read_one

    def answer(self, visit: Visit) -> Response:
        """Zoho's answer, whether it is what was asked for or a refusal. Raises nothing."""
        try:
            found, route = visit.found, visit.found.route
            if route is None:
                raise _no_such_call(found)
            if route.scope:
                self._let_in(visit, route)
            return self._work[route.name](visit)
        except RefusedError as error:
            return error.response()

    def _let_in(self, visit: Visit, route: Route) -> None:
        self._check_scope(visit, route.scope)
        if visit.found.version < route.since:
            raise RefusedError(400, "API_NOT_SUPPORTED", "The API is not supported in this version")
        if forbidden := self.rules.forbidden(route.permission):
            raise RefusedError(403, "NO_PERMISSION", "permission denied", {"permissions": [forbidden]})

    def _check_scope(self, visit: Visit, scope: str) -> None:
        self.accounts.check(visit.request.headers.get("authorization", ""), scope, visit.now)

    def _token(self, visit: Visit) -> Response:
        # The origin that the client itself uses, so that a container's name works too.
        return self.accounts.grant(_form(visit), f"http://{visit.request.headers.get('host', '127.0.0.1')}", visit.now)

    def _mass_convert(self, visit: Visit) -> Response:
        version = visit.found.version
        payload = read_payload(visit.request.body, self.rules.of_version(version), self._seen_lead, version)
        wanted = self.single.converting.of_job(payload.options)
        if self.rules.duplicate_lead == "refuse_all":
            self._refuse_duplicates(payload, wanted)
        fault = self.faults.on_job(payload.ids)
        if payload.fails:
            fault = replace(fault, spared=frozenset(payload.ids))
        job = self.jobs.add(payload.ids, visit.now, wanted, fault)
        answer = {
            "code": self.rules.accepted_code or ("SCHEDULED" if version >= SCHEDULED_FROM else "SUCCESS"),
            "details": {"job_id": job.id},
            "message": "Mass Convert scheduled successfully",
            "status": "success",
        }
        return Response(self.rules.accepted_status, answer)

    def _refuse_duplicates(self, payload: Payload, wanted: Wanted) -> None:
        """Refuse a payload for the first of its leads whose records cannot be made. Raises RefusedError."""
        for number, lead in enumerate(map(self.records.leads.get, payload.ids)):
            if lead and (clash := self.single.converting.clash(lead, wanted)):
                name, record = clash
                names = self.rules.names_bad_leads != "none"
                named = place(f"$.ids[{number}]") if names else {"api_name": name}
                raise duplicate_error(record, named, self.rules.duplicate_status)

    def _status(self, visit: Visit) -> Response:
        job_id = visit.request.query.get("job_id", "")
        if not job_id:
            details = {"param": "job_id", "json_path": "$.job_id"}
            raise RefusedError(400, "REQUIRED_PARAM_MISSING", "job_id is required.", details)
        job = self.jobs.all.get(job_id)
        if job is None or not job.known(visit.now, self.rules):
            message = "The jobid given seems to be invalid"
            raise RefusedError(400, "INVALID_DATA", message, {"param_name": "job_id"})
        return Response(200, {"data": [job.status(visit.now, self.rules)]})

    def _composite(self, visit: Visit) -> Response:
        answers = []
        for sub_request_id, request in requests_in(visit.request):
            answer = self.answer(replace(visit, request=request, found=routes.find(request)))
            answers.append(response_of(sub_request_id, answer))
        return Response(200, {"__composite_requests": answers})

    def _query(self, visit: Visit) -> Response:
        query = coql.parse(select_query(visit.request.body), self.rules, visit.found.version)
        self._check_scope(visit, f"ZohoCRM.modules.{query.module.lower()}.READ")
        return self.reading.query(visit, query)

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
        return routes.page_of("users", shown, page, per_page, more=len(users) > page * per_page)

    def _fields(self, visit: Visit) -> Response:
        found = catalogue.fields(_module(visit), pipelines=self.rules.pipelines, unique=self.rules.unique_fields)
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
        if routes.param(visit, "layout_id") != catalogue.LAYOUTS["Deals"]:
            message = "the layout_id given seems to be invalid"
            raise RefusedError(400, "INVALID_DATA", message, {"param_name": "layout_id"})
        return Response(200, {"pipeline": catalogue.pipelines()}) if self.rules.pipelines else Response(204)

    def _seen_lead(self, lead_id: str) -> Lead | None:
        return self.records.leads.get(lead_id) if lead_id not in self.records.hidden else None


def _form(visit: Visit) -> dict[str, str]:
    return dict(visit.request.query) | dict(parse_qsl(visit.request.body.decode("utf-8", "replace")))


def _no_such_call(found: Found) -> RefusedError:
    if found.known_path:
        return RefusedError(400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")
    message = "Please check if the URL trying to access is a correct one"
    return RefusedError(404, "INVALID_URL_PATTERN", message)


def _module(visit: Visit) -> str:
    module = routes.param(visit, "module")
    if module not in catalogue.MODULES:
        message = "the module name given seems to be invalid"
        raise RefusedError(400, "INVALID_MODULE", message, {"param_name": "module"})
    return module
