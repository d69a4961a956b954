"""A CRM and the workers of one test: what is enqueued is converted at once, by the real steps, in virtual time."""

from __future__ import annotations

import heapq
import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from random import Random
from typing import Any

import fakeredis

from massconvert.errors import MassConvertError
from massconvert.model import Again, BatchStatus, Job, Resend, Settle, Submitted
from massconvert.on_complete.targets import Target
from massconvert.producer.batch import Batch
from massconvert.producer.intake import Intake
from massconvert.profiles import ConfigFile
from massconvert.settings import Settings
from massconvert.simulator import Organisation, Rules
from massconvert.store import Redis
from massconvert.testing.wire import InProcess, VirtualClock
from massconvert.wiring import Workshop, make_ports

#: Seconds of the test's own clock after which leads without an outcome will get none: longer than any outage is borne.
LONGEST = 3 * 86_400.0
#: Nobody is asked there.
_ORIGIN = "https://zoho.invalid"


class StuckError(MassConvertError):
    """Leads have no outcome, and none will come: the error says what they wait for."""


class FakeCrm:
    """A Zoho CRM in which every lead exists, unless a test says otherwise, and the workers that convert its leads.

    Users, stages and modules are not looked up: they are those of the app's own organisation. ``rules`` and ``faults``
    are the simulator's (docs/testing.md); ``seed`` decides what is left to chance. A lead that was never heard of is
    made when it is enqueued; ``unknown`` ones are not. With ``by_itself`` what is enqueued is converted at once;
    without it, by `work`. ``called`` is whom an ``on_complete`` has named, with the summary.
    """

    def __init__(
        self,
        *,
        unknown: Iterable[str] = (),
        rules: Rules | None = None,
        faults: Any = (),
        seed: int = 0,
        by_itself: bool = True,
    ) -> None:
        self.clock = VirtualClock(time.time())
        self.unknown = set(unknown)
        self.by_itself = by_itself
        self.organisation = Organisation(
            clock=self.clock.now,
            random=Random(seed),
            leads=0,
            rules=rules or Rules(takes_any_options=True),
            faults=faults,
        )
        self.redis: Redis = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
        settings = Settings(
            ZOHO_CLIENT_ID="1000.TEST",
            ZOHO_CLIENT_SECRET="not-a-secret",  # noqa: S106 - it is none: the simulator takes any
            ZOHO_REFRESH_TOKEN="1000.not-a-token",  # noqa: S106 - as above
            ZOHO_ACCOUNTS_URL=_ORIGIN,
            ZOHO_API_DOMAIN=_ORIGIN,
            ZOHO_CONCURRENCY=10,
        )
        self.called: list[tuple[Target, dict[str, Any]]] = []
        ports = make_ports(
            settings,
            self.redis,
            self.clock,
            _Called(self.called),
            random=Random(seed),
            transport_of=self._transport,
            steady=self.clock.now,
        )
        self._messages = _Messages(self.clock)
        nudge: Any = self._messages  # its shape
        self._workshop = Workshop(ports, nudge, settings.sweep_interval, ConfigFile(settings.config_file))
        self._sweep_interval = settings.sweep_interval
        self.intake: Intake = _Intake(self)
        self.ledger, self.nudge = ports.ledger, nudge

    # --- what a test asks and does ---

    def work(self) -> None:
        """Do all that workers would do, until every lead that can end has ended. Raises StuckError."""
        end = self.clock.now() + LONGEST
        while self.clock.now() < end:
            message = self._messages.next()
            if message:
                self._obey(*message)
            elif self._paused() or not self._sweep_later():
                return
        late = self._workshop.ports.ledger.backlog(now=self.clock.now(), grace=-LONGEST).late
        words = ", ".join(f"payload {each.chunk_id} is {each.state.value} (job {each.job_id or '-'})" for each in late)
        raise StuckError(
            f"Leads have no outcome after {LONGEST / 86_400:g} days: {words}.",
            hint="Which fault of the test never ends?",
        )

    def truth(self) -> dict[str, dict[str, Any]]:
        """What Zoho knows of each lead that exists: ``converted``, ``contact_id``, ``deal_id``, ``conversions`` …"""
        return self.organisation.truth()

    def calls(self) -> Counter[str]:
        """How many calls were made, by name: ``POST mass_convert``, ``GET mass_convert``, ``GET Leads`` …"""
        return self.organisation.calls()

    def batches(self) -> list[BatchStatus]:
        """The batches that were enqueued, the latest first."""
        return self._workshop.ports.ledger.batches.recent(limit=1_000_000)

    def convert_by_hand(self, lead_id: str) -> None:
        """Somebody converts a lead in Zoho's own pages."""
        self.organisation.add_lead(lead_id)
        self.organisation.convert_by_hand(lead_id)

    def receive(self, kwargs: Mapping[str, Any], message_id: str) -> Batch:
        """What a worker does with a ``massconvert.enqueue`` message; but what it would log and drop is raised.

        Raises InputError, OptionsError, KeyConflictError; TypeError for an argument that the task does not know.
        """
        wire = json.loads(json.dumps(dict(kwargs)))  # what is not JSON does not get through a broker
        key = wire.pop("key", None) or message_id
        wire.pop("account", None)  # whichever it is, this is its CRM
        self.expect(wire.get("lead_ids") or ())
        batch_id = self._workshop.enqueue(wire.pop("lead_ids"), wire.pop("options", None), key, **wire)
        if self.by_itself:
            self.work()
        return self.intake.batch(batch_id)

    def expect(self, lead_ids: Collection[Any]) -> None:
        """Make those of these leads that were never heard of."""
        known = set(self.organisation.lead_ids())
        for lead_id in map(str, lead_ids):
            if lead_id.isdigit() and lead_id not in known and lead_id not in self.unknown:
                self.organisation.add_lead(lead_id)

    # --- the workers ---

    def _transport(self, *, deadline: float, **_: Any) -> InProcess:
        return InProcess(self.organisation, self.clock, deadline)

    def _obey(self, task: str, about: Any) -> None:
        """Take a task's step, and do with what it says what the task does (tasks/obey.py)."""
        send, workshop = self._messages, self._workshop
        if task == "chunk":
            next_step: Any = workshop.chunk()
            if isinstance(next_step, Again):
                send.chunk(next_step.in_seconds)
            return
        if task == "call_back":
            if isinstance(workshop.call_back(), Again):
                send.call_back()
            return
        if task == "run":
            next_step = workshop.run_profile(about["name"], about["run_id"], begin=False)
            if isinstance(next_step, Again):
                send.run_profile(about["name"], about["run_id"], next_step.in_seconds)
            return
        chunk_id = about["chunk_id"]
        next_step = workshop.convert(chunk_id) if task == "convert" else workshop.status(about)
        if isinstance(next_step, Submitted):
            send.status(next_step.job, next_step.job.due_in)
        elif isinstance(next_step, Resend) or (task == "convert" and isinstance(next_step, Again | Settle)):
            send.convert(chunk_id, next_step.in_seconds)
        elif isinstance(next_step, Again | Settle):
            send.status(about, next_step.in_seconds)

    def _paused(self) -> bool:
        return self._workshop.ports.ledger.organisation.paused() is not None

    def _sweep_later(self) -> bool:
        """Sweep when something will be due; return whether anything is under way."""
        backlog = self._workshop.ports.ledger.backlog(now=self.clock.now(), grace=0.0)
        calls = self._workshop.ports.ledger.callbacks.due(now=self.clock.now())
        if not backlog.chunks and not backlog.leads_waiting and not calls:
            return False
        self.clock.wait(self._sweep_interval)
        self.clock.wait_until(backlog.next_due or 0.0)
        self._workshop.sweep()
        return True


