"""Enqueue from Python: what is accepted, what is refused, and what a call that was interrupted leaves behind."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import pytest

from massconvert.errors import (
    BrokerError,
    InputError,
    KeyConflictError,
    OptionsError,
    StoreError,
    UnknownBatchError,
    WaitTimeoutError,
)
from massconvert.ledger import Ledger
from massconvert.model import BatchState, BatchStatus, Chunk, Code, Done, Kind, LeadRow, Outcome, Refused, State, Why
from massconvert.options import fingerprint
from massconvert.policy import Decision, Moment, Row, Tuning, after_post
from massconvert.producer import intake
from massconvert.producer import mass_convert as producer
from massconvert.producer.batch import Batch
from massconvert.producer.intake import SLICE, Intake
from massconvert.producer.mass_convert import MassConvert
from massconvert.producer.message import take_message
from massconvert.settings import Settings
from massconvert.store import Keys
from tests.stand_ins import Clock, Told

OPTIONS = {"Deals": {"Deal_Name": "Renewal", "Stage": "Closed Won", "Closing_Date": "+30d"}}
OTHER = {"Deals": {"Deal_Name": "Other", "Stage": "Closed Won", "Closing_Date": "+30d"}}
NOW = 1_800_000_000.0
A, B, C = "3652397000009850001", "3652397000009851001", "3652397000009852001"
TUNING = Tuning()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def ledger(redis_client: Any) -> Ledger:
    return Ledger(redis_client, "default", TUNING)


@pytest.fixture
def mc(redis_client: Any, told: Told, monkeypatch: pytest.MonkeyPatch) -> MassConvert:
    """The producer as an app has it, on a Redis and a broker of the test's own."""
    monkeypatch.setattr(producer, "connect", lambda url, account: redis_client)
    monkeypatch.setattr(producer, "Nudge", lambda url, account: told)
    monkeypatch.setattr(producer, "RedisClock", lambda _redis: Clock(NOW))
    return MassConvert(Settings())


def many(count: int) -> list[str]:
    return [str(3652397000009850001 + number) for number in range(count)]


def fail_all(ledger: Ledger, code: str = "MANDATORY_NOT_FOUND") -> None:
    """Zoho refuses the options of everything that waits."""
    now = NOW + TUNING.linger
    for chunk_id in ledger.chunks.form(now=now).chunk_ids:
        chunk = ledger.chunks.claim(chunk_id, [State.WAITING], token="t", now=now)
        assert isinstance(chunk, Chunk)
        sending = ledger.chunks.begin_send(chunk, now=now)
        assert sending is not None
        decision = after_post(sending, Refused(400, code, "no"), Moment(now, 0.0, TUNING))
        assert ledger.chunks.move(sending, decision, now=now)
    while ledger.chunks.drain(now=now):
        pass


# --- what is accepted


def test_enqueue_returns_the_batch_with_its_counts_at_once(mc: MassConvert) -> None:
    batch = mc.enqueue([A, B, A, B, B], OPTIONS, key="import-1")
    assert (batch.id, batch.accepted, batch.duplicates, batch.invalid) == ("import-1", 2, 3, 0)
    status = batch.progress()
    assert (status.total, status.waiting, status.sealed, status.state) == (2, 2, True, BatchState.RUNNING)
    assert list(batch.outcomes()) == [LeadRow(A, None), LeadRow(B, None)]
    assert batch.options() == OPTIONS


def test_ids_may_be_whole_numbers_and_have_zohos_export_prefix(mc: MassConvert) -> None:
    batch = mc.enqueue([int(A), f"zcrm_{A}", f" {B} "], OPTIONS)
    assert (batch.accepted, batch.duplicates) == (2, 1)
    assert [row.lead_id for row in batch.outcomes()] == [A, B]


def test_ids_may_come_from_a_generator(mc: MassConvert) -> None:
    assert mc.enqueue((lead for lead in (A, B)), OPTIONS).accepted == 2


