"""The whole pipeline as Redis users who may do little, each as docs/settings.md writes it."""

from __future__ import annotations

import pytest
from celery import Celery

from massconvert import MassConvert
from massconvert.contract import TASK_ENQUEUE
from massconvert.settings import load_settings
from tests.acceptance.broker import only_redis
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, outcomes_of
from tests.integration.test_rights import documented

pytestmark = [pytest.mark.acceptance, only_redis]
#: The usual rule of companies and of managed services.
USUAL = ["~*", "&*", "+@all", "-@dangerous"]
ONLY_CELERY = [
    "~massconvert",
    "~massconvert??[369]",
    "~_kombu.binding.massconvert",
    "-@all",
    "+@connection",
    "+@transaction",
]


def test_workers_and_producers_with_few_rights_convert_all_and_are_healthy(house: House) -> None:
    """A worker of each kind, a producer with the library, and one that has only Celery."""
    house.redis()
    house.simulator("--leads", "200", "--job-seconds", "0.2", "--latency", "0.1")
    leads = house.leads()
    users = {
        "usual": USUAL,
        "narrow": documented("massconvert"),
        "producer": documented("producer"),
        "sender": [*ONLY_CELERY, "+smembers", "+sadd", "+llen", "+lpush"],
    }
    with house.ledger as ledger:
        for user, rules in users.items():
            ledger.execute_command("ACL", "SETUSER", user, "on", ">pw", *rules)
    urls = {user: house.redis_url.replace("redis://", f"redis://{user}:pw@") for user in users}
    for worker in ("usual", "narrow"):
        house.environment |= {
            "REDIS_URL": urls[worker],
            "MASSCONVERT_HEARTBEAT_FILE": str(house.folder / f"{worker}.heart"),
        }
        house.worker(worker, "-c", "4")
    app = MassConvert(load_settings(house.environment | {"REDIS_URL": urls["producer"]}, dotenv=None))
    batch = app.enqueue(leads[:100], options=OPTIONS)
    with Celery(broker=urls["sender"], set_as_current=False) as sender:
        arguments = {"lead_ids": leads[100:], "options": OPTIONS, "key": "sent"}
        sender.send_task(TASK_ENQUEUE, kwargs=arguments, queue="massconvert", ignore_result=True)
    assert batch.wait(30).converted == 100
    until(lambda: all(lead["converted"] for lead in house.truth().values()), 20, "the sender's leads")
    assert_true(house, outcomes_of(batch))
    for worker in ("usual", "narrow"):
        house.environment |= {
            "REDIS_URL": urls[worker],
            "MASSCONVERT_HEARTBEAT_FILE": str(house.folder / f"{worker}.heart"),
        }
        health = house.command("health", "worker")
        assert health.returncode == 0, health.stderr
        seen = house.command("doctor")
        assert seen.returncode == 0, seen.stdout
        assert ("does not tell this user about itself" in seen.stdout) is (worker == "usual")
        assert "Traceback" not in house.log(worker)
    house.broker.lose_messages()  # and the sweep finds its own way
    second = app.enqueue(leads[:3], options=OPTIONS)
    house.broker.lose_messages()
    assert second.wait(20).finished
