"""What a batch will cost, before anything is sent: payloads, calls, credits, time. An estimate, by a simple model.

Payloads go out as fast as the slowest of three lets them: the calls that may be posts at once, all calls at once (each
payload is a post and a status call), the jobs that may be open at once. The last job's time comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from massconvert.contract import MAX_IDS_A_READ, MAX_LEADS_A_CALL
from massconvert.model import Observed

#: Seconds of a call and of a job of 50 leads, where nothing is known of them.
CALL_SECONDS = 1.0
JOB_SECONDS = 30.0
#: What a call costs. Zoho documents 1 for a plain call and 5 for Convert Lead, and nothing for mass convert.
POST_CREDITS = 5
STATUS_CREDITS = 1
READ_CREDITS = 1
#: For contacts and for accounts; each costs as much as a read, up to 200 rows.
QUERIES_A_MATCH = 2
#: Deals that an update changes for one credit.
DEALS_A_CREDIT = 10


@dataclass(frozen=True)
class Costs:
    """Credits of a mass convert call, of a status call and of a read; those that a rehearsal has seen, if any.

    ``seen_at`` is when (Unix seconds), ``None`` for what is assumed.
    """

    post: float = POST_CREDITS
    status: float = STATUS_CREDITS
    read: float = READ_CREDITS
    seen_at: float | None = None

    @classmethod
    def of(cls, seen: Observed | None) -> Costs:
        """With what was seen of each."""
        if seen is None or (seen.post_credits, seen.status_credits, seen.read_credits) == (None, None, None):
            return cls()
        return cls(
            POST_CREDITS if seen.post_credits is None else seen.post_credits,
            STATUS_CREDITS if seen.status_credits is None else seen.status_credits,
            READ_CREDITS if seen.read_credits is None else seen.read_credits,
            seen_at=seen.at,
        )


@dataclass(frozen=True)
class Pace:
    """What the time depends on: calls and posts at once, open jobs at once, and how long a call and a job take."""

    calls: int
    posts: int
    jobs: int
    call_seconds: float = CALL_SECONDS
    job_seconds: float = JOB_SECONDS


@dataclass(frozen=True)
class Forecast:
    """An estimate: a status call a payload, none refused, no answer lost. ``seconds`` are until the last job's end.

    ``reads`` are those of a preflight, 100 leads a call, one before each of the ``updates``, and one a payload where
    contacts and accounts are looked for, which also takes two ``queries``. Leads that are linked are not counted.
    """

    payloads: int
    posts: int
    status_calls: int
    reads: int
    updates: int
    queries: int
    credits: int
    seconds: float


@dataclass(frozen=True)
class Deals:
    """How many deals get values of their own after the conversion, and how many payloads those are in."""

    number: int = 0
    payloads: int = 0


def forecast(
    leads: int,
    pace: Pace,
    *,
    ahead: int = 0,
    preflight: bool = False,
    matched: bool = False,
    deals: Deals | None = None,
    costs: Costs | None = None,
) -> Forecast:
    """What converting ``leads`` will cost, with ``ahead`` leads waiting before them.

    ``preflight`` reads them first; ``matched``: contacts and accounts are looked for first.
    """
    deals, costs = deals or Deals(), costs or Costs()
    updates = deals.payloads
    payloads = ceil(leads / MAX_LEADS_A_CALL)
    queries = QUERIES_A_MATCH * payloads if matched else 0
    reads = updates + (payloads if matched else ceil(leads / MAX_IDS_A_READ) if preflight else 0)
    if not payloads:
        return Forecast(0, 0, 0, 0, 0, 0, 0, 0.0)
    between = max(
        (1 + (updates + queries) / payloads)
        * pace.call_seconds
        / min(pace.posts, pace.calls),  # updates and queries are heavy calls too
        (2 + (reads + updates + queries) / payloads) * pace.call_seconds / pace.calls,
        (pace.job_seconds + pace.call_seconds) / pace.jobs,
    )
    before = ceil(ahead / MAX_LEADS_A_CALL) + payloads - 1
    seconds = before * between + (4 if updates else 2) * pace.call_seconds + pace.job_seconds
    credits_used = (
        payloads * (costs.post + costs.status) + (reads + queries) * costs.read + ceil(deals.number / DEALS_A_CREDIT)
    )
    return Forecast(payloads, payloads, payloads, reads, updates, queries, ceil(credits_used), seconds)
