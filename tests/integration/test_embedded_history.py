"""A Redis of our own that ended in order has lost nothing: what waits in its ledger goes on as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from massconvert.embedded import Stack
from massconvert.embedded.plan import IN_ORDER
from massconvert.store import connect
from tests.integration.books import Books, leads

pytestmark = pytest.mark.integration


@contextmanager
def ledger_in(folder: Path) -> Iterator[Books]:
    """The embedded ledger of a folder, for as long as its Redis runs."""
    with Stack(folder, environ={"REDIS_URL": ""}, workers=0, beat=False) as stack:
        stack.wait_ready()
        client = connect(stack.redis_url)
        yield Books(client, "default")
        client.close()


def test_only_a_redis_that_did_not_end_in_order_is_doubted(tmp_path: Path) -> None:
    with ledger_in(tmp_path) as books:
        books.batch("b", leads(100))
        first, second = books.form()
    with ledger_in(tmp_path) as books:
        assert books.claim(first).broken_at is None
        assert not (tmp_path / IN_ORDER).exists()  # it says so once
    (tmp_path / IN_ORDER).unlink()  # as after a kill -9
    with ledger_in(tmp_path) as books:
        assert books.claim(second).broken_at is not None
