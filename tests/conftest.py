"""What all tests share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from tests.certificates import certify, demand_tls
from tests.servers import Processes, Shards, Watched

_Group = TypeVar("_Group", bound=Processes)

# Machines are shared, and a stalled one is no reason to call an example slow; pytest's own timeout bounds each test.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests: they wait while others compute, and none of them is waited for at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def own_group() -> Iterator[Callable[..., Any]]:
    """Starts servers of the test's own, to be killed: ``own_group(Watched, down_after=1000)``."""
    with ExitStack() as stack:

        def start(kind: type[_Group], **how: Any) -> _Group:
            return _started(stack, kind, **how)

        yield start


@pytest.fixture(scope="session")
def tls() -> Iterator[tuple[Path, Path]]:
    """A certificate for 127.0.0.1, and for no name that leads there, with its key."""
    demand_tls()
    with tempfile.TemporaryDirectory(prefix="mc-tls-") as folder:
        yield certify(Path(folder), "redis.example.test", "127.0.0.1")


@pytest.fixture(scope="session")
def sentinels() -> Iterator[Watched]:
    """The test worker's shared Sentinels with their data nodes, with passwords; not to be broken."""
    with ExitStack() as stack:
        yield _started(stack, Watched, password="of-the-nodes", sentinel_password="of-the-sentinels")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Shards]:
    """The test worker's shared Cluster; not to be broken."""
    with ExitStack() as stack:
        yield _started(stack, Shards)


def _started(stack: ExitStack, kind: type[_Group], **how: Any) -> _Group:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mc-redis-"))
    group = kind(Path(folder), **how)
    stack.callback(group.close)
    return group
