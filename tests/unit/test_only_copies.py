"""A message of ``massconvert.enqueue`` is the only copy of its leads: what becomes of it, whatever goes wrong."""

from __future__ import annotations

import logging
import threading
import time
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest
from celery import Task as CeleryTask
from celery.exceptions import Reject, Retry, SoftTimeLimitExceeded, WorkerShutdown
from kombu.exceptions import OperationalError

import celeryconfig
from massconvert.contract import TASK_ENQUEUE
from massconvert.errors import (
    BrokerError,
    InputError,
    KeyConflictError,
    LedgerError,
    LedgerMismatchError,
    NotConfiguredError,
    OptionsError,
    SettingsError,
    StoreError,
)
from massconvert.ledger import Letters, letters
from massconvert.ledger.chunks import LONGEST_COUNTDOWN
from massconvert.policy import messages
from massconvert.policy.messages import Fate, after_failure
from massconvert.profiles import Accounts
from massconvert.store import Keys, Scripts
from massconvert.store.refusals import TABLE, RefusalKind
from workers import only_copies
from workers.celery import app

NOW = 1_795_514_400.0
BUGS = (
    ZeroDivisionError("a bug"),
    MemoryError(),
    SoftTimeLimitExceeded(),
    RecursionError(),
    SystemExit(3),
    KeyError("x"),
)
REFUSALS = (InputError("No ids."), OptionsError("No options."), KeyConflictError("Another's key."))
SETTINGS = (SettingsError("massconvert.toml is wrong."), NotConfiguredError("There is no profile 'nightly'."))


# --- the rule


@pytest.mark.parametrize(
    "code", [code for code, meaning in TABLE.items() if meaning.kind is not RefusalKind.BROKEN and code]
)
def test_what_redis_refuses_never_ends_a_message(code: str) -> None:
    """However often; and it is tried again soon, since its leads wait for nothing else."""
    for tries in (0, 5, 100, 100_000):
        verdict = after_failure(StoreError("Redis refuses.", code=code), tries, chance=0.999)
        assert verdict.fate is Fate.BACK
        assert 0 < verdict.pause <= messages.LONGEST_PAUSE_FOR_REDIS


@pytest.mark.parametrize("error", [*BUGS, *SETTINGS, LedgerError("It cannot be read."), StoreError("FROZEN")])
def test_anything_else_comes_back_with_a_growing_pause_and_then_waits_for_a_person(error: BaseException) -> None:
    pauses = []
    for tries in range(1000):
        verdict = after_failure(error, tries, chance=0.5)
        pauses.append(verdict.pause)
        if verdict.fate is Fate.ASIDE:
            break
        assert verdict.fate is Fate.BACK
    else:
        pytest.fail("it is never set aside")
    assert tries == (messages.TRIES_OF_A_BUG if error in BUGS else messages.TRIES_OF_THE_REST)
    assert pauses == sorted(pauses)
    assert pauses[0] < 1.5
    assert max(pauses) <= messages.LONGEST_PAUSE


def test_no_message_is_set_aside_in_another_organisation_s_ledger() -> None:
    assert after_failure(LedgerMismatchError("Another's."), 100_000, chance=0.0).fate is Fate.BACK


@pytest.mark.parametrize("error", REFUSALS)
def test_only_our_validation_refuses(error: BaseException) -> None:
    assert after_failure(error, 0, chance=0.0).fate is Fate.REFUSED


def test_leads_that_are_in_the_ledger_are_taken() -> None:
    assert after_failure(BrokerError("away"), 0, chance=0.0).fate is Fate.TAKEN


def test_the_longest_pause_is_far_below_the_visibility_timeout() -> None:
    """A message that is held for longer is delivered again, and its copies double."""
    longest = max(messages.LONGEST_PAUSE, messages.LONGEST_PAUSE_FOR_REDIS)
    assert longest <= LONGEST_COUNTDOWN
    options: Any = celeryconfig.broker_transport_options
    assert longest * 4 < options["visibility_timeout"]


