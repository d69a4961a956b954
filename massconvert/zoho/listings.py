"""What an organisation lists about itself, read page by page and cut down to what options are checked against.

`read_page` makes one call. Where Zoho answers something else than a list, nothing is known: it counts as no answer, so
that nobody takes a name for unknown because of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

from massconvert.model import FromZoho, Listing, NotSent, Page, PageAnswer, PerhapsAccepted, Refused
from massconvert.zoho.answers import Body
from massconvert.zoho.values import id_of, text_of

#: Users a page; the API's most.
PER_PAGE = 200

#: The scope that each listing needs.
SCOPES: dict[Listing, str] = {
    Listing.USERS: "ZohoCRM.users.READ",
    Listing.MODULES: "ZohoCRM.settings.modules.READ",
    Listing.PORTALS: "ZohoCRM.settings.clientportal.READ",
    Listing.FIELDS: "ZohoCRM.settings.fields.READ",
    Listing.LAYOUTS: "ZohoCRM.settings.layouts.READ",
    Listing.PIPELINES: "ZohoCRM.settings.pipeline.READ and ZohoCRM.settings.layouts.READ",
    Listing.LEAD_FIELDS: "ZohoCRM.settings.fields.READ",
    Listing.CONTACT_FIELDS: "ZohoCRM.settings.fields.READ",
    Listing.ACCOUNT_FIELDS: "ZohoCRM.settings.fields.READ",
}


class Get(Protocol):
    """`ZohoClient.get`."""

    def __call__(
        self, path: str, query: Mapping[str, str] | None = None, /
    ) -> Body | Refused | PerhapsAccepted | NotSent: ...


def read_page(get: Get, listing: Listing, place: str) -> PageAnswer:
    """One call for ``listing``; ``place`` is blank at first, then one of those that a page named under ``more``."""
    credits_left: int | None = None

    def noting(path: str, query: Mapping[str, str] | None = None, /) -> Body | Refused | PerhapsAccepted | NotSent:
        nonlocal credits_left
        said = get(path, query)
        credits_left = said.credits_left if isinstance(said, FromZoho) else None
        return said

    answer = _READERS[listing](noting, place)
    return replace(answer, credits_left=credits_left) if isinstance(answer, FromZoho) else answer


def _listed(
    answer: Any, key: str, *, may_be_empty: bool = True
) -> list[Mapping[str, Any]] | Refused | PerhapsAccepted | NotSent:
    """The objects under ``key`` of an answer, or why there are none."""
    if not isinstance(answer, Body):
        return answer  # type: ignore[no-any-return]  # any of the three
    items = answer.data.get(key, [] if not answer.data else None)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return PerhapsAccepted(f"an answer without a list of {key}")
    if not items and not may_be_empty:
        return PerhapsAccepted(f"an empty list of {key}")
    return items


def _users(get: Get, place: str) -> PageAnswer:
    page = int(place or "1")
    answer = get("users", {"type": "ActiveUsers", "page": str(page), "per_page": str(PER_PAGE)})
    users = _listed(answer, "users", may_be_empty=page > 1)
    if not isinstance(users, list):
        return users
    rows = tuple(
        {
            "id": id_of(user.get("id")),
            "name": text_of(user.get("full_name")) or text_of(user.get("last_name")),
            "email": text_of(user.get("email")),
        }
        for user in users
        if id_of(user.get("id")) and user.get("status", "active") == "active"
    )
    info = answer.data.get("info") if isinstance(answer, Body) else None
    more = isinstance(info, dict) and info.get("more_records") is True
    return Page(rows, (str(page + 1),) if more and users else ())


def _modules(get: Get, _place: str) -> PageAnswer:
    modules = _listed(get("settings/modules"), "modules", may_be_empty=False)
    if not isinstance(modules, list):
        return modules
    rows = (
        {"id": id_of(module.get("id")), "name": text_of(module.get("api_name"))}
        for module in modules
        if id_of(module.get("id"))
    )
    return Page(tuple(row for row in rows if row["name"]))


def _portals(get: Get, place: str) -> PageAnswer:
    if not place:
        portals = _listed(get("settings/portals"), "portals")
        if not isinstance(portals, list):
            return portals
        return Page((), tuple(name for portal in portals if (name := text_of(portal.get("name")))))
    types = _listed(get(f"settings/portals/{quote(place, safe='')}/user_type"), "user_type")
    if not isinstance(types, list):
        return types
    return Page(
        tuple(
            {"id": id_of(kind.get("id")), "name": text_of(kind.get("name")), "portal": place}
            for kind in types
            if id_of(kind.get("id"))
        )
    )


def _fields(get: Get, _place: str) -> PageAnswer:
    fields = _listed(get("settings/fields", {"module": "Deals"}), "fields", may_be_empty=False)
    return (
        Page(tuple(_field(row) for row in fields if text_of(row.get("api_name"))))
        if isinstance(fields, list)
        else fields
    )


def _field(row: Mapping[str, Any]) -> dict[str, Any]:
    length = row.get("length")
    return {
        "api_name": text_of(row.get("api_name")),
        "label": text_of(row.get("field_label") or row.get("display_label")),
        "type": text_of(row.get("data_type")),
        "length": length if isinstance(length, int) and not isinstance(length, bool) and length > 0 else 0,
        "mandatory": row.get("system_mandatory") is True,
        "computed": row.get("read_only") is True or row.get("field_read_only") is True,
        "default": row.get("default_value") not in (None, "", {}, []),
        "values": [
            forms
            for value in _objects(row.get("pick_list_values"))
            if value.get("type", "used") == "used" and (forms := _forms(value))
        ],
    }


def _layouts(get: Get, _place: str) -> PageAnswer:
    layouts = _listed(get("settings/layouts", {"module": "Deals"}), "layouts", may_be_empty=False)
    if not isinstance(layouts, list):
        return layouts
    return Page(
        tuple(
            {"id": id_of(row.get("id")), "name": text_of(row.get("name")), "required": _required(row)}
            for row in layouts
            if _active(row)
        )
    )


def _active(layout: Mapping[str, Any]) -> bool:
    return bool(id_of(layout.get("id"))) and layout.get("status") in (None, "active", 0)  # 0 in older versions


def _required(layout: Mapping[str, Any]) -> list[str]:
    sections = _objects(layout.get("sections"))
    fields = (field for section in sections for field in _objects(section.get("fields")))
    return sorted({text_of(field.get("api_name")) for field in fields if field.get("required") is True} - {""})


def _pipelines(get: Get, place: str) -> PageAnswer:
    if not place:
        layouts = _layouts(get, "")
        return Page((), tuple(row["id"] for row in layouts.rows)) if isinstance(layouts, Page) else layouts
    pipelines = _listed(get("settings/pipeline", {"layout_id": place}), "pipeline")
    if not isinstance(pipelines, list):
        return pipelines
    return Page(
        tuple(
            {
                "name": forms,
                "layout": place,
                "stages": [each for stage in _objects(row.get("maps")) if (each := _forms(stage))],
            }
            for row in pipelines
            if (forms := _forms(row))
        )
    )


def _lead_fields(get: Get, _place: str) -> PageAnswer:
    fields = _listed(get("settings/fields", {"module": "Leads"}), "fields", may_be_empty=False)
    if not isinstance(fields, list):
        return fields
    rows = (
        {
            "api_name": text_of(row.get("api_name")),
            "label": text_of(row.get("field_label")),
            "fills": _fills(row, "Deals"),
            "contact": _fills(row, "Contacts"),
            "account": _fills(row, "Accounts"),
        }
        for row in fields
    )
    return Page(tuple(row for row in rows if row["api_name"]))


def _unique_fields(module: str, get: Get, _place: str) -> PageAnswer:
    fields = _listed(get("settings/fields", {"module": module}), "fields", may_be_empty=False)
    if not isinstance(fields, list):
        return fields
    rows = (
        {
            "api_name": text_of(row.get("api_name")),
            "type": text_of(row.get("data_type")),
            "unique": bool(row.get("unique")),  # an object, which says whether case matters; empty where it is not
        }
        for row in fields
    )
    return Page(tuple(row for row in rows if row["api_name"]))


def _fills(field: Mapping[str, Any], module: str) -> str:
    """The field of a module that a conversion fills from this one of the lead; blank where there is none."""
    mapping = field.get("convert_mapping")
    target = mapping.get(module) if isinstance(mapping, dict) else None
    return text_of(target.get("api_name") if isinstance(target, dict) else target)


_READERS: dict[Listing, Callable[[Get, str], PageAnswer]] = {
    Listing.USERS: _users,
    Listing.MODULES: _modules,
    Listing.PORTALS: _portals,
    Listing.FIELDS: _fields,
    Listing.LAYOUTS: _layouts,
    Listing.PIPELINES: _pipelines,
    Listing.LEAD_FIELDS: _lead_fields,
    Listing.CONTACT_FIELDS: partial(_unique_fields, "Contacts"),
    Listing.ACCOUNT_FIELDS: partial(_unique_fields, "Accounts"),
}


def _objects(value: Any) -> Iterable[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _forms(value: Mapping[str, Any]) -> Sequence[str]:
    """A picklist's value as it is shown, and as it is stored where that differs."""
    forms = (text_of(value.get("display_value")), text_of(value.get("actual_value")))
    return list(dict.fromkeys(form for form in forms if form))
