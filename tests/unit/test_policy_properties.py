"""What every decision keeps to, whatever the chunk, the answer and the moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from massconvert.model import (
    Accepted,
    Again,
    Busy,
    Chunk,
    DealsUpdated,
    DealUpdate,
    Done,
    JobStatus,
    Kind,
    LeadsRead,
    LeadState,
    NotSent,
    PerhapsAccepted,
    Progress,
    Refusal,
    Refused,
    Resend,
    Settle,
    State,
    Submitted,
    Unsent,
    Why,
)
from massconvert.policy import (
    MEANINGS,
    STATUS_MEANINGS,
    Decision,
    Look,
    Moment,
    Row,
    after_post,
    after_read,
    after_status,
    after_update,
    no_permit,
    options_refused_before,
    sender_lost,
)
from massconvert.policy.codes import SAY_CONVERTED
from massconvert.policy.polling import LONGEST, SHORTEST
from massconvert.zoho.refusals import MAX_RETRY_AFTER
from tests.unit.policy_cases import NOW, TUNING

#: The longest that any decision may let a chunk wait, where nobody asked for more.
LONGEST_WAIT = max(TUNING.overdue_pace, TUNING.backoff_cap, TUNING.job_wait, TUNING.poll_cap)
IDS = [str(3652397000009850001 + number * 1000) for number in range(50)]

past = st.floats(0.0, 2 * TUNING.give_up).map(lambda ago: NOW - ago)
moments = st.builds(
    Moment,
    now=st.just(NOW),
    chance=st.floats(0.0, 1.0, exclude_max=True),
    tuning=st.just(TUNING),
    look=st.none() | st.builds(Look, seconds=st.floats(SHORTEST, LONGEST)),
    job_p99=st.none() | st.floats(0.0, 100.0),
)
refusals = st.builds(Refusal, code=st.sampled_from([*MEANINGS, "INVALID_DATA"]), message=st.just("no"))
retry_after = st.none() | st.floats(0.0, MAX_RETRY_AFTER)
paths = st.lists(
    st.integers(0, 60).map("$.ids[{}]".format) | st.sampled_from(["$.ids", "$.Deals.Stage", "job_id"]), max_size=4
).map(tuple)
no_answers = (
    st.builds(
        Refused,
        status=st.sampled_from([*STATUS_MEANINGS, 200, 401, 403, 404, 405, 451]),
        code=st.sampled_from([*MEANINGS, "INVALID_DATA", "REQUIRED_PARAM_MISSING", "NEW_CODE"]),
        message=st.just("no"),
        paths=paths,
        retry_after=retry_after,
    )
    | st.builds(PerhapsAccepted, detail=st.just("HTTP 500"), code=st.sampled_from(["", "INTERNAL_ERROR"]))
    | st.builds(NotSent, why=st.sampled_from(Unsent), detail=st.just("refused"), retry_after=retry_after)
)
job_statuses = st.builds(
    JobStatus,
    progress=st.sampled_from(Progress),
    total=st.integers(0, 60),
    converted=st.integers(0, 60),
    not_converted=st.integers(0, 60),
    failed=st.integers(0, 60),
)


@st.composite
def chunks(draw: st.DrawFn, state: State) -> Chunk:
    """A chunk as a claim in ``state`` may hand it out: 1 to 50 open leads, any history."""
    leads = tuple(IDS[: draw(st.integers(1, 50))])
    followed = state in (State.RUNNING, State.SETTLING)
    settled = [why for why in Why if why not in (Why.NONE, Why.ANOTHER)]
    why = draw(st.sampled_from(settled)) if state is State.SETTLING else Why.NONE
    taken = state in (State.RUNNING, State.UPDATING) or why not in (
        Why.NONE,
        Why.BAD_LEADS,
        Why.UNEXPLAINED,
        Why.PREFLIGHT,
    )
    return Chunk(
        id="7",
        fingerprint="f" * 16,
        state=state,
        leads=leads,
        token="t",
        attempts=draw(st.integers(0, 5)),
        outages=draw(st.integers(0, 2000)),
        outage_since=draw(st.just(0.0) | past),
        polls=draw(st.integers(0, 500)),
        lags=draw(st.integers(0, TUNING.read_lags)),
        most=draw(st.integers(1, 50)) if why is Why.PREFLIGHT else 0,
        submitted=why is not Why.PREFLIGHT and ((taken and why is not Why.IDS) or draw(st.booleans())),
        deal={"Deal_Name": "{Company}"} if why is Why.IDS or state is State.UPDATING else {},
        updates=tuple(DealUpdate(lead, "33", "", "", {"Deal_Name": "x"}) for lead in leads)
        if state is State.UPDATING
        else (),
        job_id="42" if followed else "",
        why=why,
        named=tuple(draw(st.lists(st.sampled_from(leads), max_size=3, unique=True))) if followed else (),
        said=draw(st.none() | refusals),
        claimed_converted=draw(st.integers(-1, len(leads))) if state is State.SETTLING else -1,
        created_at=draw(past),
        sent_at=0.0 if state is State.WAITING else draw(past),
        due_at=draw(past),
    )


def results(chunk: Chunk) -> st.SearchStrategy[DealsUpdated]:
    """A result for each deal."""
    size = len(chunk.updates)
    each = st.lists(st.none() | refusals, min_size=size, max_size=size)
    return st.builds(DealsUpdated, refused=each.map(tuple))


@st.composite
def reads(draw: st.DrawFn, chunk: Chunk) -> LeadsRead:
    """Any mix of leads that are missing, unconverted, and converted at any time."""
    seen = {}
    for lead in chunk.leads:
        what = draw(st.sampled_from(["missing", "as it was", "as it was", "converted", "converted, no time"]))
        if what != "missing":
            at = draw(past) if what == "converted" else None
            deal = draw(st.sampled_from(["", "33"]))
            fields = {"Company": draw(st.sampled_from(["", "Acme"]))}
            seen[lead] = LeadState(lead, what.startswith("converted"), converted_at=at, deal_id=deal, fields=fields)
    return LeadsRead(seen)


@st.composite
def decisions(draw: st.DrawFn) -> tuple[Chunk, Any, Decision]:
    """Any decision that the steps can ask for: the chunk, what came (None where nothing did), the decision."""
    state = draw(st.sampled_from([state for state in State if state is not State.DONE]))
    chunk, moment = draw(chunks(state)), draw(moments)
    if state is not State.SENDING and draw(st.integers(0, 9)) == 0:
        busy = Busy(draw(st.floats(0.0, MAX_RETRY_AFTER)), "full")
        return chunk, busy, no_permit(chunk, busy, moment)
    answer: Any
    if state is State.WAITING:
        answer = draw(refusals)
        return chunk, None, options_refused_before(chunk, answer)
    if state is State.SENDING:
        if draw(st.integers(0, 9)) == 0:
            return chunk, None, sender_lost(chunk, moment)
        answer = draw(no_answers | st.just(Accepted("42")))
        return chunk, answer, after_post(chunk, answer, moment)
    if state is State.RUNNING:
        answer = draw(no_answers | job_statuses)
        return chunk, answer, after_status(chunk, answer, moment)
    if state is State.UPDATING:
        answer = draw(no_answers | results(chunk))
        return chunk, answer, after_update(chunk, answer, moment)
    answer = draw(no_answers | reads(chunk) | reads(chunk))
    return chunk, answer, after_read(chunk, answer, moment)


EXAMPLES = settings(max_examples=400, deadline=None)  # a slow machine is no failure


@EXAMPLES
@given(decisions())
def test_every_decision_makes_a_move_of_the_table(taken: tuple[Chunk, Any, Decision]) -> None:
    chunk, _, decision = taken
    assert decision.row.source is chunk.state
    assert decision.chunk.state in decision.row.targets


@EXAMPLES
@given(decisions())
def test_no_decision_loses_or_invents_a_lead(taken: tuple[Chunk, Any, Decision]) -> None:
    """Outcomes, the common rest and what stays open are all leads, each once; done only when none is open."""
    chunk, _, decision = taken
    assert set(decision.outcomes) <= set(chunk.leads)
    left = [lead for lead in chunk.leads if lead not in decision.outcomes]
    if decision.chunk.state is State.DONE:
        assert decision.rest is not None or not left
    else:
        assert decision.rest is None
        assert left
    if decision.split:
        assert len(left) > 1
    same = ("id", "fingerprint", "leads", "options", "token", "created_at", "sent_at")
    assert all(getattr(decision.chunk, name) == getattr(chunk, name) for name in same)


@EXAMPLES
@given(decisions())
def test_every_wait_is_bounded_and_told_as_it_is_written(taken: tuple[Chunk, Any, Decision]) -> None:
    _, answer, decision = taken
    if decision.chunk.state is State.DONE:
        assert decision.next == Done()
        return
    wait = decision.chunk.due_at - NOW
    asked: Any = getattr(answer, "retry_after", None) or getattr(answer, "in_seconds", 0.0)
    assert 0.0 <= wait <= max(LONGEST_WAIT, 1.5 * asked + 1.0)
    told = decision.next
    if isinstance(told, Again | Settle | Resend):
        assert abs(told.in_seconds - wait) < 1e-3
    elif isinstance(told, Submitted):
        assert abs(told.job.due_in - wait) < 1e-3
    else:
        assert decision.pause is not None  # nobody comes back by itself while the organisation is paused


@EXAMPLES
@given(decisions())
def test_what_a_message_shall_do_next_fits_the_state(taken: tuple[Chunk, Any, Decision]) -> None:
    decision = taken[2]
    fitting = {
        State.WAITING: Again | Resend | Done,
        State.RUNNING: Again | Submitted | Done,
        State.SETTLING: Again | Settle | Done,
        State.UPDATING: Again | Done,
        State.DONE: Done,
    }
    assert isinstance(decision.next, fitting[decision.chunk.state])


@EXAMPLES
@given(decisions())
def test_what_may_have_been_submitted_is_never_taken_for_fresh(taken: tuple[Chunk, Any, Decision]) -> None:
    chunk, _, decision = taken
    assert decision.chunk.attempts >= chunk.attempts
    assert decision.chunk.submitted >= chunk.submitted
    if decision.chunk.state is State.RUNNING or decision.chunk.why is Why.ANSWER_LOST:
        assert decision.chunk.submitted


@EXAMPLES
@given(chunks(State.SENDING), no_answers, moments)
def test_nothing_is_sent_again_after_an_unclear_answer_without_a_look(
    chunk: Chunk, answer: Any, moment: Moment
) -> None:
    """From SENDING, only what surely was not taken goes back to waiting."""
    decision = after_post(chunk, answer, moment)
    if isinstance(answer, PerhapsAccepted):
        assert decision.chunk.state is State.SETTLING
        assert decision.chunk.due_at >= NOW + moment.job_wait
    if decision.chunk.state is State.WAITING:
        assert isinstance(answer, Refused | NotSent)


@EXAMPLES
@given(st.data())
def test_an_outcome_is_what_the_read_shows(data: st.DataObject) -> None:
    """Converted where it is converted, failed or open where it is not."""
    chunk = data.draw(chunks(State.SETTLING))
    answer = data.draw(reads(chunk))
    decision = after_read(chunk, answer, data.draw(moments))
    for lead in chunk.leads:
        outcome = decision.outcomes.get(lead, decision.rest)
        if outcome is None:
            continue
        state = answer.states.get(lead)
        shown = state is not None and state.converted
        if chunk.why is Why.IDS:  # known to be converted before it was read
            assert outcome.kind is Kind.CONVERTED
            continue
        if outcome.code == "ALREADY_CONVERTED" and not shown:  # Zoho's own word, which no read shows yet
            assert state is not None
            assert chunk.said is not None
            assert chunk.said.code in SAY_CONVERTED
            continue
        assert shown == (outcome.kind in (Kind.CONVERTED, Kind.SKIPPED))
    # Who Zoho shows as ended has an outcome, unless the whole read is thought to lag.
    if decision.row not in (Row.READ_LAGS, Row.DEALS_FOUND, Row.UNCLEAR_APART, Row.UNCLEAR_AGAIN):
        ended = {lead for lead in chunk.leads if (s := answer.states.get(lead)) is None or s.converted}
        assert ended <= set(decision.outcomes)


@EXAMPLES
@given(chunks(State.RUNNING), job_statuses, moments)
def test_counts_alone_convert_a_lead_only_when_they_are_all_of_them(
    chunk: Chunk, answer: JobStatus, moment: Moment
) -> None:
    decision = after_status(chunk, answer, moment)
    whole = answer.progress is Progress.COMPLETED and answer.converted == answer.total == len(chunk.leads)
    whole = whole and answer.failed == answer.not_converted == 0  # counts that contradict each other say nothing
    assert (decision.rest is not None) == whole
    assert decision.outcomes == {}


@EXAMPLES
@given(decisions())
def test_only_answers_about_the_leads_count_as_attempts(taken: tuple[Chunk, Any, Decision]) -> None:
    """Outages, limits, tokens, permissions and permits are not the leads' fault."""
    chunk, _, decision = taken
    counting = {Row.ACCEPTED, Row.BAD_LEADS, Row.UNEXPLAINED, Row.OPTIONS_REFUSED, Row.TOO_MANY_LEADS}
    assert decision.chunk.attempts - chunk.attempts == (1 if decision.row in counting else 0)


@EXAMPLES
@given(chunks(State.SENDING), moments)
def test_stubborn_leads_come_to_an_end(chunk: Chunk, moment: Moment) -> None:
    """A payload that Zoho refuses again and again, whose leads look unconverted, ends in bounded steps."""
    open_leads, calls = [chunk.leads], 0
    refused = Refused(400, "INVALID_DATA", "no")
    while open_leads:
        payload = replace(chunk, leads=open_leads.pop())
        for _ in range(3):  # the payload, the look, the look again
            calls += 1
            decision = (
                after_post(payload, refused, moment)
                if payload.state is State.SENDING
                else after_read(payload, LeadsRead({lead: LeadState(lead, False) for lead in payload.leads}), moment)
            )
            payload = decision.chunk
        if payload.state is State.DONE:
            continue
        left = tuple(lead for lead in payload.leads if lead not in decision.outcomes)
        half = (len(left) + 1) // 2 if decision.split else len(left)
        open_leads += [part for part in (left[:half], left[half:]) if part]
        assert calls <= 6 * len(chunk.leads)
