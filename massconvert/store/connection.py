"""The connection to Redis, and its failures told plainly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from massconvert.addresses import NodeGroup, group_of
from massconvert.contract import DEFAULT_ACCOUNT
from massconvert.errors import LedgerError, StoreError
from massconvert.store.pool import SharingPool
from massconvert.store.primary import OfSentinels, OfSlot, Primary, led_by
from massconvert.store.refusals import FOLLOWS, TABLE, RefusalKind, refusal_of
from massconvert.telemetry.observed import watchers

#: A synchronous client that decodes its answers. redis-py types each command as "a value or an awaitable of it", which
#: no checker can use, hence Any.
Redis: TypeAlias = Any

#: Refusals after which a client that follows a primary asks again where it is: its host may be gone without a word.
_GONE = ("UNREACHABLE", "TIMEOUT")
#: Those over which a person need do nothing where the next primary is found by itself.
_FOLLOWED = (*_GONE, "READONLY", "UNBLOCKED", "MASTERDOWN", "MOVED")


def connect(url: str, *, account: str = DEFAULT_ACCOUNT, socket_timeout: float = 5.0) -> Redis:
    """A client for ``url``, as `massconvert.addresses.check_redis_url` takes it; it connects at its first command.

    With Sentinels or a Cluster it follows the primary that has the ledger of ``account`` (in a Cluster another account
    needs another client: see `Clients`). ``socket_timeout`` bounds each command, in seconds. Nothing is retried: a
    script whose answer was lost may have been carried out, so only its caller knows whether it may run again.

    Raises StoreError when ``url`` is not one, or has an unknown option.
    """
    common = {
        "decode_responses": True,
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": socket_timeout,
        "health_check_interval": 15,
        "retry": Retry(NoBackoff(), 0),
        # Sockets in the file system know no keep-alive, and redis-py's connection to one refuses the argument.
        **({} if url.startswith("unix:") else {"socket_keepalive": True}),
    }
    try:
        group = group_of(url)
        if group:
            pool = SharingPool(**{**common, **led_by(_primary(group, account, socket_timeout), group)})
        else:
            pool = SharingPool.from_url(url, **common)
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


def _primary(group: NodeGroup, account: str, timeout: float) -> Primary:
    return OfSentinels(group, timeout) if group.service else OfSlot(group, timeout, account)


class Clients:
    """The clients of one process for ``url``: one for all accounts, but on a Cluster, where each has a slot, one each.

    Safe to share between threads. Raises what `connect` raises.
    """

    def __init__(self, url: str) -> None:
        group = group_of(url)
        self._url = url
        self._apart = group is not None and not group.service
        self._made: dict[str, Redis] = {} if self._apart else {DEFAULT_ACCOUNT: connect(url)}

    def of(self, account: str) -> Redis:
        """The client for the ledger of an account."""
        if not self._apart:
            return self._made[DEFAULT_ACCOUNT]
        return self._made.get(account) or self._made.setdefault(account, connect(self._url, account=account))


@contextmanager
def reaching(client: Redis, what: str = "") -> Iterator[None]:
    """Turn what Redis refuses, or answers instead of what was asked for, into words: `store/refusals.py` has them all.

    Raises StoreError for what passes and for what a person must fix, with the row of that table as its ``code``;
    LedgerError where the ledger holds what we have not written, with ``what`` was asked.
    """
    for watcher in watchers:
        watcher.round_trip()
    try:
        yield
    except Exception as error:
        refusal = refusal_of(error, what)
        if refusal is None:
            raise
        led = "primary" in client.connection_pool.connection_kwargs
        if refusal.meaning.elsewhere or (led and refusal.code in _GONE):
            # Those in use are dropped by the threads that use them, which are refused likewise.
            client.connection_pool.disconnect(inuse_connections=False)
        kind = LedgerError if refusal.meaning.kind is RefusalKind.BROKEN else StoreError
        words, hint = refusal.words, refusal.meaning.hint
        if led and refusal.code in _FOLLOWED:
            words, hint = TABLE["ASK"].words if refusal.code == "MOVED" else words, FOLLOWS
        hint += _of_tls(client, refusal.code, error)
        raise kind(f"Redis at {_place(client)} {words}", hint=hint, code=refusal.code) from error


def _of_tls(client: Redis, code: str, error: BaseException) -> str:
    """What may be wrong where one side speaks TLS and the other does not: no answer of either says so."""
    over_tls = issubclass(client.connection_pool.connection_class, redis.SSLConnection)
    if over_tls and code == "TIMEOUT":  # a Redis without TLS waits for the rest of what it takes for a command
        return " If it does not speak TLS, begin REDIS_URL with redis://."
    hung_up = any(words in str(error).lower() for words in ("closed by server", "reset by peer"))
    if not over_tls and code == "UNREACHABLE" and hung_up:
        return " If it speaks TLS only, begin REDIS_URL with rediss://."
    return ""


def _place(client: Redis) -> str:
    """Where a client connects to, without user and password."""
    arguments = client.connection_pool.connection_kwargs
    if "primary" in arguments:
        return str(arguments["primary"])
    return arguments.get("path") or f"{arguments.get('host', '?')}:{arguments.get('port', '?')}"
