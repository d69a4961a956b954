"""Carries an organisation's calls over HTTP, and does to them on the wire what the faults ask for."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from massconvert.simulator.fields import MADE
from massconvert.simulator.messages import Fate, Request, Response, SimulatorError
from massconvert.simulator.organisation import Organisation

MOST_BODY = 4 * 1024 * 1024
LONGEST_HANG = 600.0
_PAGES = "/__simulator__/"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends RST


class CarryingServer(ThreadingMixIn, TCPServer):
    """A thread a connection. ``latency`` are seconds that each API call takes at least."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], organisation: Organisation, latency: float) -> None:
        self.organisation = organisation
        self.latency = latency
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A connection comes."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """A connection ends: without a goodbye if it is to be reset."""
        if isinstance(request, socket.socket) and request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == _RESET:
            self.close_request(request)
        else:
            super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in mid-call is no error of ours; anything else is a bug, and printed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """End all connections, and wait until their threads are through with them."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._changed:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, 10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer is one write
    server: CarryingServer

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name for it
        """Nothing is logged: a simulator is quiet."""

    def do_GET(self) -> None:
        """Any call: the organisation judges the method."""
        request = self._request()
        if request is None:
            return
        if request.path.startswith(_PAGES):
            self._send(answer_page(self.server.organisation, request))
        else:
            self._carry(request)

    do_POST = do_GET  # noqa: N815 - the base class' names
    do_PUT = do_GET  # noqa: N815 - as above
    do_PATCH = do_GET  # noqa: N815 - as above
    do_DELETE = do_GET  # noqa: N815 - as above

    def _request(self) -> Request | None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MOST_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(Response(413, b""))
            return None
        url = urlsplit(self.path)
        return Request(
            method=self.command,
            path=unquote(url.path),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )

    def _carry(self, request: Request) -> None:
        organisation = self.server.organisation
        call = organisation.arrive(request)
        try:
            self._pass(call.wait + (self.server.latency if call.inside else 0.0))
            response = organisation.answer(call)
            self._pass(response.delay)
        finally:
            organisation.leave(call)
        if response.fate is Fate.SENT:
            self._send(response)
        else:
            self.close_connection = True
            self._spoil(response)

    def _spoil(self, response: Response) -> None:
        """What becomes of an answer that does not arrive as it should."""
        if response.fate is Fate.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        elif response.fate is Fate.HANG and response.seconds > 0:
            # Until the client has had enough, or we are told to stop: either makes the socket readable.
            self.connection.settimeout(min(response.seconds, LONGEST_HANG))
            with suppress(OSError):
                self.connection.recv(1, socket.MSG_PEEK)
        elif response.fate is Fate.CUT:
            content, body = self._content(response), response.content()
            self.wfile.write(content[: -(len(body) or len(content)) // 2])
        elif response.fate is Fate.TRICKLE:
            content = self._content(response)
            step = max(1, len(content) // 50)
            pieces = [content[start : start + step] for start in range(0, len(content), step)]
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                self._pass(min(response.seconds, LONGEST_HANG) / len(pieces))

    def _pass(self, seconds: float) -> None:
        """Let time pass; when the simulator is told to stop, the call ends there, without an answer."""
        if self.server.stopping.wait(seconds) if seconds > 0 else self.server.stopping.is_set():
            raise ConnectionAbortedError("the simulator stops")

    def _send(self, response: Response) -> None:
        self.wfile.write(self._content(response))

    def _content(self, response: Response) -> bytes:
        body = response.content()
        headers = {"Content-Type": "application/json;charset=UTF-8"} if body else {}
        headers["Date"] = formatdate(self.server.organisation.now(), usegmt=True)
        headers |= response.headers
        if response.status != 204:
            headers["Content-Length"] = str(len(body))
        if self.close_connection:
            headers["Connection"] = "close"
        reason = self.responses.get(response.status, ("Unknown",))[0]
        lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


# --- the simulator's own pages ----------------------------------------------------------------------------


def answer_page(organisation: Organisation, request: Request) -> Response:
    """The simulator's own pages, for a test in another process."""
    name = request.path.removeprefix(_PAGES)
    pages: dict[str, Callable[[], Any]] = {
        "health": lambda: {"status": "ok"},
        "leads": organisation.lead_ids,
        "truth": organisation.truth,
        "calls": organisation.calls,
        "load": organisation.load,
        "limits": organisation.load,
        "fired": organisation.fired,
        "faults": organisation.faults,
        "behaviour": organisation.behaviour,
        **{module.lower(): partial(organisation.records, module) for module in MADE},
    }
    # What is PUT to a page, as JSON: a fault script, limits, behaviours, a list of lead ids to which somebody does
    # something, an object of lead ids and what special kind each is of or which fields it is given, a list of records.
    deeds: dict[str, Callable[[Any], None]] = {
        "faults": organisation.set_faults,
        "limits": organisation.set_limits,
        "converted_by_hand": lambda ids: _for_each(organisation.convert_by_hand, ids),
        "locked": lambda ids: _for_each(organisation.lock_lead, ids),
        "deleted": lambda ids: _for_each(organisation.delete_lead, ids),
        "special": lambda kinds: _make_special(organisation, kinds),
        "leads": organisation.give_leads,
        "hidden": organisation.hide,
        "behaviour": organisation.set_behaviour,
        **{module.lower(): partial(organisation.put_records, module) for module in MADE},
    }
    if name not in pages and name not in deeds:
        return Response(404, {"error": f"there is no page {name!r}; there are {', '.join({**pages, **deeds})}"})
    if request.method == "PUT" and name in deeds:
        try:
            deeds[name](json.loads(request.body))
        except KeyError as error:
            return Response(400, {"error": f"there is no lead {error}"})
        except (SimulatorError, ValueError, RecursionError) as error:
            return Response(400, {"error": str(error)})
    elif request.method != "GET" or name not in pages:
        return Response(405, {"error": f"{request.method} {name} is not possible"})
    return Response(200, pages[name]() if name in pages else {})


def _for_each(deed: Callable[[str], None], ids: Any) -> None:
    if not isinstance(ids, list):
        raise SimulatorError("a list of lead ids is wanted")
    for lead_id in ids:
        deed(str(lead_id))


def _make_special(organisation: Organisation, kinds: Any) -> None:
    if not isinstance(kinds, dict):
        raise SimulatorError("an object of lead ids and their kinds is wanted")
    for lead_id, kind in kinds.items():
        organisation.make_special(lead_id, kind)
