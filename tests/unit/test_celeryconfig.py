"""celeryconfig.py: what the promises rest on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from celery.app.defaults import NAMESPACES as CELERYS_SETTINGS
from celery.app.defaults import flatten
from kombu import Connection

import celeryconfig
from massconvert import contract
from massconvert.ledger.chunks import LONGEST_COUNTDOWN
from massconvert.settings import Settings
from workers.celery import STORE_AWAY_COUNTDOWN, app

ROOT = Path(__file__).resolve().parents[2]
TASKS = {value for name, value in vars(contract).items() if name.startswith("TASK_")}
QUEUES = {contract.QUEUE, contract.QUEUE_CONVERT, contract.QUEUE_STATUS}


def test_every_name_is_a_setting_that_celery_knows() -> None:
    """Celery ignores a misspelt one in silence."""
    known = {name for name, _ in flatten(CELERYS_SETTINGS)}
    given = {name for name in vars(celeryconfig) if name.islower() and not name.startswith("_")}
    given = {name for name in given if not name.startswith("@")}  # pytest's own, where it rewrites the module
    assert given - {"load_settings", "celery_broker", "annotations"} <= known


def test_every_setting_has_its_reason_beside_it() -> None:
    """A comment over it, or over the lines of its group."""
    lines = (ROOT / "celeryconfig.py").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"[a-z][a-z_]* = ", line):
            block = [*lines[:number]]
            while block and re.match(r"[a-z][a-z_]* = ", block[-1]):
                block.pop()
            assert block, line
            assert block[-1].startswith(("#", "}", ")")), f"no reason over: {line}"


def test_every_task_of_the_contract_is_registered_and_routed_to_a_queue() -> None:
    """A task that is not routed would go to a queue that nobody takes."""
    app.loader.import_default_modules()
    assert {name for name in app.tasks if name.startswith("massconvert.")} == TASKS
    assert set(celeryconfig.task_routes) == TASKS
    assert {route["queue"] for route in celeryconfig.task_routes.values()} <= QUEUES


def test_a_worker_without_flags_takes_all_queues() -> None:
    """Exchange and routing key are the queue's name, as `send_task(queue=…)` of a stranger makes them."""
    assert {queue.name for queue in celeryconfig.task_queues} == QUEUES
    for queue in celeryconfig.task_queues:
        assert queue.exchange.name == queue.routing_key == queue.name
        assert queue.exchange.type == "direct"


def test_messages_are_json_and_results_are_nowhere() -> None:
    """No pickle is taken, and nothing is stored."""
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"
    assert app.conf.task_ignore_result is True
    assert app.conf.result_backend is None


def test_no_countdown_comes_near_the_visibility_timeout() -> None:
    """A message that is held for longer is delivered again, and each retry doubles the copies."""
    longest_task = Settings.model_validate({}).permit_wait + 2 * 30.0
    assert LONGEST_COUNTDOWN + longest_task < app.conf.broker_transport_options["visibility_timeout"] / 2
    assert STORE_AWAY_COUNTDOWN <= LONGEST_COUNTDOWN


def test_a_task_survives_its_worker_and_is_never_given_up_by_celery() -> None:
    """Acknowledged late; the ledger counts attempts."""
    app.loader.import_default_modules()
    assert app.conf.task_acks_late is True
    assert all(app.tasks[name].max_retries is None for name in TASKS)
    assert app.conf.broker_connection_max_retries is None
    assert app.conf.broker_connection_retry_on_startup is True


def test_no_thread_of_the_pool_speaks_to_the_broker_on_the_loop_s_connection() -> None:
    """By default Celery's does after a reconnection, and tears RabbitMQ's frames; tests/acceptance/test_rabbitmq.py."""
    assert app.conf.worker_enable_prefetch_count_reduction is False


def test_what_monitors_are_told_does_not_hold_up_the_loop_for_a_broker_that_is_gone() -> None:
    """Celery's own has it wait there for ever: the loop found out nothing, and obeyed no signal."""
    with Connection("redis://127.0.0.1:1/0") as gone:
        dispatcher = app.events.Dispatcher(gone, enabled=False)
        dispatcher.producer, dispatcher.enabled = Mock(), True
        dispatcher.send("worker-heartbeat", retry=True)
    told = dispatcher.producer.publish.call_args.kwargs
    assert (told["retry"], told["retry_policy"]) == (True, {"max_retries": 1, "interval_start": 0})


@pytest.mark.parametrize(("given", "limit"), [("", 1), ("1", 0)])
def test_quorum_queues_are_consumed_without_the_limit_that_they_refuse(given: str, limit: int) -> None:
    """A limit of the whole channel; 0 is none."""
    code = "import celeryconfig; print(celeryconfig.worker_prefetch_multiplier)"
    env = {"PATH": os.environ["PATH"], "MASSCONVERT_QUORUM_QUEUES": given}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{limit}\n"


def test_beat_s_file_is_not_in_the_working_directory() -> None:
    """And every entry of its schedule is a task of the contract that expires."""
    assert Path(celeryconfig.beat_schedule_filename).is_absolute()
    entries: list[Any] = list(celeryconfig.beat_schedule.values())
    for entry in entries:
        assert entry["task"] in TASKS
        assert entry["options"]["expires"] <= entry["schedule"]
