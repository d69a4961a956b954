"""`celery -A tests.acceptance.poisoned_worker`: the real app with a bug, for as long as the file POISON is there.

What stands in the file strikes messages of ``enqueue`` whose key begins with "poison": ``raise``, or ``exit``
(SystemExit); and a bug always strikes the second chunk. A bug's message is set aside sooner.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import massconvert.wiring
from massconvert.policy import messages
from workers.celery import app

__all__ = ["app"]

wiring: Any = massconvert.wiring  # it does not offer what it has imported
_take_message, _advance = wiring.take_message, wiring.advance
messages.TRIES_OF_A_BUG = int(os.environ.get("POISON_TRIES", "2"))


def _poison() -> str:
    path = Path(os.environ["POISON"])
    return path.read_text() if path.exists() else ""


def _poisoned(intake: Any, lead_ids: Any, options: Any, key: str, *args: Any, **kwargs: Any) -> Any:
    how = _poison() if key.startswith("poison") else ""
    if how == "raise":
        raise ZeroDivisionError("a seeded bug")
    if how == "exit":
        raise SystemExit(3)
    return _take_message(intake, lead_ids, options, key, *args, **kwargs)


def _advance_poisoned(ports: Any, chunk_id: str, states: Any) -> Any:
    if chunk_id == "2" and _poison():
        raise ZeroDivisionError("a seeded bug in the second chunk")
    return _advance(ports, chunk_id, states)


wiring.take_message, wiring.advance = _poisoned, _advance_poisoned
