"""Letters: ``massconvert.enqueue`` messages that were not taken, kept for a person; the broker has them no more.

Those that are *stuck* could not be taken, often enough that only a person can help: they are kept until somebody hands
them back or drops them, and where there is no room for one more, the broker keeps it. Those that our validation has
*refused* are kept so that somebody can see what was sent: the oldest make room. Messages that are *late* could not be
taken yet and come back by themselves: the broker has those, and there is only a note here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from massconvert.errors import InputError
from massconvert.ledger.book import Book
from massconvert.ledger.codec import number, unreadable
from massconvert.store import reaching
from massconvert.words.next_command import next_command

Kind = Literal["stuck", "refused"]
KINDS: tuple[Kind, ...] = ("stuck", "refused")
#: How many letters of a kind are kept at most, and of how many bytes together; one is always kept, however large.
MOST, MOST_BYTES = 1000, 64 * 1024 * 1024
#: A late message that was not seen for so long, in seconds, is no longer counted: it comes back within a minute, and
#: then waits for its turn. Notes are forgotten a day after the last.
FORGOTTEN_AFTER, NOTES_KEPT = 900.0, 86_400
_LONGEST_WHY = 500


@dataclass(frozen=True)
class Letter:
    """A message that is kept. ``leads`` is how many it has, where it has a list of them; ``at`` is Unix seconds."""

    id: str
    kind: Kind
    at: float
    why: str
    tries: int
    leads: int | None = None
    key: str = ""
    profile: str = ""


@dataclass(frozen=True)
class Late:
    """A message that could not be taken, and comes back: since when (Unix seconds), why, and how often."""

    id: str
    since: float
    times: int
    why: str


@dataclass(frozen=True)
class Message:
    """What a producer sent, as it came, under the id that Celery gave it."""

    id: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


class Letters(Book):
    """The letters of one account."""

    def keep(self, message: Message, kind: Kind, why: str, tries: int, *, now: float | None = None) -> bool:
        """Keep a message whole; False where there is no room. Raises StoreError, LedgerError."""
        name = _named(message.id)
        facts = asdict(_letter(message, name, kind, why, tries))
        whole = json.dumps({"id": message.id, "args": list(message.args), "kwargs": dict(message.kwargs)})
        args: list[str | float | None] = [kind, name, now, json.dumps(facts), whole, MOST, MOST_BYTES]
        return bool(int(self._run("keep_letter", *args)))

    def note(self, message_id: str, why: str, *, now: float | None = None) -> int:
        """Note that a message comes back; return how many times in a row it has, for that reason.

        Raises StoreError, LedgerError.
        """
        args: list[str | float | None] = [_named(message_id), now, _line(why), MOST, NOTES_KEPT]
        return int(self._run("note_late", *args))

    def taken(self, message_id: str) -> None:
        """Forget that a message was late. Raises StoreError, LedgerError."""
        with reaching(self._redis):
            self._redis.hdel(self._keys.late, _named(message_id))

    def drop(self, letter_id: str) -> bool:
        """Forget a letter; return whether there was one. Raises StoreError, LedgerError."""
        return bool(int(self._run("drop_letter", letter_id)))

    def counts(self) -> dict[str, int]:
        """How many there are of each kind. Raises StoreError, LedgerError."""
        with reaching(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for kind in KINDS:
                pipe.zcard(self._keys.letters(kind))
            return dict(zip(KINDS, map(int, pipe.execute()), strict=True))

    def latest(self, kind: Kind, most: int = MOST) -> list[Letter]:
        """The latest of a kind, the newest first. Raises StoreError, LedgerError."""
        with reaching(self._redis):
            kept = self._redis.zrevrange(self._keys.letters(kind), 0, most - 1, withscores=True)
            pipe = self._redis.pipeline(transaction=False)
            for letter_id, _ in kept:
                pipe.hget(self._keys.letter(letter_id), "facts")
            texts = pipe.execute()
        return [_load(letter_id, at, text) for (letter_id, at), text in zip(kept, texts, strict=True) if text]

    def read(self, letter_id: str) -> Message:
        """The whole message. Raises InputError where there is no such letter, StoreError, LedgerError."""
        with reaching(self._redis):
            text = self._redis.hget(self._keys.letter(letter_id), "message")
        if not text:
            look = next_command("letters", account=self._keys.account)
            raise InputError(f"There is no letter {letter_id}.", hint=f"To see which there are: {look}")
        try:
            found = json.loads(text)
            return Message(found["id"], found["args"], found["kwargs"])
        except (ValueError, TypeError, KeyError) as error:
            raise unreadable(f"letter:{letter_id}") from error

    def late(self, *, now: float) -> list[Late]:
        """The messages that come back, the one that has waited longest first. Raises StoreError, LedgerError."""
        with reaching(self._redis):
            notes = self._redis.hgetall(self._keys.late)
        found = []
        for letter_id, text in notes.items():
            since, seen, times, why = (*text.split(" ", 3), "", "", "", "")[:4]
            began, seen_at = number(since), number(seen)
            if began is not None and seen_at is not None and now - seen_at <= FORGOTTEN_AFTER:
                found.append(Late(letter_id, began, int(times) if times.isdecimal() else 1, why))
        return sorted(found, key=lambda late: (late.since, late.id))


def _letter(message: Message, name: str, kind: Kind, why: str, tries: int) -> Letter:
    leads = message.kwargs.get("lead_ids", message.args[0] if message.args else None)
    return Letter(
        name,
        kind,
        0.0,  # the script knows when
        _line(why),
        tries,
        len(leads) if isinstance(leads, list | tuple) else None,
        _line(message.kwargs.get("key"))[:200],
        _line(message.kwargs.get("profile"))[:200],
    )


def _load(letter_id: str, at: float, text: str) -> Letter:
    try:
        return Letter(**{**json.loads(text), "at": at})
    except (ValueError, TypeError) as error:
        raise unreadable(f"letter:{letter_id}") from error


def _line(text: Any) -> str:
    """A line of what may be anything, and may hold what cannot be sent."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return line.encode("utf-8", "backslashreplace").decode()[:_LONGEST_WHY]


def _named(message_id: Any) -> str:
    """A name for a message: its id, or a digest of one that no producer makes."""
    text = str(message_id)
    if re.fullmatch(r"[A-Za-z0-9._:@-]{1,100}", text):
        return text
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]
