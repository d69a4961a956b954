"""One child process of the supervisor: started in a group of its own, its output kept, started again when it dies."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from massconvert.contract import Exit
from massconvert.embedded.plan import ChildPlan, log_path

#: A child that lived for this many seconds had started well; its next death counts as the first.
STEADY_AFTER = 30.0
#: This many deaths in a row are a fault that another start does not fix.
MOST_DEATHS = 5
_LOG_LIMIT = 5_000_000
_PR_SET_PDEATHSIG = 1


def _make_die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends a child whose supervisor was killed with -9; elsewhere nothing can."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    supervisor = os.getpid()

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:  # it died before the call above
            os._exit(1)

    return die_with_parent


def restart_delay(deaths: int) -> float:
    """Seconds to wait before a child is started again after ``deaths`` in a row."""
    return float(min(0.5 * 2 ** (deaths - 1), 10.0))


class Child:
    """A process of the plan. ``again_at`` is when it is to be started (again), on the monotonic clock.

    ``ever_ready``: it has been ready at least once. ``ended``: the exit status of each time that it was started.
    """

    def __init__(self, plan: ChildPlan, state_dir: str) -> None:
        self.plan = plan
        self.log = log_path(state_dir, plan.name)
        self.ready = self.ever_ready = False
        self.failed = False
        self.ended: list[int] = []
        self.again_at: float | None = None
        self._state_dir = state_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._deaths = 0
        self._tail = b""

    def start(self) -> int:
        """Start the process; its id. Raises OSError."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))
        self.ready, self.again_at, self._tail = False, None, b""
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            self.plan.command,
            cwd=self._state_dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_make_die_with_parent(),  # noqa: PLW1509 - the supervisor has one thread
        )
        os.set_blocking(self.output, False)
        return self._process.pid

    @property
    def output(self) -> int:
        """The file descriptor of its output."""
        assert self._process is not None  # noqa: S101 - asked for only after start()
        assert self._process.stdout is not None  # noqa: S101 - as above
        return self._process.stdout.fileno()

    @property
    def running(self) -> bool:
        """Whether the process has been started and not yet been seen to end."""
        return self._process is not None

    def drain(self) -> bool:
        """Move what it has written into the log. False: it has closed its output."""
        while True:
            try:
                data = os.read(self.output, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            with self.log.open("ab") as log:
                log.write(data)
            seen = self._tail + data
            self.ready = self.ready or self.plan.ready.encode() in seen
            self.ever_ready = self.ever_ready or self.ready
            self._tail = seen[-len(self.plan.ready) :]

    def reap(self) -> int | None:
        """Its exit status if it has ended since the last call (negative: the signal), else None."""
        status = self._process.poll() if self._process else None
        if status is None or self._process is None:
            return None
        self.signal(signal.SIGKILL)  # what it may have left behind in its group
        self.drain()
        if self._process.stdout:
            self._process.stdout.close()
        self._process = None
        self.ended.append(status)
        self._note_death(status)
        return status

    def _note_death(self, status: int) -> None:
        steady = time.monotonic() - self._started_at > STEADY_AFTER
        self._deaths = 1 if steady else self._deaths + 1
        # A worker that says "settings missing" says so again each time.
        self.failed = self._deaths >= MOST_DEATHS or (status == Exit.UNREACHABLE and not self.ready)
        self.again_at = None if self.failed else time.monotonic() + restart_delay(self._deaths)
        self.ready = False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its whole group."""
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
