"""Beat's scheduler: the entries of celeryconfig, and the profiles of massconvert.toml, which may be edited meanwhile.

A profile's message names its slot, which is computed from the clock and the schedule alone
(massconvert/profiles/slots.py). So any number of beats send the same messages, and the ledger lets each slot be run
once.
"""

from __future__ import annotations

import logging
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from celery.beat import PersistentScheduler, ScheduleEntry
from celery.schedules import BaseSchedule, schedstate

from massconvert.contract import QUEUE, TASK_RUN_PROFILE
from massconvert.errors import SettingsError
from massconvert.profiles import Accounts, Config, ConfigFile, Schedule, latest_slot, next_slot, slot_name
from workers.beat_pulse import SignsOfLife

logger = logging.getLogger("massconvert")

_PREFIX = "profile:"
#: A message waits in the queue no longer than a run may be late, and no less than this many seconds.
_SHORTEST_LIFE = 60.0


class Slots(BaseSchedule):  # type: ignore[misc]  # Celery ships no types
    """A profile's schedule as Celery asks: due when a slot has come since the entry last ran, and is not too old."""

    def __init__(self, schedule: Schedule, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.schedule = schedule

    def slot(self) -> float | None:
        """The slot that has come last, as Unix seconds."""
        return latest_slot(self.schedule, self._now())

    def is_due(self, last_run_at: datetime) -> Any:
        """Whether to send now, and in how many seconds to ask again."""
        now, slot = self._now(), self.slot()
        due = slot is not None and slot > last_run_at.timestamp() and now - slot <= self.schedule.catch_up
        return schedstate(is_due=due, next=max(0.0, next_slot(self.schedule, now) - now))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slots) and other.schedule == self.schedule

    def __hash__(self) -> int:
        return hash(self.schedule)

    def __reduce__(self) -> Any:
        return Slots, (self.schedule,)

    def _now(self) -> float:
        return float(self.now().timestamp())


class ProfileScheduler(PersistentScheduler):  # type: ignore[misc]  # Celery ships no types
    """Remembers when each entry last ran, in a file of our state directory; follows massconvert.toml."""

    _config: ConfigFile | None = None
    _seen: Config | None = None
    _complaint = ""
    schedule_filename: str

    def setup_schedule(self) -> None:
        """Open the file, and follow massconvert.toml."""
        self._find_a_place()
        super().setup_schedule()
        accounts = Accounts()
        self._signs, self._config = SignsOfLife(accounts), accounts.config
        self.follow()

    def _find_a_place(self) -> None:
        """Make the file's directory; where it cannot be written, say so once, and keep the file for this life only."""
        path = Path(self.schedule_filename)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            self.schedule_filename = str(Path(tempfile.mkdtemp(prefix="massconvert-")) / path.name)
            what = "Beat cannot write %s (%s) and keeps its schedule in %s: what it misses while away is not caught up."
            logger.warning(f"{what} Set MASSCONVERT_STATE_DIR.", path, error.strerror, self.schedule_filename)

    def merge_inplace(self, b: Any) -> None:
        """Take over celeryconfig's entries; those of profiles are ours, with what they remember."""
        ours = {name: entry for name, entry in self.schedule.items() if name.startswith(_PREFIX)}
        super().merge_inplace(b)
        self.schedule.update(ours)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Look at the file, then send what is due. One that hangs here shows no more signs of life."""
        self._signs.show()
        self.follow()
        return cast("float", super().tick(*args, **kwargs))

    def close(self) -> None:
        """Beat ends as it was told to."""
        super().close()
        self._signs.end()

    def follow(self) -> None:
        """Make the entries what massconvert.toml says. A wrong file is told once, and the last right one holds."""
        assert self._config is not None  # noqa: S101 - made in setup_schedule, which comes first
        try:
            found = self._config.last_right()
        except SettingsError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                logger.error("%s The profiles stay as they were.", error)  # noqa: TRY400 - expected: no traceback
            return
        self._complaint = ""
        if found is not self._seen:
            self._seen = found
            self._take_over(self._entries(found))

    def _entries(self, found: Config) -> dict[str, ScheduleEntry]:
        return {
            f"{_PREFIX}{name}": self.Entry(
                app=self.app,
                name=f"{_PREFIX}{name}",
                task=TASK_RUN_PROFILE,
                schedule=Slots(profile.schedule, app=self.app),
                args=(name,),
                kwargs={"account": profile.account} if profile.account else {},
                options={"queue": QUEUE, "expires": max(_SHORTEST_LIFE, profile.schedule.catch_up)},
            )
            for name, profile in found.profiles.items()
            if profile.enabled and profile.schedule
        }

    def _take_over(self, wanted: dict[str, ScheduleEntry]) -> None:
        schedule = self.schedule
        for name in [name for name in schedule if name.startswith(_PREFIX) and name not in wanted]:
            del schedule[name]
            logger.info("%s is no longer scheduled", name)
        for name, entry in wanted.items():
            known = schedule.get(name)
            if known is not None and known.schedule == entry.schedule:
                known.update(entry)  # it keeps when it last ran
            else:  # new, or at other times: slots before now are not its own
                schedule[name] = entry
                logger.info("%s is scheduled: %s", name, slot_name(next_slot(entry.schedule.schedule, _now(entry))))
        self._heap = None
        self.sync()

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send an entry's message; a profile's names the slot."""
        if isinstance(entry.schedule, Slots):
            slot = entry.schedule.slot()
            kwargs_of = {**entry.kwargs, "slot": slot_name(slot or _now(entry))}
            entry = self.Entry(**{**dict(entry), "kwargs": kwargs_of})
        return super().apply_async(entry, producer=producer, advance=advance, **kwargs)


def _now(entry: Any) -> float:
    return float(entry.default_now().timestamp())
