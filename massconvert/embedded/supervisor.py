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
from typing import IO, Any

from massconvert.embedded.child import Child
from massconvert.embedded.plan import (
    GO,
    HURRY,
    IN_ORDER,
    KEPT,
    LOCK,
    READERS,
    REDIS,
    ChildPlan,
    Doing,
    Holder,
    StackPlan,
    last_lines,
)

#: How long a new supervisor waits for the last one, which winds up or only reads, in seconds.
_PATIENCE = 30.0
#: A look whether the lock is free takes it for a moment, and what is written in it may be of the last holder.
_A_MOMENT = 0.5
#: How long Redis stays for commands that read from it when all else has ended, in seconds.
_READERS_GRACE = 10.0


class Supervisor:
    """Runs a plan until standard input closes or SIGTERM comes."""

    def __init__(self, plan: StackPlan) -> None:
        self._plan = plan
        self._children = [Child(child, plan.state_dir) for child in plan.children]
        self._selector = selectors.DefaultSelector()
        self._stopping = self._hurried = False
        self._going = not plan.wait_for_go
        self._redis = next((child for child in self._children if child.plan.name == REDIS), None)
        self._was_in_order = self._kept = False
        self._lock = Path(plan.state_dir, LOCK).open("a+")  # noqa: SIM115 - held until the process ends

    def run(self) -> None:
        """Run until told to stop, then end the children, the last phase first."""
        self._catch_signals()
        self._selector.register(sys.stdin, selectors.EVENT_READ, self._on_stdin)
        if not self._take_lock():
            return
        self._was_in_order = bool(self._redis) and _taken(self._mark)
        _tell("started", pid=os.getpid(), in_order=self._was_in_order)
        while not self._stopping:
            self._start_due()
            self._turn(self._pause())
            self._reap()
        self._note(Doing.WINDING_UP)
        for phase in sorted({child.plan.phase for child in self._children}, reverse=True):
            if phase == 0:
                self._await_readers()
            self._stop([child for child in self._children if child.plan.phase == phase and child.running])
        if self._nothing_is_lost():
            self._mark.touch()
        for path in self._plan.remove:
            shutil.rmtree(path, ignore_errors=True)

    # --- how Redis ends ---

    @property
    def _mark(self) -> Path:
        return Path(self._plan.state_dir, IN_ORDER)

    def _nothing_is_lost(self) -> bool:
        """Whether all that Redis ever acknowledged is on disk, and what was lost before our time has been noted."""
        if self._redis is None:
            return False
        if not self._redis.ever_ready:
            return self._was_in_order
        return self._redis.ended == [0] and (self._was_in_order or self._kept)

    # --- one at a time ---

    def _take_lock(self) -> bool:
        """Two of us over one Redis directory would destroy it. Wait only for one that ends soon."""
        began = time.monotonic()
        while not self._stopping and not _locked(self._lock):
            holder, waited = self._holder(), time.monotonic() - began
            brief = holder is None or holder.doing is not Doing.WORKING
            if waited > (_PATIENCE if brief else _A_MOMENT):
                _tell("busy", pid=holder.pid if holder else 0, doing=holder.doing.value if holder else "")
                return False
            self._turn(0.1)  # a lock that somebody gives back is no event to select on
        if not self._stopping:
            self._note(Doing.BEGINNING if self._redis else self._plan.doing)
        return not self._stopping

    def _holder(self) -> Holder | None:
        self._lock.seek(0)
        return Holder.load(self._lock.read())

    def _note(self, doing: Doing) -> None:
        self._lock.truncate(0)
        self._lock.write(Holder(os.getpid(), doing, self._plan.socket).dump())
        self._lock.flush()

    def _await_readers(self) -> None:
        """Let commands of other terminals end that read from this Redis."""
        if not self._plan.socket:
            return
        end = time.monotonic() + _READERS_GRACE
        readers = Path(self._plan.state_dir, READERS).open("a")  # noqa: SIM115 - held until the process ends
        while not _locked(readers) and time.monotonic() < end and not self._hurried:
            self._turn(0.1)
        self._readers = readers

    # --- events ---

    def _catch_signals(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, HURRY):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(reading, selectors.EVENT_READ, lambda: bool(os.read(reading, 4096)))

    def _on_signal(self, number: int, _frame: object) -> None:
        self._stopping = self._stopping or number in (signal.SIGTERM, HURRY)
        self._hurried = self._hurried or number == HURRY

    def _on_stdin(self) -> None:
        if said := os.read(sys.stdin.fileno(), 4096).decode().split():
            self._going = self._going or GO in said
            if KEPT in said and not self._stopping:
                self._kept = True
                self._note(self._plan.doing)
            return
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
        return (self._going or not plan.phase) and all(
            child.ready for child in self._children if child.plan.phase < plan.phase
        )

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
        """SIGTERM, then SIGKILL for what has not ended within its grace. In a hurry only Redis has one."""
        for number, grace in (
            (signal.SIGTERM, max((c.plan.grace for c in children), default=0.0)),
            (signal.SIGKILL, 5.0),
        ):
            for child in children:
                child.signal(number)
            end = time.monotonic() + grace
            while any(child.running for child in children) and time.monotonic() < end:
                if number == signal.SIGTERM and self._hurried and any(child.plan.phase for child in children):
                    break
                self._turn(max(0.0, end - time.monotonic()))
                self._reap()


def _taken(file: Path) -> bool:
    """Whether a file was there; it is no more, and says so once."""
    try:
        file.unlink()
    except FileNotFoundError:
        return False
    return True


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _tell(event: str, **facts: Any) -> None:
    with suppress(OSError):  # nobody listens any more
        print(json.dumps({"event": event, **facts}), flush=True)


def main() -> None:
    """Read the plan from the first line of standard input, byte by byte: what follows is for ``select`` to see."""
    line = bytearray()
    while byte := os.read(sys.stdin.fileno(), 1):
        if byte == b"\n":
            Supervisor(StackPlan.load(line.decode())).run()
            return
        line += byte


if __name__ == "__main__":
    main()
