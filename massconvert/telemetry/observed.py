"""What happens in a process, for the one that watches it: none without MASSCONVERT_METRICS_PORT (workers/watch.py)."""

from __future__ import annotations

from typing import Protocol


class Watcher(Protocol):
    """Is told of what takes time. Seconds are those of a monotonic clock; it raises nothing."""

    def permit(self, kind: str, seconds: float) -> None:
        """How long a call of this kind waited for its permit, or for the answer that there is none."""
        ...

    def call(self, kind: str, seconds: float) -> None:
        """A call of this kind took so long, with its access token."""
        ...

    def round_trip(self) -> None:
        """Redis was asked something."""
        ...


#: Who watches this process.
watchers: list[Watcher] = []
