"""Leads that match contacts and accounts, and each other, with real workers, under faults and a kill."""

from __future__ import annotations

import json
from collections import Counter
from functools import partial
from typing import Any

import pytest

from massconvert.errors import OptionsError
from massconvert.policy import Row
from tests.acceptance.customers import Sort, cast, wrong
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.rows import takes
from tests.acceptance.truth import Rows, assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

LINK = {**OPTIONS, "on_match": "link"}
COQL, POST, CONVERT = "POST coql", "POST mass_convert", "POST convert"
SORTS = {
    Sort.CUSTOMER: 40,
    Sort.COMPANY: 10,
    Sort.TWO_CONTACTS: 3,
    Sort.TWO_ACCOUNTS: 3,
    Sort.PERSON: 10,
    Sort.COLLEAGUES: 10,
}


def kinds(rows: Rows) -> Counter[tuple[str, str | None]]:
    """How many leads ended how."""
    return Counter((row["outcome"], row["code"]) for row in rows.values())


def have_linked(house: House, number: int) -> bool:
    """Whether so many calls that link have come."""
    return house.calls(CONVERT) >= number


def mails(house: House) -> Counter[str]:
    """How many contacts have each e-mail address, whatever the case of its letters."""
    found: dict[str, dict[str, Any]] = house.ask("contacts")
    return Counter(str(each["Email"]).lower() for each in found.values() if each.get("Email"))


