"""Options: the API's own JSON and Python's form give the same body; what is wrong is told by its path, all at once."""

from __future__ import annotations

import copy
import json
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massconvert.errors import OptionsError
from massconvert.model import Link, Matching, OnMatch
from massconvert.options import Deal, Options, fingerprint, link_body, matching_of, resolve_body

USER, CONTACTS, TASKS, EVENTS = (
    "3652397000000281001",
    "3652397000000002179",
    "3652397000000002193",
    "3652397000000002195",
)

#: The sample of the API page, without its ids.
SAMPLE: dict[str, Any] = {
    "Deals": {
        "Amount": 10000,
        "Deal_Name": "test7000",
        "Closing_Date": "2022-12-20",
        "Pipeline": "Standard(Standard)",
        "Stage": "Needs Analysis",
    },
    "carry_over_tags": [{"id": CONTACTS, "api_name": "Contacts"}],
    "related_modules": [{"api_name": "Tasks", "id": TASKS}, {"api_name": "Events", "id": EVENTS}],
    "assign_to": {"id": USER},
    "move_attachments_to": {"api_name": "Contacts", "id": CONTACTS},
}
DEAL = {"Deal_Name": "Renewal", "Stage": "Needs Analysis", "Closing_Date": "+30d"}


def sample(**changes: Any) -> dict[str, Any]:
    """The page's sample with some keys changed, or left out (``...``)."""
    body = {**copy.deepcopy(SAMPLE), **changes}
    return {key: value for key, value in body.items() if value is not ...}


def problems(value: Any) -> dict[str, str]:
    """What is said against options: path → reason."""
    with pytest.raises(OptionsError) as caught:
        Options.parse(value)
    heading, *lines = caught.value.message.splitlines()
    assert heading == "The options are wrong:"
    assert caught.value.hint == "Nothing was enqueued."
    told = dict(line.strip().split(" ", 1) for line in lines)
    assert caught.value.path == next(iter(told))
    return told


# --- the same options in every form ---


def test_the_pages_sample_goes_through_verbatim() -> None:
    options = Options.parse(SAMPLE)
    assert options.body() == SAMPLE
    assert options.warnings == ()


def test_a_text_of_json_a_mapping_and_options_are_parsed_alike() -> None:
    options = Options.parse(json.dumps(SAMPLE))
    assert options == Options.parse(SAMPLE)
    assert Options.parse(options) is options
    assert Options.parse(None) == Options.parse({}) == Options()


def test_pythons_form_and_the_apis_json_give_the_same_body_and_fingerprint() -> None:
    ours = Options(
        deal=Deal(
            name="test7000",
            stage="Needs Analysis",
            closing_date=date(2022, 12, 20),
            pipeline="Standard(Standard)",
            amount=Decimal("10000.00"),
            extra={"Type": "New Business", "Next_Step_On": date(2022, 12, 1), "Owner": {"id": USER}},
        ),
        assign_to=int(USER),
        related_modules=[{"api_name": "Events", "id": EVENTS}, {"api_name": "Tasks", "id": int(TASKS)}],
        carry_over_tags=[{"api_name": "Contacts", "id": CONTACTS}],
        move_attachments_to={"id": CONTACTS, "api_name": "Contacts"},
        apply_assignment_threshold=True,
    )
    extra = {"Type": "New Business", "Next_Step_On": "2022-12-01", "Owner": {"id": USER}}
    zohos = sample(Deals={**extra, **SAMPLE["Deals"], "Amount": 10000.0}, apply_assignment_threshold=True)
    assert fingerprint(ours.body()) == fingerprint(Options.parse(zohos).body())
    zohos["related_modules"].reverse()
    assert ours.body() == zohos


