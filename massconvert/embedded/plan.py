"""What the supervisor is told to run; it travels through a pipe as one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class ChildPlan:
    """A child process: what to run, the words in its output that say it is ready, and when it starts and stops.

    Children of a phase start when all of the phase before are ready, and stop before it. ``grace`` is how long a child
    may take to end after SIGTERM, in seconds.
    """

    name: str
    command: tuple[str, ...]
    ready: str
    phase: int
    grace: float


@dataclass(frozen=True)
class Plan:
    """All children, and the directory that they run in. ``remove`` is deleted at the end.

    They inherit the supervisor's environment, so that no secret is in here.
    """

    state_dir: str
    children: tuple[ChildPlan, ...]
    remove: tuple[str, ...] = ()

    def dump(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Plan:
        """The plan of that JSON."""
        raw = json.loads(text)
        children = tuple(ChildPlan(**{**child, "command": tuple(child["command"])}) for child in raw["children"])
        return cls(raw["state_dir"], children, tuple(raw["remove"]))


def log_path(state_dir: str | Path, name: str) -> Path:
    """Where a child's output goes."""
    return Path(state_dir) / "logs" / f"{name}.log"


def last_lines(path: Path, count: int = 8) -> str:
    """The end of a log, for a person who asks why."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""
