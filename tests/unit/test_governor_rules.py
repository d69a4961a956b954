"""What an answer changes for all who call: tables over policy/calls.py, congestion.py and holds.py."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from massconvert.model import Accepted, Call, JobStatus, LeadsRead, NotSent, PerhapsAccepted, Progress, Refused, Unsent
from massconvert.policy import (
    CallAnswer,
    CallRules,
    Congestion,
    Heard,
    Hold,
    Holding,
    HoldKind,
    Learnt,
    Permit,
    Report,
    after_call,
)
from massconvert.policy.calls import heard

NOW = 1_800_000_000.0
RULES = CallRules()
FULL = Learnt(calls=10)
#: A permit that filled the ten calls that may run at once.
PERMIT = Permit("p", Call.POST, running=10, limit=10, learnt=FULL)
THROTTLED = Refused(429, "TOO_MANY_REQUESTS", "slow down")
LOST = PerhapsAccepted("connection reset")
REFUSED_CONNECTION = NotSent(Unsent.CONNECT, "connection refused")


def report(permit: Permit, answer: CallAnswer, chance: float = 0.5, now: float = NOW) -> Report:
    return after_call(permit, answer, now=now, chance=chance, rules=RULES)


def learnt(permit: Permit, answer: CallAnswer, now: float = NOW) -> Learnt | None:
    return report(permit, answer, now=now).learnt


# --- what is heard ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Accepted("7"), Heard.USABLE),
        (JobStatus(Progress.SCHEDULED, 5, 0, 5, 0), Heard.USABLE),
        (LeadsRead({}), Heard.USABLE),
        (Refused(400, "INVALID_DATA", "bad id"), Heard.USABLE),
        (Refused(401, "INVALID_TOKEN", "expired"), Heard.USABLE),
        (Refused(403, "NO_PERMISSION", "no"), Heard.USABLE),
        (THROTTLED, Heard.THROTTLED),
        (Refused(400, "INTERNAL_ERROR", "?"), Heard.UNUSABLE),
        (Refused(408, "REQUEST_TIMEOUT", "?"), Heard.UNUSABLE),
        (LOST, Heard.UNUSABLE),
        (PerhapsAccepted("HTTP 503", 503), Heard.UNUSABLE),
        (REFUSED_CONNECTION, Heard.UNUSABLE),
        (NotSent(Unsent.EXPIRED, "not connected"), Heard.UNUSABLE),
        (NotSent(Unsent.NO_TOKEN, "too many refreshes"), Heard.NOTHING),
        (NotSent(Unsent.CREDENTIALS, "revoked"), Heard.NOTHING),
        (None, Heard.NOTHING),
    ],
)
def test_every_answer_says_one_thing_of_zoho(answer: CallAnswer, says: Heard) -> None:
    """The accounts server's trouble is not Zoho CRM's, and a refusal of leads is an answer like another."""
    assert heard(answer) is says


# --- 429s: the gate and the limit -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "calls"), [(1, 1), (2, 1), (3, 1), (5, 2), (7, 3), (10, 5)])
@pytest.mark.parametrize("running", [1, 10])
def test_a_429_halves_the_calls_that_were_allowed(before: int, calls: int, running: int) -> None:
    """However many ran when this one got its permit: it may have been the first to start, and the last to arrive."""
    permit = replace(PERMIT, running=min(running, before), learnt=Learnt(before))
    assert learnt(permit, THROTTLED) == Learnt(calls, 1, ceiling=before, at=NOW, row=1)


def test_a_429_closes_the_gate_shortly_and_never_at_the_same_moment_for_all() -> None:
    waits = [report(PERMIT, THROTTLED, chance).gate for chance in (0.0, 0.5, 0.999)]
    assert [wait.seconds for wait in waits if wait] == [0.25, 0.375, pytest.approx(0.5, abs=0.001)]


@pytest.mark.parametrize("asked", [0.0, 7.0, 60.0])
def test_retry_after_is_honoured_to_the_second(asked: float) -> None:
    gate = report(PERMIT, replace(THROTTLED, retry_after=asked)).gate
    assert gate is not None
    assert gate.seconds == asked


@pytest.mark.parametrize(("asked", "words"), [(60.1, "1 min"), (600.0, "10 min"), (86_400.0, "24 h"), (9e9, "h")])
def test_retry_after_of_more_than_a_minute_is_probed_and_not_obeyed_blindly(asked: float, words: str) -> None:
    """A day's gate could be opened by nobody; and what Zoho asks for says nothing of how many calls run at once."""
    found = report(PERMIT, replace(THROTTLED, retry_after=asked), chance=1.0)
    assert (found.gate, found.learnt) == (None, None)
    assert found.hold is not None
    assert found.hold.kind is HoldKind.ASKED
    assert found.hold.wait == min(asked, Holding().asked_probe)
    assert words in found.hold.why