def test_a_deal_may_be_given_in_any_form() -> None:
    form: dict[str, Any] = {"name": "Renewal", "stage": "Needs Analysis", "closing_date": "+30d"}
    bodies = [
        Options(deal=Deal(**form)).body(),
        Options(deal=form).body(),
        Options(deal=DEAL).body(),
        Options.parse({"Deals": Deal(**form)}).body(),
        Options.parse({"Deals": DEAL}).body(),
    ]
    assert bodies == [{"Deals": DEAL}] * 5


def test_what_is_not_given_is_not_sent() -> None:
    assert Options().body() == {}
    assert Options.parse(dict.fromkeys(SAMPLE)).body() == {}
    assert Options.parse({"carry_over_tags": []}).body() == {}
    assert Options(apply_assignment_threshold=False).body() == {"apply_assignment_threshold": False}


def test_further_fields_of_a_deal_pass_through_untouched() -> None:
    deal = {
        **DEAL,
        "name": "not ours",
        "Tags": [{"name": "a"}, 1.5, None, True],
        "Amount": "1,5",
        "Pipeline": {"id": 1},
    }
    assert Options.parse({"Deals": deal}).body() == {"Deals": deal}


def test_a_portal_is_sent_as_given() -> None:
    for portal in ({"id": USER, "name": "Customers"}, {"id": USER, "api_name": "Customers"}):
        assert Options.parse({"portal_user_type": portal}).body() == {"portal_user_type": portal}


@pytest.mark.parametrize("given_id", [USER, f" {USER} ", int(USER)])
def test_an_id_may_be_a_whole_number_and_is_sent_as_a_string(given_id: object) -> None:
    assert Options.parse({"assign_to": {"id": given_id}}).body() == {"assign_to": {"id": USER}}
    assert Options.parse({"assign_to": given_id}).body() == {"assign_to": {"id": USER}}


# --- names instead of ids ---


def test_a_name_is_kept_as_a_reference_without_an_id_in_every_form() -> None:
    """They are looked up later; two who wrote the same name in different forms share payloads all the same."""
    forms: list[dict[str, Any]] = [
        {"assign_to": "ann@example.com", "carry_over_tags": ["Contacts"], "move_attachments_to": "Contacts"},
        {"assign_to": {"email": " ann@example.com "}, "carry_over_tags": [{"api_name": "Contacts"}]},
        {"assign_to": {"name": "ann@example.com"}, "move_attachments_to": {"api_name": "Contacts"}},
    ]
    defaults = {"carry_over_tags": ["Contacts"], "move_attachments_to": "Contacts"}
    bodies = [Options.parse({**defaults, **form}).body() for form in forms]
    contacts = {"api_name": "Contacts"}
    wanted = {"assign_to": {"name": "ann@example.com"}, "carry_over_tags": [contacts], "move_attachments_to": contacts}
    assert bodies == [wanted] * 3
    ours = Options(assign_to="ann@example.com", carry_over_tags=["Contacts"], move_attachments_to="Contacts")
    assert ours.body() == wanted
    assert Options.parse(json.loads(json.dumps(wanted))).body() == wanted


def test_a_portal_user_type_and_related_modules_may_be_names() -> None:
    body = Options(portal_user_type="Client", related_modules=["Tasks", {"api_name": "Events", "id": EVENTS}]).body()
    assert body == {
        "portal_user_type": {"name": "Client"},
        "related_modules": [{"api_name": "Tasks"}, {"api_name": "Events", "id": EVENTS}],
    }
    assert Options(portal_user_type={"api_name": "Client"}).body() == {"portal_user_type": {"name": "Client"}}


# --- closing dates ---


@pytest.mark.parametrize(
    ("closing", "kept"),
    [
        ("2026-12-24", "2026-12-24"),
        ("+30d", "+30d"),
        (" +030d ", "+30d"),
        ("+0d", "+0d"),
        (date(2028, 2, 29), "2028-02-29"),
        (datetime(2026, 12, 24, 23, 59, tzinfo=timezone.utc), "2026-12-24"),
    ],
)
def test_a_closing_date_is_a_date_or_days_from_the_payload(closing: Any, kept: str) -> None:
    assert Deal(name="x", stage="y", closing_date=closing).body()["Closing_Date"] == kept


