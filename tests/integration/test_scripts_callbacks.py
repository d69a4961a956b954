"""The scripts that remember whom to call about a finished batch: what each changes, and what it leaves alone.

tests/unit/test_ledger.py runs the same tests on fakeredis.
"""

from __future__ import annotations

from typing import Any

import pytest

from massconvert.errors import LedgerError
from massconvert.ledger import DueCall
from massconvert.ledger.callbacks import AT_ONCE, LEASE, FailedCall
from massconvert.on_complete.targets import TaskTarget, parse_targets
from tests.integration.books import FINGERPRINT, NOW, OPTIONS, Books

pytestmark = pytest.mark.integration


def finish(books: Books, batch: str = "b", on_complete: Any = "t@q", *, now: float = NOW, invalid: str = "x") -> None:
    """A batch of one lead that is none, so that it has finished when it is sealed."""
    targets = parse_targets(on_complete)
    books.batches.open(batch, FINGERPRINT, OPTIONS, now=now, leads=1, on_complete=targets)
    books.batches.refuse_ids(batch, {invalid: "is none"}, now=now)
    books.batches.seal(batch, now=now, flush=True)


def taken(books: Books, now: float = NOW) -> DueCall:
    """The call that is due."""
    call = books.ledger.callbacks.take(now=now)
    assert call
    return call


# --- open_batch, seal_batch, count_callbacks: who is to be called


def test_nobody_is_called_before_the_batch_has_finished(books: Books) -> None:
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW, leads=1, on_complete=parse_targets("t"))
    assert books.ledger.callbacks.due(now=NOW) == 0
    finish(books)
    assert books.ledger.callbacks.due(now=NOW) == 1
    call = taken(books)
    assert (call.status.batch, call.status.failed, call.status.finished) == ("b", 1, True)
    assert call.target == TaskTarget("t", "q")  # the one that was given last


def test_a_batch_without_anybody_to_call_leaves_no_trace(books: Books) -> None:
    with books.watching("callbacks") as changed:
        finish(books, on_complete=None)
    assert changed == {}


def test_the_same_again_with_nothing_added_moves_no_time_and_calls_nobody_again(books: Books) -> None:
    """Who was told knows. Who was not yet, or is named only now, is called; and a lead more is told of."""
    finish(books)
    books.ledger.callbacks.made(taken(books), now=NOW + 1)
    finish(books, now=NOW + 50)
    assert books.batches.status("b").finished_at == NOW
    assert books.ledger.callbacks.due(now=NOW + 50) == 0
    finish(books, now=NOW + 60, on_complete="another@q")
    assert taken(books, NOW + 60).target == TaskTarget("another", "q")
    finish(books, now=NOW + 70, on_complete="another@q")  # that call has not ended
    assert books.ledger.callbacks.due(now=NOW + 70) == 1
    finish(books, now=NOW + 80, on_complete="another@q", invalid="y")
    assert books.batches.status("b").finished_at == NOW + 80
    assert taken(books, NOW + 80).status.failed == 2


# --- take_callback


def test_take_callback_takes_it_for_a_while_and_for_nobody_else(books: Books) -> None:
    finish(books)
    with books.watching() as changed:
        taken(books)
    assert changed == {"callbacks/1:b": NOW + LEASE, "callbacks:busy/1:b": NOW + LEASE}
    with books.watching() as changed:
        assert books.ledger.callbacks.take(now=NOW + LEASE - 1) is None
    assert changed == {}


def test_take_callback_follows_a_caller_that_died(books: Books) -> None:
    """When its lease has ended; its place among those that may call at once returns with it."""
    finish(books)
    taken(books)
    assert taken(books, NOW + LEASE).id == "1:b"


def test_take_callback_lets_as_many_call_at_once_as_may(books: Books) -> None:
    """A hook that hangs must not take the workers from the leads."""
    for number in range(AT_ONCE + 2):
        finish(books, f"b{number}")
    calls = [books.ledger.callbacks.take(now=NOW) for _ in range(AT_ONCE + 2)]
    assert [bool(call) for call in calls] == [True] * AT_ONCE + [False, False]
    assert calls[0]
    books.ledger.callbacks.made(calls[0], now=NOW)
    taken(books)