def test_a_batch_without_a_key_has_a_name_of_its_own(mc: MassConvert) -> None:
    first, second = mc.enqueue([A], OPTIONS), mc.enqueue([B], OPTIONS)
    assert first.id != second.id
    assert mc.batch(first.id).progress().total == 1


def test_an_enqueue_of_nothing_is_a_finished_batch(mc: MassConvert) -> None:
    status = mc.enqueue([], OPTIONS).wait(timeout=0)
    assert (status.total, status.finished) == (0, True)


def test_a_lead_that_is_in_flight_in_another_batch_is_skipped_there_and_then(mc: MassConvert) -> None:
    mc.enqueue([A], OPTIONS, key="first")
    batch = mc.enqueue([A, B], OPTIONS, key="second")
    assert (batch.accepted, batch.already_queued) == (1, 1)
    assert batch.progress().already_queued == 1
    outcome = {row.lead_id: row.outcome for row in batch.outcomes()}[A]
    assert outcome is not None
    assert (outcome.kind, outcome.code) == (Kind.SKIPPED, Code.ALREADY_QUEUED)
    assert batch.progress().waiting == 1


def test_a_bulk_does_not_wait_for_company_and_a_few_leads_do(mc: MassConvert, ledger: Ledger, told: Told) -> None:
    mc.enqueue(many(60), OPTIONS)
    assert told.countdowns[-1] == 0.0
    assert len(ledger.chunks.form(now=NOW).chunk_ids) == 1  # one at a time until Zoho has accepted such options
    told.countdowns.clear()
    mc.enqueue([A[:-4] + "9998"], OTHER)
    assert told.countdowns == [0.0]  # the first into a quiet inbox
    assert len(ledger.chunks.form(now=NOW).chunk_ids) == 1


def test_the_end_of_a_bulk_is_told_so_that_its_tail_goes_at_once(
    mc: MassConvert, ledger: Ledger, told: Told, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers have formed what was full; the rest waits for company that will not come."""
    redis_client.hset(Keys("default").options(fingerprint(OPTIONS)), "accepted", 1)
    monkeypatch.setattr(intake, "SLICE", 60)

    def work(taken: int) -> None:
        ledger.chunks.form(now=NOW)

    mc.enqueue(many(69), OPTIONS, on_progress=work)
    assert told.countdowns == [0.0, 0.0]


def test_a_large_batch_goes_in_slices_and_says_how_far_it_is(mc: MassConvert) -> None:
    seen: list[int] = []
    batch = mc.enqueue(many(2 * SLICE + 5), OPTIONS, on_progress=seen.append)
    assert batch.accepted == 2 * SLICE + 5
    assert seen == sorted(set(seen))
    assert seen[-1] == 2 * SLICE + 5
    assert batch.progress().total == 2 * SLICE + 5


# --- what is refused


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("abc", "is not a string of digits"),
        ("3.6524E+18", "rounded"),
        (3.6524e18, "rounded"),
        ("", "is empty"),
        (None, "is missing"),
        (True, "is a bool"),
        ("0123", "begins with 0"),
        ("9223372036854775808", "has 19 digits"),
        (-5, "outside the range"),
    ],
)
def test_an_id_that_is_none_refuses_the_whole_call(mc: MassConvert, redis_client: Any, wrong: Any, reason: str) -> None:
    with pytest.raises(InputError, match="nothing was enqueued") as caught:
        mc.enqueue([A, wrong, B], OPTIONS)
    assert reason in str(caught.value)
    assert redis_client.keys() == []


def test_the_first_twenty_wrong_ids_are_named_and_the_others_counted(mc: MassConvert) -> None:
    with pytest.raises(InputError, match=r"^25 of the lead ids are not ids") as caught:
        mc.enqueue([f"x{number}" for number in range(25)], OPTIONS)
    assert "x19" in str(caught.value)
    assert "x20" not in str(caught.value)
    assert "and 5 more" in str(caught.value)


def test_skip_invalid_enqueues_the_others_and_counts(mc: MassConvert) -> None:
    batch = mc.enqueue([A, "abc", B, "abc", "1.5"], OPTIONS, skip_invalid=True)
    assert (batch.accepted, batch.invalid) == (2, 2)
    assert batch.progress().total == 2


def test_one_string_is_not_taken_for_a_list_of_ids(mc: MassConvert) -> None:
    with pytest.raises(InputError, match="not one string"):
        mc.enqueue(A, OPTIONS)


def test_wrong_options_refuse_the_call_with_their_path(mc: MassConvert, redis_client: Any) -> None:
    with pytest.raises(OptionsError) as caught:
        mc.enqueue([A], {"Deals": {"Deal_Name": "Renewal"}})
    assert "$.Deals.Stage" in str(caught.value)
    assert redis_client.keys() == []


@pytest.mark.parametrize("key", ["", "a b", "a/b", "{x}", "x" * 300])
def test_a_key_that_can_name_no_batch_is_refused(mc: MassConvert, redis_client: Any, key: str) -> None:
    with pytest.raises(InputError, match="cannot name a batch"):
        mc.enqueue([A], OPTIONS, key=key)
    assert redis_client.keys() == []


# --- the same key again


def test_the_same_key_with_the_same_options_is_the_same_batch(mc: MassConvert) -> None:
    mc.enqueue([A, B], OPTIONS, key="k")
    again = mc.enqueue([A, B, C], OPTIONS, key="k")
    assert (again.accepted, again.duplicates) == (1, 2)
    assert mc.batch("k").progress().total == 3


def test_the_same_key_with_other_options_is_refused(mc: MassConvert) -> None:
    mc.enqueue([A], OPTIONS, key="k")
    with pytest.raises(KeyConflictError, match="'k' was used before with other options"):
        mc.enqueue([B], OTHER, key="k")
    assert mc.batch("k").progress().total == 1


class Interrupted(Collection[Any]):
    """Ids whose reader dies in the middle of the second slice, as a process does."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids
        self._reads = 0

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, value: object) -> bool:
        return value in self._ids

    def __iter__(self) -> Iterator[Any]:
        self._reads += 1
        for number, lead in enumerate(self._ids):
            if self._reads > 1 and number == SLICE + 10:  # the first reading only checks
                raise KeyboardInterrupt
            yield lead


