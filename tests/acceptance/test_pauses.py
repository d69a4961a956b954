"""What only a person can fix pauses the organisation: nothing fails, it says why, and one command goes on."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from massconvert import Batch
from massconvert.policy import Row
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.rows import takes
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = pytest.mark.acceptance


def paused(house: House) -> dict[str, Any]:
    """What ``status --json`` says of the pause; blank where there is none."""
    done = house.command("status", "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["paused"] or {})


def nothing_has_ended(batch: Batch, leads: int) -> None:
    status = batch.progress()
    assert (status.state.value, status.waiting, status.ended) == ("paused", leads, 0)


def all_converted(house: House, batch: Batch, leads: int) -> None:
    assert batch.wait(40).converted == leads
    assert_true(house, outcomes_of(batch))


#: What Zoho answers, and what the log and status say is to be done.
NOT_ALLOWED = (
    ({"status": 403, "code": "NO_PERMISSION"}, "Give the user of the refresh token permission to convert leads"),
    ({"status": 401, "code": "OAUTH_SCOPE_MISMATCH"}, "Make a new refresh token with the scopes ZohoCRM.mass_"),
    ({"status": 404, "code": "INVALID_URL_PATTERN"}, "Check ZOHO_API_VERSION and ZOHO_API_DOMAIN"),
)


def test_what_zoho_does_not_allow_pauses_until_resume(house: House) -> None:
    """Status and log say what Zoho said and what to do; the next probe would be five minutes later."""
    house.redis()
    house.simulator("--leads", "300", "--job-seconds", "0.2")
    house.worker()
    for place, (answer, hint) in enumerate(NOT_ALLOWED):
        house.set_faults({"method": "POST mass_convert", "do": "status", **answer})
        before = house.calls("POST mass_convert")
        leads = house.leads()[100 * place : 100 * place + 100]
        batch = house.producer().enqueue(leads, options={**OPTIONS, "apply_assignment_threshold": bool(place)})
        said = until(lambda: paused(house), 20, "the pause")
        assert said["code"] == answer["code"]
        assert said["reason"].startswith(f"Zoho answered {answer['status']} {answer['code']}: ")
        words = " ".join(house.command("status").stdout.split())
        assert said["reason"].split(": ")[0] in words
        assert hint in words
        assert f"The organisation is paused. {said['reason']}. {hint}" in house.log()
        nothing_has_ended(batch, 100)
        assert house.calls("POST mass_convert") - before <= 2  # two payloads, if their options were accepted before
        house.set_faults()
        assert house.command("resume").returncode == 0
        all_converted(house, batch, 100)


@takes(Row.NAMES_NOT_ALLOWED)
def test_credentials_that_zoho_refuses_pause_until_workers_have_others(house: House) -> None:
    """A refresh token that was revoked: the log and status name what to look at, and no secret.

    The first call with them is the one that looks up a name.
    """
    house.redis()
    house.simulator("--leads", "100", "--job-seconds", "0.2", "--credentials", "1000.ID", "shh", "1000.good")
    house.environment["ZOHO_REFRESH_TOKEN"] = "1000.revoked"
    worker = house.worker()
    batch = house.producer().enqueue(house.leads(), options={**OPTIONS, "assign_to": "ann@example.com"})
    said = until(lambda: paused(house), 20, "the pause")
    assert said["code"] == "invalid_code"
    assert "the refresh token is wrong, was revoked, or belongs to another client" in said["reason"]
    assert "restart the workers with the right ones, then: massconvert resume" in said["hint"]
    nothing_has_ended(batch, 100)
    house.kill(worker, signal.SIGTERM)
    house.environment["ZOHO_REFRESH_TOKEN"] = "1000.good"
    house.worker()
    assert house.command("resume").returncode == 0
    all_converted(house, batch, 100)
    assert "1000.revoked" not in house.logs() + json.dumps(said)


TOMORROW = {
    "method": "POST mass_convert",
    "do": "status",
    "status": 429,
    "headers": {"Retry-After": "86400"},
    "times": 1,
}


def asked_to_wait(house: House) -> dict[str, Any]:
    """What ``status --json`` says of a Zoho that has asked for time."""
    hold = json.loads(house.command("status", "--json").stdout)["calls"]["held"]
    return hold if hold and hold["kind"] == "asked" else {}


@takes(Row.THROTTLED, Row.ACCEPTED)
def test_a_zoho_that_asks_for_a_day_is_asked_again_after_minutes(house: House) -> None:
    """Here after 2 s. It goes on by itself, and nobody is told to come back tomorrow."""
    house.hurry(poll_cap=1.0)
    house.environment["HURRIED_HOLDING"] = json.dumps({"asked_probe": 2.0})
    house.redis()
    house.simulator("--leads", "50", "--job-seconds", "0.2")
    house.worker(app="tests.acceptance.hurried_worker")
    house.set_faults(TOMORROW)
    batch = house.producer().enqueue(house.leads(), options=OPTIONS)
    all_converted(house, batch, 50)
    assert house.unfired() == []
    assert "asked to wait for 24 h" in house.log()


def test_a_zoho_that_asks_for_a_day_is_called_at_once_after_resume(house: House) -> None:
    """The probe would come five minutes later."""
    house.redis()
    house.simulator("--leads", "50", "--job-seconds", "0.2")
    house.worker()
    house.set_faults(TOMORROW)
    batch = house.producer().enqueue(house.leads(), options=OPTIONS)
    said = until(lambda: asked_to_wait(house), 20, "the hold")
    assert "asked to wait for 24 h" in said["why"]
    assert said["next_probe_in"] > 200
    assert "massconvert resume" in house.command("doctor").stdout
    done = house.command("resume")
    assert (done.returncode, "Workers call again" in done.stdout) == (0, True), done.stdout + done.stderr
    all_converted(house, batch, 50)
