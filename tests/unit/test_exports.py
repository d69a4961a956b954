"""The public names, and their types: `typed_use` is checked by mypy and run by a test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from typing import Any

import pytest
from typing_extensions import assert_type

import massconvert
from massconvert import (
    Batch,
    BatchStatus,
    BrokerError,
    Deal,
    InputError,
    KeyConflictError,
    Kind,
    LeadRow,
    MassConvert,
    MassConvertError,
    Options,
    OptionsError,
    Outcome,
    SettingsError,
    StoreError,
    UnknownBatchError,
    WaitTimeoutError,
    ZohoError,
)
from massconvert.producer import mass_convert as producer
from massconvert.settings import Settings

ERRORS: tuple[type[MassConvertError], ...] = (
    *(BrokerError, InputError, KeyConflictError, OptionsError, SettingsError),
    *(StoreError, UnknownBatchError, WaitTimeoutError, ZohoError),
)
VALUES = (Batch, BatchStatus, Deal, Kind, LeadRow, MassConvert, MassConvertError, Options, Outcome)


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(massconvert.__all__) == {name.__name__ for name in (*ERRORS, *VALUES)}
    assert all(getattr(massconvert, name.__name__) is name for name in (*ERRORS, *VALUES))


def test_a_name_that_is_none_is_told_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'massconvert' has no attribute 'Leads'"):
        _ = massconvert.Leads  # type: ignore[attr-defined]  # that is the point


def test_every_public_error_is_a_mass_convert_error_that_says_what_to_do() -> None:
    for error in ERRORS:
        raised = error("It is wrong.", hint="Fix it.", code="X", path="$.ids", job_id="7", lead_id="8")
        assert isinstance(raised, MassConvertError)
        assert str(raised) == "It is wrong.\nFix it."
        assert (raised.code, raised.path, raised.job_id, raised.lead_id) == ("X", "$.ids", "7", "8")


@pytest.mark.parametrize("module", ["massconvert", "massconvert.testing.plugin"])
def test_the_package_loads_nothing_until_a_name_is_used(module: str) -> None:
    """A web shop imports it at its start, and pytest the plugin in every run."""
    probe = f"import sys, {module}; print(sorted({{'celery', 'redis', 'pydantic', 'requests'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_what_is_typed_is_marked_as_typed() -> None:
    """Without py.typed, a type checker takes an installed package for untyped."""
    assert (files("massconvert") / "py.typed").is_file()


def typed_use(mc: MassConvert) -> None:
    """What the docs show, with the type of each answer."""
    deal = Deal(name="Renewal", stage="Needs Analysis", closing_date="+30d", amount=10_000, extra={"Source": "web"})
    assert_type(Deal(name="Renewal", stage="Closed Won", closing_date=date(2026, 12, 24)).body(), dict[str, Any])
    options = Options(deal=deal, assign_to="3652397000000281001", apply_assignment_threshold=True)
    assert_type(options.body(), dict[str, Any])

    def lead_ids() -> Iterator[str]:
        yield "3652397000009850001"

    batch = mc.enqueue(lead_ids(), options=options, key="import-2026-11-24", priority="interactive")
    assert_type(batch, Batch)
    assert_type(batch.id, str)
    assert_type((batch.accepted, batch.duplicates, batch.invalid), tuple[int, int, int])
    assert_type(mc.enqueue([3652397000009850001], {"Deals": None}, skip_invalid=True, on_progress=print), Batch)

    status = batch.progress()
    assert_type(status, BatchStatus)
    assert_type((status.total, status.waiting, status.sent, status.converted), tuple[int, int, int, int])
    assert_type((status.failed, status.skipped, status.cancelled), tuple[int, int, int])
    assert_type((status.ended, status.finished), tuple[int, bool])

    for row in batch.outcomes():
        assert_type(row, LeadRow)
        assert_type(row.lead_id, str)
        assert_type(row.outcome, Outcome | None)
        if row.outcome is not None and row.outcome.kind is Kind.FAILED:
            assert_type((row.outcome.code, row.outcome.message, row.outcome.job_id), tuple[str, str, str])
            assert_type(row.outcome.attempts, int)

    assert_type(mc.batch("import-2026-11-24"), Batch)
    assert_type(mc.cancel(batch.id), tuple[int, int])
    try:
        assert_type(batch.wait(timeout=0), BatchStatus)
        assert_type(mc.retry(batch.id, options=options, codes=["NOT_CONVERTED"]), Batch)
    except (WaitTimeoutError, InputError) as error:
        assert_type(error.hint, str)


class _Silent:
    """Tells nobody."""

    def __init__(self, broker_url: str, account: str) -> None:
        pass

    def chunk(self, countdown: float = 0) -> None:
        pass


def test_what_the_types_promise_runs(redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "connect", lambda url, account: redis_client)
    monkeypatch.setattr(producer, "Nudge", _Silent)
    mc = MassConvert(Settings())
    typed_use(mc)
    assert mc.batch("import-2026-11-24").progress().total == 1