def test_an_interrupted_enqueue_goes_on_with_the_same_key(mc: MassConvert) -> None:
    ids = many(2 * SLICE)
    with pytest.raises(KeyboardInterrupt):
        mc.enqueue(Interrupted(ids), OPTIONS, key="k")
    half = mc.batch("k").progress()
    assert (half.total, half.sealed, half.finished) == (SLICE, False, False)
    batch = mc.enqueue(ids, OPTIONS, key="k")
    assert (batch.accepted, batch.duplicates) == (SLICE, SLICE)
    whole = batch.progress()
    assert (whole.total, whole.waiting, whole.sealed) == (2 * SLICE, 2 * SLICE, True)
    assert sorted(row.lead_id for row in batch.outcomes()) == ids


def test_an_enqueue_whose_redis_goes_away_says_so_and_goes_on_with_the_same_key(
    mc: MassConvert, redis_client: Any
) -> None:
    server = redis_client.connection_pool.connection_kwargs["server"]

    def unplug(taken: int) -> None:
        server.connected = False

    with pytest.raises(StoreError):
        mc.enqueue(many(SLICE + 1), OPTIONS, key="k", on_progress=unplug)
    server.connected = True
    assert mc.enqueue(many(SLICE + 1), OPTIONS, key="k").duplicates == SLICE
    assert mc.batch("k").progress().total == SLICE + 1


# --- the broker


def test_with_the_broker_away_the_leads_are_safe_and_the_caller_is_told(mc: MassConvert, told: Told) -> None:
    told.away = True
    with pytest.raises(BrokerError, match="accepted as batch k, but no worker could be told") as caught:
        mc.enqueue([A, B], OPTIONS, key="k")
    assert "the same key is safe" in caught.value.hint
    status = mc.batch("k").progress()
    assert (status.total, status.waiting, status.sealed) == (2, 2, True)
    told.away = False
    assert mc.enqueue([A, B], OPTIONS, key="k").duplicates == 2


