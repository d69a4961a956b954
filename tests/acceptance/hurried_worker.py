"""`celery -A tests.acceptance.hurried_worker`: the real app, hurried where no setting reaches.

HURRIED_TUNING is a JSON object of fields of `massconvert.policy.Tuning` that take the place of the product's own, so
that what happens after an hour happens after seconds; HURRIED_HOLDING is one of fields of `massconvert.policy.Holding`.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import partial

from massconvert import wiring, zoho
from massconvert.policy import Holding, Tuning
from massconvert.settings import Settings
from workers.celery import app

__all__ = ["app"]

_patient = wiring.tuning


def _hurried(settings: Settings) -> Tuning:
    return replace(_patient(settings), **json.loads(os.environ["HURRIED_TUNING"]))


wiring.tuning = _hurried
vars(zoho)["Holding"] = partial(Holding, **json.loads(os.environ.get("HURRIED_HOLDING", "{}")))
