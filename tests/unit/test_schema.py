"""The JSON Schema of the task message, held to what the task takes."""

from __future__ import annotations

import inspect
import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from celery import Celery

import tasks.enqueue
from examples import massconvert_stub
from massconvert.contract import MAX_IDS_A_MESSAGE, TASK_ENQUEUE
from massconvert.errors import MassConvertError
from massconvert.options.check import KEYS
from massconvert.testing import FakeCrm
from workers.celery import app

DEAL = {"Deal_Name": "Renewal", "Stage": "Needs Analysis", "Closing_Date": "+30d"}
OURS = {"name": "Renewal", "stage": "Needs Analysis", "closing_date": "2026-12-24", "extra": {"Type": "New"}}
LEAD = "3652397000009850001"
MODULE = {"api_name": "Contacts", "id": "3652397000000000129"}


@pytest.fixture
def schema() -> dict[str, Any]:
    """As it is shipped."""
    text = (files("massconvert") / "schemas" / "enqueue.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def good(**more: Any) -> dict[str, Any]:
    """A message with these arguments besides its leads."""
    return {"lead_ids": [LEAD], **more}


ACCEPTED = [
    good(),
    {"lead_ids": [3652397000009850001, LEAD]},
    {"lead_ids": []},
    good(options=None, key=None, profile=None, on_complete=None),
    good(options={}, key="import-2026-11-24"),
    good(on_complete="shop.converted@shop"),
    good(on_complete="https://shop.example.com/converted"),
    good(on_complete={"task": "shop.converted", "queue": "shop", "args": [1], "kwargs": {"a": 1}}),
    good(on_complete=[{"url": "https://shop.example.com/converted"}, '{"task": "t"}']),
    good(on_complete=json.loads(json.dumps(Celery(set_as_current=False).signature("t", queue="shop")))),
    good(key=""),
    good(account="emea"),
    good(priority="interactive", canary=50, canary_max_failed=2.5),
    good(priority=None, canary=None, canary_max_failed=None),
    good(options={"Deals": DEAL}, deal_values={LEAD: {"Amount": 1000, "Type": None}}),
    good(deal_values=None),
    good(deal_values={}),
    good(options={"Deals": DEAL, "assign_to": {"id": "5"}, "apply_assignment_threshold": True}),
    good(options={"Deals": {**DEAL, "Amount": 10, "Pipeline": "Standard", "Lead_Source": "Web"}}),
    good(options={"deal": OURS, "assign_to": "5"}),
    good(options={"deal": DEAL, "assign_to": 5}),
    good(options=json.dumps({"Deals": DEAL})),
    good(options={"carry_over_tags": [MODULE], "move_attachments_to": MODULE, "portal_user_type": {"id": "7"}}),
    good(options={"related_modules": [{"api_name": "Tasks", "id": "9", "name": "Tasks"}], "carry_over_tags": None}),
]
REFUSED = [
    {},
    good(options={"Deals": DEAL}, deal_values=[LEAD]),
    good(options={"Deals": DEAL}, deal_values={LEAD: 1000}),
    good(options={"Deals": DEAL}, deal_values={LEAD: {"Annual Revenue": 1000}}),
    good(options={"Deals": DEAL}, deal_values={LEAD: {"id": "7"}}),
    {"lead_ids": LEAD},
    {"lead_ids": None},
    good(leads=[LEAD]),
    good(colour="red"),
    good(options=[]),
    good(options=7),
    good(options={"ids": [LEAD]}),
    good(options={"Deal": DEAL}),
    good(options={"Deals": {"Deal_Name": "x", "Stage": "y"}}),
    good(options={"Deals": {**DEAL, "Stage": " "}}),
    good(options={"Deals": {**DEAL, "Closing_Date": "tomorrow"}}),
    good(options={"deal": {"name": "x"}}),
    good(options={"assign_to": ""}),
    good(options={"assign_to": [1]}),
    good(options={"carry_over_tags": "Contacts"}),
    good(options={"move_attachments_to": {**MODULE, "colour": "red"}}),
    good(options={"apply_assignment_threshold": "yes"}),
    good(key="two words"),
    good(key="x" * 201),
    good(profile=7),
    good(priority="urgent"),
    good(canary=0),
    good(canary="50"),
    good(canary_max_failed=5),
    good(canary=5, canary_max_failed=101),
    good(on_complete=7),
    good(on_complete=""),
    good(on_complete={"tusk": "t"}),
    good(on_complete={"task": "two words"}),
    good(on_complete={"task": "t", "args": "x"}),
    good(on_complete={"url": "ftp://shop.example.com"}),
    good(on_complete=["t"] * 6),
]


def taken(message: dict[str, Any]) -> bool:
    """Whether the task takes a message, by its own signature and the code behind it."""
    crm = FakeCrm(by_itself=False)
    try:
        inspect.signature(tasks.enqueue.enqueue.run).bind(**message)
        crm.receive(message, "m1")
    except (TypeError, MassConvertError):
        return False
    return True


def test_its_properties_are_the_task_s_arguments(schema: dict[str, Any]) -> None:
    """No more, no fewer; and the options' are Zoho's body keys."""
    app.loader.import_default_modules()
    parameters = inspect.signature(app.tasks[TASK_ENQUEUE].run).parameters
    assert set(schema["properties"]) == set(parameters)
    assert set(schema["required"]) == {name for name, each in parameters.items() if each.default is each.empty}
    assert set(schema["$defs"]["options"]["properties"]) == {"Deals", "deal", "on_match", "match", *KEYS}


def test_it_is_a_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("message", ACCEPTED, ids=str)
def test_what_the_task_takes_the_schema_accepts(schema: dict[str, Any], message: dict[str, Any]) -> None:
    jsonschema.validate(message, schema)
    assert taken(dict(message))


@pytest.mark.parametrize("message", REFUSED, ids=str)
def test_what_the_schema_refuses_the_task_does_not_take(schema: dict[str, Any], message: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(message, schema)
    assert not taken(dict(message))


def test_the_bound_of_ids_is_one_and_a_longer_message_is_accepted_and_warned_about(
    schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has come through, and nobody would be told that its leads are gone."""
    assert schema["properties"]["lead_ids"]["maxItems"] == MAX_IDS_A_MESSAGE == massconvert_stub.MOST_IDS
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"lead_ids": [LEAD] * (MAX_IDS_A_MESSAGE + 1)}, schema)
    with pytest.raises(ValueError, match="too many for one message"):
        massconvert_stub.enqueue(app, [LEAD] * (MAX_IDS_A_MESSAGE + 1), {})
    monkeypatch.setattr("massconvert.producer.message.MAX_IDS_A_MESSAGE", 2)
    leads = [str(int(LEAD) + number) for number in range(3)]
    crm = FakeCrm()
    assert crm.receive({"lead_ids": leads[:2], "key": "k"}, "m1").progress().converted == 2
    assert caplog.records == []
    assert crm.receive({"lead_ids": leads, "key": "k"}, "m2").progress().converted == 3
    assert "Batch k came as a message of 3 ids" in caplog.text
