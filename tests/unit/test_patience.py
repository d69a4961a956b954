"""Reads that bear a restart of Redis, with a bound."""

from __future__ import annotations

import pytest

from massconvert.errors import LedgerError, StoreError
from massconvert.store import Patience
from tests.unit.waiting_time import Time


class Flaky:
    """A read that fails so many times."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left, self.error = failures, error

    def __call__(self) -> str:
        if self.left:
            self.left -= 1
            raise self.error
        return "read"


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_read_is_made_again_until_redis_is_back(time: Time) -> None:
    assert Patience(monotonic=time, pause=time.wait).read(Flaky(20, StoreError("away"))) == "read"
    assert 10 < time.now - 100 < 30


def test_an_outage_longer_than_the_patience_is_told(time: Time) -> None:
    with pytest.raises(StoreError, match="away"):
        Patience(60.0, monotonic=time, pause=time.wait).read(Flaky(1000, StoreError("away")))
    assert 160 <= time.now < 162


def test_an_earlier_end_counts(time: Time) -> None:
    with pytest.raises(StoreError):
        Patience(60.0, monotonic=time, pause=time.wait).read(Flaky(1000, StoreError("away")), until=105.0)
    assert 105 <= time.now < 107


def test_a_broken_ledger_is_told_at_once(time: Time) -> None:
    with pytest.raises(LedgerError):
        Patience(monotonic=time, pause=time.wait).read(Flaky(1, LedgerError("broken")))
    assert time.now == 100
