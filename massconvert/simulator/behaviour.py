"""What Zoho's pages leave open about an organisation, as data: a rehearsal finds it out, a profile sets it."""

from __future__ import annotations

import difflib
import json
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal

from massconvert.simulator.messages import METHODS, SimulatorError

Bad = Literal["refuse_all", "count_failed"]


@dataclass(frozen=True)
class Behaviour:
    """How an organisation answers what is open. Durations are seconds, ``None`` is no limit, or never."""

    # What a mass convert makes.
    duplicates: Literal["create", "link_account", "link_both"] = "create"
    linking_changes: bool = False  # the fields of a record that a lead is linked to become the lead's
    new_accounts: Literal["each_lead", "each_company"] = "each_lead"  # of the leads of a job
    without_company: Literal["no_account", "account_of_name"] = "no_account"
    unassigned_owner: Literal["lead_owner", "caller"] = "lead_owner"
    unknown_keys: Literal["ignored", "refused", "obeyed"] = "ignored"  # obeyed: add_to_existing_record links

    # How a payload is accepted, and which are not.
    accepted_status: Literal[200, 202] = 200  # the newest description has 202
    accepted_code: Literal["SUCCESS", "SCHEDULED", ""] = ""  # as the version has it
    assign_to_mandatory: bool = False  # the page says so, its sample and the description do not
    wrong_deal: Literal["at_once", "in_job"] = "at_once"
    most_leads: int = 50
    too_many_code: Literal["RECORD_LIMIT_EXCEEDED", "LIMIT_EXCEEDED", ""] = ""  # as the version has it
    one_bad_id: Bad = "refuse_all"
    converted_lead: Bad = "refuse_all"
    locked_lead: Bad = "refuse_all"
    unapproved_lead: Literal["refuse_all", "count_failed", "convert"] = "refuse_all"
    duplicate_lead: Bad = "count_failed"  # a unique field of what it would make has the value of another record
    duplicate_status: Literal[400, 401] = 400  # of DUPLICATE_DATA: most pages have 400, one has 401
    names_bad_leads: Literal["first", "all", "none"] = "first"
    first_named: Literal["in_order", "unknown", "converted"] = "in_order"
    leads_first: bool = False  # the leads are looked at before the options
    two_jobs_one_lead: Literal["second_fails", "refuse", "convert_twice"] = "second_fails"

    # Jobs: one takes job_seconds + its leads * job_seconds_per_lead + a draw up to job_jitter.
    job_seconds: float = 1.0
    job_seconds_per_lead: float = 0.0
    job_jitter: float = 0.0
    scheduled_share: float = 0.2  # of a job's time, in which its status is "scheduled"
    converts: Literal["at_end", "one_by_one"] = "at_end"
    status_case: Literal["upper", "lower", "title"] = "upper"  # the page's sample has COMPLETED, its text completed
    counts: Literal["add_up", "too_many"] = "add_up"  # a sample has 45 of 40 leads converted
    status_known_after: float = 0.0
    status_lives: float | None = None
    reads_lag: float = 0.0

    # One lead at a time.
    single_convert: Literal["at_once", "scheduled"] = "at_once"
    single_matches: bool = False  # add_to_existing_record finds its record by itself
    linking_strictness: Literal["exact", "folded", "unchecked"] = "exact"
    contact_match: Literal["email_and_name", "email_or_name"] = "email_and_name"
    mismatch_code: Literal["INVALID_DATA", "DATA_MISMATCH"] = "INVALID_DATA"
    single_refusal: Literal["bare", "data"] = "data"  # where an error stands
    single_refusal_status: Literal[400, 202] = 400

    # Limits. What a call costs is by its name; what is left out costs what the limits page says.
    call_cost: Mapping[str, int] = field(default_factory=dict)
    credits_header: Literal["from_half", "always", "never"] = "from_half"
    concurrency: int | None = None  # overrides the edition's
    heavy_concurrency: int = 10  # the sub-limit, which conversions and queries share
    throttled_seconds: float = 0.0  # after a 429, in which every call gets one
    retry_after: int | None = None  # the header of a 429

    # Reads and queries.
    most_ids: int = 100
    most_id_characters: int | None = None  # 1,024 in the newest description, if that is enforced
    most_values: int = 50  # of ``in``
    query_case: Literal["folded", "exact"] = "folded"
    query_spaces: Literal["trimmed", "kept"] = "kept"  # at both ends of a value
    query_quotes: Literal["backslash", "doubled", "both"] = "both"  # how a quote in a text is written
    query_lookups: Literal["id_and_name", "id"] = "id_and_name"

    # Clearing up.
    delete_converted: Literal["allowed", "refused"] = "allowed"


