"""`celery -A tests.acceptance.frozen_worker`: the hurried app, which can be stopped between a write-ahead and its POST.

Where the file FREEZE_IF names is there, the first to come takes it away and waits for the file GO_ON_IF names: until
then the test stops the whole process from outside (SIGSTOP, as a paused machine would be stopped). A process that stops
itself goes on for a moment, since the kernel may stop another thread of it first.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from massconvert.zoho import ZohoClient
from tests.acceptance.hurried_worker import app

__all__ = ["app"]

_mass_convert = ZohoClient.mass_convert


def _frozen(self: ZohoClient, *args: Any, **kwargs: Any) -> Any:
    with suppress(FileNotFoundError):
        Path(os.environ["FREEZE_IF"]).unlink()
        while not Path(os.environ["GO_ON_IF"]).exists():
            time.sleep(0.01)
    return _mass_convert(self, *args, **kwargs)


ZohoClient.mass_convert = _frozen  # type: ignore[method-assign]  # what this worker is for
