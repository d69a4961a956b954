"""What came over the wire, turned into the values of the model: pure, and never raising whatever the bytes are.

Three rules decide everything here:

1. A definite answer is Zoho's own JSON. A 5xx, or a body that is not what Zoho sends, says nothing about what was
   carried out: `PerhapsAccepted`. So does a redirect: it is never followed, and the host that sent it may have acted
   before it did (303 even says so).
2. 429 is always a refusal, whatever its body: every gateway sends it before the work.
3. Judge by ``status`` and ``job_id``, not by the code of success: Zoho's page says ``SUCCESS``, its current
   description ``SCHEDULED``. Errors come with any HTTP status below 500, bare, as items of ``data`` or ``errors``, or
   inside one another. A success beside them counts: what was accepted is followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from massconvert.model import (
    Accepted,
    CountedLeads,
    FromZoho,
    JobStatus,
    LeadsFound,
    LeadsRead,
    LeadState,
    PerhapsAccepted,
    Progress,
    Refused,
)
from massconvert.zoho.refusals import errors_in, refused
from massconvert.zoho.values import MAX_TEXT, cleaned, id_of, items_of, record_id_of, text_of, word_of

Failure = Refused | PerhapsAccepted
_T = TypeVar("_T", bound=FromZoho)

#: A job has 50 leads; a count beyond this is a misunderstanding.
MAX_COUNT = 100_000
_COUNT = re.compile(r"[0-9]{1,9}(\.0{1,9})?")

#: ``Status`` of a job, without regard to case and separators. Zoho documents scheduled, in progress, completed and
#: failed; the others say the same. ``success`` is none: that is the word of a whole answer.
_PROGRESS = {
    "scheduled": Progress.SCHEDULED,
    "queued": Progress.SCHEDULED,
    "added": Progress.SCHEDULED,
    "inprogress": Progress.IN_PROGRESS,
    "running": Progress.IN_PROGRESS,
    "processing": Progress.IN_PROGRESS,
    "completed": Progress.COMPLETED,
    "complete": Progress.COMPLETED,
    "finished": Progress.COMPLETED,
    "partiallycompleted": Progress.COMPLETED,
    "completedwitherrors": Progress.COMPLETED,
    "failed": Progress.FAILED,
    "failure": Progress.FAILED,
    "aborted": Progress.FAILED,
    "cancelled": Progress.FAILED,
    "canceled": Progress.FAILED,
    "terminated": Progress.FAILED,
}


@dataclass(frozen=True)
class Body(FromZoho):
    """The JSON object of a plain GET that Zoho answered; empty for 204."""

    data: Mapping[str, Any]


class UnusableError(ValueError):
    """The answer is not what Zoho sends; says why."""


def parse_post(status: int, headers: Mapping[str, str], body: bytes) -> Accepted | Failure:
    """The answer to a mass convert POST."""
    return parse_answer(status, headers, body, accepted_in)


def parse_status(status: int, headers: Mapping[str, str], body: bytes) -> JobStatus | Failure:
    """The answer to a status GET."""
    return parse_answer(status, headers, body, _job_status)


def parse_read(status: int, headers: Mapping[str, str], body: bytes, fields: Sequence[str] = ()) -> LeadsRead | Failure:
    """The answer to Get Records, with ``fields`` too; 204 says that none of the leads is there."""
    if status == 204:
        return LeadsRead({}, credits_left=credits_left_of(headers))
    return parse_answer(status, headers, body, partial(_leads_read, fields=fields))


def parse_found(status: int, headers: Mapping[str, str], body: bytes) -> LeadsFound | Failure:
    """A page of a query or a search; 204 says that nothing (more) was found."""
    if status == 204:
        return LeadsFound((), more=False, credits_left=credits_left_of(headers))
    return parse_answer(status, headers, body, _leads_found)


def parse_count(status: int, headers: Mapping[str, str], body: bytes) -> CountedLeads | Failure:
    """The answer to a query for ``COUNT(id)``: one row with one number, whatever its name."""
    if status == 204:
        return CountedLeads(0, credits_left=credits_left_of(headers))
    return parse_answer(status, headers, body, _counted)


def parse_body(status: int, headers: Mapping[str, str], body: bytes) -> Body | Failure:
    """The answer to any other GET."""
    if status == 204:
        return Body({}, credits_left=credits_left_of(headers))
    return parse_answer(status, headers, body, Body)


# --- the frame: which of the three it is ------------------------------------------------------------------


def parse_answer(
    status: int, headers: Mapping[str, str], body: bytes, wanted: Callable[[dict[str, Any]], _T]
) -> _T | Failure:
    answer: _T | Failure
    try:
        answer = _judge(status, headers, object_of(body), wanted)
    except (ValueError, RecursionError) as error:  # not JSON, or JSON that nobody would send
        if status == 429:
            answer = refused(status, headers, ())
        else:
            bad = error if isinstance(error, UnusableError) else _BAD
            answer = PerhapsAccepted(f"HTTP {status} with {bad}", status)
    return replace(answer, credits_left=credits_left_of(headers))


def _judge(
    status: int, headers: Mapping[str, str], answer: dict[str, Any], wanted: Callable[[dict[str, Any]], _T]
) -> _T | Failure:
    errors = list(errors_in(answer))
    error = errors[0] if errors else None
    if status == 429:
        return refused(status, headers, errors)
    if not (200 <= status < 300 or 400 <= status < 500):
        words = error.message if error else text_of(answer.get("message"))
        return _perhaps(status, error.code if error else text_of(answer.get("code")), words or "no definite answer")
    if error is not None and not _succeeded(answer):
        return refused(status, headers, errors)
    code = error.code if error else text_of(answer.get("code"))
    if status >= 400:
        return _perhaps(status, code, "no error in its JSON" if error is None else "both an error and a success")
    try:
        return wanted(answer)
    except UnusableError as unusable:
        return _perhaps(status, code, str(unusable))


_BAD = "a body that is not Zoho's JSON"


def object_of(body: bytes) -> dict[str, Any]:
    if not body.strip():
        raise UnusableError("no body")
    answer = cleaned(json.loads(body.decode("utf-8-sig")))
    if not isinstance(answer, dict):
        raise UnusableError(_BAD)
    return answer


def _perhaps(status: int, code: str, why: str) -> PerhapsAccepted:
    return PerhapsAccepted(f"HTTP {status}: {why}"[:MAX_TEXT], status, code)


def _succeeded(answer: Mapping[str, Any]) -> bool:
    """Whether a part of it is a success: then the errors beside it do not say that nothing was carried out."""
    items = (answer, *items_of(answer.get("data")))
    return any(
        isinstance(item, dict) and word_of(item.get("status")) == "success" and text_of(item.get("code"))
        for item in items
    )


def credits_left_of(headers: Mapping[str, str]) -> int | None:
    """What is left of the day's credits; Zoho says so once half of them are used."""
    text = next((value for name, value in headers.items() if name.lower() == "x-api-credits-remaining"), "").strip()
    return int(text) if id_of(text) else None


