"""What the answer to the POST means."""

from __future__ import annotations

from collections.abc import Callable

from massconvert.model import (
    Accepted,
    Again,
    Busy,
    Chunk,
    Code,
    Done,
    Job,
    Kind,
    Link,
    Linked,
    NotSent,
    Outcome,
    PerhapsAccepted,
    PostAnswer,
    Refusal,
    Refused,
    State,
    Submitted,
    Why,
)
from massconvert.model.changed import changed
from massconvert.policy.codes import Meaning, meaning, named_leads, says_mismatch
from massconvert.policy.failing import lost_again
from massconvert.policy.polling import SIZES, planned, size_of
from massconvert.policy.table import Decision, Row
from massconvert.policy.timing import Moment, Tuning
from massconvert.policy.trouble import (
    another_outage,
    answered,
    failed,
    given_up,
    held_up,
    hours,
    in_words,
    latest_sent,
    pause_order,
    paused,
    refusal,
    to_settle,
    tried,
)


def reaching(chunk: Chunk, zoho_now: float | None, tuning: Tuning) -> Chunk:
    """``chunk`` with the time at which its leads first reach Zoho: its payload leaves at ``zoho_now`` of Zoho's clock.

    It stays as it is where an earlier payload with these leads may have been taken, and where the clock is no witness:
    it is not known (``None``), or too far from ours.
    """
    if chunk.submitted or chunk.doubted or zoho_now is None:
        return chunk
    return changed(chunk, reached_at=zoho_now) if abs(zoho_now - chunk.claimed_at) <= tuning.clock_skew else chunk


def after_post(chunk: Chunk, answer: PostAnswer, moment: Moment) -> Decision:
    """Decide what Zoho's answer to the payload of ``chunk`` (state SENDING) means."""
    chunk = tried(chunk, chunk.sent_at)
    if held := held_up(chunk, answer, moment, not_allowed=Row.NOT_ALLOWED, too_many=Row.THROTTLED):
        return held
    if isinstance(answer, Accepted):
        return _accepted(chunk, answer, moment)
    if isinstance(answer, Linked):
        return _linked(chunk, answer)
    if isinstance(answer, NotSent):
        return _not_sent(chunk, answer, moment)
    if isinstance(answer, PerhapsAccepted):
        return _perhaps_accepted(chunk, Refusal(answer.code or "NO_ANSWER", answer.detail), moment)
    return _refused_link(chunk, answer, moment) if chunk.link else _refused_post(chunk, answer, moment)


def sender_lost(chunk: Chunk, moment: Moment) -> Decision:
    """Decide about a chunk found SENDING with a lapsed lease: its sender died between writing ahead and recording."""
    chunk = another_outage(tried(chunk, chunk.sent_at), moment)
    said = Refusal("NO_ANSWER", "the worker that sent the payload died before it could record the answer")
    wait = max(0.0, latest_sent(chunk) + moment.job_wait - moment.now)
    return _answer_lost(Row.SENDER_LOST, chunk, said, moment, wait)


#: The row of a call that was not made for want of a permit, by the state that asks for the call.
_NO_PERMIT = {
    State.WAITING: Row.NO_PERMIT,
    State.RUNNING: Row.STATUS_NO_PERMIT,
    State.SETTLING: Row.READ_NO_PERMIT,
    State.UPDATING: Row.UPDATE_NO_PERMIT,
}


def no_permit(chunk: Chunk, busy: Busy, moment: Moment) -> Decision:
    """Decide about a claimed chunk for which the governor had no permit: nothing was sent, nothing counts."""
    wait = moment.within_a_look(busy.in_seconds) * (1.0 + 0.2 * moment.chance)
    chunk = tried(chunk, moment.now)
    return Decision(_NO_PERMIT[chunk.state], changed(chunk, due_at=moment.now + wait), Again(wait))


def too_few_replicas(chunk: Chunk, moment: Moment) -> Decision:
    """Decide about a chunk whose mark a failover might lose: it was not sent, and goes when replicas are back."""
    wait = moment.tuning.replicas_wait * (1.0 + 0.2 * moment.chance)
    moved = changed(chunk, state=State.WAITING, due_at=moment.now + wait)
    return Decision(Row.TOO_FEW_REPLICAS, moved, Again(wait))


def options_refused_before(chunk: Chunk, refusal: Refusal) -> Decision:
    """Decide about a chunk whose options Zoho has refused since it was formed: its leads fail without a call."""
    row = Row.OPTIONS_REFUSED_BEFORE
    return Decision(row, changed(chunk, state=State.DONE), Done(), rest=failed(chunk, refusal))


def _accepted(chunk: Chunk, answer: Accepted, moment: Moment) -> Decision:
    # A few leads cost as many credits as fifty: their look comes once, as ever.
    idle = moment.idle and size_of(len(chunk.leads)) > SIZES[0]
    plan = planned(
        moment.look,
        chunk.id,
        sent_at=chunk.sent_at,
        now=moment.now,
        idle=idle,
        chance=moment.chance,
        scout_first=moment.tuning.scout_first,
    )
    moved = changed(
        answered(chunk),
        state=State.RUNNING,
        job_id=answer.job_id,
        submitted=True,
        polls=0,
        lags=0,
        why=Why.NONE,
        named=(),
        due_at=plan.due,
    )
    what_next = Submitted(Job(chunk.id, answer.job_id, plan.due - moment.now))
    look = (moment.look, plan.look) if plan.look else None
    return Decision(Row.ACCEPTED, moved, what_next, accepts_options=True, look=look)


