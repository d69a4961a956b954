"""A lead that Zoho will not convert ends by its own code, and takes nobody with it."""

from __future__ import annotations

import json
from threading import Event
from typing import Any

import pytest

from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

LOST = {"method": "POST mass_convert", "when": "after", "do": "status", "status": 500, "times": 1}
#: The place of each special lead among 500, its kind, and how it ends.
SPECIAL: dict[int, tuple[Any, tuple[str, str]]] = {
    3: ("locked", ("failed", "RECORD_LOCKED")),
    77: ("image_checked", ("failed", "RECORD_LOCKED")),
    130: ("not_reviewed", ("failed", "NOT_REVIEWED")),
    199: ("converted_elsewhere", ("skipped", "ALREADY_CONVERTED")),
    200: ("not_approved", ("failed", "NOT_APPROVED")),
    345: ({"code": "DUPLICATE_DATA", "named": "inside", "shape": "data"}, ("failed", "DUPLICATE_DATA")),
    480: ({"code": "BRAND_NEW_CODE", "named": "other", "shape": "multi"}, ("failed", "BRAND_NEW_CODE")),
}


def test_seven_special_leads_among_five_hundred_end_by_their_own_codes(house: House) -> None:
    """Refused with 400 and a code each, named in every way there is, and two of them not at all."""
    house.environment["HURRIED_TUNING"] = json.dumps({"read_lag": 0.2, "backoff_base": 0.1})
    house.redis()
    named = dict.fromkeys(("converted_lead", "locked_lead", "unapproved_lead"), "refuse_all")
    house.simulator("--leads", "500", "--job-seconds", "0.2", reads_lag=0.0, **named)
    leads = house.leads()
    house.ask("special", "PUT", {leads[place]: kind for place, (kind, _) in SPECIAL.items()})
    house.worker("worker", app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(leads, options=OPTIONS)
    assert batch.wait(60).converted == 493
    rows = outcomes_of(batch)
    ends = {place: (rows[lead]["outcome"], rows[lead]["code"]) for place, lead in enumerate(leads)}
    assert {place: ends[place] for place in SPECIAL} == {place: end for place, (_, end) in SPECIAL.items()}
    assert {end for place, end in ends.items() if place not in SPECIAL} == {("converted", None)}
    assert_true(house, rows)


@pytest.mark.parametrize(("faults", "seconds"), [((), 5.0), ((LOST,), 12.0)])
def test_a_lead_that_somebody_converted_a_moment_ago_is_not_counted_as_ours(
    house: House, faults: tuple[dict[str, Any], ...], seconds: float
) -> None:
    """Zoho takes the payload and counts the lead as failed: its clock says whose conversion it was.

    Its counts confirm that; where the answer is lost nobody has counts. Times are told in whole seconds. Zoho's
    servers may differ by three, and where nobody counted by ten.
    """
    house.environment["HURRIED_TUNING"] = json.dumps({"read_lag": 0.2, "backoff_base": 0.1, "job_wait": 2.0})
    house.redis()
    house.simulator("--leads", "20", "--job-seconds", "0.2", reads_lag=0.0, converted_lead="count_failed")
    leads = house.leads()
    house.ask("converted_by_hand", "PUT", leads[:1])
    house.set_faults(*faults)
    Event().wait(seconds)
    house.worker("worker", app="tests.acceptance.hurried_worker")
    batch = house.producer().enqueue(leads, options=OPTIONS)
    batch.wait(60)
    rows = outcomes_of(batch)
    assert (rows[leads[0]]["outcome"], rows[leads[0]]["code"]) == ("skipped", "ALREADY_CONVERTED")
    assert {rows[lead]["outcome"] for lead in leads[1:]} == {"converted"}


def test_a_client_that_may_not_refresh_pauses_the_organisation_and_names_it(house: House) -> None:
    house.redis()
    house.simulator("--leads", "10", "--job-seconds", "0.2")
    refusal = {"do": "status", "status": 200, "body": '{"error":"unauthorized_client"}'}
    house.set_faults({"method": "POST token", **refusal})
    house.worker()
    batch = house.producer().enqueue(house.leads(), options=OPTIONS)
    said = until(lambda: json.loads(house.command("status", "--json").stdout)["paused"], 20, "the pause")
    assert said["code"] == "unauthorized_client"
    assert batch.progress().ended == 0
    house.set_faults()
    until(lambda: not list(house.ledger.scan_iter("*:trouble")), 10, "the refusal to be asked about again")
    assert house.command("resume").returncode == 0
    assert batch.wait(40).converted == 10
