"""Options of `celery worker` that people use, and signals that platforms send."""

from __future__ import annotations

import signal
import sys

import pytest
from celery import Celery

from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = pytest.mark.acceptance


def test_an_autoscaled_worker_scales_obeys_its_pool_s_commands_and_ends_at_once_on_sigquit(house: House) -> None:
    """Each was an AttributeError or NotImplementedError, exit 1, with a traceback."""
    house.environment |= {"REMAP_SIGTERM": "SIGQUIT", "MASSCONVERT_CALL_DEADLINE": "5"}
    house.redis()
    house.simulator("--leads", "1500", "--job-seconds", "0.2")
    # Celery looks once a second whether to grow: two threads alone would be at work for half a minute.
    house.set_faults({"method": "POST mass_convert", "do": "latency", "seconds": 2})
    worker = house.worker("scaled", "--autoscale=10,2")
    leads = house.leads()
    batch = house.producer().enqueue(leads, options=OPTIONS)
    until(lambda: house.ask("load")["now"] > 4, 40, "more calls at once than there were threads")
    house.kill(worker, signal.SIGTERM)
    assert worker.returncode == 0
    house.set_faults()
    del house.environment["REMAP_SIGTERM"]
    fixed = house.worker("fixed", "-c", "2")
    with Celery(broker=house.broker.url, set_as_current=False) as app:
        for command, arguments in (("pool_grow", {"n": 6}), ("pool_shrink", {"n": 2}), ("pool_restart", {})):
            assert app.control.broadcast(command, arguments, reply=True, timeout=5, limit=1), command
        app.control.broadcast("revoke", {"task_id": "x", "terminate": True}, reply=True, timeout=5, limit=1)
    until(lambda: batch.progress().finished, 90, "the batch")
    rows = outcomes_of(batch)
    assert {row["outcome"] for row in rows.values()} == {"converted"}
    assert_true(house, rows)
    assert {lead["submissions"] for lead in house.truth().values()} == {1}
    assert fixed.poll() is None
    assert "Traceback" not in house.logs()


def test_worker_and_beat_work_where_their_state_has_no_place_and_say_so_once(house: House) -> None:
    """A read-only root or a home that cannot be written; a file in the way stands for them."""
    in_the_way = house.folder / "state"
    in_the_way.touch()
    house.environment["MASSCONVERT_STATE_DIR"] = str(in_the_way / "below")
    house.redis()
    house.simulator("--leads", "50", "--job-seconds", "0.2", "--latency", "0")
    worker = house.worker()
    beat = house.run(sys.executable, "-m", "celery", "-A", "workers", "beat", name="beat")
    assert house.producer().enqueue(house.leads(), options=OPTIONS).wait(20).converted == 50
    until(lambda: "Beat ticked" in house.command("doctor").stdout, 20, "beat's note")
    for role in ("worker", "beat"):
        assert house.log(role).count("MASSCONVERT_HEARTBEAT_FILE") == 1
        health = house.command("health", role)
        assert health.returncode == 1
        assert "none can be written there" in " ".join(health.stderr.split())
    assert house.log("beat").count("Beat cannot write") == 1
    assert (worker.poll(), beat.poll()) == (None, None)
    assert "Traceback" not in house.logs()
