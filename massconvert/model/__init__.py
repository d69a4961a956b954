"""The frozen values that the rooms hand to each other: chunks, jobs, answers, outcomes, what comes next.

No I/O, no clock, no pydantic. All times are seconds (floats; points in time are Unix seconds of the ledger's
clock), all ids are strings of digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from massconvert.model.answers import (
    Accepted,
    CountedLeads,
    DealsUpdated,
    FindAnswer,
    FromZoho,
    JobStatus,
    LeadsFound,
    LeadsRead,
    LeadState,
    Linked,
    Listing,
    NotSent,
    Page,
    PageAnswer,
    PerhapsAccepted,
    PostAnswer,
    Progress,
    ReadAnswer,
    RecordsAnswer,
    RecordsFound,
    Refusal,
    Refused,
    StatusAnswer,
    Trouble,
    Unsent,
    UpdateAnswer,
    again_in_words,
)
from massconvert.model.batches import (
    HELD_FOR_CANARY,
    PAUSED_BY_HAND,
    BatchState,
    BatchStatus,
    Canary,
    CanaryCounts,
    Priority,
    Waits,
)
from massconvert.model.deals import DealUpdate, dump_brought, load_brought
from massconvert.model.failing import Failing, Fared
from massconvert.model.matching import Link, Matching, MatchKey, OnMatch, Record
from massconvert.model.owner import Owner, OwnerKind
from massconvert.model.rehearsed import Observed
from massconvert.model.runs import ROWS_A_QUERY, Language, Run, RunState

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
    NOT_VISIBLE = "NOT_VISIBLE"  # it was sent, and no read shows it: it may be converted
    STATE_UNKNOWN = "STATE_UNKNOWN"  # no read says whether it is converted: it may be
    LOCKED = "LOCKED"
    DEAL_NOT_UPDATED = "DEAL_NOT_UPDATED"  # the lead is converted, and its deal has not the values of its own
    GAVE_UP = "GAVE_UP"
    UNKNOWN_NAME = "UNKNOWN_NAME"
    MATCH_FOUND = "MATCH_FOUND"  # contacts or accounts are there that it may belong to: a person decides
    MATCH_UNCLEAR = "MATCH_UNCLEAR"  # nobody can ask Zoho whether there are any


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
    SENDING = "sending"  # written ahead of the POST: a worker that finds it lapsed treats the answer as lost
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
    UNEXPLAINED = "unexplained"  # it refused the payload, and named neither leads nor options
    COUNTS_DIFFER = "counts_differ"  # completed, but not all of them
    JOB_FAILED = "job_failed"
    JOB_UNKNOWN = "job_unknown"
    OVERDUE = "overdue"  # no end by the deadline
    WATCHED = "watched"  # its tries are over, but a job that Zoho does not know may convert its leads yet
    IDS = "ids"  # the leads are converted: their deals and the fields in the templates are to be found
    ANOTHER = "another"  # nothing is settled: they wait (WAITING) for other leads, which make what they may belong to


@dataclass(frozen=True)
class Chunk:
    """Up to 50 leads with the same options: one payload, as the ledger knows it at a claim.

    Before a preflight it has up to 100, which become two payloads; and where only deals are to be updated.

    ``leads`` are those that have no outcome yet, in payload order. ``attempts`` counts what Zoho answered about
    these leads (accepted jobs and refusals); ``outages`` counts consecutive tries without a usable answer.
    ``most``: formed to be read first, it may have more leads than a payload; ``most`` is what a payload takes.
    ``deal`` has the templates of the deals' texts, by field; ``deal_values`` what single leads bring for their deals;
    ``updates`` is what the deals get (UPDATING).
    ``links`` are the records that single leads are to be linked to, as somebody has said.
    ``matching`` is whether and how contacts and accounts are looked for before it is sent, ``matched_at`` when that was
    done last, 0.0 where it is yet to be; ``link`` makes it the payload of a lead that is linked to such records. While
    its leads wait ``behind`` what other leads have claimed (digests), ``freed`` says that one of the claims has ended.
    ``submitted`` is true once a payload with these leads was accepted, or perhaps accepted, in whichever batch.
    ``token`` is the lease of the claim that handed this value out.
    """

    id: str
    fingerprint: str
    state: State
    leads: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    options_accepted: bool = False  # Zoho has taken a payload with these options
    refusal: Refusal | None = None  # set when Zoho has refused these options since the chunk was formed
    token: str = ""
    attempts: int = 0
    outages: int = 0
    outage_since: float = 0.0  # of the first POST without a usable answer since the last usable one; 0.0: none
    polls: int = 0
    lags: int = 0
    most: int = 0
    submitted: bool = False
    reached_at: float = 0.0  # when these leads first reached Zoho, at the earliest, by Zoho's clock; 0.0: nobody knows
    doubted: bool = False  # another batch sent its leads, and never learnt what became of them
    express: bool = False  # it was formed with interactive leads
    deal: Mapping[str, str] = field(default_factory=dict)
    deal_values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    updates: tuple[DealUpdate, ...] = ()
    matching: Matching | None = None
    matched_at: float = 0.0
    link: Link | None = None
    behind: tuple[str, ...] = ()
    freed: bool = False
    job_id: str = ""
    why: Why = Why.NONE
    named: tuple[str, ...] = ()  # the leads that Zoho named in its refusal
    said: Refusal | None = None  # what Zoho said last about these leads
    failing: Failing = field(default_factory=Failing)
    fared: Fared = field(default_factory=Fared)
    claimed_converted: int = -1  # Converted_Count of the job that is being settled; -1 where unknown
    created_at: float = 0.0
    since: Mapping[str, float] = field(default_factory=dict)  # lead → when its batch was made, where there are several
    sent_at: float = 0.0  # when the last POST was written ahead
    send_by: float = 0.0  # after which nothing of it left any more
    due_at: float = 0.0
    claimed_at: float = 0.0
    trace: str = ""  # the enqueues of its batches that were traced: batch=leads=traceparent;…
    history: str = ""  # that Redis writes now, where it is another one than that in which the chunk was written
    broken_at: float | None = None  # when that one began; ``None`` where the chunk is up to date


@dataclass(frozen=True)
class Job:
    """Zoho's background job for an accepted chunk; what ``convert`` hands to ``status``."""

    chunk_id: str
    job_id: str
    due_in: float = 0.0


