"""When a worker is believed to work, and what follows when it is not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from massconvert.errors import BrokerError, StoreError
from massconvert.ledger import Fleet, Member
from massconvert.ledger.fleet import REMEMBER
from massconvert.profiles import Accounts
from massconvert.settings import Settings
from massconvert.store import Keys
from massconvert.telemetry.heartbeat import Heartbeat, read_beat
from workers import pulse
from workers.notes import Notes
from workers.pulse import EVERY, PATIENCE, QUIET, Pulse, Vitals, turning


class Worker:
    """A worker whose clock a test moves; ``waiting`` messages are in the broker, or it is away."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waiting: int | Exception = 0
        self.asked = 0
        self.vitals = Vitals(self._ask, PATIENCE, monotonic=lambda: self.now)

    def _ask(self) -> int:
        self.asked += 1
        if isinstance(self.waiting, Exception):
            raise self.waiting
        return self.waiting

    def live(self, seconds: float, *, loop: bool = True, takes: bool = False) -> str:
        """Let so many seconds pass, looking as often as a worker does; what it says of itself at the end."""
        trouble = ""
        for _ in range(int(seconds / EVERY)):
            self.now += EVERY
            if loop:
                self.vitals.loop_turned()
            if takes:
                self.vitals.progressed()
            trouble = self.vitals.trouble()
        return trouble


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_an_idle_worker_works(worker: Worker) -> None:
    assert worker.live(3600) == ""


def test_a_busy_worker_works_and_costs_the_broker_no_question(worker: Worker) -> None:
    worker.waiting = 1000
    assert worker.live(3600, takes=True) == ""
    assert worker.asked == 0


def test_a_worker_that_takes_nothing_of_what_waits_does_not_work(worker: Worker) -> None:
    """Connected, alive to every probe, idle for days (celery#8030)."""
    worker.waiting = 7
    assert worker.live(QUIET + PATIENCE) == ""
    assert "although 7 messages wait" in worker.live(2 * EVERY)


def test_what_waits_only_now_and_then_is_taken_by_others(worker: Worker) -> None:
    for _ in range(10):
        worker.waiting = 7
        assert worker.live(PATIENCE) == ""
        worker.waiting = 0
        assert worker.live(EVERY) == ""


def test_a_loop_that_does_not_turn_does_not_work(worker: Worker) -> None:
    assert worker.live(QUIET + PATIENCE, loop=False) == ""
    assert "event loop has not turned" in worker.live(2 * EVERY, loop=False)


def test_a_broker_that_is_away_is_no_reason_to_stop(worker: Worker) -> None:
    """And when it is back, the loop has its whole patience to come back too."""
    worker.waiting = BrokerError("away")
    assert worker.live(86_400, loop=False) == ""
    worker.waiting = 7
    assert worker.live(PATIENCE - EVERY, loop=False) == ""
    assert worker.live(EVERY, takes=True) == ""


def test_a_worker_that_recovers_works_again(worker: Worker) -> None:
    worker.waiting = 7
    assert worker.live(QUIET + PATIENCE + 2 * EVERY)
    assert worker.live(EVERY, takes=True) == ""


# --- what is told ---------------------------------------------------------------------------------------------


class Told:
    """A pulse over a fake Redis, with a trouble that a test sets."""

    def __init__(self, folder: Path) -> None:
        self.redis: Any = fakeredis.FakeRedis(decode_responses=True)
        self.trouble = ""
        self.ended = 0
        self.fleet = Fleet(self.redis, Keys("default"))
        self.heartbeat = Heartbeat(folder / "heartbeat-worker")
        vitals = Vitals(lambda: 0, PATIENCE)
        vitals.trouble = lambda: self.trouble  # type: ignore[method-assign]  # the trouble is the test's
        notes: Any = self  # one ledger, whose time stands still
        self.pulse = Pulse(vitals, self.heartbeat, notes, "celery@x", self._end)

    def note(self, member: Callable[[float], Member]) -> None:
        """As `Notes`."""
        self.fleet.note(member(5000.0))

    def leave(self, role: str, name: str) -> None:
        """As `Notes`."""
        self.fleet.leave(role, name)

    def _end(self) -> None:
        self.ended += 1

    def member(self) -> Member:
        """What the ledger knows of it."""
        (found,) = self.fleet.members(now=5000.0)
        return found


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def test_a_worker_notes_itself_and_when_it_took_something(told: Told) -> None:
    told.pulse.once()
    assert (told.member().name, told.member().seen_at, told.member().took_at) == ("celery@x", 5000.0, 0.0)
    assert told.member().alive(5060.0)
    assert not told.member().alive(5060.1)
    told.pulse.vitals.progressed()
    told.pulse._noted = None
    told.pulse.once()
    assert told.member().took_at == pytest.approx(5000.0, abs=1)
    assert 0 < told.redis.ttl("mc:{default}:fleet") <= REMEMBER


