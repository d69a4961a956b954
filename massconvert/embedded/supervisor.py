"""The process between a command and its children: it starts them, keeps them running, and ends them in order.

It holds the reading end of a pipe from the command. When the command ends, *however it ends*, the pipe closes, and the
supervisor winds up. It is in a session of its own, so a Ctrl-C in the terminal reaches the command alone. One thread.

It reads a plan from standard input (a line of JSON, see ``plan``), and writes what happens to standard output, a
JSON object a line: ``started``, ``busy``, ``up``, ``ready``, ``died``, ``failed``.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from massconvert.embedded.child import Child
from massconvert.embedded.plan import ChildPlan, Plan, last_lines

#: How long a new supervisor waits for the last one, which winds up, in seconds.
_PATIENCE = 30.0
_WINDING_UP = "winding up"


class Supervisor:
    """Runs a plan until standard input closes or SIGTERM comes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._children = [Child(child, plan.state_dir) for child in plan.children]
        self._selector = selectors.DefaultSelector()
        self._stopping = False
        self._lock = Path(plan.state_dir, "lock").open("a+")  # noqa: SIM115 - held until the process ends

    def run(self) -> None:
        """Run until told to stop, then end the children, the last phase first."""
        self._catch_signals()
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._on_stdin)
        if not self._take_lock():
            return
        _tell("started", pid=os.getpid())
        while not self._stopping:
            self._start_due()
            self._turn(self._pause())
            self._reap()
        self._note(_WINDING_UP)
        for phase in sorted({child.plan.phase for child in self._children}, reverse=True):
            self._stop([child for child in self._children if child.plan.phase == phase and child.running])
        for path in self._plan.remove:
            shutil.rmtree(path, ignore_errors=True)

    # --- one at a time ---

    def _take_lock(self) -> bool:
        """Two of us over one Redis directory would destroy it. Wait only for one that is ending."""
        end = time.monotonic() + _PATIENCE
        while not self._stopping and not self._locked():
            self._lock.seek(0)
            holder, _, doing = self._lock.read().partition(" ")
            if doing != _WINDING_UP or time.monotonic() > end:
                _tell("busy", pid=holder)
                return False
            self._turn(0.1)  # a lock that somebody gives back is no event to select on
        if not self._stopping:
            self._note("running")
        return not self._stopping

    def _locked(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _note(self, doing: str) -> None:
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()} {doing}")
        self._lock.flush()

    # --- events ---

    def _catch_signals(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(reading, selectors.EVENT_READ, lambda: bool(os.read(reading, 4096)))

    def _on_signal(self, number: int, _frame: object) -> None:
        self._stopping = self._stopping or number == signal.SIGTERM

    def _on_stdin(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            self._stopping = True
            self._selector.unregister(sys.stdin)

    def _turn(self, pause: float | None) -> None:
        """Wait for something to happen, and take note of it."""
        for key, _ in self._selector.select(pause):
            key.data()

    def _pause(self) -> float | None:
        times = [child.again_at for child in self._children if child.again_at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    # --- children ---

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            fresh = not child.running and not child.failed and child.again_at is None
            due = child.again_at is not None and child.again_at <= now
            if due or (fresh and self._ready_before(child.plan)):
                self._start(child)

    def _ready_before(self, plan: ChildPlan) -> bool:
        return all(child.ready for child in self._children if child.plan.phase < plan.phase)

    def _start(self, child: Child) -> None:
        pid = child.start()
        _tell("up", name=child.plan.name, pid=pid)
        self._selector.register(child.output, selectors.EVENT_READ, lambda: self._on_output(child))

    def _on_output(self, child: Child) -> None:
        was_ready = child.ready
        if not child.drain():
            self._selector.unregister(child.output)
        if child.ready and not was_ready:
            _tell("ready", name=child.plan.name)

    def _reap(self) -> None:
        for child in self._children:
            if not child.running:
                continue
            output = child.output
            status = child.reap()
            if status is None:
                continue
            with suppress(KeyError):
                self._selector.unregister(output)
            if self._stopping:
                continue
            event = "failed" if child.failed else "died"
            _tell(event, name=child.plan.name, status=status, log=last_lines(child.log))

    def _stop(self, children: list[Child]) -> None:
        """SIGTERM, then SIGKILL for what has not ended within its grace."""
        for number, grace in (
            (signal.SIGTERM, max((c.plan.grace for c in children), default=0.0)),
            (signal.SIGKILL, 5.0),
        ):
            for child in children:
                child.signal(number)
            end = time.monotonic() + grace
            while any(child.running for child in children) and time.monotonic() < end:
                self._turn(max(0.0, end - time.monotonic()))
                self._reap()


def _tell(event: str, **facts: Any) -> None:
    with suppress(OSError):  # nobody listens any more
        print(json.dumps({"event": event, **facts}), flush=True)


def main() -> None:
    """Read the plan from the first line of standard input, byte by byte: what follows is for ``select`` to see."""
    line = bytearray()
    while byte := os.read(sys.stdin.fileno(), 1):
        if byte == b"\n":
            Supervisor(Plan.load(line.decode())).run()
            return
        line += byte


if __name__ == "__main__":
    main()
