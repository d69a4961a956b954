"""Fixtures of the acceptance tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house of which nothing runs yet; everything that a test starts in it is ended afterwards."""
    made = House(tmp_path)
    yield made
    made.close()