@pytest.mark.parametrize(
    "closing",
    [
        "2026-02-30",
        "24.12.2026",
        "20261224",
        "2026-W01-1",
        "2026-12-24T00:00:00",
        "+d",
        "30d",
        "+30",
        "-3d",
        "+٣d",
        "+36501d",
        "",
        20261224,
        True,
        [],
    ],
)
def test_anything_else_is_no_closing_date(closing: object) -> None:
    told = problems({"Deals": {**DEAL, "Closing_Date": closing}})
    assert list(told) == ["$.Deals.Closing_Date"]
    assert "+3" in told["$.Deals.Closing_Date"]  # +30d, or the longest


@pytest.mark.parametrize(
    ("closing", "today", "day"),
    [
        ("+30d", date(2026, 12, 24), "2027-01-23"),
        ("+0d", date(2026, 12, 24), "2026-12-24"),
        ("+1d", date(2028, 2, 28), "2028-02-29"),
        ("2026-12-24", date(2020, 1, 1), "2026-12-24"),
    ],
)
def test_a_relative_date_is_counted_from_the_day_of_the_payload(closing: str, today: date, day: str) -> None:
    body = Options(deal={**DEAL, "Closing_Date": closing}, assign_to=USER).body()
    before = copy.deepcopy(body)
    resolved = resolve_body(body, today)
    assert resolved == {"Deals": {**DEAL, "Closing_Date": day}, "assign_to": {"id": USER}}
    assert body == before


def test_a_body_without_a_deal_has_nothing_to_resolve() -> None:
    for body in (
        {},
        {"assign_to": {"id": USER}},
        {"Deals": None},
        {"Deals": {"Closing_Date": None}},
        {"Deals": {"Closing_Date": "+x"}},
    ):
        assert resolve_body(body, date(2026, 1, 1)) == body


