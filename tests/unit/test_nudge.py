"""What a nudge puts on the wire, through Celery's own in-memory broker."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from celery import Celery, current_app

from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS, TASK_CHUNK, TASK_CONVERT, TASK_STATUS
from massconvert.errors import SettingsError
from massconvert.model import Job
from massconvert.nudge import Nudge


@pytest.fixture
def nudge() -> Iterator[Nudge]:
    """A nudge to a broker in memory, whose queues are empty at first."""
    made = Nudge("memory://")
    with made._app.connection_for_write() as connection:
        for queue in (QUEUE, QUEUE_CONVERT, QUEUE_STATUS):
            channel = connection.channel()
            channel.queue_declare(queue)
            channel.queue_purge(queue)
    yield made
    made.close()


def sent(nudge: Nudge, queue: str) -> tuple[dict[str, Any], Any]:
    """The headers and the body of the one message in that queue."""
    with nudge._app.connection_for_write() as connection:
        message = connection.channel().basic_get(queue, no_ack=True)
        assert message is not None, f"nothing in {queue}"
        assert connection.channel().basic_get(queue, no_ack=True) is None
    assert message.content_type == "application/json"
    body = message.body if isinstance(message.body, bytes) else message.body.encode()
    return message.headers, json.loads(body if body.startswith(b"[") else base64.b64decode(body))


def test_chunk_is_a_message_without_arguments(nudge: Nudge) -> None:
    """By name, to its queue, with no result wanted."""
    nudge.chunk()
    headers, (args, kwargs, _) = sent(nudge, QUEUE)
    assert (headers["task"], args, kwargs) == (TASK_CHUNK, [], {})
    assert headers["ignore_result"] is True
    assert headers["eta"] is None


def test_convert_is_a_chain_whose_status_gets_the_job(nudge: Nudge) -> None:
    """The second task is not immutable: it takes what the first returns."""
    nudge.convert("c1")
    headers, (args, _, embed) = sent(nudge, QUEUE_CONVERT)
    assert (headers["task"], args) == (TASK_CONVERT, ["c1"])
    (status,) = embed["chain"]
    assert (status["task"], status["args"], status["immutable"]) == (TASK_STATUS, [], False)
    assert status["options"]["queue"] == QUEUE_STATUS
    assert status["options"]["ignore_result"] is True


@pytest.mark.parametrize("job", [Job("c1", "42", due_in=3.0), {"chunk_id": "c1", "job_id": "42"}])
def test_status_carries_ids_and_nothing_else(nudge: Nudge, job: Any) -> None:
    """A message carries an id, never state."""
    nudge.status(job)
    headers, (args, _, embed) = sent(nudge, QUEUE_STATUS)
    assert (headers["task"], args) == (TASK_STATUS, [{"chunk_id": "c1", "job_id": "42"}])
    assert not embed["chain"]


def test_a_countdown_is_kept_by_the_message(nudge: Nudge) -> None:
    """The first task of the chain waits."""
    before = datetime.now(timezone.utc)
    nudge.convert("c1", countdown=20)
    headers, _ = sent(nudge, QUEUE_CONVERT)
    eta = datetime.fromisoformat(headers["eta"])
    assert timedelta(seconds=19) < eta - before < timedelta(seconds=25)


def test_the_host_s_own_celery_app_stays_the_current_one() -> None:
    """A producer may be somebody else's Celery worker."""
    theirs = Celery("theirs", set_as_current=True)
    Nudge("memory://").chunk()
    assert current_app.main == "theirs"
    theirs.close()


def test_a_broker_that_celery_does_not_know_is_a_wrong_setting() -> None:
    """Told when the nudge is made, without the password."""
    with pytest.raises(SettingsError, match="CELERY_BROKER_URL") as told:
        Nudge("foo://user:hunter2@host//")
    assert "hunter2" not in str(told.value)


def test_nothing_connects_before_the_first_message() -> None:
    """A producer may be imported where no broker is."""
    Nudge("redis://127.0.0.1:1/0").close()


def test_it_is_the_only_module_of_the_library_that_loads_celery() -> None:
    """Reports and status need none."""
    code = "import sys, massconvert.report, massconvert.ledger; assert not [m for m in sys.modules if m == 'celery']"
    subprocess.run([sys.executable, "-c", code], check=True)
