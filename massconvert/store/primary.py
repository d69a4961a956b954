"""Which server has the ledger now, where one of several has it: asked of Sentinels, or of a Cluster's nodes.

Each connection asks when it is made, and leads to the server that was named; nothing else is remembered of an answer.
So a connection that is lost, or was dropped for what the server said (`store/refusals.py`), finds the new primary. One
to a primary that was replaced in a planned failover is not lost: the old server takes writes, which are thrown away,
for some ten seconds. Therefore Sentinels are asked again, once a second at most, before connections are used again.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.crc import key_slot
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from massconvert.addresses import NodeGroup
from massconvert.store.keys import Keys
from massconvert.store.refusals import refusal_of

#: How long a Sentinel, or a node of a Cluster, may take to say where the primary is, in seconds: then another is asked.
ANSWER_WITHIN = 2.0
#: How often Sentinels are asked while connections to a primary hold, in seconds.
LOOK_EVERY = 1.0
Address = tuple[str, int]
#: Why nobody can be asked over TLS, rows of `store/refusals.py`.
_OF_TLS = ("CERTIFICATE", "TLS")


class NoPrimaryError(redis.ConnectionError):
    """Nobody says where the primary is; the text is the row of `store/refusals.py` that tells why."""


class Primary(ABC):
    """The server of a group that has the ledger of an account. Safe to share between threads, and to fork with."""

    def __init__(self, group: NodeGroup, timeout: float) -> None:
        self._group = group
        self._timeout = timeout
        self._to_ask: list[Address] = list(group.hosts)
        self._clients: dict[Address, Any] = {}
        self.known: Address | None = None
        self._lost = True

    def __str__(self) -> str:
        return str(self._group) if self._lost or not self.known else f"{self.known[0]}:{self.known[1]}"

    def find(self) -> Address:
        """Ask where it is. Raises NoPrimaryError."""
        reasons = dict[str, str]()
        for address in tuple(self._to_ask):
            found = self._ask(address)
            if isinstance(found, str):
                reasons[found.split()[0]] = found
            else:
                self._ask_last(address, last=False)
                self.known, self._lost = found, False
                return found
        self._lost = True
        raise NoPrimaryError(next(reasons[reason] for reason in self.reasons if reason in reasons))

    def current(self) -> Address | None:
        """Where it was when somebody was last asked."""
        return self.known

    def doubt(self, address: Address) -> None:
        """The server at ``address`` is no primary, or is gone: its Sentinel or node is asked last from now on."""
        if address == self.known and self._to_ask:
            self._ask_last(self._to_ask[0], last=True)

    def demand(self, connection: Any) -> None:
        """Refuse a connection that was just made to a server that is not the primary. Raises redis.ReadOnlyError.

        A Cluster's nodes refuse by themselves what is asked of another.
        """
        _ = connection

    #: Why there may be none, rows of `store/refusals.py`: what says the most comes first.
    reasons: tuple[str, ...] = ()

    @abstractmethod
    def _ask(self, address: Address) -> Address | str:
        """Where one says that it is, or a reason, with which words of the other side may stand."""

    @abstractmethod
    def _arguments(self) -> dict[str, Any]:
        """How those who are asked want to be connected to."""

    def _client(self, address: Address) -> Any:
        found = self._clients.get(address)
        if found is None:
            host, port = address
            found = self._clients[address] = redis.Redis(
                host=host, port=port, decode_responses=True, **within(self._timeout), **self._arguments()
            )
        return found

    def _ask_last(self, address: Address, *, last: bool) -> None:
        """Ask this one last from now on, or first."""
        others = [each for each in self._to_ask if each != address]
        self._to_ask = [*others, address] if last else [address, *others]


class OfSentinels(Primary):
    """The primary of a service that Sentinels watch. ``monotonic`` is in seconds."""

    reasons = ("NOPRIMARY", "NOSERVICE", "SENTINELAUTH", *_OF_TLS, "NOSENTINEL")

    def __init__(self, group: NodeGroup, timeout: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(group, timeout)
        self._monotonic = monotonic
        self._looked_at = monotonic()

    def __str__(self) -> str:
        name = super().__str__()
        return name if self._lost else f"{name} ({self._group.service})"

    def find(self) -> Address:
        """Ask where it is. Raises NoPrimaryError."""
        self._looked_at = self._monotonic()
        return super().find()

    def current(self) -> Address | None:
        """Where it is; asked again when nobody was asked within a second.

        Where one Sentinel does not know, another is asked: it may have gone with the primary's host, without a word.
        """
        now = self._monotonic()
        if self._to_ask and now - self._looked_at >= LOOK_EVERY:
            self._looked_at = now
            for address in tuple(self._to_ask[:2]):
                found = self._ask(address)
                if not isinstance(found, str):
                    self.known = found
                    break
                self._ask_last(address, last=True)
        return self.known

    def standing(self) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """What the first Sentinel that answers says of the service and of its replicas, as far as we may ask it."""
        for address in tuple(self._to_ask):
            client, replicas = self._client(address), list[dict[str, Any]]()
            try:
                state = client.sentinel_masters().get(self._group.service)
            except (redis.RedisError, OSError, ValueError):
                continue
            with suppress(redis.RedisError):  # a user who may ask only where the primary is
                replicas = client.sentinel_slaves(self._group.service)
            if state:
                return state, replicas
        return {}, []

    def demand(self, connection: Any) -> None:
        """Ask the server for its role: a Sentinel that was cut off goes on to name a primary of before.

        A user that may not ask is told so by the server, at the first write.
        """
        try:
            connection.send_command("ROLE", check_health=False)
            role = connection.read_response()[0]
        except (NoPermissionError, redis.ResponseError):
            return
        if role not in ("master", b"master"):
            self.doubt((connection.host, connection.port))
            raise redis.ReadOnlyError("its role is not that of a primary")

    def _ask(self, address: Address) -> Address | str:
        try:
            state = self._client(address).sentinel_masters().get(self._group.service)
        except (redis.AuthenticationError, NoPermissionError):
            return "SENTINELAUTH"
        except redis.ResponseError as error:
            return "SENTINELAUTH" if str(error).startswith("NOAUTH") else "NOSENTINEL"
        except (redis.RedisError, OSError, ValueError) as error:
            return _of_tls(error) or "NOSENTINEL"
        if state is None:
            return "NOSERVICE"
        if state["is_sdown"] or state["is_odown"] or not state["is_master"]:
            return "NOPRIMARY"
        return str(state["ip"]), int(state["port"])

    def _arguments(self) -> dict[str, Any]:
        return sentinel_arguments(self._group)


class OfSlot(Primary):
    """The node of a Redis Cluster that has the slot of an account: all of its keys are in one."""

    reasons = ("NOSLOT", "WRONGPASS", "NOPERM", "NOTCLUSTER", *_OF_TLS, "NONODE")

    def __init__(self, group: NodeGroup, timeout: float, account: str) -> None:
        super().__init__(group, timeout)
        self._slot = key_slot(Keys(account).prefix.encode())

    def _ask(self, address: Address) -> Address | str:
        try:
            shards = self._client(address).execute_command("CLUSTER", "SLOTS")
        except redis.AuthenticationError:
            return "WRONGPASS"
        except NoPermissionError:
            return "NOPERM"
        except redis.ResponseError:
            return "NOTCLUSTER"
        except (redis.RedisError, OSError, ValueError) as error:
            return _of_tls(error) or "NONODE"
        nodes = [(node[0] or address[0], int(node[1])) for shard in shards for node in shard[2:]]
        self._to_ask = list(dict.fromkeys((*self._to_ask[:1], *nodes, *self._group.hosts)))
        for first, last, primary, *_ in shards:
            if first <= self._slot <= last:
                return primary[0] or address[0], int(primary[1])
        return "NOSLOT"

    def _arguments(self) -> dict[str, Any]:
        return node_arguments(self._group)


def node_arguments(group: NodeGroup) -> dict[str, Any]:
    """What connections to a data node are made with, but for its host and port, as redis-py's client takes it."""
    given = _options(group)
    for name in ("host", "port", "connection_class", "db", "max_connections", *_BOUNDS):
        given.pop(name, None)
    return {**given, "ssl": True} if group.tls else given


