"""A deal that this organisation takes, of what it says about its own: stages, pipelines, mandatory fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from massconvert.model import Call, Listing, Page
from massconvert.options import examine
from massconvert.rehearsal.stage import Stage
from massconvert.zoho.listings import SCOPES, read_page
from massconvert.zoho.values import id_of

#: Seconds until the deal closes.
_DAYS = 30
_BY_TYPE: dict[str, Any] = {
    **dict.fromkeys(("integer", "bigint", "double", "currency", "percent"), 1),
    "boolean": False,
    "email": "rehearsal@example.com",
    "website": "https://example.com",
    **dict.fromkeys(("text", "textarea", "phone"), "1"),
}


class _NoDealError(Exception):
    """No deal can be thought of; the text says why."""


def find_options(stage: Stage) -> None:
    """Put the user and a deal into the stage's options; what is not to be had is noted, and left out."""
    with stage.asking("options"):
        answer = stage.call(Call.READ, "GET", "users", {"type": "ActiveUsers", "per_page": "200"})
        ours = stage.call(Call.READ, "GET", "users", {"type": "CurrentUser"})
        user = next(iter(_ids(ours.body)), "")
        if user:
            stage.options["assign_to"] = {"id": user}
        if user and stage.environment in ("sandbox", "developer"):  # elsewhere another user might get mail
            stage.cast.other_user = next((other for other in _ids(answer.body) if other != user), "")
        try:
            stage.options["Deals"] = _deal(stage)
        except _NoDealError as error:
            stage.notes["no_deal"] = str(error)


def _ids(body: Any) -> list[str]:
    users = body.get("users") if isinstance(body, dict) else None
    rows = [row for row in users or () if isinstance(row, dict)]
    return [id_of(row.get("id")) for row in rows if id_of(row.get("id")) and row.get("status", "active") == "active"]


def _deal(stage: Stage) -> dict[str, Any]:
    listings = {listing: _rows(stage, listing) for listing in (Listing.FIELDS, Listing.PIPELINES, Listing.LAYOUTS)}
    fields = {row["api_name"]: row for row in listings[Listing.FIELDS]}
    pipelines = listings[Listing.PIPELINES]
    closes = datetime.fromtimestamp(stage.wire.now(), timezone.utc) + timedelta(days=_DAYS)
    deal: dict[str, Any] = {"Deal_Name": stage.cast.named("deal"), "Closing_Date": closes.date().isoformat()}
    stages = [forms[0] for forms in fields.get("Stage", {}).get("values", ())]
    if pipelines:
        deal["Pipeline"] = pipelines[0]["name"][0]
        stages = [forms[0] for forms in pipelines[0]["stages"]]
    usual = [name for name in stages if not name.casefold().startswith("closed") and name != "-None-"]
    if not usual:
        raise _NoDealError("no stage of a deal is known")
    deal["Stage"] = usual[0]
    for problem in examine({"Deals": deal}, listings).problems:  # what else this organisation wants
        name = problem.path.removeprefix("$.Deals.")
        if name in fields and name not in deal:
            deal[name] = _value(fields[name], closes)
    return deal


def _value(row: Mapping[str, Any], closes: datetime) -> Any:
    values = [forms[0] for forms in row["values"] if forms[0] != "-None-"]
    kind = row["type"]
    if values:
        return [values[0]] if kind == "multiselectpicklist" else values[0]
    if kind in ("date", "datetime"):
        return closes.date().isoformat() if kind == "date" else closes.replace(microsecond=0).isoformat()
    if kind not in _BY_TYPE:
        raise _NoDealError(f"a deal must have {row['api_name']}, for which there is no value to make up")
    return _BY_TYPE[kind]


def _rows(stage: Stage, listing: Listing) -> Sequence[Mapping[str, Any]]:
    """A listing, read whole."""

    def get(path: str, query: Mapping[str, str] | None = None, /) -> Any:
        return stage.call(Call.READ, "GET", path, query).said

    rows: list[Mapping[str, Any]] = []
    places = [""]
    while places:
        page = read_page(get, listing, places.pop())
        if not isinstance(page, Page):
            raise _NoDealError(f"deals cannot be looked up: it needs the scope {SCOPES[listing]}")
        rows += page.rows
        places += page.more
    return rows
