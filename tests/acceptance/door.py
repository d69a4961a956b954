"""A door between a worker and a server: while it is shut, connections are refused, and those that were open are cut.

It may also hold what comes, as a server that hangs, or vanish, as a host whose cable is cut.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit

#: Linux drops without a word what comes to a socket with a lower TTL. That of loopback is 64. From linux/in.h.
_IP_MINTTL, _HIGHER_THAN_ANY = 21, 255


class Door:
    """Passes bytes on to the server at ``target`` (a URL), from an address of its own. It is open at first."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (str(address.hostname), address.port or 80)
        self._lock = threading.Lock()
        self._passing: list[socket.socket] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._least = 0
        self._listener = self._bind(0)
        self.port: int = self._listener.getsockname()[1]
        self.open()

    @property
    def url(self) -> str:
        """Where to knock."""
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Let calls through."""
        self._listener.listen(128)
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Refuse connections from now on, and cut those that are open."""
        with self._lock:
            _end(self._listener)
            self._listener = self._bind(self.port)  # bound and not listening: nobody else takes the port
            for passing in self._passing:
                _end(passing)
            self._passing.clear()

    def hold(self) -> None:
        """Let connections stand and pass nothing on, as a server that hangs, until `let_go`."""
        self._flowing.clear()

    def let_go(self) -> None:
        """Pass on what was held, and what comes."""
        self._flowing.set()

    def vanish(self) -> None:
        """Answer nothing that is sent here, not even by an acknowledgement or a reset, until `come_back`."""
        self._flowing.clear()
        self._drop(_HIGHER_THAN_ANY)

    def come_back(self) -> None:
        """Be there again. What the kernels of the others still send again arrives, on connections that they kept."""
        self._drop(0)
        self._flowing.set()

    def _drop(self, least: int) -> None:
        with self._lock:
            self._least = least
            for inside in (self._listener, *self._passing[::2]):
                with suppress(OSError):  # one that has ended
                    inside.setsockopt(socket.IPPROTO_IP, _IP_MINTTL, least)

    def close(self) -> None:
        """Shut it, and give the port back."""
        self.let_go()
        self.shut()
        self._listener.close()

    @staticmethod
    def _bind(port: int) -> socket.socket:
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
        return made

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                inside, _ = listener.accept()
                try:
                    outside = socket.create_connection(self._target)
                except OSError:  # nobody is there yet
                    _end(inside)
                    continue
                with self._lock:
                    self._passing += [inside, outside]
                    inside.setsockopt(socket.IPPROTO_IP, _IP_MINTTL, self._least)
                for pair in ((inside, outside), (outside, inside)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        _end(source)
        _end(sink)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
