"""Where a web hook leads: the address that is connected to is the one that was looked at. Real sockets, real TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from massconvert.caller import Caller, Never
from massconvert.on_complete.permitted import ANY_OF_AN_APP, Permitted
from massconvert.on_complete.targets import HookTarget
from tests.certificates import certify

pytestmark = pytest.mark.integration
NAME = "hooks.example.test"


class Receiver:
    """An HTTP server on loopback; ``heard`` are the Host headers of what came."""

    def __init__(self, context: ssl.SSLContext | None = None, answer: int = 204, location: str = "") -> None:
        self.heard: list[str] = []
        self.connections = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.heard.append(self.headers["Host"])
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(answer)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> Any:
                receiver.connections += 1
                return super().get_request()

            def handle_error(self, *_: Any) -> None:
                """A caller that does not trust us hangs up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if context:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    """Starts receivers, and ends them."""
    made: list[Receiver] = []

    def start(*args: Any, **kwargs: Any) -> Receiver:
        made.append(Receiver(*args, **kwargs))
        return made[-1]

    yield start
    for receiver in made:
        receiver.close()


class Names:
    """A resolver: each look-up of `NAME` gives the next of ``answers``, the last one for ever."""

    def __init__(self, patch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.looked_up = 0
        self.connected: list[str] = []
        self._answers = list(answers)
        self._real = socket.getaddrinfo
        patch.setattr(socket, "getaddrinfo", self.look_up)
        real_connect = socket.socket.connect

        def connect(sock: socket.socket, address: Any) -> None:
            self.connected.append(address[0])
            if address[0] not in ("127.0.0.1", "::1"):
                raise ConnectionRefusedError("the outside is not there in a test")
            real_connect(sock, address)

        patch.setattr(socket.socket, "connect", connect)
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy", "REQUESTS_CA_BUNDLE"):
            patch.delenv(name, raising=False)

    def look_up(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != NAME:
            return self._real(host, port, *args, **kwargs)
        self.looked_up += 1
        addresses = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [info for address in addresses for info in self._real(address, port, *args, **kwargs)]


def call(url: str, rules: Permitted = ANY_OF_AN_APP) -> str:
    """What became of a call."""
    return Caller(None, SecretStr("a-secret-of-this-test"), rules).call(HookTarget(url), {"batch": "k"})  # type: ignore[arg-type]  # no task is called


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"])
def test_a_name_that_leads_to_no_public_address_is_refused_and_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, receive: Callable[..., Receiver], address: str
) -> None:
    """It may lead elsewhere the next time, so that it is tried again."""
    receiver, names = receive(), Names(monkeypatch, [address])
    why = call(f"https://{NAME}:{receiver.port}/x")
    assert NAME in why
    assert "MASSCONVERT_WEBHOOK_ALLOW" in why
    assert not isinstance(why, Never)
    assert names.connected == []
    assert receiver.connections == 0


def test_a_name_that_leads_to_a_public_address_first_and_to_loopback_then_is_looked_up_once(
    monkeypatch: pytest.MonkeyPatch, receive: Callable[..., Receiver]
) -> None:
    """DNS rebinding: between the look and the connection there is no second look-up."""
    receiver, names = receive(), Names(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    assert "the outside is not there" in call(f"https://{NAME}:{receiver.port}/x")
    assert names.looked_up == 1
    assert names.connected == ["93.184.216.34"]
    assert receiver.connections == 0


def test_of_several_addresses_only_those_that_are_permitted_are_tried(
    monkeypatch: pytest.MonkeyPatch, receive: Callable[..., Receiver]
) -> None:
    receiver, names = receive(), Names(monkeypatch, ["10.0.0.1", "93.184.216.34", "127.0.0.1", "8.8.8.8"])
    assert call(f"https://{NAME}:{receiver.port}/x")
    assert names.connected == ["93.184.216.34", "8.8.8.8"]


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.0/8", NAME, "*.example.test"])
def test_a_receiver_that_is_allowed_gets_the_call_under_its_own_name(
    monkeypatch: pytest.MonkeyPatch, receive: Callable[..., Receiver], tmp_path: Path, allowed: str
) -> None:
    """TLS checks the name of the address, not the number that was connected to; so does the header."""
    certificate, key = certify(tmp_path, NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver, names = receive(context), Names(monkeypatch, ["10.9.9.9", "127.0.0.1"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    rules = Permitted.parse(hosts=allowed)
    assert call(f"https://{NAME}:{receiver.port}/x", rules) == ""
    assert receiver.heard == [f"{NAME}:{receiver.port}"]
    assert names.connected[-1] == "127.0.0.1"


def test_a_certificate_of_another_name_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch, receive: Callable[..., Receiver], tmp_path: Path
) -> None:
    certificate, key = certify(tmp_path, "other.example.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver, _ = receive(context), Names(monkeypatch, ["127.0.0.1"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    why = call(f"https://{NAME}:{receiver.port}/x", Permitted.parse(hosts="127.0.0.1"))
    assert "certificate" in why
    assert receiver.heard == []


def test_a_redirect_is_not_followed(monkeypatch: pytest.MonkeyPatch, receive: Callable[..., Receiver]) -> None:
    """A public receiver would lead into the network by it."""
    Names(monkeypatch, ["127.0.0.1"])
    inside = receive()
    outside = receive(answer=307, location=f"http://127.0.0.1:{inside.port}/x")
    rules = Permitted.parse(hosts="127.0.0.1")
    assert call(f"http://127.0.0.1:{outside.port}/x", rules) == "it answered HTTP 307"
    assert inside.connections == 0
    assert isinstance(call(f"http://127.0.0.1:{outside.port}/x"), Never)
    assert isinstance(call(f"http://[::1]:{outside.port}/x"), Never)
    assert "the address" in call(f"http://localhost:{outside.port}/x")
    assert len(outside.heard) == 1


def test_through_a_proxy_a_name_that_is_known_here_is_looked_at_and_the_proxy_itself_is_not(
    monkeypatch: pytest.MonkeyPatch, receive: Callable[..., Receiver]
) -> None:
    """The proxy stands inside of the network, as it should."""
    proxy, _ = receive(), Names(monkeypatch, ["10.0.0.1"], ["93.184.216.34"])
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    assert "MASSCONVERT_WEBHOOK_ALLOW" in call(f"https://{NAME}/x")
    assert proxy.connections == 0
    assert "MASSCONVERT_WEBHOOK_ALLOW" not in call(f"https://{NAME}/x")
    assert proxy.connections == 1
    assert "MASSCONVERT_WEBHOOK_ALLOW" not in call("https://only.the.proxy.knows.example.test/x")
