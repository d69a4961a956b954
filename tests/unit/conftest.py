"""A Redis for unit tests: fakeredis, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fakeredis
import pytest


@pytest.fixture
def redis_client() -> Iterator[Any]:
    """A client of an empty Redis that no other test has."""
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
    yield client
    client.close()


@pytest.fixture
def account() -> str:
    """The account of the ledger."""
    return "default"