# --- what is wrong ---


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        ({"Deals": {**DEAL, "Stage": None}}, "$.Deals.Stage", "is missing"),
        ({"Deals": {**DEAL, "Stage": " "}}, "$.Deals.Stage", "is empty"),
        ({"Deals": {**DEAL, "Deal_Name": 7}}, "$.Deals.Deal_Name", "must be a text, not a number"),
        ({"Deals": {**DEAL, "Pipeline": ""}}, "$.Deals.Pipeline", "is empty"),
        ({"Deals": {**DEAL, "Amount": float("nan")}}, "$.Deals.Amount", "is nan, which JSON cannot carry"),
        ({"Deals": {**DEAL, "Amount": 10**5000}}, "$.Deals.Amount", "which JSON cannot carry"),
        ({"Deals": {**DEAL, "Rows": [{"a b": {1, 2}}]}}, '$.Deals.Rows[0]["a b"]', "which JSON cannot carry"),
        ({"Deals": {**DEAL, "Stage": "\ud800"}}, "$.Deals.Stage", "which JSON cannot carry"),
        ({"Deals": "Renewal"}, "$.Deals", "must be an object with Deal_Name, Stage and Closing_Date, not a text"),
        ({"deal": DEAL}, "$.Deals", "is given twice, as deal and as Deals"),
        ({"ids": ["1"]}, "$.ids", "the ids of the leads are given apart from the options"),
        ({"deals": DEAL}, "$.deals", "is not known; did you mean Deals?"),
        ({"assignto": USER}, "$.assignto", "is not known; did you mean assign_to?"),
        ({"carry_over_tag": []}, "$.carry_over_tag", "did you mean carry_over_tags?"),
        ({"xyz": 1}, "$.xyz", "is not known; known are Deals, assign_to,"),
        ({"assign_to": " "}, "$.assign_to", "an id is needed"),
        ({"assign_to": "x" * 256}, "$.assign_to", "which is longer than any name"),
        ({"assign_to": "Ann\ud800"}, "$.assign_to", "which JSON cannot carry"),
        ({"assign_to": {"email": 7}}, "$.assign_to.email", "must be a text, not a number"),
        ({"assign_to": {"id": "Ann"}}, "$.assign_to.id", "Get Users API has it (GET /users)"),
        ({"assign_to": {"role": "CEO"}}, "$.assign_to.id", "is missing; Zoho's Get Users API"),
        ({"assign_to": 3.6524e18}, "$.assign_to", "a spreadsheet or JavaScript has rounded; write the id as a string"),
        ({"assign_to": {"id": "3.6524E+18"}}, "$.assign_to.id", "has rounded"),
        ({"assign_to": True}, "$.assign_to", "must be an id, a string of digits, not true"),
        ({"assign_to": []}, "$.assign_to", "not a list"),
        ({"assign_to": "0"}, "$.assign_to", "an id is needed"),
        ({"assign_to": 2**63}, "$.assign_to", "must be an id"),
        ({"assign_to": str(2**63)}, "$.assign_to", "an id is needed"),
        ({"portal_user_type": {}}, "$.portal_user_type.id", "is missing"),
        (
            {"related_modules": {"api_name": "Tasks", "id": TASKS}},
            "$.related_modules",
            "must be a list of modules, not an object",
        ),
        (
            {"related_modules": [{"api_name": "Meetings", "id": EVENTS}]},
            "$.related_modules[0].api_name",
            "is 'Meetings'; the API's name of meetings is Events",
        ),
        (
            {"related_modules": [{"api_name": "Contacts", "id": EVENTS}]},
            "$.related_modules[0].api_name",
            "must be one of Tasks, Events, Calls",
        ),
        ({"related_modules": ["Meetings"]}, "$.related_modules[0]", "the API's name of meetings is Events"),
        (
            {"related_modules": [{"api_name": "Tasks", "id": "1"}] * 2},
            "$.related_modules[1]",
            "names Tasks a second time",
        ),
        ({"carry_over_tags": ["Contact"]}, "$.carry_over_tags[0]", "must be one of Contacts, Accounts, Deals"),
        ({"carry_over_tags": ["Contacts", {"api_name": "Contacts"}]}, "$.carry_over_tags[1]", "a second time"),
        (
            {"carry_over_tags": [{"api_name": "Tasks", "id": "1"}]},
            "$.carry_over_tags[0].api_name",
            "must be one of Contacts, Accounts, Deals",
        ),
        ({"carry_over_tags": [{"id": "1"}]}, "$.carry_over_tags[0].api_name", "is missing"),
        ({"carry_over_tags": [7]}, "$.carry_over_tags[0]", "must be the API name of a module, or an object"),
        ({"carry_over_tags": [{"api_name": "Contacts", "id": "1", "x": 1}]}, "$.carry_over_tags[0].x", "is not known"),
        ({"move_attachments_to": {"api_name": "Leads", "id": "1"}}, "$.move_attachments_to.api_name", "must be one of"),
        ({"move_attachments_to": {"api_name": "Contacts", "id": "x"}}, "$.move_attachments_to.id", "Modules API"),
        ({"move_attachments_to": "Deals", "Deals": ...}, "$.move_attachments_to", "no deal is made"),
        ({"carry_over_tags": ["Deals"], "Deals": ...}, "$.carry_over_tags[0]", "no deal is made"),
        (
            {"move_attachments_to": {"api_name": "Deals", "id": "1"}, "Deals": ...},
            "$.move_attachments_to",
            "no deal is made",
        ),
        (
            {"carry_over_tags": [{"api_name": "Deals", "id": "1"}], "Deals": ...},
            "$.carry_over_tags[0]",
            "no deal is made",
        ),
        ({"apply_assignment_threshold": "yes"}, "$.apply_assignment_threshold", "must be true or false, not a text"),
        ({"apply_assignment_threshold": 1}, "$.apply_assignment_threshold", "must be true or false, not a number"),
    ],
)
def test_a_wrong_option_is_told_by_its_path_and_reason(change: dict[str, Any], path: str, reason: str) -> None:
    base = sample(**change)
    if path.startswith("$.Deals["):
        base.pop("Deals")
    with pytest.raises(OptionsError) as caught:
        Options.parse(base)
    assert caught.value.path == path
    assert f"  {path} " in caught.value.message
    assert reason in caught.value.message
    assert len(caught.value.message.splitlines()) == 2


