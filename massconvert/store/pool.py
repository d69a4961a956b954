"""A pool of connections that makes do with those it has where the server allows no more."""

from __future__ import annotations

import threading
import time
from typing import Any

import redis

from massconvert.store.primary import NoPrimaryError

#: What a server says to a connection beyond its maxclients, before it closes it.
_NO_MORE = "max number of clients"
#: Seconds for which a pool that was refused another connection asks for none, and shares those that it has.
_SHARES = 10.0


class SharingPool(redis.ConnectionPool):
    """redis-py's pool; a thread for which the server has no connection waits for one that another thread gives back.

    It waits for the time-out of a command at most; then it raises the server's refusal, a redis.ConnectionError.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._freed = threading.Condition()
        self._shares_until = 0.0

    @property
    def is_short(self) -> bool:
        """Whether the server has lately refused another connection: then none should be held only to wait."""
        return time.monotonic() < self._shares_until

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        """A connection that is ready for a command."""
        if self.is_short:
            return self._shared(None) or super().get_connection(*args, **kwargs)
        try:
            return super().get_connection(*args, **kwargs)
        except redis.ConnectionError as error:
            if not self._is_for_want_of_room(error):
                raise
            self._shares_until = time.monotonic() + _SHARES
            return self._shared(error)

    def _is_for_want_of_room(self, error: redis.ConnectionError) -> bool:
        """Whether a new connection was refused by a server that others are connected to.

        It says why and closes; a client that writes first sees only that it is closed.
        """
        if isinstance(error, redis.AuthenticationError | redis.BusyLoadingError | redis.TimeoutError | NoPrimaryError):
            return False
        why = error.__cause__ or error.__context__
        return _NO_MORE in str(error) or (not isinstance(why, ConnectionRefusedError) and self._connected())

    def _connected(self) -> bool:
        """Whether a connection that is in use is connected."""
        with self._lock:
            return any(getattr(each, "_sock", None) is not None for each in self._in_use_connections)

    def release(self, connection: Any) -> None:
        """Give a connection back, to a thread that waits for one if there is one."""
        super().release(connection)
        if self._shares_until:
            with self._freed:
                self._freed.notify()

    def _shared(self, refusal: redis.ConnectionError | None) -> Any:
        """One of those that are connected, when it is free; ``None`` where there is none, and none was refused."""
        end = time.monotonic() + float(self.connection_kwargs.get("socket_timeout") or 5.0)
        with self._freed:
            while True:
                found = self._take_connected()
                if found is not None:
                    return found
                left = end - time.monotonic()
                if left <= 0 or not self._connected():
                    if refusal is not None:
                        raise refusal
                    return None
                self._freed.wait(min(left, 0.25))

    def _take_connected(self) -> Any:
        with self._lock:
            for place in range(len(self._available_connections) - 1, -1, -1):
                connection = self._available_connections[place]
                if getattr(connection, "_sock", None) is not None:
                    del self._available_connections[place]
                    self._in_use_connections.add(connection)
                    break
            else:
                return None
        try:
            connection.connect()  # again, if it leads to a server that has been replaced
            if not connection.can_read():
                return connection
        except (redis.ConnectionError, redis.TimeoutError, OSError):
            pass
        connection.disconnect()
        super().release(connection)
        return None
