"""Leads that a read does not show, or of which it does not say whether they are converted.

Two things must not be taken for each other. A lead that was never sent and that no read shows is *not found*. One that
was sent may be converted, and somebody has lost sight of it since: with ``assign_to`` it belongs to another user, and
sharing rules may hide it from ours. Nobody can know, so its code says so, and a retry looks before it sends.
"""

from __future__ import annotations

from dataclasses import replace

from massconvert.model import Chunk, Code, Done, Kind, Outcome, Refused, Settle, State, Why
from massconvert.policy.table import Decision, Row
from massconvert.policy.timing import Moment
from massconvert.policy.trouble import failed, refusal


def lead_missing(chunk: Chunk) -> Outcome:
    """How a lead ends that no read shows."""
    if not (chunk.submitted or chunk.doubted):
        words = "Zoho does not return this lead: deleted, in the recycle bin, or not visible to this user"
        return Outcome(Kind.FAILED, Code.NOT_FOUND, words, attempts=chunk.attempts)
    last = f" (last: {chunk.said.message})" if chunk.said else ""
    words = (
        "the lead was sent, and Zoho does not show it to this user any more, so it may be converted: look for it in"
        f" Zoho as a user who may see all leads{last}"
    )
    return Outcome(Kind.FAILED, Code.NOT_VISIBLE, words, attempts=chunk.attempts, job_id=chunk.job_id)


def id_refused(chunk: Chunk, answer: Refused) -> Outcome:
    """How a lead ends whose id alone makes a read fail."""
    if chunk.submitted or chunk.doubted:
        return lead_missing(replace(chunk, said=refusal(answer)))
    return failed(chunk, refusal(answer))


def unblamed(chunk: Chunk) -> Chunk:
    """``chunk`` before its leads are read apart: a refusal that names none of several is about no part of them."""
    refused = chunk.why in (Why.BAD_LEADS, Why.UNEXPLAINED) and not chunk.named
    return replace(chunk, said=None) if refused and len(chunk.leads) > 1 else chunk


def leads_unclear(chunk: Chunk, unclear: tuple[str, ...], moment: Moment) -> Decision:
    """Decide about a read that says nothing of some leads: the others go on; those are asked again, in the end alone.

    None is sent that has not been seen unconverted. After some looks it ends, and its code says that nobody knows.
    """
    chunk = unblamed(chunk)
    if len(unclear) < len(chunk.leads):
        wait = moment.backoff(1)
        aside = replace(chunk, leads=unclear, lags=0, claimed_converted=-1, due_at=moment.now + wait)
        # The least number of converted leads among the others, by what is claimed of the whole.
        claimed = max(-1, chunk.claimed_converted - len(unclear))
        moved = replace(chunk, claimed_converted=claimed, due_at=moment.now)
        return Decision(Row.UNCLEAR_APART, moved, Settle(0.0), asides=(aside,))
    if chunk.lags < moment.tuning.unclear_looks:
        wait = moment.backoff(chunk.lags + 1)
        moved = replace(chunk, lags=chunk.lags + 1, claimed_converted=-1, due_at=moment.now + wait)
        return Decision(Row.UNCLEAR_AGAIN, moved, Settle(wait), split=len(unclear) > 1)
    sent = (
        "it was sent, so it may be converted" if chunk.submitted or chunk.doubted else "no payload with it was accepted"
    )
    words = f"Zoho does not say whether this lead is converted (Converted__s is empty); {sent}: look at it in Zoho"
    fate = Outcome(Kind.FAILED, Code.STATE_UNKNOWN, words, attempts=chunk.attempts, job_id=chunk.job_id)
    done = replace(chunk, state=State.DONE)
    return Decision(Row.UNCLEAR, done, Done(), outcomes=dict.fromkeys(unclear, fate))