# --- in a worker


class Fleet:
    """Accounts over a fake Redis, which may be away; ``used`` counts how often the letters were asked for."""

    def __init__(self) -> None:
        self.server = fakeredis.FakeServer()
        self.redis: Any = fakeredis.FakeRedis(server=self.server, decode_responses=True)
        self.accounts = Accounts({"MASSCONVERT_CONFIG": "no-such-file.toml"}, dotenv=None)
        self.used = 0

    @property
    def lines(self) -> Any:
        self.used += 1
        return SimpleNamespace(clients=SimpleNamespace(of=lambda _account: self.redis))

    @property
    def box(self) -> Letters:
        return Letters(self.redis, Keys("default"), Scripts(self.redis))

    def now(self) -> float:
        seconds, micros = self.redis.time()
        return float(seconds) + float(micros) / 1e6


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    made = Fleet()
    monkeypatch.setattr(only_copies, "workshops", lambda: made)
    app.loader.import_default_modules()
    return made


def deliver(error: BaseException | None, *, tries: int = 0, redelivered: bool = False, kwargs: Any = None) -> Any:
    """Deliver a message as a worker does: "acknowledged", or the seconds in which it comes back."""
    kwargs = {"lead_ids": ["1", "2"], "key": "k"} if kwargs is None else kwargs

    def run(*_: Any, **__: Any) -> str:
        if error is not None:
            raise error
        return "k"

    task = app.tasks[TASK_ENQUEUE]
    info = {"redelivered": redelivered}
    task.push_request(
        id="m1", called_directly=False, is_eager=True, args=[], kwargs=kwargs, retries=tries, delivery_info=info
    )
    patch = pytest.MonkeyPatch()
    patch.setattr(task, "run", run)
    try:
        task(**kwargs)
    except Retry as retry:
        return retry.when
    finally:
        patch.undo()
        task.pop_request()
    return "acknowledged"


@pytest.mark.parametrize(
    "error", [*BUGS, *SETTINGS, LedgerError("It cannot be read."), StoreError("x", code="NOREPLICAS")]
)
def test_whatever_goes_wrong_the_message_comes_back(
    fleet: Fleet, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """And everybody can see that it does; with a traceback the first time, where it is a bug."""
    assert 0 < deliver(error) < 2
    (late,) = fleet.box.late(now=fleet.now())
    assert (late.id, late.times) == ("m1", 1)
    assert late.since == pytest.approx(fleet.now(), abs=60)
    assert late.why
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "the message m1 was not taken" in record.getMessage()
    assert bool(record.exc_info) is (error in BUGS)
    assert deliver(None, tries=1) == "acknowledged"
    assert fleet.box.late(now=fleet.now()) == []


def test_celery_s_own_signals_pass(fleet: Fleet) -> None:
    with pytest.raises(WorkerShutdown):
        deliver(WorkerShutdown(0))


@pytest.mark.parametrize("error", REFUSALS)
def test_what_is_refused_is_kept_for_a_person_and_acknowledged(
    fleet: Fleet, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    assert deliver(error) == "acknowledged"
    (letter,) = fleet.box.latest("refused")
    assert (letter.id, letter.why, letter.leads, letter.key, letter.tries) == ("m1", str(error), 2, "k", 1)
    assert fleet.box.read("m1").kwargs == {"lead_ids": ["1", "2"], "key": "k"}
    assert "massconvert letters" in caplog.text


def test_other_arguments_than_the_task_s_are_refused(fleet: Fleet) -> None:
    assert deliver(None, kwargs={"lead_ids": ["1"], "colour": "red"}) == "acknowledged"
    (letter,) = fleet.box.latest("refused")
    assert "other arguments" in letter.why
    assert "colour" in letter.why


def test_a_message_that_fails_for_ever_is_set_aside_whole(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    for tries in range(messages.TRIES_OF_A_BUG):
        assert deliver(ZeroDivisionError("a bug"), tries=tries) != "acknowledged"
    assert deliver(ZeroDivisionError("a bug"), tries=messages.TRIES_OF_A_BUG) == "acknowledged"
    (letter,) = fleet.box.latest("stuck")
    assert (letter.why, letter.tries, letter.leads) == ("ZeroDivisionError: a bug", messages.TRIES_OF_A_BUG + 1, 2)
    assert fleet.box.read("m1").kwargs["lead_ids"] == ["1", "2"]
    assert fleet.box.late(now=fleet.now()) == []
    assert "set aside" in caplog.text


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), *REFUSALS])
def test_without_a_ledger_to_keep_it_in_it_just_keeps_coming_back(fleet: Fleet, error: BaseException) -> None:
    fleet.server.connected = False
    assert deliver(error, tries=500) <= messages.LONGEST_PAUSE
    fleet.server.connected = True
    assert deliver(error, tries=501) == "acknowledged"


