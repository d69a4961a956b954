"""Serves the page in a process of its own, until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from massconvert.dashboard import app, missing
from massconvert.errors import SettingsError
from massconvert.settings import Settings

#: Seconds that answers may still take to be sent when it is stopped.
_LAST_ANSWERS = 3
#: The most bytes of an address with its headers: a column of some thousand ids may be pasted.
_LONGEST_REQUEST = 256 << 10


def serve(
    settings: Settings, *, host: str, port: int, prefix: str, told: Callable[[str], object], **access: Any
) -> None:
    """Serve `massconvert.dashboard.app` until Ctrl-C or SIGTERM; ``told`` its address when it listens.

    Raises SettingsError where the extra is not installed, or nothing can listen there.
    """
    try:
        import uvicorn  # noqa: PLC0415 - a library of the extra
    except ModuleNotFoundError as error:
        raise missing(error) from None
    pages = app(settings, **access)
    with _listening(host, port) as listener:
        told(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}{prefix}/")
        config = uvicorn.Config(
            pages,
            root_path=prefix,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # who asks is for the door to decide
            lifespan="off",
            http="h11",  # of which it is known how long an address may be
            h11_max_incomplete_event_size=_LONGEST_REQUEST,
            timeout_graceful_shutdown=_LAST_ANSWERS,
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise SettingsError(
            f"Nothing can listen at {host}, port {port}: {error.strerror or error}.",
            hint="Name another with --port; 0 takes a free one.",
        ) from None
