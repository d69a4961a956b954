"""Bear an outage of Redis while something is read: a restart is over in seconds, and a read may be made again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from massconvert.errors import StoreError

_T = TypeVar("_T")

#: Seconds for which a wait for a batch puts up with a Redis that does not answer: a restart, not an outage.
PATIENCE = 60.0


class Patience:
    """Makes a read again while Redis does not answer, for at most ``seconds`` in a row.

    ``monotonic`` and ``pause`` are its time, in seconds.
    """

    def __init__(
        self,
        seconds: float = PATIENCE,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._pause = pause or threading.Event().wait

    def read(self, ask: Callable[[], _T], *, until: float | None = None) -> _T:
        """What ``ask`` returns. Raises the StoreError of the last try when the time is over.

        ``until`` is an earlier end, on the same clock.
        """
        end = self._monotonic() + self._seconds
        end = end if until is None else min(end, until)
        wait = 0.1
        while True:
            try:
                return ask()
            except StoreError:
                left = end - self._monotonic()
                if left <= 0:
                    raise
            self._pause(min(wait, left))
            wait = min(1.0, wait * 1.5)
