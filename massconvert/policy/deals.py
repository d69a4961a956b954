"""Deals with values of their own: Zoho gives all deals of a payload the same, so the others come after the conversion.

What is decided here is about leads that Zoho *has* converted; none of it can end a lead as anything else. Converted
leads whose deals want values leave their chunk for one of their own: it finds the deals (one read), then writes them
(one Update Records call), and only then do the leads have their outcome.

The write sets values and does not add any: made twice, it is made once. So after a lost answer it is simply made again,
without a look.

Deals that were not updated are tried again in a batch of their own, whose chunks begin with that read. No row here
leads to WAITING, so none of its leads can be sent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from massconvert.model import (
    Again,
    Chunk,
    Code,
    DealsUpdated,
    DealUpdate,
    Done,
    Kind,
    LeadsRead,
    LeadState,
    NotSent,
    Outcome,
    PerhapsAccepted,
    Refused,
    Settle,
    State,
    Trouble,
    UpdateAnswer,
    Why,
)
from massconvert.model.template import filled
from massconvert.policy.codes import Meaning, meaning
from massconvert.policy.table import Decision, Row
from massconvert.policy.timing import Moment
from massconvert.policy.trouble import another_outage, given_up, held_up, hours, in_words, refusal, tried


def deals_aside(chunk: Chunk, decision: Decision, moment: Moment) -> Decision:
    """``decision`` about ``chunk``, but that leads which it ends as converted go on in a chunk of their own.

    Every decision that may convert a lead passes here, so that there is no way around it.
    """
    if chunk.link or not (chunk.deal or chunk.deal_values):  # a linked lead is converted with all that is its own
        return decision
    whole = decision.rest is not None and decision.rest.kind is Kind.CONVERTED
    outcomes = decision.outcomes
    converted = (lead for lead in chunk.leads if (outcomes[lead].kind is Kind.CONVERTED if lead in outcomes else whole))
    held = tuple(lead for lead in converted if chunk.deal or lead in chunk.deal_values)
    if not held:
        return decision
    aside = replace(
        chunk,
        state=State.SETTLING,
        why=Why.IDS,
        leads=held,
        attempts=max(1, chunk.attempts),
        outages=0,
        outage_since=0.0,
        polls=0,
        lags=0,
        submitted=True,
        named=(),
        said=None,
        claimed_converted=-1,
        due_at=moment.now,
    )
    left = {lead: outcome for lead, outcome in outcomes.items() if lead not in held}
    others = len(held) + len(left) < len(chunk.leads)
    rest = decision.rest if others or not whole else None
    return replace(decision, outcomes=left, rest=rest, asides=(*decision.asides, aside))


def after_ids(chunk: Chunk, answer: LeadsRead, moment: Moment) -> Decision:
    """Decide what the deals of converted leads (SETTLING, Why.IDS) get, by the leads' own fields."""
    updates, ended, unseen = [], {}, []
    for lead in chunk.leads:
        state = answer.states.get(lead)
        if state is None or not state.deal_id:
            unseen.append(lead)
            continue
        values: dict[str, Any] = {name: text for name, of in chunk.deal.items() if (text := filled(of, state.fields))}
        values |= chunk.deal_values.get(lead, {})
        update = DealUpdate(lead, state.deal_id, state.contact_id, state.account_id, values)
        if values:
            updates.append(update)
        else:  # nothing to fill in: the deal keeps what the payload gave it
            ended[lead] = _converted(chunk, update)
    if unseen and chunk.lags < moment.tuning.read_lags:
        wait = max(moment.tuning.backoff_base, moment.next_look(chunk.lags + 1))
        return Decision(Row.READ_LAGS, replace(chunk, lags=chunk.lags + 1, due_at=moment.now + wait), Settle(wait))
    for lead in unseen:
        ended[lead] = _not_updated(chunk, _bare(answer.states.get(lead), lead), "Zoho shows no deal of this lead")
    if not updates:
        return Decision(Row.SETTLED, replace(chunk, state=State.DONE), Done(), outcomes=ended)
    moved = replace(
        chunk,
        state=State.UPDATING,
        updates=tuple(updates),
        submitted=True,  # for a retry of deals, by the batch before
        outages=0,
        outage_since=0.0,
        lags=0,
        due_at=moment.now,
    )
    return Decision(Row.DEALS_FOUND, moved, Again(0.0), outcomes=ended)


def ids_given_up(chunk: Chunk, answer: Trouble, moment: Moment) -> Decision:
    """Decide about converted leads that could not be read for a day: they are converted all the same."""
    words = f"no usable answer for {hours(moment.tuning.give_up)} when the lead was to be read: {_detail(answer)}"
    outcomes = {lead: _not_updated(chunk, _bare(None, lead), words) for lead in chunk.leads}
    return Decision(Row.DEALS_UNREAD, replace(chunk, state=State.DONE), Done(), outcomes=outcomes)


def after_update(chunk: Chunk, answer: UpdateAnswer, moment: Moment) -> Decision:
    """Decide what Zoho's answer to the update of the deals of ``chunk`` (UPDATING) means."""
    chunk = tried(chunk, moment.now)
    if isinstance(answer, DealsUpdated):
        outcomes = {
            update.lead_id: _converted(chunk, update)
            if refused is None
            else _not_updated(chunk, update, f"{refused.code}: {in_words(refused)}")
            for update, refused in zip(chunk.updates, answer.refused, strict=True)
        }
        return Decision(Row.DEALS_UPDATED, replace(chunk, state=State.DONE), Done(), outcomes=outcomes)
    if held := held_up(chunk, answer, moment, not_allowed=Row.UPDATE_NOT_ALLOWED, too_many=Row.UPDATE_THROTTLED):
        return held
    if isinstance(answer, Refused) and meaning(answer) not in (Meaning.TOKEN, Meaning.UNCLEAR):
        # A missing scope or permission to edit deals stands in nobody's way but that of these deals.
        return _none_updated(Row.UPDATE_REFUSED, chunk, f"{answer.code}: {in_words(refusal(answer))}")
    chunk = another_outage(chunk, moment)
    if given_up(chunk, moment):
        words = f"no usable answer for {hours(moment.tuning.give_up)}: {_detail(answer)}"
        return _none_updated(Row.UPDATE_GIVE_UP, chunk, words)
    wait = moment.next_try(chunk.outages, answer.retry_after)
    return Decision(Row.UPDATE_RETRY, replace(chunk, due_at=moment.now + wait), Again(wait))


def _none_updated(row: Row, chunk: Chunk, words: str) -> Decision:
    outcomes = {update.lead_id: _not_updated(chunk, update, words) for update in chunk.updates}
    return Decision(row, replace(chunk, state=State.DONE), Done(), outcomes=outcomes)


def _converted(chunk: Chunk, made: DealUpdate) -> Outcome:
    ids = {"contact_id": made.contact_id, "account_id": made.account_id, "deal_id": made.deal_id}
    return Outcome(Kind.CONVERTED, job_id=chunk.job_id, attempts=chunk.attempts, **ids)


def _not_updated(chunk: Chunk, made: DealUpdate, words: str) -> Outcome:
    return replace(_converted(chunk, made), code=Code.DEAL_NOT_UPDATED, message=words)


def _bare(state: LeadState | None, lead: str) -> DealUpdate:
    """What is known of a lead whose deal is not."""
    return DealUpdate(lead, "", state.contact_id if state else "", state.account_id if state else "", {})


def _detail(answer: Trouble) -> str:
    return answer.detail if isinstance(answer, NotSent | PerhapsAccepted) else f"{answer.code} {answer.message}"
