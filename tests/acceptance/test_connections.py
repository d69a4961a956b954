"""A server that allows few connections: the work goes on with those that there are."""

from __future__ import annotations

import pytest

from tests.acceptance.broker import only_redis
from tests.acceptance.house import OPTIONS, House, until

pytestmark = [pytest.mark.acceptance, only_redis]


def test_a_worker_of_twenty_threads_works_on_with_eighteen_connections_for_all(house: House) -> None:
    """It would take thirty. None is refused to its publishers, and its threads share what is left."""
    house.redis()
    watcher = house.ledger
    watcher.config_set("maxclients", 18)
    house.simulator("--leads", "1000", "--latency", "0.1", "--job-seconds", "0.5")
    leads = house.leads()
    house.worker()
    batch = house.producer().enqueue(leads, options=OPTIONS)
    key = f"mc:{{default}}:batch:{batch.id}"
    until(lambda: watcher.hget(key, "converted") == "1000", 60, "the end of the batch")
    assert watcher.info("clients")["connected_clients"] <= 18
    assert all(lead["converted"] for lead in house.truth().values())
