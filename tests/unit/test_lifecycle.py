"""What a worker does around its tasks: checks, the sweep's timer, the log."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.beat import SchedulingError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, ResponseError

from massconvert.doctor.redis_rules import not_well
from massconvert.errors import BrokerError, StoreError
from massconvert.settings import Settings
from workers import lifecycle, log
from workers.lifecycle import Sweeper


def sweeping(times: int, sweep: Callable[[], int], chance: float = 0.5) -> list[float]:
    """Let a sweeper run that many times, without waiting; the pauses that it took."""
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) > times

    Sweeper(sweep, 20.0, chance=lambda: chance, wait=wait).run()
    return pauses


@pytest.mark.parametrize("error", [StoreError("Redis is away."), BrokerError("No broker."), ZeroDivisionError("a bug")])
def test_the_sweep_survives_whatever_it_meets(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """Redis away, broker away, a bug: it comes again, and says so in a line."""
    calls: list[int] = []

    def sweep() -> int:
        calls.append(1)
        raise error

    sweeping(3, sweep)
    assert len(calls) == 3
    assert len(caplog.records) == 3
    assert all(bool(record.exc_info) == isinstance(error, ZeroDivisionError) for record in caplog.records)


def test_workers_that_started_together_do_not_sweep_together() -> None:
    """The pause differs by up to a quarter either way."""
    assert sweeping(0, lambda: 0, chance=0.0) == [15.0]
    assert sweeping(0, lambda: 0, chance=1.0) == [25.0]


def test_a_sweep_that_found_something_says_how_much(caplog: pytest.LogCaptureFixture) -> None:
    """And is silent otherwise."""
    caplog.set_level(logging.INFO)
    found = iter([0, 7])
    sweeping(2, lambda: next(found))
    assert [record.getMessage() for record in caplog.records] == ["Sweep: 7 overdue chunks dispatched"]


def test_a_stopped_sweeper_ends() -> None:
    """Without waiting for its pause."""
    sweeper = Sweeper(lambda: 0, 3600.0)
    sweeper.start()
    sweeper.stop()
    sweeper._thread.join(10)
    assert not sweeper._thread.is_alive()


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"aof_enabled": 1, "maxmemory_policy": "noeviction"}, []),
        ({}, []),  # a managed Redis that tells nothing
        ({"aof_enabled": 0, "maxmemory_policy": "noeviction"}, ["appendonly yes"]),
        ({"aof_enabled": 1, "maxmemory_policy": "allkeys-lru"}, ["maxmemory-policy noeviction"]),
        ({"aof_enabled": 0, "maxmemory_policy": "volatile-ttl"}, ["appendonly yes", "maxmemory-policy noeviction"]),
    ],
)
def test_a_redis_that_may_lose_the_ledger_is_named_with_the_fix(info: dict[str, Any], words: list[str]) -> None:
    """One warning each."""
    warnings = not_well(info)
    assert len(warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, warnings, strict=True))


def test_purge_is_refused_since_a_message_may_be_the_only_copy_of_its_leads(capsys: pytest.CaptureFixture[str]) -> None:
    """In two lines, before anything is deleted."""
    with pytest.raises(SystemExit) as ended:
        lifecycle._demand_settings(options={"purge": True})
    assert ended.value.code == 3
    said = capsys.readouterr().err
    assert said.startswith("--purge would delete")
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize("error", [NoPermissionError("no INFO"), ResponseError("odd"), ZeroDivisionError("a bug")])
def test_whatever_the_check_of_redis_meets_is_a_line_at_most(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It was an exception out of Celery's signal: no sweep, no pulse, and a health check that fails for ever."""

    class Refusing:
        """A client whose INFO ends so."""

        connection_pool = SimpleNamespace(connection_kwargs={"host": "redis.example"})

        def info(self) -> None:
            raise error

        def close(self) -> None:
            pass

    monkeypatch.setattr(lifecycle, "connect_redis", lambda _url: Refusing())
    lifecycle.check_redis(Settings.model_validate({}))
    assert len(caplog.records) == (not isinstance(error, NoPermissionError))
    assert all(line.exc_info is None for line in caplog.records)


def test_a_worker_without_credentials_says_which_and_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two lines, no traceback."""
    for name in ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"):
        monkeypatch.setenv(name, "")
    with pytest.raises(SystemExit) as ended:
        lifecycle._demand_settings()
    assert ended.value.code == 3
    said = capsys.readouterr().err
    assert said.startswith("Not set: ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN.")
    assert len(said.splitlines()) == 2


# --- the log --------------------------------------------------------------------------------------------------


CONSUMER = "celery.worker.consumer.consumer"


def line(error: BaseException | None = None, message: str = "It happened", logger: str = "massconvert") -> str:
    """A record as it is written."""
    exc_info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(logger, logging.WARNING, __file__, 1, message, (), exc_info)
    record.created = 0.0
    return log.OneLine().format(record)


def test_a_record_is_one_line_in_utc() -> None:
    """Even when its message has several, as Zoho's may."""
    assert line(message="one\ntwo") == "1970-01-01T00:00:00Z WARNING massconvert one two"


