"""The tasks, each with a workshop that answers as told."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Signature
from celery import Task as CeleryTask
from celery.exceptions import Reject, Retry
from kombu.exceptions import OperationalError

from massconvert.contract import (
    TASK_CALL_BACK,
    TASK_CHUNK,
    TASK_CONVERT,
    TASK_ENQUEUE,
    TASK_RUN_PROFILE,
    TASK_STATUS,
    TASK_SWEEP,
)
from massconvert.errors import (
    BrokerError,
    InputError,
    LedgerMismatchError,
    NotConfiguredError,
    SettingsError,
    StoreError,
)
from massconvert.ledger.chunks import LONGEST_COUNTDOWN
from massconvert.model import Again, Done, Job, Next, Resend, Settle, Submitted
from massconvert.policy.messages import LONGEST_PAUSE
from tasks.obey import obey_convert
from workers.celery import STORE_AWAY_COUNTDOWN, app

JOB = {"chunk_id": "c1", "job_id": "42"}
ENDED: Any = object()


class FakeWorkshop:
    """Answers each call with what it was told, or raises it; remembers what it was called with."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []
        self.nudge = self
        self.accounts: tuple[str | None, ...] = ()

    def of(self, *accounts: str | None) -> FakeWorkshop:
        """The workshop of an account (and of a profile)."""
        self.accounts = accounts
        return self

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        self.calls.append((*args, *kwargs.items()))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    chunk = status = sweep = run_profile = call_back = _call

    def enqueue(self, lead_ids: Any, options: Any, key: str, profile: Any, **start: Any) -> Any:
        """Remembers of how the batch shall start what the caller said."""
        said = ((name, value) for name, value in start.items() if value is not None)
        return self._call(lead_ids, options, key, profile, *said)

    def convert(self, chunk_id: str, countdown: float | None = None) -> Any:
        """The step of that name, and (with a countdown) the nudge of that name."""
        if countdown is None:
            return self._call(chunk_id)
        self.calls.append(("nudge", chunk_id, countdown))
        return None


def no_redis() -> Any:
    """A fleet whose letters nobody can write: a message is then kept nowhere but at the broker."""
    raise StoreError("Redis at host:1 cannot be reached.", code="UNREACHABLE")


@pytest.fixture(autouse=True)
def _tasks() -> None:
    app.loader.import_default_modules()


def run(monkeypatch: pytest.MonkeyPatch, name: str, answer: Any, *args: Any, **kwargs: Any) -> tuple[Any, FakeWorkshop]:
    """Run a task as a worker would, through the app's base class: the seconds it comes back in, or what it returned."""
    workshop = FakeWorkshop(answer)
    module = f"tasks.{name.removeprefix('massconvert.')}"
    monkeypatch.setattr(f"{module}.workshop_of", workshop.of)
    monkeypatch.setattr("tasks.sweep.workshops", lambda: workshop.of("all"))
    monkeypatch.setattr("workers.only_copies.workshops", no_redis)
    task = app.tasks[name]
    task.push_request(id="m1", called_directly=False, is_eager=True, args=args, kwargs=kwargs, retries=7)
    try:
        return task(*args, **kwargs), workshop
    except Retry as retry:
        return retry.when, workshop
    finally:
        task.pop_request()


@pytest.mark.parametrize(
    ("answer", "becomes"),
    [
        (Done(), None),
        (Again(3.5), 3.5),
        (Settle(2.0), 2.0),
        (Resend(1.0), 1.0),
        (Again(3600.0), LONGEST_COUNTDOWN),
        (Again(-1.0), 0.0),
        (Submitted(Job("c1", "42", due_in=9.0)), JOB),
    ],
)
def test_convert_obeys_its_step(monkeypatch: pytest.MonkeyPatch, answer: Next, becomes: Any) -> None:
    """It comes back, or hands the job (or None) to the chained status."""
    result, workshop = run(monkeypatch, TASK_CONVERT, answer, "c1")
    assert result == becomes
    assert workshop.calls == [("c1",)]


@pytest.mark.parametrize(("due_in", "countdown"), [(9.0, 9.0), (3600.0, LONGEST_COUNTDOWN), (-1.0, 0.0)])
def test_the_chained_status_comes_when_the_job_is_due(due_in: float, countdown: float) -> None:
    """Not at once, to be sent again: that would be a message and a claim more for each payload."""
    later, following = Signature("later"), Signature(TASK_STATUS)
    task: Any = SimpleNamespace(request=SimpleNamespace(chain=[later, following]))
    assert obey_convert(task, Submitted(Job("c1", "42", due_in=due_in))) == JOB
    assert (following.options, later.options) == ({"countdown": countdown}, {})


