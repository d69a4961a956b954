"""Beat's scheduler: the profiles' slots, edits of the file, and what is remembered over a restart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, current_app

from massconvert.contract import QUEUE, TASK_RUN_PROFILE
from massconvert.profiles import Schedule
from workers.schedule import ProfileScheduler, Slots

START = 1_800_000_000.0  # 2027-01-15T08:00:00Z, a Friday


class Beat(ProfileScheduler):
    """A scheduler whose messages are noted."""

    sent: list[tuple[str, Any, dict[str, Any]]]

    def send_task(self, *args: Any, **kwargs: Any) -> None:
        """Note a message."""
        self.sent.append((args[0], args[1], dict(args[2])))

    @property
    def producer(self) -> Any:
        """No connection is made."""
        return None


class Clock:
    """What the app says the time is."""

    now = START

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.now, timezone.utc)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    """A clock that the test moves; massconvert.toml is in the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("MASSCONVERT_"):
            monkeypatch.delenv(name)
    return Clock()


@contextmanager
def beat(clock: Clock) -> Iterator[Beat]:
    """A beat over the file of its schedule in the working directory."""
    app = Celery("test", set_as_current=False, broker="memory://")
    app.conf.update(beat_schedule={}, result_expires=None, timezone="UTC")
    app.now = clock
    app.__dict__["tasks"] = {}  # else shared tasks that another test has loaded would be called by themselves
    Beat.sent = []
    before = current_app._get_current_object()
    app.set_current()  # what comes back from the file of the schedule asks the current app
    scheduler = Beat(app=app, schedule_filename=str(Path("state") / "beat-schedule"))
    try:
        yield scheduler
    finally:
        scheduler.close()
        before.set_current()
        app.close()


def slots(scheduler: Beat) -> list[str]:
    """Tick until nothing is due; which slots were sent."""
    scheduler.sent.clear()
    for _ in range(20):
        if scheduler.tick() > 0:
            break
    assert all(sent[0] == TASK_RUN_PROFILE for sent in scheduler.sent)
    return [sent[2]["slot"] for sent in scheduler.sent]


def write(text: str) -> None:
    """Save massconvert.toml, as an editor does."""
    Path("new").write_text(text)
    Path("new").replace("massconvert.toml")


HOURLY = '[profiles.{name}]\n[profiles.{name}.criteria]\ncoql = "id is not null"\n[profiles.{name}.schedule]\n{when}\n'


def profile(when: str = 'crontab = "0 * * * *"', name: str = "a") -> str:
    """A file with one profile."""
    return HOURLY.format(name=name, when=when)


def test_a_profile_is_sent_at_each_of_its_slots_and_at_no_other_time(clock: Clock) -> None:
    """The message names the slot, however late beat was, and expires."""
    write(profile())
    with beat(clock) as scheduler:
        assert slots(scheduler) == []
        clock.now = START + 3599.0
        assert slots(scheduler) == []
        clock.now = START + 3607.0
        assert slots(scheduler) == ["20270115T090000Z"]
        assert slots(scheduler) == []
        assert scheduler.sent == []
        entry = scheduler.schedule["profile:a"]
        assert entry.options == {"queue": QUEUE, "expires": 3600.0}
        clock.now = START + 4 * 3600.0  # beat slept: the last one counts
        assert slots(scheduler) == ["20270115T120000Z"]


def test_a_new_profile_is_not_run_for_slots_before_it_was_there(clock: Clock) -> None:
    """Who saves a nightly profile at ten past eight does not mean now."""
    write(profile('crontab = "0 8 * * *"'))
    clock.now = START + 600.0
    with beat(clock) as scheduler:
        assert slots(scheduler) == []
        write(profile('crontab = "5 8 * * *"'))
        assert slots(scheduler) == []


def test_an_edit_is_picked_up_without_a_restart(clock: Clock) -> None:
    """New profiles, other times, profiles that are gone or disabled."""
    write(profile())
    with beat(clock) as scheduler:
        write(profile() + profile('every = "15m"', "b"))
        assert slots(scheduler) == []
        clock.now = START + 901.0
        assert slots(scheduler) == ["20270115T081500Z"]
        write(profile('every = "15m"', "b").replace("[profiles.b]\n", "[profiles.b]\nenabled = false\n"))
        clock.now = START + 3601.0
        assert slots(scheduler) == []
        assert [name for name in scheduler.schedule if name.startswith("profile:")] == []


def test_a_wrong_file_leaves_the_last_right_one_and_is_told_once(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """One line; the next right one is taken."""
    write(profile())
    with beat(clock) as scheduler:
        write("[profiles")
        clock.now = START + 3601.0
        assert slots(scheduler) == ["20270115T090000Z"]
        slots(scheduler)
        assert len([record for record in caplog.records if "not TOML" in record.getMessage()]) == 1
        assert all(record.exc_info is None for record in caplog.records)
        write("")
        clock.now = START + 7201.0
        assert slots(scheduler) == []


def test_a_slot_that_was_missed_while_beat_was_away_is_caught_up_with_if_it_is_not_too_late(clock: Clock) -> None:
    """What it has sent is remembered over the restart."""
    write(profile('crontab = "0 * * * *"\ncatch_up = "10m"'))
    with beat(clock) as scheduler:
        clock.now = START + 3601.0
        assert slots(scheduler) == ["20270115T090000Z"]
    with beat(clock) as scheduler:
        assert slots(scheduler) == []
    clock.now = START + 2 * 3600.0 + 300.0
    with beat(clock) as scheduler:
        assert slots(scheduler) == ["20270115T100000Z"]
    clock.now = START + 3 * 3600.0 + 900.0
    with beat(clock) as scheduler:
        assert slots(scheduler) == []


def test_a_schedule_equals_one_with_the_same_words() -> None:
    """Otherwise each look at the file would be taken for an edit."""
    assert Slots(Schedule(every="15m")) == Slots(Schedule(every=900.0))
    assert Slots(Schedule(every="15m")) != Slots(Schedule(every="16m"))
    assert hash(Slots(Schedule(every="15m"))) == hash(Slots(Schedule(every=900.0)))