def test_all_that_is_wrong_is_told_at_once() -> None:
    told = problems({"ids": [], "Deals": {}, "assign_to": 0, "carry_over_tags": ["Deal"], "move_attachments_to": {}})
    assert list(told) == [
        "$.ids",
        "$.Deals.Deal_Name",
        "$.Deals.Stage",
        "$.Deals.Closing_Date",
        "$.assign_to",
        "$.carry_over_tags[0]",
        "$.move_attachments_to.api_name",
    ]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"stage": ...}, "$.Deals.Stage"),
        ({"closing_date": "soon"}, "$.Deals.Closing_Date"),
        ({"extra": {"Stage": "x"}}, "$.Deals.Stage"),
        ({"extra": ["Type"]}, "$.Deals.extra"),
        ({"nam": "x"}, "$.Deals.nam"),
        ({"Deal_Name": "x"}, "$.Deals.Deal_Name"),
    ],
)
def test_pythons_deal_raises_the_same_error_as_options_do(fields: dict[str, Any], path: str) -> None:
    form = {"name": "Renewal", "stage": "Needs Analysis", "closing_date": "+30d", **fields}
    form = {key: value for key, value in form.items() if value is not ...}
    for make in (
        lambda: Deal(**form),
        lambda: Options(deal={k: v for k, v in form.items() if k != "Deal_Name"} | {"x": 1}),
    ):
        with pytest.raises(OptionsError) as caught:
            make()
        assert "pydantic" not in str(caught.value)
    with pytest.raises(OptionsError) as caught:
        Deal(**form)
    assert caught.value.path == path


def test_a_misspelt_field_of_a_deal_is_named_with_the_nearest_and_the_place_for_others() -> None:
    with pytest.raises(OptionsError, match=r"\$\.Deals\.nam is not known; did you mean name\? .* go into extra"):
        Deal(name="x", stage="y", closing_date="+1d", nam="z")  # type: ignore[call-arg]  # that it is refused is tested


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "are not JSON"),
        ("[]", "must be a JSON object"),
        ("7", "must be a JSON object"),
        ("[" * 100_000, "are nested too deeply"),
    ],
)
def test_what_is_no_json_object_is_refused(text: str, said: str) -> None:
    with pytest.raises(OptionsError, match=said) as caught:
        Options.parse(text)
    assert caught.value.path == "$"


def test_a_field_that_is_nested_without_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert "is nested too deeply" in next(iter(problems({"Deals": {**DEAL, "X": endless}}).values()))


def test_a_long_value_is_not_repeated_in_full() -> None:
    assert all(len(line) < 200 for line in problems({"assign_to": "x" * 10_000}).values())


def test_a_missing_user_is_a_warning_since_zoho_decides() -> None:
    (warning,) = Options().warnings
    assert "assign_to is missing" in warning


# --- frozen ---


def test_options_are_frozen_and_share_nothing_with_what_they_were_made_from() -> None:
    given_body = sample(Deals={**DEAL, "Owner": {"id": "1"}})
    options = Options.parse(given_body)
    given_body["Deals"]["Owner"]["id"] = given_body["assign_to"]["id"] = "2"
    taken = options.body()
    taken["Deals"]["Owner"]["id"] = taken["carry_over_tags"][0]["id"] = "3"
    assert options.body() == sample(Deals={**DEAL, "Owner": {"id": "1"}})
    with pytest.raises(ValueError, match="frozen"):
        options.assign_to = None  # type: ignore[misc]  # that it cannot be set is what is tested