@pytest.mark.parametrize(
    ("answer", "becomes", "nudged"),
    [
        (Done(), None, []),
        (Again(3.5), 3.5, []),
        (Settle(2.0), 2.0, []),
        (Submitted(Job("c1", "42", due_in=9.0)), 9.0, []),
        (Resend(1.5), None, [("nudge", "c1", 1.5)]),
        (Resend(3600.0), None, [("nudge", "c1", LONGEST_COUNTDOWN)]),
    ],
)
def test_status_obeys_its_step(
    monkeypatch: pytest.MonkeyPatch, answer: Next, becomes: Any, nudged: list[tuple[Any, ...]]
) -> None:
    """It comes back, ends, or starts a new chain for a chunk that must go out again."""
    result, workshop = run(monkeypatch, TASK_STATUS, answer, JOB)
    assert result == becomes
    assert workshop.calls == [(JOB,), *nudged]


def test_status_ends_at_once_after_a_convert_that_left_nothing_to_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its argument is None then."""
    result, workshop = run(monkeypatch, TASK_STATUS, Done(), None)
    assert result is None
    assert workshop.calls == []


@pytest.mark.parametrize(("answer", "becomes"), [(Done(), None), (Again(2.0), 2.0)])
def test_chunk_looks_again_when_an_inbox_will_be_ready(
    monkeypatch: pytest.MonkeyPatch, answer: Next, becomes: Any
) -> None:
    """Done ends it."""
    assert run(monkeypatch, TASK_CHUNK, answer)[0] == becomes


def test_sweep_sweeps_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call a message."""
    assert len(run(monkeypatch, TASK_SWEEP, 3)[1].calls) == 1


@pytest.mark.parametrize(
    ("name", "args"),
    [(TASK_CONVERT, ["c1"]), (TASK_STATUS, [JOB]), (TASK_CHUNK, []), (TASK_SWEEP, []), (TASK_ENQUEUE, [["1"]])],
)
def test_a_message_may_name_its_account(monkeypatch: pytest.MonkeyPatch, name: str, args: list[Any]) -> None:
    """Without one it is of the environment's own, as all were before there were several; a sweep is of all."""
    _, workshop = run(monkeypatch, name, Done(), *args, account="emea")
    assert workshop.accounts[0] == "emea"
    _, workshop = run(monkeypatch, name, Done(), *args)
    assert workshop.accounts[0] == ("all" if name == TASK_SWEEP else None)


def test_a_profile_s_message_is_of_the_profile_s_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """But the next visit of a run names the account, and needs the profile no more."""
    _, workshop = run(monkeypatch, TASK_RUN_PROFILE, Done(), "nightly", slot="20261124T030000Z")
    assert workshop.accounts == (None, "nightly")
    _, workshop = run(monkeypatch, TASK_RUN_PROFILE, Done(), "nightly", run="nightly@x", account="emea")
    assert workshop.accounts == ("emea", None)
    _, workshop = run(monkeypatch, TASK_ENQUEUE, "k", ["1"], profile="nightly")
    assert workshop.accounts == (None, "nightly")


def test_calling_back_comes_again_at_once_while_calls_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call a visit, so that a call that hangs holds one message and no more."""
    assert run(monkeypatch, TASK_CALL_BACK, Again(0.0))[0] == 0.0
    assert run(monkeypatch, TASK_CALL_BACK, Done())[0] is None


def test_enqueue_is_known_by_its_message_when_it_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second delivery of the message is then the same batch."""
    _, workshop = run(monkeypatch, TASK_ENQUEUE, "m1", ["1"], options={"a": 1})
    assert workshop.calls == [(["1"], {"a": 1}, "m1", None)]
    _, workshop = run(monkeypatch, TASK_ENQUEUE, "k", ["1"], None, "nightly", "k", "t@q")
    assert workshop.calls == [(["1"], None, "k", "nightly", ("on_complete", "t@q"))]


