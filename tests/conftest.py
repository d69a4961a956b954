"""What all tests share."""

from __future__ import annotations

import pytest
from hypothesis import settings

# Machines are shared, and a stalled one is no reason to call an example slow; pytest's own timeout bounds each test.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests: they wait while others compute, and none of them is waited for at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
