"""Bugs of what a worker does: the order of its steps, its clock, permits, messages, names."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from massconvert.errors import StoreError
from massconvert.model import (
    Again,
    Busy,
    Call,
    Chunk,
    Done,
    Listing,
    Next,
    Page,
    PageAnswer,
    PostAnswer,
    Refused,
    State,
)
from massconvert.policy import (
    Decision,
    Hold,
    Holding,
    Moment,
    after_post,
    calls,
    holds,
    messages,
    name_unknown,
    no_permit,
    sender_lost,
)
from massconvert.steps import resolve, send
from massconvert.steps.ports import Ports
from massconvert.steps.write import moment, write
from massconvert.store import refusals
from massconvert.zoho import governor
from massconvert.zoho.governor import Governor
from tests.simulation.crm import Crm
from tests.simulation.seeding import Mutant, asleep_before_the_payload, both, in_python, in_step
from tests.simulation.world import World


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
        shaped=asleep_before_the_payload,
    ),
    Mutant(
        "a payload leaves whenever it comes to it",
        in_python(Crm, "mass_convert", sends_whenever_it_comes_to_it),
        "frozen",
        "submitted again without a look",
        shaped=asleep_before_the_payload,
    ),
    Mutant(
        "the clock of the POST stands still while the machine sleeps",
        in_python(World, "steady", World.awake),
        "frozen",
        "submitted again without a look",
        shaped=asleep_before_the_payload,
    ),
    Mutant("the time is the process' own", in_python(World, "redis_time", World.awake), "frozen", ""),
    Mutant("a dead sender never sent", in_step(State.SENDING, _sends_a_lost_one_again), "crashes", "without a look"),
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
    ),
    Mutant(
        "permits are kept", in_python(Governor, "release", lambda self, permit, answer: None), "calm", "not given back"
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
        "leads are sent unmatched",
        in_python(send, "is_matched", lambda _chunk, _moment: True),
        "matches",
        "is to be created, and",
    ),
)
