"""A rehearsal without a machine: the real questions over the simulated organisation, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from random import Random
from typing import Any, cast

import fakeredis

from massconvert.model import Call
from massconvert.policy import CallAnswer, Permit
from massconvert.rehearsal.cast import Cast
from massconvert.rehearsal.cleaning import Cleaned, clean_up
from massconvert.rehearsal.journal import Journal
from massconvert.rehearsal.result import as_file
from massconvert.rehearsal.run import Rehearsal, chosen, demand_scopes
from massconvert.rehearsal.stage import Stage
from massconvert.rehearsal.wire import Wire
from massconvert.settings import Settings
from massconvert.simulator import Organisation, Rules
from massconvert.testing.wire import InProcess, VirtualClock
from massconvert.zoho import ZohoClient, connect_zoho

ORIGIN = "https://zoho.invalid"
MARK = "mc-rehearsal-20261130t120000-ab12"


class KilledError(BaseException):
    """The process is killed."""


class Guillotine:
    """A client that is killed at its ``at``-th call that writes: ``before`` it leaves, or before its answer comes."""

    def __init__(self, zoho: ZohoClient, at: int = 0, *, before: bool = True) -> None:
        self._zoho, self._at, self._before, self.made = zoho, at, before, 0

    def exchange(self, method: str, *words: Any) -> Any:
        self.made += method != "GET"
        if self.made == self._at and self._before and method != "GET":
            raise KilledError
        answer = self._zoho.exchange(method, *words)
        if self.made == self._at and method != "GET":
            raise KilledError
        return answer


class Free:
    """Leave to call, for whoever asks."""

    def acquire(self, call: Call) -> Permit:
        return cast("Permit", call)

    def release(self, permit: Permit, answer: CallAnswer = None) -> None:
        """Nothing is learnt."""


class Hall:
    """An organisation of these rules, and rehearsals in it."""

    def __init__(self, folder: Path, *, version: str = "v8", faults: Any = (), **rules: Any) -> None:
        self.path = folder / f"{MARK}.jsonl"
        self.clock = VirtualClock(1_800_000_000.0)
        self.organisation = Organisation(
            clock=self.clock.now, random=Random(1), leads=3, rules=Rules(**rules), faults=faults
        )
        settings = Settings(
            ZOHO_CLIENT_ID="1000.TEST",
            ZOHO_CLIENT_SECRET="not-a-secret",
            ZOHO_REFRESH_TOKEN="1000.not-a-token",
            ZOHO_ACCOUNTS_URL=ORIGIN,
            ZOHO_API_DOMAIN=ORIGIN,
            ZOHO_API_VERSION=version,
            ZOHO_CONCURRENCY=10,
        )
        redis: Any = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)

        def transport(**given: Any) -> InProcess:
            return InProcess(self.organisation, self.clock, given["deadline"])

        self.zoho, _ = connect_zoho(settings, redis, self.clock, transport_of=transport)
        self.version = int(version[1:])
        self.before = self.everything()

    def everything(self) -> dict[str, Any]:
        """What stands in the CRM: the leads, and the records of each module."""
        return {"Leads": set(self.organisation.truth())} | {
            module: set(self.organisation.records(module)) for module in ("Contacts", "Accounts", "Deals")
        }

    def stage(self, journal: Journal, client: Any = None, **more: Any) -> Stage:
        """A stage on this journal."""
        wire = Wire(
            client or self.zoho,
            Free(),
            journal,
            now=self.clock.now,
            wait=self.clock.wait,
            monotonic=self.clock.now,
        )
        return Stage(wire, Cast(MARK), self.version, "sandbox", calls_at_once=10, **more)

    def rehearse(
        self, only: Collection[int] = (), *, during: Callable[[Stage], object] = bool, **more: Any
    ) -> tuple[dict[str, Any], Cleaned]:
        """The file of a whole run, and what its clean-up did; ``during`` is done before the questions."""
        with Journal(self.path) as journal:
            journal.begin(MARK, "digest", self.clock.now(), f"v{self.version}")
            rehearsal = Rehearsal(self.stage(journal, **more), chosen(only))
            demand_scopes(rehearsal.stage.wire, shown_by="massconvert rehearse --scopes")
            rehearsal.make()
            during(rehearsal.stage)
            rehearsal.ask()
            cleaned = clean_up(rehearsal.stage)
            rehearsal.note_clean_up(cleaned)
            found = as_file(
                rehearsal,
                at=self.clock.now(),
                version=f"v{self.version}",
                environment="sandbox",
                edition="enterprise",
                made_by="massconvert",
            )
        return found, cleaned

    def killed_at(self, call: int, *, before: bool, only: Collection[int] = ()) -> bool:
        """A run that is killed at a call; whether there was one to be killed at."""
        client = Guillotine(self.zoho, call, before=before)
        try:
            with Journal(self.path) as journal:
                journal.begin(MARK, "digest", self.clock.now(), f"v{self.version}")
                rehearsal = Rehearsal(self.stage(journal, client), chosen(only))
                rehearsal.make()
                rehearsal.ask()
                clean_up(rehearsal.stage)
        except KilledError:
            return True
        return False

    def killed_clean_up(self, call: int) -> None:
        """A clean-up that is killed at a call."""
        try:
            with Journal(self.path) as journal:
                clean_up(self.stage(journal, Guillotine(self.zoho, call, before=False)))
        except KilledError:
            pass

    def clean_up(self) -> Cleaned:
        """Clean up behind what the journal tells."""
        with Journal(self.path) as journal:
            return clean_up(self.stage(journal))