def sentinel_arguments(group: NodeGroup) -> dict[str, Any]:
    """What connections to a Sentinel are made with, likewise. The password is in nothing that redis-py may show."""
    given = node_arguments(group)
    user, password = group.login
    for name in ("username", "password", "protocol", "client_name"):
        given.pop(name, None)
    if user or password:
        given["credential_provider"] = UsernamePasswordCredentialProvider(user or None, password)
    return given


def _options(group: NodeGroup) -> dict[str, Any]:
    return dict(parse_url(group.node))  # type: ignore[no-untyped-call]  # redis-py has no types for it


def _of_tls(error: Exception) -> str:
    """The row of a failure that TLS is the reason of, and its words; blank for any other."""
    refusal = refusal_of(error)
    return f"{refusal.code} {error}" if refusal and refusal.code in _OF_TLS else ""


_BOUNDS = ("socket_timeout", "socket_connect_timeout", "health_check_interval", "socket_keepalive")


def within(timeout: float) -> dict[str, Any]:
    """The time-outs of connections to those who are asked, at most ``timeout`` seconds. Nothing is retried."""
    timeout = min(timeout, ANSWER_WITHIN)
    return {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0)}


class _Led:
    """What makes a connection of redis-py's lead to the primary, and from one that was replaced to the next."""

    def __init__(self, *, primary: Primary, **kwargs: Any) -> None:
        self._primary = primary
        super().__init__(**kwargs)

    host: str
    port: int
    _sock: Any

    def connect(self) -> None:
        """Connect, unless that is done and the server is the primary still."""
        if self._sock and (self.host, self.port) != self._primary.current():
            self.disconnect()  # type: ignore[attr-defined]  # what this is mixed into has it
        super().connect()  # type: ignore[misc]  # as above

    def _connect(self) -> Any:
        self.host, self.port = self._primary.find()
        try:
            return super()._connect()  # type: ignore[misc]  # as above
        except OSError:
            self._primary.doubt((self.host, self.port))
            raise

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Log in, and see to it that this is the primary."""
        super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]  # as above
        self._primary.demand(self)


def led_by(primary: Primary, group: NodeGroup) -> dict[str, Any]:
    """What a pool needs whose connections lead to this primary, as redis-py's takes it."""
    kind = LedTLSConnection if group.tls else LedConnection
    return {**_options(group), "connection_class": kind, "primary": primary, "host": None, "port": 0}


class LedConnection(_Led, redis.Connection):
    """To the primary."""


class LedTLSConnection(_Led, redis.SSLConnection):
    """To the primary, with TLS."""
