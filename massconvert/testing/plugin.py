"""The fixtures ``mass_convert`` and ``zoho_crm``, which pytest finds by itself where massconvert is installed.

It loads nothing of ours until a test asks for one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from massconvert import MassConvert
    from massconvert.testing import FakeCrm


@pytest.fixture
def zoho_crm(monkeypatch: pytest.MonkeyPatch) -> FakeCrm:
    """A Zoho CRM and the workers that convert its leads, for whatever enqueues during the test.

    That is: every `MassConvert`, whenever it was made, and every ``massconvert.enqueue`` message that any Celery app
    sends. No Redis, broker, worker or credentials are needed, and none is touched.
    """
    try:
        from massconvert.testing import FakeCrm  # noqa: PLC0415 - only where it is used
    except ImportError:
        pytest.fail("The fixtures of massconvert need its extra: pip install 'zoho-mass-convert[testing]'")
    crm = FakeCrm()
    _divert_producers(crm, monkeypatch)
    _divert_messages(crm, monkeypatch)
    return crm


@pytest.fixture
def mass_convert(zoho_crm: FakeCrm) -> MassConvert:  # noqa: ARG001 - it is there, and so what is enqueued goes to it
    """A `MassConvert` whose leads are converted, in ``zoho_crm``, before ``enqueue`` returns."""
    from massconvert import MassConvert  # noqa: PLC0415 - only where it is used
    from massconvert.settings import Settings  # noqa: PLC0415 - as above

    return MassConvert(Settings())


def _divert_producers(crm: FakeCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    from massconvert import MassConvert  # noqa: PLC0415 - only where it is used

    # What the class has stands before what an instance holds, so one made long before the test is diverted too.
    for name in ("intake", "ledger", "nudge"):
        monkeypatch.setattr(MassConvert, f"_{name}", _Diverted(crm, name), raising=False)


def _divert_messages(crm: FakeCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery import Celery  # noqa: PLC0415 - only where it is used
    from kombu.utils.uuid import uuid  # noqa: PLC0415 - as above

    from massconvert.contract import TASK_ENQUEUE  # noqa: PLC0415 - as above

    real = Celery.send_task
    order = (
        "lead_ids",
        "options",
        "profile",
        "key",
        "on_complete",
        "priority",
        "canary",
        "canary_max_failed",
        "account",
        "deal_values",
        "links",
    )

    def send_task(app: Any, name: str, args: Any = None, kwargs: Any = None, **more: Any) -> Any:
        if name != TASK_ENQUEUE:
            return real(app, name, args, kwargs, **more)
        task_id = more.get("task_id") or uuid()
        crm.receive({**dict(zip(order, args or (), strict=False)), **(kwargs or {})}, task_id)
        return app.AsyncResult(task_id)

    monkeypatch.setattr(Celery, "send_task", send_task)


class _Diverted:
    """An attribute that is another's, whatever it is set to."""

    def __init__(self, crm: FakeCrm, name: str) -> None:
        self._crm = crm
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        return getattr(self._crm, self._name)

    def __set__(self, instance: object, value: object) -> None:
        """It stays what it is."""
