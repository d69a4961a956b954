"""The story of a lead: what happened to it in one batch, and how its outcome is known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from massconvert.model import Outcome, Priority


class Mark(str, Enum):
    """The events of a story that no answer decides, and that are therefore not in the decision table."""

    FORMED = "formed"
    SENDING = "sending"
    SPLIT_OFF = "split_off"
    SET_APART = "set_apart"
    CANCELLED = "cancelled"
    REFUSED_WAITING = "refused_waiting"
    ALREADY_QUEUED = "already_queued"


class Proof(str, Enum):
    """How an outcome is known."""

    COUNTS = "counts"
    READ = "read"
    NAMED = "named"
    ALONE = "alone"
    UNSEEN = "unseen"
    UNCLEAR = "unclear"
    OPTIONS = "options"
    NEVER_SENT = "never_sent"
    CANCELLED = "cancelled"
    ELSEWHERE = "elsewhere"
    ANSWERED = "answered"
    MATCHED = "matched"
    GIVEN = "given"


class Whereabouts(str, Enum):
    """Where a lead of a batch is."""

    WAITING = "waiting"  # in the inbox
    PAYLOAD = "payload"  # in a payload that is open
    ENDED = "ended"


@dataclass(frozen=True)
class Told:
    """What Zoho answered, as far as a story keeps it; ``status`` is HTTP's, 0 where there is none."""

    job_id: str = ""
    status: int = 0
    code: str = ""
    message: str = ""


NOTHING_TOLD = Told()


@dataclass(frozen=True)
class Entry:
    """One event of a story, or the same one several ``times``: from ``at`` until ``last_at``, in Unix seconds.

    ``event`` is a row of the decision table (`Row.event`) or a `Mark`; ``told`` is the answer at its last time.
    ``payload`` is the chunk that it happened to, ``leads`` how many leads that had, where the event says so.
    """

    event: str
    at: float
    times: int = 1
    last_at: float = 0.0
    payload: str = ""
    leads: int = 0
    told: Told = NOTHING_TOLD


@dataclass(frozen=True)
class Payload:
    """A part of a story: what happened to the lead in one payload; ``parent`` is the one that it was split
    from, ``leads`` how many it had at first."""

    id: str
    parent: str
    leads: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Story:
    """What happened to a lead in one batch.

    ``profile`` is whose run made the batch, blank where an enqueue did. ``state`` and ``due_at`` are those of the open
    payload that has the lead. ``whole`` is false where an older version wrote a part, which is not known then.
    ``proof`` says how the outcome is known; both are ``None`` until the lead has ended.
    """

    lead_id: str
    account: str
    batch: str
    priority: Priority
    profile: str
    enqueued_at: float
    place: Whereabouts
    entries: tuple[Entry, ...] = ()
    whole: bool = True
    state: str = ""
    due_at: float | None = None
    outcome: Outcome | None = None
    proof: Proof | None = None

    @property
    def payloads(self) -> tuple[Payload, ...]:
        """The story, payload by payload; what happened in none of them is left out."""
        found: list[Payload] = []
        for entry in self.entries:
            if not entry.payload:
                continue
            if not found or found[-1].id != entry.payload:
                found.append(Payload(entry.payload, found[-1].id if found else "", entry.leads, ()))
            last = found[-1]
            found[-1] = Payload(last.id, last.parent, last.leads or entry.leads, (*last.entries, entry))
        return tuple(found)
