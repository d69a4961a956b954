"""Outcomes against what the simulator knows: the judge of all acceptance tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from massconvert import Batch
from massconvert.report import record
from tests.acceptance.house import House

Rows = dict[str, dict[str, Any]]


def code_of_unknown(house: House) -> str:
    """The code of an unknown id. Where a job takes it, nobody can tell it from a lead that is out of sight."""
    return "NOT_FOUND" if house.behaves("one_bad_id") == "refuse_all" else "NOT_VISIBLE"


def reported(house: House, batch: str) -> Rows:
    """The report of a batch as the command writes it, by lead."""
    done = house.command("report", batch, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    return _by_lead([json.loads(line) for line in done.stdout.splitlines()])


def outcomes_of(batch: Batch) -> Rows:
    """The same as an app in Python sees it."""
    return _by_lead([record(row) for row in batch.outcomes()])


def assert_true(house: House, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Every outcome equals the simulator's truth, and no lead was converted twice, or held by two jobs at once."""
    truth = house.truth()
    for lead, row in rows.items():
        known = truth.get(lead)
        if known is None:
            assert row["outcome"] == "failed", row
            assert row["code"] in ("NOT_FOUND", code_of_unknown(house)), row
            continue
        assert known["overlaps"] == 0, known
        if row["outcome"] == "converted":
            assert known["converted"], row
            assert known["conversions"] == 1, known
        elif row["code"] == "ALREADY_CONVERTED":
            assert known["converted"], row
            assert known["conversions"] == 0, known
        else:
            assert not known["converted"], row


def _by_lead(rows: list[dict[str, Any]]) -> Rows:
    found = {str(row["lead_id"]): row for row in rows}
    assert len(found) == len(rows)
    return found
