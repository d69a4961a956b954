"""A redis-server for the histories of one test process."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.crew import one_server
from tests.simulation.wire import Wire


@pytest.fixture(scope="session")
def wire() -> Iterator[Wire]:
    """A connection to a redis-server of our own; histories keep apart by their prefix."""
    with one_server() as socket:
        connection = Wire(socket)
        yield connection
        connection.close()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The product warns of just what the histories provoke."""
    logger = logging.getLogger("massconvert")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)
