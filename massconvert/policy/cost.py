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
#: Of Zoho's call for a single lead, which links (its page on Convert Lead).
LINK_CREDITS = 5
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

    ``reads`` are those of a preflight, 100 leads a call, one before each of the ``updates``, and those of `Matches`,
    as ``queries`` and ``links`` are.
    """

    payloads: int
    posts: int
    status_calls: int
    reads: int
    updates: int
    queries: int
    links: int
    credits: int
    seconds: float

    @property
    def by_kind(self) -> dict[str, int]:
        """The calls of each kind, by the names that ``--json`` has."""
        return {
            "post": self.posts,
            "status": self.status_calls,
            "read": self.reads,
            "update": self.updates,
            "query": self.queries,
            "convert": self.links,
        }

    @property
    def calls(self) -> int:
        """All calls."""
        return sum(self.by_kind.values())


@dataclass(frozen=True)
class Matches:
    """What looking for contacts and accounts takes, the leads that are linked (a call each), and others' payloads."""

    reads: int
    queries: int
    links: int
    payloads: int

    @classmethod
    def unseen(cls, leads: int, named: int = 0, *, looked_for: bool = True) -> Matches:
        """Where nobody has looked: none is linked but those for which it is ``named`` to what.

        ``looked_for``: contacts and accounts of the others are.
        """
        payloads = ceil(leads / MAX_LEADS_A_CALL)
        reads = payloads if looked_for else min(named, payloads)
        queries = QUERIES_A_MATCH * payloads if looked_for else 0
        return cls(reads, queries, named, ceil((leads - named) / MAX_LEADS_A_CALL))


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
    matches: Matches | None = None,
    deals: Deals | None = None,
    costs: Costs | None = None,
) -> Forecast:
    """What converting ``leads`` will cost, with ``ahead`` leads waiting before them.

    ``preflight`` reads them first; ``matches``: contacts and accounts are looked for first.
    """
    deals, costs = deals or Deals(), costs or Costs()
    updates = deals.payloads
    payloads = matches.payloads if matches else ceil(leads / MAX_LEADS_A_CALL)
    queries, links = (matches.queries, matches.links) if matches else (0, 0)
    reads = updates + (matches.reads if matches else ceil(leads / MAX_IDS_A_READ) if preflight else 0)
    parts = payloads or links
    if not parts:
        return Forecast(0, 0, 0, reads, 0, queries, 0, ceil((reads + queries) * costs.read), 0.0)
    heavy = payloads + links + updates + queries  # updates and queries are heavy calls too
    between = max(
        heavy / parts * pace.call_seconds / min(pace.posts, pace.calls),
        (heavy + payloads + reads) / parts * pace.call_seconds / pace.calls,
        (pace.job_seconds + pace.call_seconds) / pace.jobs if payloads else 0.0,
    )
    before = ceil(ahead / MAX_LEADS_A_CALL) + parts - 1
    last = 2 * pace.call_seconds + pace.job_seconds if payloads else pace.call_seconds
    seconds = before * between + last + (2 * pace.call_seconds if updates else 0.0)
    credits_used = payloads * (costs.post + costs.status) + (reads + queries) * costs.read
    credits_used += LINK_CREDITS * links + ceil(deals.number / DEALS_A_CREDIT)
    return Forecast(payloads, payloads, payloads, reads, updates, queries, links, ceil(credits_used), seconds)
