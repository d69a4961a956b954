"""The heartbeat file: a worker or beat rewrites it while it works, so that its age says whether it does.

Nobody needs the broker, Redis or the process itself to read it: `massconvert health worker` looks at this file alone.
Times are this machine's monotonic clock, which all of its processes share and nobody sets; a file from before a reboot
is not fresh.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

#: A heart that has not beaten for so long, in seconds, has stopped: several beats that did not come.
MAX_AGE = 60.0
ROLES = ("worker", "beat")
#: What to do where the file has no place: a read-only root, a user without a home.
PLACE = (
    "Work goes on, but the command health needs this file: set MASSCONVERT_STATE_DIR (or MASSCONVERT_HEARTBEAT_FILE) "
    "to a place that can be written, for this process and for the check alike."
)


@dataclass(frozen=True)
class Beat:
    """The last beat: ``alive_at`` in seconds of the monotonic clock, and what was wrong when there was none since."""

    pid: int
    alive_at: float
    trouble: str = ""


class Heartbeat:
    """The file of one process."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._monotonic = monotonic
        self._alive_at = monotonic()
        self._told = False

    def beat(self, trouble: str = "") -> None:
        """Say that the process works; with ``trouble``, why it does not: then the file grows old. Raises OSError."""
        if not trouble:
            self._alive_at = self._monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        new.write_text(json.dumps(asdict(Beat(os.getpid(), self._alive_at, trouble))), encoding="utf-8")
        new.replace(self.path)

    def try_to_beat(self, trouble: str = "") -> str:
        """The same; returns why it cannot be written, with the fix, and only the first time. Raises nothing."""
        try:
            self.beat(trouble)
        except OSError as error:
            told, self._told = self._told, True
            return "" if told else f"The heartbeat {self.path} cannot be written ({error.strerror}). {PLACE}"
        self._told = False
        return ""

    def end(self) -> None:
        """Remove the file, unless it is another process' by now: this one ends."""
        with suppress(OSError, ValueError):
            if read_beat(self.path).pid == os.getpid():
                self.path.unlink()


def heartbeat_path(role: str, state_dir: Path, given: Path | None) -> Path:
    """Where the file of a ``worker`` or ``beat`` is: ``given`` (MASSCONVERT_HEARTBEAT_FILE), or beside our data."""
    return given or state_dir / f"heartbeat-{role}"


def read_beat(path: Path) -> Beat:
    """The last beat. Raises OSError when there is none, ValueError when the file is something else."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Beat(int(fields["pid"]), float(fields["alive_at"]), str(fields["trouble"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a heartbeat: {error}") from None


def complaint(path: Path, *, max_age: float = MAX_AGE, now: float | None = None) -> str:
    """Why the process that writes ``path`` does not work; empty when it does. ``now`` is the monotonic clock's."""
    try:
        beat = read_beat(path)
    except (FileNotFoundError, NotADirectoryError):
        if not _may_be_made(path):
            return f"there is no heartbeat in {path}, and none can be written there. {PLACE.rstrip('.')}"
        return f"there is no heartbeat in {path}: it has not started, or writes another file"
    except (OSError, ValueError) as error:
        return f"the heartbeat in {path} cannot be read: {getattr(error, 'strerror', None) or error}"
    age = (time.monotonic() if now is None else now) - beat.alive_at
    if 0 <= age <= max_age:
        return ""
    since = f"its heart has not beaten for {age:.0f} s" if age >= 0 else "its heart has not beaten since a reboot"
    return f"{since}{f': {beat.trouble}' if beat.trouble else ''} (process {beat.pid}, {path})"


def _may_be_made(path: Path) -> bool:
    """Whether this user may make a file there, and the folders that it needs."""
    there = next(folder for folder in path.parents if folder.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
