"""A message of ``massconvert.enqueue`` is acknowledged when its batch is in the ledger, or kept for a person.

Real workers, the broker on one redis-server, the ledger on another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from massconvert.contract import QUEUE, TASK_ENQUEUE
from tests.acceptance.broker import only_redis
from tests.acceptance.house import OPTIONS, House, until

pytestmark = [pytest.mark.acceptance, only_redis]


@pytest.fixture
def post(house: House, tmp_path: Path) -> Iterator[House]:
    """Another house, whose Redis is the first one's broker; both Redis run, and a Zoho of 12 leads."""
    (tmp_path / "post").mkdir()
    other = House(tmp_path / "post")
    other.redis()
    house.redis()
    house.environment["CELERY_BROKER_URL"] = other.redis_url
    house.simulator("--leads", "12", "--job-seconds", "0.3")
    house.environment["POISON"] = str(tmp_path / "poison")
    yield other
    other.close()


def send(post: House, leads: list[str], key: str, **kwargs: Any) -> None:
    """As an app does that has Celery and nothing else."""
    with Celery(broker=post.redis_url, set_as_current=False) as app:
        given = {"lead_ids": leads, "options": OPTIONS, "key": key, **kwargs}
        app.send_task(TASK_ENQUEUE, kwargs=given, queue=QUEUE, ignore_result=True)


def finished(house: House, key: str) -> bool:
    """Whether the batch is there, and every lead of it has its outcome."""
    return bool(house.ledger.hget(f"mc:{{default}}:batch:{key}", "finished"))


def once(house: House, leads: list[str]) -> bool:
    """Whether each of these was converted, by one submission."""
    truth = house.truth()
    return all(truth[lead]["converted"] and truth[lead]["submissions"] == 1 for lead in leads)


def told(house: House, *arguments: str) -> Any:
    """A command's JSON."""
    done = house.command(*arguments, "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_leads_that_came_while_the_ledger_took_no_writes_are_taken_when_it_does(house: House, post: House) -> None:
    """As in each failover: a primary without its replica refuses for some seconds, and the broker does not."""
    house.worker()
    house.ledger.config_set("min-replicas-to-write", 1)
    send(post, house.leads(), "refused")
    until(lambda: house.log().count("min-replicas-to-write, and takes no writes. Again in") >= 2, 20, "two refusals")
    house.ledger.config_set("min-replicas-to-write", 0)
    until(lambda: finished(house, "refused"), 25, "the batch")
    assert once(house, house.leads())
    assert "Something else has written" not in house.log()
    assert house.ledger.exists("mc:{default}:letters:late", "mc:{default}:letters:stuck") == 0


def test_a_message_that_meets_a_bug_is_set_aside_seen_and_handed_back_and_blocks_nobody(
    house: House, post: House
) -> None:
    """Nor does a chunk that meets one: the sweep brings it back, and others go."""
    leads, poison = house.leads(), Path(house.environment["POISON"])
    house.worker("worker", "-c", "2", app="tests.acceptance.poisoned_worker")
    send(post, leads[:1], "first")  # options that Zoho has not accepted yet go out one chunk at a time
    until(lambda: finished(house, "first"), 20, "the first batch")
    poison.write_text("raise")
    send(post, leads[1:2], "second-chunk")
    until(lambda: "a seeded bug in the second chunk" in house.log(), 20, "the chunk's bug")
    send(post, leads[2:4], "poison")
    until(lambda: "Again in" in house.log(), 20, "the message's bug")
    send(post, leads[4:], "good")
    until(lambda: finished(house, "good"), 25, "the others")
    until(lambda: house.ledger.zcard("mc:{default}:letters:stuck") == 1, 20, "the letter")
    assert told(house, "status")["messages"] == {"late": 0, "set_aside": 1, "refused": 0}
    (found,) = [each for each in told(house, "doctor", "--producer")["findings"] if each["check"] == "messages"]
    assert found["level"] == "wrong"
    assert "1 message could not be taken" in found["what"]
    assert "ZeroDivisionError: a seeded bug" in found["what"]
    (letter,) = told(house, "letters")["set_aside"]
    assert (letter["leads"], letter["key"], letter["tries"]) == (2, "poison", 3)
    assert told(house, "letters", "--show", letter["id"])["kwargs"]["lead_ids"] == leads[2:4]
    poison.unlink()
    assert told(house, "letters", "--again", "all") == {"again": [letter["id"]]}
    until(lambda: finished(house, "poison") and finished(house, "second-chunk"), 25, "what met a bug")
    assert once(house, leads)
    assert told(house, "letters") == {"set_aside": [], "refused": [], "late": []}


def test_a_message_whose_task_ends_its_process_is_handed_back(house: House, post: House) -> None:
    """Celery takes SystemExit for a lost worker, and acknowledges such messages by default."""
    Path(house.environment["POISON"]).write_text("exit")
    house.worker("worker", "-c", "2", app="tests.acceptance.poisoned_worker")
    send(post, house.leads()[:2], "poison")
    until(lambda: "was not taken: SystemExit: 3" in house.log(), 25, "the end of the task")
    Path(house.environment["POISON"]).unlink()
    until(lambda: finished(house, "poison"), 25, "the batch")
    assert once(house, house.leads()[:2])


def test_a_message_that_is_refused_can_be_found(house: House, post: House) -> None:
    """And one that names a profile which is not in massconvert.toml yet is no such message."""
    house.environment["MASSCONVERT_CONFIG"] = str(house.folder / "massconvert.toml")
    house.worker()
    send(post, house.leads()[:2], "odd", colour="red")
    send(post, house.leads()[:2], "nightly", options=None, profile="nightly")
    until(lambda: house.ledger.hlen("mc:{default}:letters:late") == 1, 20, "the note of the profile")
    until(lambda: house.ledger.zcard("mc:{default}:letters:refused") == 1, 20, "the letter")
    findings = [each for each in told(house, "doctor", "--producer")["findings"] if each["check"] == "messages"]
    assert [each["level"] for each in findings] == ["warning", "warning"]
    assert "There is no profile 'nightly'" in findings[0]["what"]
    assert "colour" in findings[1]["what"]
    deal = 'Deals = { Deal_Name = "Renewal", Stage = "Needs Analysis", Closing_Date = "+30d" }'
    (house.folder / "massconvert.toml").write_text(f"[profiles.nightly.options]\n{deal}\n")
    until(lambda: finished(house, "nightly"), 30, "the batch")
    assert once(house, house.leads()[:2])
