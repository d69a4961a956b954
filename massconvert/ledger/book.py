"""What every book of the ledger works with."""

from __future__ import annotations

from typing import Any

from massconvert.policy import Tuning
from massconvert.store import Keys, Redis, Scripts, reaching


class Book:
    """A part of the ledger of one account. Without ``scripts`` it has its own, which ask Redis for the time."""

    def __init__(self, redis: Redis, keys: Keys, scripts: Scripts | None = None, tuning: Tuning | None = None) -> None:
        self._redis, self._keys = redis, keys
        self._scripts, self._tuning = scripts or Scripts(redis), tuning or Tuning()

    def _ask(self, command: str, *args: Any, **options: Any) -> Any:
        """What Redis answers to one command. Raises StoreError."""
        with reaching(self._redis):
            return getattr(self._redis, command)(*args, **options)

    def _run(self, script: str, *args: str | float | None) -> Any:
        """Run a script on the account's keys; see `Scripts.run`."""
        return self._scripts.run(script, keys=[self._keys.prefix], args=args)

    def _surely(self, script: str, *args: str | float | None) -> list[Any]:
        """The same, until enough replicas have what it wrote; see `Scripts.run_surely`."""
        return self._scripts.run_surely(script, keys=[self._keys.prefix], args=args)