# --- permission to call -----------------------------------------------------------------------------------


class Call(str, Enum):
    """The kinds of calls that the governor tells apart."""

    POST = "post"  # mass convert: heavy, under the sub-limit
    EXPRESS = "express"  # the same, of a payload with interactive leads: before others that wait
    STATUS = "status"
    READ = "read"
    LINK = "link"  # the conversion of a single lead: heavy too
    UPDATE = "update"  # of up to 100 deals: heavy too (writes of more than 10 records are)
    QUERY = "query"  # COQL: heavy too (Zoho's limits page)


@dataclass(frozen=True)
class Busy:
    """No permit now: ask again in ``seconds``. ``why`` is for people."""

    in_seconds: float
    why: str


# --- the organisation ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pause:
    """Why the organisation is paused, and since when: in Zoho's words, or in those of who did it (``by``)."""

    reason: str
    code: str
    hint: str
    since: float
    by: str = ""


# --- what comes next --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    """Nothing is left to do with this chunk here: it has ended, or somebody else holds it.

    ``siblings`` are chunks that go on with leads of it.
    """

    siblings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Again:
    """The same work again, in ``seconds``; ``siblings`` are chunks that were split off, to be sent too."""

    in_seconds: float
    siblings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submitted:
    """Zoho accepted the payload: follow the job."""

    job: Job


@dataclass(frozen=True)
class Settle:
    """The leads must be read, in ``seconds``; ``siblings`` are chunks that go on with others of them."""

    in_seconds: float
    siblings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resend:
    """The chunk must be sent (again), in ``seconds``; ``siblings`` are chunks that were split off, likewise."""

    in_seconds: float
    siblings: tuple[str, ...] = ()


Next: TypeAlias = Done | Again | Submitted | Settle | Resend
