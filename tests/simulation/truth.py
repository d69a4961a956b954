"""The truth about leads and jobs of the simulated Zoho, and who looks at what happens there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.simulation.customers import RecordPlan
from tests.simulation.world import Task


@dataclass(eq=False)
class Job:
    """A background job: at ``ends`` it converts its leads, all but the ``spared``."""

    id: str
    leads: list[str]
    deal: str  # what its deals are called
    sent: float  # when its payload was sent
    starts: float
    ends: float
    spared: frozenset[str] = frozenset()
    link: dict[str, Any] | None = None  # what the call for a single lead said
    fails: bool = False
    unknown_until: float = 0.0  # the status call does not know it before; never, if this is infinite
    converted: int = -1  # how many it converted, once it has ended
    end_told: bool = False  # a status answer told its end, or that it is unknown
    id_known: bool = False  # its id came into the ledger; else it was lost on the way


@dataclass(eq=False)
class Submission:
    """One payload with a lead on its way: for which batch, from a chunk made when, and the job it became."""

    batch: str
    created: float
    at: float
    job: Job | None = None


@dataclass(eq=False)
class Lead:
    """The truth about a lead."""

    id: str
    exists: bool = True
    stubborn: bool = False  # no job ever converts it
    locked: bool = False  # and a read shows why
    refused: bool = False  # Zoho refuses it for a reason that no read shows
    chokes: bool = False  # Zoho fails at every payload with it: HTTP 500, and nothing is done
    spoils: bool = False  # every job with it fails, and converts nobody
    odd: bool = False  # likewise, with a code that nobody knows and without naming it
    vanishes: bool = False  # converted, no read shows it any more
    blank: bool = False  # no read says whether it is converted
    was_blank: bool = False  # and none did so once, though they do now
    converted_at: float | None = None
    converted_by: Job | None = None  # None while unconverted, or converted by hand
    looked_at: float = 0.0  # when a read last showed it
    shown_unconverted: bool = False  # what that read showed
    submissions: list[Submission] = field(default_factory=list)
    deal: str = ""  # the name of its deal, once it has one
    amount: int | None = None  # and its amount
    nameless: bool = False  # the field that names deals is empty
    fussy: bool = False  # Zoho refuses to update its deal
    was_fussy: bool = False  # and did so once, though it does no more
    unlinkable: bool = False  # Zoho refuses to link it
    own: Mapping[str, str] = field(default_factory=dict)  # what some of its fields hold
    records: tuple[str, str] = ("", "")  # the contact and the account that it became

    @property
    def is_away(self) -> bool:
        """Whether no read shows it, though it exists."""
        return self.vanishes and self.converted_at is not None

    def value(self, name: str) -> str:
        """What a field of it holds."""
        return "" if self.nameless else self.own.get(name) or f"{name} {self.id[-5:]}"


class Judge(Protocol):
    """Who looks at what happens here; see judge.py."""

    def arrives(self, lead: Lead, submission: Submission) -> None:
        """A payload with ``lead`` is on its way."""
        ...

    def creates(self, lead: Lead, submission: Submission) -> None:
        """A payload is on its way that makes new records of ``lead``."""
        ...

    def links(self, lead: Lead, submission: Submission, body: Mapping[str, Any]) -> None:
        """A call is on its way that links ``lead``."""
        ...

    def made(self, lead: Lead, contact: RecordPlan, account: RecordPlan | None, batch: str) -> None:
        """The conversion of ``lead`` makes these, or one of them, before they are there."""
        ...

    def call_begins(self, inside: Mapping[Task, float]) -> None:
        """These tasks are in a call, each since it got its permit."""
        ...

    def looks_at_a_job(self) -> None:
        """The current task looks at its chunk's job."""
        ...

    def credits_left(self, left: int) -> None:
        """A call has been made, and so many credits are left."""
        ...