def test_where_there_is_no_room_the_broker_keeps_it(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that was set aside is dropped for another."""
    monkeypatch.setattr(letters, "MOST", 0)
    fleet.redis.zadd("mc:{default}:letters:stuck", {"other": NOW})
    assert deliver(ZeroDivisionError(), tries=500) <= messages.LONGEST_PAUSE
    assert fleet.redis.zrange("mc:{default}:letters:stuck", 0, -1) == ["other"]


def test_a_message_whose_process_ends_each_time_is_set_aside_without_a_try(fleet: Fleet) -> None:
    """Nobody could count its tries otherwise: there is nobody left to send it again."""
    for _ in range(messages.DELIVERIES - 1):
        fleet.box.note("m1", "its worker ended before it was done")
    assert deliver(ZeroDivisionError("it is not tried"), redelivered=True) == "acknowledged"
    (letter,) = fleet.box.latest("stuck")
    assert "its worker ended" in letter.why


def test_a_message_that_was_delivered_again_and_is_taken_leaves_nothing(fleet: Fleet) -> None:
    assert deliver(None, redelivered=True) == "acknowledged"
    assert fleet.redis.keys() == []


def test_a_message_that_is_taken_at_once_costs_redis_nothing(fleet: Fleet) -> None:
    assert deliver(None) == "acknowledged"
    assert fleet.used == 0


def test_it_is_kept_with_the_account_that_it_names_if_there_is_such_a_one(fleet: Fleet) -> None:
    """Else with the first that is served: somebody must find it."""
    for account in ("emea", "default", 5):
        assert deliver(InputError("No ids."), kwargs={"lead_ids": [], "account": account}) == "acknowledged"
        assert fleet.box.drop("m1")


def test_celery_acknowledges_none_that_a_limit_or_a_lost_process_cut_off() -> None:
    task = app.tasks[TASK_ENQUEUE]
    assert (task.acks_late, task.acks_on_failure_or_timeout, task.reject_on_worker_lost) == (True, False, True)
    assert task.max_retries is None


# --- where the broker takes nothing either


def unsent(*_: Any, **__: Any) -> None:
    """Celery's own retry, where it cannot publish."""
    raise Reject(OperationalError("Connection refused."), requeue=False)


def test_one_that_cannot_be_sent_again_is_handed_back_after_a_pause(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker delivers it again at once: without a pause that is a tight loop."""
    monkeypatch.setattr(CeleryTask, "retry", unsent)
    monkeypatch.setattr(only_copies, "PAUSE", 0.2)
    began = time.monotonic()
    with pytest.raises(Reject) as rejected:
        deliver(ZeroDivisionError())
    assert rejected.value.requeue is True
    assert 0.15 < time.monotonic() - began < 5


def test_a_worker_that_is_told_to_end_does_not_wait(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping = threading.Event()
    monkeypatch.setattr(only_copies, "_stopping", stopping)
    monkeypatch.setattr(CeleryTask, "retry", unsent)
    only_copies._stop()
    assert stopping.is_set()
    began = time.monotonic()
    with pytest.raises(Reject):
        deliver(ZeroDivisionError())
    assert time.monotonic() - began < 1
