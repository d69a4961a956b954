"""Accept leads from an app that has only Celery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from massconvert.contract import TASK_ENQUEUE
from massconvert.telemetry.traces import received
from massconvert.wiring import workshop_of
from tasks.declare import BoundTask, only_copy


@only_copy(TASK_ENQUEUE)
def enqueue(
    self: BoundTask,
    lead_ids: list[Any],
    options: Mapping[str, Any] | str | None = None,
    profile: str | None = None,
    key: str | None = None,
    on_complete: Mapping[str, Any] | str | list[Any] | None = None,
    priority: str | None = None,
    canary: int | None = None,
    canary_max_failed: float | None = None,
    account: str | None = None,
    deal_values: Mapping[str, Mapping[str, Any]] | None = None,
    links: Mapping[str, Mapping[str, str | int]] | None = None,
) -> str:
    """Register a batch and return its id: the key, or else the message's id, so that a second delivery adds nothing."""
    start = {"priority": priority, "canary": canary, "canary_max_failed": canary_max_failed}
    more = {"on_complete": on_complete, "deal_values": deal_values, "links": links}
    workshop = workshop_of(account, profile)
    with received(self.request):
        return workshop.enqueue(lead_ids, options, key or self.request.id, profile, **more, **start)
