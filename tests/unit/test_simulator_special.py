"""The simulator's leads of special kinds, and what each version answers."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.simulator import Rules, SimulatorError
from massconvert.simulator.special import KINDS, kinds_of, special_of
from tests.unit.simulated_crm import Crm, code

DETAILS: dict[str, dict[str, Any]] = {
    "path": {"api_name": "ids", "json_path": "$.ids[2]"},
    "inside": {"api_name": "Email", "json_path": "$.ids[2].Email"},
    "data": {"api_name": "data", "json_path": "$.data[2]"},
    "id": {"id": "3652397000009852001"},
    "other": {"id": "3652397000000281001"},
    "resource": {"resource_path_index": 1},
    "nothing": {},
}


@pytest.mark.parametrize(("named", "details"), DETAILS.items())
def test_a_special_lead_is_refused_as_it_is_told_to_be_and_the_others_are_not_converted(
    named: str, details: dict[str, Any]
) -> None:
    crm = Crm(5, job_seconds=0)
    crm.organisation.make_special(crm.ids[2], {"code": "SOME_CODE", "message": "no", "status": 409, "named": named})
    answer = crm.post(crm.ids)
    assert answer.status == 409
    assert answer.body == {"code": "SOME_CODE", "message": "no", "details": details, "status": "error"}
    assert not any(lead["submissions"] for lead in crm.organisation.truth().values())
    assert crm.post([*crm.ids[:2], *crm.ids[3:]]).status == 200
    crm.organisation.make_special(crm.ids[2], None)
    assert crm.post(crm.ids[2:3]).status == 200


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ("bare", lambda body: body),
        ("data", lambda body: body["data"][0]),
        ("errors", lambda body: body["errors"][0]),
        ("multi", lambda body: body["details"]["errors"][0]),
    ],
)
def test_the_error_stands_where_it_is_told_to(shape: str, place: Any) -> None:
    crm = Crm(1)
    crm.organisation.make_special(crm.ids[0], {"code": "SOME_CODE", "shape": shape})
    answer = crm.post(crm.ids)
    assert answer.status == 400
    assert place(answer.body)["code"] == "SOME_CODE"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_code_and_shows_in_a_read(kind: str) -> None:
    crm = Crm(3)
    crm.organisation.make_special(crm.ids[1], kind)
    assert code(crm.post(crm.ids)) == (400, KINDS[kind].code)
    shown = crm.read(crm.ids[1:2]).body
    assert isinstance(shown, dict)
    (record,) = shown["data"]
    assert {name: record[name] for name in KINDS[kind].shows} == dict(KINDS[kind].shows)
    assert record["Converted__s"] is (kind == "converted_elsewhere")


@pytest.mark.parametrize(
    "given",
    [
        "lost",
        7,
        {},
        {"code": 7},
        {"code": "X", "colour": "red"},
        {"code": "X", "named": "x"},
        {"code": "X", "shape": "x"},
        {"code": "X", "status": 99},
        {"code": "X", "status": "400"},
        {"code": "X", "details": []},
    ],
)
def test_what_is_no_kind_is_refused_in_words(given: Any) -> None:
    with pytest.raises(SimulatorError):
        special_of(given)


def test_the_command_takes_kinds_and_how_many() -> None:
    assert kinds_of(["locked", "not_approved=2"]) == ["locked", "not_approved", "not_approved"]
    for wrong in ("lost", "locked=x", "locked=-1"):
        with pytest.raises(SimulatorError):
            kinds_of([wrong])


@pytest.mark.parametrize(
    ("version", "wanted"), [("v4", "RECORD_LIMIT_EXCEEDED"), ("v6", "RECORD_LIMIT_EXCEEDED"), ("v7", "LIMIT_EXCEEDED")]
)
def test_too_many_leads_have_the_code_of_the_version(version: str, wanted: str) -> None:
    crm = Crm(51)
    assert code(crm.post(crm.ids, version)) == (400, wanted)


def test_an_accepted_payload_may_be_answered_with_202() -> None:
    assert Crm(1, accepted_status=202).post(["3652397000009850001"]).status == 202


def test_the_characters_of_the_ids_of_a_read_may_be_bounded() -> None:
    crm = Crm(60, most_id_characters=1024)
    assert crm.read(crm.ids[:51]).status == 200
    answer = crm.read(crm.ids[:52])
    assert code(answer) == (400, "INVALID_DATA")
    assert isinstance(answer.body, dict)
    assert answer.body["details"] == {"param_name": "ids", "maximum_length": 1024}
    assert Rules().most_id_characters is None
