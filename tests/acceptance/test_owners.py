"""A ledger belongs to one organisation: another one's credentials convert nothing with it, wherever they come from."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from tests.acceptance.house import House, until

pytestmark = pytest.mark.acceptance


def simulated(house: House, *arguments: str) -> dict[str, str]:
    """Another organisation: a simulator of its own, and the environment that points there."""
    house.simulator("--job-seconds", "0.2", *arguments)
    return {name: value for name, value in house.environment.items() if name.startswith("ZOHO_")}


def converted(house: House, organisation: dict[str, str]) -> int:
    """How many of its leads are converted."""
    house.sim_url = organisation["ZOHO_API_DOMAIN"]
    return sum(lead["converted"] for lead in house.truth().values())


def test_a_worker_and_a_command_of_another_organisation_are_refused_by_a_shared_ledger(house: House) -> None:
    """A's leads are in the ledger; B's worker does not start, B's command adds nothing; A's second client may."""
    house.redis()
    ours, theirs = simulated(house, "--leads", "60"), simulated(house, "--leads", "60")
    (house.folder / "none.json").write_text("{}")
    house.environment |= ours
    worker = house.worker()
    house.sim_url = ours["ZOHO_API_DOMAIN"]
    leads = house.leads()
    assert house.command("enqueue", *leads, "--options", "none.json", "--key", "a", "--wait", "60").returncode == 0
    house.kill(worker, signal.SIGTERM)
    assert house.command("enqueue", *leads[:5], "--options", "none.json", "--key", "b").returncode == 0

    house.environment |= theirs
    refused = house.run(sys.executable, "-m", "celery", "-A", "workers", "worker", "-n", "b@%h", name="theirs")
    assert refused.wait(60) == 3
    assert "belongs to 'Example Ltd'" in house.log("theirs")
    assert "Nothing was sent" in house.log("theirs")
    command = house.command("enqueue", leads[0], "--options", "none.json", "--key", "c")
    assert command.returncode == 3, command.stderr
    assert "belongs to 'Example Ltd'" in command.stderr
    doctor = house.command("doctor")
    assert "belongs to 'Example Ltd'" in " ".join(doctor.stdout.split())
    assert converted(house, theirs) == 0

    house.environment |= {**ours, "ZOHO_CLIENT_ID": "1000.ANOTHER", "ZOHO_REFRESH_TOKEN": "1000.another-token"}
    house.worker("second")
    until(lambda: json.loads(house.command("status", "b", "--json").stdout)["state"] == "finished", 30, "the end of b")


def test_convert_keeps_the_ledgers_of_two_organisations_apart(house: House) -> None:
    """A is interrupted with leads unsent; B converts its own in between; A goes on, and B's truth is B's alone."""
    del house.environment["REDIS_URL"]
    house.environment["MASSCONVERT_STATE_DIR"] = str(house.folder / "state")
    (house.folder / "none.json").write_text("{}")
    ours, theirs = simulated(house, "--leads", "120"), simulated(house, "--leads", "20")
    house.environment |= ours
    house.sim_url = ours["ZOHO_API_DOMAIN"]
    leads = house.leads()
    canary = house.command("convert", *leads, "--options", "none.json", "--canary", "10")
    assert canary.returncode == 4, canary.stderr
    assert converted(house, ours) == 10

    house.environment |= theirs
    house.sim_url = theirs["ZOHO_API_DOMAIN"]
    done = house.command("convert", *house.leads(), "--options", "none.json")
    assert done.returncode == 0, done.stderr
    assert (converted(house, theirs), converted(house, ours)) == (20, 10)

    house.environment |= ours
    done = house.command("convert", *leads, "--options", "none.json")
    assert done.returncode == 0, done.stderr
    assert converted(house, ours) == 120


def test_another_client_of_the_same_organisation_goes_on_with_its_ledger(house: House) -> None:
    """A new client has a directory of its own until it is known whose it is."""
    del house.environment["REDIS_URL"]
    house.environment["MASSCONVERT_STATE_DIR"] = str(house.folder / "state")
    (house.folder / "none.json").write_text("{}")
    house.environment |= simulated(house, "--leads", "60")
    leads = house.leads()
    assert house.command("convert", *leads, "--options", "none.json", "--canary", "10").returncode == 4
    house.environment["ZOHO_CLIENT_ID"] = "1000.ANOTHER"
    done = house.command("convert", *leads, "--options", "none.json")
    assert "going on with batch" in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


def test_the_one_ledger_of_an_earlier_version_is_taken_over_where_nothing_in_it_is_open(house: House) -> None:
    """Else the command says what to do, and does nothing."""
    del house.environment["REDIS_URL"]
    state = house.folder / "state"
    house.environment["MASSCONVERT_STATE_DIR"] = str(state)
    (house.folder / "none.json").write_text("{}")
    house.environment |= simulated(house, "--leads", "60")
    leads = house.leads()
    assert house.command("convert", *leads, "--options", "none.json", "--canary", "10").returncode == 4
    (home,) = (state / "organisations").iterdir()
    (home / "redis").rename(state / "redis")  # as it stood before
    refused = house.command("convert", leads[0], "--options", "none.json")
    assert refused.returncode == 3, refused.stderr
    assert "has unfinished batches (convert-" in refused.stderr
    assert f"mv {state / 'redis'} {home / 'redis'}" in refused.stderr
    (state / "redis").rename(home / "redis")  # as it says
    assert house.command("convert", *leads, "--options", "none.json").returncode == 0
    (home / "redis").rename(state / "redis")
    again = house.command("convert", *leads, "--options", "none.json")
    assert "this was done before" in again.stderr, again.stderr
    assert (home / "redis").is_dir()
