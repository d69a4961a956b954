"""Who may come in, and what they may do: the one place that decides it, before any page is asked.

Everything else of the page may take for granted that the host is one of ours, that the asker is known, and that a
request which changes something was made by a page of ours and may change it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlsplit

from massconvert.addresses import is_loopback
from massconvert.producer.intake import LONGEST_NAME, this_person
from massconvert.words.readable import readable

#: A scope, and how an ASGI app is called with one.
Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

COOKIE = "massconvert"
#: How long a login holds, in seconds.
LOGIN_HOLDS = 12 * 3600.0
#: Under these keys of a scope the pages find who asks, and whether anything may be changed.
PERSON, READ_ONLY = "massconvert.person", "massconvert.read_only"
#: And the prefix of the whole: an account's pages have one of their own.
HOME = "massconvert.home"
#: What every answer says to the browser. Nothing is loaded from outside, nothing inline runs, nobody may frame it.
#: `Referrer-Policy: no-referrer` would make browsers send `Origin: null` with our own forms.
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-frame-options": "DENY",
}
_ENCODED = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
#: What needs no name: it shows nothing of the ledger.
_OPEN = ("/healthz", "/static/", "/login")
#: What changes nothing in the ledger, though it is a POST.
_OF_THE_DOOR = ("/login", "/logout")
_READS = ("GET", "HEAD")


@dataclass(frozen=True)
class Access:
    """Who may come in; see `massconvert.dashboard.app`. Without any of the three, this machine alone."""

    token: str = ""
    trust_header: str = ""
    who: Callable[[Mapping[str, str]], str | None] | None = None
    hosts: tuple[str, ...] = ()
    read_only: bool = False
    clock: Callable[[], float] = time.time  # of the cookies, which only this process reads

    def cookie(self, name: str) -> str:
        """What a browser keeps of a login."""
        text = json.dumps([name, round(self.clock() + LOGIN_HOLDS)]).encode()
        return f"{_b64(text)}.{self._signature(text)}"

    def name_in(self, cookie: str) -> str | None:
        """Whose login that is; ``None`` for one that has ended, or that nobody here has signed."""
        try:
            written, _, signature = cookie.partition(".")
            text = base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
            if not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
                return None
            name, until = json.loads(text)
        except (ValueError, TypeError):
            return None
        return str(name) if self.clock() < float(until) else None

    def is_token(self, given: str) -> bool:
        """Whether that is the token."""
        return bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())

    def _signature(self, text: bytes) -> str:
        key = hashlib.sha256(b"massconvert dashboard cookie " + self.token.encode()).digest()
        return _b64(hmac.new(key, text, hashlib.sha256).digest())


class Door:
    """An ASGI app before the ``pages``: lets a request in, or answers it."""

    def __init__(self, pages: App, access: Access, refuse: Callable[[Scope, int, str, str], App]) -> None:
        """``refuse`` makes the answer of a status, with a sentence and what to do."""
        self._pages, self._access, self._refuse = pages, access, refuse

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._pages(scope, receive, send)
            return
        answer = self._judge(scope) or self._pages

        async def send_all(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_ENCODED]
            await send(message)

        await answer(scope, receive, send_all)

    def _judge(self, scope: Scope) -> App | None:
        """The answer to what may not come in; ``None`` for what may."""
        access, headers, path = self._access, headers_of(scope), path_of(scope)
        scope[READ_ONLY], scope[HOME] = access.read_only, str(scope.get("root_path", ""))
        if not self._is_our_host(headers):
            host = readable(_hostname(headers.get("host", "")), longest=100)
            hint = "Allow it with --public-host NAME, or use the machine's address."
            return self._refuse(scope, 400, f"This page is not served under the name {host!r}.", hint)
        reads = scope["method"] in _READS
        if not reads and not self._is_of_our_pages(headers):
            hint = "Open the page itself and press the button there."
            return self._refuse(scope, 403, "This request did not come from this page, so nothing was done.", hint)
        if not reads and access.read_only and path not in _OF_THE_DOOR:
            return self._refuse(scope, 403, "This page is read-only, so nothing was done.", "")
        scope[PERSON] = person = self._person(scope, headers)
        if person is not None or path == _OPEN[0] or (path.startswith(_OPEN[1:]) and (access.token or reads)):
            return None
        return self._turn_away(scope, path, reads=reads)

    def _turn_away(self, scope: Scope, path: str, *, reads: bool) -> App:
        access = self._access
        if access.token:
            if reads:
                return _redirect(f"{scope.get('root_path', '')}/login?next={quote(path, safe='/')}")
            return self._refuse(scope, 401, "You are not logged in any more, so nothing was done.", "Log in again.")
        if access.trust_header or access.who:
            what = f"the header {access.trust_header}" if access.trust_header else "who you are"
            return self._refuse(scope, 401, f"The proxy did not say {what}.", "Come through the proxy, logged in.")
        hint = "Set MASSCONVERT_DASHBOARD_TOKEN, or --trust-header NAME behind a proxy that knows its users."
        return self._refuse(scope, 403, "This page answers its own machine only.", hint)

    def _person(self, scope: Scope, headers: Mapping[str, str]) -> str | None:
        """Who asks; ``None`` where nobody says so."""
        access = self._access
        if access.who:
            return _name(access.who(headers) or "")
        if access.trust_header:
            return _name(headers.get(access.trust_header.lower(), ""))
        if access.token:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            if scheme.lower() == "bearer" and access.is_token(given.strip()):
                return "token"
            return access.name_in(_cookie(headers))
        forwarded = any(name == "forwarded" or name.startswith("x-forwarded-") for name in headers)
        client = scope.get("client")
        here = client is not None and is_loopback(client[0])  # behind a socket in the file system may be a proxy
        return this_person() if here and not forwarded else None

    def _is_our_host(self, headers: Mapping[str, str]) -> bool:
        """Whether the browser was asked for a name of ours. An address is: a stranger's name cannot be one."""
        host = _hostname(headers.get("host", ""))
        if host in {"localhost", *map(str.lower, self._access.hosts)}:
            return True
        try:
            return bool(ip_address(host))
        except ValueError:
            return False

    def _is_of_our_pages(self, headers: Mapping[str, str]) -> bool:
        """Whether one of our own pages has made the request, as the browser says. It sends `Sec-Fetch-Site` to https
        and to this machine only; elsewhere it names its `Origin`."""
        if site := headers.get("sec-fetch-site"):
            return site == "same-origin"
        origin = urlsplit(headers.get("origin", "")).netloc.lower()
        ours = {headers.get("host", "").lower()}
        if self._access.trust_header:
            ours.add(headers.get("x-forwarded-host", "").lower())
        return bool(origin) and origin in ours


def path_of(scope: Scope) -> str:
    """The path below the prefix under which the app is mounted."""
    path, prefix = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers of a request, by their names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _redirect(to: str) -> App:
    async def answer(scope: Scope, receive: Any, send: Any) -> None:  # noqa: ARG001 - as ASGI calls it
        headers = [(b"location", to.encode("latin-1")), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return answer


def _name(given: str) -> str | None:
    return readable(given.strip())[:LONGEST_NAME] or None


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _hostname(host: str) -> str:
    """A `Host` header without its port, in lower case; an IPv6 address without its brackets."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _b64(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).decode().rstrip("=")