def test_429s_with_nothing_between_them_close_the_gate_for_longer_and_longer_up_to_a_minute() -> None:
    waits = []
    for row in range(10):
        gate = report(replace(PERMIT, learnt=replace(FULL, row=row)), THROTTLED, chance=1.0).gate
        waits.append(gate.seconds if gate else 0.0)
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


#: After a 429 to the tenth call at once.
LOW = Learnt(5, event=1, ceiling=10, at=NOW, row=1)


@pytest.mark.parametrize(
    ("before", "running", "after_seconds", "calls"),
    [
        (LOW, 5, 0.1, 6),  # below the ceiling: at once
        (replace(LOW, calls=8), 8, 0.1, 9),
        (replace(LOW, calls=9, row=0), 9, 0.1, None),  # the ceiling itself: only after a while
        (replace(LOW, calls=9, row=0), 9, Congestion().patience, 10),
        (replace(LOW, calls=10, row=0), 10, 3600.0, None),  # never over the limit
        (replace(LOW, calls=7, row=0), 6, 3600.0, None),  # a number that was not used has not been tried
        (replace(LOW, ceiling=5, calls=6, row=0), 6, Congestion().patience, 7),  # beyond it: as before
    ],
)
def test_a_usable_answer_raises_the_limit_by_one_fast_below_the_ceiling_and_late_at_it(
    before: Learnt, running: int, after_seconds: float, calls: int | None
) -> None:
    found = learnt(replace(PERMIT, running=running, learnt=before), Accepted("7"), now=NOW + after_seconds)
    assert (found.calls if found else None) == calls


def test_an_answer_ends_the_row_of_429s() -> None:
    found = learnt(replace(PERMIT, running=2, learnt=LOW), Accepted("7"))
    assert found is not None
    assert (found.calls, found.row) == (5, 0)


def test_alone_at_the_limit_an_answer_changes_nothing() -> None:
    """So that giving a permit back writes nothing in the steady state."""
    assert report(PERMIT, Accepted("7")) == Report(Heard.USABLE)


@pytest.mark.parametrize("neighbour", [0, 1, 3, 6, 9])
def test_beside_a_neighbour_one_429_comes_a_patience_and_what_it_leaves_is_used(neighbour: int) -> None:
    """The rule by itself: as many calls as may run, all end every 0.2 s, what is too many is refused.

    Which of them are refused is chance, since the permit that was taken first may come last; a refusal comes at once.
    """
    learnt_now, now, refused, used, random = FULL, NOW, 0, 0, Random(1)
    free = 10 - neighbour
    for _ in range(300):  # a minute
        calls = learnt_now.calls
        let_in = random.sample(range(1, calls + 1), min(free, calls))
        used += len(let_in)
        refused += calls - len(let_in)
        for running in sorted(range(1, calls + 1), key=lambda number: number in let_in):
            permit = Permit("p", Call.POST, running=running, limit=10, learnt=learnt_now)
            answer = Accepted("7") if running in let_in else THROTTLED
            found = learnt(permit, answer, now)
            if found and (found.event > learnt_now.event or found.calls == calls + 1):
                learnt_now = found
                break
        now += 0.2
    if not neighbour:
        assert (refused, learnt_now) == (0, FULL)
    else:
        arrival = sum(max(0, calls - free) for calls in (10, 5, 2))  # until the number has come down
        assert refused <= 60 / Congestion().patience + arrival + 2
        assert used >= 0.8 * 300 * free