# --- what the calls were made for -------------------------------------------------------------------------


def accepted_in(answer: dict[str, Any]) -> Accepted:
    for item in (answer, *items_of(answer.get("data"))):
        if not isinstance(item, dict) or word_of(item.get("status")) != "success":
            continue
        details = item.get("details")
        job_id = id_of((details if isinstance(details, dict) else item).get("job_id"))
        if job_id:
            return Accepted(job_id)
    raise UnusableError("neither an error nor a job_id")


def _job_status(answer: dict[str, Any]) -> JobStatus:
    items = [item for item in items_of(answer.get("data")) if isinstance(item, dict)] or [answer]
    jobs = [{word_of(name): value for name, value in item.items()} for item in items]
    if len(jobs) > 1 and any(job != jobs[0] for job in jobs):
        raise UnusableError("more than one job")
    fields = jobs[0]
    if "status" not in fields:
        raise UnusableError("no Status of a job")
    progress = _PROGRESS.get(word_of(fields["status"]))
    if progress is None:
        raise UnusableError(f"the unknown Status {text_of(fields['status'])!r}")
    names = ("totalcount", "convertedcount", "notconvertedcount", "failedcount")
    return JobStatus(progress, *(_count(fields.get(name)) for name in names))


def _count(value: Any) -> int:
    """A count given as a number (50, 50.0) or as text; 0 where it is missing, or is none."""
    if isinstance(value, str) and _COUNT.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_COUNT:
        return 0
    return int(value) if value == int(value) else 0


