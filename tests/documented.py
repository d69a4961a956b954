"""The command lines that README and docs show: where each stands, and how it is typed with the placeholders filled."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")),
)
PROGRAMS = (
    *("massconvert", "celery", "make", "docker", "python", "pip", "pipx", "uvx", "flask", "curl"),
    *("apt", "brew", "source", "git"),
)
#: What stands for a value in the docs.
FILLED = {
    "BATCH": "import-2026-11-24",
    "LEAD_ID": "3652397000009850001",
    "FILE": "leads.csv",
    "LEADS.csv": "leads.csv",
    "IDS": "3652397000009850001",
    "ID": "3652397000009850001",
    "O.json": "options.json",
    "o.json": "options.json",
    "K": "key",
    "P": "nightly",
    "NAME": "nightly",
    "SECONDS": "60",
    "CODE": "NOT_FOUND",
    "N": "10",
    "D": "results",
    "TEXT": "why",
    "URL": "https://shop.example.com/converted",
    "COMMAND": "status",
    "N=100000": "N=10",
}
#: The commands whose cells and spans in docs/commands.md leave the program's name out.
_BARE = re.compile(
    "(?:demo|convert|enqueue|status|report|retry|cancel|letters|pause|resume|profile|webhook|simulator) [A-Za-z[-]"
)


#: What a block of commands calls its language.
_SHELL = ("", "sh", "bash", "console")


class Line(NamedTuple):
    """A command line as it stands on a page, and one way to type it. In prose its arguments may be left out."""

    page: str
    number: int
    typed: tuple[str, ...]
    in_prose: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.number}: {shlex.join(self.typed)}"


def command_lines() -> list[Line]:
    """Every command line of the pages, each in every way that its notation allows."""
    return [
        Line(page, number, tuple(shlex.split(way)), in_prose)
        for page in PAGES
        for number, text, in_prose in _shown(page, (ROOT / page).read_text(encoding="utf-8"))
        for way in _ways(text)
    ]


def _shown(page: str, text: str) -> Iterator[tuple[int, str, bool]]:
    """The lines in blocks of code, and the spans of code in prose, that are a command."""
    prose, block, begun = [], "", 0
    fence: str | None = None
    for number, line in enumerate(text.split("\n"), 1):
        mark = re.fullmatch(r" *```(\w*)", line)  # also within a list
        if mark:
            fence = None if fence is not None else mark[1]
        in_code = fence in _SHELL if fence is not None else line.startswith("    ")
        prose.append("" if fence is not None or mark or in_code else line)
        if mark or not in_code:
            continue
        block, begun = block + line.removesuffix("\\"), begun if block else number
        if not line.endswith("\\"):
            shown = block.strip().removeprefix("$ ")
            if _is_command(shown):
                yield begun, re.split(r"(?<=\S)\s{2,}(?![\[\-\s])|\s#\s", shown)[0], False
            block = ""
    for span in re.finditer(r"`([^`]+)`", whole := "\n".join(prose)):
        shown = " ".join(span[1].replace("\\|", "|").split())
        if page == "docs/commands.md" and _BARE.match(shown):
            shown = f"massconvert {shown}"
        if _is_command(shown):
            yield whole.count("\n", 0, span.start()) + 1, shown, True


def _is_command(text: str) -> bool:
    return text.startswith(tuple(f"{program} " for program in PROGRAMS))


def _ways(text: str) -> Iterator[str]:
    """How a line may be typed: without what is optional, with it, and with each of several choices."""
    if not text.startswith("massconvert "):
        yield _filled(text)
        return
    for line in text.split(" · "):
        full = line.replace("…", "" if "]…" in line or "IDS…" in line else "leads.csv --no-deal")
        while (inner := re.sub(r"\[[^\[\]]*\]", "", full)) != full and "[" in inner:
            full = re.sub(r"\[([^\[\]]*)\]", r"\1", full, count=1)
        for way in dict.fromkeys((re.sub(r"\[[^\[\]]*\]", "", full), re.sub(r"[\[\]]", "", full))):
            yield from dict.fromkeys(map(_filled, _chosen(way)))


_CHOICE = re.compile(r"(?:--?[a-z-]+ [\w.<>]+|\S+)(?:\|(?:--?[a-z-]+(?: [A-Z][\w.]*)?|[^\s|]+))+")


def _chosen(line: str) -> Iterator[str]:
    choices = [_parts(found[0]) for found in _CHOICE.finditer(line)]
    for way in range(max((len(parts) for parts in choices), default=1)):
        each = iter(choices)
        yield _CHOICE.sub(lambda _: (parts := next(each))[min(way, len(parts) - 1)], line)  # noqa: B023 - used at once


def _parts(choice: str) -> list[str]:
    first, *others = choice.split("|")
    option = f"{first.split()[0]} " if " " in first else ""
    return [first, *(other if other.startswith("-") else option + other for other in others)]


def _filled(line: str) -> str:
    line = line.replace("--output FILE", "--output rows.csv")
    return " ".join(FILLED.get(word, word) for word in line.split())
