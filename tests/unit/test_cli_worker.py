"""`massconvert worker` and `massconvert beat`: what they become, and what they say of themselves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from massconvert.celery import FOLDER, celery_command
from tests.unit.cli_shell import Shell

ROOT = Path(__file__).resolve().parents[2]


class Became(BaseException):
    """The process has become another."""


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of the command that this process has become."""
    words: list[str] = []

    def execv(path: str, command: list[str]) -> None:
        assert path == command[0] == sys.executable
        words.extend(command[1:])
        raise Became

    monkeypatch.setattr(os, "execv", execv)
    return words


@pytest.mark.parametrize("name", ["worker", "beat"])
@pytest.mark.parametrize(
    "given",
    [
        (),
        ("-c", "4", "-n", "one@%h"),
        ("-none@%h",),  # its h is no request for help
        ("--autoscale=10,2", "-Q", "massconvert.convert,massconvert.status", "--without-gossip"),
        ("--no-such-option", "--", "--account"),
    ],
)
def test_celery_gets_what_was_typed(shell: Shell, became: list[str], name: str, given: tuple[str, ...]) -> None:
    with pytest.raises(Became):
        shell.run(name, *given)
    assert became == [*celery_command(name, *given)[1:]]
    assert became[1:] == ["-A", "massconvert", name, *given]


@pytest.mark.parametrize(("name", "option"), [("worker", "--autoscale"), ("beat", "--max-interval")])
@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_the_help_has_celery_s_options(shell: Shell, became: list[str], name: str, option: str, asked: str) -> None:
    """Without settings, Redis or Zoho."""
    said = shell.run(name, "-c", "4", asked)
    assert said.code == 0
    assert option in said.out
    assert f"massconvert {name}" in said.out.split("Examples:")[1]
    assert became == []


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_an_account_is_refused(shell: Shell, became: list[str], name: str) -> None:
    """It would seem to bound what they serve."""
    said = shell.run(name, "--account", "emea")
    assert (said.code, said.out, became) == (2, "", [])
    assert said.err.startswith(f"massconvert: `{name}` takes no --account")


def test_a_checkout_runs_its_own_workers() -> None:
    """And the program is the package's own file, wherever that is."""
    assert FOLDER == ROOT
    assert celery_command()[1] == str(ROOT / "massconvert" / "celery.py")
