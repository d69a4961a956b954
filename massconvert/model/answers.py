"""What Zoho answered, or why it did not.

Every call, however it broke, becomes exactly one of these values: what the call was made for (Accepted, JobStatus,
LeadsRead, …), a definite refusal (Refused), surely not sent (NotSent), or no usable answer at all (PerhapsAccepted).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import ceil
from typing import Any, ClassVar, TypeAlias

from massconvert.model.matching import Record


@dataclass(frozen=True)
class Refusal:
    """Zoho's own words when it refused something: its code, message and JSON path, verbatim."""

    code: str
    message: str
    path: str = ""


class Unsent(str, Enum):
    """Why a call surely did not reach Zoho."""

    CONNECT = "connect"  # DNS, refused, TLS, connect time-out
    EXPIRED = "expired"  # its deadline passed before the first byte went out
    LATE = "late"  # this machine came too late to it: its claim might lapse before the answer
    NO_TOKEN = "no_token"  # noqa: S105 - a reason, not a secret: no access token at the moment: the accounts server does not answer
    DENIED = "denied"  # the accounts server answers and gives none: too many were asked for, or a reason not known here
    CREDENTIALS = "credentials"  # the refresh token or the client is refused: a person must act


@dataclass(frozen=True)
class NotSent:
    """Surely not sent: it may go out again without a look. ``code`` and ``detail`` say why, for people."""

    why: Unsent
    detail: str
    code: str = ""
    retry_after: float | None = None

    @property
    def in_words(self) -> str:
        """Why, and for how long it stays so where that is long."""
        long = self.why in (Unsent.NO_TOKEN, Unsent.DENIED)
        return f"{self.detail}{again_in_words(self.retry_after)}" if long else self.detail


def again_in_words(seconds: float | None) -> str:
    """When an access token may be asked for again, where that is worth a word: more than some seconds from now."""
    if seconds is None or seconds < 10:
        return ""
    wait = f"{ceil(seconds)} s" if seconds <= 90 else f"{ceil(seconds / 60)} min"
    return f"; another may be asked for in {wait}"


@dataclass(frozen=True, kw_only=True)
class FromZoho:
    """What any answer of Zoho's may carry in addition: the ``X-API-CREDITS-REMAINING`` header, where present."""

    credits_left: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class PerhapsAccepted(FromZoho):
    """No usable answer: 5xx, a dropped or hung connection, a body that is not JSON. Look before sending again."""

    retry_after: ClassVar[None] = None  # its headers are believed no more than the rest
    detail: str
    status: int | None = None
    code: str = ""


@dataclass(frozen=True)
class Refused(FromZoho):
    """A definite answer that is not what the call was made for: a 4xx with Zoho's error JSON, or any 429.

    ``paths`` are all JSON paths that ``details`` names (``$.ids[3]``, ``$.Deals.Stage``); ``ids`` are of records that
    it names, perhaps none of ours; ``retry_after`` is the ``Retry-After`` header in seconds, where present.
    """

    status: int
    code: str
    message: str
    paths: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    retry_after: float | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Accepted(FromZoho):
    """The payload was accepted: Zoho runs it as this job."""

    job_id: str


@dataclass(frozen=True)
class Linked(FromZoho):
    """A single lead was converted at once, into these records; blank where Zoho names none."""

    contact_id: str
    account_id: str = ""
    deal_id: str = ""


class Progress(str, Enum):
    """What a status answer says of a job, letter case and spelling aside."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class JobStatus(FromZoho):
    """The counts of a job, 0 where Zoho does not say. It names no lead here, ever, and the counts need not add up."""

    progress: Progress
    total: int
    converted: int
    not_converted: int
    failed: int

    def all_converted(self, leads: int) -> bool:
        """Whether it surely says that all of a payload of ``leads`` are converted."""
        none_left = self.not_converted == self.failed == 0
        return self.progress is Progress.COMPLETED and self.converted == self.total == leads and none_left


@dataclass(frozen=True)
class LeadState:
    """What Get Records says of a lead. A lead that is missing from the answer has no ``LeadState``.

    ``fields`` are the further ones that were asked for, as text, by API name.
    """

    lead_id: str
    converted: bool
    locked: bool = False
    converted_at: float | None = None
    contact_id: str = ""
    account_id: str = ""
    deal_id: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LeadsRead(FromZoho):
    """The answer of Get Records, by lead id; leads that Zoho did not return are not in it.

    ``unclear`` are those of whose state a row says nothing that can be believed. With ``nameless`` rows nobody knows
    which of the leads that are not in it are missing.
    """

    states: Mapping[str, LeadState]
    unclear: frozenset[str] = frozenset()
    nameless: bool = False

    def is_unclear(self, lead_id: str) -> bool:
        """Whether nothing is known of a lead: neither its state nor that it is missing."""
        return lead_id in self.unclear or (self.nameless and lead_id not in self.states)


@dataclass(frozen=True)
class DealsUpdated(FromZoho):
    """The answer of Update Records, one result a deal, in the order asked; ``None`` where it was updated."""

    refused: tuple[Refusal | None, ...]


class Listing(str, Enum):
    """What an organisation lists about itself: names and their ids, and the shape of its deals."""

    USERS = "users"
    MODULES = "modules"
    PORTALS = "portals"  # the user types of the portals
    FIELDS = "fields"  # of Deals
    LAYOUTS = "layouts"  # of Deals
    PIPELINES = "pipelines"  # of Deals, of each layout
    LEAD_FIELDS = "fields_of_leads"  # of Leads, and which of Deals, Contacts and Accounts each fills
    CONTACT_FIELDS = "fields_of_contacts"  # of Contacts, and which are unique
    ACCOUNT_FIELDS = "fields_of_accounts"  # of Accounts


@dataclass(frozen=True)
class Page(FromZoho):
    """The answer of one call for a listing: rows of plain JSON, and the places where there is more to read."""

    rows: tuple[Mapping[str, Any], ...]
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeadsFound(FromZoho):
    """One page of the leads that meet criteria, in the order of the answer; ``more`` says that others follow."""

    lead_ids: tuple[str, ...]
    more: bool


@dataclass(frozen=True)
class RecordsFound(FromZoho):
    """One page of the contacts or accounts that a query finds, by id; ``more`` says that others follow."""

    records: tuple[Record, ...]
    more: bool


@dataclass(frozen=True)
class CountedLeads(FromZoho):
    """How many leads meet criteria."""

    leads: int


PostAnswer: TypeAlias = Accepted | Linked | Refused | PerhapsAccepted | NotSent
StatusAnswer: TypeAlias = JobStatus | Refused | PerhapsAccepted | NotSent
ReadAnswer: TypeAlias = LeadsRead | Refused | PerhapsAccepted | NotSent
UpdateAnswer: TypeAlias = DealsUpdated | Refused | PerhapsAccepted | NotSent
PageAnswer: TypeAlias = Page | Refused | PerhapsAccepted | NotSent
RecordsAnswer: TypeAlias = RecordsFound | Refused | PerhapsAccepted | NotSent
FindAnswer: TypeAlias = LeadsFound | Refused | PerhapsAccepted | NotSent
Trouble: TypeAlias = Refused | PerhapsAccepted | NotSent
