"""How the runs of profiles go: what became of the last one's leads, and which schedules are stopped."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from massconvert.cli.account import account_chosen, command_settings
from massconvert.cli.desk import Desk, open_desk
from massconvert.errors import MassConvertError, UnknownBatchError
from massconvert.model import BatchStatus, Run
from massconvert.profiles import ConfigFile, Profile, next_slot
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of


@dataclass(frozen=True)
class ProfileStanding:
    """A profile, its last run with that run's batch, how many runs in a row failed, and whether that stops it.

    ``account``: whose ledger says so.
    """

    name: str
    profile: Profile
    run: Run | None
    batch: BatchStatus | None
    failures: int
    stopped: bool
    account: str

    @property
    def outcomes(self) -> dict[str, int]:
        """How the leads of the last run's batch have ended; nothing without one."""
        kinds = ("converted", "failed", "skipped", "cancelled")
        return {kind: getattr(self.batch, kind) for kind in kinds} if self.batch else {}

    @property
    def in_words(self) -> str:
        """What became of the last run's leads, for people."""
        ended = [f"{count:,} {kind}" for kind, count in self.outcomes.items() if count]
        going = (
            self.batch and not self.batch.finished and f"{self.batch.total - sum(self.outcomes.values()):,} under way"
        )
        return ", ".join([*ended, *([going] if going else [])])

    def next_run(self, now: float) -> float | None:
        """When its schedule begins a run next, Unix seconds; ``None`` where it does not."""
        if self.profile.schedule is None or not self.profile.enabled or self.stopped:
            return None
        slot = next_slot(self.profile.schedule, now)
        return None if math.isinf(slot) else slot

    @property
    def stop_in_words(self) -> str:
        """That its schedule is stopped, and what to do; blank where it is not."""
        return stop_in_words(self.name, self.failures, self.account) if self.stopped else ""


def stop_in_words(name: str, failures: int, account: str) -> str:
    """That a schedule is stopped, and what to do."""
    how = next_command("profile resume", name, account=account)
    return f"The schedule of {name} is stopped: {number_of(failures, 'run')} in a row failed. To go on: {how}"


def standing_of(desk: Desk, name: str, profile: Profile) -> ProfileStanding:
    """How a profile's runs go, by its own account's ledger. Raises StoreError."""
    runs = desk.ledger.runs
    run, batch = runs.last(name), None
    with suppress(UnknownBatchError):
        batch = desk.ledger.batches.status(run.id) if run else None
    return ProfileStanding(
        name, profile, run, batch, runs.failures(name), bool(runs.stopped(name)), desk.settings.account
    )


def standings(desk: Desk) -> Iterator[ProfileStanding]:
    """All profiles, or those of the account that the command names. Raises SettingsError, StoreError."""
    for name, profile in ConfigFile(desk.settings.config_file).config().profiles.items():
        if not account_chosen() or profile.account == desk.settings.account:
            yield standing_of(open_desk(command_settings(profile=name)), name, profile)


def stopped_profiles(desk: Desk) -> dict[str, int]:
    """The desk's profiles whose schedule is stopped → how many runs in a row failed. Raises StoreError."""
    return {name: failures for name in own_profiles(desk) if (failures := desk.ledger.runs.stopped(name))}


def own_profiles(desk: Desk) -> list[str]:
    """The names of the profiles of the desk's account."""
    try:
        profiles = ConfigFile(desk.settings.config_file).config().profiles
    except MassConvertError:  # `profile check` and the doctor tell of a wrong file
        return []
    return [name for name, profile in profiles.items() if profile.account in (None, desk.settings.account)]