def test_a_message_says_how_its_batch_shall_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the words of `MassConvert.enqueue`."""
    start = {"deal_values": {"1": {"Amount": 5}}, "priority": "interactive", "canary": 50, "canary_max_failed": 2.5}
    _, workshop = run(monkeypatch, TASK_ENQUEUE, "m1", ["1"], **start)
    assert workshop.calls == [(["1"], None, "m1", None, *start.items())]


@pytest.mark.parametrize(
    ("kwargs", "called"),
    [
        ({"slot": "20261124T030000Z"}, ("nightly@20261124T030000Z", "20261124T030000Z", True)),
        ({"run": "nightly@x"}, ("nightly@x", "", False)),
        ({}, ("nightly@m1", "", True)),
    ],
)
def test_run_profile_knows_its_run_by_slot_by_name_or_by_message(
    monkeypatch: pytest.MonkeyPatch, kwargs: dict[str, str], called: tuple[str, str, bool]
) -> None:
    """A second delivery of any of them is then the same run; only a continuation begins none."""
    run_id, slot, begin = called
    when, workshop = run(monkeypatch, TASK_RUN_PROFILE, Again(0.0), "nightly", **kwargs)
    assert workshop.calls == [("nightly", run_id, ("slot", slot), ("begin", begin))]
    assert when == 0.0


@pytest.mark.parametrize(
    ("name", "args"),
    [
        (TASK_RUN_PROFILE, ["nightly"]),
        (TASK_CONVERT, ["c1"]),
        (TASK_STATUS, [JOB]),
        (TASK_CHUNK, []),
        (TASK_SWEEP, []),
        (TASK_CALL_BACK, []),
    ],
)
def test_a_task_comes_back_when_redis_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, args: list[Any]
) -> None:
    """One warning, no traceback, in the one base class."""
    result, _ = run(monkeypatch, name, StoreError("Redis at host:1 cannot be reached."), *args)
    assert result == STORE_AWAY_COUNTDOWN
    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (logging.WARNING, None)
    assert "Redis at host:1 cannot be reached." in record.getMessage()


@pytest.mark.parametrize(
    ("error", "level"), [(BrokerError("No broker."), logging.WARNING), (InputError("Not an id."), logging.ERROR)]
)
def test_an_expected_error_is_a_line_and_ends_the_message(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, level: int
) -> None:
    """What could not be sent is the sweep's; what was wrong stays wrong."""
    result, _ = run(monkeypatch, TASK_CONVERT, error, "7")
    assert result is None
    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (level, None)
    assert str(error) in record.getMessage()


FIXED_SOON = (SettingsError("massconvert.toml is wrong."), NotConfiguredError("There is no profile 'nightly'."))


@pytest.mark.parametrize("error", [*FIXED_SOON, ZeroDivisionError("a bug")])
def test_a_run_that_has_not_begun_is_not_lost(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """No sweep would bring it back: the ledger knows nothing of it. A continuation is the sweep's."""
    result, _ = run(monkeypatch, TASK_RUN_PROFILE, error, "nightly", slot="20270115T080000Z")
    assert 0 < result <= LONGEST_PAUSE
    if isinstance(error, ZeroDivisionError):
        with pytest.raises(ZeroDivisionError):
            run(monkeypatch, TASK_RUN_PROFILE, error, "nightly", run="nightly@20270115T080000Z")
    else:
        assert run(monkeypatch, TASK_RUN_PROFILE, error, "nightly", run="nightly@20270115T080000Z")[0] is None


@pytest.mark.parametrize("error", [InputError("The profile is disabled."), LedgerMismatchError("Another's.")])
def test_a_run_that_stays_wrong_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Each beat sends a message."""
    assert run(monkeypatch, TASK_RUN_PROFILE, error, "nightly", slot="20270115T080000Z")[0] is None


def test_a_message_that_cannot_be_sent_again_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery would drop it, and with it the leads of an enqueue."""

    def unsent(*_: Any, **__: Any) -> None:
        raise Reject(OperationalError("Connection refused."), requeue=False)

    monkeypatch.setattr(CeleryTask, "retry", unsent)
    monkeypatch.setattr("workers.only_copies.PAUSE", 0.01)
    with pytest.raises(Reject) as rejected:
        run(monkeypatch, TASK_ENQUEUE, StoreError("Redis is away."), ["1"])
    assert rejected.value.requeue is True


def test_a_bug_is_left_to_celery(monkeypatch: pytest.MonkeyPatch) -> None:
    """It logs the traceback."""
    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, TASK_CONVERT, ZeroDivisionError("bug"), "c1")
