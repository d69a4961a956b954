"""docs/map.md is true: it has every room, and what it names is where it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "docs" / "map.md").read_text(encoding="utf-8")
_PATH = re.compile(
    r"`((?:massconvert|tasks|workers|tests|benchmarks|examples)/[\w/.]*|celeryconfig.py)`(?:: `([^`/]+)`)?"
)
NAMED = sorted(set(_PATH.findall(MAP)))


@pytest.mark.parametrize("entry", sorted(entry.name for entry in (ROOT / "massconvert").iterdir()))
def test_every_room_is_on_the_map(entry: str) -> None:
    if entry.startswith("__") or entry == "py.typed":
        return
    rooms = MAP.split("## The rooms")[1].split("## To change")[0]
    assert f"`massconvert/{entry}" in rooms, f"docs/map.md says nothing of massconvert/{entry}"


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_what_the_map_names_is_there(path: str, name: str) -> None:
    place = ROOT / path
    assert place.exists()
    assert not name or re.search(rf"\b{re.escape(name)}\b", place.read_text(encoding="utf-8"))
