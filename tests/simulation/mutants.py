"""Plausible bugs, to be seeded: if the simulation does not find these, its green means nothing.

Each is a mistake that somebody could make in good faith, and most of them pass every test in which nothing breaks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from massconvert.errors import StoreError
from massconvert.ledger import codec
from massconvert.model import (
    Accepted,
    Again,
    Busy,
    Call,
    Chunk,
    DealUpdate,
    Done,
    JobStatus,
    Kind,
    LeadsRead,
    LeadState,
    Listing,
    Next,
    Outcome,
    Page,
    PageAnswer,
    PostAnswer,
    Progress,
    ReadAnswer,
    Refusal,
    Refused,
    Settle,
    State,
    load_brought,
)
from massconvert.policy import (
    Decision,
    Hold,
    Holding,
    Meaning,
    Moment,
    Row,
    after_post,
    calls,
    deals,
    holds,
    matching,
    messages,
    name_unknown,
    no_permit,
    polling,
    post,
    read,
    sender_lost,
    status,
)
from massconvert.policy.table import PauseOrder
from massconvert.policy.trouble import failed
from massconvert.steps import advance, follow, match, resolve, send
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write
from massconvert.store import refusals, scripts
from massconvert.zoho import governor
from massconvert.zoho.governor import Governor
from tests.simulation.crm import Crm
from tests.simulation.plan import Plan
from tests.simulation.themes import with_faults
from tests.simulation.world import World

Seeded = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Mutant:
    """A bug, how it is seeded, the theme that provokes it, what the judge says, and within how many histories.

    ``shaped`` changes the plans of the theme for a bug that too few of them provoke.
    """

    name: str
    seed: Seeded
    theme: str
    says: str
    within: int = 60
    start: int = 0
    shaped: Callable[[Plan], Plan] = lambda plan: plan


def in_lua(script: str, old: str, new: str) -> Seeded:
    """A bug in a script: ``old`` stands in it once, and becomes ``new``."""

    @contextmanager
    def seeded() -> Iterator[None]:
        original = scripts.source
        assert original(script).count(old) == 1, f"{script}.lua has changed: fix this mutant"

        def source(name: str) -> str:
            return original(name).replace(old, new) if name == script else original(name)

        with patch.object(scripts, "source", source):
            yield

    return seeded


def both(first: Seeded, second: Seeded) -> Seeded:
    """A bug that takes two: each place alone would make up for the other."""

    @contextmanager
    def seeded() -> Iterator[None]:
        with first(), second():
            yield

    return seeded


def in_python(where: Any, name: str, new: Any) -> Seeded:
    """A bug in a function: ``where.name`` becomes ``new``."""
    return lambda: patch.object(where, name, new)


def in_step(state: State, step: Callable[[Ports, Chunk], Next]) -> Seeded:
    """A bug in the step that a state asks for."""
    return lambda: patch.dict(advance._STEPS, {state: step})


# --- the plans that are shaped for a bug ---


def _converted_by_hand(plan: Plan) -> Plan:
    """People convert each lead while its payload is on its way, and reads show that late."""
    first = plan.orders[0].at
    leads = tuple(replace(lead, kind="by hand", at=first + 0.03 * n) for n, lead in enumerate(plan.leads))
    return with_faults(replace(plan, leads=leads), read_lag=0.9)


def _converted_just_before(plan: Plan) -> Plan:
    """People convert some of the leads before their payload reaches Zoho, which takes it and counts them as failed."""
    first = plan.orders[0].at
    leads = tuple(replace(lead, kind="by hand", at=first) if n % 2 else lead for n, lead in enumerate(plan.leads))
    return with_faults(replace(plan, leads=leads), names="counted")


# --- the bugs ---------------------------------------------------------------------------------------------------------


def _posts_first(ports: Ports, chunk: Chunk) -> Next:
    """As steps.send, but it writes after the POST that it is being sent."""
    permit = ports.governor.acquire(Call.POST)
    if isinstance(permit, Busy):
        return write(ports, chunk, no_permit(chunk, permit, moment(ports, chunk)))
    try:
        send_by = ports.steady() + ports.tuning.send_within
        answer = ports.zoho.mass_convert(chunk.leads, chunk.options, token=ports.zoho.ready(), send_by=send_by)
        sending = ports.ledger.chunks.begin_send(chunk)
    finally:
        ports.governor.release(permit)
    return write(ports, sending, after_post(sending, answer, moment(ports, chunk))) if sending else Done()


def _sends_when_it_has_a_token(ports: Ports, chunk: Chunk) -> Next:
    """As steps.send, but the token comes after the write-ahead, and the time to send by is counted from there."""
    permit = ports.governor.acquire(Call.POST)
    if isinstance(permit, Busy):
        return write(ports, chunk, no_permit(chunk, permit, moment(ports, chunk)))
    answer, sending = None, ports.ledger.chunks.begin_send(chunk)
    if sending:
        token = ports.zoho.ready()
        send_by = ports.steady() + ports.tuning.send_within
        answer = ports.zoho.mass_convert(chunk.leads, chunk.options, token=token, send_by=send_by)
    ports.governor.release(permit, answer)
    return write(ports, sending, after_post(sending, answer, moment(ports, chunk))) if sending and answer else Done()


def sends_whenever_it_comes_to_it(crm: Crm, leads: Any, options: Any, *, token: str, send_by: float) -> PostAnswer:
    return _mass_convert(crm, leads, options, token=token, send_by=math.inf)


_mass_convert = Crm.mass_convert


def _sends_a_lost_one_again(ports: Ports, chunk: Chunk) -> Next:
    """A sender that died is taken for one that never sent."""
    lost = sender_lost(chunk, moment(ports, chunk))
    waiting = replace(lost.chunk, state=State.WAITING, due_at=moment(ports, chunk).now)
    return write(ports, chunk, replace(lost, chunk=waiting, next=Again(0.0)))


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
_accepted = post._accepted


def _reached_at_any_time(chunk: Chunk, answer: Accepted, moment: Moment) -> Decision:
    return _accepted(chunk, replace(answer, began=None), moment)


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


def _seldom_probes(detail: str, tries: int, chance: float, numbers: Holding) -> Hold:
    return replace(_outage_hold(detail, tries, chance, numbers), wait=600.0)


_outage_hold = holds.outage_hold


def _obeys_blindly(answer: Refused, *_: Any) -> calls.Gate:
    return calls.Gate(answer.retry_after or 1.0, "Zoho answered 429")


def _unread_is_unknown(chunk: Chunk, answer: object, moment: Moment) -> Decision:
    """A look-up that failed is taken for one that found nothing."""
    return name_unknown(chunk, "$.assign_to", "cannot be looked up")


def _first_page_is_all(crm: Crm, listing: Listing, place: str) -> PageAnswer:
    answer = _read_page(crm, listing, place)
    return replace(answer, more=()) if isinstance(answer, Page) else answer


_read_page = Crm.read_page


def _passing_is_final() -> AbstractContextManager[Any]:
    final = {
        code: replace(row, kind=refusals.RefusalKind.BROKEN)
        for code, row in refusals.TABLE.items()
        if code != "TIMEOUT"
    }
    return patch.dict(refusals.TABLE, final | {"UNREACHABLE": refusals.TABLE["UNREACHABLE"]})


def _no_words(*_: object) -> None:
    raise StoreError("what cannot be given back is told by an error")


def _refused_is_taken(error: BaseException, tries: int, *, chance: float) -> messages.MessageVerdict:
    """One line in the log, and the message is done."""
    return messages.MessageVerdict(messages.Fate.TAKEN, 0.0)


MUTANTS = (
    Mutant("a passing refusal is final", _passing_is_final, "store", "raised LedgerError"),
    Mutant("release raises", in_python(governor.log, "warning", _no_words), "store", "release raised"),
    Mutant(
        "enqueue acknowledges what was refused",
        in_python(messages, "after_failure", _refused_is_taken),
        "store",
        "its batch is not in the ledger",
    ),
    Mutant("the write-ahead comes after the POST", in_step(State.WAITING, _posts_first), "crashes", "without a look"),
    Mutant(
        "the token comes after the write-ahead",
        in_step(State.WAITING, _sends_when_it_has_a_token),
        "frozen",
        "submitted again without a look",
        within=200,
    ),
    Mutant(
        "a payload leaves whenever it comes to it",
        in_python(Crm, "mass_convert", sends_whenever_it_comes_to_it),
        "frozen",
        "submitted again without a look",
        within=200,
    ),
    Mutant(
        "the clock of the POST stands still while the machine sleeps",
        in_python(World, "steady", World.awake),
        "frozen",
        "submitted again without a look",
        within=200,
    ),
    Mutant("the time is the process' own", in_python(World, "redis_time", World.awake), "frozen", "", within=200),
    Mutant(
        "a lost sender's job counts from the write-ahead",
        in_python(post, "latest_sent", lambda chunk: chunk.sent_at),
        "late sends",
        "before its job's end",
        within=200,
    ),
    Mutant("a dead sender never sent", in_step(State.SENDING, _sends_a_lost_one_again), "crashes", "without a look"),
    Mutant("retry before look", in_python(post, "_perhaps_accepted", _retry_before_look), "answers", "without a look"),
    Mutant("look at once", in_python(post, "_perhaps_accepted", _look_at_once), "answers", "before its job's end", 200),
    Mutant(
        "the lease is not renewed",
        in_lua("begin_send", "local till = now + tonumber(ARGV[4])", "local till = now"),
        "messages",
        "while it held its lease",
    ),
    Mutant(
        "a claim ignores leases",
        in_lua("claim_chunk", "(tonumber(lease or 0) or 0) > now", "false"),
        "messages",
        "held its lease",
    ),
    Mutant(
        "set without compare",
        in_lua("move_chunk", "if c[1] ~= ARGV[3] or c[2] ~= ARGV[2] then return { 0 } end", ""),
        "frozen",
        "",
    ),
    Mutant(
        "the sweep ignores lapsed senders",
        in_lua("take_overdue", "state == 'done' then", "state == 'done' or state == 'sending' then"),
        "crashes",
        "",
    ),
    Mutant(
        "no dedupe against other batches",
        in_lua("add_leads", "elseif redis.call('SADD', live_key(p, lead), lead) == 0 then", "elseif false then"),
        "calm",
        "is in flight in",
    ),
    Mutant(
        "sent is never counted down",
        in_lua("move_chunk", "(is_sent and #stay or 0)", "(is_sent and #segment[2] or 0)"),
        "calm",
        "sent and has",
    ),
    Mutant("completed means all", in_python(status, "_job_status", _believes_completed), "jobs", "is converted, but"),
    Mutant("a deadline is a failure", in_python(status, "_job_status", _deadline_fails), "jobs", "but we converted it"),
    Mutant("a pause fails leads", in_python(post, "paused", _pause_fails), "access", "without a reason"),
    Mutant(
        "one look is enough",
        in_python(read, "_bad_leads", _first_look_is_the_last),
        "bad leads",
        "without a reason",
        within=20,
        shaped=_converted_by_hand,
    ),
    Mutant(
        "nobody asks when a payload reached Zoho",
        in_python(post, "_accepted", _reached_at_any_time),
        "bad leads",
        "somebody else converted it",
        shaped=_converted_just_before,
    ),
    Mutant("a failing payload is never halved", in_python(read, "_taken_apart", _together), "company", "has finished"),
    Mutant(
        "a job failed twice is not halved",
        in_python(read, "fails_as_a_whole", lambda chunk: chunk.failing.lost > 0),
        "company",
        "NOT_CONVERTED job",
        200,
    ),
    Mutant(
        "an outage blames its leads",
        in_python(read, "fails_alone", lambda chunk, leads, moment: leads == 1 and chunk.failing.lost >= 3),
        "outage",
        "without a reason",
        within=200,
        start=150,
    ),
    Mutant(
        "a third unknown job is a failure",
        in_python(read, "_watched", _fails_at_once),
        "jobs",
        "but we converted it",
        60,
    ),
    Mutant(
        "an unknown 400 is about the options",
        lambda: patch.dict(post._POST_REFUSALS, {Meaning.UNEXPLAINED: post._options_refused}),
        "bad leads",
        "NOBODY_KNOWS no reason, without a reason",
    ),
    Mutant(
        "one lead alone speaks for the options",
        in_lua("move_chunk", ">= changes.blame[4]", ">= 1"),
        "bad leads",
        "without a reason",
        within=200,
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
        200,
    ),
    Mutant("missing is unconverted", in_python(read, "_by_its_state", _missing_is_unconverted), "bad leads", ""),
    Mutant(
        "late leads come into a finished batch",
        in_lua("add_leads", "if b[5] == '1' then reopen_batch(p, batch, now) end", ""),
        "producers",
        "has finished with leads",
        within=200,
    ),
    Mutant(
        "one permit too many", in_lua("take_permit", "running >= most", "running > most"), "limits", "; Zoho allows"
    ),
    Mutant(
        "everybody probes",
        in_lua("take_permit", "if kind ~= '' then redis.call('HSET'", "if false then redis.call('HSET'"),
        "outage",
        "calls probe at once",
        within=200,
    ),
    Mutant("probes are seldom", in_python(calls, "outage_hold", _seldom_probes), "recovery", "nobody has called"),
    Mutant(
        "a Retry-After of a day closes the gate for a day",
        both(in_python(calls, "asked_hold", lambda *_: None), in_python(calls, "_gate", _obeys_blindly)),
        "limits",
        "not every batch has finished",
    ),
    Mutant(
        "the reserve is used",
        in_python(calls, "credits_are_used", lambda left, rules: False),
        "credits",
        "are reserved",
        within=200,
        start=120,
    ),
    Mutant(
        "permits are kept", in_python(Governor, "release", lambda self, permit, answer: None), "calm", "not given back"
    ),
    Mutant(
        "a refusal leaves the others waiting",
        in_lua("move_chunk", "redis.call('ZADD', p .. 'refused', 'NX', now, fp)", ""),
        "options",
        "",
    ),
    Mutant(
        "a failed look-up is an unknown name",
        in_python(resolve, "names_not_read", _unread_is_unknown),
        "names",
        "without a reason",
    ),
    Mutant("the first page of names is all", in_python(Crm, "read_page", _first_page_is_all), "names", "a reason"),
    Mutant("names are sent", in_python(send, "unresolved", lambda options: ()), "names", "was sent with assign_to"),
    Mutant(
        "a hold forgets what was formed",
        in_lua(
            "hold_batch",
            "for _, id in ipairs(redis.call('SMEMBERS', key .. ':chunks')) do place_chunk(p, id, now) end\n  return 1",
            "return 1",
        ),
        "holds",
        "and parked:",
    ),
    Mutant(
        "a parked chunk keeps its claim",
        both(
            in_lua("hold_batch", "redis.call('HDEL', p .. 'chunk:' .. id, 'lease', 'token')", ""),
            in_lua("begin_send", "if is_held(p, segments, c[5]) then", "if false then"),
        ),
        "stops",
        "not held and parked:",
        within=600,
    ),
    Mutant(
        "held leads fill the window",
        in_lua("hold_batch", "  bound_chunk(p, id, 'waiting', '', true)\n", ""),
        "holds",
        "and in unsent",
    ),
    Mutant(
        "a canary holds nothing",
        in_lua("form_chunks", "hold_for_canary(p, batch, now)\n  end\nend", "end\nend"),
        "holds",
        "more leads than its canary",
    ),
    Mutant(
        "a dead canary lets the others follow",
        in_lua("move_chunk", " and tonumber(b[3]) <= tonumber(b[4])", ""),
        "holds",
        "more leads than its canary",
    ),
    Mutant(
        "a living canary waits for somebody",
        in_lua("move_chunk", "if canary then judge_canary(p, batch, now) end", ""),
        "holds",
        "though its canary lives",
    ),
    Mutant(
        "leads are sent before their preflight",
        in_lua("form_chunks", "'state', 'settling', 'why', begin", "'state', 'waiting'"),
        "preflight",
        "without a preflight",
    ),
    Mutant(
        "one payload after a preflight",
        in_python(read, "_preflown", _unsplit),
        "preflight",
        "are the most",
        200,
    ),
    Mutant(
        "a cancelled batch is read and sent",
        in_lua("cancel_batch", "c[2] == 'preflight' or ", ""),
        "preflight",
        "which was cancelled",
        within=200,
    ),
    Mutant(
        "leads are sent unmatched",
        in_python(send, "is_matched", lambda _chunk, _moment: True),
        "matches",
        "is to be created, and",
    ),
    Mutant(
        "what a lead is to be linked to is forgotten",
        in_python(codec, "load_brought", lambda text: (load_brought(text)[0], None)),
        "matches",
        "was given",
    ),
    Mutant(
        "two leads make the same at once",
        in_lua("claim_identities", "if holder and holder ~= lead then", "if false then"),
        "matches",
        "makes what",
        within=200,
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
    Mutant(
        "claims outlive their lead",
        in_lua("move_chunk", "for _, lead in ipairs(leads) do free_identities(p, lead) end", ""),
        "matches",
        "still holds making",
    ),
    Mutant(
        "begin_send does not look at a pause",
        in_lua("begin_send", "if redis.call('EXISTS', p .. 'pause') == 1 and", "if false and"),
        "stops",
        "was sent after a person had paused",
        within=200,
    ),
    Mutant(
        "a worker with a claim calls while a person has paused",
        in_lua("take_permit", "if ARGV[11] == '1' and", "if false and"),
        "stops",
        "was called after a person had paused",
        within=200,
    ),
    Mutant(
        "an answer ends a person's pause",
        in_lua("move_chunk", "and redis.call('HEXISTS', p .. 'pause', 'probe') == 0 then", "and false then"),
        "stops",
        "what a person has paused goes on",
        within=200,
    ),
    Mutant(
        "a cancelled lead is sent again after a 500",
        both(
            in_lua("move_chunk", "if fields.state == 'waiting' and end_cancelled", "if false and end_cancelled"),
            in_lua("begin_send", "if end_cancelled(p, id, now) > 0 then", "if false then"),
        ),
        "stops",
        "was sent after batch-",
    ),
    Mutant(
        "a claimed payload goes out although its batch was cancelled",
        both(
            in_lua("cancel_batch", "if c[1] == 'waiting' or reads then", "if reads then"),
            in_lua("begin_send", "if end_cancelled(p, id, now) > 0 then", "if false then"),
        ),
        "stops",
        "was sent after batch-",
        within=200,
    ),
    Mutant(
        "the rest of a canary is skipped after a pause",
        in_lua(
            "release_batch",
            "if over then redis.call('HDEL', key, 'canary_held') end",
            "redis.call('HDEL', key, 'canary_held')",
        ),
        "holds",
        "more leads than its canary",
        within=200,
    ),
    Mutant(
        "a full Redis refuses to stop",
        in_lua("cancel_batch", "redis.call('DEL', KEYS[1] .. 'full')", ""),
        "full",
        "a full Redis refused: cancel",
        within=200,
    ),
    Mutant("all converted means all named", in_python(status, "deals_aside", _not_aside), "deals", "but its deal is"),
    Mutant("a lead that was read is named", in_python(read, "deals_aside", _not_aside), "deals", "its deal is", 200),
    Mutant("a refused deal is updated", in_python(deals, "_not_updated", _all_updated), "deals", "but its deal is"),
    Mutant(
        "leads are converted again for their deals",
        in_lua("form_chunks", "'state', 'settling', 'why', begin", "'state', 'waiting'"),
        "deals",
        "which only updates deals",
    ),
    Mutant(
        "a retry of deals takes the room of payloads",
        in_lua("form_chunks", "(begin == 'ids' and 'jobs' or 'unsent')", "'unsent'"),
        "deals",
        "and in unsent",
    ),
    Mutant(
        "what a lead brings for its deal is forgotten",
        in_lua("claim_chunk", "deal_values = some and cjson.encode(values) or nil", ""),
        "deals",
        "the amount of its deal is None",
    ),
    Mutant(
        "what leads bring for their deals is kept for ever",
        in_lua("move_chunk", "elseif group[1] == 'converted' and", "elseif false and"),
        "deals",
        "which has them",
    ),
    Mutant(
        "the chunk of the deals is nobody's",
        in_lua("move_chunk", "  redis.call('ZADD', p .. 'due', now + grace, id)\n", ""),
        "deals",
        "never due",
    ),
    Mutant(
        "a call that failed is forgotten",
        in_lua(
            "end_callback",
            "redis.call('ZADD', p .. 'callbacks', now + tonumber(ARGV[5]), id)",
            "redis.call('ZREM', p .. 'callbacks', id)",
        ),
        "receivers",
        "was never told",
    ),
    Mutant(
        "who failed late has the call made again",
        in_lua("end_callback", "if not redis.call('ZSCORE', p .. 'callbacks', id) then return 0 end", ""),
        "frozen",
        "and will again",
        within=400,
    ),
    Mutant(
        "a batch is told of before it has finished",
        in_lua("take_callback", "if redis.call('HEXISTS', key, 'finished') == 0 or ", "if "),
        "receivers",
        "",
        within=400,
    ),
    Mutant(
        "ids that are none come into a finished batch",
        in_lua("refuse_ids", "if sealed == '1' then reopen_batch(p, batch, now) end", ""),
        "producers",
        "was never told",
        within=400,
        start=160,
    ),
    Mutant(
        "everybody looks while the scout finds out",
        in_python(follow, "before_look", lambda *_: None),
        "calm",
        "is looked at while that of",
    ),
    Mutant(
        "the scout's place is waited for although nobody has it",
        in_python(polling, "_is_scouted", lambda *_: True),
        "",
        "not every batch has finished",
        within=1,
        start=177,  # it takes a scout that gave up, and long silence after it
    ),
    Mutant(
        "every lead goes at once",
        in_lua("add_leads", "> now - quiet then return false", "> now then return false"),
        "calm",
        "goes without company",
    ),
    Mutant(
        "leads that are skipped are not told of",
        in_lua("add_leads", "tell_ends(p, batch, ARGV[6], skipped)", ""),
        "calm",
        "the events do not tell of",
    ),
    Mutant(
        "leads that end together are counted as one",
        in_lua("move_chunk", "count_ends(p, outcome, #leads)", "count_ends(p, outcome, 1)"),
        "calm",
        "ends are counted",
    ),
    Mutant(
        "a move is missing in the story",
        in_lua(
            "move_chunk", "fields.story = story_with(c[12], changes.row, now, changes.told)", "fields.story = c[12]"
        ),
        "calm",
        "the story of lead",
    ),
    Mutant(
        "a move is told twice",
        in_lua(
            "move_chunk", "story_with(c[12], changes.row", "story_with(story_with(c[12], changes.row, now), changes.row"
        ),
        "calm",
        "the story of lead",
    ),
    Mutant(
        "what is told again is not counted",
        in_lua("move_chunk", "(tonumber(string.match(before, '^%d+') or nil) or 1) + 1", "1"),
        "calm",
        "the story of lead",
    ),
    Mutant(
        "a half does not know what happened before",
        in_lua("move_chunk", "story_with(fields.story, mark, now,", "story_of(mark, now,"),
        "",
        "the story of lead",
    ),
    Mutant(
        "the write-ahead is not told",
        in_lua("begin_send", "story_with(c[9], 'sending', now, '|' .. leads)", "c[9]"),
        "calm",
        "the story of lead",
    ),
    Mutant(
        "a story is told of others, too",
        in_lua("move_chunk", "n == 1 and fields.story or nil, #groups", "n == 1 and fields.story or nil, 1"),
        "answers",
        "the story of lead",
    ),
    Mutant(
        "what is given back twice is counted twice",
        in_lua("return_permit", "if ours == 1 then count_call", "if true then count_call"),
        "store",
        "calls are counted",
    ),
    Mutant(
        "a day keeps its last quarter of an hour",
        in_lua("move_chunk", "(redis.call('GET', key) or '') .. string", "string"),
        "outage",
        "the days have counted",
    ),
)