# --- fingerprints ---


def test_a_fingerprint_is_16_hex_digits_that_stay() -> None:
    assert fingerprint({}) == "44136fa355b3678a"
    assert fingerprint(Options.parse(SAMPLE).body()) == "d719b009b1b3005a"


def test_different_options_have_different_fingerprints() -> None:
    bodies = [
        SAMPLE,
        sample(assign_to=...),
        sample(assign_to="1"),
        sample(Deals={**SAMPLE["Deals"], "Amount": 10001}),
        sample(Deals=DEAL),
    ]
    assert len({fingerprint(Options.parse(body).body()) for body in bodies}) == len(bodies)


#: Without braces, which are a template's; templates have tests of their own.
texts = st.text(st.characters(codec="utf-8", exclude_characters="{}"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, json_values, max_size=5), st.randoms())
def test_neither_the_order_of_keys_nor_a_trip_through_json_changes_options(extra: dict[str, Any], chance: Any) -> None:
    deal = {**extra, **DEAL}
    deal.pop("Pipeline", None)
    body = Options.parse({"Deals": deal, "assign_to": USER}).body()
    shuffled = list(deal.items())
    chance.shuffle(shuffled)
    again = json.loads(json.dumps({"assign_to": {"id": USER}, "Deals": dict(shuffled)}))
    assert Options.parse(again).body() == body
    assert fingerprint(Options.parse(again).body()) == fingerprint(body) == fingerprint(Options.parse(body).body())


@given(
    json_values
    | st.dictionaries(
        st.sampled_from([*SAMPLE, "portal_user_type", "apply_assignment_threshold", "deal", "ids", "self"]),
        json_values | st.dictionaries(texts, st.text("{}a_")),
    )
)
def test_whatever_is_given_options_come_out_or_an_options_error(value: Any) -> None:
    try:
        options = Options.parse(value)
    except OptionsError as error:
        assert error.path.startswith("$")  # noqa: PT017 - either end is right
        return
    assert Options.parse(json.dumps(options.body())) == options


def test_a_preflight_is_ours_so_it_is_never_sent_and_travels_apart() -> None:
    plain, flown = Options.parse({}), Options.parse({"preflight": True})
    assert flown.body() == {"$": {"preflight": True}}
    assert resolve_body(flown.body(), date(2026, 11, 24)) == {}
    assert fingerprint(flown.body()) != fingerprint(plain.body())
    assert Options.parse(flown.body()) == flown == Options(preflight=True)


def test_what_is_done_about_matches_is_ours_and_the_default_is_not_kept() -> None:
    plain, linked = Options.parse({"on_match": "create"}), Options.parse({"on_match": "link"})
    assert plain.body() == {}
    assert linked.body() == {"$": {"on_match": "link"}}
    assert resolve_body(linked.body(), date(2026, 11, 24)) == {}
    assert fingerprint(linked.body()) != fingerprint(plain.body())
    assert Options.parse(linked.body()) == linked == Options(on_match="link")
    assert matching_of(plain.body()) is None
    assert matching_of(linked.body()) == Matching(OnMatch.LINK, ("email", "company"))


def test_the_fields_that_match_stand_in_one_order_and_the_usual_ones_need_not() -> None:
    assert Options(on_match="hold", match=["company", "email"]).body() == {"$": {"on_match": "hold"}}
    given = Options(on_match="hold", match=["website", "email"])
    assert given.body() == {"$": {"on_match": "hold", "match": ["email", "website"]}}
    assert Options.parse(given.body()) == given
    assert matching_of(given.body()) == Matching(OnMatch.HOLD, ("email", "website"))


def test_what_zoho_does_not_take_where_it_links_is_refused_with_it() -> None:
    for key, value in (("related_modules", ["Tasks"]), ("portal_user_type", "5"), ("apply_assignment_threshold", True)):
        with pytest.raises(OptionsError) as caught:
            Options.parse({"on_match": "link", key: value})
        assert caught.value.path == f"$.{key}"
        Options.parse({"on_match": "hold", key: value})


