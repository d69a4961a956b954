"""How numbers are said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import massconvert
from massconvert.cli.console import ago
from massconvert.words.plurals import ended_of, number_of

HERE = Path(massconvert.__file__).parent


def test_one_is_one_and_every_other_number_is_many() -> None:
    assert number_of(1, "lead") == "1 lead"
    assert number_of(0, "lead") == "0 leads"
    assert number_of(12_000, "lead waits", "leads wait") == "12,000 leads wait"
    assert ended_of(0, 1) == "0 of 1 lead has ended"
    assert ended_of(399, 1400) == "399 of 1,400 leads have ended"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (299, "4 min ago"),
        (3600, "1 h ago"),
        (47 * 3600, "47 h ago"),
        (3 * 86_400, "3 days ago"),
    ],
)
def test_how_long_ago_is_said_in_one_unit(seconds: float, said: str) -> None:
    assert ago(seconds) == said


def test_nobody_makes_a_plural_alone() -> None:
    """What is counted goes through the one function: "1 leads" was said in a dozen places."""
    alone = re.compile(r"""\{'?'? ?if [^{}]+ == 1 else 's'\}|:,\} (?:leads|payloads|ids|jobs|batches|workers)\b""")
    # In these, the number is of a whole that the sentence has already named, or is never one.
    allowed = {"cli/dry_run.py"}
    found = [
        f"{path.relative_to(HERE)}: {line.strip()}"
        for path in HERE.rglob("*.py")
        if str(path.relative_to(HERE)) not in allowed and "simulator" not in path.parts
        for line in path.read_text().splitlines()
        if alone.search(line)
    ]
    assert found == []
