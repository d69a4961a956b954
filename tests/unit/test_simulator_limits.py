"""Limits that change while calls are made: another client of the organisation, credits."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.simulator import SimulatorError
from massconvert.simulator.messages import Request
from massconvert.simulator.organisation import Call
from tests.unit.simulated_crm import Crm, code


def arrive(crm: Crm) -> Call:
    headers = {"authorization": f"Zoho-oauthtoken {crm.access_token()}"}
    return crm.organisation.arrive(Request("GET", "/crm/v8/users", {}, headers, b""))


def test_a_neighbour_takes_calls_away_and_gives_them_back() -> None:
    crm = Crm(concurrency=3)
    crm.organisation.set_limits({"neighbour": 2})
    first = arrive(crm)
    assert code(crm.call("GET", "/crm/v8/users")) == (429, "TOO_MANY_REQUESTS")
    crm.organisation.set_limits({"neighbour": 0})
    assert crm.call("GET", "/crm/v8/users").status == 200
    crm.organisation.leave(first)
    load = crm.organisation.load()
    assert (load["highest"], load["throttled"], load["neighbour"]) == (2, 1, 0)


def test_credits_and_the_limit_may_change_at_run_time() -> None:
    crm = Crm(credits=2)
    crm.call("GET", "/crm/v8/users")
    crm.call("GET", "/crm/v8/users")
    refused = crm.call("GET", "/crm/v8/users")
    assert code(refused)[0] == 429
    assert refused.headers["X-API-CREDITS-REMAINING"] == "0"
    crm.organisation.set_limits({"credits": 10, "concurrency": 1})
    assert crm.call("GET", "/crm/v8/users").status == 200
    arrive(crm)
    assert code(crm.call("GET", "/crm/v8/users"))[0] == 429
    crm.organisation.set_limits({"credits": None, "concurrency": None})
    assert "X-API-CREDITS-REMAINING" not in crm.call("GET", "/crm/v8/users").headers


@pytest.mark.parametrize(
    "wanted", [[], {"neighbours": 1}, {"neighbour": -1}, {"neighbour": True}, {"neighbour": None}, {"credits": "many"}]
)
def test_a_wrong_limit_is_refused_and_changes_nothing(wanted: Any) -> None:
    crm = Crm(concurrency=3)
    with pytest.raises(SimulatorError):
        crm.organisation.set_limits(wanted)
    assert crm.organisation.load()["neighbour"] == 0
