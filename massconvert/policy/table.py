"""The decision table's rows, the moves they may make, and what Zoho's error codes mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from massconvert.model import (
    Chunk,
    Next,
    Outcome,
    Refusal,
    State,
)
from massconvert.policy.codes import HINTS, MEANINGS, STATUS_MEANINGS, Meaning, meaning
from massconvert.policy.polling import Look

__all__ = [
    "CREDENTIALS_HINT",
    "HINTS",
    "MEANINGS",
    "MOVES",
    "STATUS_MEANINGS",
    "TOKEN_HINTS",
    "Decision",
    "Meaning",
    "PauseOrder",
    "Row",
    "meaning",
]


class Row(str, Enum):
    """The rows of the decision table."""

    # the answer to the POST
    ACCEPTED = "post: accepted"
    BAD_LEADS = "post: some ids refused"
    UNEXPLAINED = "post: refused, no cause named"
    OPTIONS_REFUSED = "post: options refused"
    OPTIONS_REFUSED_BEFORE = "post: options refused since the chunk was formed"
    TOO_MANY_LEADS = "post: more leads than Zoho takes"
    NOT_ALLOWED = "post: permission denied"
    TOKEN = "post: token expired"  # noqa: S105 - a row's name, not a secret
    THROTTLED = "post: throttled"
    NOT_SENT = "post: surely not sent"
    NOT_SENT_GIVE_UP = "post: surely not sent, given up"
    PERHAPS_ACCEPTED = "post: perhaps accepted"
    SENDER_LOST = "post: the sender died"
    NO_PERMIT = "post: no permit"
    TOO_FEW_REPLICAS = "post: not sent, too few replicas have its mark"
    # Redis may have lost what was written last (a failover, a restart, an older copy)
    PERHAPS_SENT = "history: broken, perhaps sent"
    PERHAPS_RAN_ON = "history: broken, its job perhaps ended"
    PERHAPS_READ = "history: broken, perhaps sent after its read began"
    # the names in the options, looked up before the POST
    NAMES_FOUND = "names: all found"
    NAME_UNKNOWN = "names: Zoho knows no such name"
    NAMES_NOT_READABLE = "names: not allowed to read them"
    NAMES_NOT_ALLOWED = "names: the credentials are refused"
    NAMES_THROTTLED = "names: throttled"
    NAMES_RETRY = "names: no usable answer"
    NAMES_GIVE_UP = "names: no usable answer, given up"
    # contacts and accounts that the leads may belong to, looked for before the POST
    MATCHED = "match: looked for"
    MATCH_WAITS = "match: behind other leads"
    MATCH_UNREAD = "match: the leads must be read apart"
    MATCH_NOT_READABLE = "match: not allowed to look"
    MATCH_NOT_ALLOWED = "match: the credentials are refused"
    MATCH_THROTTLED = "match: throttled"
    MATCH_RETRY = "match: no usable answer"
    MATCH_GIVE_UP = "match: no usable answer, given up"
    # the answer to the conversion of a single lead, where it is another than to a payload
    LINKED = "link: converted at once"
    LINK_REFUSED = "link: does not match"
    # the answer to the status call
    LOOK_LATER = "status: put off, by what was learnt since"
    JOB_RUNS = "status: scheduled or in progress"
    JOB_ALL_CONVERTED = "status: completed, all converted"
    JOB_COUNTS_DIFFER = "status: completed, counts differ"
    JOB_FAILED = "status: failed"
    JOB_UNKNOWN_YET = "status: unknown right after acceptance"
    JOB_UNKNOWN = "status: unknown later"
    JOB_OVERDUE = "status: no end by the deadline"
    STATUS_NOT_ALLOWED = "status: not allowed"
    STATUS_RETRY = "status: no usable answer"
    STATUS_THROTTLED = "status: throttled"
    STATUS_NO_PERMIT = "status: no permit"
    # the answer to the read of leads of which none was sent yet
    PREFLIGHT_PASSED = "preflight: the good ones go out"
    PREFLIGHT_GIVE_UP = "preflight: no usable answer, given up"
    # the answer to the read
    SETTLED = "read: every lead has ended"
    READ_LAGS = "read: fewer converted than the job reported"
    UNCLEAR_APART = "read: some show no state, asked again apart"
    UNCLEAR_AGAIN = "read: shows no state, asked again"
    UNCLEAR = "read: shows no state, given up"
    STILL_CONVERTING = "read: a lost job still converts"
    UNCONVERTED_AGAIN = "read: the unconverted go out again"
    BAD_LEADS_OUT = "read: bad leads sorted out"
    NAMED_OUT = "read: cause unknown, the named leads fail"
    HALVED = "read: cause unknown, split in half"
    FAILS_HALVED = "read: fails as a whole, split in half"
    FAILS_ALONE = "read: fails alone, while others do not"
    OUT_OF_ATTEMPTS = "read: still unconverted after the last attempt"
    READ_GIVE_UP = "read: unconverted, given up"
    OVERDUE_WATCHED = "read: overdue, watched on"
    UNKNOWN_WATCHED = "read: its job is unknown, watched on"
    READ_NOT_ALLOWED = "read: not allowed"
    READ_RETRY = "read: no usable answer"
    READ_TOO_MANY = "read: more ids than Zoho takes"
    READ_THROTTLED = "read: throttled"
    READ_NO_PERMIT = "read: no permit"
    # the deals of converted leads, which get values of their own
    DEALS_FOUND = "deals: found, updates prepared"
    DEALS_UNREAD = "deals: their leads cannot be read, given up"
    DEALS_UPDATED = "deals: updated, or refused one by one"
    UPDATE_REFUSED = "deals: the update is refused"
    UPDATE_NOT_ALLOWED = "deals: the credentials are refused"
    UPDATE_RETRY = "deals: no usable answer"
    UPDATE_GIVE_UP = "deals: no usable answer, given up"
    UPDATE_THROTTLED = "deals: throttled"
    UPDATE_NO_PERMIT = "deals: no permit"

    @property
    def event(self) -> str:
        """Its one name in the story, the log and the metrics."""
        return self.name.lower()


_W, _S, _R, _T, _D = State.WAITING, State.SENDING, State.RUNNING, State.SETTLING, State.DONE
_U = State.UPDATING

#: Every row: the state it is decided in, and the states it may lead to.
MOVES: dict[Row, tuple[State, frozenset[State]]] = {
    Row.ACCEPTED: (_S, frozenset({_R})),
    Row.BAD_LEADS: (_S, frozenset({_T})),
    Row.UNEXPLAINED: (_S, frozenset({_T})),
    Row.OPTIONS_REFUSED: (_S, frozenset({_D})),
    Row.OPTIONS_REFUSED_BEFORE: (_W, frozenset({_D})),
    Row.TOO_MANY_LEADS: (_S, frozenset({_W, _D})),
    Row.NOT_ALLOWED: (_S, frozenset({_W})),
    Row.TOKEN: (_S, frozenset({_W})),
    Row.THROTTLED: (_S, frozenset({_W})),
    Row.NOT_SENT: (_S, frozenset({_W})),
    Row.NOT_SENT_GIVE_UP: (_S, frozenset({_D})),
    Row.PERHAPS_ACCEPTED: (_S, frozenset({_T})),
    Row.SENDER_LOST: (_S, frozenset({_T})),
    Row.NO_PERMIT: (_W, frozenset({_W})),
    Row.TOO_FEW_REPLICAS: (_S, frozenset({_W})),
    Row.PERHAPS_SENT: (_W, frozenset({_T})),
    Row.PERHAPS_RAN_ON: (_R, frozenset({_R})),
    Row.PERHAPS_READ: (_T, frozenset({_T})),
    Row.NAMES_FOUND: (_W, frozenset({_W})),
    Row.NAME_UNKNOWN: (_W, frozenset({_D})),
    Row.NAMES_NOT_READABLE: (_W, frozenset({_W})),
    Row.NAMES_NOT_ALLOWED: (_W, frozenset({_W})),
    Row.NAMES_THROTTLED: (_W, frozenset({_W})),
    Row.NAMES_RETRY: (_W, frozenset({_W})),
    Row.NAMES_GIVE_UP: (_W, frozenset({_D})),
    Row.MATCHED: (_W, frozenset({_W, _D})),
    Row.MATCH_WAITS: (_W, frozenset({_W})),
    Row.MATCH_UNREAD: (_W, frozenset({_T})),
    Row.MATCH_NOT_READABLE: (_W, frozenset({_W})),
    Row.MATCH_NOT_ALLOWED: (_W, frozenset({_W})),
    Row.MATCH_THROTTLED: (_W, frozenset({_W})),
    Row.MATCH_RETRY: (_W, frozenset({_W})),
    Row.MATCH_GIVE_UP: (_W, frozenset({_D})),
    Row.LINKED: (_S, frozenset({_D})),
    Row.LINK_REFUSED: (_S, frozenset({_D})),
    Row.LOOK_LATER: (_R, frozenset({_R})),
    Row.JOB_RUNS: (_R, frozenset({_R})),
    Row.JOB_ALL_CONVERTED: (_R, frozenset({_D})),
    Row.JOB_COUNTS_DIFFER: (_R, frozenset({_T})),
    Row.JOB_FAILED: (_R, frozenset({_T})),
    Row.JOB_UNKNOWN_YET: (_R, frozenset({_R})),
    Row.JOB_UNKNOWN: (_R, frozenset({_T})),
    Row.JOB_OVERDUE: (_R, frozenset({_T})),
    Row.STATUS_NOT_ALLOWED: (_R, frozenset({_R})),
    Row.STATUS_RETRY: (_R, frozenset({_R})),
    Row.STATUS_THROTTLED: (_R, frozenset({_R})),
    Row.STATUS_NO_PERMIT: (_R, frozenset({_R})),
    Row.PREFLIGHT_PASSED: (_T, frozenset({_W})),
    Row.PREFLIGHT_GIVE_UP: (_T, frozenset({_D})),
    Row.SETTLED: (_T, frozenset({_D})),
    Row.READ_LAGS: (_T, frozenset({_T})),
    Row.UNCLEAR_APART: (_T, frozenset({_T})),
    Row.UNCLEAR_AGAIN: (_T, frozenset({_T})),
    Row.UNCLEAR: (_T, frozenset({_D})),
    Row.STILL_CONVERTING: (_T, frozenset({_T})),
    Row.UNCONVERTED_AGAIN: (_T, frozenset({_W})),
    Row.BAD_LEADS_OUT: (_T, frozenset({_W})),
    Row.NAMED_OUT: (_T, frozenset({_W, _D})),
    Row.HALVED: (_T, frozenset({_W})),
    Row.FAILS_HALVED: (_T, frozenset({_W})),
    Row.FAILS_ALONE: (_T, frozenset({_D})),
    Row.OUT_OF_ATTEMPTS: (_T, frozenset({_D})),
    Row.READ_GIVE_UP: (_T, frozenset({_D})),
    Row.OVERDUE_WATCHED: (_T, frozenset({_R})),
    Row.UNKNOWN_WATCHED: (_T, frozenset({_T})),
    Row.READ_NOT_ALLOWED: (_T, frozenset({_T})),
    Row.READ_RETRY: (_T, frozenset({_T})),
    Row.READ_TOO_MANY: (_T, frozenset({_T, _D})),
    Row.READ_THROTTLED: (_T, frozenset({_T})),
    Row.READ_NO_PERMIT: (_T, frozenset({_T})),
    Row.DEALS_FOUND: (_T, frozenset({_U})),
    Row.DEALS_UNREAD: (_T, frozenset({_D})),
    Row.DEALS_UPDATED: (_U, frozenset({_D})),
    Row.UPDATE_REFUSED: (_U, frozenset({_D})),
    Row.UPDATE_NOT_ALLOWED: (_U, frozenset({_U})),
    Row.UPDATE_RETRY: (_U, frozenset({_U})),
    Row.UPDATE_GIVE_UP: (_U, frozenset({_D})),
    Row.UPDATE_THROTTLED: (_U, frozenset({_U})),
    Row.UPDATE_NO_PERMIT: (_U, frozenset({_U})),
}


CREDENTIALS_HINT = (
    "Check ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN and ZOHO_DATA_CENTER, restart the workers with "
    "the right ones"
)
_TOKENS_HINT = (
    "Zoho gives 10 access tokens in 10 minutes for a refresh token: find what else uses this one, give each program a "
    "refresh token of its own"
)
#: Where access tokens are used up, by what Zoho says, and by our own count.
TOKEN_HINTS = {"ACCESS_DENIED": _TOKENS_HINT, "TOKENS_USED": _TOKENS_HINT}


@dataclass(frozen=True)
class PauseOrder:
    """Pause the organisation, and say why and what to do."""

    code: str
    reason: str
    hint: str


@dataclass(frozen=True)
class Decision:
    """One row of the table, applied: the chunk as it becomes, and everything that is written with it.

    ``outcomes`` end single leads; ``rest`` ends all others that are open (the chunk is then done). ``split`` moves the
    second half of the leads that stay open to a chunk of their own.
    """

    row: Row
    chunk: Chunk
    next: Next
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    rest: Outcome | None = None
    pause: PauseOrder | None = None
    refuse_options: Refusal | None = None
    blames_options: Refusal | None = None  # several leads refused alone refuse the options, if never accepted
    accepts_options: bool = False
    resolved: Mapping[str, Any] | None = None  # the options with ids for their names
    split: bool = False
    on_trial: bool = False  # though nobody fares better: only if no other payload has just been, see `failing`
    #: They go on with some leads of this chunk: for their deals, since they show no state, since they are linked, …
    asides: tuple[Chunk, ...] = ()
    identities: Mapping[str, tuple[str, ...]] | None = None  # what the conversion of each lead makes, as digests
    max_leads: int | None = None  # a lower limit that Zoho has shown
    max_read: int | None = None  # the same, of the ids of a read
    job_took: float | None = None  # seconds, to learn from
    history: str | None = None  # the history in which the chunk is up to date from now on
    look: tuple[Look | None, Look] | None = None  # when to look at jobs first, as it was known and as it is learnt
