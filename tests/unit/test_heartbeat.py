"""The heartbeat file, and the command that reads it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from massconvert.telemetry.heartbeat import Heartbeat, complaint, heartbeat_path, read_beat
from tests.stand_ins import Steady
from tests.unit.cli_shell import Shell


@pytest.fixture
def clock() -> Steady:
    return Steady()


@pytest.fixture
def heart(tmp_path: Path, clock: Steady) -> Heartbeat:
    return Heartbeat(tmp_path / "new" / "heartbeat-worker", monotonic=clock)


def test_a_fresh_beat_is_healthy_and_an_old_one_is_not(heart: Heartbeat) -> None:
    heart.beat()
    assert complaint(heart.path, max_age=60, now=1060.0) == ""
    words = complaint(heart.path, max_age=60, now=1060.1)
    assert "has not beaten for 60 s" in words
    assert str(os.getpid()) in words


def test_trouble_lets_the_heart_grow_old_and_says_why(heart: Heartbeat, clock: Steady) -> None:
    heart.beat()
    clock.now += 50
    heart.beat("it has taken nothing for 120 s, although 7 messages wait")
    assert complaint(heart.path, max_age=60, now=1059.0) == ""
    assert "although 7 messages wait" in complaint(heart.path, max_age=60, now=1061.0)
    heart.beat()
    assert complaint(heart.path, max_age=60, now=1061.0) == ""
    assert read_beat(heart.path).trouble == ""


def test_a_beat_from_before_a_reboot_is_not_fresh(heart: Heartbeat) -> None:
    """The monotonic clock began anew, so the file is from the future."""
    heart.beat()
    assert "since a reboot" in complaint(heart.path, now=10.0)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x", "alive_at": 1, "trouble": ""}'])
def test_a_file_that_is_no_heartbeat_is_not_healthy(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    assert "cannot be read" in complaint(tmp_path / "x", now=1.0)


def test_ending_removes_the_file_but_not_that_of_another_process(heart: Heartbeat) -> None:
    heart.beat()
    heart.end()
    assert "there is no heartbeat" in complaint(heart.path)
    heart.path.write_text(json.dumps({"pid": os.getpid() + 1, "alive_at": 1.0, "trouble": ""}))
    heart.end()
    assert heart.path.exists()


def test_the_file_is_where_it_was_told_to_be_or_beside_our_data(tmp_path: Path) -> None:
    assert heartbeat_path("beat", tmp_path, None) == tmp_path / "heartbeat-beat"
    assert heartbeat_path("beat", tmp_path, tmp_path / "mine") == tmp_path / "mine"


@pytest.fixture
def shell(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    monkeypatch.setenv("MASSCONVERT_STATE_DIR", str(tmp_path))
    return shell


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_health_says_by_its_exit_status_whether_it_works_and_needs_no_redis(
    shell: Shell, tmp_path: Path, role: str
) -> None:
    shell.redis_away()
    said = shell.run("health", role)
    assert said.code == 1
    assert f"this {role} does not work: there is no heartbeat" in said.err
    Heartbeat(tmp_path / f"heartbeat-{role}").beat()
    said = shell.run("health", role)
    assert (said.code, said.out) == (0, f"This {role} works.\n")


def test_health_reads_the_file_that_the_environment_names_and_takes_an_age(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MASSCONVERT_HEARTBEAT_FILE", str(tmp_path / "mine"))
    Heartbeat(tmp_path / "mine", monotonic=lambda: time.monotonic() - 90).beat()
    assert shell.run("health", "worker").code == 1
    assert shell.run("health", "worker", "--max-age", "100").code == 0


def test_health_of_something_else_is_wrong_usage(shell: Shell) -> None:
    assert shell.run("health", "redis").code == 2


def test_a_place_that_cannot_be_written_is_told_once_and_by_the_check_too(tmp_path: Path) -> None:
    """A read-only root, a random user without a home: the work goes on. A file in the way stands for them."""
    (tmp_path / "file").touch()
    heart = Heartbeat(tmp_path / "file" / "state" / "heartbeat-worker")
    said = [heart.try_to_beat() for _ in range(3)]
    assert "MASSCONVERT_HEARTBEAT_FILE" in said[0]
    assert said[1:] == ["", ""]
    checked = complaint(heart.path)
    assert "none can be written there" in checked
    assert "MASSCONVERT_HEARTBEAT_FILE" in checked
    (tmp_path / "file").unlink()
    assert heart.try_to_beat() == ""
    assert complaint(heart.path) == ""