# --- what became of it


def test_an_unknown_batch_is_told(mc: MassConvert) -> None:
    with pytest.raises(UnknownBatchError, match="no batch 'nobody'"):
        mc.batch("nobody")
    with pytest.raises(UnknownBatchError):
        mc.cancel("nobody")


def test_wait_returns_the_final_counts(mc: MassConvert, ledger: Ledger) -> None:
    batch = mc.enqueue([A], OPTIONS)
    seen: list[BatchStatus] = []

    def meanwhile(seconds: float) -> None:
        assert 0 < seconds <= 1.0
        fail_all(ledger)

    status = batch.wait(on_progress=seen.append, pause=meanwhile)
    assert (status.state, status.failed) == (BatchState.FINISHED, 1)
    assert [look.finished for look in seen] == [False, True]


def test_wait_that_runs_out_says_how_to_go_on_watching(mc: MassConvert) -> None:
    batch = mc.enqueue([A, B], OPTIONS, key="k")
    with pytest.raises(WaitTimeoutError, match=r"0 of 2 leads have ended") as caught:
        batch.wait(timeout=0)
    assert caught.value.hint == "To go on watching: massconvert status k --watch"
    assert not batch.progress().finished


def test_cancel_ends_what_was_not_sent_and_is_safe_to_repeat(mc: MassConvert, ledger: Ledger, told: Told) -> None:
    batch = mc.enqueue([A, B], OPTIONS)
    told.countdowns.clear()
    assert mc.cancel(batch.id) == (2, 0)
    assert told.countdowns == [0.0]  # somebody must end them
    while ledger.chunks.drain(now=NOW):
        pass
    status = batch.progress()
    assert (status.state, status.cancelled) == (BatchState.CANCELLED, 2)
    assert mc.cancel(batch.id) == (0, 0)


# --- values of single leads' deals


def test_what_leads_bring_for_their_deals_comes_into_the_batch(mc: MassConvert, ledger: Ledger) -> None:
    mc.enqueue([A, B], OPTIONS, key="k", deal_values={A: {"Amount": 1000, "Type": None}, B: {}})
    assert ledger.batches.deal_values("k", [A, B]) == {A: '{"Amount":1000}'}


def test_a_message_brings_them_by_the_same_word(ledger: Ledger, told: Told) -> None:
    intake = Intake(ledger, Clock(NOW), told)  # type: ignore[arg-type]  # notes what it is told
    take_message(intake, [A, "abc"], OPTIONS, "m", deal_values={A: {"Amount": 1000}})
    assert ledger.batches.deal_values("m", [A]) == {A: '{"Amount":1000}'}
    with pytest.raises(InputError, match="Annual Revenue"):
        take_message(intake, [A], OPTIONS, "n", deal_values={A: {"Annual Revenue": 1}})
    with pytest.raises(UnknownBatchError):
        ledger.batches.status("n")


def test_nothing_is_enqueued_where_they_are_wrong_or_no_deal_is_made(mc: MassConvert) -> None:
    for options, values, told in (
        (OPTIONS, {C: {"Amount": 1}}, "is not among the leads"),
        ({}, {A: {"Amount": 1}}, "the options make no deal"),
    ):
        with pytest.raises(InputError, match=told):
            mc.enqueue([A, B], options, key="k", deal_values=values)
        with pytest.raises(InputError, match=told):
            mc.check([A, B], options, key="k", deal_values=values)
        with pytest.raises(UnknownBatchError):
            mc.batch("k")


# --- retry


def test_retry_enqueues_the_failed_leads_again_with_fixed_options(mc: MassConvert, ledger: Ledger) -> None:
    mc.enqueue([A, B], OPTIONS, key="k")
    fail_all(ledger)
    retried = mc.retry("k", options=OTHER)
    assert retried.id.startswith("k.")
    assert retried.options() == OTHER
    assert [row.lead_id for row in retried.outcomes()] == [A, B]
    assert retried.progress().waiting == 2
    assert mc.batch("k").progress().failed == 2  # the old batch keeps its truth