def _leads_read(answer: dict[str, Any], fields: Sequence[str] = ()) -> LeadsRead:
    records = answer.get("data")
    if not isinstance(records, list):
        raise UnusableError("no list of records")
    info = answer.get("info")
    if isinstance(info, dict) and info.get("more_records") is True:
        # A lead that is only on the next page would be taken for a deleted one.
        raise UnusableError("only a page of the records")
    states: dict[str, LeadState] = {}
    unclear: set[str] = set()
    rows = [(id_of(record.get("id")), record) for record in records if isinstance(record, dict)]
    named = [(lead_id, record) for lead_id, record in rows if lead_id]
    for lead_id, record in named:
        state = _lead_state(lead_id, record, fields)
        if state is None or states.get(lead_id, state).converted is not state.converted:
            unclear.add(lead_id)
        else:
            states[lead_id] = state
    if records and not named:
        raise UnusableError("a record without id")
    if named and not any(name in record for _, record in named for name in _WITNESSES):
        raise UnusableError(f"lead {named[0][0]} without Converted__s: may the user see that field?")
    clear = {lead_id: state for lead_id, state in states.items() if lead_id not in unclear}
    return LeadsRead(clear, frozenset(unclear), nameless=len(named) < len(records))


def _leads_found(answer: dict[str, Any]) -> LeadsFound:
    records = answer.get("data")
    if not isinstance(records, list):
        raise UnusableError("no list of records")
    ids = tuple(id_of(record.get("id")) if isinstance(record, dict) else "" for record in records)
    if "" in ids:
        raise UnusableError("a record without id")
    info = answer.get("info")
    return LeadsFound(ids, more=isinstance(info, dict) and info.get("more_records") is True)


def _counted(answer: dict[str, Any]) -> CountedLeads:
    rows = answer.get("data")
    row = rows[0] if isinstance(rows, list) and rows else {}
    for value in row.values() if isinstance(row, dict) else ():
        if id_of(value):
            return CountedLeads(int(value))
    raise UnusableError("no count")


def _lead_state(lead_id: str, record: Mapping[str, Any], fields: Sequence[str] = ()) -> LeadState | None:
    """What a row says of a lead; ``None`` where it does not say whether the lead is converted."""
    detail = record.get("$converted_detail")
    detail = detail if isinstance(detail, dict) else {}
    converted = _converted(record, detail)
    if converted is None:
        return None
    return LeadState(
        lead_id=lead_id,
        converted=converted,
        locked=record.get("$locked_for_me") is True,
        converted_at=moment_of(record.get("Converted_Date_Time") or detail.get("converted_date")),
        contact_id=record_id_of(record.get("Converted_Contact")) or record_id_of(detail.get("contact")),
        account_id=record_id_of(record.get("Converted_Account")) or record_id_of(detail.get("account")),
        deal_id=record_id_of(record.get("Converted_Deal")) or record_id_of(detail.get("deal")),
        fields={name: _as_text(record.get(name)) for name in fields},
    )


#: What may tell whether a lead is converted.
_FLAGS = ("Converted__s", "$converted")
_TRACES = ("Converted_Date_Time", "Converted_Contact", "Converted_Account", "Converted_Deal")
_WITNESSES = (*_FLAGS, "Converted_Date_Time", "$converted_detail")
_TRUTHS: dict[Any, bool] = {True: True, False: False, "true": True, "false": False}


def _converted(record: Mapping[str, Any], detail: Mapping[str, Any]) -> bool | None:
    """Whether a lead is converted, by the best witness there is: the native field, the old one, what it left behind.

    ``None`` where nothing tells: to call the lead unconverted would send it a second time.
    """
    for name in _FLAGS:
        said = record.get(name)
        said = said.strip().lower() if isinstance(said, str) else said
        if isinstance(said, bool | str) and said in _TRUTHS:
            return _TRUTHS[said]
    if detail or any(record.get(name) for name in _TRACES):
        return True
    return False if "$converted_detail" in record else None


# --- values -----------------------------------------------------------------------------------------------


def _as_text(value: Any) -> str:
    """A field of a lead as people read it: a lookup by its name, a list with commas, nothing where it is empty."""
    if isinstance(value, dict):
        value = value.get("name")
    if isinstance(value, list):
        return ", ".join(filter(None, map(_as_text, value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return text_of(str(value)) if isinstance(value, str | int | float) else ""


def moment_of(value: Any) -> float | None:
    """Unix seconds of an ISO time with an offset; ``None`` for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", value.strip()))
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
