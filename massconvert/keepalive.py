"""How soon a connection whose other end has vanished, without a word, is found out. Linux alone would wait two hours.

A worker that waits for Redis sends nothing, so it would not notice that the host or the network is gone: it would be
deaf, and nobody the wiser. The kernel asks for it. (A process that hangs still has a kernel that answers.)
"""

from __future__ import annotations

import socket

#: Seconds without a byte until the kernel asks; seconds between its questions; unanswered ones that end the connection.
_IDLE, _EVERY, _UNANSWERED = 5, 5, 3


def keepalive_options() -> dict[int, int]:
    """The socket options of TCP, by number, as far as this platform has them: redis-py's and kombu's form."""
    wanted = {
        "TCP_KEEPIDLE": _IDLE,
        "TCP_KEEPALIVE": _IDLE,  # the same on a Mac
        "TCP_KEEPINTVL": _EVERY,
        "TCP_KEEPCNT": _UNANSWERED,
        # Milliseconds: what was sent and nobody has taken ends the connection after the same time.
        "TCP_USER_TIMEOUT": 1000 * (_IDLE + _EVERY * _UNANSWERED),
    }
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
