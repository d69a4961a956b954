"""Where the parts of a worker meet, composed from the settings; commands take from here what they share with it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random, SystemRandom
from typing import Any

from massconvert.caller import Caller
from massconvert.contract import WORKER_SLOTS
from massconvert.errors import BrokerError, InputError
from massconvert.leads.ids import shown
from massconvert.ledger import Begun, Ledger
from massconvert.ledger.callbacks import AT_ONCE
from massconvert.model import Again, Done, Job, Next, State, Submitted
from massconvert.nudge import Nudge
from massconvert.on_complete.permitted import ANY_OF_AN_APP, Permitted
from massconvert.ownership import Ownership
from massconvert.policy import Tuning
from massconvert.producer.intake import Intake
from massconvert.producer.message import chunk_of, profile_of, run_of, take_message
from massconvert.profiles import Accounts, ConfigFile, Schedule, parse_slot
from massconvert.settings import Settings
from massconvert.shares import Share, Threads
from massconvert.steps.advance import CONVERTING, FOLLOWING, advance
from massconvert.steps.call_back import call_back
from massconvert.steps.drain import drain
from massconvert.steps.find import find
from massconvert.steps.form import form
from massconvert.steps.ports import CallerPort, Ports
from massconvert.steps.sweep import sweep
from massconvert.steps.tell import tell_call, tell_decision, tell_run
from massconvert.store import Clients, Clock, Redis, RedisClock, connect, steady
from massconvert.zoho import Governor, ZohoClient, connect_zoho
from massconvert.zoho.transport import Transport

log = logging.getLogger("massconvert")

#: Chunks that wait to be sent, as a multiple of the calls at once: no permit idles, and interactive leads go out soon.
WINDOW_PER_PERMIT = 2
#: Seconds after which a task comes back whose account holds its share of the threads, or an owner that is not known.
CROWDED, OWNER_UNKNOWN = 0.5, 5.0
#: A beat whose clock is ahead may name a slot so long before its time, in seconds.
EARLY = 3600.0


def tuning(settings: Settings) -> Tuning:
    """The pipeline's numbers, from the settings."""
    return Tuning(
        linger=settings.linger,
        at_once=settings.at_once,
        window=settings.window or WINDOW_PER_PERMIT * (settings.zoho_concurrency or 10),
        max_jobs=settings.max_jobs,
        job_wait=settings.job_wait,
        lease=settings.permit_wait + 2 * settings.call_deadline + 10.0,  # longer than a permit, a token and the call
        send_within=max(5.0, settings.call_deadline / 2),
        give_up=settings.give_up_hours * 3600.0,
        retention=settings.retention_days * 86_400.0,
        sweep_grace=settings.sweep_interval,
        events=settings.events,
        profile_failures=settings.profile_failures,
        min_replicas=settings.min_replicas,
        doubt=3600 * settings.doubt_hours,
    )


def connect_ledger(settings: Settings) -> Ledger:
    """The ledger that the settings name; it connects at its first use."""
    return Ledger(connect(settings.redis_url, account=settings.account), settings.account, tuning(settings))


def connect_finder(settings: Settings) -> tuple[ZohoClient, Governor]:
    """What a command needs that looks for leads itself. Raises SettingsError when a credential is missing."""
    redis = connect(settings.redis_url, account=settings.account)
    return connect_zoho(settings, redis, RedisClock(redis))


