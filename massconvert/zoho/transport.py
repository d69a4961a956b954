"""One HTTP exchange, and the truth about it: answered, surely not sent, or perhaps carried out.

`requests` would follow redirects, read .netrc and keep cookies, and its time-outs are for each read, not for the
whole call. So only its adapter is used, on connections of our own that

- note when the first byte of a request leaves: whatever breaks before it (DNS, refused, TLS, a proxy's refusal) was
  surely not sent, whatever breaks after it was perhaps carried out. No list of exceptions is as exact.
- bound every single read by what is left of the call's deadline, so that a server that trickles its answer, headers
  included, holds a thread no longer than one that is silent.
- look at the clock once more just before a byte of the request leaves: what should have left by then does not leave.
  The clock goes on while the machine sleeps.
- are dropped when they have idled for long: the other end may have closed them, and the first to find out would be a
  POST whose answer is then lost.

Not bounded by the deadline, since no socket exists yet: the resolver of the operating system, and connecting to many
addresses of a host in turn (the connect time-out is for each). A call that got through them too late is not sent.
"""

from __future__ import annotations

import io
import os
import re
import socket
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.connection import create_connection

from massconvert.addresses import is_loopback
from massconvert.errors import SettingsError
from massconvert.model import NotSent, PerhapsAccepted, Unsent
from massconvert.store import steady
from massconvert.telemetry.traces import calls

MAX_BODY = 16 * 1024 * 1024  # bytes, unpacked; the longest answer we ask for has well under 1 MiB
MAX_IDLE = 30.0  # seconds that a pooled connection may have been idle
_PIECE = 64 * 1024


@dataclass(frozen=True)
class Reply:
    """An answer of whatever server: the names of ``headers`` are in lower case, ``body`` is unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _TooLateError(TimeoutError):
    """The call's deadline has passed."""


class _Exchange:
    """How far the call of this thread has come."""

    def __init__(
        self,
        deadline: float,
        monotonic: Callable[[], float],
        refuses: Refuses | None = None,
        send_by: float | None = None,
    ) -> None:
        self.deadline = deadline
        self.send_by = send_by
        self.refuses = refuses
        self.monotonic = monotonic
        self.connecting = False
        self.broke_before_sending = False
        self.sent = False
        self.too_late = False

    def demand_in_time(self) -> None:
        """Raise _TooLateError when nothing may leave any more."""
        self.left()
        if self.send_by is not None and self.monotonic() > self.send_by:
            self.too_late = True
            raise _TooLateError("what was to be sent by now was not")

    def left(self) -> float:
        """Seconds until the deadline. Raises _TooLateError when there are none."""
        left = self.deadline - self.monotonic()
        if left <= 0:
            self.too_late = True
            raise _TooLateError("the call's deadline has passed")
        return left


#: Says of a host and an address why it must not be called, or nothing.
Refuses: TypeAlias = Callable[[str, str], str]

_exchange: ContextVar[_Exchange] = ContextVar("exchange")


def _permitted(host: str, port: int | None, refuses: Refuses) -> list[str]:
    """The addresses of ``host`` that may be called. Raises OSError where there are others alone, or none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # too long a label
        raise socket.gaierror(f"{host[:60]} is no host") from None
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    reasons = {address: refuses(host, address) for address in addresses}
    permitted = [address for address, reason in reasons.items() if not reason]
    if not permitted:
        raise PermissionError(next(iter(reasons.values()), f"{host} has no address"))
    return permitted


class _BoundedReader(io.RawIOBase):
    """Reads from a response's socket, each time for no longer than the call has left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, exchange: _Exchange) -> None:
        self._raw = raw
        self._sock = sock
        self._exchange = exchange

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._exchange.left())
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            self._exchange.too_late = True
            raise

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw: Any = self.fp.detach()
        self.fp = io.BufferedReader(_BoundedReader(raw, sock, _exchange.get()))


