"""What the leads' own state means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from massconvert.model import (
    Again,
    Chunk,
    Code,
    Done,
    Kind,
    LeadsRead,
    LeadState,
    NotSent,
    Outcome,
    PerhapsAccepted,
    ReadAnswer,
    Refusal,
    Refused,
    Resend,
    Settle,
    State,
    Trouble,
    Why,
)
from massconvert.policy.codes import SAY_CONVERTED, Meaning, about_ids_of_a_read, meaning
from massconvert.policy.deals import after_ids, deals_aside, ids_given_up
from massconvert.policy.failing import (
    fails_alone,
    fails_as_a_whole,
    is_its_own,
    is_tried_enough,
    may_be_tried,
    taken_apart,
)
from massconvert.policy.sight import id_refused, lead_missing, leads_unclear, unblamed
from massconvert.policy.table import Decision, Row
from massconvert.policy.timing import Moment
from massconvert.policy.trouble import (
    failed,
    given_up,
    held_up,
    hours,
    in_words,
    pause_order,
    paused,
    same_again,
    tried,
)

#: Seconds by which clocks of Zoho's servers may differ in addition, where no count of a job shows that they do not.
_UNCOUNTED = 7.0


def after_read(chunk: Chunk, answer: ReadAnswer, moment: Moment) -> Decision:
    """Decide by the leads' own state (state SETTLING): which have ended, and what becomes of the others."""
    chunk = tried(chunk, moment.now)
    if isinstance(answer, LeadsRead):
        return _shown(chunk, answer, moment)
    if held := held_up(chunk, answer, moment, not_allowed=Row.READ_NOT_ALLOWED, too_many=Row.READ_THROTTLED):
        return held
    if isinstance(answer, Refused) and about_ids_of_a_read(answer) and (fewer := _fewer_ids(chunk, answer, moment)):
        return fewer
    if isinstance(answer, Refused) and meaning(answer) not in (Meaning.TOKEN, Meaning.UNCLEAR):
        return paused(Row.READ_NOT_ALLOWED, chunk, pause_order(answer), moment)
    if chunk.why in _BOUNDED:
        chunk = chunk if chunk.outage_since else replace(chunk, outage_since=moment.now)
        if given_up(chunk, moment):
            return _BOUNDED[chunk.why](chunk, answer, moment)
    return same_again(Row.READ_RETRY, chunk, moment, answer.retry_after)


def _shown(chunk: Chunk, answer: LeadsRead, moment: Moment) -> Decision:
    """Decide by what the read shows; what it says nothing of is asked again, but where leads are known as converted."""
    if chunk.why is not Why.IDS and (unclear := tuple(filter(answer.is_unclear, chunk.leads))):
        return leads_unclear(chunk, unclear, moment)
    if chunk.why is Why.IDS:
        return after_ids(chunk, answer, moment)
    # A preflight may be of leads that were sent before they were matched again, and are converted since.
    decide = _preflown if chunk.why is Why.PREFLIGHT else _by_their_states
    return deals_aside(chunk, decide(chunk, answer, moment), moment)


