"""What the simulated organisation does: jobs, reads, names, tokens, limits."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

import massconvert.simulator
from massconvert.simulator import Credentials, Organisation, Request, Response, SimulatorError
from massconvert.simulator.organisation import Call
from tests.stand_ins import Steady
from tests.unit.simulated_crm import ANN, DEAL, Crm, code


def body(answer: Response) -> dict[str, Any]:
    """The JSON of an answer that has some."""
    assert isinstance(answer.body, dict), answer
    return answer.body


# --- jobs -------------------------------------------------------------------------------------------------


def test_a_job_passes_through_its_states_and_converts_when_it_ends() -> None:
    crm = Crm(job_seconds=10, scheduled_share=0.2)
    ids = crm.ids[:28]
    job = crm.job_of(ids, Deals=DEAL)
    waiting = {"Total_Count": 28, "Converted_Count": 0, "Not_Converted_Count": 28, "Failed_Count": 0}
    assert crm.status(job) == {"Status": "SCHEDULED", **waiting}
    crm.clock.now += 5
    assert crm.status(job) == {"Status": "IN PROGRESS", **waiting}
    assert not any(lead["converted"] for lead in crm.organisation.truth().values())
    crm.clock.now += 5
    done = {"Total_Count": 28, "Converted_Count": 28, "Not_Converted_Count": 0, "Failed_Count": 0}
    assert crm.status(job) == {"Status": "COMPLETED", **done}
    truth = crm.organisation.truth()
    assert all(truth[lead]["converted"] for lead in ids)
    assert not truth[crm.ids[28]]["converted"]


def test_a_lead_is_converted_at_the_moment_its_job_ends_however_late_somebody_looks() -> None:
    crm = Crm(job_seconds=10)
    start = crm.clock.now
    crm.job_of(crm.ids[:1])
    crm.clock.now += 500
    assert crm.organisation.truth()[crm.ids[0]]["converted_at"] == start + 10


def test_a_deal_is_made_only_if_asked_for() -> None:
    crm = Crm(job_seconds=0)
    crm.post(crm.ids[:1], Deals=DEAL)
    crm.post(crm.ids[1:2])
    truth = crm.organisation.truth()
    with_deal, without = truth[crm.ids[0]], truth[crm.ids[1]]
    assert with_deal["deal_id"]
    assert without["deal_id"] is None
    made = [known[name] for known in (with_deal, without) for name in ("contact_id", "account_id")]
    assert len(set(made)) == 4


def test_a_lead_that_two_live_jobs_hold_is_converted_once_and_counted_as_harm() -> None:
    crm = Crm(job_seconds=10)
    first, second = crm.job_of(crm.ids[:2]), crm.job_of(crm.ids[1:3])
    crm.clock.now += 10
    assert crm.status(first)["Converted_Count"] == 2
    assert (crm.status(second)["Converted_Count"], crm.status(second)["Failed_Count"]) == (1, 1)
    both = crm.organisation.truth()[crm.ids[1]]
    assert (both["submissions"], both["conversions"], both["overlaps"]) == (2, 1, 1)


def test_a_lead_that_is_sent_again_after_its_job_is_no_overlap() -> None:
    crm = Crm(job_seconds=10, faults=[{"method": "POST mass_convert", "do": "job_fails", "times": 1}])
    crm.job_of(crm.ids[:1])
    crm.clock.now += 10
    crm.job_of(crm.ids[:1])
    crm.clock.now += 10
    known = crm.organisation.truth()[crm.ids[0]]
    assert (known["submissions"], known["conversions"], known["overlaps"]) == (2, 1, 0)


def test_a_job_lasts_longer_for_more_leads_and_by_chance() -> None:
    crm = Crm(job_seconds=1, job_seconds_per_lead=0.5, job_jitter=2)
    start = crm.clock.now
    crm.job_of(crm.ids[:10])
    end = crm.organisation.next_job_end()
    assert end is not None
    assert start + 6 < end < start + 8


@pytest.mark.parametrize(("case", "word"), [("upper", "SCHEDULED"), ("lower", "scheduled"), ("title", "Scheduled")])
def test_the_letter_case_of_a_status_is_a_choice(case: str, word: str) -> None:
    crm = Crm(status_case=case)
    assert crm.status(crm.job_of(crm.ids[:1]))["Status"] == word


@pytest.mark.parametrize(
    ("query", "wanted", "details"),
    [
        ({}, "REQUIRED_PARAM_MISSING", {"param": "job_id", "json_path": "$.job_id"}),
        ({"job_id": "3652397000099999999"}, "INVALID_DATA", {"param_name": "job_id"}),
    ],
)
def test_a_status_call_without_a_known_job_is_refused(query: dict[str, str], wanted: str, details: object) -> None:
    answer = Crm().call("GET", "/crm/v8/Leads/actions/mass_convert", query)
    assert code(answer) == (400, wanted)
    assert body(answer)["details"] == details


# --- reads ------------------------------------------------------------------------------------------------


def test_a_read_tells_of_each_lead_whether_it_is_converted_and_into_what() -> None:
    crm = Crm(job_seconds=0)
    crm.post(crm.ids[:1], Deals=DEAL)
    converted, other = body(crm.read(crm.ids[:2]))["data"]
    truth = crm.organisation.truth()[crm.ids[0]]
    assert converted["id"] == crm.ids[0]
    assert converted["Converted__s"] is converted["$converted"] is True
    assert converted["Converted_Contact"]["id"] == truth["contact_id"]
    assert converted["Converted_Deal"]["id"] == truth["deal_id"]
    assert converted["Converted_Date_Time"] == "2027-01-15T08:00:00+00:00"
    assert other["Converted__s"] is other["$converted"] is False
    assert other["Converted_Contact"] is other["Converted_Date_Time"] is None
    assert "$converted_detail" not in converted


def test_converted_leads_are_hidden_unless_asked_for() -> None:
    crm = Crm(3, converted=1)
    gone = next(lead for lead, known in crm.organisation.truth().items() if known["converted"])
    shown = {
        state: {record["id"] for record in body(crm.read(crm.ids, state))["data"]}
        for state in ("true", "false", "both")
    }
    assert shown == {"true": {gone}, "false": set(crm.ids) - {gone}, "both": set(crm.ids)}
    assert crm.call("GET", "/crm/v8/Leads", {"ids": gone, "fields": "id"}).status == 204


def test_nothing_found_is_204_without_a_body() -> None:
    crm = Crm(3, unknown=3)
    answer = crm.read(crm.ids)
    assert (answer.status, answer.body, answer.content()) == (204, None, b"")


def test_a_lead_read_by_itself_has_its_conversion_in_detail() -> None:
    crm = Crm(job_seconds=0)
    crm.post(crm.ids[:1], Deals=DEAL)
    path = f"/crm/v8/Leads/{crm.ids[0]}"
    assert crm.call("GET", path).status == 204
    (record,) = body(crm.call("GET", path, {"converted": "true"}))["data"]
    truth = crm.organisation.truth()[crm.ids[0]]
    assert record["$converted_detail"]["contact"] == truth["contact_id"]
    assert record["Last_Name"]
    assert code(crm.call("GET", "/crm/v8/Leads/x")) == (400, "INVALID_DATA")


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"ids": "1"}, "REQUIRED_PARAM_MISSING"),
        ({"ids": ",".join(map(str, range(101))), "fields": "id"}, "LIMIT_EXCEEDED"),
        ({"fields": ",".join(f"F{number}" for number in range(51))}, "LIMIT_EXCEEDED"),
        ({"fields": "id", "converted": "perhaps"}, "INVALID_DATA"),
        ({"fields": "id", "per_page": "201"}, "INVALID_DATA"),
        ({"fields": "id", "page": "0"}, "INVALID_DATA"),
        ({"fields": "id", "ids": "a,b"}, "INVALID_DATA"),
    ],
)
def test_a_read_that_asks_wrongly_is_refused(query: dict[str, str], wanted: str) -> None:
    assert code(Crm().call("GET", "/crm/v8/Leads", query)) == (400, wanted)


def test_a_hundred_ids_are_read_at_once_and_fields_may_be_left_out_before_v3() -> None:
    crm = Crm(150)
    assert len(body(crm.read(crm.ids[:100]))["data"]) == 100
    assert body(crm.call("GET", "/crm/v2/Leads", {"ids": crm.ids[0]}))["data"][0]["Last_Name"] == "Lead 0"


def test_without_ids_all_leads_are_listed_page_by_page() -> None:
    crm = Crm(450)
    pages = [
        body(crm.call("GET", "/crm/v8/Leads", {"fields": "Last_Name,Company,Email", "page": str(page)}))
        for page in (1, 2, 3)
    ]
    assert [record["id"] for page in pages for record in page["data"]] == crm.ids
    assert [page["info"]["more_records"] for page in pages] == [True, True, False]
    assert pages[0]["data"][1]["Email"] == "lead1@example.com"


# --- names ------------------------------------------------------------------------------------------------


def test_what_a_client_needs_to_know_of_the_organisation_is_there() -> None:
    crm = Crm(edition="professional", pipelines=True)

    def get(path: str, **query: str) -> dict[str, Any]:
        return body(crm.call("GET", f"/crm/v8/{path}", query))

    assert get("org")["org"][0]["license_details"]["paid_type"] == "professional"
    assert {user["status"] for user in get("users", type="ActiveUsers")["users"]} == {"active"}
    assert get("users")["users"][0]["id"] == ANN
    modules = {module["api_name"]: module["id"] for module in get("settings/modules")["modules"]}
    assert modules["Contacts"] == "3652397000000002179"
    fields = {field["api_name"]: field for field in get("settings/fields", module="Deals")["fields"]}
    assert fields["Stage"]["system_mandatory"]
    assert "Needs Analysis" in [value["actual_value"] for value in fields["Stage"]["pick_list_values"]]
    (layout,) = get("settings/layouts", module="Deals")["layouts"]
    required = [field["api_name"] for field in layout["sections"][0]["fields"] if field["required"]]
    assert required == ["Deal_Name", "Stage", "Closing_Date", "Pipeline", "Owner", "Account_Name"]
    pipelines = get("settings/pipeline", layout_id=layout["id"])["pipeline"]
    assert pipelines[1]["maps"][0]["display_value"] == "Qualification"
    (portal,) = get("settings/portals")["portals"]
    types = get(f"settings/portals/{portal['name']}/user_type")["user_type"]
    assert {kind["name"]: kind["id"] for kind in types}["Client"] == "3652397000000432001"
    of_leads = {field["api_name"]: field for field in get("settings/fields", module="Leads")["fields"]}
    assert of_leads["Budget_Code"]["convert_mapping"]["Deals"] == "Budget_Code"


def test_users_come_in_pages_and_after_the_last_comes_nothing() -> None:
    crm = Crm(more_users=250)
    pages = [
        crm.call("GET", "/crm/v8/users", {"type": "ActiveUsers", "page": str(page), "per_page": "200"})
        for page in (1, 2, 3)
    ]
    first, second = body(pages[0]), body(pages[1])
    assert (len(first["users"]), first["info"]["more_records"]) == (200, True)
    assert (len(second["users"]), second["info"]["more_records"]) == (52, False)
    assert pages[2].status == 204
    last = second["users"][-1]
    assert last["email"] == "user249@example.com"
    assert crm.post(crm.ids[:1], assign_to={"id": last["id"]}).status == 200


def test_a_portal_that_there_is_not_is_refused() -> None:
    answer = Crm().call("GET", "/crm/v8/settings/portals/Nowhere/user_type")
    assert code(answer) == (400, "INVALID_DATA")


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", "/crm/v8/Leads/actions/nothing/at/all", (404, "INVALID_URL_PATTERN")),
        ("GET", "/crm/v9/Leads", (404, "INVALID_URL_PATTERN")),
        ("GET", "/", (404, "INVALID_URL_PATTERN")),
        ("DELETE", "/crm/v8/Leads/actions/mass_convert", (400, "INVALID_REQUEST_METHOD")),
        ("PUT", "/crm/v8/org", (400, "INVALID_REQUEST_METHOD")),
        ("GET", "/oauth/v2/token", (400, "INVALID_REQUEST_METHOD")),
    ],
)
def test_calls_that_there_are_not_are_refused(method: str, path: str, wanted: tuple[int, str]) -> None:
    assert code(Crm().call(method, path)) == wanted


# --- tokens -----------------------------------------------------------------------------------------------


def test_a_token_answer_names_the_origin_that_the_client_used() -> None:
    answer = body(Crm(token_seconds=60).ask_token())
    assert answer["api_domain"] == "http://sim:8080"
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 60)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "x"}, "invalid_client"),
        ({"client_secret": "x"}, "invalid_client_secret"),
        ({"refresh_token": "x"}, "invalid_code"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_wrong_credentials_are_refused_with_status_200_if_some_are_given(changes: dict[str, str], error: str) -> None:
    crm = Crm(credentials=Credentials("c", "s", "r"))
    answer = crm.ask_token(**changes)
    assert (answer.status, answer.body) == (200, {"error": error})
    assert "access_token" in body(crm.ask_token())


def test_any_credentials_will_do_if_none_are_given_but_not_empty_ones() -> None:
    assert "access_token" in body(Crm().ask_token(client_secret="whatever"))
    assert body(Crm().ask_token(refresh_token="")) == {"error": "invalid_code"}


def test_an_eleventh_token_in_ten_minutes_is_denied_until_the_first_is_old() -> None:
    crm = Crm()
    for _ in range(10):
        assert "access_token" in body(crm.ask_token())
    assert body(crm.ask_token())["error"] == "Access Denied"
    assert body(crm.ask_token())["status"] == "failure"
    assert "access_token" in body(crm.ask_token(refresh_token="another"))
    crm.clock.now += 601
    assert "access_token" in body(crm.ask_token())


def test_a_token_ends_with_its_time_or_when_it_is_revoked() -> None:
    crm = Crm(token_seconds=60)
    assert crm.read(crm.ids).status == 200
    crm.clock.now += 61
    assert code(crm.read(crm.ids)) == (401, "INVALID_TOKEN")
    crm.token = ""
    assert crm.read(crm.ids).status == 200
    crm.organisation.expire_tokens()
    assert code(crm.read(crm.ids)) == (401, "INVALID_TOKEN")


def test_the_sixteenth_live_token_ends_the_oldest() -> None:
    crm = Crm(tokens_in_ten_minutes=None)
    first = crm.access_token()
    for _ in range(14):
        crm.ask_token()
    assert crm.call("GET", "/crm/v8/org", token=first).status == 200
    crm.ask_token()
    assert code(crm.call("GET", "/crm/v8/org", token=first)) == (401, "INVALID_TOKEN")


def test_a_call_without_a_token_of_ours_is_refused() -> None:
    crm = Crm()
    assert code(crm.call("GET", "/crm/v8/org", token="made-up")) == (401, "INVALID_TOKEN")
    bearer = {"authorization": f"Bearer {crm.access_token()}"}
    assert code(crm.organisation.handle(Request("GET", "/crm/v8/org", {}, bearer))) == (401, "INVALID_TOKEN")
    assert code(crm.organisation.handle(Request("GET", "/crm/v8/org"))) == (401, "AUTHENTICATION_FAILURE")


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("v2.1", (400, "API_NOT_SUPPORTED")),
        ("v3", (400, "API_NOT_SUPPORTED")),
        ("v4", (200, "SUCCESS")),
        ("v6", (200, "SUCCESS")),
        ("v7", (200, "SCHEDULED")),
        ("v8", (200, "SCHEDULED")),
    ],
)
def test_mass_convert_answers_as_its_version_does(version: str, wanted: tuple[int, str]) -> None:
    crm = Crm()
    assert code(crm.post(crm.ids[:1], version=version)) == wanted
    status = crm.call("GET", f"/crm/{version}/Leads/actions/mass_convert", {"job_id": "7"})
    assert code(status)[1] == ("API_NOT_SUPPORTED" if wanted[0] == 400 else "INVALID_DATA")


def test_a_missing_scope_is_refused_and_a_wide_one_covers_it() -> None:
    narrow = Crm(scopes=frozenset({"ZohoCRM.modules.ALL"}))
    assert narrow.read(narrow.ids).status == 200
    assert code(narrow.post(narrow.ids[:1])) == (401, "OAUTH_SCOPE_MISMATCH")


def test_a_user_who_may_not_convert_is_told_so() -> None:
    crm = Crm(may_convert=False)
    assert code(crm.post(crm.ids[:1])) == (403, "NO_PERMISSION")
    assert crm.organisation.truth()[crm.ids[0]]["submissions"] == 0


# --- limits -----------------------------------------------------------------------------------------------


def begin(crm: Crm, name: str) -> Call:
    """A call that arrives and goes on."""
    method, path = {"post": ("POST", "Leads/actions/mass_convert"), "get": ("GET", "org")}[name]
    headers = {"authorization": f"Zoho-oauthtoken {crm.access_token()}"}
    return crm.organisation.arrive(Request(method, f"/crm/v8/{path}", {}, headers))


def test_one_call_too_many_at_once_is_refused_and_the_next_is_not() -> None:
    crm = Crm(edition="free")
    running = [begin(crm, "get") for _ in range(5)]
    over = begin(crm, "get")
    assert code(crm.organisation.answer(over)) == (429, "TOO_MANY_REQUESTS")
    crm.organisation.leave(over)
    crm.organisation.leave(running.pop())
    assert crm.organisation.answer(begin(crm, "get")).status == 200
    load = crm.organisation.load()
    assert (load["highest"], load["throttled"]) == (5, 1)


def test_posts_share_a_limit_of_ten_in_every_edition() -> None:
    crm = Crm(edition="ultimate")
    running = [begin(crm, "post") for _ in range(10)]
    assert all(call.refusal is None for call in running)
    assert begin(crm, "post").refusal is not None
    crm.organisation.leave(running.pop())
    assert begin(crm, "post").refusal is None
    assert begin(crm, "post").refusal is not None
    assert begin(crm, "get").refusal is None
    assert crm.organisation.load()["highest_heavy"] == 10


def test_a_call_is_given_back_once_however_often_it_is_left() -> None:
    crm = Crm(concurrency=1)
    call = begin(crm, "get")
    crm.organisation.leave(call)
    crm.organisation.leave(call)
    assert begin(crm, "get").refusal is None
    assert begin(crm, "get").refusal is not None


def test_used_up_credits_come_back_a_day_later_and_are_told_from_half_on() -> None:
    crm = Crm(credits=10)
    header = "X-API-CREDITS-REMAINING"
    assert header not in crm.read(crm.ids).headers
    assert crm.post(crm.ids[:1]).headers[header] == "4"
    assert code(crm.post(crm.ids[1:2])) == (429, "TOO_MANY_REQUESTS")
    refused = crm.post(crm.ids[1:2])
    assert refused.headers[header] == "4"
    crm.clock.now += 86_401
    crm.token = ""
    assert crm.post(crm.ids[1:2]).status == 200


# --- a test's own questions -------------------------------------------------------------------------------


def test_unknown_and_converted_leads_are_a_part_of_all_and_the_seed_decides_which() -> None:
    crm, same = Crm(100, unknown=10, converted=20), Crm(100, unknown=10, converted=20)
    truth = crm.organisation.truth()
    assert len(crm.ids) == 100
    assert len(truth) == 90
    assert sum(known["converted"] for known in truth.values()) == 20
    assert truth.keys() == same.organisation.truth().keys()
    assert all(known["conversions"] == 0 for known in truth.values())


def test_lead_ids_look_like_real_ones() -> None:
    assert Crm(3).ids == ["3652397000009850001", "3652397000009851001", "3652397000009852001"]


def test_more_unknown_leads_than_leads_are_refused() -> None:
    with pytest.raises(SimulatorError, match="not a part of 5 leads"):
        Crm(5, unknown=3, converted=3)


def test_an_unknown_edition_is_refused() -> None:
    with pytest.raises(SimulatorError, match="'gold' is no edition; there are free, "):
        Crm(edition="gold")


def test_somebody_may_delete_or_convert_a_lead_by_hand() -> None:
    crm = Crm(3)
    crm.organisation.delete_lead(crm.ids[0])
    crm.organisation.convert_by_hand(crm.ids[1])
    assert [record["id"] for record in body(crm.read(crm.ids))["data"]] == crm.ids[1:]
    assert crm.organisation.truth()[crm.ids[1]]["conversions"] == 0
    assert code(crm.post(crm.ids[1:2])) == (400, "INVALID_DATA")


def test_calls_are_counted_by_name() -> None:
    crm = Crm()
    crm.post(crm.ids[:1])
    crm.read(crm.ids)
    crm.read(crm.ids)
    crm.call("GET", "/nowhere")
    assert crm.organisation.calls() == {"POST token": 1, "POST mass_convert": 1, "GET Leads": 2, "unknown": 1}


def test_the_same_seed_gives_the_same_answers() -> None:
    def history() -> list[bytes]:
        crm = Organisation(clock=Steady(1_800_000_000.0), random=Random(7), leads=20, converted=5)
        return [repr(crm.truth()).encode(), repr(crm.lead_ids()).encode()]

    assert history() == history()


def test_the_simulator_imports_nothing_else_of_ours_and_only_the_standard_library() -> None:
    """An oracle must not share the parser that it judges, and a CI must not need anything for it."""
    allowed = set(sys.stdlib_module_names)
    for module in Path(massconvert.simulator.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            for name in names:
                assert name.startswith("massconvert.simulator") or name.split(".")[0] in allowed, (module.name, name)
