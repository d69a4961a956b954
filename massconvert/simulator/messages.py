"""Requests and responses of Zoho CRM, apart from any socket, and Zoho's error JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

#: The modules whose records calls read and write.
_OF_RECORDS = ("Leads", "Contacts", "Accounts", "Deals")
#: Every call that there is, by its name in fault scripts, counts and costs.
METHODS = (
    "POST mass_convert",
    "GET mass_convert",
    "POST convert",
    "GET conversion_options",
    *(f"{method} {module}" for module in _OF_RECORDS for method in ("GET", "POST", "PUT", "DELETE")),
    *(f"{method} {module.removesuffix('s')}" for module in _OF_RECORDS for method in ("GET", "DELETE")),
    "POST lock",
    "DELETE lock",
    "GET recycle_bin",
    "DELETE recycle_bin",
    "GET users",
    "GET org",
    "GET settings/modules",
    "GET settings/fields",
    "GET settings/layouts",
    "GET settings/pipeline",
    "GET settings/portals",
    "GET settings/user_type",
    "POST coql",
    "GET search",
    "POST composite",
    "POST token",
    "POST revoke",
)


class SimulatorError(Exception):
    """The simulator was started or told wrongly; the text is one line for a person."""


@dataclass(frozen=True)
class Request:
    """A call as it came: ``path`` is unquoted and without the query; names of ``headers`` are in lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Fate(str, Enum):
    """What becomes of an answer on its way back."""

    SENT = "sent"
    RESET = "reset"  # a TCP reset instead of it
    DROP = "drop"  # the connection is closed without it
    HANG = "hang"  # nothing comes for ``seconds``, then the connection is closed
    CUT = "cut"  # the first half of the body comes, then the connection is closed
    TRICKLE = "trickle"  # it comes in small pieces over ``seconds``


@dataclass
class Response:
    """An answer: ``body`` is JSON to be, bytes as they are, or ``None`` for no body at all.

    ``fate`` (with its ``seconds``) is for the carrier; ``delay`` are the seconds that the answer takes beyond the
    carrying: a server waits them out, a simulation adds them to its clock.
    """

    status: int
    body: dict[str, Any] | list[Any] | bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    fate: Fate = Fate.SENT
    seconds: float = 0.0
    delay: float = 0.0

    @property
    def arrives(self) -> bool:
        """Whether a client gets the answer whole."""
        return self.fate in (Fate.SENT, Fate.TRICKLE)

    def content(self) -> bytes:
        """The body as it goes over the wire."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body or b""
        return json.dumps(self.body, ensure_ascii=False).encode()


class RefusedError(Exception):
    """Zoho refuses a call: raised while it is worked on, and answered as Zoho's error envelope.

    ``shape``: it stands ``bare``, in a list ``data`` or ``errors``, or within another error (``multi``).
    """

    def __init__(
        self, status: int, code: str, message: str, details: Mapping[str, Any] | None = None, shape: str = "bare"
    ) -> None:
        super().__init__(f"{status} {code}")
        self.shape = shape
        self.status = status
        self.code = code
        self.message = message
        self.details = dict(details or {})

    def response(self) -> Response:
        """The refusal as it is answered."""
        error = envelope(self.code, self.message, self.details)
        if self.shape == "multi":
            error = envelope("MULTIPLE_OR_MULTI_ERRORS", "multiple errors", {"errors": [error]})
        return Response(self.status, {self.shape: [error]} if self.shape in ("data", "errors") else error)


def envelope(code: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Zoho's error JSON."""
    return {"code": code, "details": dict(details or {}), "message": message, "status": "error"}


def place(json_path: str) -> dict[str, str]:
    """A place in a body as ``details`` name it: ``$.Deals.Stage`` and its last key, ``$.ids[3]`` and ``ids``."""
    return {"api_name": json_path.rpartition(".")[2].partition("[")[0], "json_path": json_path}
