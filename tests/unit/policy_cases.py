"""A row of the decision table as a value: what the ledger knew, what Zoho said, and the whole decision that must come.

Nothing here knows a clock, Redis or a socket: the moment is a value too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from massconvert.model import (
    Chunk,
    PageAnswer,
    PostAnswer,
    ReadAnswer,
    Refusal,
    Refused,
    State,
    StatusAnswer,
    UpdateAnswer,
    Why,
)
from massconvert.policy import Decision, Look, Moment, Tuning
from massconvert.policy.codes import hint_of
from tests.unit import zoho_says as zoho
from tests.unit.zoho_says import JOB

TUNING = Tuning()
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
MOMENT = Moment(now=NOW, chance=0.5, tuning=TUNING)
#: Jobs have tended to be done after 8 s, and after 20 s at most.
LEARNT = replace(MOMENT, look=Look(8.0), job_p99=20.0)
DAY = TUNING.give_up

A, B, C, D = LEADS = ("3652397000009850001", "3652397000009851001", "3652397000009852001", "3652397000009853001")
#: What to do where the user may not convert leads.
MAY_NOT_CONVERT = hint_of(Refused(403, "NO_PERMISSION", "", details=zoho.NO_PERMISSION.body["details"]))

WAITING = Chunk("7", "f" * 16, State.WAITING, LEADS, token="t", created_at=NOW - 100, due_at=NOW - 10)
#: Written ahead ten seconds ago, for the first time.
SENDING = replace(WAITING, state=State.SENDING, sent_at=NOW - 10)
#: Accepted ten seconds ago.
RUNNING = replace(SENDING, state=State.RUNNING, job_id=JOB, attempts=1, submitted=True)
#: Its job has ended with other counts; the read is due now.
COUNTED = replace(
    RUNNING,
    state=State.SETTLING,
    due_at=NOW,
    why=Why.COUNTS_DIFFER,
    said=Refusal("NOT_CONVERTED", f"job {JOB} completed with 2 of 4 converted, 2 failed"),
)
#: The answer to its only POST was lost.
LOST = replace(
    SENDING,
    state=State.SETTLING,
    due_at=NOW,
    why=Why.ANSWER_LOST,
    submitted=True,
    outages=1,
    outage_since=NOW - 60,
    said=Refusal("INTERNAL_ERROR", "HTTP 500: Internal Server Error"),
)
#: Zoho refused its payload for one of its ids.
REFUSED = replace(
    SENDING,
    state=State.SETTLING,
    due_at=NOW,
    why=Why.BAD_LEADS,
    attempts=1,
    named=(C,),
    said=Refusal("INVALID_DATA", "the id given seems to be invalid", "$.ids[2]"),
)

#: Formed for a preflight, with room for two leads a payload; nothing was sent.
UNSENT = replace(WAITING, state=State.SETTLING, due_at=NOW, why=Why.PREFLIGHT, most=2)

Decide = Callable[[], Decision]


@dataclass(frozen=True)
class Case:
    """``why`` is the comment of the row; ``decide`` the decision as it is taken, ``decision`` as it must be."""

    why: str
    chunk: Chunk
    answer: PostAnswer | StatusAnswer | ReadAnswer | PageAnswer | UpdateAnswer | None
    decide: Decide
    decision: Decision

    def __str__(self) -> str:
        return f"{self.decision.row.name}: {self.why}"