def test_retry_twice_is_the_same_batch(mc: MassConvert, ledger: Ledger) -> None:
    mc.enqueue([A, B], OPTIONS, key="k")
    fail_all(ledger)
    first = mc.retry("k", options=OTHER)
    assert mc.retry("k", options=OTHER).id == first.id
    assert first.progress().total == 2


def test_retry_takes_only_the_codes_and_leads_that_are_named(mc: MassConvert, ledger: Ledger) -> None:
    mc.enqueue([A, B], OPTIONS, key="k")
    fail_all(ledger)
    assert [row.lead_id for row in mc.retry("k", options=OTHER, lead_ids=[B]).outcomes()] == [B]
    with pytest.raises(InputError, match="no failed leads to retry"):
        mc.retry("k", codes=["NOT_FOUND"])


NAMED = {"Deals": {"Deal_Name": "{Company} renewal", "Stage": "Closed Won", "Closing_Date": "+30d"}}


@pytest.fixture
def undealt(mc: MassConvert, ledger: Ledger) -> MassConvert:
    """A batch k: A is converted and its deal could not be updated, B failed, C is converted."""
    mc.enqueue([A, B, C], NAMED, key="k")
    (chunk_id,) = ledger.chunks.form(now=NOW + TUNING.linger).chunk_ids
    chunk = ledger.chunks.claim(chunk_id, [State.WAITING], token="t", now=NOW + TUNING.linger)
    assert isinstance(chunk, Chunk)
    outcomes = {
        A: Outcome(Kind.CONVERTED, Code.DEAL_NOT_UPDATED, "NO_PERMISSION: permission denied"),
        B: Outcome(Kind.FAILED, "NOT_FOUND", "gone"),
        C: Outcome(Kind.CONVERTED),
    }
    decision = Decision(Row.SETTLED, replace(chunk, state=State.DONE), Done(), outcomes=outcomes)
    assert ledger.chunks.move(chunk, decision, now=NOW)
    return mc


def test_deals_that_were_not_updated_are_tried_again_without_a_conversion(undealt: MassConvert, ledger: Ledger) -> None:
    retried = undealt.retry("k", deals=True)
    assert [row.lead_id for row in retried.outcomes()] == [A]
    (chunk_id,) = ledger.chunks.form(now=NOW + TUNING.linger).chunk_ids
    chunk = ledger.chunks.claim(chunk_id, [State.SETTLING], token="t", now=NOW + TUNING.linger)
    assert isinstance(chunk, Chunk)
    assert (chunk.state, chunk.why, chunk.deal) == (State.SETTLING, Why.IDS, {"Deal_Name": "{Company} renewal"})


def test_a_retry_of_deals_twice_is_the_same_batch_and_none_of_failures(undealt: MassConvert) -> None:
    first = undealt.retry("k", deals=True)
    again = undealt.retry("k", deals=True)
    assert (again.id, again.accepted) == (first.id, 0)
    failures = undealt.retry("k")
    assert [row.lead_id for row in failures.outcomes()] == [B]
    assert failures.options() == NAMED


def test_a_retry_of_deals_takes_fixed_templates_alone(undealt: MassConvert) -> None:
    """What else stands in the options is about a conversion, and may have changed in the organisation since."""
    fixed = {**NAMED, "Deals": {**NAMED["Deals"], "Deal_Name": "{Last_Name}"}, "assign_to": {"id": "6"}}
    assert undealt.retry("k", deals=True, options=fixed).options() == {
        "Deals": {"Deal_Name": "{Last_Name}"},
        "$": {"deals_only": True},
    }
    with pytest.raises(InputError, match="nothing that the deals of batch k could be updated with"):
        undealt.retry("k", deals=True, options=OPTIONS)


def test_nobody_else_can_say_that_leads_are_converted(mc: MassConvert) -> None:
    """Leads that somebody else converted keep their deals."""
    with pytest.raises(OptionsError, match="deals_only"):
        mc.enqueue([A], {**NAMED, "$": {"deals_only": True}})


