"""Beat's signs of life."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from massconvert.errors import MassConvertError
from massconvert.ledger.fleet import BEAT, NOTE_EVERY, Member
from massconvert.metrics import our_version
from massconvert.profiles import Accounts
from massconvert.telemetry.heartbeat import Heartbeat, heartbeat_path
from workers.notes import Notes
from workers.pulse import own_name

logger = logging.getLogger("massconvert")


class SignsOfLife:
    """Beat's heartbeat file, and its note in the ledger of every account."""

    def __init__(self, accounts: Accounts) -> None:
        settings = accounts.base
        self._heartbeat = Heartbeat(heartbeat_path(BEAT, settings.state_dir, settings.heartbeat_file))
        self._notes, self._name = Notes(accounts), own_name()
        self._noted: float | None = None

    def show(self) -> None:
        """Raises nothing that the disk or Redis does: schedules come first."""
        if complaint := self._heartbeat.try_to_beat():
            logger.warning("%s", complaint)
        if self._noted is None or time.monotonic() - self._noted >= NOTE_EVERY / 2:
            self._noted = time.monotonic()
            with suppress(MassConvertError):
                self._notes.note(lambda now: Member(BEAT, self._name, now, version=our_version()))

    def end(self) -> None:
        """Take them back."""
        self._heartbeat.end()
        self._notes.leave(BEAT, self._name)
