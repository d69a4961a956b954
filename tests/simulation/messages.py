"""The broker: messages are hints, and may be lost, doubled, delayed, or refused at the door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from massconvert.errors import BrokerError
from massconvert.ledger.chunks import LONGEST_COUNTDOWN
from massconvert.model import Again, Done, Next, Resend, Settle, Submitted
from tests.simulation.plan import MessageFaults
from tests.simulation.world import World

#: A message that a killed worker held comes back after so many seconds (celeryconfig's visibility_timeout).
VISIBILITY = 300.0

Perform = Callable[[str, str, Callable[[], None]], None]


class Messages:
    """What the product takes for its `Nudge`, and what Celery's retries go through as well.

    ``perform(task, chunk id, redeliver)`` is called when a message arrives; ``redeliver`` puts it back.
    """

    def __init__(self, world: World, faults: MessageFaults, perform: Perform) -> None:
        self._world = world
        self._faults = faults
        self._perform = perform
        self._chance = world.chance("messages")
        self._wipes = 0
        for at in faults.wiped:
            world.at(at, self._wipe)

    def chunk(self, countdown: float = 0.0) -> None:
        """Send a hint to form chunks."""
        self._nudge("chunk", "", countdown)

    def convert(self, chunk_id: str, countdown: float = 0.0) -> None:
        """Send a hint to send a chunk."""
        self._nudge("convert", chunk_id, countdown)

    def status(self, job: Any, countdown: float = 0.0) -> None:
        """Send a hint to follow a job."""
        self._nudge("status", job.chunk_id, countdown)

    def run_profile(self, _name: str, run_id: str, countdown: float = 0.0) -> None:
        """Send a hint to go on with a run."""
        self._nudge("run", run_id, countdown)

    def call_back(self) -> None:
        """Send a hint to make a call that is due."""
        self._nudge("call_back", "", 0.0)

    def _nudge(self, task: str, chunk_id: str, countdown: float) -> None:
        self._world.stop(f"before nudge {task}")
        fails = self._faults.broker and self._world.troubled and self._chance.random() < self._faults.broker
        left = not fails or self._chance.random() < 0.5
        if left:
            self.again(task, chunk_id, countdown)
        if fails:
            self._world.note(f"   the broker fails {'after' if left else 'before'} {task} {chunk_id}")
            raise BrokerError("the broker cannot be reached")
        self._world.stop(f"after nudge {task}")

    def again(self, task: str, chunk_id: str, countdown: float) -> None:
        """Send a message: Celery's own retry, or the next in a chain."""
        faults, chance = self._faults if self._world.troubled else MessageFaults(), self._chance.random
        if chance() < faults.lost:
            self._world.note(f"   message {task} {chunk_id} LOST")
            return
        for _ in range(2 if chance() < faults.doubled else 1):
            late = self._chance.uniform(0.0, 60.0) if chance() < faults.delayed else 0.0
            self._deliver(task, chunk_id, max(0.0, countdown) + late)

    def obey(self, task: str, chunk_id: str, what: Next) -> None:
        """Do what tasks/obey.py has Celery do, after a task's step has said ``what`` comes next."""
        if isinstance(what, Submitted):
            self.again("status", chunk_id, min(LONGEST_COUNTDOWN, what.job.due_in))
        elif isinstance(what, Resend) and task == "status":
            self.convert(chunk_id, min(LONGEST_COUNTDOWN, what.in_seconds))
        elif isinstance(what, Again | Settle | Resend):
            self.again(task, chunk_id, min(LONGEST_COUNTDOWN, what.in_seconds))
        else:
            assert isinstance(what, Done)

    def _deliver(self, task: str, chunk_id: str, seconds: float) -> None:
        def redeliver() -> None:
            if self._chance.random() < 0.5:
                self._deliver(task, chunk_id, VISIBILITY)

        held_since = self._wipes

        def arrive() -> None:
            if held_since == self._wipes:
                self._perform(task, chunk_id, redeliver)

        self._world.at(seconds, arrive)

    def _wipe(self) -> None:
        self._wipes += 1
        self._world.note("the broker loses all its messages")