def test_a_retry_of_the_wrong_kind_says_which_there_is(undealt: MassConvert, ledger: Ledger) -> None:
    made = undealt.retry("k", lead_ids=[B])
    with pytest.raises(InputError, match="has no deals to update again") as caught:
        undealt.retry(made.id, deals=True)
    assert caught.value.hint == f"To see its outcomes: massconvert report {made.id}"
    with pytest.raises(InputError, match=r"with NOT_FOUND\. Its codes: DEAL_NOT_UPDATED") as caught:
        undealt.retry("k", deals=True, codes=["NOT_FOUND"])
    assert caught.value.hint == "Leads of it failed. To try those again: massconvert retry k"
    with pytest.raises(InputError, match="no failed leads to retry") as caught:
        undealt.retry("k", lead_ids=[A])
    assert caught.value.hint == "Deals of it were not updated. To try those again: massconvert retry k --deals"


def test_retry_leaves_what_is_no_id_and_what_did_not_fail(mc: MassConvert, ledger: Ledger, told: Told) -> None:
    intake = Intake(ledger, Clock(NOW), told)  # type: ignore[arg-type]  # stands in for the nudge
    take_message(intake, ["abc"], OPTIONS, "k")
    with pytest.raises(InputError, match="Batch k has no failed leads to retry"):
        mc.retry("k")


# --- a task message


def test_a_message_with_wrong_ids_ends_them_in_its_batch_and_takes_the_others(ledger: Ledger, told: Told) -> None:
    """Nobody is there to be told."""
    intake = Intake(ledger, Clock(NOW), told)  # type: ignore[arg-type]  # stands in for the nudge
    batch = take_message(intake, [A, "abc", None, B], OPTIONS, "m1")
    assert isinstance(batch, Batch)
    assert (batch.accepted, batch.invalid) == (2, 2)
    outcomes = {row.lead_id: row.outcome for row in batch.outcomes()}
    assert outcomes[A] is None
    assert outcomes["abc"] == Outcome(Kind.FAILED, Code.INVALID_ID, "is not a string of digits")
    status = batch.progress()
    assert (status.total, status.waiting, status.failed) == (4, 2, 2)


def test_a_message_that_is_delivered_twice_is_one_batch(ledger: Ledger, told: Told) -> None:
    intake = Intake(ledger, Clock(NOW), told)  # type: ignore[arg-type]  # stands in for the nudge
    for _ in range(2):
        batch = take_message(intake, [A, "abc"], OPTIONS, "m1")
    assert batch.progress().total == 2


@pytest.mark.parametrize("ids", ["123", {"a": 1}, 5, None])
def test_a_message_that_holds_no_list_is_refused(ledger: Ledger, told: Told, redis_client: Any, ids: Any) -> None:
    intake = Intake(ledger, Clock(NOW), told)  # type: ignore[arg-type]  # stands in for the nudge
    with pytest.raises(InputError, match="takes a list of lead ids"):
        take_message(intake, ids, OPTIONS, "m1")
    assert redis_client.keys() == []


def test_a_batch_can_be_paused_resumed_cancelled_and_tried_again_by_its_own_hand(mc: MassConvert) -> None:
    batch = mc.enqueue([A, B], OPTIONS, key="k")
    assert batch.pause(reason="wrong owner", by="shop: Ann")
    held = batch.progress()
    assert (held.state, held.held, held.held_by) == (BatchState.PAUSED, "wrong owner", "shop: Ann")
    assert batch.resume()
    assert not batch.resume()
    assert mc.batch("k").cancel() == (2, 0)
    assert not batch.pause()


def test_a_batch_that_failed_is_tried_again_by_its_own_hand(mc: MassConvert, ledger: Ledger) -> None:
    batch = mc.enqueue([A, B], OPTIONS, key="k")
    with pytest.raises(InputError, match="no failed leads"):
        batch.retry()
    fail_all(ledger)
    again = batch.retry(options=OTHER, lead_ids=[B])
    assert [row.lead_id for row in again.outcomes()] == [B]
    assert again.cancel() == (1, 0)
