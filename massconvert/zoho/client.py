"""The calls of Zoho CRM that the pipeline makes. Each ends in one value of the model, however it broke.

No method retries, sleeps, or raises for anything that Zoho or the network does: the policy says when to try again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlencode

from massconvert.model import (
    CountedLeads,
    DealUpdate,
    FindAnswer,
    Listing,
    NotSent,
    PageAnswer,
    PerhapsAccepted,
    PostAnswer,
    ReadAnswer,
    RecordsAnswer,
    Refused,
    StatusAnswer,
    UpdateAnswer,
)
from massconvert.policy.codes import TOKEN_CODES
from massconvert.store import steady
from massconvert.zoho.answers import (
    Body,
    Failure,
    parse_body,
    parse_count,
    parse_found,
    parse_post,
    parse_read,
    parse_status,
)
from massconvert.zoho.listings import read_page
from massconvert.zoho.oauth import Token
from massconvert.zoho.records import parse_linked, parse_records
from massconvert.zoho.transport import Reply, Transport
from massconvert.zoho.updates import parse_update
from massconvert.zoho.values import date_of

_T = TypeVar("_T")

#: Seconds by which clocks of Zoho's servers may differ; and after which the time of an answer is too old to go by.
_CLOCKS, _TOLD_LATELY = 3.0, 900.0
#: The lead's own fields that tell its state: native, and not writable.
STATE_FIELDS = ("Converted__s", "Converted_Date_Time", "Converted_Account", "Converted_Contact", "Converted_Deal")

_MASS_CONVERT = "Leads/actions/mass_convert"
_USER_AGENT = "zoho-mass-convert"


class Tokens(Protocol):
    """Where the access token comes from; see ``TokenSource``."""

    def get(self) -> Token | NotSent: ...

    def discard(self, token: Token) -> None: ...


class ZohoClient:
    """Zoho CRM, for one set of credentials; used by any number of threads.

    ``version`` is the API's, e.g. ``v8``.
    """

    def __init__(self, tokens: Tokens, transport: Transport, version: str) -> None:
        self._tokens = tokens
        self._transport = transport
        self._version = quote(version, safe="")
        self._told: tuple[float, float] | None = None  # Zoho's time, and ours by `steady` as it came

    def ready(self) -> Token | NotSent:
        """What a payload needs to be sent at once: an access token, which may take seconds to be had."""
        return self._tokens.get()

    def clock(self) -> float | None:
        """Zoho's clock now, in Unix seconds, as any of its servers shows it at the least.

        ``None`` where no answer of the last `_TOLD_LATELY` seconds had a ``Date``.
        """
        if self._told is None:
            return None
        at, heard = self._told
        since = steady() - heard
        return at + since - _CLOCKS if since <= _TOLD_LATELY else None

    def mass_convert(
        self,
        leads: Sequence[str],
        options: Mapping[str, Any],
        *,
        token: Token | None = None,
        send_by: float | None = None,
    ) -> PostAnswer:
        """POST one payload; ``options`` are Zoho's own body keys, resolved, without ``ids``.

        ``token`` is what `ready` gave; nothing leaves after ``send_by`` (a moment of `steady`).
        """
        body = json.dumps({"ids": list(leads), **options}, ensure_ascii=False, allow_nan=False).encode()
        return self._call(parse_post, "POST", _MASS_CONVERT, {}, body, token=token, send_by=send_by)

    def convert(
        self, lead: str, body: Mapping[str, Any], *, token: Token | None = None, send_by: float | None = None
    ) -> PostAnswer:
        """POST the conversion of a single lead, into the records that ``body`` names; a heavy call of 5 credits.

        ``token`` and ``send_by`` as for `mass_convert`.
        """
        data = json.dumps({"data": [body]}, ensure_ascii=False, allow_nan=False).encode()
        return self._call(parse_linked, "POST", f"Leads/{lead}/actions/convert", {}, data, token=token, send_by=send_by)

    def records(self, query: str, module: str, field: str) -> RecordsAnswer:
        """POST a query for contacts or accounts by the values of a field (see records.py); a heavy call."""
        return self._call(partial(parse_records, module=module, field=field), "POST", "coql", {}, _select(query))

    def job_status(self, job_id: str) -> StatusAnswer:
        """GET the counts of a job."""
        return self._call(parse_status, "GET", _MASS_CONVERT, {"job_id": job_id})

    def read_leads(self, leads: Sequence[str], fields: Sequence[str] = ()) -> ReadAnswer:
        """GET up to 100 leads, converted or not, and these further fields of each."""
        wanted = ",".join(dict.fromkeys((*STATE_FIELDS, *fields)))
        query = {"ids": ",".join(leads), "fields": wanted, "converted": "both"}
        return self._call(partial(parse_read, fields=fields), "GET", "Leads", query)

    def update_deals(self, updates: Sequence[DealUpdate]) -> UpdateAnswer:
        """PUT values into up to 100 deals: Update Records; made twice it is made once."""
        rows = [{**update.values, "id": update.deal_id} for update in updates]
        body = json.dumps({"data": rows}, ensure_ascii=False, allow_nan=False).encode()
        return self._call(partial(parse_update, count=len(rows)), "PUT", "Deals", {}, body)

    def read_page(self, listing: Listing, place: str) -> PageAnswer:
        """GET one page of what the organisation lists about itself; see `read_page` in names.py."""
        return read_page(self.get, listing, place)

    def coql(self, query: str) -> FindAnswer:
        """POST a COQL query that selects ids of leads, up to 2,000 rows; a heavy call."""
        return self._call(parse_found, "POST", "coql", {}, _select(query))

    def count(self, query: str) -> CountedLeads | Refused | PerhapsAccepted | NotSent:
        """POST a COQL query that selects ``COUNT(id)``."""
        return self._call(parse_count, "POST", "coql", {}, _select(query))

    def search(self, criteria: str, page: int) -> FindAnswer:
        """GET a page of the unconverted leads that Search finds: 200 a page, 10 pages at most."""
        query = {"criteria": criteria, "fields": "id", "converted": "false", "page": str(page), "per_page": "200"}
        return self._call(parse_found, "GET", "Leads/search", query)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Body | Refused | PerhapsAccepted | NotSent:
        """GET anything else, e.g. ``org`` or ``settings/modules``; an empty result is an empty `Body`."""
        return self._call(parse_body, "GET", path, query or {})

    def exchange(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> tuple[Body | Refused | PerhapsAccepted | NotSent, Reply | None]:
        """Make any call; what it came to, and Zoho's own reply where there was one. ``body`` is JSON to be."""
        replies: list[Reply] = []

        def parse(status: int, headers: Mapping[str, str], content: bytes) -> Body | Failure:
            replies.append(Reply(status, headers, content))
            return parse_body(status, headers, content)

        sent = None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        answer: Body | Refused | PerhapsAccepted | NotSent = self._call(parse, method, path, query or {}, sent)
        return answer, replies[-1] if replies else None

    def _call(
        self,
        parse: Callable[[int, Mapping[str, str], bytes], _T | Refused],
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        *,
        token: Token | NotSent | None = None,
        send_by: float | None = None,
    ) -> _T | Refused | PerhapsAccepted | NotSent:
        token = token or self._tokens.get()
        if isinstance(token, NotSent):
            return token
        url = f"{token.api_domain}/crm/{self._version}/{path}"
        headers = {
            "Authorization": f"Zoho-oauthtoken {token.value.get_secret_value()}",
            "Accept": "application/json",
            "User-Agent": _USER_AGENT,
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        if query:
            url += "?" + urlencode(query, safe=",")
        reply = self._transport.exchange(method, url, headers=headers, body=body, send_by=send_by)
        if isinstance(reply, NotSent | PerhapsAccepted):
            return reply
        if (at := date_of(reply.headers.get("date", ""))) is not None:  # Zoho's own clock (RFC 9110, 6.6.1)
            self._told = (at, steady())
        answer = parse(reply.status, reply.headers, reply.body)
        if isinstance(answer, Refused) and answer.code in TOKEN_CODES:
            self._tokens.discard(token)
        return answer


def _select(query: str) -> bytes:
    return json.dumps({"select_query": query}, ensure_ascii=False).encode()
