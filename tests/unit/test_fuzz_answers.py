"""Answers that nobody has seen yet: documented ones, bent in thousands of ways, to each of the calls.

Each ends in a value of the model and in a decision. Nothing raises, no lead is named but the payload's, and nothing
is called converted that was not said to be.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from massconvert.model import (
    Accepted,
    Code,
    CountedLeads,
    DealsUpdated,
    DealUpdate,
    JobStatus,
    Kind,
    LeadsFound,
    LeadsRead,
    NotSent,
    PerhapsAccepted,
    Refused,
    State,
    Why,
)
from massconvert.policy import Decision, after_post, after_read, after_status, after_update, meaning
from massconvert.policy.codes import CODES, hint_of, named_leads, reason_of
from massconvert.zoho.answers import (
    Body,
    parse_body,
    parse_count,
    parse_found,
    parse_post,
    parse_read,
    parse_status,
)
from massconvert.zoho.grants import Grant, parse_grant
from massconvert.zoho.transport import Reply
from massconvert.zoho.updates import parse_update
from tests.unit import zoho_says as zoho
from tests.unit.fuzz import cases, generator
from tests.unit.policy_cases import LEADS, LOST, MOMENT, REFUSED, RUNNING, SENDING

OTHER = "3652397000000281001"
UPDATES = tuple(DealUpdate(lead, f"9{place}", "", "", {}) for place, lead in enumerate(LEADS))
UPDATING = replace(LOST, state=State.UPDATING, why=Why.NONE, updates=UPDATES)

_ERRORS = [said.body for said in zoho.ERRORS if isinstance(said.body, dict)]
_SHAPES: list[Callable[[Any], Any]] = [
    lambda error: error,
    lambda error: {"data": [error]},
    lambda error: {"errors": [error]},
    lambda error: {"code": "MULTIPLE_OR_MULTI_ERRORS", "details": {"errors": [error]}, "status": "error"},
    lambda error: {"data": [error, {"code": "SUCCESS", "status": "success", "details": {}}]},
]
_GOOD = [
    zoho.SCHEDULED_V5.body,
    zoho.SCHEDULED_V8.body,
    *[zoho.job("completed", 4, 4).body] * 5,
    zoho.job("in progress", 4, 1, 3).body,
    zoho.records(*(zoho.converted(lead) for lead in LEADS)).body,
    zoho.records(*(zoho.unconverted(lead) for lead in LEADS)).body,
    {"data": [{"code": "SUCCESS", "status": "success", "details": {}, "message": ""}] * 4},
    {"access_token": "t", "api_domain": "https://www.zohoapis.com", "expires_in": 3600},
    {"error": "invalid_code"},
    {"data": [{"COUNT(id)": 4}], "info": {"more_records": True}},
]
_VALUES: list[Any] = [
    *(None, True, False, 0, -1, 4, 50, 4.0, 2.5, 1e300, float("inf"), float("nan"), 10**40, "", " ", "4", "4.0", "x"),
    *("error", "success", "COMPLETED", "com pleted", "in_progress", "\ud800", "\u202e", "\x1b[2J", "a" * 5000),
    *([], {}, [[]], [None], {"id": OTHER}, {"id": LEADS[1]}, OTHER, LEADS[0], int(LEADS[2])),
    *("$.ids[0]", "$.ids[3].x", "$.ids[99]", "$.data[1]", "$.Deals.Stage", "$.ids", "ids"),
]
_KEYS = [
    *(
        "code",
        "status",
        "details",
        "message",
        "data",
        "errors",
        "info",
        "id",
        "ids",
        "json_path",
        "param_name",
        "limit",
    ),
    *("Status", "Total_Count", "Converted_Count", "Not_Converted_Count", "Failed_Count", "Converted__s", "job_id"),
    *(
        "$converted",
        "Converted_Date_Time",
        "permissions",
        "expected_fields",
        "duplicate_record",
        "error",
        "more_records",
    ),
]
_STATUSES = [200, 200, 201, 202, 204, 207, 301, 302, 400, 400, 400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503]
_CODES = [*CODES, "NEW_CODE", "LICENSE_EXPIRED", "", "success", "no such\ncode"]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in JSON that can be changed: what holds it, and its key or index."""
    found: list[tuple[Any, Any]] = []
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += [(value, key), *_places(inner)]
    return found