def test_a_worker_that_ends_as_told_is_forgotten_and_leaves_no_file(told: Told) -> None:
    told.pulse.once()
    told.pulse.stop()
    assert told.fleet.members(now=5000.0) == []
    assert not told.heartbeat.path.exists()


def test_a_worker_in_trouble_says_so_everywhere_and_ends(
    told: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.trouble = "it has taken nothing for 130 s, although 7 messages wait"
    told.pulse.once()
    told.pulse.once()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert read_beat(told.heartbeat.path).trouble == told.member().trouble == told.trouble
    assert told.ended == 0
    monkeypatch.setattr(pulse, "END_AFTER", 0.0)
    told.pulse.once()
    assert told.ended == 1
    assert caplog.records[-1].levelname == "CRITICAL"


def test_a_worker_that_recovered_does_not_end(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "END_AFTER", 0.0)
    told.trouble = "oh"
    told.pulse.once()
    told.trouble = ""
    told.pulse.once()
    told.trouble = "oh"
    told.pulse.once()
    assert told.ended == 0


def test_redis_away_and_a_full_disk_do_not_stop_the_pulse(
    told: Told, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_: object) -> None:
        raise StoreError("away")

    def full(_: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(told.fleet, "note", away)
    monkeypatch.setattr(told.heartbeat, "beat", full)
    told.pulse.once()
    assert "No space left on device" in caplog.text


def test_a_worker_notes_itself_in_the_ledger_of_every_account_that_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of massconvert.toml as well as the environment's own."""
    server = fakeredis.FakeServer()
    fake = partial(fakeredis.FakeRedis, server=server, decode_responses=True)
    monkeypatch.setattr("massconvert.store.connection.connect", lambda _url: fake())
    toml = tmp_path / "massconvert.toml"
    toml.write_text("[accounts.emea]\n")
    base = Settings(MASSCONVERT_CONFIG=str(toml), ZOHO_CLIENT_ID="i", ZOHO_CLIENT_SECRET="s", ZOHO_REFRESH_TOKEN="r")
    notes = Notes(Accounts({}, None, base=base))
    notes.note(lambda now: Member("worker", "celery@x", now))
    redis: Any = fake()
    assert sorted(redis.keys()) == ["mc:{default}:fleet", "mc:{emea}:fleet"]
    notes.leave("worker", "celery@x")
    assert redis.keys() == []


def test_the_dead_are_forgotten_after_a_day(told: Told) -> None:
    told.pulse.once()
    told.fleet.note(Member("worker", "old", 5000.0 - REMEMBER - 1))
    assert [member.name for member in told.fleet.members(now=5000.0)] == ["celery@x"]
    assert told.redis.hlen("mc:{default}:fleet") == 1


def test_a_note_of_another_version_is_passed_over(told: Told) -> None:
    told.redis.hset("mc:{default}:fleet", mapping={"worker:a": "not json", "worker:b": '{"seen_at": 5000.0, "new": 1}'})
    assert [member.name for member in told.fleet.members(now=5000.0)] == ["b"]


def test_the_loop_s_timer_is_set_anew_at_each_connection() -> None:
    """Celery clears the timers when the connection is lost."""

    class Timer:
        def __init__(self) -> None:
            self.calls: list[Callable[[], None]] = []

        def call_repeatedly(self, _every: float, call: Callable[[], None]) -> Timer:
            self.calls.append(call)
            return self

        def cancel(self) -> None:
            self.calls.clear()

    class Consumer:
        timer = Timer()

    now = [1000.0]
    vitals = Vitals(lambda: 0, PATIENCE, monotonic=lambda: now[0])
    step = turning(lambda: vitals)(Consumer())
    for _ in range(2):
        step.start(Consumer)
        assert len(Consumer.timer.calls) == 1
        now[0] += 10
        Consumer.timer.calls[0]()
        assert vitals._loop_at == now[0]
        step.stop(Consumer)
