"""The connection to Redis, and its failures told plainly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from massconvert.errors import StoreError

#: A synchronous client that decodes its answers. redis-py types each command as "a value or an awaitable of it", which
#: no checker can use, hence Any.
Redis: TypeAlias = Any


def connect(url: str, *, socket_timeout: float = 5.0) -> Redis:
    """A client for ``url`` (``redis://``, ``rediss://``, ``unix://``); it connects at its first command.

    ``socket_timeout`` bounds each command, in seconds. Nothing is retried: a script whose answer was lost may have
    been carried out, so only its caller knows whether it may run again.

    Raises StoreError when ``url`` is not one.
    """
    try:
        return redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=socket_timeout,
            socket_connect_timeout=socket_timeout,
            socket_keepalive=not url.startswith("unix:"),
            health_check_interval=15,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise StoreError(
            f"REDIS_URL {place(url)!r} is not a Redis URL.",
            hint="Write it like redis://host:6379/0, rediss://host:6380/0 or unix:///path/to/socket.",
        ) from error


def place(url: str) -> str:
    """``url`` without its user and password, for messages."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


@contextmanager
def reaching(client: Redis) -> Iterator[None]:
    """Turn Redis' connection trouble into StoreError."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError) as error:
        arguments = client.connection_pool.connection_kwargs
        where = arguments.get("path") or f"{arguments.get('host', '?')}:{arguments.get('port', '?')}"
        what = "did not answer in time" if isinstance(error, redis.TimeoutError) else "cannot be reached"
        raise StoreError(f"Redis at {where} {what}.", hint="Start it, or set REDIS_URL to where it listens.") from error
