"""Which calls there are, and what their paths and queries say; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from massconvert.simulator.faults import COMPOSITE, CONVERT, OPTIONS, POST, QUERY, READ, REVOKE, SEARCH, TOKEN
from massconvert.simulator.fields import NAME_OF
from massconvert.simulator.messages import RefusedError, Request, Response
from massconvert.simulator.rules import CONVERT as CONVERT_ONE
from massconvert.simulator.rules import MASS_CONVERT as CONVERT_MANY
from massconvert.simulator.rules import permission

OLDEST, NEWEST = 2, 8  # versions of the API
MASS_CONVERT_FROM = 4  # the first version that has it
MOST_FIELDS, MOST_PER_PAGE = 50, 200
_PATH = re.compile(r"/crm/v(?P<major>[0-9]{1,2})(?:\.[0-9]+)?/(?P<rest>.*[^/])/?")


@dataclass(frozen=True)
class Route:
    """A call that there is: ``name`` in fault scripts and counts, the ``scope`` it wants (none: about tokens).

    ``module`` is whose records it is about, ``permission`` what the user must have, ``since`` its first version.
    """

    method: str
    name: str
    path: str  # a pattern, after /crm/v8/
    scope: str
    module: str = ""
    permission: str = ""
    since: int = OLDEST


def _of_module(module: str) -> tuple[Route, ...]:
    """The calls that read and write records of a module."""
    one = module.removesuffix("s")

    def route(method: str, deed: str, path: str = "", name: str = module) -> Route:
        scope = f"ZohoCRM.modules.{module.lower()}.{deed}"
        return Route(method, f"{method} {name}", module + path, scope, module, permission(module, deed))

    return (
        route("GET", "READ"),
        route("GET", "READ", "/[^/]+", one),
        route("POST", "CREATE"),
        route("PUT", "UPDATE"),
        route("DELETE", "DELETE"),
        route("DELETE", "DELETE", "/[0-9]+", one),
    )


MASS_CONVERT = "Leads/actions/mass_convert"
ROUTES = (
    Route("POST", POST, MASS_CONVERT, "ZohoCRM.mass_convert.leads.CREATE", "Leads", CONVERT_MANY, MASS_CONVERT_FROM),
    Route(
        "GET",
        "GET mass_convert",
        MASS_CONVERT,
        "ZohoCRM.mass_convert.leads.READ",
        "Leads",
        CONVERT_MANY,
        MASS_CONVERT_FROM,
    ),
    Route("POST", CONVERT, r"Leads/[^/]+/actions/convert", "ZohoCRM.modules.leads.CREATE", "Leads", CONVERT_ONE),
    Route(
        "GET",
        OPTIONS,
        "Leads/[^/]+/__conversion_options",
        "ZohoCRM.modules.leads.READ",
        "Leads",
        since=MASS_CONVERT_FROM,
    ),
    *(
        Route(method, f"{method} lock", "Leads/[^/]+/Locking_Information__s", "ZohoCRM.modules.leads.UPDATE", "Leads")
        for method in ("POST", "DELETE")
    ),
    *(
        Route(method, f"{method} recycle_bin", "settings/recycle_bin", f"ZohoCRM.settings.recycle_bin.{deed}")
        for method, deed in (("GET", "READ"), ("DELETE", "DELETE"))
    ),
    Route("POST", COMPOSITE, "__composite_requests", "ZohoCRM.composite_requests.CUSTOM"),
    Route("GET", "GET users", "users", "ZohoCRM.users.READ"),
    Route("GET", "GET org", "org", "ZohoCRM.org.READ"),
    Route("GET", "GET settings/modules", "settings/modules", "ZohoCRM.settings.modules.READ"),
    Route("GET", "GET settings/fields", "settings/fields", "ZohoCRM.settings.fields.READ"),
    Route("GET", "GET settings/layouts", "settings/layouts", "ZohoCRM.settings.layouts.READ"),
    Route("GET", "GET settings/pipeline", "settings/pipeline", "ZohoCRM.settings.pipeline.READ"),
    Route("GET", "GET settings/portals", "settings/portals", "ZohoCRM.settings.clientportal.READ"),
    Route("GET", "GET settings/user_type", r"settings/portals/[^/]+/user_type", "ZohoCRM.settings.clientportal.READ"),
    Route("POST", QUERY, "coql", "ZohoCRM.coql.READ"),
    Route("GET", SEARCH, "Leads/search", "ZohoSearch.securesearch.READ", "Leads"),
    *(route for module in NAME_OF for route in _of_module(module)),
)
#: The accounts server's calls, by their whole paths.
ACCOUNTS_ROUTES = {
    "/oauth/v2/token": Route("POST", TOKEN, "", ""),
    "/oauth/v2/token/revoke": Route("POST", REVOKE, "", ""),
}


@dataclass(frozen=True)
class Found:
    """What a request asks for. Without a ``route`` it is refused; ``known_path`` says that the method is to blame."""

    name: str
    route: Route | None = None
    version: int = 0
    rest: str = ""
    known_path: bool = False

    @property
    def module(self) -> str:
        """Whose records it is about."""
        return self.route.module if self.route else ""


@dataclass(frozen=True)
class Visit:
    """A call that was let in, and the moment (Unix seconds) it is answered for; ``stale`` seconds ago for reads.

    Reads do not show the rows that are ``hidden``, and do not say of ``blank`` ones whether they are converted.
    """

    request: Request
    found: Found
    now: float
    stale: float = 0.0
    hidden: frozenset[str] = frozenset()
    blank: frozenset[str] = frozenset()


def find(request: Request) -> Found:
    """What a request asks for."""
    if route := ACCOUNTS_ROUTES.get(request.path):
        posted = request.method == "POST"
        name = route.name if posted else route.name.replace("POST", request.method)
        return Found(name, route if posted else None, known_path=True)
    match = _PATH.fullmatch(request.path)
    version, rest = (int(match["major"]), match["rest"]) if match else (0, "")
    if not OLDEST <= version <= NEWEST:
        return Found("unknown", rest=rest)
    named = [route for route in ROUTES if re.fullmatch(route.path, rest)]
    for route in named:
        if route.method == request.method:
            return Found(route.name, route, version, rest, known_path=True)
    return Found("unknown", None, version, rest, known_path=bool(named))


def ids_of(request: Request, name: str) -> Sequence[str]:
    """The lead ids that a call is about, for fault rules; nothing is checked here."""
    if name == READ:
        return request.query.get("ids", "").split(",")
    if name in (CONVERT, OPTIONS):
        return re.findall(r"/Leads/([^/]+)/", request.path)
    if name != POST:
        return ()
    try:
        ids = json.loads(request.body)["ids"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return ()
    return [str(lead_id) for lead_id in ids] if isinstance(ids, list) else ()


def records_in(request: Request, name: str) -> int:
    """How many records a call writes: more than ten make it a heavy one."""
    if name.partition(" ")[0] not in ("POST", "PUT") or name.partition(" ")[2] not in NAME_OF:
        return 0
    try:
        rows = json.loads(request.body)["data"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return 0
    return len(rows) if isinstance(rows, list) else 0


def id_of(visit: Visit) -> str:
    """The id in a path, after its module. Raises RefusedError."""
    row_id = visit.found.rest.split("/")[1]
    if not row_id.isdigit():
        raise RefusedError(400, "INVALID_DATA", "the id given seems to be invalid", {"resource_path_index": 1})
    return row_id


def param(visit: Visit, name: str) -> str:
    """A parameter that there must be. Raises RefusedError."""
    value = visit.request.query.get(name, "")
    if not value:
        message = "One of the expected parameter is missing"
        raise RefusedError(400, "REQUIRED_PARAM_MISSING", message, {"param_name": name})
    return value


def page_of(key: str, rows: Sequence[Any], page: int, per_page: int, *, more: bool) -> Response:
    """A page of an answer; 204 where there is nothing on it."""
    if not rows:
        return Response(204)
    info = {"per_page": per_page, "count": len(rows), "page": page, "more_records": more}
    return Response(200, {key: list(rows), "info": info})


def checked_ids(text: str, most: int, most_characters: int | None = None) -> list[str]:
    """The ids of a Get Records call. Raises RefusedError."""
    if most_characters is not None and len(text) > most_characters:
        details = {"param_name": "ids", "maximum_length": most_characters}
        raise RefusedError(400, "INVALID_DATA", "the ids given are too long", details)
    ids = [lead_id.strip() for lead_id in text.split(",")]
    if len(ids) > most:
        details = {"limit": most, "param_name": "ids"}
        raise RefusedError(400, "LIMIT_EXCEEDED", "the limit of ids has been exceeded", details)
    if not all(lead_id.isdigit() for lead_id in ids):
        raise RefusedError(400, "INVALID_DATA", "the ids given seem to be invalid", {"param_name": "ids"})
    return list(dict.fromkeys(ids))


def checked_fields(text: str, version: int) -> list[str]:
    """The fields of a Get Records call, mandatory from v3 on. Raises RefusedError."""
    fields = [name.strip() for name in text.split(",") if name.strip()]
    if not fields and version >= 3:
        message = "One of the expected parameter is missing"
        raise RefusedError(400, "REQUIRED_PARAM_MISSING", message, {"param_name": "fields"})
    if len(fields) > MOST_FIELDS:
        details = {"limit": MOST_FIELDS, "param_name": "fields"}
        raise RefusedError(400, "LIMIT_EXCEEDED", "the limit of fields has been exceeded", details)
    return fields


def wanted_states(query: Mapping[str, str]) -> frozenset[bool]:
    """Which leads ``converted=`` asks for: converted ones, others, both. Raises RefusedError."""
    text = query.get("converted", "false")
    states = {"true": frozenset({True}), "false": frozenset({False}), "both": frozenset({True, False})}
    if text not in states:
        raise RefusedError(400, "INVALID_DATA", "invalid data", {"param_name": "converted"})
    return states[text]


def number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A number in a query, at least 1. Raises RefusedError."""
    text = query.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text[:9]) <= most:
        raise RefusedError(400, "INVALID_DATA", "invalid data", {"param_name": name, "expected_data_type": "integer"})
    return int(text)