class Workshop:
    """What a worker's tasks call: each method takes one step and says what comes next."""

    def __init__(
        self,
        ports: Ports,
        nudge: Nudge,
        sweep_interval: float,
        config: ConfigFile,
        share: Share | None = None,
        permitted: Permitted = ANY_OF_AN_APP,
        ownership: Ownership | None = None,
    ) -> None:
        self._permitted = permitted
        self._ownership = ownership
        self.ports = ports
        self.nudge = nudge
        self._sweep_interval = sweep_interval
        self._config = config
        self._share = share or Share(lambda: None)

    def chunk(self) -> Again | Done:
        """Form chunks from the inboxes and dispatch each; ``Again`` when an inbox is ready later, or left to drain."""
        self.demand_format()
        formed = form(self.ports)
        for chunk_id in formed.chunk_ids:
            self.nudge.convert(chunk_id)
        if formed.drains and drain(self.ports):
            return Again(0.0)
        return Done() if formed.full or formed.next_in is None else Again(formed.next_in)

    def convert(self, chunk_id: str) -> Next:
        """Take one step of a chunk on its way to Zoho; a chunk that was sent makes room for the next.

        Raises InputError where the message names no chunk.
        """
        return self._advance(chunk_of(chunk_id), CONVERTING)

    def status(self, job: Mapping[str, Any]) -> Next:
        """Take one step of a chunk whose job runs. Raises InputError where the message names no chunk."""
        return self._advance(chunk_of(job.get("chunk_id") if isinstance(job, Mapping) else [job]), FOLLOWING)

    def owner_unknown(self) -> Again | None:
        """``Again`` while nobody can tell whose ledger this is: no lead is sent or read before.

        Raises LedgerMismatchError where it is another organisation's, or of another format.
        """
        why = self._ownership.demand() if self._ownership else ""
        if why and self._ownership and self._ownership.refused:
            return None  # the step meets the same refusal, and pauses the organisation
        if why:
            log.warning("Nothing is sent before it is known whose ledger this is: %s.", why)
        return Again(OWNER_UNKNOWN) if why else None

    def demand_format(self) -> None:
        """Raise LedgerMismatchError where the ledger is not of this version's format."""
        if self._ownership:
            self._ownership.demand_format()

    def _advance(self, chunk_id: str, states: frozenset[State]) -> Next:
        if later := self.owner_unknown():
            return later
        with self._share.taken() as ours:
            if not ours:
                return Again(CROWDED)
            what_next = advance(self.ports, chunk_id, states)
        with _as_hints():
            if isinstance(what_next, Done | Submitted):
                self.chunk()  # what has left the window makes room
            for sibling in () if isinstance(what_next, Submitted) else what_next.siblings:
                self.nudge.convert(sibling)
        if isinstance(what_next, Done):
            self._have_calls_made()
        return what_next

    def call_back(self) -> Again | Done:
        """Make one call about a finished batch that is due; ``Again`` when another is."""
        self.demand_format()
        return call_back(self.ports)

    def _have_calls_made(self) -> None:
        """Send a message for each call that is due, and may be made now; calls are made beside the leads' work."""
        due = self.ports.ledger.callbacks.due()
        with _as_hints():
            for _ in range(min(due, AT_ONCE)):
                self.nudge.call_back()

    def sweep(self) -> int:
        """Dispatch what is overdue; return how many chunks were. Safe to call from many workers at once."""
        self.demand_format()
        if not self.ports.ledger.organisation.take_sweep(self._sweep_interval * 0.8):
            return 0
        found = 0
        for overdue in sweep(self.ports):
            found += 1
            if overdue.state is State.RUNNING:
                self.nudge.status(Job(overdue.chunk_id, overdue.job_id))
            else:
                self.nudge.convert(overdue.chunk_id)
        runs = self.ports.ledger.runs.overdue()
        for run in runs:
            self.nudge.run_profile(run.profile, run.run_id)
        self.chunk()
        self._have_calls_made()
        return found + len(runs)

    def enqueue(self, lead_ids: list[Any], options: Any, key: str, profile: str | None = None, **start: Any) -> str:
        """Accept the leads of a task message; return the batch id. ``start`` as in `producer.message.take_message`."""
        self.demand_format()
        intake = Intake(self.ports.ledger, self.ports.clock, self.nudge)
        named = self._config.profile(profile) if profile else None
        return take_message(intake, lead_ids, options, key, named, permitted=self._permitted, **start).id

    def run_profile(self, name: str, run_id: str, *, slot: str = "", begin: bool = True) -> Next:
        """Take one page of a run, which is begun first where it is new and ``begin``; say what comes next.

        Raises InputError for a profile that cannot be run, SettingsError for a wrong massconvert.toml.
        """
        run_id, name = run_of(run_id), profile_of(name)
        if later := self.owner_unknown():
            return later
        if begin and not self._begin(name, run_id, slot):
            return Done()
        with self._share.taken() as ours:
            if not ours:
                return Again(CROWDED)
            looked = find(self.ports, run_id)
        if looked.nudge_in is not None:
            with _as_hints():
                self.nudge.chunk(countdown=looked.nudge_in)
        return looked.next

    def _begin(self, name: str, run_id: str, slot: str) -> bool:
        """Begin the run, unless its slot has had its turn; False when there is nothing to go on with."""
        runs = self.ports.ledger.runs
        if runs.get(run_id):
            return True
        profile = self._config.to_find_with(name)
        if slot and not (profile.enabled and _in_time(slot, profile.schedule, self.ports.clock.now())):
            log.warning("profile %s: the slot %s is not run: too late, or the profile is disabled", name, slot)
            return False
        begun = runs.begin(run_id, name, profile, slot=slot)
        if why := runs.why_left_out(begun, name):
            log.warning("profile %s: the slot %s is left out, since %s", name, slot, why)
        return begun in (Begun.BEGUN, Begun.KNOWN)


