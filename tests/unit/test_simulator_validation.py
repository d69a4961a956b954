"""Each mistake in a payload has Zoho's own words, and nothing is scheduled for it."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.simulator import Request, Response
from tests.unit.simulated_crm import ANN, DEAL, Crm, code

CONTACTS = {"api_name": "Contacts", "id": "3652397000000002179"}
ACCOUNTS = {"api_name": "Accounts", "id": "3652397000000002180"}
TASKS = {"api_name": "Tasks", "id": "3652397000000002193"}
EVENTS = {"api_name": "Events", "id": "3652397000000002195"}


def told(answer: Response) -> tuple[str, Any]:
    """Code and details of a refusal."""
    assert isinstance(answer.body, dict)
    assert answer.status == 400, answer
    assert answer.body["status"] == "error"
    assert answer.body["message"]
    return answer.body["code"], answer.body["details"]


def invalid(path: str, **more: str) -> tuple[str, dict[str, str]]:
    """What Zoho says of a wrong value at a path."""
    name = path.rpartition(".")[2].partition("[")[0]
    return "INVALID_DATA", {"api_name": name, "json_path": path, **more}


def missing(path: str) -> tuple[str, dict[str, str]]:
    """What Zoho says of one missing key."""
    return "MANDATORY_NOT_FOUND", {"api_name": path.rpartition(".")[2], "json_path": path}


def test_the_sample_of_the_api_page_is_accepted() -> None:
    crm = Crm(job_seconds=0)
    answer = crm.call(
        "POST",
        "/crm/v5/Leads/actions/mass_convert",
        body={
            "ids": ["3652397000009850001", "3652397000009851001"],
            "Deals": {
                "Amount": 10000,
                "Deal_Name": "test7000",
                "Closing_Date": "2022-12-20",
                "Pipeline": "Standard(Standard)",
                "Stage": "Needs Analysis",
            },
            "carry_over_tags": [CONTACTS],
            "related_modules": [TASKS, EVENTS],
            "assign_to": {"id": "3652397000000281001"},
            "move_attachments_to": CONTACTS,
        },
    )
    assert answer.status == 200
    assert isinstance(answer.body, dict)
    job_id = answer.body["details"].pop("job_id")
    assert job_id.isdigit()
    assert answer.body == {
        "code": "SUCCESS",
        "details": {},
        "message": "Mass Convert scheduled successfully",
        "status": "success",
    }
    assert crm.status(job_id)["Converted_Count"] == 2


@pytest.mark.parametrize(
    ("version", "wanted"), [("v5", "SUCCESS"), ("v6", "SUCCESS"), ("v7", "SCHEDULED"), ("v8", "SCHEDULED")]
)
def test_the_code_of_success_is_that_of_the_version(version: str, wanted: str) -> None:
    crm = Crm()
    assert code(crm.post(crm.ids[:1], version)) == (200, wanted)


def test_ids_may_be_text_or_numbers() -> None:
    crm = Crm(job_seconds=0)
    assert crm.post([crm.ids[0], int(crm.ids[1])], assign_to={"id": int(ANN)}).status == 200
    assert sum(known["converted"] for known in crm.organisation.truth().values()) == 2


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"apply_assignment_threshold": False},
        {"portal_user_type": {"id": "3652397000000432001", "name": "Client"}},
        {"portal_user_type": {"id": "3652397000000432001", "api_name": "Client"}},
        {"carry_over_tags": [CONTACTS, ACCOUNTS], "move_attachments_to": ACCOUNTS},
        {"related_modules": [{"api_name": "Calls"}, {"id": TASKS["id"]}, {"id": int(EVENTS["id"])}]},
        {"related_modules": []},
        {"Deals": {**DEAL, "Amount": 12.5, "Custom_Field": "kept"}},
        {"Deals": {**DEAL, "Pipeline": "no such one, but pipelines are not enabled"}},
    ],
)
def test_what_the_api_allows_is_accepted(options: dict[str, Any]) -> None:
    crm = Crm()
    assert crm.post(crm.ids[:50], **options).status == 200


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"Deals": []}, invalid("$.Deals", expected_data_type="jsonobject")),
        ({"Deals": {**DEAL, "Stage": None}}, missing("$.Deals.Stage")),
        ({"Deals": {**DEAL, "Deal_Name": ""}}, missing("$.Deals.Deal_Name")),
        ({"Deals": {**DEAL, "Deal_Name": 7}}, invalid("$.Deals.Deal_Name", expected_data_type="string")),
        ({"Deals": {**DEAL, "Stage": "Nearly there"}}, invalid("$.Deals.Stage")),
        ({"Deals": {**DEAL, "Closing_Date": "+30d"}}, invalid("$.Deals.Closing_Date", expected_data_type="date")),
        ({"Deals": {**DEAL, "Closing_Date": "2026-02-30"}}, invalid("$.Deals.Closing_Date", expected_data_type="date")),
        ({"Deals": {**DEAL, "Closing_Date": "20261220"}}, invalid("$.Deals.Closing_Date", expected_data_type="date")),
        ({"Deals": {**DEAL, "Amount": "much"}}, invalid("$.Deals.Amount", expected_data_type="double")),
        ({"assign_to": "Ann"}, invalid("$.assign_to", expected_data_type="jsonobject")),
        ({"assign_to": {}}, missing("$.assign_to.id")),
        ({"assign_to": {"id": "ann"}}, invalid("$.assign_to.id", expected_data_type="long")),
        ({"assign_to": {"id": "3652397000000289001"}}, invalid("$.assignee.id")),
        ({"assign_to": {"id": "3652397000000283001"}}, invalid("$.assignee.id")),  # who is not active
        ({"portal_user_type": {"id": "1"}}, invalid("$.portal_user_type.id")),
        ({"portal_user_type": {}}, missing("$.portal_user_type.id")),
        (
            {"portal_user_type": {"id": "3652397000000432001", "name": "Partner"}},
            invalid("$.portal_user_type.name"),
        ),
        ({"related_modules": TASKS}, invalid("$.related_modules", expected_data_type="jsonarray")),
        ({"related_modules": [TASKS, CONTACTS]}, invalid("$.related_modules[1].api_name")),
        ({"related_modules": [{"id": CONTACTS["id"]}]}, invalid("$.related_modules[0].id")),
        ({"related_modules": [{"api_name": "Meetings"}]}, invalid("$.related_modules[0].api_name")),
        ({"carry_over_tags": [{"id": "12"}]}, invalid("$.carry_over_tags[0].id")),
        ({"carry_over_tags": [TASKS]}, invalid("$.carry_over_tags[0].api_name")),
        ({"move_attachments_to": [CONTACTS]}, invalid("$.move_attachments_to", expected_data_type="jsonobject")),
        ({"move_attachments_to": TASKS}, invalid("$.move_attachments_to.api_name")),
        (
            {"apply_assignment_threshold": "yes"},
            invalid("$.apply_assignment_threshold", expected_data_type="boolean"),
        ),
    ],
)
def test_a_wrong_option_is_refused_with_its_path(options: dict[str, Any], wanted: object) -> None:
    crm = Crm()
    assert told(crm.post(crm.ids[:2], **options)) == wanted
    assert crm.organisation.next_job_end() is None


def test_several_missing_keys_are_listed() -> None:
    crm = Crm(pipelines=True)
    expected = [{"api_name": name, "json_path": f"$.Deals.{name}"} for name in ("Stage", "Closing_Date", "Pipeline")]
    refused = told(crm.post(crm.ids[:1], Deals={"Deal_Name": "x"}))
    assert refused == ("EXPECTED_FIELD_MISSING", {"expected_fields": expected})


@pytest.mark.parametrize("option", ["related_modules", "carry_over_tags", "move_attachments_to"])
def test_an_id_and_a_name_that_do_not_belong_together_are_ambiguous(option: str) -> None:
    crm, module = Crm(), {"api_name": "Tasks" if option == "related_modules" else "Contacts", "id": ACCOUNTS["id"]}
    single = option == "move_attachments_to"
    at = f"$.{option}" if single else f"$.{option}[0]"
    due_to = [{"api_name": name, "json_path": f"{at}.{name}"} for name in ("id", "api_name")]
    options: dict[str, Any] = {option: module if single else [module]}
    refused = told(crm.post(crm.ids[:1], **options))
    assert refused == ("AMBIGUITY_DURING_PROCESSING", {"ambiguity_due_to": due_to})


def test_a_module_without_id_and_name_lacks_one_of_them() -> None:
    crm = Crm()
    expected = [{"api_name": name, "json_path": f"$.carry_over_tags[0].{name}"} for name in ("id", "api_name")]
    refused = told(crm.post(crm.ids[:1], carry_over_tags=[{}]))
    assert refused == ("EXPECTED_FIELD_MISSING", {"expected_fields": expected})


def test_a_pipeline_must_be_known_and_have_the_stage_if_pipelines_are_enabled() -> None:
    crm = Crm(pipelines=True)
    assert told(crm.post(crm.ids[:1], Deals=DEAL)) == missing("$.Deals.Pipeline")
    assert told(crm.post(crm.ids[:1], Deals={**DEAL, "Pipeline": "x"})) == invalid("$.Deals.Pipeline")
    assert told(crm.post(crm.ids[:1], Deals={**DEAL, "Pipeline": "Renewals"})) == invalid("$.Deals.Stage")
    assert crm.post(crm.ids[:1], Deals={**DEAL, "Pipeline": "Standard (Standard)"}).status == 200


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"Type": "Old Business"}, ""),
        ({"Sales_Regions": ["North", "Up"]}, ""),
        ({"Sales_Regions": "North"}, "jsonarray"),
        ({"Probability": "90"}, "integer"),
        ({"Renewal": "yes"}, "boolean"),
        ({"Owner": ANN}, "jsonobject"),
    ],
)
def test_fields_of_a_deal_are_held_against_their_metadata(field: dict[str, Any], expected: str) -> None:
    crm = Crm()
    (name,) = field
    more = {"expected_data_type": expected} if expected else {}
    assert told(crm.post(crm.ids[:1], Deals={**DEAL, **field})) == invalid(f"$.Deals.{name}", **more)
    good = {
        "Type": "New Business",
        "Sales_Regions": ["North"],
        "Probability": 90,
        "Renewal": True,
        "Owner": {"id": ANN},
    }
    assert crm.post(crm.ids[:1], Deals={**DEAL, **good}).status == 200


def test_a_field_may_be_made_mandatory_by_the_layout() -> None:
    crm = Crm(mandatory_deal_fields=frozenset({"Type"}))
    assert told(crm.post(crm.ids[:1], Deals=DEAL)) == missing("$.Deals.Type")
    (layout,) = crm.call("GET", "/crm/v8/settings/layouts", {"module": "Deals"}).body["layouts"]  # type: ignore[call-overload,index]  # JSON
    required = {field["api_name"] for field in layout["sections"][0]["fields"] if field["required"]}
    assert "Type" in required


def test_assign_to_may_be_made_mandatory() -> None:
    crm = Crm(assign_to_mandatory=True)
    path = "/crm/v8/Leads/actions/mass_convert"
    assert told(crm.call("POST", path, body={"ids": crm.ids[:1]})) == missing("$.assign_to")
    assert Crm().call("POST", path, body={"ids": crm.ids[:1]}).status == 200


# --- the leads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "wanted"),
    [
        (None, missing("$.ids")),
        ([], missing("$.ids")),
        ("3652397000009850001", invalid("$.ids", expected_data_type="jsonarray")),
        (["3652397000009850001", "abc"], invalid("$.ids[1]", expected_data_type="long")),
        ([3.6524e18], invalid("$.ids[0]", expected_data_type="long")),
        ([True], invalid("$.ids[0]", expected_data_type="long")),
        (["-5"], invalid("$.ids[0]", expected_data_type="long")),
        (["3652397000009850001", "3652397000009850001"], invalid("$.ids[1]")),
    ],
)
def test_ids_that_are_none_are_refused_with_their_path(ids: Any, wanted: object) -> None:
    crm = Crm()
    assert told(crm.call("POST", "/crm/v8/Leads/actions/mass_convert", body={"ids": ids})) == wanted


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'"ids"', b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(content: bytes) -> None:
    refused = told(Crm().call("POST", "/crm/v8/Leads/actions/mass_convert", body=content))
    assert refused == ("INVALID_DATA", {"expected_data_type": "jsonobject"})


@pytest.mark.parametrize("limit_code", ["RECORD_LIMIT_EXCEEDED", "LIMIT_EXCEEDED"])
def test_more_than_fifty_leads_are_refused(limit_code: str) -> None:
    crm = Crm(101, too_many_code=limit_code)
    assert crm.post(crm.ids[:50]).status == 200
    details = {"limit": 50, "limit_due_to": [{"api_name": "ids", "json_path": "$.ids"}]}
    assert told(crm.post(crm.ids[50:101])) == (limit_code, details)


def test_one_bad_lead_refuses_the_whole_payload() -> None:
    """Unknown, converted before, converted by a job since: none of the others is converted."""
    crm = Crm(10, unknown=1, converted=1, job_seconds=0)
    truth = crm.organisation.truth()
    good = [lead for lead, known in truth.items() if not known["converted"]]
    done = good.pop()
    crm.post([done])
    unknown = next(lead for lead in crm.ids if lead not in truth)
    converted = next(lead for lead, known in truth.items() if known["converted"])
    for bad in (unknown, converted, done):
        assert told(crm.post([*good[:3], bad])) == invalid("$.ids[3]")
    assert all(crm.organisation.truth()[lead]["submissions"] == 0 for lead in good)


def test_a_lead_that_a_live_job_converts_is_accepted() -> None:
    crm = Crm(job_seconds=10)
    crm.post(crm.ids[:1])
    assert crm.post(crm.ids[:1]).status == 200


@pytest.mark.parametrize(
    ("names", "paths"),
    [("first", ["$.ids[0]"]), ("all", ["$.ids[0]", "$.ids[1]", "$.ids[2]"]), ("none", ["$.ids"])],
)
def test_which_bad_leads_a_refusal_names_is_a_choice(names: str, paths: list[str]) -> None:
    crm = Crm(3, unknown=3, names_bad_leads=names)
    code_told, details = told(crm.post(crm.ids))
    assert code_told == "INVALID_DATA"
    named = details.get("errors", [details])
    assert [each["json_path"] for each in named] == paths


@pytest.mark.parametrize(("leads_first", "path"), [(True, "$.ids[0]"), (False, "$.Deals.Stage")])
def test_what_is_looked_at_first_is_a_choice(leads_first: bool, path: str) -> None:
    crm = Crm(1, unknown=1, leads_first=leads_first)
    assert told(crm.post(crm.ids, Deals={**DEAL, "Stage": "x"})) == invalid(path)


def test_a_call_is_let_in_before_its_payload_is_looked_at() -> None:
    crm = Crm()
    refused = crm.organisation.handle(Request("POST", "/crm/v8/Leads/actions/mass_convert", {}, {}, b"{"))
    assert code(refused) == (401, "AUTHENTICATION_FAILURE")