class _Watched:
    """What our connections do in addition: see the module's text. To be mixed into a connection of urllib3."""

    response_class: Any = _BoundedResponse
    sock: Any
    host: str
    port: int
    proxy: Any
    timeout: Any
    source_address: Any
    socket_options: Any
    _used_at = 0.0

    def connect(self) -> None:
        exchange = _exchange.get()
        exchange.connecting = exchange.broke_before_sending = True
        super().connect()  # type: ignore[misc]  # the connection that this is mixed into has it
        exchange.connecting = exchange.broke_before_sending = False

    def _new_conn(self) -> Any:
        """The socket. Where addresses are looked at, it is made to one that was: a name is not looked up again."""
        refuses = _exchange.get().refuses
        if refuses is None or self.proxy is not None:
            return super()._new_conn()  # type: ignore[misc]  # as above
        trouble: OSError | None = None
        for address in _permitted(self.host, self.port, refuses):
            try:
                return create_connection(
                    (address, self.port), self.timeout, self.source_address, socket_options=self.socket_options
                )
            except OSError as error:  # noqa: PERF203 - the next address may answer
                trouble = error
        raise trouble or OSError(f"{self.host} has no address")

    def send(self, data: Any) -> None:
        exchange = _exchange.get()
        if self.sock is None:
            self.connect()
        if not exchange.connecting:  # while connecting, it is the proxy that is spoken to
            exchange.broke_before_sending = not exchange.sent
            exchange.demand_in_time()
            exchange.sent, exchange.broke_before_sending = True, False
        super().send(data)  # type: ignore[misc]  # as above

    def getresponse(self) -> Any:
        response = super().getresponse()  # type: ignore[misc]  # as above
        self._used_at = _exchange.get().monotonic()
        return response

    @property
    def is_connected(self) -> bool:
        """Asked by the pool before a connection is used again; it closes one that is not."""
        idle = _exchange.get().monotonic() - self._used_at
        return idle <= MAX_IDLE and bool(super().is_connected)  # type: ignore[misc]  # as above


class _PlainConnection(_Watched, HTTPConnection):
    pass