def test_a_line_names_the_chunk_that_it_is_about() -> None:
    """Whichever task logs it; not twice, and not after the task."""
    with log.about(["c1"], {}):
        assert "massconvert [c1] It happened" in line()
        assert "[c1]" not in line(message="chunk c1: sent")
    with log.about([{"chunk_id": "c2", "job_id": "42"}], {}):
        assert "[c2]" in line()
    with log.about([["3652397000009850001"]], {}):
        assert "[" not in line()
    assert "[" not in line()


def test_an_outage_is_one_line_and_a_bug_keeps_its_traceback() -> None:
    """A traceback in the log is a bug."""
    with pytest.raises(RedisConnectionError) as outage:
        raise RedisConnectionError("Connection closed by server.")
    assert line(outage.value).endswith("It happened (ConnectionError: Connection closed by server.)")
    for transport in ("kombu.transport.redis", "amqp.channel"):  # when its connection is closed under its hands
        with pytest.raises(AttributeError) as closed:
            exec("None.client", {"__name__": transport})
        assert line(closed.value).endswith("(AttributeError: 'NoneType' object has no attribute 'client')")
    with pytest.raises(ZeroDivisionError) as bug:
        raise ZeroDivisionError("oh")
    assert "Traceback (most recent call last)" in line(bug.value)


def test_a_stranger_s_message_is_one_line_and_a_reconnection_says_when_it_is_tried_again() -> None:
    """Celery writes advice for developers, and the whole message, below the one; and the time below the other."""
    said = line(KeyError("x.y"), "Received unregistered task of type 'x.y'.\nDid you remember to import it?", CONSUMER)
    assert said.endswith("Received unregistered task of type 'x.y'. (KeyError: 'x.y')")
    assert line(message="Cannot connect.\nTrying again in 4 s", logger=CONSUMER).endswith("Trying again in 4 s")


def test_a_message_that_beat_cannot_send_is_one_line() -> None:
    """A failover of the broker: beat goes on, and tries again when the entry is due next."""
    said = line(
        SchedulingError("You can't write against a read only replica."), "Message Error: x\n  File y", "celery.beat"
    )
    assert said.endswith("Message Error: x (SchedulingError: You can't write against a read only replica.)")


def test_the_log_s_level_is_the_more_talkative_of_celery_s_and_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's -l defaults to WARNING, and does not say so."""
    levels: list[int] = []
    monkeypatch.setattr(log, "set_up", lambda level, _logfile, **_: levels.append(level))
    monkeypatch.setenv("MASSCONVERT_LOG_LEVEL", "INFO")
    lifecycle._set_up_log(loglevel=logging.WARNING)
    lifecycle._set_up_log(loglevel=logging.DEBUG)
    assert levels == [logging.INFO, logging.DEBUG]


def test_the_log_goes_to_a_file_when_told(tmp_path: Path) -> None:
    """And Celery's line about every message is left out."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        log.set_up(logging.INFO, str(tmp_path / "log"))
        logging.getLogger("massconvert").info("ours")
        logging.getLogger("celery.app.trace").info("Task succeeded")
        root.handlers[0].close()
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert [text.split(" ", 1)[1] for text in (tmp_path / "log").read_text().splitlines()] == ["INFO massconvert ours"]


@pytest.mark.parametrize(
    "words", ["worker -P prefork", "worker -Pprefork -c 3", "worker --pool=prefork", "--pool prefork"]
)
def test_a_pool_that_celery_does_not_take_is_told(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    lifecycle._tell_pool(["celery", *words.split()])
    assert "-P processes" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["worker", "worker -P processes", "worker -n prefork", "worker -P gevent"])
def test_a_pool_that_celery_takes_is_not_worth_a_word(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    lifecycle._tell_pool(["celery", *words.split()])
    assert capsys.readouterr().err == ""


def test_no_thread_is_begun_where_a_signal_is_handled(monkeypatch: pytest.MonkeyPatch) -> None:
    """With gevent a signal is handled in the hub, where nothing may wait; a thread's start waits for its first step."""

    def in_the_hub(_: object) -> None:
        raise RuntimeError("Impossible to call blocking function in the event loop callback")

    monkeypatch.setattr(lifecycle, "_stopping", threading.Event())
    monkeypatch.setattr("threading.Thread.start", in_the_hub)
    lifecycle._on_shutting_down()
    assert lifecycle._stopping.is_set()


def test_a_worker_that_has_not_ended_in_time_after_the_signal_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(lifecycle, "_stopping", threading.Event())
    monkeypatch.setattr(lifecycle, "STOP_WITHIN", 0.0)
    monkeypatch.setattr("os._exit", ended.append)
    monkeypatch.setattr("logging.shutdown", lambda: None)
    waiting = threading.Thread(target=lifecycle._hand_back, daemon=True)
    waiting.start()
    lifecycle._on_shutting_down()
    waiting.join(5)
    assert ended == [1]
