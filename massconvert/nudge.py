"""Tell the workers to look at the ledger: the library's only Celery import.

A nudge is a hint. When it cannot be sent, the workers' sweep finds the work a little later; so it is tried once, for a
few seconds at most, and its failure is told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from typing import Any
from weakref import WeakSet

from celery import Celery, chain
from kombu import pools
from kombu.exceptions import OperationalError

from massconvert.addresses import group_of, without_secrets
from massconvert.broker import celery_broker, in_short
from massconvert.contract import (
    DEFAULT_ACCOUNT,
    QUEUE,
    QUEUE_CONVERT,
    QUEUE_STATUS,
    TASK_CALL_BACK,
    TASK_CHUNK,
    TASK_CONVERT,
    TASK_ENQUEUE,
    TASK_RUN_PROFILE,
    TASK_STATUS,
)
from massconvert.errors import BrokerError, SettingsError
from massconvert.model import Job


class Nudge:
    """Sends the pipeline's messages by name. Safe to share between threads; connects at its first message.

    ``timeout`` is how long a broker may take to answer, in seconds. Raises SettingsError when Celery knows no broker of
    that kind.
    """

    def __init__(self, broker_url: str, *, account: str = DEFAULT_ACCOUNT, timeout: float = 4.0) -> None:
        self._account = _named(account)
        self._urls = broker_url
        # An app of its own, and never the process' current one: the host may be somebody else's Celery worker.
        self._app = _made_app()
        broker = celery_broker(broker_url, timeout)
        self._app.conf.update(
            broker,
            broker_connection_timeout=timeout,
            broker_pool_limit=1,  # sending takes well under a millisecond: one does for all threads
            broker_transport_options={
                **broker["broker_transport_options"],
                # One try at each broker that is named: by default Celery goes on for longer than callers want to wait.
                "max_retries": broker["broker_url"].count(";"),
                # RabbitMQ only: a message is sent when the broker has it, not once it is in a socket's buffer. An app's
                # own task, told of a finished batch, is told only here.
                "confirm_publish": True,
                # One that hangs is waited for three times: to confirm, to close the channel, and the connection.
                "read_timeout": timeout / 2,
                "write_timeout": timeout / 2,
            },
            accept_content=["json"],
            task_serializer="json",
            task_ignore_result=True,
            task_publish_retry=False,
            timezone="UTC",
        )
        try:
            connection = self._app.connection_for_write()
            self._trouble = (OperationalError, *connection.connection_errors, *connection.channel_errors)
            self._speaks_amqp = connection.transport.driver_type == "amqp"
            # A user's name may be a password.
            self.place: str = str(group_of(broker_url) or re.sub("//[^/@]*@", "//", connection.as_uri()))
            """Where the broker is, without user and password."""
        except Exception:  # noqa: BLE001 - each kind of broker fails in its own way, and may repeat the URL
            raise SettingsError(
                "CELERY_BROKER_URL names a broker that Celery does not know, or whose package is not installed.",
                hint="Write it like redis://host:6379/0 or amqp://user:password@host//; without it, REDIS_URL is used.",
            ) from None

    def of(self, account: str) -> Nudge:
        """One that names this account in its messages, and sends them over the same connections."""
        other = copy(self)
        other._account = _named(account)  # noqa: SLF001 - one of ours
        return other

    def chunk(self, countdown: float = 0) -> None:
        """Form chunks from the inboxes, in ``countdown`` seconds. Raises BrokerError."""
        self._send(self._signature(TASK_CHUNK, QUEUE, **self._account), countdown)

    def convert(self, chunk_id: str, countdown: float = 0) -> None:
        """Send this chunk and then follow its job, in ``countdown`` seconds. Raises BrokerError."""
        convert = self._signature(TASK_CONVERT, QUEUE_CONVERT, chunk_id, **self._account)
        status = self._app.signature(TASK_STATUS, kwargs=self._account, queue=QUEUE_STATUS, ignore_result=True)
        self._send(chain(convert, status, app=self._app), countdown)

    def status(self, job: Job | Mapping[str, Any], countdown: float = 0) -> None:
        """Follow this job, in ``countdown`` seconds. Raises BrokerError."""
        if isinstance(job, Job):
            job = {"chunk_id": job.chunk_id, "job_id": job.job_id}
        self._send(self._signature(TASK_STATUS, QUEUE_STATUS, dict(job), **self._account), countdown)

    def run_profile(self, name: str, run_id: str, countdown: float = 0) -> None:
        """Go on with this run of a profile, in ``countdown`` seconds. Raises BrokerError."""
        self._send(self._signature(TASK_RUN_PROFILE, QUEUE, name, run=run_id, **self._account), countdown)

    def call_back(self) -> None:
        """Make the calls about finished batches that are due. Raises BrokerError."""
        self._send(self._signature(TASK_CALL_BACK, QUEUE, **self._account))

    def enqueue(self, message_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Send an ``enqueue`` message again, under the id that it had: it names its batch. Raises BrokerError."""
        message = self._app.signature(TASK_ENQUEUE, args=args, kwargs=kwargs, queue=QUEUE, ignore_result=True)
        self._send(message.set(task_id=message_id))

    def send(self, task: str, queue: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Send somebody else's task by name; its result is nobody's concern here. Raises BrokerError."""
        self._send(self._app.signature(task, args=args, kwargs=kwargs, queue=queue, ignore_result=True))

    def waiting(self, queues: Collection[str]) -> dict[str, int]:
        """How many messages wait in each of ``queues``; none in one that there is not. Raises BrokerError."""
        found = dict.fromkeys(queues, 0)
        with self._reaching(), self._app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
            for queue in queues:
                # A channel each: AMQP closes the one on which an unknown queue was named.
                with suppress(*connection.channel_errors), connection.channel() as channel:
                    found[queue] = int(channel.queue_declare(queue, passive=True).message_count)
        return found

    @contextmanager
    def redis(self) -> Iterator[Any]:
        """redis-py's client by which Celery reaches the broker; None where that is not Redis. Raises BrokerError."""
        with self._reaching(), self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
            acquire = getattr(connection.default_channel, "conn_or_acquire", None)
            if acquire is None:
                yield None
            else:
                with acquire() as client:
                    yield client

    def hold(self) -> None:
        """Connect now, and keep that: a server that soon allows no more has then given it. Raises BrokerError."""
        with self._reaching():
            hold_connection(self._app)

    def close(self) -> None:
        """Close the connections; the next message opens new ones."""
        self._app.close()

    def _signature(self, name: str, queue: str, *args: Any, **kwargs: Any) -> Any:
        return self._app.signature(name, args=args, kwargs=kwargs, immutable=True, queue=queue, ignore_result=True)

    def _send(self, signature: Any, countdown: float = 0) -> None:
        with self._reaching():
            try:
                signature.apply_async(countdown=countdown or None)
            except OperationalError as error:
                # One to RabbitMQ that died since the last message is found out by using it; Redis' is replaced.
                if not self._speaks_amqp or isinstance(error.__cause__, TimeoutError):
                    raise
                signature.apply_async(countdown=countdown or None)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except self._trouble as error:
            why = self._words(error) or "no answer in time"
            raise BrokerError(
                f"The message broker at {self.place} cannot be reached: {why}",
                hint="Start it, or set REDIS_URL (or CELERY_BROKER_URL) to where it listens.",
            ) from error
        except Exception as error:
            # A transport that reads its part of the URL only now, say. The message is a hint in any case.
            why = self._words(error)
            raise BrokerError(
                f"The message broker at {self.place} cannot be used: {type(error).__name__}: {why}",
                hint="Check CELERY_BROKER_URL: what stands in it, and whether the broker's package is installed.",
            ) from error

    def _words(self, error: Exception) -> str:
        return without_secrets(in_short(" ".join(str(error).split())), self._urls)


#: The apps of this process' nudges, and what a forked child must neither use nor close.
_apps: WeakSet[Celery] = WeakSet()
_inherited: list[Any] = []


def _made_app() -> Celery:
    app = Celery("massconvert.nudge", set_as_current=False)
    _apps.add(app)
    return app


def _part_from_parent() -> None:
    """In a forked child: leave the parent its connections to the broker, and open others when they are needed.

    Frames of two processes on one AMQP connection tear each other. Closing it here would end it for the parent as well,
    so it is kept, unused. (kombu does this for forks of its own; redis-py looks at the process' id.)
    """
    for group in (pools.producers, pools.connections):
        _inherited.append(list(group.values()))
        group.clear()
    for app in list(_apps):
        app._after_fork()  # noqa: SLF001 - what Celery calls in its own forked children; nothing public does it


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_part_from_parent)


def _named(account: str) -> dict[str, str]:
    """A message without an account is of the worker's own, as all were before there were several."""
    return {} if account == DEFAULT_ACCOUNT else {"account": account}


def hold_connection(app: Celery) -> None:
    """Have an app connect to its broker for sending, and keep the connection in its pool. Raises what kombu raises."""
    with app.producer_pool.acquire(block=True) as producer:
        producer.connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        producer.connection.default_channel  # noqa: B018 - it is made by being asked for