class _TlsConnection(_Watched, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _PlainPool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """Makes the connections ours, also through a proxy (but for SOCKS, which has connections of its own)."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = _POOLS
        return manager


class Transport:
    """Connections to a few hosts, pooled, for any number of threads.

    ``connect_timeout`` and ``deadline`` are seconds, the latter for a whole call. The environment's proxies and
    REQUESTS_CA_BUNDLE are honoured (but no proxy for loopback); .netrc, cookies and redirects are not. ``refuses``
    says of a host and one of its addresses why it must not be called. Where a proxy makes the connection, what is known
    here of the name is looked at.

    Raises SettingsError when REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names a file that is not there.
    """

    def __init__(
        self,
        *,
        connect_timeout: float,
        deadline: float,
        slots: int = 25,
        monotonic: Callable[[], float] = steady,
        refuses: Refuses | None = None,
    ) -> None:
        self.refuses = refuses
        self._connect_timeout = connect_timeout
        self._deadline = deadline
        self._monotonic = monotonic
        self._surroundings: dict[str, tuple[dict[str, str], bool | str]] = {}
        _check_certificates()
        # No retry (0 is the default and is said here because a retried POST is the one thing that must not be).
        self._adapter = _Adapter(pool_connections=4, pool_maxsize=slots, max_retries=0)

    @calls
    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        send_by: float | None = None,
    ) -> Reply | NotSent | PerhapsAccepted:
        """Make one call and read its answer. Raises nothing for what the network or the server does.

        Nothing of it leaves after ``send_by`` (a moment of `steady`): it is ``NotSent`` then. Where a SOCKS proxy is
        used, whose connections are not ours, that is looked at before the call only.
        """
        began = self._monotonic()
        if send_by is not None and began > send_by:
            return NotSent(Unsent.LATE, "this machine came too late to it, as after a sleep or with too much to do")
        exchange = _Exchange(began + self._deadline, self._monotonic, self.refuses, send_by)
        token = _exchange.set(exchange)
        try:
            return self._send(method, url, headers, body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            return self._broken(error, exchange)
        except (zlib.error, ValueError) as error:
            return PerhapsAccepted(f"an answer that cannot be read: {error}")
        finally:
            _exchange.reset(token)

    def close(self) -> None:
        """Close the idle connections."""
        self._adapter.close()

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        # Not Session.prepare_request, which would take an Authorization from .netrc, and cookies.
        request = requests.Request(method, url, data=body, headers={"Accept-Encoding": "identity", **headers}).prepare()
        base = "://".join(urlsplit(url)[:2])
        proxies, verify = self._surroundings.get(base) or self._surroundings.setdefault(base, _environment(base))
        if self.refuses and select_proxy(url, proxies):
            with suppress(socket.gaierror):  # a name that only the proxy knows
                _permitted(urlsplit(url).hostname or "", None, self.refuses)
        response = self._adapter.send(
            request,
            stream=True,
            timeout=(min(self._connect_timeout, self._deadline), self._deadline),
            verify=verify,
            proxies=proxies,
        )
        try:
            lower = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status_code, lower, _unpacked(_read(response.raw), lower))
        finally:
            response.close()  # gives the connection back if the body was read, and closes it otherwise

    def _broken(self, error: Exception, exchange: _Exchange) -> NotSent | PerhapsAccepted:
        words = f"no answer within {self._deadline:g} s" if exchange.too_late else _plain(error)
        if exchange.sent or not (exchange.broke_before_sending or _says_not_sent(error)):
            return PerhapsAccepted(words)
        if exchange.too_late:
            return NotSent(Unsent.EXPIRED, "not connected in time")
        return NotSent(Unsent.CONNECT, words)


def _environment(url: str) -> tuple[dict[str, str], bool | str]:
    """The proxies and the certificates that the environment names for ``url``."""
    if is_loopback(urlsplit(url).hostname or ""):
        return {}, True
    merged = requests.Session().merge_environment_settings(url, {}, True, None, None)
    return dict(merged["proxies"]), merged["verify"] or True


def _check_certificates() -> None:
    """Told when a worker starts; at a call it would look like an answer that was lost."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = os.environ.get(name, "")
        if path and not os.path.exists(path):
            raise SettingsError(f"{name} is {path}, which is not there.", hint="Fix the path, or unset the variable.")


def _read(raw: Any) -> bytes:
    """The body as it came. Raises ValueError when it is too long."""
    pieces, size = [], 0
    while piece := raw.read(_PIECE, decode_content=False):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise ValueError(f"more than {MAX_BODY} bytes")
    return b"".join(pieces)


def _unpacked(body: bytes, headers: Mapping[str, str]) -> bytes:
    """``body`` unpacked, although none was asked to be packed. Raises ValueError when it is too long."""
    if headers.get("content-encoding", "").strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either format
    plain = unpacker.decompress(body, MAX_BODY)
    if unpacker.unconsumed_tail:
        raise ValueError(f"more than {MAX_BODY} bytes")
    return plain


def _says_not_sent(error: BaseException | None) -> bool:
    """Whether an exception alone proves that nothing was sent: for connections that are not ours (SOCKS)."""
    if isinstance(error, requests.exceptions.ConnectTimeout | urllib3.exceptions.ConnectTimeoutError):
        return True
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return True
    if isinstance(error, requests.exceptions.MissingSchema | requests.exceptions.InvalidHeader):
        return True
    inner = getattr(error, "reason", None) or getattr(error, "original_error", None)
    if inner is None and error is not None and error.args:
        inner = error.args[0]
    return isinstance(inner, Exception) and _says_not_sent(inner)


def _plain(error: BaseException) -> str:
    """The innermost reason, for people; never with a header or a body in it."""
    if isinstance(error, requests.exceptions.InvalidHeader):
        return "a header that cannot be sent"  # the complaint has the header's value in it
    seen: set[int] = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = getattr(error, "reason", None) or getattr(error, "original_error", None)
        inner = (
            inner if isinstance(inner, Exception) else next((a for a in error.args if isinstance(a, Exception)), None)
        )
        if inner is None:
            break
        error = inner
    words = " ".join(str(error).split()) or type(error).__name__
    return re.sub(r"^\w+\(host=[^)]*\): ", "", words)[:300]
