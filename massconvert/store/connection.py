"""The connection to Redis, and its failures told plainly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from massconvert.errors import LedgerError, StoreError
from massconvert.store.pool import SharingPool
from massconvert.store.refusals import Kind, refusal_of

#: A synchronous client that decodes its answers. redis-py types each command as "a value or an awaitable of it", which
#: no checker can use, hence Any.
Redis: TypeAlias = Any


def connect(url: str, *, socket_timeout: float = 5.0) -> Redis:
    """A client for ``url`` (``redis://``, ``rediss://``, ``unix://``); it connects at its first command.

    ``socket_timeout`` bounds each command, in seconds. Nothing is retried: a script whose answer was lost may have
    been carried out, so only its caller knows whether it may run again.

    Raises StoreError when ``url`` is not one, or has an option that is none.
    """
    try:
        pool = SharingPool.from_url(
            url,
            decode_responses=True,
            socket_timeout=socket_timeout,
            socket_connect_timeout=socket_timeout,
            health_check_interval=15,
            retry=Retry(NoBackoff(), 0),
            # Sockets in the file system know no keep-alive, and redis-py's connection to one refuses the argument.
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        )
        client = redis.Redis(connection_pool=pool)
        client.auto_close_connection_pool = True
        # An option that there is not, or that cannot have this value, is found out here and not at the first command.
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except (ValueError, TypeError, redis.RedisError):
        # Neither the URL nor its parser's complaint is repeated: what cannot be parsed may hold a password anywhere.
        raise StoreError(
            "REDIS_URL is not a Redis URL.",
            hint="Write it like redis://host:6379/0, rediss://host:6380/0 or unix:///path/to/socket; "
            "characters like / # ? @ in a password must be percent-encoded; options after ? are those of redis-py.",
        ) from None
    return client


@contextmanager
def reaching(client: Redis, what: str = "") -> Iterator[None]:
    """Turn what Redis refuses, or answers instead of what was asked for, into words: `store/refusals.py` has them all.

    Raises StoreError for what passes and for what a person must mend, with the row of that table as its ``code``;
    LedgerError where the ledger holds what we have not written, with ``what`` was asked.
    """
    try:
        yield
    except Exception as error:
        refusal = refusal_of(error, what)
        if refusal is None:
            raise
        if refusal.meaning.elsewhere:
            # Those in use are dropped by the threads that use them, which are refused likewise.
            client.connection_pool.disconnect(inuse_connections=False)
        kind = LedgerError if refusal.meaning.kind is Kind.BROKEN else StoreError
        words = f"Redis at {_place(client)} {refusal.words}"
        raise kind(words, hint=refusal.meaning.hint, code=refusal.code) from error


def _place(client: Redis) -> str:
    """Where a client connects to, without user and password."""
    arguments = client.connection_pool.connection_kwargs
    return arguments.get("path") or f"{arguments.get('host', '?')}:{arguments.get('port', '?')}"
