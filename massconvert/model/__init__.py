"""The frozen values that the rooms hand to each other: chunks, jobs, answers, outcomes, what comes next.

No I/O, no clock, no pydantic. All times are seconds (floats; points in time are Unix seconds of the ledger's
clock), all ids are strings of digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from massconvert.model.batches import HELD_FOR_CANARY as HELD_FOR_CANARY
from massconvert.model.batches import BatchState as BatchState
from massconvert.model.batches import BatchStatus as BatchStatus
from massconvert.model.batches import Canary as Canary
from massconvert.model.batches import CanaryCounts as CanaryCounts
from massconvert.model.batches import Priority as Priority
from massconvert.model.deals import DealUpdate as DealUpdate

# --- outcomes ---------------------------------------------------------------------------------------------


class Kind(str, Enum):
    """How a lead ended."""

    CONVERTED = "converted"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


class Code:
    """The codes of our own; every other code in an outcome is Zoho's, verbatim."""

    ALREADY_CONVERTED = "ALREADY_CONVERTED"
    ALREADY_QUEUED = "ALREADY_QUEUED"
    INVALID_ID = "INVALID_ID"
    NOT_CONVERTED = "NOT_CONVERTED"
    NOT_FOUND = "NOT_FOUND"
    LOCKED = "LOCKED"
    DEAL_NOT_UPDATED = "DEAL_NOT_UPDATED"  # the lead is converted, and its deal has not the values of its own
    GAVE_UP = "GAVE_UP"
    UNKNOWN_NAME = "UNKNOWN_NAME"


@dataclass(frozen=True)
class Outcome:
    """A lead's end. ``code`` and ``message`` are empty for a plain conversion.

    ``attempts`` counts the payloads with this lead that Zoho took or answered about.
    """

    kind: Kind
    code: str = ""
    message: str = ""
    job_id: str = ""
    attempts: int = 0
    contact_id: str = ""
    account_id: str = ""
    deal_id: str = ""


@dataclass(frozen=True)
class LeadRow:
    """A line of a report: a lead of a batch and its outcome, ``None`` while it has none."""

    lead_id: str
    outcome: Outcome | None


# --- chunks -----------------------------------------------------------------------------------------------


class State(str, Enum):
    """Where a chunk stands. The ledger holds the truth; see ``policy`` for the moves between them."""

    WAITING = "waiting"  # to be sent, not before its due time
    SENDING = "sending"  # written ahead of the POST: whoever finds it lapsed treats the answer as lost
    RUNNING = "running"  # Zoho accepted it: a job runs
    SETTLING = "settling"  # the leads themselves must be read
    UPDATING = "updating"  # the leads are converted: their deals get values of their own
    DONE = "done"  # every lead has its outcome


class Why(str, Enum):
    """Why a chunk is settled: what made the leads' own state the only witness."""

    NONE = ""
    PREFLIGHT = "preflight"  # nothing was sent yet: bad leads are sorted out first
    ANSWER_LOST = "answer_lost"  # the POST was perhaps accepted
    BAD_LEADS = "bad_leads"  # Zoho refused the payload for some of its ids
    COUNTS_DIFFER = "counts_differ"  # completed, but not all of them
    JOB_FAILED = "job_failed"
    JOB_UNKNOWN = "job_unknown"
    OVERDUE = "overdue"  # no end by the deadline
    IDS = "ids"  # the leads are converted: their deals and the fields in the templates are to be found


@dataclass(frozen=True)
class Refusal:
    """Zoho's own words when it refused something: its code, message and JSON path, verbatim."""

    code: str
    message: str
    path: str = ""


@dataclass(frozen=True)
class Chunk:
    """Up to 50 leads with the same options: one payload, as the ledger knows it at a claim.

    Before a preflight it has up to 100, which become two payloads; and where only deals are to be updated.

    ``leads`` are those that have no outcome yet, in payload order. ``attempts`` counts what Zoho answered about
    these leads (accepted jobs and refusals); ``outages`` counts consecutive tries without a usable answer.
    ``most``: formed to be read first, it may have more leads than a payload; a payload takes so many.
    ``deal`` has the templates of the deals' texts, by field; ``deal_values`` what single leads bring for their deals;
    ``updates`` is what the deals shall have (UPDATING).
    ``submitted`` is true once a payload with these leads was accepted, or perhaps accepted, in whichever batch.
    ``token`` is the lease of the claim that handed this value out.
    """

    id: str
    fingerprint: str
    state: State
    leads: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    options_accepted: bool = False
    refusal: Refusal | None = None  # set when Zoho has refused these options since the chunk was formed
    token: str = ""
    attempts: int = 0
    outages: int = 0
    outage_since: float = 0.0  # of the first POST without a usable answer since the last usable one; 0.0: none
    polls: int = 0
    lags: int = 0
    most: int = 0
    submitted: bool = False
    deal: Mapping[str, str] = field(default_factory=dict)
    deal_values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    updates: tuple[DealUpdate, ...] = ()
    job_id: str = ""
    why: Why = Why.NONE
    named: tuple[str, ...] = ()  # the leads that Zoho named in its refusal
    said: Refusal | None = None  # Zoho's last words about these leads
    claimed_converted: int = -1  # Converted_Count of the job that is being settled; -1 where unknown
    created_at: float = 0.0
    sent_at: float = 0.0  # of the last POST
    due_at: float = 0.0