def test_take_callback_leaves_a_batch_that_was_opened_again_until_it_has_finished_again(books: Books) -> None:
    """It is then told of with its new counts."""
    finish(books)
    books.batches.open("b", FINGERPRINT, OPTIONS, now=NOW + 1, leads=1)
    assert books.ledger.callbacks.take(now=NOW + 1) is None
    finish(books, now=NOW + 2, on_complete=None, invalid="y")
    assert taken(books, NOW + 2).status.failed == 2


def test_take_callback_forgets_a_batch_that_has_expired(books: Books) -> None:
    finish(books)
    books.redis.delete(books.keys.batch("b"))
    assert books.ledger.callbacks.take(now=NOW) is None
    assert not books.redis.exists(books.keys.callbacks)


def test_what_somebody_else_wrote_there_is_named(books: Books) -> None:
    finish(books)
    books.redis.hset(books.keys.batch("b"), "on_complete", "oh")
    with pytest.raises(LedgerError, match="on_complete of batch b"):
        books.ledger.callbacks.take(now=NOW)


# --- end_callback


def test_end_callback_forgets_a_call_that_came_through(books: Books) -> None:
    finish(books, on_complete=["t", "u"])
    first, second = taken(books), taken(books)
    assert [first.target, second.target] == [TaskTarget("t"), TaskTarget("u")]
    with books.watching() as changed:
        books.ledger.callbacks.made(first, now=NOW + 1)
    assert changed == {
        "batch:b.called:1": str(NOW + 1).removesuffix(".0"),
        "callbacks/1:b": None,
        "callbacks:busy/1:b": None,
    }
    books.ledger.callbacks.made(second, now=NOW + 1)
    assert books.ledger.callbacks.take(now=NOW + 1e6) is None


def test_end_callback_has_a_failed_call_made_again_and_says_why(books: Books) -> None:
    finish(books)
    books.ledger.callbacks.failed(taken(books), "it answered HTTP 500", now=NOW + 1, again_in=30.0)
    assert books.ledger.callbacks.failing() == {"1:b": (1, "it answered HTTP 500")}
    assert books.ledger.callbacks.take(now=NOW + 30) is None
    again = taken(books, NOW + 31)
    assert again.tries == 1
    books.ledger.callbacks.failed(again, "gone", now=NOW + 32, again_in=None)
    assert books.ledger.callbacks.take(now=NOW + 1e6) is None
    assert books.redis.hget(books.keys.batch("b"), "call_error:1") == "gone"


def test_end_callback_of_one_that_another_has_made_meanwhile_changes_nothing(books: Books) -> None:
    """Its lease had ended; what has been made is not made again because a late one failed."""
    finish(books)
    late = taken(books)
    books.ledger.callbacks.made(taken(books, NOW + LEASE), now=NOW + LEASE)
    with books.watching() as changed:
        books.ledger.callbacks.failed(late, "oh", now=NOW + LEASE, again_in=1.0)
    assert changed == {}


def test_end_callback_does_not_count_for_a_batch_that_finished_anew_meanwhile(books: Books) -> None:
    """Somebody is still to be told of the new counts."""
    finish(books)
    early = taken(books)
    finish(books, now=NOW + 1, on_complete=None, invalid="y")
    with books.watching("callbacks/", "batch:b") as changed:
        books.ledger.callbacks.made(early, now=NOW + 2)
        books.ledger.callbacks.failed(early, "late", now=NOW + 2, again_in=None)
    assert changed == {}
    assert taken(books, NOW + 2).status.failed == 2


# --- what a person is told


def test_a_batch_tells_which_of_its_calls_have_failed_why_and_whether_they_are_made_again(books: Books) -> None:
    finish(books, on_complete=["t@q", "https://shop.example.com/x?token=abc", "u@q"])
    callbacks = books.ledger.callbacks
    assert callbacks.failed_of("b") == []
    first, second, third = taken(books), taken(books), taken(books)
    callbacks.failed(first, "no answer", now=NOW, again_in=5.0)
    callbacks.failed(second, "it leads \x1b[2J inside", now=NOW, again_in=None)
    callbacks.made(third, now=NOW)
    assert callbacks.failed_of("b") == [
        FailedCall("the task t on q", 1, "no answer", again=True),
        FailedCall("the web hook at https://shop.example.com", 1, r"it leads \x1b[2J inside", again=False),
    ]
    assert callbacks.failed_of("unknown") == []