def _linked(chunk: Chunk, answer: Linked) -> Decision:
    chunk = answered(chunk)
    made = {"contact_id": answer.contact_id, "account_id": answer.account_id, "deal_id": answer.deal_id}
    outcome = Outcome(Kind.CONVERTED, attempts=chunk.attempts, **made)
    return Decision(Row.LINKED, changed(chunk, state=State.DONE), Done(), rest=outcome)


def _refused_link(chunk: Chunk, answer: Refused, moment: Moment) -> Decision:
    """A refusal of one lead speaks against that lead alone, unless it is about everybody."""
    said, means = refusal(answer), meaning(answer)
    if says_mismatch(answer):
        chunk, link = answered(chunk), chunk.link or Link()
        to = " and ".join(f"{w} {i}" for w, i in (("contact", link.contact_id), ("account", link.account_id)) if i)
        held = Outcome(Kind.SKIPPED, Code.MATCH_FOUND, f"Zoho does not link it to {to}: {said.code} {in_words(said)}")
        done = changed(chunk, state=State.DONE)
        return Decision(Row.LINK_REFUSED, done, Done(), rest=changed(held, attempts=chunk.attempts))
    if means in (Meaning.LEADS, Meaning.OPTIONS, Meaning.UNEXPLAINED, Meaning.TOO_MANY):
        moved = changed(answered(chunk), why=Why.BAD_LEADS, said=said, named=chunk.leads)
        return to_settle(Row.BAD_LEADS, moved, moment)
    return _refused_post(chunk, answer, moment)


def _not_sent(chunk: Chunk, answer: NotSent, moment: Moment) -> Decision:
    chunk = another_outage(chunk, moment)
    if given_up(chunk, moment) and not chunk.submitted:
        words = f"not sent for {hours(moment.tuning.give_up)}: {answer.detail}"
        rest = Outcome(Kind.FAILED, Code.GAVE_UP, words, attempts=chunk.attempts)
        return Decision(Row.NOT_SENT_GIVE_UP, changed(chunk, state=State.DONE), Done(), rest=rest)
    wait = moment.next_try(chunk.outages, answer.retry_after)
    moved = changed(chunk, state=State.WAITING, due_at=moment.now + wait)
    return Decision(Row.NOT_SENT, moved, Again(wait))


def _perhaps_accepted(chunk: Chunk, said: Refusal, moment: Moment) -> Decision:
    chunk = changed(another_outage(chunk, moment), failing=lost_again(chunk))
    wait = max(moment.backoff(chunk.outages), moment.job_wait)
    return _answer_lost(Row.PERHAPS_ACCEPTED, chunk, said, moment, wait)


def _answer_lost(row: Row, chunk: Chunk, said: Refusal, moment: Moment, wait: float) -> Decision:
    moved = changed(chunk, why=Why.ANSWER_LOST, said=said, job_id="", submitted=True)
    return to_settle(row, moved, moment, wait=wait)


def _refused_post(chunk: Chunk, answer: Refused, moment: Moment) -> Decision:
    return _POST_REFUSALS[meaning(answer)](chunk, answer, refusal(answer), moment)


def _bad_leads_refused(chunk: Chunk, answer: Refused, said: Refusal, moment: Moment) -> Decision:
    named = named_leads(chunk.leads, answer.paths, answer.ids)
    moved = changed(answered(chunk), why=Why.BAD_LEADS, said=said, named=named)
    return to_settle(Row.BAD_LEADS, moved, moment)


def _unexplained(chunk: Chunk, answer: Refused, said: Refusal, moment: Moment) -> Decision:
    """Nothing says whether the leads or the options are meant: a look, then halves, tell who."""
    named = named_leads(chunk.leads, answer.paths, answer.ids)
    moved = changed(answered(chunk), why=Why.UNEXPLAINED, said=said, named=named)
    return to_settle(Row.UNEXPLAINED, moved, moment)


def _options_refused(chunk: Chunk, _answer: Refused, said: Refusal, _moment: Moment) -> Decision:
    moved = changed(answered(chunk), state=State.DONE, said=said)
    return Decision(Row.OPTIONS_REFUSED, moved, Done(), rest=failed(moved, said), refuse_options=said)


def _token_refused(chunk: Chunk, _answer: Refused, _said: Refusal, moment: Moment) -> Decision:
    chunk = another_outage(chunk, moment)
    wait = moment.backoff(chunk.outages)
    return Decision(Row.TOKEN, changed(chunk, state=State.WAITING, due_at=moment.now + wait), Again(wait))


def _too_many(chunk: Chunk, _answer: Refused, said: Refusal, moment: Moment) -> Decision:
    chunk = answered(chunk)
    if len(chunk.leads) == 1:
        moved = changed(chunk, state=State.DONE)
        return Decision(Row.TOO_MANY_LEADS, moved, Done(), rest=failed(chunk, said))
    moved = changed(chunk, state=State.WAITING, due_at=moment.now)
    lower = max(1, len(chunk.leads) // 2)
    return Decision(Row.TOO_MANY_LEADS, moved, Again(0.0), split=True, max_leads=lower)


#: What to do about each meaning of a refusal of a payload; a 429 stops every caller, see `held_up`.
_POST_REFUSALS: dict[Meaning, Callable[[Chunk, Refused, Refusal, Moment], Decision]] = {
    Meaning.LEADS: _bad_leads_refused,
    Meaning.OPTIONS: _options_refused,
    Meaning.UNEXPLAINED: _unexplained,
    Meaning.TOO_MANY: _too_many,
    Meaning.TOKEN: _token_refused,
    Meaning.UNCLEAR: lambda chunk, _answer, said, moment: _perhaps_accepted(chunk, said, moment),
    Meaning.NOT_ALLOWED: lambda chunk, answer, _said, moment: paused(
        Row.NOT_ALLOWED, chunk, pause_order(answer), moment
    ),
}