@dataclass(frozen=True)
class Job:
    """Zoho's background job for an accepted chunk; what ``convert`` hands to ``status``."""

    chunk_id: str
    job_id: str
    due_in: float = 0.0


# --- what Zoho answered -----------------------------------------------------------------------------------
#
# Every call, however it broke, becomes exactly one of these values: what the call was made for (Accepted,
# JobStatus, LeadsRead), a definite refusal (Refused), surely not sent (NotSent), or no usable answer at all
# (PerhapsAccepted).


class Unsent(str, Enum):
    """Why a call surely did not reach Zoho."""

    CONNECT = "connect"  # DNS, refused, TLS, connect time-out
    EXPIRED = "expired"  # its deadline passed before the first byte went out
    NO_TOKEN = "no_token"  # noqa: S105 - a reason, not a secret: no access token at the moment: too many refreshes, accounts server away
    CREDENTIALS = "credentials"  # the refresh token or the client is refused: a person must act


@dataclass(frozen=True)
class NotSent:
    """Surely not sent: it may go out again without a look. ``code`` and ``detail`` say why, for people."""

    why: Unsent
    detail: str
    code: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class FromZoho:
    """What any answer of Zoho's may carry besides: the ``X-API-CREDITS-REMAINING`` header, where present."""

    credits_left: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class PerhapsAccepted(FromZoho):
    """No usable answer: 5xx, a dropped or hung connection, a body that is not JSON. Look before sending again."""

    detail: str
    status: int | None = None
    code: str = ""


@dataclass(frozen=True)
class Refused(FromZoho):
    """A definite answer that is not what the call was made for: a 4xx with Zoho's error JSON, or any 429.

    ``paths`` are all JSON paths that ``details`` names (``$.ids[3]``, ``$.Deals.Stage``); ``retry_after`` is the
    ``Retry-After`` header in seconds, where present.
    """

    status: int
    code: str
    message: str
    paths: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    retry_after: float | None = None


@dataclass(frozen=True)
class Accepted(FromZoho):
    """The payload was accepted: Zoho runs it as this job."""

    job_id: str


class Progress(str, Enum):
    """What a status answer says of a job, letter case and spelling aside."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class JobStatus(FromZoho):
    """The counts of a job. Zoho names no lead here, ever."""

    progress: Progress
    total: int
    converted: int
    not_converted: int
    failed: int


@dataclass(frozen=True)
class LeadState:
    """What Get Records says of a lead. A lead that is missing from the answer has no ``LeadState``.

    ``fields`` are those that were asked for besides, as text, by API name.
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
    """The answer of Get Records, by lead id; leads that Zoho did not return are not in it."""

    states: Mapping[str, LeadState]


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
    MAPPING = "mapping"  # the fields of Leads that fill one of Deals


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
class Counted(FromZoho):
    """How many leads meet criteria."""

    leads: int


PostAnswer: TypeAlias = Accepted | Refused | PerhapsAccepted | NotSent
StatusAnswer: TypeAlias = JobStatus | Refused | PerhapsAccepted | NotSent
ReadAnswer: TypeAlias = LeadsRead | Refused | PerhapsAccepted | NotSent
UpdateAnswer: TypeAlias = DealsUpdated | Refused | PerhapsAccepted | NotSent
PageAnswer: TypeAlias = Page | Refused | PerhapsAccepted | NotSent
FindAnswer: TypeAlias = LeadsFound | Refused | PerhapsAccepted | NotSent
Trouble: TypeAlias = Refused | PerhapsAccepted | NotSent


# --- permission to call -----------------------------------------------------------------------------------


class Call(str, Enum):
    """The kinds of calls that the governor tells apart."""

    POST = "post"  # mass convert: heavy, under the sub-limit
    STATUS = "status"
    READ = "read"
    UPDATE = "update"  # of up to 100 deals: heavy too (writes of more than 10 records are)
    QUERY = "query"  # COQL: heavy too (Zoho's limits page)


@dataclass(frozen=True)
class Busy:
    """No permit now: ask again in so many seconds. ``why`` is for people."""

    in_seconds: float
    why: str


# --- the organisation ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pause:
    """Why the organisation is paused, in Zoho's words, and since when."""

    reason: str
    code: str
    hint: str
    since: float


# --- what comes next --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """Nothing is left to do with this chunk here: it has ended, or somebody else holds it.

    ``sibling`` is a chunk that goes on with leads of it.
    """

    sibling: str = ""


@dataclass(frozen=True)
class Again:
    """The same work again, in so many seconds; ``sibling`` is a chunk that was split off, to be sent besides."""

    in_seconds: float
    sibling: str = ""


@dataclass(frozen=True)
class Submitted:
    """Zoho accepted the payload: follow the job."""

    job: Job


@dataclass(frozen=True)
class Settle:
    """The leads must be read, in so many seconds; ``sibling`` is a chunk that goes on with others of them."""

    in_seconds: float
    sibling: str = ""


@dataclass(frozen=True)
class Resend:
    """The chunk must be sent (again), in so many seconds; ``sibling`` is a chunk that was split off, likewise."""

    in_seconds: float
    sibling: str = ""


Next: TypeAlias = Done | Again | Submitted | Settle | Resend