@takes(
    Row.MATCHED,
    Row.MATCH_WAITS,
    Row.MATCH_UNREAD,
    Row.MATCH_RETRY,
    Row.MATCH_THROTTLED,
    Row.MATCH_NOT_READABLE,
    Row.LINKED,
    Row.LINK_REFUSED,
)
def test_each_lead_is_linked_held_or_created_as_the_rule_says(house: House) -> None:
    """Ten are customers, of whom one is refused and one is there twice; three are one new customer."""
    house.hurry(first_look=0.4, pause_probe=0.5, backoff_base=0.2, poll_cap=1.0)
    house.redis()
    house.simulator("--leads", "60", "--known", "10", "--job-seconds", "0.3", single_convert="at_once")
    leads = house.leads()
    twin = {"Email": "eve@example.com", "First_Name": "Eve", "Last_Name": "Day", "Company": "Dawn"}
    # Zoho minds capital letters where it links, unless it is told otherwise.
    own = {each["Email"]: each for each in house.ask("contacts").values()}
    refused = {"Email": "LEAD0@EXAMPLE.COM"}
    second = {name: own["lead1@example.com"][name] for name in ("First_Name", "Last_Name", "Email")}
    house.ask("leads", "PUT", {leads[0]: refused, **dict.fromkeys(leads[20:23], twin)})
    house.ask("contacts", "PUT", [{name: value for name, value in second.items() if value}])
    house.set_faults(
        {"method": COQL, "do": "status", "status": 500, "times": 1},
        {"method": COQL, "do": "status", "status": 429, "headers": {"Retry-After": "1"}, "times": 1},
        {"method": COQL, "do": "status", "status": 401, "code": "OAUTH_SCOPE_MISMATCH", "times": 1},
        {"method": "GET Leads", "do": "status", "status": 400, "code": "LIMIT_EXCEEDED", "times": 1},
    )
    house.worker("worker", "-c", "4", app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(leads, options=LINK)
    batch.wait(90)
    rows = outcomes_of(batch)
    assert_true(house, rows)
    assert house.unfired() == []
    assert kinds(rows) == {("converted", None): 58, ("skipped", "MATCH_FOUND"): 2}
    assert {rows[lead]["code"] for lead in leads[:2]} == {"MATCH_FOUND"}
    assert {address: count for address, count in mails(house).items() if count > 1} == {"lead1@example.com": 2}


def test_every_lead_is_linked_held_or_created_though_workers_are_killed_and_answers_are_lost(house: House) -> None:
    house.hurry(first_look=0.4, backoff_base=0.2, poll_cap=1.0, read_lag=0.3, lease=6.0)
    house.redis()
    house.simulator("--leads", "400", "--job-seconds", "0.3", reads_lag=0.0)
    customers = cast(house.leads(), SORTS)
    customers.enter(lambda page, body: house.ask(page, "PUT", body))
    house.set_faults(
        *({"method": CONVERT, "when": when, "do": "status", "status": 500, "times": 5} for when in ("before", "after")),
        {"method": POST, "when": "after", "do": "drop", "times": 1},
        {"method": "GET Leads", "do": "latency", "seconds": 0.7, "times": 10},
        {"method": "GET Leads", "do": "stale", "seconds": 0.3, "times": 5},
    )
    workers = {name: house.worker(name, "-c", "4", app="tests.acceptance.hurried_worker") for name in ("one", "other")}
    batch = house.producer().enqueue(list(customers.sort), options=LINK)
    for linked, name in ((5, "one"), (25, "other")):
        until(partial(have_linked, house, linked), 60, f"{linked} calls that link")
        house.kill(workers[name])
        house.worker(name, "-c", "4", app="tests.acceptance.hurried_worker")
    batch.wait(200)
    rows = outcomes_of(batch)
    assert_true(house, rows)
    assert not wrong(customers, rows, house.truth(), house.ask)


@pytest.mark.parametrize(
    ("handling", "code", "status"), [("count_failed", "NOT_CONVERTED", 400), ("refuse_all", "DUPLICATE_DATA", 401)]
)
def test_a_value_that_must_be_unique_stops_its_own_lead_alone(
    house: House, handling: str, code: str, status: int
) -> None:
    """It is told of one that is linked; of one in a payload only where Zoho refuses the payload for it."""
    house.hurry(first_look=0.4, backoff_base=0.2, poll_cap=1.0, read_lag=0.3)
    house.redis()
    unique = ("--unique", "Contacts.Phone")
    house.simulator("--leads", "60", *unique, "--job-seconds", "0.2", duplicate_lead=handling, duplicate_status=status)
    leads, phone = house.leads(), "+44 20 7946 0000"
    house.ask("accounts", "PUT", [{"Account_Name": "Dawn"}])
    house.ask("contacts", "PUT", [{"Last_Name": "Day", "Email": "eve@example.com", "Phone": phone}])
    own = {"Last_Name": "Day", "Email": "eve@example.com", "Phone": phone, "Company": None}
    house.ask(
        "leads", "PUT", {leads[0]: {"Company": "Dawn", "Phone": phone}, leads[1]: {"Phone": phone}, leads[2]: own}
    )
    house.worker("worker", "-c", "4", app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(leads, options=LINK)
    batch.wait(90)
    rows = outcomes_of(batch)
    assert_true(house, rows)
    assert [(rows[lead]["outcome"], rows[lead]["code"]) for lead in leads[:3]] == [
        ("failed", "DUPLICATE_DATA"),
        ("failed", code),
        ("converted", None),
    ]
    assert kinds(rows)["converted", None] == 58
    assert mails(house)["eve@example.com"] == 1


@takes(Row.MATCH_NOT_ALLOWED)
def test_refused_credentials_pause_and_fail_no_lead_that_is_to_be_matched(house: House) -> None:
    house.hurry(first_look=0.4, pause_probe=0.5, backoff_base=0.2, poll_cap=1.0)
    house.redis()
    house.simulator("--leads", "20", "--job-seconds", "0.2")
    invalid = {"method": "POST token", "do": "status", "status": 400, "body": '{"error": "invalid_code"}'}
    house.set_faults(
        {"method": COQL, "do": "expire_tokens", "times": 1},
        {**invalid, "skip": 1, "times": 1},
    )
    house.worker("worker", "-c", "1", app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(house.leads(), options=LINK)
    assert batch.wait(60).converted == 20


@takes(Row.MATCH_RETRY, Row.MATCH_GIVE_UP)
def test_leads_that_cannot_be_matched_for_a_day_end_unsent(house: House) -> None:
    house.hurry(give_up=3.0, backoff_base=0.2, first_look=0.5, read_lag=0.2, backoff_cap=1.0)
    house.redis()
    house.simulator("--leads", "50")
    house.set_faults({"method": COQL, "do": "status", "status": 500})
    house.worker(app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(house.leads(), options=LINK)
    batch.wait(60)
    rows = outcomes_of(batch)
    assert kinds(rows) == {("failed", "GAVE_UP"): 50}
    assert_true(house, rows)


def test_a_file_says_what_each_lead_is_linked_to_and_a_fixed_one_decides_what_was_held(house: House) -> None:
    """One whose contact is there twice, one whose account is named alone, and one with another's contact."""
    house.hurry(first_look=0.4, backoff_base=0.2, poll_cap=1.0, read_lag=0.3)
    house.redis()
    house.simulator("--leads", "30", "--known", "4", "--job-seconds", "0.3", reads_lag=0.0)
    leads = house.leads()
    by_mail = {each["Email"]: (contact, each) for contact, each in house.ask("contacts").items()}
    (ann, her), (bob, his), (eve, _), _ = (by_mail[f"lead{n}@example.com"] for n in range(4))
    twin = {name: her[name] for name in ("First_Name", "Last_Name", "Email") if her.get(name)}
    house.ask("contacts", "PUT", [twin])
    account = _account_of(his)
    rows = [f"{leads[0]},{ann},", f"{leads[1]},,{account}", f"{leads[2]},{bob},", *(f"{lead},," for lead in leads[3:])]
    _write(house, "customers.csv", ["id,contact_id,account_id", *rows])
    _write(house, "o.json", [json.dumps(LINK)])
    house.set_faults({"method": "POST convert", "when": "after", "do": "status", "status": 500, "times": 1})

    looked = house.command("match", "customers.csv", "--options", "o.json", "--output", "matches.csv", "--json")
    assert looked.returncode == 0, looked.stderr
    assert "massconvert enqueue customers.csv --options o.json --on-match link" in " ".join(looked.stderr.split())
    foreseen = json.loads(looked.stdout)
    assert {name: foreseen[name] for name in ("leads", "link", "hold", "create")} == {
        "leads": 30,
        "link": 4,
        "hold": 0,
        "create": 26,
    }
    assert len((house.folder / "matches.csv").read_text(encoding="utf-8").splitlines()) == 31
    assert not house.ledger.keys("*batch*")

    house.worker("worker", "-c", "4", app="tests.acceptance.hurried_worker")
    done = house.command("enqueue", "customers.csv", "--options", "o.json", "--key", "k", "--wait", "90")
    assert done.returncode == 0, done.stderr
    rows_of = outcomes_of(house.producer().batch("k"))
    assert_true(house, rows_of)
    assert house.unfired() == []
    assert kinds(rows_of) == {("converted", None): 29, ("skipped", "MATCH_FOUND"): 1}
    assert rows_of[leads[2]]["message"].startswith(f"Zoho does not link it to contact {bob}")
    truth = house.truth()
    assert truth[leads[0]]["contact_id"] == ann
    assert truth[leads[1]]["account_id"] == account
    assert truth[leads[1]]["contact_id"] != bob  # the file names none, so it is new

    _write(house, "fixed.csv", ["id,contact_id", f"{leads[2]},{eve}"])
    again = house.command("retry", "k", "--file", "fixed.csv", "--wait", "60")
    assert again.returncode == 0, again.stderr
    assert house.truth()[leads[2]]["contact_id"] == eve


def test_leads_are_matched_by_a_field_that_the_organisation_keeps_unique(house: House) -> None:
    """A worker looks the field up; one that is not unique is refused."""
    house.hurry(first_look=0.4, backoff_base=0.2, poll_cap=1.0)
    house.redis()
    house.simulator("--leads", "6", "--unique", "Contacts.Mobile", "--job-seconds", "0.3")
    leads = house.leads()
    kim = {"First_Name": "Kim", "Last_Name": "Fox", "Mobile": "555 7"}
    house.ask("leads", "PUT", {leads[0]: {**kim, "Email": "", "Company": ""}})
    house.ask("contacts", "PUT", [{**kim, "id": "62"}])
    house.worker("worker", "-c", "4", app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(leads[:4], options={**LINK, "match": ["email", "Mobile"]})
    batch.wait(60)
    rows = outcomes_of(batch)
    assert_true(house, rows)
    assert kinds(rows) == {("converted", None): 4}
    assert house.truth()[leads[0]]["contact_id"] == "62"
    with pytest.raises(OptionsError, match="does not keep that unique"):  # by what the worker has read
        house.producer().enqueue(leads[4:], options={**LINK, "match": ["Website"]})


def _account_of(contact: dict[str, Any]) -> str:
    account = contact["Account_Name"]
    return str(account["id"] if isinstance(account, dict) else account)


def _write(house: House, name: str, lines: list[str]) -> None:
    (house.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
