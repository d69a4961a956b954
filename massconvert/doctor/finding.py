"""What a check says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Level(str, Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # work goes on, but slower, with less, or at a risk that the text names
    WRONG = "wrong"  # work stops, or leads may be lost


@dataclass(frozen=True)
class Finding:
    """One line of an examination: what was looked at, what was found, and (unless it is ok) the fix."""

    check: str
    level: Level
    what: str
    fix: str = ""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, what)


def warning(check: str, what: str, fix: str) -> Finding:
    """Something that somebody should know."""
    return Finding(check, Level.WARNING, what, fix)


def wrong(check: str, what: str, fix: str) -> Finding:
    """Something that stops work."""
    return Finding(check, Level.WRONG, what, fix)


def folded(findings: Iterable[Finding]) -> list[Finding]:
    """The same for people: what several checks say in the same words is one line that names the others."""
    same: dict[tuple[Level, str, str], list[str]] = {}
    for finding in findings:
        same.setdefault((finding.level, finding.what, finding.fix), []).append(finding.check)
    return [
        Finding(checks[0], level, f"{what} The same for: {', '.join(checks[1:])}." if checks[1:] else what, fix)
        for (level, what, fix), checks in same.items()
    ]


def worst(findings: Iterable[Finding]) -> Level:
    """The worst of the levels; ok when there are none."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.WRONG, Level.WARNING) if level in levels), Level.OK)
