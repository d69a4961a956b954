"""What was to be sent by a moment does not leave after it: over real sockets, with a clock that the test sets ahead."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from urllib3.connection import HTTPConnection

from massconvert.model import NotSent, PerhapsAccepted, Unsent
from massconvert.store import steady
from massconvert.zoho import transport as transport_module
from massconvert.zoho.transport import Reply, Transport

pytestmark = pytest.mark.integration

BODY = b'{"ids": ["3652397000009851001"]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Server:
    """Answers each request, and keeps what came, also of those that broke off."""

    listener: socket.socket
    connections: int = 0
    came: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/x"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                self._read(connection)

    def _read(self, connection: socket.socket) -> None:
        got = b""
        self.came.append(got)
        while data := connection.recv(65536):
            got += data
            self.came[-1] = got
            if got.endswith(BODY):
                connection.sendall(ANSWER)
                got = b""


@pytest.fixture
def server() -> Iterator[Server]:
    listener = socket.create_server(("127.0.0.1", 0))
    made = Server(listener)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    yield made
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


class SleptClock:
    """The machine's, which is set ahead as by a sleep."""

    def __init__(self) -> None:
        self.slept = 0.0

    def __call__(self) -> float:
        return steady() + self.slept


def post(server: Server, clock: SleptClock, *, send_by: float, deadline: float = 3600.0) -> Any:
    transport = Transport(connect_timeout=5.0, deadline=deadline, monotonic=clock)
    try:
        return transport.exchange("POST", server.url, headers={}, body=BODY, send_by=send_by)
    finally:
        transport.close()


def test_in_time_it_is_sent(server: Server) -> None:
    clock = SleptClock()
    assert isinstance(post(server, clock, send_by=clock() + 5.0), Reply)


def test_who_comes_too_late_does_not_even_connect(server: Server) -> None:
    clock = SleptClock()
    answer = post(server, clock, send_by=clock() - 0.001)
    assert isinstance(answer, NotSent)
    assert answer.why is Unsent.LATE
    assert server.connections == 0


def test_a_sleep_while_connecting_leaves_it_unsent(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last look comes after the connection is made, just before the first byte."""
    clock, connect = SleptClock(), transport_module._Watched.connect

    def sleeping(connection: Any) -> None:
        connect(connection)
        clock.slept = 10.0

    monkeypatch.setattr(transport_module._PlainConnection, "connect", sleeping)
    answer = post(server, clock, send_by=clock() + 9.0)
    assert isinstance(answer, NotSent)
    assert answer.why is Unsent.EXPIRED
    assert server.came in ([], [b""])


def test_a_sleep_between_headers_and_body_keeps_the_body_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zoho has no payload then; but some bytes have left, so it is looked at."""
    clock, send = SleptClock(), HTTPConnection.send

    def sleeping(connection: Any, data: Any) -> None:
        send(connection, data)
        clock.slept = 10.0

    monkeypatch.setattr(HTTPConnection, "send", sleeping)
    assert isinstance(post(server, clock, send_by=clock() + 9.0), PerhapsAccepted)
    end = time.monotonic() + 5.0
    while not any(server.came) and time.monotonic() < end:
        time.sleep(0.01)
    assert BODY not in server.came[0]


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    """As far as the system has such a clock: it is never behind the one that stands still."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("this system has no CLOCK_BOOTTIME")
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= steady() <= time.clock_gettime(time.CLOCK_BOOTTIME)
