"""The decision table, and what a decision is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from massconvert.model import Chunk, Next, Outcome, Refusal, State
from massconvert.policy.polling import Look

_W, _S, _R, _T, _D = State.WAITING, State.SENDING, State.RUNNING, State.SETTLING, State.DONE
_U = State.UPDATING


class Row(str, Enum):
    """The decision table: what was answered, the state in which that is decided, and the states it may lead to."""

    source: State
    targets: frozenset[State]

    def __new__(cls, words: str, source: State, *targets: State) -> Row:  # noqa: PYI034 - an Enum with members has no subclass
        """Its value is its words."""
        row = str.__new__(cls, words)
        row._value_, row.source, row.targets = words, source, frozenset(targets)
        return row

    # the answer to the POST
    ACCEPTED = "post: accepted", _S, _R
    BAD_LEADS = "post: some ids refused", _S, _T
    UNEXPLAINED = "post: refused, no cause named", _S, _T
    OPTIONS_REFUSED = "post: options refused", _S, _D
    OPTIONS_REFUSED_BEFORE = "post: options refused since the chunk was formed", _W, _D
    TOO_MANY_LEADS = "post: more leads than Zoho takes", _S, _W, _D
    NOT_ALLOWED = "post: permission denied", _S, _W
    TOKEN = "post: token expired", _S, _W
    THROTTLED = "post: throttled", _S, _W
    NOT_SENT = "post: surely not sent", _S, _W
    NOT_SENT_GIVE_UP = "post: surely not sent, given up", _S, _D
    PERHAPS_ACCEPTED = "post: perhaps accepted", _S, _T
    SENDER_LOST = "post: the sender died", _S, _T
    NO_PERMIT = "post: no permit", _W, _W
    TOO_FEW_REPLICAS = "post: not sent, too few replicas have its mark", _S, _W
    # Redis may have lost what was written last (a failover, a restart, an older copy)
    PERHAPS_SENT = "history: broken, perhaps sent", _W, _T
    PERHAPS_RAN_ON = "history: broken, its job perhaps ended", _R, _R
    PERHAPS_READ = "history: broken, perhaps sent after its read began", _T, _T
    # the names in the options, looked up before the POST
    NAMES_FOUND = "names: all found", _W, _W
    NAME_UNKNOWN = "names: Zoho knows no such name", _W, _D
    NAMES_NOT_READABLE = "names: not allowed to read them", _W, _W
    NAMES_NOT_ALLOWED = "names: the credentials are refused", _W, _W
    NAMES_THROTTLED = "names: throttled", _W, _W
    NAMES_RETRY = "names: no usable answer", _W, _W
    NAMES_GIVE_UP = "names: no usable answer, given up", _W, _D
    # contacts and accounts that the leads may belong to, looked for before the POST
    MATCHED = "match: looked for", _W, _W, _D
    MATCH_WAITS = "match: behind other leads", _W, _W
    MATCH_UNREAD = "match: the leads must be read apart", _W, _T
    MATCH_NOT_READABLE = "match: not allowed to look", _W, _W
    MATCH_NOT_ALLOWED = "match: the credentials are refused", _W, _W
    MATCH_THROTTLED = "match: throttled", _W, _W
    MATCH_RETRY = "match: no usable answer", _W, _W
    MATCH_GIVE_UP = "match: no usable answer, given up", _W, _D
    # the answer to the conversion of a single lead, where it is another than to a payload
    LINKED = "link: converted at once", _S, _D
    LINK_REFUSED = "link: does not match", _S, _D
    # the answer to the status call
    LOOK_LATER = "status: put off, by what was learnt since", _R, _R
    JOB_RUNS = "status: scheduled or in progress", _R, _R
    JOB_ALL_CONVERTED = "status: completed, all converted", _R, _D
    JOB_COUNTS_DIFFER = "status: completed, counts differ", _R, _T
    JOB_FAILED = "status: failed", _R, _T
    JOB_UNKNOWN_YET = "status: unknown right after acceptance", _R, _R
    JOB_UNKNOWN = "status: unknown later", _R, _T
    JOB_OVERDUE = "status: no end by the deadline", _R, _T
    STATUS_NOT_ALLOWED = "status: not allowed", _R, _R
    STATUS_RETRY = "status: no usable answer", _R, _R
    STATUS_THROTTLED = "status: throttled", _R, _R
    STATUS_NO_PERMIT = "status: no permit", _R, _R
    # the answer to the read of leads of which none was sent yet
    PREFLIGHT_PASSED = "preflight: the good ones go out", _T, _W
    PREFLIGHT_GIVE_UP = "preflight: no usable answer, given up", _T, _D
    # the answer to the read
    SETTLED = "read: every lead has ended", _T, _D
    READ_LAGS = "read: fewer converted than the job reported", _T, _T
    UNCLEAR_APART = "read: some show no state, asked again apart", _T, _T
    UNCLEAR_AGAIN = "read: shows no state, asked again", _T, _T
    UNCLEAR = "read: shows no state, given up", _T, _D
    STILL_CONVERTING = "read: a lost job still converts", _T, _T
    UNCONVERTED_AGAIN = "read: the unconverted go out again", _T, _W
    BAD_LEADS_OUT = "read: bad leads sorted out", _T, _W
    NAMED_OUT = "read: cause unknown, the named leads fail", _T, _W, _D
    HALVED = "read: cause unknown, split in half", _T, _W
    FAILS_HALVED = "read: fails as a whole, split in half", _T, _W
    FAILS_ALONE = "read: fails alone, while others do not", _T, _D
    OUT_OF_ATTEMPTS = "read: still unconverted after the last attempt", _T, _D
    READ_GIVE_UP = "read: unconverted, given up", _T, _D
    OVERDUE_WATCHED = "read: overdue, watched on", _T, _R
    UNKNOWN_WATCHED = "read: its job is unknown, watched on", _T, _T
    READ_NOT_ALLOWED = "read: not allowed", _T, _T
    READ_RETRY = "read: no usable answer", _T, _T
    READ_TOO_MANY = "read: more ids than Zoho takes", _T, _T, _D
    READ_THROTTLED = "read: throttled", _T, _T
    READ_NO_PERMIT = "read: no permit", _T, _T
    # the deals of converted leads, which get values of their own
    DEALS_FOUND = "deals: found, updates prepared", _T, _U
    DEALS_UNREAD = "deals: their leads cannot be read, given up", _T, _D
    DEALS_UPDATED = "deals: updated, or refused one by one", _U, _D
    UPDATE_REFUSED = "deals: the update is refused", _U, _D
    UPDATE_NOT_ALLOWED = "deals: the credentials are refused", _U, _U
    UPDATE_RETRY = "deals: no usable answer", _U, _U
    UPDATE_GIVE_UP = "deals: no usable answer, given up", _U, _D
    UPDATE_THROTTLED = "deals: throttled", _U, _U
    UPDATE_NO_PERMIT = "deals: no permit", _U, _U

    @property
    def event(self) -> str:
        """Its one name in the story, the log and the metrics."""
        return self.name.lower()


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

    @property
    def ends(self) -> Counter[str]:
        """How many leads end by it, by how they end."""
        found = Counter(outcome.kind.value for outcome in self.outcomes.values())
        if self.rest:
            found[self.rest.kind.value] += len(self.chunk.leads) - len(self.outcomes)
        return found
