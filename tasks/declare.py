"""Declare a task by its public name, without the app; `workers.celery` gives it its one base class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from celery import shared_task


class BoundTask(Protocol):
    """What a task's body may ask of Celery."""

    @property
    def request(self) -> Any:
        """The message that is being worked on; its ``id`` stays the same through retries and redeliveries."""
        ...

    def retry(self, *, countdown: float) -> BaseException:
        """Send this task again, in ``seconds``; raises what tells Celery so."""
        ...


def task(name: str) -> Callable[[Callable[..., object]], Any]:
    """Register a function ``(self, ...)`` as the task of that name."""
    return cast("Callable[[Callable[..., object]], Any]", shared_task(name=name, bind=True))


def only_copy(name: str) -> Callable[[Callable[..., object]], Any]:
    """The same for a task whose message is the only copy of its leads.

    Celery acknowledges what fails, or what a time limit or a lost process cut off: not these (workers/only_copies.py).
    """
    kept = {"only_copy": True, "acks_on_failure_or_timeout": False, "reject_on_worker_lost": True}
    return cast("Callable[[Callable[..., object]], Any]", shared_task(name=name, bind=True, **kept))


def beginning(name: str) -> Callable[[Callable[..., object]], Any]:
    """The same for a task whose message begins something, unless it says of what ``run`` it is.

    Of what has not begun the ledger knows nothing, so no sweep would bring such a message back.
    """
    return cast("Callable[[Callable[..., object]], Any]", shared_task(name=name, bind=True, begins=True))
