"""Who works: every worker and beat notes itself, so that anybody can see when the last of them took something."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from massconvert.ledger.book import Book
from massconvert.store import reaching

#: How often a member notes itself, in seconds.
NOTE_EVERY = 15.0
#: Without a note for so long, a member is taken for dead: four notes that did not come.
ALIVE_FOR = 60.0
#: A dead member is remembered for so long, so that people can see when it was last there.
REMEMBER = 86_400
#: About how many members are looked at at once for those to forget.
_PAGE = 100

WORKER, BEAT = "worker", "beat"


@dataclass(frozen=True)
class Member:
    """A process of the fleet. Times are Unix seconds by the ledger's clock; ``took_at`` is 0.0 before its first task.

    ``trouble`` is what it says of itself when it is alive but does not work.
    """

    role: str
    name: str
    seen_at: float
    began_at: float = 0.0
    took_at: float = 0.0
    pid: int = 0
    version: str = ""
    trouble: str = ""

    def alive(self, now: float) -> bool:
        """Whether it has noted itself lately."""
        return now - self.seen_at <= ALIVE_FOR


@dataclass(frozen=True)
class Workers:
    """The workers as they are now: those that live, and seconds since the last sign and the last task of any.

    ``seen_ago`` and ``took_ago`` are ``None`` where there was none; ``idle_for`` then counts from their begin.
    """

    alive: tuple[Member, ...]
    seen_ago: float | None
    took_ago: float | None
    idle_for: float

    @classmethod
    def among(cls, members: Iterable[Member], now: float) -> Workers:
        """The workers among the members of a fleet."""
        workers = [member for member in members if member.role == WORKER]
        alive = tuple(worker for worker in workers if worker.alive(now))
        seen_at = max((worker.seen_at for worker in workers), default=None)
        took_at = max((worker.took_at for worker in alive), default=0.0)
        began_at = min((worker.began_at for worker in alive), default=now)
        return cls(
            alive,
            None if seen_at is None else max(0.0, now - seen_at),
            max(0.0, now - took_at) if took_at else None,
            max(0.0, now - (took_at or began_at)),
        )


class Fleet(Book):
    """The workers and beats of one account."""

    _place = 0  # in the fleet, of the next page to look at

    def note(self, member: Member) -> None:
        """Say that this member is there. Raises StoreError."""
        fields = {name: value for name, value in asdict(member).items() if value and name not in ("role", "name")}
        note: list[str | float] = [f"{member.role}:{member.name}", json.dumps(fields), REMEMBER]
        self._scripts.run("note_member", keys=[self._keys.fleet], args=note)

    def forget(self, *, now: float) -> None:
        """Forget members that were last seen too long ago: a page of them, and the next page at the next call.

        Raises StoreError.
        """
        with reaching(self._redis):
            self._place, page = self._redis.hscan(self._keys.fleet, self._place, count=_PAGE)
            seen = ((field, _member(field, text)) for field, text in page.items())
            old = [field for field, member in seen if member is None or now - member.seen_at > REMEMBER]
            if old:
                self._redis.hdel(self._keys.fleet, *old)

    def leave(self, role: str, name: str) -> None:
        """Forget a member that ends as it was told to. Raises StoreError."""
        with reaching(self._redis):
            self._redis.hdel(self._keys.fleet, f"{role}:{name}")

    def members(self, *, now: float) -> list[Member]:
        """All that are remembered, the latest first; those that were last seen too long ago go. Raises StoreError."""
        with reaching(self._redis):
            noted = self._redis.hgetall(self._keys.fleet)
        found = [member for field, text in noted.items() if (member := _member(field, text))]
        old = [f"{member.role}:{member.name}" for member in found if now - member.seen_at > REMEMBER]
        if old:
            with reaching(self._redis):
                self._redis.hdel(self._keys.fleet, *old)
        kept = [member for member in found if now - member.seen_at <= REMEMBER]
        return sorted(kept, key=lambda member: (-member.seen_at, member.name))


def _member(field: str, text: str) -> Member | None:
    """A member from its note; ``None`` for one that another version has written otherwise."""
    role, _, name = field.partition(":")
    try:
        noted: dict[str, Any] = json.loads(text)
        known = {key: noted[key] for key in Member.__dataclass_fields__ if key in noted}
        return Member(role, name, **known)
    except (ValueError, TypeError):
        return None
