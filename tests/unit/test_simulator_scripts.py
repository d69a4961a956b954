"""The fault scripts of docs/simulator.md: each strikes as often as it says, and costs no lead its true outcome."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from massconvert.cli import main
from massconvert.simulator.command import parser
from massconvert.simulator.faults import _KEYS, Faults
from massconvert.simulator.messages import METHODS
from massconvert.testing import FakeCrm
from tests.documented import ROOT

PAGE = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
SCRIPTS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.S)]
TEN, OF_LOGINS = SCRIPTS[:10], SCRIPTS[10:]
LEADS = [str(3652397000009850001 + 1000 * number) for number in range(20)]
OPTIONS = {"Deals": {"Deal_Name": "Renewal", "Stage": "Closed Won", "Closing_Date": "+30d"}, "assign_to": {"id": "5"}}


def test_there_are_ten_scripts_with_their_numbers_and_three_for_logins() -> None:
    assert re.findall(r"^\*\*([0-9]+)\. ", PAGE, re.M) == [str(number) for number in range(1, 11)]
    assert (len(TEN), len(OF_LOGINS)) == (10, 3)


@pytest.mark.parametrize("script", TEN, ids=lambda script: "+".join(rule["name"] for rule in script))
def test_a_script_strikes_and_each_lead_has_its_one_true_outcome(script: list[dict[str, Any]]) -> None:
    crm = FakeCrm(faults=script)
    batch = crm.receive({"lead_ids": LEADS, "options": OPTIONS, "key": "k"}, "message")
    assert {rule["name"]: rule["times"] for rule in script} == dict(crm.organisation.fired())
    outcomes = {row.lead_id: row.outcome.kind.value for row in batch.outcomes() if row.outcome}
    assert set(outcomes) == set(LEADS)
    assert set(outcomes.values()) == {"converted"}
    assert {lead["conversions"] for lead in crm.truth().values()} == {1}


@pytest.mark.parametrize("script", OF_LOGINS)
def test_a_script_for_logins_is_one(script: list[dict[str, Any]]) -> None:
    assert len(Faults(script).report()) == 1


def test_the_page_has_every_option_and_every_word() -> None:
    for action in parser()._actions:
        options = [name for name in action.option_strings if name.startswith("--") and name != "--help"]
        assert all(f"`{name}" in PAGE or f" `{name}" in PAGE for name in options), options
    assert all(f"`{do}`" in PAGE for do in _KEYS)
    assert all(method in METHODS for method in re.findall(r'"method": "([^"*]+)"', PAGE))


def test_the_command_has_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulator", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for action in parser()._actions for name in action.option_strings)


def test_a_wrong_option_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulator", "--nonsense"]) == 2
    assert main(["simulator", "--leads", "-1"]) == 2
    assert main(["simulator", "--without-scope", "ZohoCRM.nothing.READ"]) == 2
    told = capsys.readouterr().err
    assert "unrecognized arguments: --nonsense" in told
    assert "Traceback" not in told
