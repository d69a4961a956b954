"""The connection to Redis, and its failures told plainly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from massconvert.errors import LedgerError, StoreError

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
            health_check_interval=15,
            retry=Retry(NoBackoff(), 0),
            # Sockets in the file system know no keep-alive, and redis-py's connection to one refuses the argument.
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        )
    except (ValueError, TypeError):
        # Neither the URL nor its parser's complaint is repeated: what cannot be parsed may hold a password anywhere.
        raise StoreError(
            "REDIS_URL is not a Redis URL.",
            hint="Write it like redis://host:6379/0, rediss://host:6380/0 or unix:///path/to/socket; "
            "characters like / # ? @ in a password must be percent-encoded.",
        ) from None


@contextmanager
def reaching(client: Redis, what: str = "") -> Iterator[None]:
    """Turn Redis' connection trouble into StoreError, and its refusal of ``what`` was asked into LedgerError."""
    try:
        yield
    except redis.AuthenticationError as error:
        raise StoreError(
            f"Redis at {_place(client)} refuses the user or the password.",
            hint="Put the right ones into REDIS_URL: redis://user:password@host:6379/0",
        ) from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        what = "did not answer in time" if isinstance(error, redis.TimeoutError) else "cannot be reached"
        if isinstance(error, redis.BusyLoadingError):
            what = "is still loading its data"
        hint = "Start it, or set REDIS_URL to where it listens."
        raise StoreError(f"Redis at {_place(client)} {what}.", hint=hint) from error
    except redis.ResponseError as error:
        trouble = next((words for sign, words in _REFUSALS if sign in str(error)), None)
        if trouble is None:
            asked = f" ({what})" if what else ""
            raise LedgerError(
                f"Redis at {_place(client)} refused what the ledger asked of it{asked}: {error}.",
                hint="Something else has written to its keys: give massconvert a Redis database of its own.",
            ) from error
        raise StoreError(f"Redis at {_place(client)} {trouble[0]}", hint=trouble[1]) from error


#: What Redis says when it is there but takes no writes (redis-py strips the first word of some); a script's error has
#: these words inside it.
_REFUSALS = (
    ("> 'maxmemory'", ("is full and takes no more.", "Give it more memory (maxmemory).")),
    ("read only replica", ("is a replica and takes no writes.", "Set REDIS_URL to the primary.")),
    ("MISCONF", ("cannot save to its disk and takes no writes.", "Its log says why; usually the disk is full.")),
)


def _place(client: Redis) -> str:
    """Where a client connects to, without user and password."""
    arguments = client.connection_pool.connection_kwargs
    return arguments.get("path") or f"{arguments.get('host', '?')}:{arguments.get('port', '?')}"
