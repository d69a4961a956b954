"""What it means that the names in a chunk's options were looked up, before its payload is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from massconvert.model import (
    Again,
    Chunk,
    Code,
    Done,
    Kind,
    NotSent,
    Outcome,
    PerhapsAccepted,
    Refusal,
    Refused,
    State,
    Trouble,
)
from massconvert.policy.codes import Meaning, meaning
from massconvert.policy.table import Decision, Row
from massconvert.policy.timing import Moment
from massconvert.policy.trouble import another_outage, failed, given_up, held_up, hours, tried


@dataclass(frozen=True)
class Unread:
    """The rows of something that must be read before a payload is sent, and what is said when nobody can read it."""

    not_allowed: Row
    throttled: Row
    not_readable: Row
    retry: Row
    give_up: Row
    words: str


_NAMES = Unread(
    Row.NAMES_NOT_ALLOWED,
    Row.NAMES_THROTTLED,
    Row.NAMES_NOT_READABLE,
    Row.NAMES_RETRY,
    Row.NAMES_GIVE_UP,
    "names could not be looked up",
)


def names_found(chunk: Chunk, body: Mapping[str, Any], moment: Moment) -> Decision:
    """Every name has its id: the options go out as ``body`` from now on, this chunk's first."""
    moved = replace(chunk, outages=0, outage_since=0.0, said=None, due_at=moment.now)
    return Decision(Row.NAMES_FOUND, moved, Again(0.0), resolved=body)


def name_unknown(chunk: Chunk, path: str, reason: str) -> Decision:
    """Zoho surely knows no such name: wrong options, like those that it refuses, but at the cost of no POST."""
    said = Refusal(Code.UNKNOWN_NAME, reason, path)
    moved = replace(chunk, state=State.DONE, said=said)
    return Decision(Row.NAME_UNKNOWN, moved, Done(), rest=failed(moved, said), refuse_options=said)


def names_not_read(chunk: Chunk, answer: Trouble, moment: Moment) -> Decision:
    """The names could not be read: nothing is known about them, so nothing fails; the chunk waits.

    A missing scope or permission concerns only options with names, so the organisation does not pause for it.
    """
    return not_read(chunk, answer, moment, _NAMES)


def not_read(chunk: Chunk, answer: Trouble, moment: Moment, rows: Unread) -> Decision:
    """Decide about a payload (WAITING) for which something could not be read: it waits, and nothing fails."""
    chunk = tried(chunk, moment.now)
    if held := held_up(chunk, answer, moment, not_allowed=rows.not_allowed, too_many=rows.throttled):
        return held
    if isinstance(answer, Refused) and meaning(answer) not in (Meaning.TOKEN, Meaning.UNCLEAR):
        wait = moment.tuning.pause_probe
        said = Refusal(answer.code, answer.message)
        moved = replace(chunk, said=said, outages=0, outage_since=0.0, due_at=moment.now + wait)
        return Decision(rows.not_readable, moved, Again(wait))
    return _again(chunk, answer, moment, rows)


def _again(chunk: Chunk, answer: Trouble, moment: Moment, rows: Unread) -> Decision:
    chunk = another_outage(chunk, moment)
    if given_up(chunk, moment) and not chunk.submitted:
        detail = answer.detail if isinstance(answer, NotSent | PerhapsAccepted) else answer.message
        words = f"not sent for {hours(moment.tuning.give_up)}, since {rows.words}: {detail}"
        rest = Outcome(Kind.FAILED, Code.GAVE_UP, words, attempts=chunk.attempts)
        return Decision(rows.give_up, replace(chunk, state=State.DONE), Done(), rest=rest)
    wait = moment.next_try(chunk.outages, answer.retry_after)
    return Decision(rows.retry, replace(chunk, due_at=moment.now + wait), Again(wait))
