"""Each answer of the simulator has every key that Zoho's description of its API calls mandatory, of the right type.

Written down here in words of our own: ``text``, ``number``, ``flag``, ``list``, ``object``; with ``?`` it may be null.
A key with ``[]`` holds for each of a list, one with a dot for what is within an object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from massconvert.simulator import Organisation, Request, Rules

_TYPES: dict[str, Any] = {"text": str, "number": int, "flag": bool, "list": list, "object": dict}

PERSON = {"id": "text", "name": "text"}
ERROR = {"code": "text", "details": "object", "message": "text", "status": "text"}
INFO = {"info.count": "number", "info.more_records": "flag"}
PLACE = {"api_name": "text?", "id": "text?"}


def _within(name: str, keys: dict[str, str]) -> dict[str, str]:
    return {f"{name}.{key}": kind for key, kind in keys.items()}


def _all(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


FIELD = {
    **_all("text", "id api_name field_label display_label data_type json_type created_source type column_name"),
    **_all("text", "quick_sequence_number"),
    **_all("number", "length display_type ui_type show_type category"),
    **_all("flag", "system_mandatory webhook blueprint_supported virtual_field field_read_only read_only custom_field"),
    **_all("flag", "businesscard_supported filterable visible available_in_user_layout display_field sortable"),
    **_all("flag", "pick_list_values_sorted_lexically separator searchable enable_colour_code mass_update"),
    **_all("flag", "_update_existing_records number_separator static_field"),
    **_all("flag?", "colour_code_enabled_by_system hipaa_compliance_enabled"),
    **_all("list", "customizable_properties layout_associations file_upolad_optionlist profiles pick_list_values"),
    **_all("list", "allowed_modules"),
    **_all("object", "sharing_properties convert_mapping textarea crypt external"),
    **_all("object?", "rollup_summary multi_module_lookup currency lookup unique subform formula multiselectlookup"),
    **_all("object?", "auto_number common.picklist"),
    **_all("text?", "created_time modified_time additional_column"),
    "decimal_place": "number?",
    **_within("associated_module", PLACE),
    **_within("sub_module", PLACE),
    **_within("refer_from_field", PLACE),
    **_within("operation_type", _all("flag", "web_update api_create web_create api_update")),
    **_within("view_type", _all("flag?", "view edit quick_create create")),
    **_within("email_parser", _all("flag?", "fields_update_supported record_operations_supported")),
    **_within("autonumber", {"starting_number_length": "number", **_all("text?", "prefix suffix")}),
    "autonumber.start_number": "number?",
    **_within("crypt", {"mode": "text?", "status": "number?"}),
    **_within("tooltip", _all("text", "name value")),
    **_within("external", {"show": "flag?", "type": "text?"}),
    **_within("hipaa_compliance", _all("flag?", "restricted_in_export restricted")),
    "history_tracking.module": "object",
    **_within("history_tracking.duration_configured_field", PLACE),
    **_within("association_details.related_field", PLACE),
    **_within("association_details.lookup_field", PLACE),
    **_within("multiuserlookup", _all("text?", "display_label lookup_apiname api_name connectedfield_apiname id")),
    **_within("multiuserlookup", {"connectedlookup_apiname": "text?", "record_access": "flag?"}),
    **_within("multiuserlookup.linking_module", PLACE),
    **_within("multiuserlookup.connected_module", PLACE),
    **_within("profiles[]", _all("text?", "id name permission_type")),
    **_within("pick_list_values[]", _all("text", "id actual_value display_value type")),
    **_within("pick_list_values[]", {"colour_code": "text?", "sequence_number": "number"}),
}
MODULE = {
    **_all("text", "id api_name module_name generated_type activity_badge"),
    **_all("text?", "plural_label singular_label modified_time web_link description"),
    **_all("flag", "common.search_supported deletable creatable recycle_bin_on_delete inventory_template_supported"),
    **_all("flag", "presence_sub_menu triggers_supported chart_view isBlueprintSupported visible convertable editable"),
    **_all("flag", "emailTemplate_support email_parser_supported filter_supported show_as_tab viewable api_supported"),
    **_all("flag", "quick_create feeds_required scoring_supported webform_supported chart_view_supported"),
    **_all("flag", "track_current_data"),
    **_all("flag?", "kanban_view_supported kanban_view filter_status zia_view"),
    **_all("number", "visibility sequence_number profile_count business_card_field_limit"),
    "per_page": "number?",
    **_all("list", "arguments profiles $field_states business_card_fields $properties $on_demand_properties"),
    **_all("list", "search_layout_fields related_lists layouts fields default_mapping_fields layout_associations"),
    **_all("object?", "parent_module display_field custom_view"),
    **_within("modified_by", PERSON),
    "lookup_field_properties.fields": "list",
    **_within("related_list_properties", {"fields": "list", "sort_order": "text?"}),
    **_within("related_list_properties.sort_by", PLACE),
}
LAYOUT = {
    **_all("text", "id name"),
    **_all("text?", "created_time modified_time source display_label mode status generated_type"),
    **_all("flag?", "has_more_profiles visible show_business_card"),
    "subform_properties.pinned_column": "flag?",
    **_within("created_for", PERSON),
    **_within("created_by", PERSON),
    **_within("modified_by", PERSON),
    **{
        f"convert_mapping.{name}.{key}": "text?" for name in ("Contacts", "Accounts", "Deals") for key in ("id", "name")
    },
    **{f"convert_mapping.{name}.{key}": "text?" for name in ("Invoices", "SalesOrders") for key in ("id", "name")},
    "convert_mapping.Deals.fields": "list",
    **_within("profiles[]", {"default": "flag?", **_all("text?", "id name")}),
    **_within("profiles[]._default_view", _all("text?", "id name type")),
    **_within("actions_allowed", _all("flag?", "edit rename clone downgrade delete deactivate set_layout_permissions")),
    **_within("sections[]", _all("text?", "id name api_name display_label tab_traversal generated_type type")),
    **_within("sections[]", {**_all("number?", "sequence_number column_count"), "isSubformSection": "flag?"}),
    "sections[].properties.tooltip": "object",
    **_within("sections[].properties", {"reorder_rows": "flag?", "maximum_rows": "number?"}),
    "sections[]._delete.permanent": "flag?",
    **_within("sections[].fields[]", FIELD),
    **_within("sections[].fields[]", _all("object?", "default_value validation_rule")),
    **_within("sections[].fields[]", {"section_id": "number?", "static_values": "list", "_delete.permanent": "flag?"}),
}
PORTAL = {
    **_all("text", "name zaid created_time modified_time"),
    "active": "flag",
    **_within("created_by", PERSON),
    **_within("modified_by", PERSON),
}
PIPELINE = {
    **_all("text", "id display_value actual_value"),
    "default": "flag",
    **_within("maps[]", _all("text", "id display_value actual_value forecast_type")),
    "maps[].sequence_number": "number?",
    **_within("maps[].forecast_category", PERSON),
}
USER = _all("text", "id first_name last_name full_name email status")
LICENCE = {
    **_all("text", "paid_type paid_expiry trial_action"),
    **_all("text?", "trial_type trial_expiry"),
    "paid": "flag",
    "users_license_purchased": "number",
}
MADE = {"code": "text", "message": "text", "status": "text", **_within("details", {"id": "text"})}
OPTIONS = {
    "module_preference": "object?",
    **_all("list?", "Contacts Accounts Deals modules_with_multiple_layouts"),
    **_within("preference_field_matched_value", _all("list?", "Contacts Accounts Deals")),
    "Contacts[].id": "text",
    "preference_field_matched_value.Contacts[].matched_lead_value": "text",
    **_within("preference_field_matched_value.Contacts[].field", {"api_name": "text", "id": "text"}),
}
BINNED = {
    **_all("text", "id display_name deleted_time"),
    **_within("owner", PERSON),
    **_within("deleted_by", PERSON),
    **_within("module", {"api_name": "text", "id": "text"}),
}
STATUS = {"data[].Status": "text", **_within("data[]", _all("number", "Total_Count Converted_Count Failed_Count"))}

#: Call, body, HTTP status, and what the answer must have.
ANSWERS: dict[str, tuple[str, Any, int, dict[str, str]]] = {
    "modules": ("GET settings/modules", None, 200, _within("modules[]", MODULE)),
    "fields of deals": ("GET settings/fields?module=Deals", None, 200, _within("fields[]", FIELD)),
    "fields of leads": ("GET settings/fields?module=Leads", None, 200, _within("fields[]", FIELD)),
    "layouts of deals": ("GET settings/layouts?module=Deals", None, 200, _within("layouts[]", LAYOUT)),
    "layouts of tasks": ("GET settings/layouts?module=Tasks", None, 200, _within("layouts[]", LAYOUT)),
    "pipelines": ("GET settings/pipeline?layout_id=365239700000091058", None, 200, _within("pipeline[]", PIPELINE)),
    "portals": ("GET settings/portals", None, 200, _within("portals[]", PORTAL)),
    "users": ("GET users?type=ActiveUsers", None, 200, {**_within("users[]", USER), **INFO}),
    "organisation": ("GET org", None, 200, _within("org[].license_details", LICENCE)),
    "leads": ("GET Leads?fields=Company", None, 200, {"data[].id": "text", "data[].Company": "text", **INFO}),
    "query": ("POST coql", {"select_query": "select id from Leads where id > 1"}, 200, {"data[].id": "text", **INFO}),
    "accepted": ("POST Leads/actions/mass_convert", {"ids": ["0"]}, 200, {**ERROR, "details.job_id": "text"}),
    "no fields": ("GET Leads", None, 400, ERROR),
    "no job": ("GET Leads/actions/mass_convert", None, 400, ERROR),
    "no ids": ("POST Leads/actions/mass_convert", {}, 400, {**ERROR, "details.json_path": "text"}),
    "a bad query": ("POST coql", {"select_query": "select from"}, 400, ERROR),
    "options": ("GET Leads/LEAD/__conversion_options", None, 200, _within("__conversion_options", OPTIONS)),
    "no such lead": (
        "POST Leads/7/actions/convert",
        {"data": [{}]},
        400,
        {**ERROR, "details.resource_path_index": "number"},
    ),
    "a mismatch": (
        "POST Leads/LEAD/actions/convert",
        {"data": [{"Contacts": {"id": "8"}}]},
        400,
        {**_within("data[]", ERROR), "data[].details.json_path": "text"},
    ),
    "one converted": (
        "POST Leads/LEAD/actions/convert",
        {"data": [{"Contacts": {"id": "9"}}]},
        200,
        {
            **_within(
                "data[]",
                {**ERROR, "details.Contacts": "object", "details.Accounts": "object", "details.Deals": "object?"},
            )
        },
    ),
    "contacts": ("GET Contacts?ids=9&fields=Email", None, 200, {"data[].id": "text", "data[].Email": "text", **INFO}),
    "made": ("POST Accounts", {"data": [{"Account_Name": "Acme"}]}, 201, _within("data[]", MADE)),
    "not made": ("POST Accounts", {"data": [{}]}, 202, _within("data[]", ERROR)),
    "deleted": ("DELETE Contacts?ids=8", None, 200, _within("data[]", MADE)),
    "recycle bin": ("GET settings/recycle_bin", None, 200, {**_within("recycle_bin[]", BINNED), **INFO}),
    "no such deal": (
        "PUT Deals",
        {"data": [{"id": "1", "Deal_Name": "x"}]},
        202,
        _within("data[]", ERROR),
    ),
}


@pytest.fixture(scope="module")
def crm() -> Organisation:
    made = Organisation(
        clock=lambda: 1_795_514_400.0,
        random=Random(1),
        leads=3,
        rules=Rules(
            pipelines=True, tokens_in_ten_minutes=None, linking_strictness="folded", contact_match="email_or_name"
        ),
    )
    contacts = [{"id": "8", "Last_Name": "Other"}, {"id": "9", "Last_Name": "Ng", "Email": "lead1@example.com"}]
    made.put_records("Contacts", [*contacts, {"id": "6", "Last_Name": "Gone"}])
    assert asked(made, "DELETE Contacts?ids=6", None)[0] == 200
    return made


def asked(crm: Organisation, call: str, body: Any) -> tuple[int, Any]:
    """A call with a token of its own; the lead ``0`` stands for the first."""
    form = b"refresh_token=r&client_id=c&client_secret=s&grant_type=refresh_token"
    token = crm.handle(Request("POST", "/oauth/v2/token", body=form)).body
    assert isinstance(token, dict)
    method, _, path = call.partition(" ")
    path, _, query = path.partition("?")
    text = json.dumps(body).replace('["0"]', json.dumps(crm.lead_ids()[:1])).encode() if body is not None else b""
    headers = {"authorization": f"Zoho-oauthtoken {token['access_token']}"}
    pairs = dict(pair.split("=") for pair in query.split("&") if pair)
    answer = crm.handle(Request(method, f"/crm/v8/{path}", pairs, headers, text))
    return answer.status, json.loads(answer.content() or b"null")


def found(value: Any, path: str) -> Iterator[Any]:
    """What stands at a path; a KeyError says that it is not there. A key may have a dot in its own name."""
    if not path:
        yield value
        return
    if path.startswith("[]"):
        assert isinstance(value, list)
        for item in value:
            yield from found(item, path[2:].removeprefix("."))
        return
    if path in value:
        yield value[path]
        return
    end = min((place for place in (path.find("."), path.find("[]")) if place > 0), default=len(path))
    yield from found(value[path[:end]], path[end:].removeprefix("."))


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_has_what_the_description_calls_mandatory(crm: Organisation, name: str) -> None:
    call, body, status, keys = ANSWERS[name]
    call = call.replace("365239700000091058", "3652397000000091058").replace("LEAD", crm.lead_ids()[1])
    got, answer = asked(crm, call, body)
    assert got == status, answer
    wrong = []
    for path, kind in keys.items():
        wanted = _TYPES[kind.removesuffix("?")]
        try:
            values = list(found(answer, path))
        except (KeyError, TypeError) as error:
            wrong.append(f"{path} is missing: {error}")
            continue
        allows_null = kind.endswith("?")
        wrong += [
            f"{path} is {value!r}, not {kind}"
            for value in values
            if not (value is None and allows_null)
            and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)))
        ]
    assert wrong == []


def test_a_key_that_is_missing_or_wrong_is_seen() -> None:
    """The test above can fail."""
    assert list(found({"a": [{"b": 1}, {"b": 2}]}, "a[].b")) == [1, 2]
    assert list(found({"common.x": True}, "common.x")) == [True]
    with pytest.raises(KeyError):
        list(found({"a": [{"b": 1}, {}]}, "a[].b"))


def test_values_that_the_caller_changes_are_nobody_elses(crm: Organisation) -> None:
    first = asked(crm, "GET settings/fields?module=Deals", None)[1]["fields"]
    again = asked(crm, "GET settings/fields?module=Deals", None)[1]["fields"]
    assert first == again
    choices = next(field for field in first if field["api_name"] == "Stage")["pick_list_values"]
    assert len({choice["id"] for choice in choices}) == len(choices)
