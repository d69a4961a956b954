"""What stands in for a clock, and for the messages to workers, in tests of one process."""

from __future__ import annotations

from dataclasses import dataclass, field

from massconvert.errors import BrokerError


@dataclass
class Clock:
    """Redis' time (Unix seconds), which stands still until a test moves it."""

    time: float = 1_800_000_000.0

    def now(self) -> float:
        return self.time


@dataclass
class Steady:
    """A monotonic clock (seconds), which stands still until a test moves it."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Told:
    """Notes what workers are told: in how many seconds to form chunks, and which to convert.

    ``away``: the broker cannot be reached.
    """

    countdowns: list[float] = field(default_factory=list)
    chunks: list[str] = field(default_factory=list)
    away: bool = False

    def chunk(self, countdown: float = 0.0) -> None:
        self._reach()
        self.countdowns.append(countdown)

    def convert(self, chunk_id: str, countdown: float = 0.0) -> None:
        self._reach()
        self.chunks.append(chunk_id)

    def _reach(self) -> None:
        if self.away:
            raise BrokerError("The message broker at redis://db cannot be reached: refused")
