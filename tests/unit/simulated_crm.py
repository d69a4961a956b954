"""A simulated Zoho CRM under a clock that the test moves, and the calls a client makes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any
from urllib.parse import urlencode

from massconvert.simulator import Credentials, Organisation, Request, Response, Rules
from tests.stand_ins import Steady

FIELDS = "Converted__s,Converted_Date_Time,Converted_Account,Converted_Contact,Converted_Deal"
ANN = "3652397000000281001"
DEAL = {"Deal_Name": "Renewal", "Stage": "Needs Analysis", "Closing_Date": "2026-12-20"}
FORM = {"grant_type": "refresh_token", "client_id": "c", "client_secret": "s", "refresh_token": "r"}


class Crm:
    """An organisation and a client with a valid token."""

    def __init__(
        self,
        leads: int = 100,
        *,
        unknown: int = 0,
        converted: int = 0,
        faults: Any = (),
        credentials: Credentials | None = None,
        **rules: Any,
    ) -> None:
        self.clock = Steady(1_800_000_000.0)
        self.organisation = Organisation(
            clock=self.clock,
            random=Random(1),
            leads=leads,
            unknown=unknown,
            converted=converted,
            rules=Rules(**rules),
            faults=faults,
            credentials=credentials,
        )
        self.ids = self.organisation.lead_ids()
        self.token = ""

    def call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = b"",
        token: str | None = None,
    ) -> Response:
        """Any call; the token is fetched with the first."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"authorization": f"Zoho-oauthtoken {self.access_token() if token is None else token}"}
        return self.organisation.handle(Request(method, path, query or {}, headers, content))

    def ask_token(self, **changes: str) -> Response:
        """A refresh, with ``changes`` to what is sent."""
        body = urlencode({**FORM, **changes}).encode()
        return self.organisation.handle(Request("POST", "/oauth/v2/token", {}, {"host": "sim:8080"}, body))

    def access_token(self) -> str:
        """A token, which is fetched once."""
        if not self.token:
            body = self.ask_token().body
            assert isinstance(body, dict)
            self.token = body["access_token"]
        return self.token

    def post(self, ids: Sequence[Any], version: str = "v8", **options: Any) -> Response:
        """POST mass_convert."""
        body = {"ids": list(ids), "assign_to": {"id": ANN}, **options}
        return self.call("POST", f"/crm/{version}/Leads/actions/mass_convert", body=body)

    def job_of(self, ids: Sequence[Any], **options: Any) -> str:
        """The job of a POST that is accepted."""
        answer = self.post(ids, **options)
        assert isinstance(answer.body, dict)
        return str(answer.body["details"]["job_id"])

    def status(self, job_id: str) -> dict[str, Any]:
        """GET mass_convert: the job's entry."""
        answer = self.call("GET", "/crm/v8/Leads/actions/mass_convert", {"job_id": job_id})
        assert isinstance(answer.body, dict), answer
        entry: dict[str, Any] = answer.body["data"][0]
        return entry

    def convert(self, lead_id: str, **row: Any) -> Response:
        """POST convert of one lead."""
        return self.call("POST", f"/crm/v8/Leads/{lead_id}/actions/convert", body={"data": [row]})

    def read(self, ids: Sequence[str], converted: str = "both", fields: str = FIELDS, version: str = "v8") -> Response:
        """GET Leads with ids."""
        query = {"ids": ",".join(ids), "converted": converted, "fields": fields}
        return self.call("GET", f"/crm/{version}/Leads", {name: text for name, text in query.items() if text})


def code(answer: Response) -> tuple[int, str]:
    """Status and code of an answer."""
    assert isinstance(answer.body, dict), answer
    return answer.status, str(answer.body["code"])


def only(answer: Response, key: str = "data") -> list[dict[str, Any]]:
    """The rows or items of an answer."""
    assert isinstance(answer.body, dict), answer
    found: list[dict[str, Any]] = answer.body[key]
    return found
