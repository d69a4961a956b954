"""In which order a worker takes from its queues, where the broker is Redis."""

from __future__ import annotations

from kombu.utils.scheduling import round_robin_cycle

from massconvert.contract import QUEUE_CONVERT, QUEUE_STATUS


class PostsFirst(round_robin_cycle):  # type: ignore[misc]  # kombu ships no types
    """Queues in turn, where those of payloads and of jobs take theirs as one, payloads first.

    Else all threads may hold tasks that wait to look at a job, while payloads wait for a thread. Jobs do not wait for
    ever: with as many open as may be, no payload is made. kombu finds this class by its path (celeryconfig.py).
    """

    def update(self, it: set[str]) -> None:
        """The queues that are taken from now on."""
        self.items[:] = sorted(it)  # by their names, payloads stand before jobs

    def rotate(self, last_used: str) -> str:
        """A message came from ``last_used``: it is last from now on."""
        pair = {QUEUE_CONVERT, QUEUE_STATUS}
        moved = pair if last_used in pair else {last_used}
        self.items.sort(key=moved.__contains__)
        return last_used
