"""A worker's or beat's note in the ledger of every account that it serves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from massconvert.errors import MassConvertError
from massconvert.ledger import Fleet, Member
from massconvert.profiles import Accounts
from massconvert.store import Clients, Keys, RedisClock


class Notes:
    """The notes of one process; accounts that come into massconvert.toml meanwhile are noted too."""

    def __init__(self, accounts: Accounts, clients: Clients | None = None) -> None:
        self._accounts = accounts
        # Redis is the machine's, and no account's own.
        self._clients = clients or Clients(accounts.base.redis_url)
        self._books: dict[str, Fleet] = {}

    def note(self, member: Callable[[float], Member]) -> None:
        """Note ``member`` as it is at the ledgers' time. Raises the first trouble, when all had their turn."""
        trouble: MassConvertError | None = None
        for name in self._accounts.served():
            try:
                self._book(name).note(member(RedisClock(self._clients.of(name)).now()))
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
            self._books[name] = Fleet(self._clients.of(name), Keys(name))
        return self._books[name]
