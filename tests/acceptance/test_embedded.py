"""The embedded stack with its real processes: it runs, it heals, and nothing of it outlives its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from massconvert.contract import QUEUE, UNACKED
from massconvert.embedded import Stack
from massconvert.errors import EmbeddedError
from massconvert.nudge import Nudge
from massconvert.settings import load_settings
from massconvert.store import connect
from tests.acceptance.house import ROOT, House, until

pytestmark = pytest.mark.acceptance
ZOHO = {
    "ZOHO_CLIENT_ID": "1000.TEST",
    "ZOHO_CLIENT_SECRET": "not-a-secret",
    "ZOHO_REFRESH_TOKEN": "1000.not-a-token",
    "ZOHO_ACCOUNTS_URL": "http://127.0.0.1:9",
    "ZOHO_API_DOMAIN": "http://127.0.0.1:9",
}
ALONE = {**ZOHO, "REDIS_URL": "", "CELERY_BROKER_URL": "", "MASSCONVERT_SWEEP_INTERVAL": "600"}


def gone(pids: list[int]) -> bool:
    """Whether none of these processes runs."""
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state directory of this test."""
    return tmp_path / "state"


def test_it_starts_works_heals_and_leaves_nothing(state_dir: Path) -> None:
    """Redis, a worker and beat; each is started again when it is killed; the data outlives the stack."""
    with Stack(state_dir, environ=ALONE) as stack:
        stack.wait_ready(60)
        assert set(stack.pids) == {"supervisor", "redis", "worker-1", "beat"}
        client = connect(stack.redis_url)
        client.set("kept", "yes")
        for name in ("redis", "worker-1", "beat"):
            before = stack.pids[name]
            os.kill(before, signal.SIGKILL)
            until(lambda name=name, before=before: stack.pids.get(name, before) != before, 20, f"{name} again")  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
        stack.wait_ready(60)
        stack.check()
        settings = load_settings(stack.environment, dotenv=None)
        nudge = Nudge(settings.broker_url)
        nudge.chunk()
        nudge.close()
        until(lambda: not client.llen(QUEUE) and not client.hlen(UNACKED), 30, "the worker to take a message")
        client.close()
        pids = list(stack.pids.values())
        assert {path.name for path in (state_dir / "logs").glob("*.log")} >= {"redis.log", "worker-1.log", "beat.log"}
    assert gone(pids)
    assert "bye bye" in (state_dir / "logs" / "redis.log").read_text()
    with Stack(state_dir, environ=ALONE, workers=0, beat=False) as stack:
        stack.wait_ready(60)
        client = connect(stack.redis_url)
        assert client.get("kept") == "yes"
        client.close()


def test_two_stacks_do_not_share_a_directory(state_dir: Path) -> None:
    """The second is told who has it; and may have it afterwards."""
    with Stack(state_dir, environ=ALONE, workers=0, beat=False) as first:
        with pytest.raises(EmbeddedError, match=f"process {first.pids['supervisor']}") as told:
            Stack(state_dir, environ=ALONE, workers=0, beat=False).start()
        assert "MASSCONVERT_STATE_DIR" in told.value.hint
        first.wait_ready(60)


def test_a_worker_that_cannot_run_is_told_with_its_last_words(state_dir: Path) -> None:
    """Not started again without end."""
    without = {**ALONE, "ZOHO_CLIENT_ID": ""}
    with Stack(state_dir, environ=without, beat=False) as stack, pytest.raises(EmbeddedError) as told:
        stack.wait_ready(60)
    assert "worker-1 ended with status 3" in told.value.message
    assert "Not set: ZOHO_CLIENT_ID." in told.value.message


def test_without_keep_data_nothing_is_left(tmp_path: Path) -> None:
    """Not even the directory."""
    with Stack(tmp_path, environ=ALONE, workers=0, beat=False, keep_data=False) as stack:
        stack.wait_ready(60)
        assert stack.state_dir.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_redis_that_is_given_is_used_and_left_alone(state_dir: Path, house: House) -> None:
    """No Redis of our own, and the given one runs on."""
    server = house.redis()
    with Stack(state_dir, environ={**ALONE, "REDIS_URL": house.redis_url}, beat=False) as stack:
        stack.wait_ready(60)
        assert stack.redis_url == house.redis_url
        assert set(stack.pids) == {"supervisor", "worker-1"}
    assert server.poll() is None


# --- however it ends ------------------------------------------------------------------------------------------

PARENT = """
import json, sys, time
from pathlib import Path
from massconvert.embedded import Stack
with Stack(Path(sys.argv[1]), environ=json.loads(sys.argv[2])) as stack:
    stack.wait_ready(60)
    try:
        print(json.dumps(stack.pids), flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        pass
"""


@pytest.fixture
def parent(state_dir: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """A process that runs a stack, and the ids of the stack's processes."""
    command = [sys.executable, "-c", PARENT, str(state_dir), json.dumps(ALONE)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout
    pids: dict[str, Any] = json.loads(process.stdout.readline())
    yield process, pids
    for pid in (process.pid, *pids.values()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(30)
    process.stdout.close()


def test_kill_9_of_the_parent_ends_everything(parent: tuple[subprocess.Popen[str], dict[str, int]]) -> None:
    """The supervisor sees its pipe close."""
    process, pids = parent
    process.kill()
    until(lambda: gone(list(pids.values())), 30, "the end of all")


def test_a_ctrl_c_in_the_terminal_winds_up_in_order(
    parent: tuple[subprocess.Popen[str], dict[str, int]], state_dir: Path
) -> None:
    """It reaches the parent alone; workers end warmly, Redis last."""
    process, pids = parent
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 0
    assert gone(list(pids.values()))
    assert "Warm shutdown" in (state_dir / "logs" / "worker-1.log").read_text()
    assert "bye bye" in (state_dir / "logs" / "redis.log").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children whose parent was killed")
def test_kill_9_of_the_supervisor_ends_its_children(parent: tuple[subprocess.Popen[str], dict[str, int]]) -> None:
    """The kernel does."""
    _, pids = parent
    os.kill(pids["supervisor"], signal.SIGKILL)
    until(lambda: gone([pid for name, pid in pids.items() if name != "supervisor"]), 30, "the end of all")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children whose parent was killed")
def test_kill_9_of_parent_and_supervisor_at_once_leaves_nothing(
    parent: tuple[subprocess.Popen[str], dict[str, int]],
) -> None:
    """As an out-of-memory killer might."""
    process, pids = parent
    os.kill(pids["supervisor"], signal.SIGSTOP)
    process.kill()
    os.kill(pids["supervisor"], signal.SIGKILL)
    until(lambda: gone(list(pids.values())), 30, "the end of all")
