"""massconvert webhook test: a real receiver on loopback checks the signature."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from massconvert.callbacks import DELIVERY_HEADER, SIGNATURE_HEADER, verify_webhook
from massconvert.cli import main

pytestmark = pytest.mark.integration
SECRET = "a secret of a receiver"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A server that answers as ``status`` says and notes what it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.got.append((self.headers, body))  # type: ignore[attr-defined]  # a test's own
            self.send_response(server.status)  # type: ignore[attr-defined]  # a test's own
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.status = [], 204  # type: ignore[attr-defined]  # a test's own
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    monkeypatch.setenv("MASSCONVERT_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("MASSCONVERT_WEBHOOK_ALLOW", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_signed_sample_is_sent_and_what_came_back_is_told(receiver: Any, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{receiver.server_port}/hook?x=1"
    assert main(["webhook", "test", url]) == 0
    ((headers, body),) = receiver.got
    assert verify_webhook(SECRET, body, headers[SIGNATURE_HEADER])
    sample = json.loads(body)
    assert (sample["test"], sample["state"], sample["converted"]) == (True, "finished", 2)
    assert headers[DELIVERY_HEADER] == sample["delivery"]
    assert "has taken the sample" in capsys.readouterr().out
    receiver.status = 500
    assert main(["webhook", "test", url]) == 1
    assert "it answered HTTP 500" in capsys.readouterr().err


def test_without_a_secret_or_an_address_nothing_is_sent(
    receiver: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["webhook", "test", "shop.converted@shop"]) == 2
    monkeypatch.setenv("MASSCONVERT_WEBHOOK_SECRET", "")
    assert main(["webhook", "test", f"http://127.0.0.1:{receiver.server_port}/"]) == 3
    assert "MASSCONVERT_WEBHOOK_SECRET is not set" in capsys.readouterr().err
    assert receiver.got == []
