"""`celery -A tests.acceptance.deaf_worker`: the real worker, but its consumer is gone once it is ready.

It is less patient with itself than the real one, so that a test need not wait for minutes.
"""

from __future__ import annotations

from typing import Any

from celery import signals

from workers import pulse
from workers.celery import app

__all__ = ["app"]

pulse.EVERY, pulse.QUIET, pulse.END_AFTER = 0.5, 1.0, 6.0
_PATIENCE = 2.0


def _make_deaf(sender: Any, **_: object) -> None:
    from workers import lifecycle  # noqa: PLC0415 - as the worker has it once it is ready

    vitals = lifecycle.vitals()
    assert vitals
    vitals._patience = _PATIENCE
    sender.task_consumer.cancel()


signals.worker_ready.connect(_make_deaf, weak=False)
