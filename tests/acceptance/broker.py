"""The broker of the tests: the house's Redis, or the RabbitMQ that MASSCONVERT_TEST_BROKER names.

That is a URL like ``amqp://user:password@127.0.0.1:5672`` without a virtual host: each house gets one of its own, so
that tests run side by side. They are made by RabbitMQ's management API, which listens 10,000 ports above, as it does
by default; its user must be an administrator. With MASSCONVERT_TEST_QUEUES=quorum their queues are quorum queues.
"""

from __future__ import annotations

import base64
import json
import os
from urllib.parse import urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
import redis
from celery import Celery

from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS, UNACKED

QUEUES = (QUEUE, QUEUE_CONVERT, QUEUE_STATUS)
RABBITMQ = os.environ.get("MASSCONVERT_TEST_BROKER", "").rstrip("/")
QUEUE_TYPE = os.environ.get("MASSCONVERT_TEST_QUEUES", "") or "classic"
#: For tests that look into Celery's Redis transport, or take the broker away together with the ledger.
only_redis = pytest.mark.skipif(bool(RABBITMQ), reason="about Redis as the broker")


class RedisBroker:
    """The ledger's own Redis, as it is where CELERY_BROKER_URL is not set."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.environment: dict[str, str] = {}

    def messages(self) -> int:
        """How many messages wait, or are held by workers."""
        with redis.Redis.from_url(self.url) as client:
            return sum(int(client.llen(queue)) for queue in QUEUES) + int(client.hlen(UNACKED))

    def lose_messages(self) -> None:
        """Delete every message, those that workers hold as well."""
        with redis.Redis.from_url(self.url) as client:
            client.delete(*QUEUES, UNACKED, f"{UNACKED}_index")

    def forget(self) -> None:
        """Forget all there is, the queues too."""
        with redis.Redis.from_url(self.url) as client:
            client.flushdb()

    def close(self) -> None:
        """Nothing: the server is the house's."""


class VirtualHost:
    """A virtual host of RabbitMQ, there from the start, and removed by `close`."""

    def __init__(self) -> None:
        place = urlsplit(RABBITMQ)
        self.name = f"massconvert-test-{uuid4().hex}"
        self.url = f"{RABBITMQ}/{self.name}"
        self.environment = {"CELERY_BROKER_URL": self.url}
        if QUEUE_TYPE == "quorum":
            self.environment["MASSCONVERT_QUORUM_QUEUES"] = "1"
        self._api = f"http://{place.hostname}:{(place.port or 5672) + 10_000}/api"
        self._user = base64.b64encode(f"{place.username}:{place.password}".encode()).decode()
        self._make()

    def _make(self) -> None:
        # RabbitMQ 3.10 knows the type of queues by the first name, later ones by the second.
        self._ask("PUT", "vhosts", {"defaultqueuetype": QUEUE_TYPE, "default_queue_type": QUEUE_TYPE})

    def _ask(self, method: str, what: str, body: dict[str, str] | None = None) -> bytes:
        """Call the management API about ``what`` of this virtual host."""
        head = {"Authorization": f"Basic {self._user}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body else None
        request = Request(f"{self._api}/{what}/{self.name}", method=method, headers=head, data=data)
        with urlopen(request, timeout=20) as answer:
            return bytes(answer.read())

    def messages(self) -> int:
        """How many messages wait, or are held by workers; RabbitMQ counts them every 5 seconds."""
        return sum(queue.get("messages", 0) for queue in json.loads(self._ask("GET", "queues")))

    def lose_messages(self) -> None:
        """Delete every message, those that workers hold as well: with their queues, since a purge spares those."""
        with Celery(broker=self.url, set_as_current=False) as app, app.connection_for_write() as connection:
            for queue in QUEUES:
                connection.default_channel.queue_delete(queue)

    def forget(self) -> None:
        """Forget all there is, the queues too; connections are cut."""
        self.close()
        self._make()

    def close(self) -> None:
        """Remove it, and with it all queues, messages and connections."""
        self._ask("DELETE", "vhosts")


def broker_for(redis_url: str) -> RedisBroker | VirtualHost:
    """The broker of a house whose Redis is at ``redis_url``."""
    return VirtualHost() if RABBITMQ else RedisBroker(redis_url)
