"""How a batch begins: its priority, its canary, and how people pause and resume it."""

from __future__ import annotations

from typing import Any

import fakeredis
import pytest

from massconvert.errors import InputError, UnknownBatchError
from massconvert.ledger import Ledger
from massconvert.model import HELD_FOR_CANARY, BatchState, Canary, Priority
from massconvert.options import parse_canary, parse_priority
from massconvert.policy import Tuning, most_failures, priority_of
from massconvert.producer.intake import Intake
from massconvert.producer.message import take_message
from tests.stand_ins import Clock, Told

NOW = 1_800_000_000.0
IDS = [str(3652397000009850001 + number) for number in range(120)]
BODY = {"Deals": {"Deal_Name": "Renewal"}}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(fakeredis.FakeRedis(decode_responses=True), "default", Tuning())


@pytest.fixture
def intake(ledger: Ledger, told: Told) -> Intake:
    nudge: Any = told
    return Intake(ledger, Clock(NOW), nudge)


@pytest.mark.parametrize(
    ("wanted", "leads", "found"),
    [
        (None, 1, Priority.INTERACTIVE),
        (None, 10, Priority.INTERACTIVE),
        (None, 11, Priority.BULK),
        (Priority.BULK, 1, Priority.BULK),
        (Priority.INTERACTIVE, 1_000_000, Priority.INTERACTIVE),
    ],
)
def test_small_batches_are_interactive_and_the_callers_word_goes_first(
    wanted: Priority | None, leads: int, found: Priority
) -> None:
    assert priority_of(wanted, leads) is found


@pytest.mark.parametrize(
    ("leads", "max_failed", "most"),
    [(50, None, -1), (50, 0.0, 0), (50, 5.0, 2), (50, 100.0, 50), (100, 7.0, 7), (1, 99.0, 0), (3, 100 / 3, 1)],
)
def test_a_canary_may_lose_so_many_leads_and_go_on_by_itself(leads: int, max_failed: float | None, most: int) -> None:
    assert most_failures(Canary(leads, max_failed)) == most


@pytest.mark.parametrize("value", ["urgent", "", 1, "INTERACTIVE"])
def test_a_priority_that_is_none_is_refused_and_the_two_are_named(value: Any) -> None:
    with pytest.raises(InputError, match=r"'interactive' or 'bulk'"):
        parse_priority(value)


@pytest.mark.parametrize(
    ("leads", "max_failed", "words"),
    [
        (0, None, "number of leads"),
        (-1, None, "number of leads"),
        ("50", None, "number of leads"),
        (True, None, "number of leads"),
        (50, 101, "percentage"),
        (50, -1, "percentage"),
        (50, "5", "percentage"),
        (50, float("nan"), "percentage"),
        (None, 5, "needs a canary"),
    ],
)
def test_a_canary_that_is_none_is_refused_in_words(leads: Any, max_failed: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_canary(leads, max_failed)


def test_no_canary_and_no_priority_are_fine() -> None:
    assert parse_canary(None, None) is None
    assert parse_priority(None) is None
    assert parse_canary(50, 2) == Canary(50, 2)


def test_a_task_message_says_its_priority_and_its_canary_in_the_same_words(intake: Intake, ledger: Ledger) -> None:
    options = {"Deals": {"Deal_Name": "Renewal", "Stage": "Closed Won", "Closing_Date": "+30d"}}
    take_message(intake, IDS, options, "m", priority="interactive", canary=50, canary_max_failed=2)
    assert len(ledger.chunks.form(now=NOW + 2).chunk_ids) == 1
    status = ledger.batches.status("m")
    assert (status.state, status.held) == (BatchState.PAUSED, HELD_FOR_CANARY)
    with pytest.raises(InputError):
        take_message(intake, IDS, options, "n", priority="urgent")
    with pytest.raises(UnknownBatchError):
        ledger.batches.status("n")


def test_resuming_a_batch_tells_the_workers_of_each_chunk_that_waited(
    intake: Intake, ledger: Ledger, told: Told
) -> None:
    intake.take(IDS, BODY, key="k")
    (chunk,) = ledger.chunks.form(now=NOW + 2).chunk_ids
    assert intake.pause("k", reason="why")
    assert ledger.batches.status("k").held == "why"
    assert intake.resume("k")
    assert told.chunks == [chunk]
    assert not intake.resume("k")
    assert told.chunks == [chunk]


def test_a_broker_that_is_away_does_not_keep_a_batch_from_going_on(intake: Intake, ledger: Ledger, told: Told) -> None:
    """The ledger has it; the workers' sweep finds what is due."""
    intake.take(IDS, BODY, key="k")
    (chunk,) = ledger.chunks.form(now=NOW + 2).chunk_ids
    intake.pause("k", reason="why")
    told.away = True
    assert intake.resume("k")
    assert ledger.batches.status("k").state is BatchState.RUNNING
    assert [overdue.chunk_id for overdue in ledger.chunks.overdue(now=NOW + 2)] == [chunk]
