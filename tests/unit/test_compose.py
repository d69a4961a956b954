"""docker-compose.yml, Dockerfile and .dockerignore: what can be checked of them without an engine."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for

from massconvert.addresses import check_redis_url, group_of
from massconvert.settings import variables
from massconvert.telemetry.heartbeat import MAX_AGE
from workers.lifecycle import STOP_WITHIN

ROOT = Path(__file__).resolve().parents[2]
SECRETS = ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN")


@pytest.fixture
def compose() -> dict[str, Any]:
    """docker-compose.yml."""
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


@pytest.fixture
def schema() -> dict[str, Any]:
    """The Compose specification's own schema, as the package check-jsonschema ships it."""
    package = find_spec("check_jsonschema")
    assert package, "check-jsonschema is missing; `make install` brings it"
    assert package.origin
    path = Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    return dict(json.loads(path.read_text(encoding="utf-8")))


def complaints(schema: dict[str, Any], document: dict[str, Any]) -> list[str]:
    """What the schema says against a document."""
    return [f"{error.json_path}: {error.message}" for error in validator_for(schema)(schema).iter_errors(document)]


def seconds(duration: str) -> float:
    """``40s`` → 40.0."""
    match = re.fullmatch(r"(\d+)s", duration)
    assert match, duration
    return float(match[1])


def test_the_file_is_valid_by_the_compose_specification(compose: dict[str, Any], schema: dict[str, Any]) -> None:
    """And the schema is one that would notice."""
    assert complaints(schema, compose) == []
    compose["services"]["worker"]["restrat"] = "always"
    assert complaints(schema, compose) != []


