"""What no profile of Zoho may change, against each that ships: one outcome for each lead, the true one, and once."""

from __future__ import annotations

import pytest

from massconvert.simulator.behaviour import PROFILES
from tests.acceptance.house import OPTIONS, SHORT_LEASES, House, until
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

POST, READ = "POST mass_convert", "GET Leads"


@pytest.mark.parametrize("profile", PROFILES)
def test_each_lead_has_its_one_true_outcome_whatever_zoho_leaves_open(house: House, profile: str) -> None:
    """Unknown, converted and locked leads, answers that are lost, a read that fails, a worker that is killed."""
    house.environment |= SHORT_LEASES
    house.redis()
    house.simulator("--profile", profile, "--leads", "300", "--unknown", "6", "--converted", "6")
    before = house.truth()
    # The unknown ones last: of those whose answer is lost nobody can say more than that they are not to be seen.
    leads = [*before, *(lead for lead in house.leads() if lead not in before)]
    free = [lead for lead, known in before.items() if not known["converted"]]
    house.ask("special", "PUT", {free[20]: "locked", free[150]: "not_approved", free[-1]: "locked"})
    house.set_faults(
        {"method": POST, "when": "after", "do": "status", "status": 500, "times": 1},
        {"method": POST, "when": "before", "do": "drop", "skip": 1, "times": 1},
        {"method": READ, "do": "status", "status": 500, "times": 1},
    )
    first = house.worker("first")
    batch = house.producer().enqueue(leads, options=OPTIONS)
    until(lambda: house.calls(POST) >= 3, 30, "some payloads")
    house.kill(first)
    house.worker("second")
    batch.wait(150)
    rows = outcomes_of(batch)
    assert_true(house, rows)
    assert house.unfired() == []
    assert sum(row["outcome"] == "converted" for row in rows.values()) == len(free) - 3