def _fewer_ids(chunk: Chunk, answer: Refused, moment: Moment) -> Decision | None:
    """Decide about a read that is refused for its ids: halves; a lead whose id alone is refused is unknown to Zoho.

    ``None``: about one lead, and not for its id, or one that is known to be converted.
    """
    leads = len(chunk.leads)
    if leads > 1:
        # The least number of converted leads in each half, by what is claimed of the whole.
        claimed = max(-1, chunk.claimed_converted - (leads + 1) // 2)
        moved = replace(unblamed(chunk), claimed_converted=claimed, due_at=moment.now)
        most = leads // 2 if meaning(answer) is Meaning.TOO_MANY else None
        return Decision(Row.READ_TOO_MANY, moved, Settle(0.0), split=True, max_read=most)
    if meaning(answer) is Meaning.TOO_MANY or chunk.why is Why.IDS:
        return None
    done = replace(chunk, state=State.DONE)
    return Decision(Row.READ_TOO_MANY, done, Done(), outcomes={chunk.leads[0]: id_refused(chunk, answer)})


def _preflown(chunk: Chunk, answer: LeadsRead, moment: Moment) -> Decision:
    """Decide about leads that were read before any payload: those that cannot be converted end at no further call."""
    ended = barred(chunk, answer, moment)
    left = len(chunk.leads) - len(ended)
    if not left:
        return Decision(Row.SETTLED, replace(chunk, state=State.DONE), Done(), outcomes=ended)
    chunk = replace(chunk, outages=0, outage_since=0.0)
    return replace(_out_again(Row.PREFLIGHT_PASSED, chunk, ended, moment), split=left > chunk.most)


def barred(chunk: Chunk, answer: LeadsRead, moment: Moment) -> dict[str, Outcome]:
    """How those of the leads end that cannot be converted, as a read shows that says something of them."""
    ended: dict[str, Outcome] = {}
    for lead in filter(lambda lead: not answer.is_unclear(lead), chunk.leads):
        state = answer.states.get(lead)
        outcome = _by_its_state(chunk, state, moment)
        if outcome is None and state is not None and state.locked:
            words = "Zoho has locked this lead for the user (an approval, or a process that is under way)"
            outcome = Outcome(Kind.FAILED, Code.LOCKED, words)
        if outcome is not None:
            ended[lead] = outcome
    return ended


def _never_sent(chunk: Chunk, answer: Trouble, moment: Moment) -> Decision:
    detail = answer.detail if isinstance(answer, NotSent | PerhapsAccepted) else answer.message
    words = f"not sent for {hours(moment.tuning.give_up)}, since the lead could not be read before: {detail}"
    rest = Outcome(Kind.FAILED, Code.GAVE_UP, words)
    return Decision(Row.PREFLIGHT_GIVE_UP, replace(chunk, state=State.DONE), Done(), rest=rest)


#: Reads that a day without an answer ends, since what became of the leads is known: they were never sent, or converted.
_BOUNDED: dict[Why, Callable[[Chunk, Trouble, Moment], Decision]] = {
    Why.PREFLIGHT: _never_sent,
    Why.IDS: ids_given_up,
}


def _by_their_states(chunk: Chunk, answer: LeadsRead, moment: Moment) -> Decision:
    ended, converted = _ended(chunk, answer, moment)
    if converted < chunk.claimed_converted:
        if chunk.lags < moment.tuning.read_lags:
            return _look_again(Row.READ_LAGS, chunk, {}, moment)
        # Zoho's counts are of this job; its clock may be wrong.
        ended, converted = _ended(replace(chunk, reached_at=0.0), answer, moment)
    left = tuple(lead for lead in chunk.leads if lead not in ended)
    if not left:
        return Decision(Row.SETTLED, replace(chunk, state=State.DONE), Done(), outcomes=ended)
    if chunk.why in (Why.BAD_LEADS, Why.UNEXPLAINED):
        return _bad_leads(chunk, ended, left, moment)
    return _left_over(chunk, ended, len(left), moment, some_converted=converted > 0)


def _ended(chunk: Chunk, answer: LeadsRead, moment: Moment) -> tuple[dict[str, Outcome], int]:
    """How those of the leads end of which the read shows it, and how many of them we have converted."""
    fates = {lead: _by_its_state(chunk, answer.states.get(lead), moment) for lead in chunk.leads}
    ended = {lead: outcome for lead, outcome in fates.items() if outcome is not None}
    return ended, sum(outcome.kind is Kind.CONVERTED for outcome in ended.values())


def _left_over(chunk: Chunk, ended: dict[str, Outcome], left: int, moment: Moment, *, some_converted: bool) -> Decision:
    """Decide about leads that Zoho shows unconverted after a job that was lost, failed, or has not ended."""
    if chunk.why is Why.OVERDUE:
        return _watched(Row.OVERDUE_WATCHED, chunk, ended, moment, State.RUNNING)
    if chunk.why is Why.ANSWER_LOST and some_converted and chunk.lags < moment.tuning.read_lags:
        return _look_again(Row.STILL_CONVERTING, chunk, ended, moment)
    apart = not ended and left > 1 and fails_as_a_whole(chunk)
    if apart and is_its_own(chunk):  # no outage: what follows has a day of its own
        return _taken_apart(replace(chunk, outages=0, outage_since=0.0), moment, on_trial=False)
    if end := _end_of_tries(chunk, ended, left, moment, may_split=apart):
        return end
    if some_converted and chunk.why is Why.COUNTS_DIFFER:
        chunk = replace(chunk, failing=replace(chunk.failing, sorted_out=True))
    # Leads that may have been sent before a break of Redis' history are read two payloads at a time.
    return replace(_out_again(Row.UNCONVERTED_AGAIN, chunk, ended, moment), split=0 < chunk.most < left)


def _taken_apart(chunk: Chunk, moment: Moment, *, on_trial: bool) -> Decision:
    parts = replace(chunk, failing=taken_apart(chunk, moment))
    return replace(_out_again(Row.FAILS_HALVED, parts, {}, moment), split=True, on_trial=on_trial)


def _end_of_tries(
    chunk: Chunk, ended: dict[str, Outcome], left: int, moment: Moment, *, may_split: bool
) -> Decision | None:
    """What ends leads that nothing converts: a day without an answer, or tries enough; and the last try before that."""
    lost = chunk.why is Why.ANSWER_LOST
    if lost and given_up(chunk, moment):
        return _give_up(chunk, ended, moment)
    if may_split and may_be_tried(chunk, moment):
        return _taken_apart(chunk, moment, on_trial=True)
    if lost:
        return _fails_alone(chunk, ended) if fails_alone(chunk, left, moment) else None
    if not is_tried_enough(chunk, left, moment):
        return None
    if moment.now - chunk.failing.unknown_at <= moment.tuning.job_deadline:
        return _watched(Row.UNKNOWN_WATCHED, replace(chunk, why=Why.WATCHED), ended, moment, State.SETTLING)
    rest = failed(chunk, chunk.said or Refusal(Code.NOT_CONVERTED, ""), code=Code.NOT_CONVERTED)
    return Decision(Row.OUT_OF_ATTEMPTS, replace(chunk, state=State.DONE), Done(), outcomes=ended, rest=rest)


def _watched(row: Row, chunk: Chunk, ended: dict[str, Outcome], moment: Moment, state: State) -> Decision:
    """A job that has no end, or that Zoho does not know, may convert these leads yet: nobody fails."""
    pace = moment.tuning.overdue_pace
    moved = replace(chunk, state=state, due_at=moment.now + pace)
    return Decision(row, moved, Settle(pace) if state is State.SETTLING else Again(pace), outcomes=ended)


def _fails_alone(chunk: Chunk, ended: dict[str, Outcome]) -> Decision:
    said = chunk.said or Refusal("NO_ANSWER", "")
    tries = chunk.failing.lost
    words = f"{said.message} (so for {tries} payloads with this lead alone, and Zoho shows it unconverted)"
    rest = failed(replace(chunk, job_id=""), Refusal(said.code, words.strip()))
    return Decision(Row.FAILS_ALONE, replace(chunk, state=State.DONE), Done(), outcomes=ended, rest=rest)


def _by_its_state(chunk: Chunk, state: LeadState | None, moment: Moment) -> Outcome | None:
    if state is None:
        return lead_missing(chunk)
    if not state.converted:
        return None
    made = {"contact_id": state.contact_id, "account_id": state.account_id, "deal_id": state.deal_id}
    before = state.converted_at is not None and state.converted_at < _ours_from(chunk, state.lead_id, moment)
    if before or not chunk.submitted:
        words = "the lead had been converted before"
        return Outcome(Kind.SKIPPED, Code.ALREADY_CONVERTED, words, attempts=chunk.attempts, **made)
    return Outcome(Kind.CONVERTED, job_id=chunk.job_id, attempts=max(1, chunk.attempts), **made)


def _ours_from(chunk: Chunk, lead: str, moment: Moment) -> float:
    """Before this moment of Zoho's clock, nobody can have converted the lead for us."""
    if chunk.reached_at:
        return chunk.reached_at - (_UNCOUNTED if chunk.claimed_converted < 0 else 0.0)
    return max(chunk.created_at, chunk.since.get(lead, 0.0)) - moment.tuning.clock_skew  # two clocks are compared


def _bad_leads(chunk: Chunk, ended: dict[str, Outcome], left: tuple[str, ...], moment: Moment) -> Decision:
    # The read explains the refusal: the good ones go out again in one payload. So do parts of one refused as a whole.
    if ended or (chunk.said is None and not chunk.named):
        return _out_again(Row.BAD_LEADS_OUT, chunk, ended, moment)
    several = chunk.why is Why.UNEXPLAINED and not chunk.named and len(left) > 1
    if chunk.lags == 0 and not several:  # the refusal may know of a conversion that the reads do not show yet
        return _look_again(Row.READ_LAGS, chunk, {}, moment, wait=moment.tuning.read_lag)
    said = chunk.said or Refusal("INVALID_DATA", "")
    named = chunk.named if chunk.named else (left if len(left) == 1 else ())
    if named:
        fate = _said_of(chunk, said)
        fates = {lead: fate for lead in left if lead in named}
        if len(fates) == len(left):
            done = replace(chunk, state=State.DONE)
            return Decision(Row.NAMED_OUT, done, Done(), outcomes=fates, blames_options=_blamed(chunk, said))
        return _out_again(Row.NAMED_OUT, chunk, fates, moment)
    return replace(_out_again(Row.HALVED, chunk, {}, moment), split=True)


def _blamed(chunk: Chunk, said: Refusal) -> Refusal | None:
    """Whether a lead that is refused alone, for no reason that it names, speaks against its options."""
    alone = chunk.why is Why.UNEXPLAINED and len(chunk.leads) == 1 and not chunk.named
    return said if alone and not chunk.options_accepted else None


def _said_of(chunk: Chunk, said: Refusal) -> Outcome:
    """How a lead ends that Zoho has named, and of which a read explains nothing."""
    if said.code.upper() not in SAY_CONVERTED:
        return failed(chunk, said)
    # Zoho's own word, which its reads do not show yet. Who converted it is told as from a read.
    if chunk.submitted:
        return Outcome(Kind.CONVERTED, attempts=chunk.attempts, job_id=chunk.job_id)
    return Outcome(Kind.SKIPPED, Code.ALREADY_CONVERTED, in_words(said), attempts=chunk.attempts)


def _look_again(
    row: Row, chunk: Chunk, ended: dict[str, Outcome], moment: Moment, wait: float | None = None
) -> Decision:
    wait = max(moment.tuning.backoff_base, moment.next_look(chunk.lags + 1)) if wait is None else wait
    moved = replace(chunk, lags=chunk.lags + 1, due_at=moment.now + wait)
    return Decision(row, moved, Settle(wait), outcomes=ended)


def _out_again(row: Row, chunk: Chunk, ended: dict[str, Outcome], moment: Moment) -> Decision:
    moved = replace(chunk, state=State.WAITING, why=Why.NONE, named=(), claimed_converted=-1, lags=0, due_at=moment.now)
    return Decision(row, replace(moved, matched_at=0.0), Resend(0.0), outcomes=ended)


def _give_up(chunk: Chunk, ended: dict[str, Outcome], moment: Moment) -> Decision:
    last = f" (last: {chunk.said.code} {chunk.said.message})" if chunk.said else ""
    words = f"no usable answer for {hours(moment.tuning.give_up)}, and Zoho shows the lead unconverted{last}"
    rest = Outcome(Kind.FAILED, Code.GAVE_UP, words, attempts=chunk.attempts)
    return Decision(Row.READ_GIVE_UP, replace(chunk, state=State.DONE), Done(), outcomes=ended, rest=rest)
