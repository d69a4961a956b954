"""`celery -A tests.acceptance.frozen_worker`: the hurried app, which stops between a write-ahead and its POST.

It stops itself (SIGSTOP, as a paused machine would stop it) where the file FREEZE_IF names is there, and only once.
"""

from __future__ import annotations

import os
import signal
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
        os.kill(os.getpid(), signal.SIGSTOP)
    return _mass_convert(self, *args, **kwargs)


ZohoClient.mass_convert = _frozen  # type: ignore[method-assign]  # what this worker is for