AS_DOCUMENTED = Behaviour()
#: As unkind as the documents allow.
AS_UNKIND = Behaviour(
    new_accounts="each_lead",
    unassigned_owner="caller",
    unknown_keys="refused",
    accepted_status=202,
    one_bad_id="count_failed",
    converted_lead="count_failed",
    locked_lead="count_failed",
    unapproved_lead="count_failed",
    duplicate_status=401,
    first_named="converted",
    two_jobs_one_lead="convert_twice",
    job_jitter=0.5,
    converts="one_by_one",
    status_case="title",
    counts="too_many",
    status_known_after=0.5,
    status_lives=60.0,
    reads_lag=1.0,
    mismatch_code="DATA_MISMATCH",
    single_convert="scheduled",
    single_refusal_status=202,
    call_cost={"POST mass_convert": 50, "POST convert": 5},
    credits_header="never",
    throttled_seconds=0.5,
    most_ids=50,
    most_id_characters=1024,
    query_case="exact",
    query_quotes="backslash",
    query_lookups="id",
    delete_converted="refused",
)
PROFILES = {"as-documented": AS_DOCUMENTED, "as-unkind": AS_UNKIND}
NAMES = tuple(each.name for each in fields(Behaviour))


def told(behaviour: Behaviour) -> dict[str, Any]:
    """The behaviour as JSON has it: no more than what a profile may set."""
    return {name: value for name, value in asdict(behaviour).items() if name in NAMES}


def checked(given: Any) -> dict[str, Any]:
    """What a profile, or a ``PUT``, sets. Raises SimulatorError, which names what is wrong and what may stand there."""
    if isinstance(given, dict) and isinstance(given.get("behaviour"), dict):
        given = given["behaviour"]
    if not isinstance(given, dict):
        raise SimulatorError("a profile is an object: the names of behaviours, and what each of them is")
    for name, value in given.items():
        if name not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            meant = f"perhaps {near[0]!r} is meant" if near else "docs/simulator.md has them all"
            raise SimulatorError(f"there is no behaviour {name!r}; {meant}")
        wanted = _wrong(value, _types()[name])
        if name == "scheduled_share" and not wanted and value > 1:
            wanted = "a part of a job's time, from 0 to 1"
        if wanted:
            raise SimulatorError(f"{name!r} is {json.dumps(value)}; it must be {wanted}")
    return dict(given)


def profile(name_or_path: str) -> dict[str, Any]:
    """What the profile sets that ships under this name, or is in this file. Raises SimulatorError in one line."""
    if found := PROFILES.get(name_or_path):
        return told(found)
    try:
        given = json.loads(Path(name_or_path).read_text(encoding="utf-8"))
    except OSError as error:
        known = " and ".join(PROFILES)
        raise SimulatorError(
            f"the profile {name_or_path} cannot be read: {error.strerror}; a file is wanted, or one of {known}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise SimulatorError(f"the profile {name_or_path} is not JSON: {error}") from None
    try:
        return checked(given)
    except SimulatorError as error:
        raise SimulatorError(f"the profile {name_or_path}: {error}") from None


@cache
def _types() -> dict[str, Any]:
    return typing.get_type_hints(Behaviour)


def _wrong(value: Any, kind: Any) -> str:
    """What should stand there instead; nothing if the value will do."""
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        fits = not isinstance(value, bool) and value in choices
        return "" if fits else f"one of {', '.join(json.dumps(choice) for choice in choices)}"
    if typing.get_origin(kind) is UnionType:
        inner = next(each for each in typing.get_args(kind) if each is not type(None))
        wanted = "" if value is None else _wrong(value, inner)
        return wanted and f"{wanted}, or null"
    simple = {
        bool: (isinstance(value, bool), "true or false"),
        int: (_is_number(value) and isinstance(value, int), "a whole number, 0 or more"),
        float: (_is_number(value), "a number of seconds, 0 or more"),
    }
    if kind in simple:
        fits, wanted = simple[kind]
        return "" if fits else wanted
    return _wrong_costs(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1e9


def _wrong_costs(value: Any) -> str:
    if not isinstance(value, dict) or any(_wrong(each, int) for each in value.values()):
        return 'an object of calls and their credits, such as {"POST mass_convert": 5}'
    unknown = sorted(set(value) - set(METHODS))
    return f"an object of calls: there is no call {unknown[0]!r}, only {', '.join(METHODS)}" if unknown else ""
