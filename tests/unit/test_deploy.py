"""examples/deploy: what a parser or a schema can say of it, and what must agree with the code."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from massconvert.cli.app import app
from massconvert.contract import Exit
from massconvert.profiles.reading import read_config
from massconvert.settings import CREDENTIALS, variables
from massconvert.telemetry.heartbeat import MAX_AGE
from workers.lifecycle import STOP_WITHIN

DEPLOY = Path(__file__).resolve().parents[2] / "examples" / "deploy"
MANIFESTS = DEPLOY / "kubernetes"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
COMMANDS = {command.name for command in app.registered_commands}


def documents(name: str) -> list[dict[str, Any]]:
    """The resources of a manifest."""
    return [dict(document) for document in yaml.safe_load_all((MANIFESTS / name).read_text())]


def one(name: str, kind: str) -> dict[str, Any]:
    """The only resource of a kind in a manifest."""
    (found,) = (document for document in documents(name) if document["kind"] == kind)
    return found


def containers() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each container, with its file and its pod."""
    return [
        (path.name, container, document["spec"]["template"]["spec"])
        for path in sorted(MANIFESTS.glob("*.yaml"))
        for document in documents(path.name)
        if document["kind"] == "Deployment"
        for container in document["spec"]["template"]["spec"]["containers"]
    ]