# --- outages ----------------------------------------------------------------------------------------------------------


def test_the_probes_of_an_outage_come_seldomer_and_seldomer_but_three_times_a_minute_at_least() -> None:
    waits = []
    for tries in range(8):
        probing = Hold(HoldKind.OUTAGE, "", 0.0, tries)
        hold = report(replace(PERMIT, hold=probing), LOST, chance=1.0).hold
        assert hold is not None
        assert hold.tries == tries + 1
        waits.append(hold.wait)
    assert waits == [4.0, 8.0, 16.0, 20.0, 20.0, 20.0, 20.0, 20.0]
    longest_call = 30.0
    assert max(waits) + longest_call <= 60.0


@pytest.mark.parametrize("answer", [LOST, REFUSED_CONNECTION, Refused(408, "REQUEST_TIMEOUT", "?")])
def test_an_unusable_answer_may_begin_a_hold_whose_reason_is_what_happened(answer: CallAnswer) -> None:
    hold = report(PERMIT, answer).hold
    assert hold is not None
    assert hold.kind is HoldKind.OUTAGE
    assert "Zoho gives no usable answer: " in hold.why
    assert hold.wait <= Holding().probe_base


@pytest.mark.parametrize("answer", [Accepted("7"), Refused(400, "INVALID_DATA", "bad id"), THROTTLED])
def test_any_answer_of_zohos_asks_for_no_hold(answer: CallAnswer) -> None:
    assert report(replace(PERMIT, hold=Hold(HoldKind.OUTAGE, "", 0.0, 3)), answer).hold is None


# --- credits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "held"), [(None, False), (100_000, False), (505, False), (504, True), (500, True), (3, True), (0, True)]
)
def test_calls_stop_before_the_reserve_is_touched(left: int | None, held: bool) -> None:
    hold = report(PERMIT, Accepted("7", credits_left=left)).hold
    assert (hold is not None and hold.kind is HoldKind.CREDITS) == held
    assert report(PERMIT, Accepted("7", credits_left=left)).credits_left == left


def test_credits_are_probed_every_few_minutes() -> None:
    probing = replace(PERMIT, hold=Hold(HoldKind.CREDITS, "", 0.0, 5))
    for answer in (replace(THROTTLED, credits_left=0), replace(THROTTLED), LOST, LeadsRead({}, credits_left=7)):
        hold = report(probing, answer).hold
        assert hold is not None, answer
        assert hold.kind is HoldKind.CREDITS
        assert 240 <= hold.wait <= 300


def test_credits_that_have_come_back_end_the_hold() -> None:
    probing = replace(PERMIT, hold=Hold(HoldKind.CREDITS, "", 0.0, 5))
    assert report(probing, LeadsRead({}, credits_left=900)).hold is None
    assert report(probing, LeadsRead({})).hold is None  # nothing is told while more than half of them are left


def test_a_429_for_want_of_credits_does_not_lower_the_limit() -> None:
    """It says nothing of how many calls may run at once."""
    found = report(PERMIT, replace(THROTTLED, credits_left=0))
    assert found.learnt is None
    assert found.gate is not None


def test_without_a_reserve_all_credits_are_used_but_what_one_call_costs() -> None:
    rules = CallRules(holding=Holding(reserve=0))

    def hold(left: int) -> Hold | None:
        return after_call(PERMIT, Accepted("7", credits_left=left), now=NOW, chance=0.5, rules=rules).hold

    assert hold(5) is None
    assert hold(4) is not None
