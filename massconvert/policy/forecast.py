"""What a batch will cost, before anything is sent: payloads, calls, credits, time. An estimate, by a simple model.

Payloads go out as fast as the slowest of three lets them: the calls that may be posts at once, all calls at once (each
payload is a post and a status call), the jobs that may be open at once. The last job's time comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from massconvert.contract import MAX_IDS_A_READ, MAX_LEADS_A_CALL

#: Seconds of a call and of a job of 50 leads, where nothing is known of them.
CALL_SECONDS = 1.0
JOB_SECONDS = 30.0
#: What a call costs. Zoho documents 1 for a plain call and 5 for Convert Lead, and nothing for mass convert.
POST_CREDITS = 5
STATUS_CREDITS = 1
READ_CREDITS = 1


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

    ``reads`` are those of a preflight, 100 leads a call.
    """

    payloads: int
    posts: int
    status_calls: int
    reads: int
    credits: int
    seconds: float


def forecast(leads: int, pace: Pace, *, ahead: int = 0, preflight: bool = False) -> Forecast:
    """What converting ``leads`` will cost, with ``ahead`` leads waiting before them; ``preflight`` reads them first."""
    reads = ceil(leads / MAX_IDS_A_READ) if preflight else 0
    payloads = ceil(leads / MAX_LEADS_A_CALL)
    between = max(
        pace.call_seconds / min(pace.posts, pace.calls),
        (2.5 if preflight else 2) * pace.call_seconds / pace.calls,
        (pace.job_seconds + pace.call_seconds) / pace.jobs,
    )
    before = ceil(ahead / MAX_LEADS_A_CALL) + max(payloads - 1, 0)
    seconds = before * between + 2 * pace.call_seconds + pace.job_seconds if payloads else 0.0
    credits_used = payloads * (POST_CREDITS + STATUS_CREDITS) + reads * READ_CREDITS
    return Forecast(payloads, payloads, payloads, reads, credits_used, seconds)
