"""A Redis for unit tests, fakeredis in this process, and a command line over one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from massconvert.testing import FakeCrm
from tests.integration.books import Books
from tests.unit.cli_shell import Shell
from tests.unit.page_visitor import Visitor


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


@pytest.fixture
def books(redis_client: Any, account: str) -> Books:
    """The ledger of that account, empty: the tests of the integration suite that run here, too, ask for it."""
    return Books(redis_client, account)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Shell:
    """A command line of the test's own, in an empty folder."""
    return Shell(monkeypatch, capsys, tmp_path)


@pytest.fixture
def visitor(zoho_crm: FakeCrm, monkeypatch: pytest.MonkeyPatch) -> Visitor:
    """A visitor of the page over that CRM's ledger."""
    return Visitor(zoho_crm, monkeypatch)


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """To set TZ with; the machine has its own again afterwards."""
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()
