"""What the supervisor is told to run; it travels through a pipe as one line of JSON."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict, dataclass
from enum import Enum
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
class StackPlan:
    """All children, and the directory that they run in. ``remove`` is deleted at the end.

    ``socket`` is where its Redis listens, blank where it has none. With ``wait_for_go`` only the first phase starts
    until the command says so. The children inherit the supervisor's environment, so that no secret is in here.
    """

    state_dir: str
    children: tuple[ChildPlan, ...]
    remove: tuple[str, ...] = ()
    socket: str = ""
    wait_for_go: bool = False

    @property
    def doing(self) -> Doing:
        """What the process that holds the directory does with it."""
        return Doing.WORKING if any(child.phase for child in self.children) else Doing.READING

    def dump(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> StackPlan:
        """The plan of that JSON."""
        raw = json.loads(text)
        children = tuple(ChildPlan(**{**child, "command": tuple(child["command"])}) for child in raw["children"])
        return cls(raw["state_dir"], children, tuple(raw["remove"]), raw["socket"], raw["wait_for_go"])


class Doing(str, Enum):
    """What a supervisor does with its directory, for others who want it.

    A command that only reads ends soon; one that converts has workers. It begins until its Redis answers and each
    ledger's history is noted: nobody else uses that Redis before.
    """

    BEGINNING = "beginning"
    READING = "reading"
    WORKING = "working"
    WINDING_UP = "winding up"


@dataclass(frozen=True)
class Holder:
    """Who has a directory: the supervisor's process, what it does, and where its Redis listens."""

    pid: int
    doing: Doing
    socket: str

    def dump(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Holder | None:
        """The holder of that JSON; ``None`` for anything else: it may be written just now."""
        try:
            raw = json.loads(text)
            return cls(int(raw["pid"]), Doing(raw["doing"]), str(raw["socket"]))
        except (ValueError, TypeError, KeyError):
            return None


#: The process that has the directory holds the first of these files with an exclusive lock; a `Holder` stands in it.
#: A process that uses another's Redis holds the second with a shared one. The kernel ends both locks with the
#: process, however that ends.
LOCK, READERS = "lock", "readers"
#: The signal for a supervisor that must not wait for its workers; Redis has its time all the same.
#: The name of the child that is Redis, and the file beside its data that says it ended in order: all is on disk.
REDIS, IN_ORDER = "redis", "redis-ended-in-order"
#: What the command says to the supervisor, a line each: start what waits for it; each ledger's history is noted.
GO, KEPT = "go", "kept"
HURRY = getattr(signal, "SIGUSR1", signal.SIGTERM)  # Windows has none, and no supervisor


def log_path(state_dir: str | Path, name: str) -> Path:
    """Where a child's output goes."""
    return Path(state_dir) / "logs" / f"{name}.log"


def last_lines(path: Path, count: int = 8) -> str:
    """The end of a log, for a person who asks why."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""
