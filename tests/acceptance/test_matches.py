"""Leads that match contacts and accounts, and each other, with real workers, under faults and a kill."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from massconvert.policy import Row
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.rows import takes
from tests.acceptance.truth import Rows, assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

LINK = {**OPTIONS, "on_match": "link"}
COQL = "POST coql"


def kinds(rows: Rows) -> Counter[tuple[str, str | None]]:
    """How many leads ended how."""
    return Counter((row["outcome"], row["code"]) for row in rows.values())


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
    house.simulator("--leads", "60", "--known", "10", "--job-seconds", "0.3")
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


def test_no_customer_is_made_twice_though_workers_are_killed_and_answers_are_lost(house: House) -> None:
    house.hurry(first_look=0.4, backoff_base=0.2, poll_cap=1.0, read_lag=0.3, lease=6.0)
    house.redis()
    house.simulator("--leads", "300", "--known", "60", "--job-seconds", "0.3")
    twin = {"Email": "eve@example.com", "First_Name": "Eve", "Last_Name": "Day", "Company": "Dawn"}
    leads = house.leads()
    house.ask("leads", "PUT", dict.fromkeys(leads[100:300:50], twin))
    house.set_faults(
        {"method": "POST convert", "when": "after", "do": "status", "status": 500, "times": 5},
        {"method": "POST convert", "when": "before", "do": "status", "status": 500, "times": 5},
        {"method": "POST mass_convert", "when": "after", "do": "drop", "times": 1},
    )
    first = house.worker("first", "-c", "4", app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(leads, options=LINK)
    until(lambda: house.calls("POST convert") >= 5, 60, "some leads are linked")
    house.kill(first)
    house.worker("second", "-c", "4", app="tests.acceptance.hurried_worker")
    batch.wait(150)
    rows = outcomes_of(batch)
    assert_true(house, rows)
    assert kinds(rows) == {("converted", None): 300}
    assert mails(house).most_common(1)[0][1] == 1
    assert len(mails(house)) == 297


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
