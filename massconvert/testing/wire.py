"""The wire of a test: calls go to a simulated organisation in the same process, and take time of its clock only."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from massconvert.model import NotSent, PerhapsAccepted, Unsent
from massconvert.simulator import Organisation, Request
from massconvert.zoho.transport import Reply, Transport


class VirtualClock:
    """Unix seconds that pass only when something waits for them."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        """The moment."""
        return self._now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._now += max(0.0, seconds)

    def wait_until(self, moment: float) -> None:
        """Let time pass until then, if that is not past already."""
        self._now = max(self._now, moment)


class InProcess(Transport):
    """A transport without sockets. ``deadline`` (seconds) is how long it bears a server that hangs."""

    def __init__(self, organisation: Organisation, clock: VirtualClock, deadline: float) -> None:
        self._organisation = organisation
        self._clock = clock
        self._patience = deadline

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        send_by: float | None = None,
    ) -> Reply | NotSent | PerhapsAccepted:
        """Make one call and read its answer; what the fault script breaks is perhaps carried out, as over HTTP."""
        if send_by is not None and self._clock.now() > send_by:
            return NotSent(Unsent.LATE, "it was to be sent earlier")
        parts = urlsplit(url)
        lower = {name.lower(): value for name, value in headers.items()} | {"host": parts.netloc}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(method, unquote(parts.path), query, lower, body or b"")
        response = self._organisation.handle(request)
        took = response.delay + response.seconds
        self._clock.wait(min(took, self._patience))
        if took > self._patience:
            return PerhapsAccepted(f"no answer within {self._patience:g} s")
        if not response.arrives:
            return PerhapsAccepted("the connection was closed without an answer")
        return Reply(
            response.status, {name.lower(): value for name, value in response.headers.items()}, response.content()
        )

    def close(self) -> None:
        """Nothing is open."""