class _Messages:
    """A broker that loses nothing: messages in the order in which they are due. Takes the place of a `Nudge`."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, str, Any]] = []
        self._number = 0

    def chunk(self, countdown: float = 0.0) -> None:
        """Form chunks."""
        self._send("chunk", None, countdown)

    def convert(self, chunk_id: str, countdown: float = 0.0) -> None:
        """Send this chunk."""
        self._send("convert", {"chunk_id": chunk_id}, countdown)

    def status(self, job: Job | Mapping[str, Any], countdown: float = 0.0) -> None:
        """Follow this job."""
        about = {"chunk_id": job.chunk_id, "job_id": job.job_id} if isinstance(job, Job) else dict(job)
        self._send("status", about, countdown)

    def run_profile(self, name: str, run_id: str, countdown: float = 0.0) -> None:
        """Go on with this run of a profile."""
        self._send("run", {"name": name, "run_id": run_id}, countdown)

    def call_back(self) -> None:
        """Make the calls that are due."""
        self._send("call_back", None, 0.0)

    def next(self) -> tuple[str, Any] | None:
        """The next message, when it is due."""
        if not self._waiting:
            return None
        due, _, task, about = heapq.heappop(self._waiting)
        self._clock.wait_until(due)
        return task, about

    def _send(self, task: str, about: Any, countdown: float) -> None:
        self._number += 1
        heapq.heappush(self._waiting, (self._clock.now() + countdown, self._number, task, about))


class _Called:
    """Notes whom a worker would call."""

    def __init__(self, called: list[tuple[Target, dict[str, Any]]]) -> None:
        self._called = called

    def call(self, target: Target, summary: Mapping[str, Any]) -> str:
        """It always comes through."""
        self._called.append((target, dict(summary)))
        return ""


class _Intake(Intake):
    """The producer's side of a `FakeCrm`: whatever is enqueued is worked on before the call returns."""

    def __init__(self, crm: FakeCrm) -> None:
        ports = crm._workshop.ports  # noqa: SLF001 - the two are one thing
        super().__init__(ports.ledger, ports.clock, crm._messages)  # type: ignore[arg-type]  # noqa: SLF001 - as above
        self._crm = crm

    def take(self, lead_ids: Collection[Any], *args: Any, **kwargs: Any) -> Batch:
        """As ever."""
        self._crm.expect(lead_ids)
        batch = super().take(lead_ids, *args, **kwargs)
        self._work()
        return batch

    def cancel(self, batch_id: str) -> tuple[int, int]:
        """As ever."""
        ended = super().cancel(batch_id)
        self._work()
        return ended

    def _work(self) -> None:
        if self._crm.by_itself:
            self._crm.work()
