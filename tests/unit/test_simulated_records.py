"""The simulator's contacts, accounts and deals: how they come to be, are read, found, written and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.simulator import Response, SimulatorError
from tests.unit.simulated_crm import ANN, DEAL, Crm, code, only

X, Y = "3652397000070000001", "3652397000070000002"


@pytest.fixture
def crm() -> Crm:
    """Three leads; the first is that of contact Y in account X."""
    made = Crm(3, job_seconds=0)
    lead = {"First_Name": "Ann", "Last_Name": "Ng", "Email": "ann@example.com", "Company": "Acme"}
    made.organisation.give_leads({made.ids[0]: lead})
    made.organisation.put_records("Accounts", [{"id": X, "Account_Name": "Acme", "Website": "acme.example"}])
    contact = {"id": Y, "First_Name": "Ann", "Last_Name": "Ng", "Email": "ann@example.com", "Account_Name": X}
    made.organisation.put_records("Contacts", [contact])
    return made


def query(crm: Crm, text: str, version: str = "v8") -> list[dict[str, Any]]:
    answer = crm.call("POST", f"/crm/{version}/coql", body={"select_query": text})
    if answer.status == 204:
        return []
    assert isinstance(answer.body, dict)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.body["data"]
    return found


def written(crm: Crm, method: str, module: str, *rows: dict[str, Any]) -> Response:
    return crm.call(method, f"/crm/v8/{module}", body={"data": list(rows)})


# --- what a conversion makes ------------------------------------------------------------------------------


def test_a_mass_convert_makes_a_contact_an_account_and_a_deal_of_a_lead(crm: Crm) -> None:
    crm.post(crm.ids[:1], Deals=DEAL, assign_to={"id": ANN})
    lead = crm.organisation.truth()[crm.ids[0]]
    contact = crm.organisation.records("Contacts")[lead["contact_id"]]
    assert (contact["Full_Name"], contact["Email"], contact["Account_Name"]) == (
        "Ann Ng",
        "ann@example.com",
        lead["account_id"],
    )
    assert (contact["made_by"], contact["leads"]) == (crm.ids[0], [crm.ids[0]])
    account = crm.organisation.records("Accounts")[lead["account_id"]]
    assert (account["Account_Name"], account["Owner"]) == ("Acme", ANN)
    deal = crm.organisation.records("Deals")[lead["deal_id"]]
    assert (deal["Deal_Name"], deal["Account_Name"], deal["Contact_Name"]) == (
        DEAL["Deal_Name"],
        lead["account_id"],
        lead["contact_id"],
    )
    assert lead["account_id"] != X
    assert crm.organisation.records("Accounts")[X]["leads"] == []


def test_without_a_company_there_is_no_account(crm: Crm) -> None:
    crm.organisation.give_leads({crm.ids[1]: {"Company": None}})
    crm.post(crm.ids[1:2])
    assert crm.organisation.truth()[crm.ids[1]]["account_id"] is None
    (row,) = only(crm.read(crm.ids[1:2]))
    assert row["Converted_Account"] is None
    assert row["Converted_Contact"]["name"] == "Lead 1"


# --- queries ----------------------------------------------------------------------------------------------


def test_a_query_finds_contacts_by_e_mail_and_accounts_by_name(crm: Crm) -> None:
    found = query(
        crm,
        "select id, Full_Name, Email, Account_Name from Contacts "
        "where Email in ('ANN@example.com','b@example.com') order by id limit 0, 2000",
    )
    assert found == [
        {"id": Y, "Full_Name": "Ann Ng", "Email": "ann@example.com", "Account_Name": {"name": "Acme", "id": X}}
    ]
    assert query(crm, "select id, Website from Accounts where Account_Name in ('Acme')") == [
        {"id": X, "Website": "acme.example"}
    ]
    assert [row["id"] for row in query(crm, f"select id from Contacts where Account_Name = {X}")] == [Y]
    assert [row["id"] for row in query(crm, "select id from Contacts where Account_Name.Account_Name = 'Acme'")] == [Y]


@pytest.mark.parametrize("quoted", ["O''Neill \"& Co\"", 'O\\\'Neill "& Co"'])
def test_a_quote_may_be_written_in_two_ways(crm: Crm, quoted: str) -> None:
    crm.organisation.put_records("Accounts", [{"id": "7", "Account_Name": 'O\'Neill "& Co"'}])
    assert [row["id"] for row in query(crm, f"select id from Accounts where Account_Name = '{quoted}'")] == ["7"]


@pytest.mark.parametrize("module", ["Leads", "Contacts", "Accounts", "Deals"])
def test_fifty_values_are_taken_and_no_more(crm: Crm, module: str) -> None:
    values = ", ".join(f"{number}" for number in range(51))
    answer = crm.call("POST", "/crm/v8/coql", body={"select_query": f"select id from {module} where id in ({values})"})
    assert code(answer) == (400, "LIMIT_EXCEEDED")
    assert query(crm, f"select id from {module} where id in ({values.partition(', ')[2]})") == []


def test_rows_are_ordered_paged_and_counted_in_credits() -> None:
    crm = Crm(1)
    rows = [{"id": str(1000 + number), "Account_Name": f"A{number % 7}"} for number in range(450)]
    crm.organisation.put_records("Accounts", rows)
    used = crm.organisation.load()["credits_used"]
    found = query(
        crm, "select id, Account_Name from Accounts where id is not null order by Account_Name desc limit 300"
    )
    assert found[0]["Account_Name"] == "A6"
    assert len(found) == 300
    assert crm.organisation.load()["credits_used"] == used + 2
    assert len(query(crm, "select id from Accounts where id is not null limit 300, 200")) == 150
    refused = crm.call("POST", "/crm/v7/coql", body={"select_query": "select id from Accounts where id > 1 limit 201"})
    assert code(refused) == (400, "LIMIT_EXCEEDED")


def test_a_query_needs_the_scope_of_its_module() -> None:
    crm = Crm(1, scopes=frozenset({"ZohoCRM.coql.READ", "ZohoCRM.modules.contacts.READ"}))
    assert query(crm, "select id from Contacts where id is not null") == []
    answer = crm.call("POST", "/crm/v8/coql", body={"select_query": "select id from Accounts where id is not null"})
    assert code(answer) == (401, "OAUTH_SCOPE_MISMATCH")
    wide = Crm(1, scopes=frozenset({"ZohoCRM.coql.READ", "ZohoCRM.modules.READ"}))
    assert query(wide, "select id from Accounts where id is not null") == []


def test_what_is_hidden_from_the_user_is_nowhere(crm: Crm) -> None:
    crm.organisation.hide([Y, crm.ids[0]])
    assert query(crm, "select id from Contacts where Email = 'ann@example.com'") == []
    assert crm.call("GET", "/crm/v8/Contacts", {"ids": Y, "fields": "Email"}).status == 204
    assert [row["id"] for row in only(crm.read(crm.ids))] == crm.ids[1:]
    assert code(crm.post(crm.ids[:1])) == (400, "INVALID_DATA")
    assert crm.convert(crm.ids[1], Contacts={"id": Y}).status == 400
    crm.organisation.hide([])
    assert len(only(crm.read(crm.ids))) == 3


# --- written ----------------------------------------------------------------------------------------------


def test_records_are_made_read_changed_deleted_and_gone(crm: Crm) -> None:
    answer = written(crm, "POST", "Leads", {"Last_Name": "New", "Company": "Acme"}, {"Company": "No name"})
    assert answer.status == 207
    assert isinstance(answer.body, dict)
    made, refused = answer.body["data"]
    assert (refused["code"], refused["details"]["json_path"]) == ("MANDATORY_NOT_FOUND", "$.data[1].Last_Name")
    lead = made["details"]["id"]
    (row,) = only(crm.read([lead], fields="Last_Name,Email,Company"))
    assert (row["Last_Name"], row["Email"], row["Company"]) == ("New", None, "Acme")
    assert written(crm, "PUT", "Leads", {"id": lead, "Company": "Beta"}).status == 200
    assert only(crm.read([lead], fields="Company"))[0]["Company"] == "Beta"
    assert crm.call("DELETE", "/crm/v8/Leads", {"ids": f"{lead},{crm.ids[1]}", "wf_trigger": "false"}).status == 200
    assert crm.read([lead]).status == 204
    (first, _) = only(crm.call("GET", "/crm/v8/settings/recycle_bin"), "recycle_bin")
    assert (first["id"], first["display_name"], first["module"]["api_name"]) == (lead, "New", "Leads")
    assert crm.call("DELETE", "/crm/v8/settings/recycle_bin", {"ids": lead}).status == 200
    assert crm.call("GET", "/crm/v8/settings/recycle_bin", {"ids": lead}).status == 204
    assert code(crm.call("DELETE", "/crm/v8/Leads", {})) == (400, "REQUIRED_PARAM_MISSING")


def test_a_lead_may_wait_for_approval_or_be_locked(crm: Crm) -> None:
    (waiting,) = only(written(crm, "POST", "Leads", {"Last_Name": "New", "$approved": False}))
    assert code(crm.post([waiting["details"]["id"]])) == (400, "NOT_APPROVED")
    locking = f"/crm/v8/Leads/{crm.ids[1]}/Locking_Information__s"
    assert crm.call("POST", locking, body={"data": [{"Locked_For_Reason__s": "rehearsal"}]}).status == 200
    assert code(crm.post([crm.ids[1]])) == (400, "RECORD_LOCKED")
    assert only(written(crm, "PUT", "Leads", {"id": crm.ids[1], "Company": "B"}))[0]["code"] == "RECORD_LOCKED"
    assert crm.call("DELETE", locking).status == 200
    assert crm.post([crm.ids[1]]).status == 200


def test_a_unique_field_takes_no_second_record_by_any_call() -> None:
    crm = Crm(3, job_seconds=0, unique_fields=frozenset({"Contacts.Email"}))
    crm.organisation.put_records("Contacts", [{"id": Y, "Last_Name": "Old", "Email": "LEAD0@example.com"}])
    (refused,) = only(written(crm, "POST", "Contacts", {"Last_Name": "B", "Email": "lead0@example.com"}))
    assert refused["details"]["duplicate_record"]["id"] == Y
    answer = crm.convert(crm.ids[0])
    assert (answer.status, only(answer)[0]["code"]) == (400, "DUPLICATE_DATA")
    job = crm.job_of(crm.ids)
    assert (crm.status(job)["Converted_Count"], crm.status(job)["Failed_Count"]) == (2, 1)
    fields = {
        each["api_name"]: each
        for each in only(crm.call("GET", "/crm/v8/settings/fields", {"module": "Contacts"}), "fields")
    }
    assert fields["Email"]["unique"]
    assert not fields["Phone"]["unique"]


def test_what_fills_what_is_told() -> None:
    fields = only(Crm(1).call("GET", "/crm/v8/settings/fields", {"module": "Leads"}), "fields")
    mapping = {each["api_name"]: each["convert_mapping"] for each in fields}
    assert mapping["Company"] == {"Contacts": None, "Accounts": "Account_Name", "Deals": None}
    assert mapping["Phone"] == {"Contacts": "Phone", "Accounts": "Phone", "Deals": None}
    assert mapping["Lead_Status"] == {"Contacts": None, "Accounts": None, "Deals": None}


@pytest.mark.parametrize(
    ("module", "rows", "words"),
    [
        ("Contacts", {}, "a list of contacts"),
        ("Contacts", [{"Nonsense": 1}], "no field 'Nonsense'"),
        ("Contacts", [{"Account_Name": "1"}], "no such record among Accounts"),
        ("Accounts", [{"Owner": "1"}], "no such record among users"),
    ],
)
def test_what_a_test_puts_in_wrongly_is_told_and_nothing_is_put_in(
    crm: Crm, module: str, rows: Any, words: str
) -> None:
    before = crm.organisation.records(module)
    with pytest.raises(SimulatorError, match=words):
        crm.organisation.put_records(module, rows)
    assert crm.organisation.records(module) == before


def test_a_field_that_no_lead_can_be_given_is_told(crm: Crm) -> None:
    with pytest.raises(SimulatorError, match="no field 'Converted__s' that can be given"):
        crm.organisation.give_leads({crm.ids[0]: {"Converted__s": True}})


# --- one lead at a time -----------------------------------------------------------------------------------


def test_a_lead_is_converted_into_new_records_or_those_named(crm: Crm) -> None:
    answer = crm.convert(crm.ids[1])
    (made,) = only(answer)
    assert (answer.status, made["code"]) == (200, "SUCCESS")
    assert made["details"]["Accounts"]["name"] == "Company 1"
    assert made["details"]["Deals"] is None
    (linked,) = only(crm.convert(crm.ids[0], Accounts={"id": X}, Contacts={"id": Y}, Deals=DEAL))
    assert linked["details"] == {
        "Contacts": {"name": "Ann Ng", "id": Y},
        "Accounts": {"name": "Acme", "id": X},
        "Deals": {"name": DEAL["Deal_Name"], "id": crm.organisation.truth()[crm.ids[0]]["deal_id"]},
    }
    assert crm.organisation.records("Contacts")[Y]["leads"] == [crm.ids[0]]
    assert crm.organisation.truth()[crm.ids[0]]["conversions"] == 1
    again = crm.convert(crm.ids[0])
    assert code(again) == (400, "ID_ALREADY_CONVERTED")
    assert again.body == {
        "code": "ID_ALREADY_CONVERTED",
        "details": {"resource_path_index": 1},
        "message": "id already converted",
        "status": "error",
    }


@pytest.mark.parametrize(
    ("row", "wanted", "path"),
    [
        ({"Accounts": {"id": X}}, "INVALID_DATA", "$.data[0].Accounts.id"),
        ({"Contacts": {"id": Y}}, "INVALID_DATA", "$.data[0].Contacts.id"),
        ({"Contacts": {"id": "1"}}, "INVALID_DATA", "$.data[0].Contacts.id"),
        ({"Contacts": {}}, "MANDATORY_NOT_FOUND", "$.data[0].Contacts.id"),
        ({"Contacts": Y}, "INVALID_DATA", "$.data[0].Contacts"),
        ({"Deals": {**DEAL, "Stage": ""}}, "MANDATORY_NOT_FOUND", "$.data[0].Deals.Stage"),
        ({"Deals": {**DEAL, "Stage": "Nowhere"}}, "INVALID_DATA", "$.data[0].Deals.Stage"),
        ({"Deals": {**DEAL, "Next_Step": "x" * 121}}, "INVALID_DATA", "$.data[0].Deals.Next_Step"),
        ({"assign_to": {"id": "1"}}, "INVALID_DATA", "$.data[0].assign_to.id"),
        ({"overwrite": "yes"}, "INVALID_DATA", "$.data[0].overwrite"),
        ({"add_to_existing_record": False}, "INVALID_DATA", "$.data[0].add_to_existing_record"),
        ({"move_attachments_to": {"api_name": "Tasks"}}, "INVALID_DATA", "$.data[0].move_attachments_to.api_name"),
        ({"carry_over_tags": {"Deals": "a"}}, "INVALID_DATA", "$.data[0].carry_over_tags.Deals"),
    ],
)
def test_a_single_convert_that_asks_wrongly_is_refused_and_converts_nobody(
    crm: Crm, row: dict[str, Any], wanted: str, path: str
) -> None:
    answer = crm.convert(crm.ids[1], **row)
    (item,) = only(answer)
    assert (answer.status, item["code"], item["details"]["json_path"]) == (400, wanted, path)
    assert not crm.organisation.truth()[crm.ids[1]]["converted"]


def test_a_stage_of_another_pipeline_is_a_mismatch() -> None:
    crm = Crm(1, pipelines=True)
    (item,) = only(crm.convert(crm.ids[0], Deals={**DEAL, "Pipeline": "Renewals"}))
    assert (item["code"], item["details"]["mapped_field"]) == ("MAPPING_MISMATCH", "Pipeline")


@pytest.mark.parametrize("kind", ["locked", "not_approved", "not_reviewed", "in_merge"])
def test_a_special_lead_is_refused_alone(crm: Crm, kind: str) -> None:
    crm.organisation.make_special(crm.ids[1], kind)
    answer = crm.convert(crm.ids[1])
    assert answer.status == 400
    assert isinstance(answer.body, dict)
    assert answer.body["details"]["resource_path_index"] == 1
    assert code(crm.call("GET", f"/crm/v8/Leads/{crm.ids[1]}/__conversion_options")) == (400, answer.body["code"])


def test_what_else_single_convert_refuses(crm: Crm) -> None:
    path = f"/crm/v8/Leads/{crm.ids[1]}/actions/convert"
    assert crm.call("POST", path).status == 400
    assert code(crm.convert("1")) == (400, "INVALID_DATA")
    assert code(crm.call("GET", path)) == (400, "INVALID_REQUEST_METHOD")
    forbidden = Crm(1, without_permissions=frozenset({"Crm_Implied_Convert_Leads"}))
    refused = forbidden.convert(forbidden.ids[0])
    assert code(refused) == (403, "NO_PERMISSION")
    assert isinstance(refused.body, dict)
    assert refused.body["details"] == {"permissions": ["Crm_Implied_Convert_Leads"]}
    narrow = Crm(1, scopes=frozenset({"ZohoCRM.modules.leads.READ"}))
    assert code(narrow.convert(narrow.ids[0])) == (401, "OAUTH_SCOPE_MISMATCH")


def test_it_costs_five_credits_and_shares_the_limit_of_heavy_calls(crm: Crm) -> None:
    used = crm.organisation.load()["credits_used"]
    crm.convert(crm.ids[1])
    assert crm.organisation.load()["credits_used"] == used + 5
    assert code(Crm(1, heavy_concurrency=0).convert("1")) == (429, "TOO_MANY_REQUESTS")


def test_overwrite_moves_a_contact_to_the_lead_s_account(crm: Crm) -> None:
    crm.convert(crm.ids[0], Contacts={"id": Y}, overwrite=True)
    lead = crm.organisation.truth()[crm.ids[0]]
    assert lead["account_id"] not in (X, None)
    assert crm.organisation.records("Contacts")[Y]["Account_Name"] == lead["account_id"]


def test_the_options_name_what_a_lead_matches(crm: Crm) -> None:
    path = f"/crm/v8/Leads/{crm.ids[0]}/__conversion_options"
    answer = crm.call("GET", path)
    assert isinstance(answer.body, dict)
    options = answer.body["__conversion_options"]
    assert options["module_preference"]["api_name"] == "Contacts"
    assert [each["id"] for each in options["Contacts"]] == [Y]
    assert [each["id"] for each in options["Accounts"]] == [X]
    (matched,) = options["preference_field_matched_value"]["Contacts"]
    assert (matched["field"]["api_name"], matched["matched_lead_value"]) == ("Email", "ann@example.com")
    assert crm.call("GET", f"/crm/v8/Leads/{crm.ids[1]}/__conversion_options").status == 204


def test_the_api_switch_of_the_profile_refuses_every_call() -> None:
    crm = Crm(1, without_permissions=frozenset({"Crm_Implied_Api_Access"}))
    refused = crm.read(crm.ids)
    assert code(refused) == (403, "NO_PERMISSION")
    assert isinstance(refused.body, dict)
    assert refused.body["details"] == {"permissions": ["Crm_Implied_Api_Access"]}


# --- composite requests -----------------------------------------------------------------------------------


def test_a_composite_request_converts_for_one_credit(crm: Crm) -> None:
    used = crm.organisation.load()["credits_used"]
    calls = [
        {
            "sub_request_id": f"c{number}",
            "method": "POST",
            "uri": f"/crm/v8/Leads/{lead}/actions/convert",
            "body": {"data": [{}]},
        }
        for number, lead in enumerate([crm.ids[1], "1"])
    ]
    answers = only(
        crm.call("POST", "/crm/v8/__composite_requests", body={"__composite_requests": calls}), "__composite_requests"
    )
    assert [each["details"]["response"]["status_code"] for each in answers] == [200, 400]
    assert crm.organisation.truth()[crm.ids[1]]["conversions"] == 1
    assert crm.organisation.load()["credits_used"] == used + 1


@pytest.mark.parametrize(
    ("calls", "wanted"),
    [
        (None, "MANDATORY_NOT_FOUND"),
        ({}, "INVALID_DATA"),
        ([{"method": "GET"}], "MANDATORY_NOT_FOUND"),
        ([{"method": "GET", "uri": "/crm/v8/org", "params": []}] * 6, "LIMIT_EXCEEDED"),
        ([{"method": "GET", "uri": "/crm/v8/Leads/1/__conversion_options"}], "NOT_SUPPORTED"),
        ([{"method": "POST", "uri": "/crm/v8/Leads/actions/mass_convert"}], "NOT_SUPPORTED"),
    ],
)
def test_a_wrong_composite_request_is_refused(crm: Crm, calls: Any, wanted: str) -> None:
    body = {} if calls is None else {"__composite_requests": calls}
    assert code(crm.call("POST", "/crm/v8/__composite_requests", body=body)) == (400, wanted)