def unit(path: Path) -> dict[str, list[str]]:
    """The lines of a unit by name; a name may come several times."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            found.setdefault(line.partition("=")[0], []).append(line.partition("=")[2])
    return found


# --- kubernetes


@pytest.mark.parametrize("name", ["secrets.yaml", "config.yaml", "worker.yaml", "beat.yaml", "status.yaml"])
def test_a_manifest_is_valid_by_kubernetes_own_schema(name: str) -> None:
    """And the schema is one that would notice."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="not installed; `make install` brings it")
    for document in documents(name):
        kubernetes_validate.validate(document, "1.33", strict=True)
    wrong = documents(name)[0] | {"spek": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


def test_every_variable_and_command_of_the_manifests_is_ours() -> None:
    """A misspelt variable would be ignored in silence."""
    for _, container, _ in containers():
        assert {variable["name"] for variable in container.get("env", [])} <= set(variables())
        if container["command"][0] == "massconvert":
            assert container["command"][1] in COMMANDS
    given = [key for name in ("secrets.yaml", "config.yaml") for document in documents(name) for key in data(document)]
    assert {key for key in given if key != "massconvert.toml"} <= set(variables())


def data(document: dict[str, Any]) -> dict[str, str]:
    """What a Secret or ConfigMap holds."""
    return dict(document.get("data") or document.get("stringData") or {})


def test_only_workers_get_zoho_s_credentials_and_those_here_are_invented() -> None:
    holders = {
        name
        for name, container, _ in containers()
        for source in container.get("envFrom", [])
        if source.get("secretRef") == {"name": "massconvert-zoho"}
    }
    assert holders == {"worker.yaml"}
    redis, zoho = (data(document) for document in documents("secrets.yaml"))
    assert set(zoho) == set(CREDENTIALS)
    assert all("not-a-" in value.lower() for value in [*zoho.values(), redis["REDIS_URL"]])


def test_the_pods_are_locked_up_and_are_told_of_no_service() -> None:
    """A service called massconvert-… would put variables into each pod that look like settings of ours."""
    for name, container, pod in containers():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["enableServiceLinks"] is False, name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"]["readOnlyRootFilesystem"], name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["limits"]["memory"], name


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_a_pod_is_watched_by_its_heartbeat(role: str) -> None:
    """As docs/health.md has it; a check comes before the heartbeat is too old."""
    (container,) = one(f"{role}.yaml", "Deployment")["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["exec"] == {"command": ["massconvert", "health", role]}
        assert container[probe]["periodSeconds"] <= MAX_AGE
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert env["MASSCONVERT_STATE_DIR"] in {mount["mountPath"] for mount in container["volumeMounts"]}


def test_a_worker_is_given_longer_than_it_takes_to_stop_and_no_number() -> None:
    """Who scales says how many there are."""
    spec = one("worker.yaml", "Deployment")["spec"]
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > STOP_WITHIN
    assert "replicas" not in spec


def test_there_is_one_beat() -> None:
    """The old one ends before the new one starts, and its volume is free then."""
    spec = one("beat.yaml", "Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


def test_nothing_of_the_example_converts_leads_by_itself(tmp_path: Path) -> None:
    """massconvert.toml is valid, and has no profile until somebody writes one."""
    file = tmp_path / "massconvert.toml"
    file.write_text(next(text for document in documents("config.yaml") if (text := data(document).get(file.name))))
    assert read_config(file).profiles == {}
    file.write_text(re.sub("^# (?!A comment)", "", file.read_text(), flags=re.MULTILINE))
    assert set(read_config(file).profiles) == {"nightly"}


def test_keda_asks_for_what_status_says() -> None:
    """One trigger for each number, both in the formula; the field's names are those of the custom resource."""
    scaled = one("scaledobject.yaml", "ScaledObject")
    spec = scaled["spec"]
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    assert set(spec) <= {
        "scaleTargetRef", "pollingInterval", "minReplicaCount", "maxReplicaCount", "triggers", "advanced",
    }  # fmt: skip
    assert spec["scaleTargetRef"]["name"] == one("worker.yaml", "Deployment")["metadata"]["name"]
    assert spec["minReplicaCount"] >= 1  # jobs run while no lead waits, and somebody must follow them
    modifiers = spec["advanced"]["scalingModifiers"]
    assert set(modifiers) == {"formula", "target", "metricType"}
    named = {trigger["name"]: trigger for trigger in spec["triggers"]}
    assert set(named) == set(re.findall(r"[a-z_]+", modifiers["formula"])) == {"leads_waiting", "workers_useful"}
    service = one("status.yaml", "Service")
    port = service["spec"]["ports"][0]["port"]
    for name, trigger in named.items():
        assert trigger["type"] == "metrics-api"
        assert trigger["metadata"]["valueLocation"] == name
        assert trigger["metadata"]["url"] == f"http://{service['metadata']['name']}:{port}/status.json"


def test_kustomize_knows_every_file_that_every_cluster_can_take() -> None:
    (listed,) = documents("kustomization.yaml")
    needs_keda = {"scaledobject.yaml", "status.yaml", "kustomization.yaml"}
    assert set(listed["resources"]) == {path.name for path in MANIFESTS.glob("*.yaml")} - needs_keda


# --- systemd


@pytest.mark.parametrize("path", UNITS, ids=lambda path: str(path.stem))
def test_a_unit_is_valid(path: Path, tmp_path: Path) -> None:
    """By systemd itself, with a program and a file that are there."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed; only the fields are checked, in the next test")
    text = path.read_text().replace("/opt/massconvert/bin/massconvert", "/bin/true")
    copy = tmp_path / path.name
    copy.write_text(text.replace("/etc/massconvert/environment", "/dev/null"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    copy.write_text(copy.read_text().replace("KillSignal=", "KillSignl="))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "KillSignl" in done.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: str(path.stem))
def test_a_unit_runs_our_command_and_comes_back(path: Path) -> None:
    """But not where starting it again does not help."""
    lines = unit(path)
    program, role, *options = shlex.split(lines["ExecStart"][0])
    assert program == "/opt/massconvert/bin/massconvert"
    assert role in COMMANDS
    assert path.stem.removesuffix("@") == f"massconvert-{role}"
    assert options == (["--hostname", "worker-%i@%%h"] if role == "worker" else [])
    assert {line.partition("=")[0] for line in lines["Environment"]} <= set(variables())
    assert (lines["Restart"], lines["KillSignal"]) == (["always"], ["SIGTERM"])
    assert lines["RestartPreventExitStatus"] == [f"{int(Exit.USAGE)} {int(Exit.UNREACHABLE)}"]
    assert lines["NoNewPrivileges"] == ["yes"]


def test_a_unit_s_worker_has_longer_than_it_takes_to_stop_and_a_heartbeat_of_its_own() -> None:
    (path,) = (path for path in UNITS if "worker" in path.name)
    lines = unit(path)
    assert float(lines["TimeoutStopSec"][0]) > STOP_WITHIN
    assert lines["KillMode"] == ["mixed"]
    assert any(line.startswith("MASSCONVERT_HEARTBEAT_FILE=") and line.endswith("%i") for line in lines["Environment"])


def test_the_environment_s_file_has_settings_that_are_invented() -> None:
    lines = (DEPLOY / "systemd" / "environment").read_text().splitlines()
    named = dict(line.lstrip("#").split("=", 1) for line in lines if "=" in line)
    assert set(named) <= set(variables())
    assert all("not-a-" in named[name].lower() for name in CREDENTIALS)


# --- procfile


def test_the_procfile_has_our_two_processes() -> None:
    lines = [line.split(": ", 1) for line in (DEPLOY / "Procfile").read_text().splitlines()]
    assert lines == [["worker", "massconvert worker"], ["beat", "massconvert beat"]]
    assert {command.split()[1] for _, command in lines} <= COMMANDS
