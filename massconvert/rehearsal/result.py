"""What comes of a rehearsal: a table, a file that others can read, facts for the ledger, a profile of the simulator."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from massconvert.errors import InputError
from massconvert.model import Observed
from massconvert.rehearsal.question import NOT_SEEN, Point, Question, Seen
from massconvert.rehearsal.run import Rehearsal

FORM = 1
#: Numbers as long as ids: they name the organisation, and are left out of the file.
_ID = re.compile(r"\d{15,}")


@dataclass(frozen=True)
class Line:
    """A line of the table; ``fits`` is ``None`` where nothing was seen, or where massconvert assumes nothing."""

    question: Question
    point: Point
    seen: Any
    fits: bool | None

    @property
    def reason(self) -> str:
        """Why nothing was seen; blank where something was."""
        text = self.seen if isinstance(self.seen, str) and self.seen.startswith(NOT_SEEN) else ""
        return text.removeprefix(NOT_SEEN).removeprefix(": ")

    @property
    def told(self) -> str:
        """What was seen, in words."""
        return NOT_SEEN if self.reason else in_words(self.seen)


def in_words(value: Any) -> str:
    """A value of a point as people read it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {in_words(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def rows(rehearsal: Rehearsal) -> Iterator[Line]:
    """All points that were looked at, by the numbers of their questions."""
    for question in sorted(rehearsal.questions, key=lambda each: each.number):
        seen = rehearsal.told.get(question.number, {})
        for point in question.points:
            if point.name in seen:
                value = seen[point.name]
                yield Line(question, point, value, point.judge(value, rehearsal.stage.version))


def as_file(
    rehearsal: Rehearsal, *, at: float, version: str, environment: str, edition: str, made_by: str
) -> dict[str, Any]:
    """The file: what was asked and seen, with neither secrets, nor ids, nor names of people or of their company."""
    seen = {name: value for told in rehearsal.told.values() for name, value in told.items()}
    found = {
        "form": FORM,
        "made_by": made_by,
        "at": datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds"),
        "api_version": version,
        "environment": environment,
        "edition": edition,
        "behaviour": behaviour(seen),
        "seen": seen,
        "questions": _questions(rehearsal),
    }
    return dict(_without_ids(found, rehearsal.stage.cast.mark))


def _questions(rehearsal: Rehearsal) -> list[dict[str, Any]]:
    """Each question with its points and its calls."""
    calls: dict[str, list[dict[str, Any]]] = {}
    for question, call, answer in rehearsal.stage.wire.made:
        told = {"call": call, "status": answer.status, "code": answer.code, "seconds": round(answer.seconds, 3)}
        told |= {"paths": list(answer.paths)} if answer.paths else {}
        calls.setdefault(question, []).append(told | ({"lost": answer.lost} if answer.lost else {}))
    found = list(rows(rehearsal))
    return [
        {
            "number": question.number,
            "title": question.title,
            "points": [_as_point(row) for row in found if row.question is question],
            "calls": calls.get(question.key, []),
        }
        for question in sorted(rehearsal.questions, key=lambda each: each.number)
    ]


def _as_point(row: Line) -> dict[str, Any]:
    point = row.point
    told = {"name": point.name, "asked": point.asked, "seen": row.seen, "assumed": point.assumes}
    told |= {"fits": row.fits} if row.fits is not None else {}
    return told | ({"means": point.means, "setting": point.setting} if row.fits is False else {})


def _without_ids(value: Any, mark: str) -> Any:
    if isinstance(value, str):
        return _ID.sub("…", value.replace(mark, "rehearsal"))
    if isinstance(value, dict):
        return {_without_ids(name, mark): _without_ids(each, mark) for name, each in value.items()}
    return [_without_ids(each, mark) for each in value] if isinstance(value, list | tuple) else value


# --- the facts of the ledger ------------------------------------------------------------------------------


def facts_of(seen: Seen, *, at: float, where: str) -> Observed:
    """What the pipeline can use of it. What was not seen, or is no number where one is wanted, is left out."""
    jobs = seen.get("job_seconds")
    one_bad, twice = _text(seen, "one_bad_id"), _text(seen, "two_jobs")
    matched = [_text(seen, name) for name in ("match_company", "match_email", "match_all")]
    return Observed(
        at=at,
        where=where,
        post_credits=_number(seen, "cost_mass_convert"),
        status_credits=_number(seen, "cost_status"),
        read_credits=_number(seen, "cost_read"),
        query_credits=_number(seen, "cost_query"),
        job_seconds=_by_size(jobs),
        job_known_after=_number(seen, "job_known_after"),
        read_lag=_number(seen, "read_lag"),
        status_lives=_number(seen, "status_lives"),
        status_gone=_number(seen, "status_gone_after"),
        ids_a_read=int(found) if (found := _number(seen, "ids_a_read")) else None,
        one_bad_id_refuses_all=None if not one_bad else one_bad == "refuses all",
        converts_twice=None if not twice else twice == "converts it twice",
        links=None if not any(matched) else "the one that is there" in matched,
    )


def _by_size(jobs: Any) -> dict[int, float]:
    found = jobs.items() if isinstance(jobs, Mapping) else ()
    return {int(size): float(seconds) for size, seconds in found if str(size).isdecimal() and _is_number(seconds)}


def _number(seen: Mapping[str, Any], name: str) -> float | None:
    return float(seen[name]) if _is_number(seen.get(name)) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _text(seen: Mapping[str, Any], name: str) -> str:
    value = seen.get(name)
    return value if isinstance(value, str) and not value.startswith(NOT_SEEN) else ""


def facts_in(given: Any, *, file: str) -> Observed:
    """The facts in such a file. Raises InputError where it is none."""
    if not isinstance(given, Mapping) or given.get("form") != FORM or not isinstance(given.get("seen"), Mapping):
        raise InputError(f"{file} is not the file of a rehearsal.", hint="It is the one that rehearse has written.")
    try:
        at = datetime.fromisoformat(str(given.get("at"))).timestamp()
    except ValueError:
        raise InputError(f"{file} does not say when it was made.") from None
    where = str(given.get("environment") or "an organisation")[:40]
    return facts_of(dict(given["seen"]), at=at, where=where)


# --- the profile of the simulator -------------------------------------------------------------------------

_Rule = tuple[str, str, Mapping[Any, Any] | Callable[[Any], Any]]
_KEYS = {"ignored": "ignored", "obeyed": "obeyed"}
_LINKED = {"the one that is there": True, "a new one": False, "no account": False, "none": False}


def _bad(value: str) -> str | None:
    return "refuse_all" if value == "INVALID_DATA" else "count_failed" if value == "fails in the job" else None


def _case(words: Sequence[str]) -> str | None:
    if not words:
        return None
    return "upper" if all(word.isupper() for word in words) else "lower" if words[-1].islower() else "title"


#: Behaviour of the simulator, the point that tells it, and how; ``None`` leaves it out.
_RULES: tuple[_Rule, ...] = (
    ("linking_changes", "matched_contact_changed", {True: True, False: False}),
    ("new_accounts", "same_company", {"one account": "each_company", "an account each": "each_lead"}),
    ("without_company", "without_company", {"no account": "no_account", "an account": "account_of_name"}),
    ("unknown_keys", "unknown_key", lambda value: "refused" if value.startswith("refused") else _KEYS.get(value)),
    (
        "unassigned_owner",
        "owner_without_assign_to",
        {"the lead's owner": "lead_owner", "the user who converts": "caller"},
    ),
    ("accepted_status", "accepted_status", {200: 200, 202: 202}),
    ("accepted_code", "accepted_code", {"SUCCESS": "SUCCESS", "SCHEDULED": "SCHEDULED"}),
    ("assign_to_mandatory", "no_assign_to", lambda value: str(value).startswith("refused")),
    ("most_leads", "most_leads", int),
    ("too_many_code", "too_many_leads", {name: name for name in ("LIMIT_EXCEEDED", "RECORD_LIMIT_EXCEEDED")}),
    ("one_bad_id", "one_bad_id", {"refuses all": "refuse_all", "fails alone": "count_failed"}),
    ("converted_lead", "alone_converted", _bad),
    (
        "unapproved_lead",
        "alone_unapproved",
        lambda value: (
            "convert" if value == "converted" else "count_failed" if value == "fails in the job" else "refuse_all"
        ),
    ),
    ("names_bad_leads", "bad_ids_named", {"one": "first", "all": "all", "none": "none"}),
    (
        "first_named",
        "named_first",
        {"the first": "in_order", "a deleted one": "unknown", "a converted one": "converted"},
    ),
    ("leads_first", "looked_at_first", {"the leads": True, "the options": False}),
    (
        "two_jobs_one_lead",
        "two_jobs",
        {"converts it once": "second_fails", "one payload is refused": "refuse", "converts it twice": "convert_twice"},
    ),
    ("wrong_deal", "deal_with_date_in_words", lambda value: "at_once" if value == "refused at once" else "in_job"),
    ("job_seconds", "job_seconds", lambda value: max(map(float, value.values()))),
    ("converts", "reads_in_part", {True: "one_by_one"}),  # that none was seen in part shows nothing
    ("status_case", "job_words", _case),
    ("counts", "job_counts_add_up", {True: "add_up", False: "too_many"}),
    ("status_known_after", "job_known_after", float),
    ("status_lives", "status_gone_after", float),
    ("reads_lag", "read_lag", float),
    ("single_convert", "single_convert", lambda value: "scheduled" if value == "a job" else "at_once"),
    ("single_matches", "single_add_to_existing", _LINKED),
    (
        "contact_match",
        "single_link_by_email",
        lambda value: "email_or_name" if value == "the one that is there" else "email_and_name",
    ),
    ("single_refusal", "single_refusal", lambda value: "data" if value.startswith("in data") else "bare"),
    ("single_refusal_status", "single_refusal", lambda value: 202 if value.endswith("202") else 400),
    (
        "mismatch_code",
        "single_link_of_another_name",
        {f"refused: {name}": name for name in ("INVALID_DATA", "DATA_MISMATCH")},
    ),
    ("throttled_seconds", "throttled_for", float),
    ("retry_after", "throttled_retry_after", int),
    ("query_case", "query_other_case", {"finds it": "folded", "finds nothing": "exact"}),
    ("query_spaces", "query_outer_space", {"finds it": "trimmed", "finds nothing": "kept"}),
    ("query_lookups", "query_lookup", {"id and name": "id_and_name", "id": "id"}),
    ("delete_converted", "delete_converted", lambda value: "allowed" if value == "deleted" else "refused"),
)
_COST_OF = {
    "cost_mass_convert": "POST mass_convert",
    "cost_status": "GET mass_convert",
    "cost_read": "GET Leads",
    "cost_query": "POST coql",
    "cost_convert": "POST convert",
}


def behaviour(seen: Seen) -> dict[str, Any]:
    """The profile that makes the simulator behave so: ``massconvert simulator --profile`` takes the file with it."""
    found: dict[str, Any] = {}
    for name, point, rule in _RULES:
        value = seen.get(point)
        if value is None or (isinstance(value, str) and value.startswith(NOT_SEEN)):
            continue
        try:
            told = rule(value) if callable(rule) else rule.get(value)
        except (ValueError, TypeError, AttributeError):
            continue
        if told is not None:
            found[name] = told
    return found | _several(seen)


def _several(seen: Seen) -> dict[str, Any]:
    """What more than one point tells."""
    found: dict[str, Any] = {}
    company, email = _text(seen, "match_company"), _text(seen, "match_email")
    if company and email:
        there = "the one that is there"
        found["duplicates"] = "link_both" if email == there else "link_account" if company == there else "create"
    costs = {call: int(cost) for name, call in _COST_OF.items() if (cost := _number(seen, name)) is not None}
    if costs:
        found["call_cost"] = costs
    backslash, doubled = (_text(seen, f"query_quote_{form}") == "finds it" for form in ("backslash", "doubled"))
    if backslash or doubled:
        found["query_quotes"] = "both" if backslash and doubled else "backslash" if backslash else "doubled"
    other, capitals = _text(seen, "single_link_of_another_name"), _text(seen, "single_link_in_capitals")
    if other and capitals:
        folded = "folded" if capitals == "the one that is there" else "exact"
        found["linking_strictness"] = folded if other.startswith("refused") else "unchecked"
    limit = re.fullmatch(r"(\d+) (ids|characters)", _text(seen, "ids_a_read_limit"))
    if limit:
        found["most_ids" if limit[2] == "ids" else "most_id_characters"] = int(limit[1])
    for name, point in (("concurrency", "calls_at_once"), ("heavy_concurrency", "queries_at_once")):
        if refused := re.fullmatch(r"(\d+) of (\d+) are refused", _text(seen, point)):
            found[name] = int(refused[2]) - int(refused[1])
    return found
