"""``massconvert doctor`` beside real workers: what it says of a house in which something is amiss."""

from __future__ import annotations

import json
import signal
import sys
from typing import Any

import pytest

from tests.acceptance.broker import RABBITMQ
from tests.acceptance.house import House, until

pytestmark = pytest.mark.acceptance
#: What is said of the broker while Redis is away: it is another server only if it is RabbitMQ.
WITHOUT_REDIS = "ok" if RABBITMQ else "wrong"


def examine(house: House, status: int) -> dict[str, list[dict[str, Any]]]:
    """What the doctor finds, by check; it must end with this status."""
    done = house.command("doctor", "--json")
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["check"], []).append(finding)
        assert finding["mend"] or finding["level"] == "ok"
    return found


@pytest.mark.slow
def test_the_doctor_finds_a_house_in_order_and_names_what_is_not(house: House) -> None:
    """Before anything runs, in order, the worker dead and its message lost, Redis away."""
    found = examine(house, 3)
    wrong = {check for check, lines in found.items() if lines[0]["level"] == "wrong"}
    assert wrong == {"credentials", "redis", "broker"} - (set() if WITHOUT_REDIS == "wrong" else {"broker"})
    server = house.redis()
    house.simulator("--leads", "100", "--job-seconds", "0.2")
    house.environment["MASSCONVERT_STATE_DIR"] = str(house.folder / "state")
    worker = house.worker()
    house.run(sys.executable, "-m", "celery", "-A", "workers", "beat", name="beat")
    (house.folder / "o.json").write_text(json.dumps({"assign_to": {"id": "3652397000000281001"}}))
    done = house.command("enqueue", house.leads()[0], "--options", "o.json", "--wait", "30")
    assert done.returncode == 0, done.stderr

    def in_order() -> bool:
        found = examine(house, 0)
        words = [found[check][0]["what"] for check in ("workers", "beat")]
        return "1 worker is alive; the last took something" in words[0] and "Beat ticked" in words[1]

    until(in_order, 40, "all to be well")
    house.kill(worker, signal.SIGKILL)
    house.command("enqueue", house.leads()[1], "--options", "o.json")

    def dead() -> bool:
        done = house.command("doctor", "--json")
        return done.returncode == 3

    until(dead, 90, "the dead worker to be missed")  # a minute after its last note
    (missed,) = examine(house, 3)["workers"]
    assert missed["what"].startswith("No worker runs; the last was seen")
    house.kill(server)
    found = examine(house, 3)
    assert found["token"][0]["level"] == "ok"  # credentials are looked at without Redis too
    assert "limit" not in found  # no call without a permit, and workers' permits are there
    assert found["redis"][0]["level"] == "wrong"
    assert found["broker"][0]["level"] == WITHOUT_REDIS


def test_a_doctor_for_a_producer_s_machine_needs_no_credentials(house: House) -> None:
    """And it says that a worker is missing, which a producer wants to know."""
    house.redis()
    done = house.command("doctor", "--producer")
    assert done.returncode == 3
    assert "credentials" not in done.stdout
    assert next(line for line in done.stdout.splitlines() if line.startswith("wrong")).split()[1] == "workers"


def test_a_redis_that_hangs_costs_the_doctor_seconds_and_not_the_other_checks(house: House) -> None:
    """Each check is bounded in time."""
    server = house.redis()
    house.simulator("--leads", "5")
    server.send_signal(signal.SIGSTOP)
    try:
        found = examine(house, 3)
    finally:
        server.send_signal(signal.SIGCONT)
    assert "did not answer in time" in found["redis"][0]["what"]
    assert found["broker"][0]["level"] == WITHOUT_REDIS
    assert found["token"][0]["level"] == "ok"


def test_without_a_redis_the_doctor_says_what_zoho_says_and_asks_for_one_token(house: House) -> None:
    """On a first day there are credentials and no Redis: the calls go through one that is started for them."""
    house.simulator("--leads", "5", "--without-scope", "ZohoCRM.modules.deals.UPDATE")
    del house.environment["REDIS_URL"]
    for _ in range(2):
        found = examine(house, 3)  # `enqueue` and workers need a Redis
        assert {finding["check"] for finding in found["redis"] if finding["level"] == "wrong"} == {"redis"}
        assert "Example Ltd" in next(each["what"] for each in found["organisation"] if each["level"] == "ok")
        (missing,) = (finding for finding in found["scope"] if finding["level"] != "ok")
        assert missing["what"].startswith("ZohoCRM.modules.deals.UPDATE is missing")
        assert found["limit"][0]["level"] == "ok"
    assert house.calls("POST token") == 1
    assert house.ask("load")["throttled"] == 0
