"""The state diagram in the docs is the decision table, drawn."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from massconvert.model import State
from massconvert.policy import Row
from massconvert.policy.diagram import mermaid

CONCEPTS = Path(__file__).resolve().parents[2] / "docs" / "concepts.md"


def test_the_diagram_in_the_docs_is_drawn_from_the_table() -> None:
    """When it differs: python -m massconvert.policy.diagram."""
    (drawn,) = re.findall(r"```mermaid\n(.*?)\n```", CONCEPTS.read_text(encoding="utf-8"), re.DOTALL)
    assert drawn == mermaid()


def test_every_move_of_the_table_is_an_arrow_with_its_words() -> None:
    arrows = dict(re.findall(r"^    (\w+ --> \w+): (.*)$", mermaid(), re.MULTILINE))
    for row in Row:
        for target in row.targets:
            assert row.value.partition(": ")[2] in arrows[f"{row.source.value} --> {target.value}"].split("<br>")


def test_every_state_can_be_reached_and_left() -> None:
    names = {state.value for state in State}
    ends = re.findall(r"^    (\S+) --> ([^:\s]+)", mermaid(), re.MULTILINE)
    assert {source for source, _ in ends} == names | {"[*]"} == {target for _, target in ends}


def test_the_command_that_the_docs_name_prints_it() -> None:
    command = [sys.executable, "-m", "massconvert.policy.diagram"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == mermaid() + "\n"
