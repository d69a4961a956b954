"""Celery's broker, as Celery is told of it: by workers and by producers."""

from __future__ import annotations

import re
import socket
from typing import Any

from massconvert.addresses import for_celery, group_of
from massconvert.store.primary import node_arguments, sentinel_arguments, within

#: Seconds without a byte until the kernel asks; seconds between its questions; unanswered ones that end the connection.
_IDLE, _EVERY, _UNANSWERED = 5, 5, 3


def keepalive_options() -> dict[int, int]:
    """The socket options of TCP, by number, as far as this platform has them: redis-py's and kombu's form.

    They find out a connection whose other end has vanished without a word; Linux alone would wait two hours. A worker
    that waits for Redis sends nothing, so it would not notice, and would be deaf. The kernel asks for it. (A process
    that hangs still has a kernel that answers.)
    """
    wanted = {
        "TCP_KEEPIDLE": _IDLE,
        "TCP_KEEPALIVE": _IDLE,  # the same on a Mac
        "TCP_KEEPINTVL": _EVERY,
        "TCP_KEEPCNT": _UNANSWERED,
        # Milliseconds: what was sent and nobody has taken ends the connection after the same time.
        "TCP_USER_TIMEOUT": 1000 * (_IDLE + _EVERY * _UNANSWERED),
    }
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


def celery_broker(url: str, timeout: float) -> dict[str, Any]:
    """Celery's settings for the broker at ``url``, which is `Settings.broker_url`.

    ``timeout``: seconds that a broker may take to answer; one that hangs would block publishers and the worker's loop
    for ever.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # Dead connections behind a NAT or firewall are found out; the default finds them at the next write.
        "socket_keepalive": True,
        "socket_keepalive_options": keepalive_options(),
        "health_check_interval": 10,
    }
    group = group_of(url)
    if group is None:
        return {"broker_url": url, "broker_transport_options": options}
    options["master_name"] = group.service
    # Given at all, these replace the time-outs above for the Sentinels; and redis-py would retry for ten seconds.
    options["sentinel_kwargs"] = {**sentinel_arguments(group), **within(timeout)}
    settings = {"broker_url": for_celery(url), "broker_transport_options": options}
    if group.tls:
        tls = {name: value for name, value in node_arguments(group).items() if name.startswith("ssl_")}
        settings["broker_use_ssl"] = {"ssl_cert_reqs": "required", **tls}
    return settings


def in_short(text: str) -> str:
    """``text`` without what redis-py tells of Sentinels that name no primary: all they are connected to with."""
    return re.sub(r"No master found for ('[^']*').*", r"no Sentinel names a primary of \1", text)
