"""What is shown names the organisation and the account that it is about."""

from __future__ import annotations

import pytest

from massconvert.ledger import Ledger
from massconvert.model import Owner, OwnerKind
from massconvert.policy import Tuning
from tests.unit.cli_shell import A, Shell


@pytest.fixture
def shell(shell: Shell) -> Shell:
    """A shell with the account emea, whose ledger is Acme's and has a batch."""
    shell.write("massconvert.toml", "[accounts.emea]\ndata_center = 'eu'\n")
    acme = Owner("0" * 16, OwnerKind.ORGANISATION, "Acme\x1b[2J", "eu", "1" * 16)
    Ledger(shell.connect(""), "emea", Tuning()).title.claim(acme, "2" * 16)
    for account in ("default", "emea"):
        assert shell.run("enqueue", "--no-deal", A, "--key", "k", "--account", account).code == 0
    return shell


@pytest.mark.parametrize("command", [("status",), ("status", "k"), ("report", "k")])
def test_people_read_the_organisation_and_the_account(shell: Shell, command: tuple[str, ...]) -> None:
    said = shell.run(*command, "--account", "emea").out
    assert "'Acme" in said
    assert "(eu), account emea" in said
    assert "\x1b" not in said
    assert "account" not in shell.run(*command).out  # the only one, for all that is known


def test_a_report_in_a_file_names_them_too(shell: Shell) -> None:
    shell.run("report", "k", "--account", "emea", "--output", "r.txt")
    lines = (shell.folder / "r.txt").read_text().splitlines()
    assert lines[0].startswith("batch k, 'Acme")
    assert lines[1].startswith("outcome")


@pytest.mark.parametrize("command", [("status",), ("status", "k"), ("report", "k", "--files")])
def test_scripts_read_the_account(shell: Shell, command: tuple[str, ...]) -> None:
    for account in ("default", "emea"):
        (shell.folder / account).mkdir()
        folder = ("--dir", account) if "--files" in command else ()
        assert shell.run(*command, *folder, "--json", "--account", account).json["account"] == account
