"""`celery -A tests.acceptance.outage_worker`: the real app and tasks over a workshop without Zoho.

For processes of their own only: who imports this has the tasks changed.
"""

from __future__ import annotations

import tasks.chunk
import tasks.convert
import tasks.status
import tasks.sweep
from massconvert.wiring import Workshops
from tests.acceptance.outage_workshop import workshop
from workers.celery import app

__all__ = ["app"]

# What wiring.py makes otherwise.
for module in (tasks.chunk, tasks.convert, tasks.status, tasks.sweep):
    module.workshop_of = workshop  # type: ignore[attr-defined]  # a name that the module has imported
setattr(Workshops, "sweep", lambda _fleet: workshop().sweep())  # noqa: B010 - a plain assignment is one to a method
