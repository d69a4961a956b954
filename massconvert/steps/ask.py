"""Ask Zoho once, under a permit that goes back with the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from massconvert.model import Busy, Call
from massconvert.policy import CallAnswer
from massconvert.steps.ports import Ports
from massconvert.telemetry import observed, traces

A = TypeVar("A", bound=CallAnswer)


@dataclass(frozen=True)
class Asked(Generic[A]):
    """What one call ended in; ``probe`` says that it was the one call that may find out whether a hold is over.

    ``at`` is when it had ended, in Unix seconds by Redis' clock; ``None`` where that is not known.
    """

    answer: A
    probe: bool
    at: float | None = None


def ask(ports: Ports, call: Call, question: Callable[[], A]) -> Asked[A] | Busy:
    """Ask ``question`` when there is a permit for it; ``Busy`` when there is none within the bounded wait.

    A question that ends in ``None`` was not asked after all.
    """
    began = ports.steady()
    permit = ports.governor.acquire(call)
    asked = ports.steady()
    for watcher in observed.watchers:
        watcher.permit(call.value, asked - began)
    if isinstance(permit, Busy):
        return permit
    if traces.worker:
        traces.worker.permitted(call.value, asked - began)
    try:
        answer = question()
    except BaseException:
        ports.governor.release(permit, None)
        raise
    for watcher in observed.watchers:
        watcher.call(call.value, ports.steady() - asked)
    return Asked(answer, permit.hold is not None, ports.governor.release(permit, answer))
