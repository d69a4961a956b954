"""The pages of docs: the index has each, no link leads nowhere, and the reference is what the docstrings say."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

import massconvert
from tests import reference
from tests.documented import ROOT

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"))
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^()\s]+)\)")


def prose(page: str) -> str:
    """A page without its blocks and spans of code."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```$|`[^`]*`(?!\])", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a link may name in a page, as GitHub makes it of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_no_link_leads_nowhere(page: str) -> None:
    for target in _LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent / path if path else ROOT / page
        assert found.exists(), f"{page} leads to {target}"
        assert not anchor or anchor in anchors(found), f"{page} leads to {target}"


def test_the_index_has_every_page_once() -> None:
    listed = _LINK.findall((ROOT / "docs/README.md").read_text(encoding="utf-8"))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert sorted(target for target in listed if "/" not in target and target.endswith(".md")) == sorted(pages)
    assert "docs/README.md" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_reference_is_what_the_docstrings_say() -> None:
    """Made by ``python -m tests.reference``."""
    assert reference.PAGE.read_text(encoding="utf-8") == reference.page()


def test_the_reference_has_every_public_name() -> None:
    text = reference.page()
    named = {name for _, _, module, names in reference.SECTIONS if module == "massconvert" for name in names}
    assert set(massconvert.__all__) <= named | set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def test_make_install_ends_with_what_to_type_next() -> None:
    """What make would print, of a stamp that is older than what it is made from."""
    # Not as a part of the make that runs the tests, which would say which directory it enters and leaves.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "-n", "-B", "install"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    *_, on_path, demo, doctor = done.stdout.splitlines()
    assert "source .venv/bin/activate" in on_path
    assert "massconvert demo" in demo
    assert "massconvert doctor" in doctor
