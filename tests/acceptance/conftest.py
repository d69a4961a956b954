"""Fixtures of the acceptance tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.house import House


@pytest.fixture(autouse=True, scope="session")
def _signals_reach_what_is_started() -> None:
    """A process started by a test must not inherit that signals are ignored, as under ``nohup`` or after ``&``."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house of which nothing runs yet; everything that a test starts in it is ended afterwards."""
    made = House(tmp_path)
    yield made
    made.close()
