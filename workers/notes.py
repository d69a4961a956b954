"""A worker's or beat's note in the ledger of every account that it serves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from massconvert.errors import MassConvertError
from massconvert.ledger import Fleet, Member
from massconvert.profiles import Accounts
from massconvert.store import Keys, Redis, RedisClock, connect


class Notes:
    """The notes of one process; accounts that come into massconvert.toml meanwhile are noted too."""

    def __init__(self, accounts: Accounts, redis: Redis | None = None) -> None:
        self._accounts = accounts
        # One for all: Redis is the machine's, and no account's own.
        self._redis = redis or connect(accounts.base.redis_url)
        self._clock = RedisClock(self._redis)
        self._books: dict[str, Fleet] = {}

    def note(self, member: Callable[[float], Member]) -> None:
        """Note ``member`` as it is at the ledgers' time. Raises the first trouble, when all had their turn."""
        trouble: MassConvertError | None = None
        now = self._clock.now()  # of the one Redis that has all their ledgers
        for name in self._accounts.served():
            try:
                self._book(name).note(member(now))
            except MassConvertError as error:  # noqa: PERF203 - the others have their turn all the same
                trouble = trouble or error
        if trouble:
            raise trouble

    def leave(self, role: str, name: str) -> None:
        """Forget the member that ends as it was told to. Raises nothing."""
        for fleet in self._books.values():
            with suppress(MassConvertError):
                fleet.leave(role, name)

    def _book(self, name: str) -> Fleet:
        if name not in self._books:
            self._books[name] = Fleet(self._redis, Keys(name))
        return self._books[name]
