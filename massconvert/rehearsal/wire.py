"""One call of a rehearsal: with a permit, as every call of massconvert, and in the journal before it is made."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from massconvert.errors import ZohoError
from massconvert.model import Busy, Call, FromZoho, NotSent, PerhapsAccepted, Refused
from massconvert.policy import CallAnswer, Permit
from massconvert.rehearsal.journal import Journal
from massconvert.zoho.answers import Body
from massconvert.zoho.transport import Reply
from massconvert.zoho.values import id_of, items_of, text_of, word_of

#: Seconds for which a permit is waited for; then the rehearsal ends, and what it made is cleaned up later.
PATIENCE = 60.0

#: The modules in which a rehearsal makes records.
LEADS, CONTACTS, ACCOUNTS, DEALS = "Leads", "Contacts", "Accounts", "Deals"
MASS_CONVERT = "Leads/actions/mass_convert"


class Client(Protocol):
    """`massconvert.zoho.ZohoClient`."""

    def exchange(
        self, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> tuple[Body | Refused | PerhapsAccepted | NotSent, Reply | None]: ...


class Permits(Protocol):
    """`massconvert.zoho.Governor`."""

    def acquire(self, call: Call) -> Permit | Busy: ...

    def release(self, permit: Permit, answer: CallAnswer = None) -> float | None: ...


@dataclass(frozen=True)
class Answer:
    """What a call came to. ``status`` is 0 where there was no answer, and ``lost`` says why; ``at`` is when it came.

    ``code``, ``message`` and ``paths`` are those of the first error, or of a success that has a code.
    """

    status: int
    body: Any
    code: str = ""
    message: str = ""
    paths: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: bool = False
    lost: str = ""
    seconds: float = 0.0
    credits_left: int | None = None
    at: float = 0.0
    said: CallAnswer = None

    @property
    def items(self) -> list[Mapping[str, Any]]:
        """The objects under ``data``, or the answer itself."""
        found = self.body.get("data") if isinstance(self.body, dict) else None
        items = found if isinstance(found, list) else [self.body]
        return [item for item in items if isinstance(item, dict)]

    @property
    def job_id(self) -> str:
        """The job that a payload became; blank for none."""
        for item in self.items:
            details = item.get("details")
            if isinstance(details, dict) and word_of(item.get("status")) == "success" and "job_id" in details:
                return id_of(details["job_id"])
        return ""

    @property
    def in_words(self) -> str:
        """Status and code, for a table."""
        return self.lost or f"{self.status} {self.code}".strip()


class Wire:
    """Makes calls, one after another or some at once; ``now`` are Unix seconds, ``wait`` lets seconds pass.

    ``listener`` is told of each call when it has been answered.
    """

    def __init__(
        self,
        zoho: Client,
        permits: Permits,
        journal: Journal,
        *,
        now: Callable[[], float],
        wait: Callable[[float], object],
        monotonic: Callable[[], float],
        listener: Callable[[str, str, Answer], object] = lambda *_: None,
    ) -> None:
        self._zoho, self._permits, self.journal = zoho, permits, journal
        self.now, self.wait, self._monotonic = now, wait, monotonic
        self._listener = listener
        #: Every call of this run, with the question that it was made for.
        self.made: list[tuple[str, str, Answer]] = []

    def call(
        self,
        question: str,
        kind: Call,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        permitted: bool = True,
    ) -> Answer:
        """Make one call. Without ``permitted`` nobody is asked for leave, nor told of the answer.

        Raises ZohoError where there is no permit for a minute, or no access token; StoreError, InputError.
        """
        permit = self._permit(kind) if permitted else None
        said: CallAnswer = None
        try:
            number = self.journal.before(self.now(), question, method, path, query or {}, body)
            began = self._monotonic()
            said, reply = self._zoho.exchange(method, path, query, body)
            took = self._monotonic() - began
        finally:
            if permit:
                self._permits.release(permit, said)
        answer = _answer(said, reply, took, self.now())
        self.journal.after(number, answer.at, _lines_of(method, path, answer))
        if isinstance(said, NotSent):
            raise ZohoError(f"Zoho cannot be called: {said.in_words}.", code=said.code)
        self.made.append((question, f"{method} {path}", answer))
        self._listener(question, f"{method} {path}", answer)
        return answer

    def _permit(self, kind: Call) -> Permit:
        waited = 0.0
        while isinstance(permit := self._permits.acquire(kind), Busy):
            if waited > PATIENCE:
                raise ZohoError(f"No call may be made now: {permit.why}.")
            seconds = min(5.0, max(0.1, permit.in_seconds))
            self.wait(seconds)
            waited += seconds
        return permit


def _answer(said: CallAnswer, reply: Reply | None, took: float, at: float) -> Answer:
    body: Any = None
    if reply is not None and reply.body.strip():
        try:
            body = json.loads(reply.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            body = None
    status = reply.status if reply else 0
    left = said.credits_left if isinstance(said, FromZoho) else None
    headers = dict(reply.headers) if reply else {}
    if isinstance(said, Refused):
        return Answer(
            status, body, said.code, said.message, said.paths, said.details, headers, True, "", took, left, at, said
        )
    lost = said.detail if isinstance(said, PerhapsAccepted | NotSent) else ""
    first = _first(body)
    code, message = text_of(first.get("code")), text_of(first.get("message"))
    return Answer(status, body, code, message, (), {}, headers, False, lost, took, left, at, said)


def _first(body: Any) -> Mapping[str, Any]:
    """The part of an answer that has its code: itself, or the first of its ``data``."""
    for item in (body, *items_of(body.get("data") if isinstance(body, dict) else None)):
        if isinstance(item, dict) and "code" in item:
            return item
    return {}


def _lines_of(method: str, path: str, answer: Answer) -> dict[str, Any]:
    """What the journal keeps of an answer: above all the ids of what it made."""
    kept: dict[str, Any] = {
        "status": answer.status,
        "code": answer.code,
        "lost": answer.lost,
        "seconds": round(answer.seconds, 3),
        "credits": answer.credits_left,
        "job": answer.job_id,
    }
    if path in (LEADS, CONTACTS, ACCOUNTS) and method == "POST":
        kept["made"] = {path: created(answer)}
    elif path.endswith(("/convert", "__composite_requests")):
        kept["came"] = converted_into(answer.body)
    elif path == LEADS and method == "GET":
        kept["came"] = _looked_up(answer.items)
    if path not in ("org", "users"):  # there people and their company are named
        kept["body"] = answer.body
    return kept


def created(answer: Answer) -> list[str]:
    """The ids of the records that a POST made, in its order; blank where one was not."""
    found = []
    for item in answer.items:
        details = item.get("details")
        good = word_of(item.get("status")) == "success" and isinstance(details, dict)
        found.append(id_of(details.get("id")) if good and isinstance(details, dict) else "")
    return found


def converted_into(body: Any, depth: int = 0) -> dict[str, list[str]]:
    """The ids of the records that a single conversion names, wherever they stand in an answer."""
    found: dict[str, list[str]] = {}
    if depth > 8:
        return found
    if isinstance(body, list):
        for each in body:
            _merge(found, converted_into(each, depth + 1))
    elif isinstance(body, dict):
        for name, value in body.items():
            if name in (CONTACTS, ACCOUNTS, DEALS) and isinstance(value, dict) and id_of(value.get("id")):
                found.setdefault(name, []).append(id_of(value["id"]))
            else:
                _merge(found, converted_into(value, depth + 1))
    return found


_LOOKUPS = {CONTACTS: "Converted_Contact", ACCOUNTS: "Converted_Account", DEALS: "Converted_Deal"}


def _looked_up(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for module, name in _LOOKUPS.items():
        for row in rows:
            if record := looked_up(row, name):
                found.setdefault(module, []).append(record)
    return found


def looked_up(row: Mapping[str, Any], name: str) -> str:
    """The id in a lookup of a record; blank where it is empty."""
    value = row.get(name)
    return id_of(value.get("id") if isinstance(value, dict) else value)


def _merge(into: dict[str, list[str]], more: Mapping[str, Sequence[str]]) -> None:
    for name, ids in more.items():
        into.setdefault(name, []).extend(ids)
