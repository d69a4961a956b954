"""Whether this worker works, told to everybody: its heartbeat file, and its note in the ledger.

A worker can be alive and do nothing: after a reconnection to the broker its consumer may be gone while its loop turns
(celery#8030 and its kin), or its loop may hang. So the heart beats only while

- the event loop turns: a timer in it, set again at each connection, says so; and
- what waits in the broker is taken: messages that wait for ``patience`` seconds in which this worker neither took nor
  ended a task are a consumer that is gone.

An unreachable broker is no reason to stop: no worker could work, and a restart would fix nothing.

A worker whose heart has stopped ends itself, as SIGTERM would end it: Docker restarts what has ended, not what is
unhealthy. A worker that does nothing is no loss.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery import bootsteps

from massconvert.errors import BrokerError, MassConvertError, StoreError
from massconvert.ledger.fleet import NOTE_EVERY, WORKER, Member
from massconvert.metrics import our_version
from massconvert.telemetry.heartbeat import Heartbeat
from workers.notes import Notes

logger = logging.getLogger("massconvert")

#: How often the heart beats, and the loop says that it turns, in seconds.
EVERY = 5.0
#: A loop that was silent for so long, and a worker that took nothing for so long, are looked at more closely.
QUIET = 30.0
#: Signs that this worker does not work must stay for so long until they are believed; longer where a task may be.
PATIENCE = 90.0
#: A worker that does not work ends so much later, so that its supervisor starts a new one.
END_AFTER = 60.0


class Vitals:
    """What a worker's loop and tasks have done lately. ``monotonic`` is in seconds."""

    def __init__(
        self, waiting: Callable[[], int], patience: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._waiting = waiting
        self._patience = patience
        self._monotonic = monotonic
        self._loop_at = self.progress_at = monotonic()
        self._took = False
        self._since: float | None = None

    def loop_turned(self) -> None:
        """The event loop has come by."""
        self._loop_at = self._monotonic()

    def progressed(self) -> None:
        """A task was taken, or has ended."""
        self.progress_at, self._took = self._monotonic(), True

    def took_ago(self) -> float | None:
        """Seconds since something was taken or ended; ``None`` when nothing was yet."""
        return self._monotonic() - self.progress_at if self._took else None

    def trouble(self) -> str:
        """Why this worker does not work; empty while it does, or may."""
        now = self._monotonic()
        symptom = self._symptom(now)
        if not symptom:
            self._since = None
            return ""
        self._since = now if self._since is None else self._since
        return symptom if now - self._since >= self._patience else ""

    def _symptom(self, now: float) -> str:
        deaf, idle = now - self._loop_at, now - self.progress_at
        if deaf <= QUIET and idle <= QUIET:
            return ""
        try:
            waiting = self._waiting()
        except BrokerError:
            return ""  # the loop waits for it, and there is nothing to take
        if deaf > QUIET:
            return f"its event loop has not turned for {deaf:.0f} s, although the broker answers"
        return f"it has taken nothing for {idle:.0f} s, although {waiting:,} messages wait" if waiting else ""


class Pulse:
    """Beats and notes, in a thread of its own, until it is stopped."""

    def __init__(
        self,
        vitals: Vitals,
        heartbeat: Heartbeat,
        notes: Notes,
        name: str,
        end: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGTERM),
    ) -> None:
        self.vitals = vitals
        self._heartbeat = heartbeat
        self._notes = notes
        self._name = name
        self._began_at = 0.0
        self._noted: float | None = None
        self._trouble = ""
        self._trouble_since = 0.0
        self._end = end
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it; this worker takes nothing more, and is not to be counted."""
        self._stopped.set()
        self._heartbeat.end()
        self._notes.leave(WORKER, self._name)

    def once(self) -> None:
        """Beat, and note when it is time. Raises nothing that the disk, Redis or the broker does."""
        trouble = self.vitals.trouble()
        self._face(trouble)
        if complaint := self._heartbeat.try_to_beat(trouble):
            logger.warning("%s", complaint)
        if self._noted is None or time.monotonic() - self._noted >= NOTE_EVERY - EVERY / 2:
            with suppress(StoreError):  # the sweep says that Redis is unreachable
                self._notes.note(lambda now: self._member(now, trouble))
                self._noted = time.monotonic()

    def _face(self, trouble: str) -> None:
        now = time.monotonic()
        if trouble and not self._trouble:
            self._trouble_since = now
            logger.error("This worker does not work: %s. It ends in %g s unless it recovers.", trouble, END_AFTER)
        elif trouble and now - self._trouble_since >= END_AFTER:
            logger.critical("This worker ends, since it does not work: %s.", trouble)
            self._trouble_since = now  # if it cannot even end, it is told again, and says so again
            self._end()
        self._trouble = trouble

    def _member(self, now: float, trouble: str) -> Member:
        self._began_at = self._began_at or now
        ago = self.vitals.took_ago()
        took_at = 0.0 if ago is None else now - ago
        return Member(WORKER, self._name, now, self._began_at, took_at, os.getpid(), our_version(), trouble)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.once()
            except MassConvertError as error:
                logger.warning("Pulse: %s", error.message)
            except Exception:
                logger.exception("Pulse failed; again in %g s", EVERY)
            self._stopped.wait(EVERY)


def turning(vitals: Callable[[], Vitals | None]) -> type[bootsteps.StartStopStep]:
    """A step of the consumer that has its loop tell ``vitals`` (of the running worker, if it is there) that it turns.

    A step, and not a timer set once: Celery clears the loop's timers when the broker's connection is lost.
    """

    class Turning(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery ships no types
        def start(self, c: Any) -> None:
            self._tell()
            self.timer = c.timer.call_repeatedly(EVERY, self._tell)

        def stop(self, _c: Any) -> None:
            self.timer.cancel()

        def _tell(self) -> None:
            if found := vitals():
                found.loop_turned()

    return Turning


def own_name() -> str:
    """A name for a process that Celery has given none: beat."""
    return f"{socket.gethostname()}-{os.getpid()}"
