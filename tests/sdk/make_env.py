"""Makes ``.venv-sdk`` beside ``.venv``: Zoho's own SDK in an environment of its own. Does nothing if it is there.

The SDK wants other versions of what we depend on than we do, and is needed by one test alone.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

REQUIREMENT = "zohocrmsdk8-0==7.0.0"
FOLDER = Path(__file__).resolve().parents[2] / ".venv-sdk"
PATIENCE = 120.0  # seconds for the environment, and again for the package


class NoEnvironmentError(Exception):
    """The environment cannot be made; says why in one line."""


def python_of(folder: Path = FOLDER) -> Path:
    """The environment's Python; makes the environment if need be. Raises NoEnvironmentError."""
    python, stamp = folder / "venv" / "bin" / "python", folder / "installed.txt"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may want it at once
        if not (stamp.exists() and stamp.read_text() == REQUIREMENT and python.exists()):
            _run("the environment", sys.executable, "-m", "venv", "--clear", str(folder / "venv"))
            pip = (str(python), "-m", "pip", "--disable-pip-version-check", "--no-input")
            _run(REQUIREMENT, *pip, "install", "--quiet", "--retries", "1", "--timeout", "15", REQUIREMENT)
            stamp.write_text(REQUIREMENT)
    return python


def _run(what: str, *command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoEnvironmentError(f"{what} could not be installed: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise NoEnvironmentError(f"{what} could not be installed: {said[-1]}")


if __name__ == "__main__":
    try:
        print(python_of())
    except NoEnvironmentError as error:
        raise SystemExit(str(error)) from None
