"""Several organisations, one fleet: two simulators with credentials of their own, one worker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, reported

pytestmark = pytest.mark.acceptance

CREDENTIALS = ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN")


class Two:
    """A house with a second organisation, the account emea."""

    def __init__(self, house: House, emea: tuple[str, ...] = (), own: tuple[str, ...] = ()) -> None:
        self.house = house
        (house.folder / "massconvert.toml").write_text("[accounts.emea]\nconcurrency = 10\n")
        (house.folder / "options.json").write_text(json.dumps(OPTIONS))
        house.environment["MASSCONVERT_CONFIG"] = str(house.folder / "massconvert.toml")
        house.redis()
        house.simulator("--credentials", "emea-id", "emea-secret", "emea-token", *emea)
        self.emea_url = house.sim_url
        for name in (*CREDENTIALS, "ZOHO_ACCOUNTS_URL", "ZOHO_API_DOMAIN"):
            house.environment[f"{name}__EMEA"] = house.environment.pop(name)
        house.simulator("--credentials", "own-id", "own-secret", "own-token", *own)
        self.own_url = house.sim_url

    def at(self, url: str) -> House:
        """The house, asking that simulator."""
        self.house.sim_url = url
        return self.house

    def enqueue(self, leads: list[str], key: str, *more: str) -> None:
        """Enqueue leads of either account."""
        (self.house.folder / f"{key}.txt").write_text("\n".join(leads))
        done = self.house.command("enqueue", f"{key}.txt", "--options", "options.json", "--key", key, *more)
        assert done.returncode == 0, done.stderr

    def status(self, key: str, *more: str) -> dict[str, Any]:
        """The counts of a batch."""
        found: dict[str, Any] = json.loads(self.house.command("status", key, "--json", *more).stdout)
        return found


def test_two_organisations_are_served_by_one_worker_and_never_mixed(house: House) -> None:
    """Even the same ids, under the same key: each goes to its own organisation, with its own credentials."""
    two = Two(house, ("--leads", "120", "--job-seconds", "0.2"), ("--leads", "180", "--job-seconds", "0.2"))
    house.worker()
    own, emea = two.at(two.own_url).leads(), two.at(two.emea_url).leads()
    assert set(emea) < set(own)
    two.enqueue(own, "k")
    two.enqueue(emea[:100], "k", "--account", "emea")
    until(lambda: two.status("k")["state"] == "finished", 60, "the own leads")
    until(lambda: two.status("k", "--account", "emea")["state"] == "finished", 60, "emea's leads")
    assert_true(two.at(two.own_url), reported(house, "k"))
    done = house.command("report", "k", "--account", "emea", "--format", "jsonl")
    rows = {row["lead_id"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == set(emea[:100])
    assert_true(two.at(two.emea_url), rows)
    truth = house.truth()
    assert not any(truth[lead]["converted"] for lead in emea[100:])
    for url in (two.own_url, two.emea_url):
        assert two.at(url).calls("POST token") == 1


@pytest.mark.parametrize(
    "trouble",
    [
        {"do": "hang", "seconds": 120, "skip": 1},
        {"do": "status", "status": 403, "code": "NO_PERMISSION"},
        {"do": "status", "status": 429},
    ],
    ids=["hangs", "may not", "throttled"],
)
def test_an_organisation_in_trouble_does_not_hold_up_the_other(house: House, trouble: dict[str, Any]) -> None:
    """Twenty times the leads before it in the queue, none of which gets through, and fewer threads than permits."""
    faults = house.folder / "faults.json"
    faults.write_text(json.dumps([{"method": "POST mass_convert", **trouble}]))
    house.environment["MASSCONVERT_CALL_DEADLINE"] = "60"
    two = Two(house, ("--leads", "4000", "--faults", str(faults)), ("--leads", "200", "--job-seconds", "0.2"))
    own, emea = two.at(two.own_url).leads(), two.at(two.emea_url).leads()
    two.enqueue(emea, "many", "--account", "emea")
    house.worker("worker", "-c", "8")
    # The first payload of options goes out alone; where it is accepted, as many as may follow it at once.
    first = trouble.get("skip", 0)
    until(lambda: two.at(two.emea_url).calls("POST mass_convert") > 4 * first, 30, "emea's trouble")
    two.enqueue(own, "few")
    until(lambda: two.status("few")["state"] == "finished", 30, "the other organisation's leads")
    assert two.status("few")["converted"] == 200
    assert two.status("many", "--account", "emea")["converted"] <= 50 * first


def test_a_worker_serves_the_others_when_one_account_lacks_its_secrets(house: House) -> None:
    """It says which variable; with none at all it ends."""
    two = Two(house, ("--leads", "10"), ("--leads", "10", "--job-seconds", "0.1"))
    del house.environment["ZOHO_REFRESH_TOKEN__EMEA"]
    house.worker()
    log = (house.folder / "worker.log").read_text()
    assert "Not set: ZOHO_REFRESH_TOKEN__EMEA." in log
    assert "The other accounts are served." in log
    two.enqueue(two.at(two.own_url).leads(), "k")
    until(lambda: two.status("k")["state"] == "finished", 30, "the own leads")
