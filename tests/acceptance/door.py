"""A door between a worker and a server: while it is shut, connections are refused, and those that were open are cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit


class Door:
    """Passes bytes on to the server at ``target`` (a URL), from an address of its own. It is open at first."""

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (str(address.hostname), address.port or 80)
        self._lock = threading.Lock()
        self._passing: list[socket.socket] = []
        self._flowing = threading.Event()
        self._flowing.set()
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
                outside = socket.create_connection(self._target)
                with self._lock:
                    self._passing += [inside, outside]
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
