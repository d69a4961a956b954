"""A Redis of our own that ended in order has lost nothing: what waits in its ledger goes on as it was."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from massconvert.embedded import Stack
from massconvert.embedded.plan import IN_ORDER, LOCK, Doing, Holder
from massconvert.embedded.stack import BusyError
from massconvert.store import connect
from tests.integration.books import Books, leads
from tests.servers import await_true

pytestmark = pytest.mark.integration


@contextmanager
def ledger_in(folder: Path) -> Iterator[Books]:
    """The embedded ledger of a folder, for as long as its Redis runs."""
    with Stack(folder, environ={"REDIS_URL": ""}, workers=0, beat=False) as stack:
        stack.wait_ready()
        client = connect(stack.redis_url)
        yield Books(client, "default")
        client.close()


def doing(folder: Path) -> Doing | None:
    """What whoever has a folder says to do with it."""
    holder = Holder.load((folder / LOCK).read_text())
    return holder.doing if holder else None


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


def test_who_does_not_get_the_directory_leaves_the_mark_to_who_has_it(tmp_path: Path) -> None:
    """Commands begin at the same moment; one of them has the Redis, and must know how the last one ended."""
    with ledger_in(tmp_path):
        pass
    with (tmp_path / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(Holder(1, Doing.WORKING, "").dump())
        lock.flush()
        with pytest.raises(BusyError):
            Stack(tmp_path, environ={"REDIS_URL": ""}, workers=0, beat=False).start()
    assert (tmp_path / IN_ORDER).exists()


def test_a_loss_that_nobody_has_met_is_not_forgotten_by_who_only_looks(tmp_path: Path) -> None:
    """Its Redis ends in order, and yet the one before it did not."""
    with ledger_in(tmp_path) as books:
        books.batch("b", leads(50))
        (chunk,) = books.form()
    (tmp_path / IN_ORDER).unlink()  # as after a kill -9
    with ledger_in(tmp_path):
        pass
    assert (tmp_path / IN_ORDER).exists()
    with ledger_in(tmp_path) as books:
        assert books.claim(chunk).broken_at is not None


@pytest.mark.parametrize("in_order", [True, False])
def test_a_command_that_ends_before_redis_answers_leaves_it_as_it_was(tmp_path: Path, *, in_order: bool) -> None:
    with ledger_in(tmp_path):
        pass
    if not in_order:
        (tmp_path / IN_ORDER).unlink()
    with Stack(tmp_path, environ={"REDIS_URL": ""}, workers=0, beat=False):
        pass
    assert (tmp_path / IN_ORDER).exists() == in_order


def test_a_redis_is_others_to_use_once_its_history_is_noted(tmp_path: Path) -> None:
    """A script of theirs that came before would take the history for broken."""
    with Stack(tmp_path, environ={"REDIS_URL": ""}, workers=0, beat=False) as stack:
        assert doing(tmp_path) is Doing.BEGINNING
        stack.wait_ready()
        await_true(lambda: doing(tmp_path) is Doing.READING, 10, "the word of it")