@contextmanager
def _as_hints() -> Iterator[None]:
    """Send messages that may get lost: what the broker does not take stays due in the ledger, for the sweep."""
    try:
        yield
    except BrokerError as error:
        log.warning("%s", error.message)


class Workshops:
    """What one worker process serves: every account, each with a workshop of its own that is made at its first use.

    ``threads`` is how many tasks the process runs at once.
    """

    def __init__(self, accounts: Accounts, threads: int = WORKER_SLOTS) -> None:
        self.accounts = accounts
        self.threads = Threads(threads)
        self._lock = threading.Lock()
        self._workshops: dict[str, Workshop] = {}
        self._turn = 0

    @cached_property
    def lines(self) -> Connections:
        """The process' connections, which all its accounts share."""
        return Connections.of(self.accounts.base)

    def workshop(self, account: str | None) -> Workshop:
        """The workshop of an account; the environment's own where none is named. Raises InputError, SettingsError."""
        name = account or self.accounts.base.account
        with self._lock:
            if name not in self._workshops:
                (settings := self.accounts.settings(name)).require_zoho()
                share = Share(self._part, self.threads)
                self._workshops[name] = open_workshop(settings, share, self.lines, self.accounts.config)
            return self._workshops[name]

    def sweep(self) -> int:
        """Sweep every account; another one is first each time, and one in trouble stops none of the others.

        Returns how much was overdue. Raises the first trouble, when all had their turn.
        """
        names = self.accounts.served()
        self._turn += 1
        first = self._turn % len(names)
        found, trouble = 0, None
        for name in names[first:] + names[:first]:
            try:
                found += self.workshop(name).sweep()
            except Exception as error:  # noqa: BLE001, PERF203 - a bug too: the others have their turn all the same
                trouble = trouble or error
        if trouble:
            raise trouble
        return found

    def _part(self) -> int | None:
        """How many threads are an account's own while there are others: each of those has a few kept for it."""
        others = len(self.accounts.served()) - 1
        if others < 1:
            return None
        total = self.threads.total
        kept = max(1, total // (2 * (others + 1)))
        return max(1, total - others * kept)


def workshop_of(account: str | None = None, profile: str | None = None) -> Workshop:
    """This process' workshop for an account, or for that of a profile; without either, the environment's own.

    Raises InputError for what names neither, an unknown account, or one that is not the profile's; SettingsError.
    """
    for name, value in (("account", account), ("profile", profile)):
        if not isinstance(value, str | None):
            raise InputError(f"Dropped a message with the wrong {name} {shown(value)}.")
    served = workshops()
    return served.workshop(served.accounts.of_profile(account, profile) if profile else account)


def workshops() -> Workshops:
    """This process' workshops, of the accounts of the environment and massconvert.toml."""
    return _workshops(os.getpid())


@lru_cache(maxsize=1)
def _workshops(pid: int) -> Workshops:  # noqa: ARG001 - a forked child makes connections of its own
    return Workshops(Accounts())


@dataclass(frozen=True)
class Connections:
    """A process' connections to Redis and to the broker. All its accounts share them: both are the machine's."""

    clients: Clients
    nudge: Nudge

    @classmethod
    def of(cls, settings: Settings) -> Connections:
        """Those that the settings name; each connects at its first use."""
        return cls(Clients(settings.redis_url), Nudge(settings.broker_url))


def open_workshop(
    settings: Settings, share: Share | None = None, lines: Connections | None = None, config: ConfigFile | None = None
) -> Workshop:
    """A workshop on these lines and by this massconvert.toml, or with connections and a look at the file of its own."""
    lines, config = lines or Connections.of(settings), config or ConfigFile(settings.config_file)
    nudge = lines.nudge.of(settings.account)
    ports = open_ports(settings, lines)
    redis = lines.clients.of(settings.account)
    owned = Ownership(ports.ledger.title, settings, lambda: connect_zoho(settings, redis, ports.clock))
    return Workshop(ports, nudge, settings.sweep_interval, config, share, settings.permitted, owned)


def connect_ownership(settings: Settings) -> Ownership:
    """What a command asks whether the ledger is its organisation's. Raises SettingsError."""
    return Ownership(connect_ledger(settings).title, settings, lambda: connect_finder(settings))


def open_ports(settings: Settings, lines: Connections | None = None) -> Ports:
    """What the steps need, on a worker's lines or with connections of its own: then a person looks something up.

    Raises SettingsError when a credential is missing.
    """
    own = lines or Connections.of(settings)
    redis = own.clients.of(settings.account)
    caller = Caller(own.nudge, settings.webhook_secret, settings.permitted)
    return make_ports(settings, redis, RedisClock(redis), caller, obeys_pause=lines is not None)


def make_ports(
    settings: Settings,
    redis: Redis,
    clock: Clock,
    caller: CallerPort,
    *,
    obeys_pause: bool = True,
    random: Random | None = None,
    transport_of: Callable[..., Transport] = Transport,
    steady: Callable[[], float] = steady,
) -> Ports:
    """What the steps need, over this Redis and with this clock. Raises SettingsError when a credential is missing.

    ``obeys_pause``: nothing is asked of Zoho while a person has paused the organisation.
    """
    numbers = tuning(settings)
    zoho, governor = connect_zoho(settings, redis, clock, transport_of=transport_of, obeys_pause=obeys_pause)
    return Ports(
        ledger=Ledger(redis, settings.account, numbers, clock),
        zoho=zoho,
        governor=governor,
        clock=clock,
        random=random or SystemRandom(),
        tuning=numbers,
        log=lambda decision: tell_decision(decision, settings.account),
        log_run=tell_run,
        caller=caller,
        log_call=tell_call,
        steady=steady,
    )


def _in_time(slot: str, schedule: Schedule | None, now: float) -> bool:
    try:
        late = now - parse_slot(slot)
    except ValueError:
        raise InputError(f"{shown(slot)} is not a slot: write it like 20261124T030000Z, in UTC.") from None
    if late < -EARLY:  # once a slot has had its turn, all those before it are past
        raise InputError(f"The slot {slot} is more than {EARLY / 3600:g} h ahead of Redis' clock. It is not begun.")
    return late <= (schedule or Schedule(every=3600.0)).catch_up
