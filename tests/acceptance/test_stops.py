"""Stop is a stop, with real workers: after a cancel nothing goes out any more, and a full Redis digs itself out."""

from __future__ import annotations

import pytest

from massconvert import Batch
from massconvert.errors import StoreError
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

POST = "POST mass_convert"


def posts(house: House) -> int:
    """How many payloads Zoho has been sent."""
    return house.calls(POST)


def begin(house: House, leads: int, *, latency: float) -> Batch:
    """A batch on its way, of which some payloads have been sent and many have not."""
    house.environment |= {"MASSCONVERT_JOB_WAIT": "4", "ZOHO_CONCURRENCY": "3"}
    house.redis()
    house.simulator("--leads", str(leads), "--job-seconds", "0.2")
    house.set_faults(
        {"method": POST, "do": "status", "status": 500, "rate": 0.35},
        {"method": POST, "do": "latency", "seconds": latency},
    )
    house.worker()
    batch = house.producer().enqueue(house.leads(), options=OPTIONS)
    until(lambda: posts(house) >= 20, 20, "some payloads")
    return batch


def test_nothing_is_sent_after_a_cancel_though_zoho_answers_500_to_every_third_payload(house: House) -> None:
    batch = begin(house, 4000, latency=0.2)
    said = house.command("cancel", batch.id)
    assert said.returncode == 0, said.stderr
    assert "leads are cancelled" in said.stdout
    under_way = int(house.ask("load")["now"])
    before = posts(house)
    status = batch.wait(120)
    assert posts(house) <= before + under_way + 1, "one may have been between its write-ahead and Zoho"
    assert status.state.value == "cancelled"
    assert status.cancelled > 1000
    assert status.converted + status.cancelled == 4000
    rows = outcomes_of(batch)
    assert_true(house, rows)
    converted = {lead for lead, row in rows.items() if row["outcome"] == "converted"}
    assert converted == {lead for lead, known in house.truth().items() if known["conversions"]}


def test_a_full_redis_can_be_stopped_and_goes_on_within_a_sweep_once_there_is_room(house: House) -> None:
    """Its broker is full as well: messages are refused, and none of them is needed."""
    batch = begin(house, 2000, latency=0.1)
    house.set_faults({"method": POST, "do": "latency", "seconds": 0.1})
    redis, producer = house.ledger, house.producer()
    redis.config_set("maxmemory", 1)
    with pytest.raises(StoreError, match="is full"):
        producer.enqueue(["3652397000009999999"], options=OPTIONS)
    for command in (("pause",), ("pause", batch.id), ("resume", batch.id)):
        assert house.command(*command).returncode == 0, command
    until(lambda: int(house.ask("load")["now"]) == 0, 10, "what is under way")
    sent = posts(house)
    assert house.command("resume").returncode == 0
    redis.config_set("maxmemory", 0)
    until(lambda: posts(house) > sent, 8, "the first payload after a sweep, which comes every two seconds")
    assert batch.wait(30).converted == 2000
    assert_true(house, outcomes_of(batch))
