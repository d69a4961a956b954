"""Redis' own time, so that machines with wrong clocks agree."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from massconvert.store.connection import Redis, reaching


class RedisClock:
    """Unix seconds by the clock of the Redis server.

    The server is asked every ``refresh`` seconds; in between, this machine's monotonic clock carries its answer on.
    """

    def __init__(
        self, client: Redis, *, refresh: float = 10.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._refresh = refresh
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._asked: float | None = None
        self._offset = 0.0

    def now(self) -> float:
        """Unix seconds. Raises StoreError when Redis must be asked and cannot be reached."""
        local = self._monotonic()
        with self._lock:
            if self._asked is None or local - self._asked > self._refresh:
                with reaching(self._client):
                    seconds, micros = self._client.time()
                local = self._monotonic()
                self._asked, self._offset = local, int(seconds) + int(micros) / 1e6 - local
            return local + self._offset
