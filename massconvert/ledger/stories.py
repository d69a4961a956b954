"""The story of a lead: what happened to it, in each batch that is kept. Written by the scripts (store/lua/_story.lua).

A chunk has its story in its hash. Leads that end take it along behind their outcome, in their batch's list of ended
leads: once for all that end together in a payload. So it is written in the step that it tells of, costs some bytes a
lead, and goes with the batch. A chunk that is split from another begins with the other's story.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from massconvert.ledger.book import Book
from massconvert.ledger.codec import load_outcome, segments, unreadable
from massconvert.model import Priority
from massconvert.model.story import Entry, Mark, Story, Told, Whereabouts
from massconvert.policy.sentences import how_known
from massconvert.store import reaching

_MARKS = frozenset(mark.value for mark in Mark)
#: With these a whole story begins.
_BEGINS_STORY = frozenset(
    {Mark.FORMED.value, Mark.ALREADY_QUEUED.value, Mark.CANCELLED.value, Mark.REFUSED_WAITING.value}
)
#: A story stands behind this many elements of an outcome.
_OUTCOME_FIELDS = 8
#: A longer message of Zoho's is cut: the outcome of a lead has it whole.
_LONGEST_MESSAGE = 120
#: How many batches are looked at in one round trip.
_PAGE = 500
#: How many elements of a list are read at once, on the way back from a lead to its outcome.
_BACK = 256
#: The most outcomes with one story: a chunk has up to 100 leads.
_MOST_OUTCOMES = 100
#: A lead that moves on while it is looked for is looked for again.
_TRIES = 3


@dataclass(frozen=True)
class _Batch:
    """A batch that has a lead."""

    id: str
    priority: Priority
    created_at: float


def dump_told(told: Told) -> str:
    """What Zoho answered, as it stands in an entry of a story; blank for nothing."""
    message = told.message if len(told.message) <= _LONGEST_MESSAGE else f"{told.message[: _LONGEST_MESSAGE - 1]}…"
    fields = (told.job_id, str(told.status or ""), told.code, message)
    return "|".join(map(_quoted, fields)).rstrip("|")


def _quoted(text: str) -> str:
    return text.replace("%", "%25").replace("|", "%7C").replace(";", "%3B")


def load_story(text: str) -> tuple[Entry, ...]:
    """The entries of a story, oldest first. Raises ValueError or IndexError for what no version writes."""
    begin, *parts = text.split(";")
    entries, payload = list[Entry](), ""
    for part in parts:
        event, at, again, about, *words = [*map(unquote, part.split("|")), *[""] * 6]
        times, _, last = again.partition(",")
        first = float(begin) + float(at)
        entry = Entry(event, first, int(times or 1), float(begin) + float(last) if last else first)
        if event in _MARKS:
            payload = about or payload
            entry = replace(entry, leads=int(words[0] or 0))
        else:
            entry = replace(entry, told=Told(about, int(words[0] or 0), words[1], words[2]))
        entries.append(replace(entry, payload=payload))
    return tuple(entries)


class Stories(Book):
    """The stories of one account's leads."""

    def of(self, lead_id: str) -> list[Story]:
        """The story of a lead in each batch that is kept, the oldest batch first; empty where none has it.

        Raises StoreError, and LedgerError for what something else has written.
        """
        return self.of_each([lead_id])[lead_id]

    def of_each(self, lead_ids: Iterable[str]) -> dict[str, list[Story]]:
        """The same of several leads, in their order. Raises as `of`."""
        found: dict[str, list[_Batch]] = {lead: [] for lead in lead_ids}
        if found:
            self._look_for(found)
        return {lead: [self._tell(lead, batch) for batch in reversed(batches)] for lead, batches in found.items()}

    def _look_for(self, found: dict[str, list[_Batch]]) -> None:
        """Find the batches that have these leads, the newest first."""
        place, page = 0, [""]
        while page:
            with reaching(self._redis):
                page = self._redis.zrevrange(self._keys.batches, place, place + _PAGE - 1)
                pipe = self._redis.pipeline(transaction=False)
                for batch_id in page:
                    pipe.hmget(self._keys.batch(batch_id), "shards", "priority", "created")
                known = [(batch_id, *row) for batch_id, row in zip(page, pipe.execute(), strict=True) if row[0]]
                for batch_id, shards, _, _ in known:
                    for lead in found:
                        pipe.sismember(self._keys.batch_members(batch_id, _shard_of(lead, int(shards))), lead)
                has = iter(pipe.execute())
            for batch_id, _, priority, created in known:
                for batches in found.values():
                    if next(has):
                        batches.append(_Batch(batch_id, Priority(priority), float(created)))
            place += _PAGE

    def _tell(self, lead: str, batch: _Batch) -> Story:
        story = Story(
            lead_id=lead,
            account=self._keys.account,
            batch=batch.id,
            priority=batch.priority,
            profile=self._ask("hget", self._keys.run(batch.id), "profile") or "",
            enqueued_at=batch.created_at,
            place=Whereabouts.WAITING,
        )
        for _ in range(_TRIES):  # in the order in which a lead moves
            if told := self._waiting(story) or self._in_a_payload(story) or self._ended(story):
                return told
        return story  # it moves on all the time: it was there a moment ago

    def _waiting(self, story: Story) -> Story | None:
        place = self._ask("lpos", self._keys.batch_inbox(story.batch), story.lead_id)
        return None if place is None else story

    def _in_a_payload(self, story: Story) -> Story | None:
        chunk_ids = sorted(self._ask("smembers", self._keys.batch_chunks(story.batch)), key=int)
        with reaching(self._redis):
            pipe = self._redis.pipeline(transaction=False)
            for chunk_id in chunk_ids:
                pipe.hmget(self._keys.chunk(chunk_id), "members", "story", "state", "due")
            rows = pipe.execute()
        for chunk_id, (members, text, state, due) in zip(chunk_ids, rows, strict=True):
            if any(batch == story.batch and story.lead_id in leads for batch, leads in segments(members or "")):
                entries, whole = _entries(text, f"chunk:{chunk_id}")
                place, due_at = Whereabouts.PAYLOAD, float(due)
                return replace(story, place=place, entries=entries, whole=whole, state=state, due_at=due_at)
        return None

    def _ended(self, story: Story) -> Story | None:
        place = self._ask("lpos", self._keys.batch_ended(story.batch), story.lead_id)
        if place is None:
            return None
        where = f"ended leads of {story.batch}"
        own, text = self._outcome_before(story.batch, place, where)
        outcome = load_outcome(own, where)
        entries, whole = _entries(text, where)
        return replace(
            story,
            place=Whereabouts.ENDED,
            entries=entries,
            whole=whole,
            outcome=outcome,
            proof=how_known(outcome, entries),
        )

    def _outcome_before(self, batch_id: str, place: int, where: str) -> tuple[str, str]:
        """The outcome of the lead at ``place`` in the list of ended ones, and its story, blank where it has none."""
        own, outcomes = "", 0
        while place > 0 and outcomes < _MOST_OUTCOMES:
            elements = self._ask("lrange", self._keys.batch_ended(batch_id), max(0, place - _BACK), place - 1)
            for element in filter(_is_outcome, reversed(elements)):
                own, outcomes = own or element, outcomes + 1
                text, covers = _with_story(element, where)
                if text:
                    return own, text if covers >= outcomes else ""
            place -= _BACK
        if not own:
            raise unreadable(where)
        return own, ""


def _is_outcome(element: str) -> bool:
    return element[0] == "["  # no lead id begins so


def _with_story(element: str, where: str) -> tuple[str, int]:
    """The story that stands behind an outcome, and how many outcomes it is of; blank where none does."""
    try:
        told: list[Any] = json.loads(element)[_OUTCOME_FIELDS:]
        return (str(told[0]), int(told[1]) if len(told) > 1 else 1) if told else ("", 0)
    except (ValueError, TypeError) as error:
        raise unreadable(where) from error


def _entries(text: str | None, where: str) -> tuple[tuple[Entry, ...], bool]:
    """The entries of a story, and whether they are all: a chunk of an older version began without one."""
    try:
        entries = load_story(text) if text else ()
    except (ValueError, IndexError) as error:
        raise unreadable(where) from error
    return entries, bool(entries) and entries[0].event in _BEGINS_STORY


def _shard_of(lead: str, shards: int) -> int:
    """As in store/lua/_endings.lua."""
    return int(lead[-12:]) % shards if shards > 1 else 0