def _bend(random: Random, answer: Any) -> None:
    """Change one place."""
    places = _places(answer)
    if not places:
        return
    holder, key = random.choice(places)
    deed = random.random()
    if deed < 0.5:
        holder[key] = copy.deepcopy(random.choice(_VALUES))
    elif deed < 0.65:
        del holder[key]
    elif deed < 0.8 and isinstance(holder, dict):
        holder[random.choice(_KEYS)] = copy.deepcopy(random.choice(_VALUES))
    elif isinstance(holder, list):
        holder.append(copy.deepcopy(random.choice([*_VALUES, holder[key]])))


def bent(random: Random) -> tuple[int, bytes]:
    """An answer: a documented one, perhaps with another code, in another shape, with places changed, or cut off."""
    if random.random() < 0.5:
        error = copy.deepcopy(random.choice(_ERRORS))
        if random.random() < 0.5:
            error["code"] = random.choice(_CODES)
        answer = random.choice(_SHAPES)(error)
    else:
        answer = copy.deepcopy(random.choice(_GOOD))
    for _ in range(random.choice([0, 0, 1, 1, 2, 5])):
        _bend(random, answer)
    raw = json.dumps(answer).encode()
    if random.random() < 0.05:
        raw = raw[: random.randrange(len(raw) + 1)]
    if random.random() < 0.02:
        raw = bytes(random.randrange(256) for _ in range(20))
    return random.choice(_STATUSES), raw


def judged(decision: Decision) -> None:
    """No lead has an outcome but those of the payload, and what is written can be written."""
    assert set(decision.outcomes) <= set(LEADS)
    assert set(decision.chunk.leads) <= set(LEADS)
    assert set(decision.chunk.named) <= set(LEADS)
    repr(decision).encode()


def test_whatever_zoho_answers_ends_in_a_value_and_a_decision() -> None:
    random = generator(29)
    for number in range(cases(4000)):
        status, raw = bent(random)
        try:
            _one(status, raw)
        except Exception as error:  # told with the case that can be played again
            raise AssertionError(f"case {number}: HTTP {status} {raw!r}") from error


def _one(status: int, raw: bytes) -> None:
    post = parse_post(status, {}, raw)
    assert isinstance(post, Accepted | Refused | PerhapsAccepted)
    if isinstance(post, Accepted):
        assert post.job_id.encode() in raw
        assert 200 <= status < 300
    if isinstance(post, Refused):
        assert set(named_leads(LEADS, post.paths, post.ids)) <= set(LEADS)
        for text in (meaning(post).value, reason_of(post), hint_of(post)):
            assert text.encode()
    decision = after_post(SENDING, post, MOMENT)
    judged(decision)
    assert not any(outcome.kind is Kind.CONVERTED for outcome in decision.outcomes.values())
    assert decision.rest is None or decision.rest.kind is not Kind.CONVERTED

    job = parse_status(status, {}, raw)
    assert isinstance(job, JobStatus | Refused | PerhapsAccepted)
    decision = after_status(RUNNING, job, MOMENT)
    judged(decision)
    if decision.rest is not None and decision.rest.kind is Kind.CONVERTED:
        assert isinstance(job, JobStatus)
        assert (job.total, job.converted, job.not_converted, job.failed) == (len(LEADS), len(LEADS), 0, 0)

    read = parse_read(status, {}, raw)
    assert isinstance(read, LeadsRead | Refused | PerhapsAccepted)
    for chunk in (LOST, REFUSED):
        decision = after_read(chunk, read, MOMENT)
        judged(decision)
        for lead, outcome in decision.outcomes.items():
            if outcome.kind is Kind.CONVERTED or outcome.code == Code.ALREADY_CONVERTED:
                assert isinstance(read, LeadsRead)
                assert read.states[lead].converted

    update = parse_update(status, {}, raw, len(UPDATES))
    assert isinstance(update, DealsUpdated | Refused | PerhapsAccepted)
    judged(after_update(UPDATING, update, MOMENT))

    assert isinstance(parse_found(status, {}, raw), LeadsFound | Refused | PerhapsAccepted)
    assert isinstance(parse_count(status, {}, raw), CountedLeads | Refused | PerhapsAccepted)
    assert isinstance(parse_body(status, {}, raw), Body | Refused | PerhapsAccepted)
    grant = parse_grant(Reply(status, {}, raw), "accounts.zoho.eu", "eu", "1000.x")
    assert isinstance(grant, Grant | NotSent)
    if isinstance(grant, Grant):
        assert status < 300