def test_redis_keeps_everything_and_evicts_nothing(compose: dict[str, Any]) -> None:
    """Append-only, on a volume, with a health check that the others wait for."""
    redis = compose["services"]["redis"]
    command = " ".join(redis["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert redis["volumes"] == ["redis-data:/data"]
    assert redis["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    for name in ("worker", "beat"):
        assert compose["services"][name]["depends_on"]["redis"]["condition"] == "service_healthy"


def test_redis_is_published_on_loopback_only(compose: dict[str, Any]) -> None:
    """It has no password."""
    assert all(port.startswith("127.0.0.1:") for port in compose["services"]["redis"]["ports"])


def test_every_service_comes_back_by_itself(compose: dict[str, Any]) -> None:
    """A restart policy each."""
    assert {service["restart"] for service in compose["services"].values()} == {"unless-stopped"}


def test_workers_scale(compose: dict[str, Any]) -> None:
    """Nothing in the worker can exist only once on a machine."""
    assert not {"container_name", "ports", "hostname", "volumes"} & set(compose["services"]["worker"])


def test_secrets_come_from_the_environment_and_have_no_default(compose: dict[str, Any]) -> None:
    """Only the worker gets them; without them, compose says which is missing."""
    for name in SECRETS:
        assert compose["services"]["worker"]["environment"][name].startswith(f"${{{name}:?")
        assert name not in compose["services"]["beat"]["environment"]


def test_every_variable_of_the_services_is_a_setting(compose: dict[str, Any]) -> None:
    """A misspelt one would be ignored in silence."""
    for service in compose["services"].values():
        others = {name for name in service.get("environment", {}) if not name.startswith("OTEL_")}
        assert others <= set(variables())
    page = (ROOT / "docs" / "monitoring.md").read_text()
    traced = [name for name in compose["services"]["worker"]["environment"] if name.startswith("OTEL_")]
    assert [name for name in traced if f"`{name}`" not in page] == []
    for path in ("simulator.env", ".env.example"):
        named = re.findall(r"^#?([A-Z_]+)=", (ROOT / path).read_text(), re.MULTILINE)
        assert named
        assert set(named) <= set(variables())


def test_a_worker_is_given_longer_than_it_takes_to_stop(compose: dict[str, Any]) -> None:
    """Else the engine kills it in the middle of handing back."""
    assert seconds(compose["services"]["worker"]["stop_grace_period"]) > STOP_WITHIN


def test_workers_and_beat_are_watched_by_their_heartbeat(compose: dict[str, Any]) -> None:
    """Each by its own; without the broker. A check takes less time than it is given, and comes in time."""
    for name in ("worker", "beat"):
        check = compose["services"][name]["healthcheck"]
        assert check["test"] == ["CMD", "massconvert", "health", name]
        assert seconds(check["interval"]) <= MAX_AGE


def test_the_simulator_runs_only_when_asked_for(compose: dict[str, Any]) -> None:
    """By its profile, and on the port that simulator.env names."""
    simulator = compose["services"]["simulator"]
    assert simulator["profiles"] == ["simulator"]
    port = simulator["command"][simulator["command"].index("--port") + 1]
    assert f"ZOHO_API_DOMAIN=http://simulator:{port}" in (ROOT / "simulator.env").read_text()


def test_the_dashboard_runs_only_when_asked_for_on_loopback_and_asks_for_its_token(compose: dict[str, Any]) -> None:
    """No credentials of Zoho's; inside its container it listens to all, so the command demands a token."""
    service = compose["services"]["dashboard"]
    assert service["profiles"] == ["dashboard", "monitoring"]
    assert service["command"] == ["massconvert", "dashboard", "--host", "0.0.0.0", "--public-host", "dashboard"]
    targets = re.findall(r'"(\w+):8640"', (ROOT / "monitoring" / "prometheus.yml").read_text())
    assert targets == [service["command"][-1]]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["environment"]["MASSCONVERT_DASHBOARD_TOKEN"] is None
    assert not set(SECRETS) & set(service["environment"])
    assert "'.[dashboard,metrics]'" in (ROOT / "Dockerfile").read_text()


def test_sentinels_and_replicas_run_only_when_asked_for_and_are_what_sentinel_env_names(
    compose: dict[str, Any],
) -> None:
    """Three and two; all data nodes are started alike, since each may become the primary."""
    services = {name: each for name, each in compose["services"].items() if each.get("profiles") == ["sentinel"]}
    assert set(services) == {"redis-2", "redis-3", "sentinel-1", "sentinel-2", "sentinel-3"}
    lines = (ROOT / "sentinel.env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    group = group_of(check_redis_url(given["LEDGER_URL"]))
    assert group
    assert [host for host, _ in group.hosts] == sorted(name for name in services if name.startswith("sentinel"))
    (text,) = {each["command"][2] for name, each in services.items() if name.startswith("sentinel")}
    assert f"sentinel monitor {group.service} redis 6379 2\n" in text
    for name in ("redis-2", "redis-3"):
        own = services[name]["command"]
        assert own[: own.index("--replicaof")] == compose["services"]["redis"]["command"]
    down_after = int(re.findall(r"down-after-milliseconds \w+ (\d+)", text)[0])
    command = compose["services"]["redis"]["command"]
    assert int(command[command.index("--min-replicas-max-lag") + 1]) * 1000 < down_after
    for name in ("worker", "beat", "dashboard"):
        assert compose["services"][name]["environment"]["REDIS_URL"] == "${LEDGER_URL:-redis://redis:6379/0}"
    assert set(given) == set(re.findall(r"\$\{(\w+):-", (ROOT / "docker-compose.yml").read_text())) - {"REDIS_PORT"}


def test_the_image_runs_as_nobody_special_and_has_no_health_check_of_its_own() -> None:
    """A worker's check would be wrong for beat and the simulator, which run the same image."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    words = [line.split()[0] for line in lines if line and not line.startswith(("#", " "))]
    assert "HEALTHCHECK" not in words
    assert words.index("USER") < words.index("CMD")
    assert sum(word == "FROM" for word in words) == 2


def test_the_image_gets_all_that_it_copies_and_no_secret() -> None:
    """.dockerignore lets in by name; everything it lets in exists."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert not {name for name in let_in if name.startswith(".")}
    assert all((ROOT / name).exists() for name in let_in)
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} == let_in


def test_the_image_has_the_wheel_and_runs_its_command(compose: dict[str, Any]) -> None:
    """Not the checkout; and the empty package that brings the dependencies has all that the build asks for."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--editable" not in dockerfile
    assert "pip wheel --no-deps" in dockerfile
    assert json.loads(re.findall(r"^CMD (.+)$", dockerfile, re.MULTILINE)[0]) == ["massconvert", "worker"]
    assert [compose["services"][name]["command"] for name in ("worker", "beat")] == [
        ["massconvert", "worker"],
        ["massconvert", "beat"],
    ]
    included = re.findall(r'^"([\w.]+)" = "massconvert/_celery/', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert set(included) == {"celeryconfig.py", "tasks", "workers"}
    (empty,) = re.findall(r"^RUN mkdir (.+)$", dockerfile, re.MULTILINE)
    assert set(included) <= set(empty.split())
