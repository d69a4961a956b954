"""Bugs of decisions: what an answer, or a read, is taken to mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from massconvert.ledger import codec
from massconvert.model import (
    Again,
    Chunk,
    DealUpdate,
    Done,
    JobStatus,
    Kind,
    LeadsRead,
    LeadState,
    Outcome,
    Progress,
    ReadAnswer,
    Refusal,
    Settle,
    State,
    load_brought,
)
from massconvert.policy import Decision, Meaning, Moment, Row, deals, matching, polling, post, read, status
from massconvert.policy.table import PauseOrder
from massconvert.policy.trouble import failed
from massconvert.steps import follow, match, send
from tests.simulation.crm import Crm
from tests.simulation.plan import Plan, Window
from tests.simulation.seeding import (
    Mutant,
    both,
    converted_just_before,
    converted_just_before_it_was_lost,
    in_python,
)
from tests.simulation.troubles import with_faults


def _converted_by_hand(plan: Plan) -> Plan:
    """People convert each lead while its payload is on its way, and reads show that late."""
    first = plan.orders[0].at
    leads = tuple(replace(lead, kind="by hand", at=first + 0.03 * n) for n, lead in enumerate(plan.leads))
    return with_faults(replace(plan, leads=leads), read_lag=0.9)


def _calls_are_denied(plan: Plan) -> Plan:
    """Zoho permits no payload and no look for a while."""
    calls = ("mass_convert", "job_status", "read_leads")
    return with_faults(plan, windows=(Window(0.0, 100.0, calls, "no permission"),))


def _jobs_are_unknown(plan: Plan) -> Plan:
    """Zoho knows none of its jobs, and reads show late what they did."""
    leads = tuple(replace(lead, kind="fine") for lead in plan.leads)
    return with_faults(replace(plan, leads=leads), bad_job=1.0, denied=True, read_lag=0.9)


def _posts_fail_for_long(plan: Plan) -> Plan:
    """No payload gets a usable answer, and each is one lead."""
    window = Window(0.0, 1.6 * plan.tuning.give_up, ("mass_convert",), "before")
    return with_faults(replace(plan, tuning=replace(plan.tuning, max_leads=1)), windows=(window,))


def _retry_before_look(chunk: Chunk, said: Refusal, moment: Moment) -> Decision:
    moved = replace(chunk, state=State.WAITING, submitted=True, said=said, due_at=moment.now + 1.0)
    return Decision(Row.PERHAPS_ACCEPTED, moved, Again(1.0))


def _look_at_once(chunk: Chunk, said: Refusal, moment: Moment) -> Decision:
    decision = _perhaps(chunk, said, moment)
    return replace(decision, chunk=replace(decision.chunk, due_at=moment.now), next=Settle(0.0))


_perhaps, _job_status, _settled_by = post._perhaps_accepted, status._job_status, read._by_its_state


def _believes_completed(chunk: Chunk, answer: JobStatus, moment: Moment) -> Decision:
    if answer.progress is Progress.COMPLETED:
        rest = Outcome(Kind.CONVERTED, job_id=chunk.job_id)
        return Decision(Row.JOB_ALL_CONVERTED, replace(chunk, state=State.DONE), Done(), rest=rest)
    return _job_status(chunk, answer, moment)


def _deadline_fails(chunk: Chunk, answer: JobStatus, moment: Moment) -> Decision:
    decision = _job_status(chunk, answer, moment)
    if decision.row is not Row.JOB_OVERDUE:
        return decision
    rest = failed(chunk, Refusal("NOT_CONVERTED", "the job did not end in time"))
    return Decision(Row.JOB_OVERDUE, replace(chunk, state=State.DONE), Done(), rest=rest)


def _pause_fails(row: Row, chunk: Chunk, order: PauseOrder, moment: Moment) -> Decision:
    rest = failed(chunk, Refusal(order.code, order.reason))
    return Decision(row, replace(chunk, state=State.DONE), Done(), rest=rest, pause=order)


def _first_look_is_the_last(chunk: Chunk, ended: dict[str, Outcome], left: tuple[str, ...], moment: Moment) -> Decision:
    return _bad_leads(replace(chunk, lags=1), ended, left, moment)


_bad_leads = read._bad_leads


_preflown = read._preflown


def _unsplit(chunk: Chunk, answer: LeadsRead, moment: Moment) -> Decision:
    return replace(_preflown(chunk, answer, moment), split=False)


def _not_aside(_chunk: Chunk, decision: Decision, _moment: Moment) -> Decision:
    """The lead is converted, so it is done with."""
    return decision


def _all_updated(chunk: Chunk, made: DealUpdate, _words: str) -> Outcome:
    return deals._converted(chunk, made)


def _missing_is_unconverted(chunk: Chunk, state: Any, moment: Moment) -> Outcome | None:
    return None if state is None else _settled_by(chunk, state, moment)


def _together(chunk: Chunk, moment: Moment, *, on_trial: bool) -> Decision:
    return read._out_again(Row.UNCONVERTED_AGAIN, chunk, {}, moment)


def _fails_at_once(row: Row, chunk: Chunk, ended: dict[str, Outcome], moment: Moment, state: State) -> Decision:
    if row is not Row.UNKNOWN_WATCHED:
        return _watched(row, chunk, ended, moment, state)
    rest = failed(chunk, Refusal("NOT_CONVERTED", "the job is unknown"))
    return Decision(Row.OUT_OF_ATTEMPTS, replace(chunk, state=State.DONE), Done(), outcomes=ended, rest=rest)


_watched = read._watched


def _not_found(chunk: Chunk) -> Outcome:
    return Outcome(Kind.FAILED, "NOT_FOUND", "Zoho does not return this lead", attempts=chunk.attempts)


def _blank_is_unconverted(crm: Crm, leads: Sequence[str], fields: Sequence[str]) -> ReadAnswer:
    answer = _read(crm, leads, fields)
    if not isinstance(answer, LeadsRead):
        return answer
    states = {**answer.states, **{lead: LeadState(lead, False) for lead in answer.unclear}}
    return LeadsRead(states)


_read = Crm._read


def _any_refusal(fields: Mapping[str, str], where: str) -> Refusal | None:
    return codec.load_refusal(fields["refusal"], where) if "refusal" in fields else None


MUTANTS = (
    Mutant(
        "a lost sender's job counts from the write-ahead",
        in_python(post, "latest_sent", lambda chunk: chunk.sent_at),
        "late sends",
        "before its job's end",
    ),
    Mutant("retry before look", in_python(post, "_perhaps_accepted", _retry_before_look), "answers", "without a look"),
    Mutant("look at once", in_python(post, "_perhaps_accepted", _look_at_once), "answers", "before its job's end"),
    Mutant("completed means all", in_python(status, "_job_status", _believes_completed), "jobs", "is converted, but"),
    Mutant("a deadline is a failure", in_python(status, "_job_status", _deadline_fails), "jobs", "but we converted it"),
    Mutant(
        "a pause fails leads", in_python(post, "paused", _pause_fails), "access", "without a reason", _calls_are_denied
    ),
    Mutant(
        "one look is enough",
        in_python(read, "_bad_leads", _first_look_is_the_last),
        "bad leads",
        "without a reason",
        shaped=_converted_by_hand,
    ),
    Mutant(
        "nobody asks when a payload reached Zoho",
        in_python(send, "reaching", lambda chunk, zoho_now, tuning: chunk),
        "bad leads",
        "somebody else converted it",
        shaped=converted_just_before,
    ),
    Mutant(
        "without a count two clocks are compared",
        in_python(read, "_UNCOUNTED", 300.0),
        "bad leads",
        "somebody else converted it",
        shaped=converted_just_before_it_was_lost,
    ),
    Mutant("a failing payload is never halved", in_python(read, "_taken_apart", _together), "company", "has finished"),
    Mutant(
        "a job failed twice is not halved",
        in_python(read, "fails_as_a_whole", lambda chunk: chunk.failing.lost > 0),
        "company",
        "NOT_CONVERTED job",
    ),
    Mutant(
        "an outage blames its leads",
        in_python(read, "fails_alone", lambda chunk, leads, moment: leads == 1 and chunk.failing.lost >= 3),
        "outage",
        "without a reason",
        shaped=_posts_fail_for_long,
    ),
    Mutant(
        "a third unknown job is a failure",
        in_python(read, "_watched", _fails_at_once),
        "jobs",
        "but we converted it",
        shaped=_jobs_are_unknown,
    ),
    Mutant(
        "an unknown 400 is about the options",
        lambda: patch.dict(post._POST_REFUSALS, {Meaning.UNEXPLAINED: post._options_refused}),
        "bad leads",
        "NOBODY_KNOWS no reason, without a reason",
    ),
    Mutant(
        "missing is not found after submission",
        in_python(read, "lead_missing", _not_found),
        "company",
        "is failed NOT_FOUND, but a job",
    ),
    Mutant(
        "an unclear lead is unconverted",
        in_python(Crm, "_read", _blank_is_unconverted),
        "company",
        "",
    ),
    Mutant(
        "an old refusal counts for ever",
        in_python(codec, "_load_refusal", _any_refusal),
        "options",
        "without a reason",
    ),
    Mutant("missing is unconverted", in_python(read, "_by_its_state", _missing_is_unconverted), "bad leads", ""),
    Mutant(
        "one payload after a preflight",
        in_python(read, "_preflown", _unsplit),
        "preflight",
        "are the most",
    ),
    Mutant(
        "what a lead is to be linked to is forgotten",
        in_python(codec, "load_brought", lambda text: (load_brought(text)[0], None)),
        "matches",
        "was given",
    ),
    Mutant(
        "what is not clear is linked",
        in_python(matching, "_why_not", lambda *_args, **_options: ""),
        "matches",
        "is to be linked, and",
    ),
    Mutant(
        "an address that many have hides what others match",
        both(
            in_python(matching.Found, "undecided", lambda _found, _place, values: tuple(values)),
            in_python(match, "MOST_DULL", 0),
        ),
        "matches",
        "all that it has can be asked for",
    ),
    Mutant("all converted means all named", in_python(status, "deals_aside", _not_aside), "deals", "but its deal is"),
    Mutant("a lead that was read is named", in_python(read, "deals_aside", _not_aside), "deals", "its deal is"),
    Mutant("a refused deal is updated", in_python(deals, "_not_updated", _all_updated), "deals", "but its deal is"),
    Mutant(
        "everybody looks while the scout finds out",
        in_python(follow, "before_look", lambda *_: None),
        "calm",
        "is looked at while that of",
    ),
    Mutant(
        "the scout's place is waited for although nobody has it",
        in_python(polling, "_is_scouted", lambda *_: True),
        "jobs",
        "not every batch has finished",
    ),
)
