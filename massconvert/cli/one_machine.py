"""What ``convert`` and ``demo`` share: a stack of child processes, a batch in it, watched to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from massconvert.batch import Batch
from massconvert.cli.account import command_settings
from massconvert.cli.desk import Desk, open_desk
from massconvert.cli.watching import Watch, make_display
from massconvert.embedded import Stack
from massconvert.errors import UnknownBatchError
from massconvert.model import BatchStatus
from massconvert.producer import MassConvert


@dataclass(frozen=True)
class Machine:
    """A running stack, and what a command needs to talk to it."""

    stack: Stack
    desk: Desk
    producer: MassConvert

    def existing(self, batch_id: str) -> BatchStatus | None:
        """The counts of a batch that an earlier run has left."""
        try:
            return self.desk.ledger.batches.status(batch_id)
        except UnknownBatchError:
            return None

    def finish(self, batch: Batch) -> BatchStatus:
        """Watch a batch until it has finished, or its canary has and the others wait.

        Raises EmbeddedError when a child process keeps dying, and whatever else ends the watch.
        """
        logs = self.stack.state_dir / "logs"

        def look() -> BatchStatus:
            self.stack.check()
            return batch.progress()

        with make_display() as display:
            watch = Watch(
                look,
                paused=self.desk.ledger.organisation.paused,
                display=display,
                waits=lambda: self.desk.waits_in_words(batch.id),
                idle=f"The workers' logs: {logs}",
                to_verdict=True,
            )
            status = watch.until_finished(None)
        assert status is not None  # noqa: S101 - only a timeout ends a watch without one
        return status


@contextmanager
def running(stack: Stack) -> Iterator[Machine]:
    """Start a stack and wait until it works; end it afterwards, whatever happens."""
    with stack:
        stack.wait_ready()
        settings = command_settings(stack.environment, None)
        yield Machine(stack, open_desk(settings), MassConvert(settings))
