"""Each service of docker-compose.yml, by its own command line, as a process of this machine.

No engine is needed: the commands and variables are the file's; hosts, ports and directories are replaced.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from massconvert.nudge import Nudge
from tests.acceptance.house import ROOT, House, until
from tests.servers import find_redis_server, free_port

pytestmark = pytest.mark.acceptance
BIN = Path(sys.executable).parent


@pytest.fixture
def services() -> dict[str, Any]:
    """The services of docker-compose.yml, as they are where nothing is set that has a default."""
    text = (ROOT / "docker-compose.yml").read_text()
    return dict(yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))["services"])


@pytest.fixture
def simulator_env() -> dict[str, str]:
    """simulator.env."""
    lines = (ROOT / "simulator.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def environment(house: House, service: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    """What compose would give to a service: its variables, those of the project filled in; Redis is on loopback."""
    made = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(house.folder)}
    for name, value in service.get("environment", {}).items():
        if value is None:
            made |= {name: given[name]} if name in given else {}
        else:
            made[name] = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: given[match[1]], value)
    made["MASSCONVERT_STATE_DIR"] = str(house.folder / "state")  # as the Dockerfile names one
    if "REDIS_URL" in made:
        made["REDIS_URL"] = made["REDIS_URL"].replace("redis:6379", f"127.0.0.1:{house.port}")
    if "PYTHONPATH" in house.environment:
        made["PYTHONPATH"] = house.environment["PYTHONPATH"]
    return made


def start(house: House, name: str, command: list[str], env: dict[str, str], says: str) -> subprocess.Popen[bytes]:
    """Start a service's command and wait for the words that say it runs."""
    house.environment = env
    process = house.run(*command, name=name)
    log = house.folder / f"{name}.log"

    def running() -> bool:
        assert process.poll() is None, log.read_text()
        return says in log.read_text()

    until(running, 40, f"{name} to say {says!r}")
    return process


def healthy(service: dict[str, Any], env: dict[str, str], *more: str) -> bool:
    """What the service's own health check says."""
    kind, *command = service["healthcheck"]["test"]
    assert kind == "CMD"
    done = subprocess.run([*command, *more], cwd=ROOT, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode == 0


def start_redis(house: House, services: dict[str, Any]) -> subprocess.Popen[bytes]:
    """The redis service, on loopback and a port of our own."""
    command = [find_redis_server(), *services["redis"]["command"][1:]]
    command += ["--bind", "127.0.0.1", "--port", str(house.port), "--dir", str(house.folder)]
    return start(house, "redis", command, house.environment, "eady to accept connections")


def test_redis_starts_and_is_healthy(house: House, services: dict[str, Any]) -> None:
    """By the file's own health check."""
    assert services["redis"]["command"][0] == "redis-server"
    start_redis(house, services)
    check = [
        part.replace("redis-cli", str(Path(find_redis_server()).with_name("redis-cli")))
        for part in services["redis"]["healthcheck"]["test"][1:]
    ]
    done = subprocess.run(
        [check[0], "-p", str(house.port), *check[1:]], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "PONG"


def test_worker_starts_is_healthy_and_stops_in_time(
    house: House, services: dict[str, Any], simulator_env: dict[str, str]
) -> None:
    """With the variables that compose gives it, and no others."""
    start_redis(house, services)
    env = environment(house, services["worker"], simulator_env)
    worker = start(house, "worker", services["worker"]["command"], env, " ready.")
    until(lambda: healthy(services["worker"], env), 20, "a healthy worker")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(40) == 0
    assert not healthy(services["worker"], env)


def test_a_worker_is_healthy_while_redis_is_away_and_not_when_it_hangs(
    house: House, services: dict[str, Any], simulator_env: dict[str, str]
) -> None:
    """A restart would fix the second and not the first."""
    redis = start_redis(house, services)
    env = environment(house, services["worker"], simulator_env)
    worker = start(house, "worker", services["worker"]["command"], env, " ready.")
    until(lambda: healthy(services["worker"], env), 20, "a healthy worker")
    house.kill(redis)
    file = house.folder / "state" / "heartbeat-worker"
    before = file.read_bytes()
    until(lambda: file.read_bytes() != before and healthy(services["worker"], env, "--max-age", "8"), 30, "a beat")
    worker.send_signal(signal.SIGSTOP)
    until(lambda: not healthy(services["worker"], env, "--max-age", "2"), 30, "the silence")
    worker.send_signal(signal.SIGCONT)
    until(lambda: healthy(services["worker"], env, "--max-age", "8"), 30, "another beat")


def test_a_worker_that_takes_nothing_is_unhealthy_and_ends_itself(
    house: House, services: dict[str, Any], simulator_env: dict[str, str]
) -> None:
    """Connected, its loop turning, but deaf: as after a reconnection that went wrong (celery#8030)."""
    start_redis(house, services)
    env = environment(house, services["worker"], simulator_env)
    command = ["celery", "-A", "tests.acceptance.deaf_worker", "worker"]
    worker = start(house, "worker", command, env, " ready.")
    until(lambda: healthy(services["worker"], env), 20, "a healthy worker")
    nudge = Nudge(house.redis_url)
    nudge.chunk()
    nudge.close()
    until(lambda: not healthy(services["worker"], env, "--max-age", "3"), 30, "the heart to stop")
    worker.wait(60)
    log = (house.folder / "worker.log").read_text()
    assert "This worker does not work: it has taken nothing for" in log
    assert "although 1 messages wait" in log


def test_a_worker_without_secrets_says_which_and_ends(house: House, services: dict[str, Any]) -> None:
    """Two lines and status 3."""
    env = environment(
        house, services["worker"], dict.fromkeys(("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"), "")
    )
    done = subprocess.run(
        services["worker"]["command"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert done.stderr.splitlines()[0] == "Not set: ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN."
    assert "Traceback" not in done.stderr


def test_beat_starts_sends_and_leaves_no_file_behind(house: House, services: dict[str, Any]) -> None:
    """Its schedule is in the state directory; it needs no secret."""
    before = set(os.listdir(ROOT))
    start_redis(house, services)
    env = environment(house, services["beat"], {})
    beat = start(house, "beat", services["beat"]["command"], env, "beat: Starting...")
    until(lambda: any((house.folder / "state").glob("beat-schedule*")), 20, "the schedule's file")
    until(lambda: healthy(services["beat"], env), 20, "a healthy beat")
    beat.send_signal(signal.SIGSTOP)
    until(lambda: not healthy(services["beat"], env, "--max-age", "2"), 30, "the silence")
    beat.send_signal(signal.SIGCONT)
    beat.send_signal(signal.SIGTERM)
    assert beat.wait(40) == 0
    assert not healthy(services["beat"], env)
    assert not [name for name in set(os.listdir(ROOT)) - before if "beat" in name]


def test_simulator_starts_and_is_healthy(house: House, services: dict[str, Any]) -> None:
    """By the file's own check; on loopback here."""
    port = str(free_port())
    command = [part.replace("0.0.0.0", "127.0.0.1").replace("8080", port) for part in services["simulator"]["command"]]
    house.environment = environment(house, services["simulator"], {})
    process = house.run(*command, name="simulator")

    def healthy() -> bool:
        assert process.poll() is None, (house.folder / "simulator.log").read_text()
        check = [part.replace("8080", port) for part in services["simulator"]["healthcheck"]["test"][1:]]
        check[0] = sys.executable
        return subprocess.run(check, capture_output=True, timeout=20, check=False).returncode == 0

    until(healthy, 40, "the simulator")
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    process.wait(20)