def test_a_lead_that_is_linked_gets_a_body_of_its_own() -> None:
    body = {
        "Deals": {"Deal_Name": "Deal", "Stage": "New", "Closing_Date": "2026-12-24"},
        "assign_to": {"id": "5", "name": "Ann"},
        "carry_over_tags": [{"api_name": "Contacts", "id": "1"}, {"api_name": "Deals"}],
        "move_attachments_to": {"api_name": "Contacts"},
    }
    link = Link("61", "71", {"Deal_Name": "Acme renewal"}, ("vip", "web"))
    assert link_body(body, link, {"Amount": 7}) == {
        "Contacts": {"id": "61"},
        "Accounts": {"id": "71"},
        "Deals": {"Deal_Name": "Acme renewal", "Stage": "New", "Closing_Date": "2026-12-24", "Amount": 7},
        "assign_to": {"id": "5"},
        "carry_over_tags": {"Contacts": ["vip", "web"], "Deals": ["vip", "web"]},
        "move_attachments_to": {"api_name": "Contacts"},
    }
    assert link_body({}, Link("", "71"), {}) == {"Accounts": {"id": "71"}}


def test_fields_that_match_are_not_blamed_for_a_wrong_on_match() -> None:
    with pytest.raises(OptionsError) as caught:
        Options.parse({"on_match": "lnik", "match": ["email"]})
    assert [path for path, _ in caught.value.problems] == ["$.on_match"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({"on_match": "merge"}, "$.on_match"),
        ({"on_match": "link", "match": []}, "$.match"),
        ({"on_match": "link", "match": "email"}, "$.match"),
        ({"on_match": "link", "match": ["email", "fax"]}, "$.match[1]"),
        ({"match": ["email"]}, "$.match"),
        ({"preflight": "yes"}, "$.preflight"),
        ({"$": True}, "$['$']"),
        ({"$": {"preflights": True}}, "$['$'].preflights"),
    ],
)
def test_what_is_wrong_with_our_own_part_is_named_by_its_path(given: dict[str, Any], path: str) -> None:
    with pytest.raises(OptionsError) as caught:
        Options.parse(given)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"Deals": {"Deal_Name": "A", "Stage": "B", "Stage": "C", "Closing_Date": "+1d"}}', "$.Deals.Stage"),
        ('{"assign_to": "5", "assign_to": "6"}', "$.assign_to"),
        ('{"assign_to": {"id": "5", "id": "5"}}', "$.assign_to.id"),
        ('{"carry_over_tags": [{"api_name": "Contacts", "id": "1", "id": "2"}]}', "$.carry_over_tags[0].id"),
        ('{"Deals": {"X": {"a": [[{"b c": 1, "b c": 2}]]}}}', '$.Deals.X.a[0][0]["b c"]'),
        ('{"Deals": {}, "Deals": {}}', "$.Deals"),
    ],
)
def test_a_key_that_stands_twice_is_refused_at_any_depth(text: str, path: str) -> None:
    """The last would win in silence, and nobody knows which was meant."""
    with pytest.raises(OptionsError) as caught:
        Options.parse(text)
    assert f"{path} is given twice; which one is meant cannot be known" in caught.value.message
    assert caught.value.path == path


def test_every_key_that_stands_twice_is_told_at_once() -> None:
    with pytest.raises(OptionsError) as caught:
        Options.parse('{"a": 1, "a": 2, "Deals": {"Stage": "A", "Stage": "B"}}')
    assert [path for path, _ in caught.value.problems] == ["$.a", "$.Deals.Stage"]


@pytest.mark.parametrize("text", ["1" * 5000, "[" * 100_000, "{", "", '{"a": 1,}', "{'a': 1}"])
def test_what_is_no_json_is_told_in_words(text: str) -> None:
    with pytest.raises(OptionsError, match="The options are "):
        Options.parse(text)
