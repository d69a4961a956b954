"""`celery -A tests.acceptance.impatient_worker`: the real app with a visibility timeout of a second."""

from __future__ import annotations

from workers.celery import app

__all__ = ["app"]

app.conf.broker_transport_options = {**app.conf.broker_transport_options, "visibility_timeout": 1}
