"""What the pages read: each thing at most once in a while for all who look, however many they are."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from massconvert.cli.batch_view import pause_in_words
from massconvert.cli.desk import Desk
from massconvert.cli.dry_run import Facts
from massconvert.cli.profile_standing import ProfileStanding, own_profiles, standing_of
from massconvert.cli.why import GOES_ON, Known, Reason, Word, why
from massconvert.dashboard.chart import Chart, draw
from massconvert.dashboard.words import Lasts, Verdict, verdict
from massconvert.errors import MassConvertError, SettingsError
from massconvert.ledger import Backlog, Deed, FailedWith, Workers
from massconvert.ledger.days import DAY, Quarter
from massconvert.metrics import Seen, look
from massconvert.model import BatchState, BatchStatus, Owner, Pause, Waits
from massconvert.model.story import Story
from massconvert.policy.cost import Forecast, Pace, forecast
from massconvert.profiles import ConfigFile
from massconvert.zoho.datacenters import crm_pages
from massconvert.zoho.edition import MAX_POSTS
from massconvert.zoho.standing import Standing, token_trouble

T = TypeVar("T")

#: Seconds for which a read serves all viewers: the counts of a batch, what changes slowly, and what costs much.
SOON, SLOWLY, COSTLY, RARELY = 1.0, 4.0, 20.0, 60.0
#: How many batches a page shows, and how many it looks at to find those that a filter wants.
SHOWN, LOOKED_AT = 20, 400
#: How many payloads of a batch are asked what they wait for.
_ASKED = 20
#: How long the progress of batches is remembered, in seconds, and of how many batches.
_REMEMBERED, _BATCHES = 120.0, 200
#: A payload is late when its next step is overdue for so long, in seconds.
_LATE = 120.0
#: How far apart two looks must be to tell a rate, in seconds.
_APART = 5.0


@dataclass
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    read_at: float = -1e9
    value: Any = None
    error: MassConvertError | None = None


class Cache:
    """Values that are read again when they are too old: once, however many threads ask. ``monotonic``: seconds."""

    _MOST = 500

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._slots: dict[Hashable, _Slot] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, seconds: float, read: Callable[[], T]) -> T:
        """What ``read`` gave at most ``seconds`` ago; a Redis that does not answer is not asked sooner either."""
        with self._lock:
            if len(self._slots) >= self._MOST:
                self._slots.clear()
            slot = self._slots.setdefault(key, _Slot())
        with slot.lock:
            if self._monotonic() - slot.read_at >= seconds:
                try:
                    slot.value, slot.error = read(), None
                except MassConvertError as error:
                    slot.error = error
                slot.read_at = self._monotonic()
            if slot.error:
                raise slot.error
            value: T = slot.value
            return value

    def forget(self) -> None:
        """Read all again when it is asked for next: somebody has changed something here."""
        with self._lock:
            self._slots.clear()


@dataclass(frozen=True)
class Listed:
    """A part of the list of batches: how many were looked at for it, and the id after which the next part begins."""

    batches: tuple[BatchStatus, ...]
    looked_at: int
    known: int
    next: str = ""


@dataclass(frozen=True)
class Rate:
    """Leads that end in a second, and the seconds until all have; ``None`` where nothing tells."""

    a_second: float | None = None
    seconds_left: float | None = None


class Reads:
    """What the pages read of one account. All of it raises StoreError, LedgerError."""

    def __init__(self, desk: Desk, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.desk, self._cache, self._monotonic = desk, Cache(monotonic), monotonic
        self._looks: dict[str, deque[tuple[float, int]]] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """What was read may have been changed here."""
        self._cache.forget()

    def now(self) -> float:
        """The ledger's time, Unix seconds."""
        return self._cache.get("now", SOON, self.desk.clock.now)

    def whose(self) -> str:
        """Which organisation it is."""
        return self._cache.get("whose", COSTLY, self.desk.whose)

    def status(self, batch_id: str) -> BatchStatus:
        """The counts of a batch. Raises UnknownBatchError."""
        status = self._cache.get(("status", batch_id), SOON, lambda: self.desk.ledger.batches.status(batch_id))
        self._note(status)
        return status

    def failures(self, batch_id: str) -> list[FailedWith]:
        """How many leads of a batch failed with each code."""
        return self._cache.get(("failures", batch_id), SOON * 2, lambda: self.desk.ledger.failures(batch_id))

    def listed(self, after: str = "", state: str = "", begins: str = "") -> Listed:
        """The newest batches that follow ``after``, of a state and with a name that begins so."""
        key = ("listed", after, state, begins)
        return self._cache.get(key, SLOWLY / 2, lambda: self._list(after, state, begins))

    def _list(self, after: str, state: str, begins: str) -> Listed:
        batches, wanted = self.desk.ledger.batches, bool(state or begins)
        seen = batches.recent(LOOKED_AT if wanted else SHOWN + 1, after=after)
        fit = [batch for batch in seen if _is_in(batch, state) and batch.batch.startswith(begins)]
        shown = fit[:SHOWN]
        more = len(fit) > SHOWN or (wanted and len(seen) == LOOKED_AT)
        last = shown[-1] if len(fit) > SHOWN else seen[-1] if seen else None
        looked_at = seen.index(last) + 1 if last else 0
        return Listed(tuple(shown), looked_at, batches.known(), last.batch if more and last else "")

    def deeds(self, batch_id: str = "") -> list[Deed]:
        """What was done by hand lately; of one batch, where it is named."""
        found = self._cache.get("deeds", SOON, self.desk.ledger.deeds.latest)
        return [deed for deed in found if not batch_id or deed.batch == batch_id]

    def paused(self) -> Pause | None:
        """Why the organisation is paused."""
        return self._cache.get("paused", SOON, self.desk.ledger.organisation.paused)

    def calls(self) -> Standing:
        """How permits to call Zoho stand."""
        return self._cache.get("calls", SOON * 2, self.desk.standing)

    def workers(self) -> Workers:
        """Who works."""
        fleet = self.desk.ledger.fleet
        members = self._cache.get("fleet", SLOWLY, lambda: fleet.members(now=self.now()))
        return Workers.among(members, self.now())

    def counts(self) -> dict[str, int]:
        """What of the organisation waits and runs."""
        return self._counted()[1]

    def _counted(self) -> tuple[dict[str, int], dict[str, int]]:
        """How many leads of the latest batches waited just before, and then what `counts` says."""
        read = self.desk.ledger.organisation.counts
        return self._cache.get("counts", COSTLY, lambda: ({b.batch: b.waiting for b in self.listed().batches}, read()))

    def _ahead(self, status: BatchStatus) -> int:
        """The leads that wait, this batch's among them. What waits beside them was counted when they were."""
        waited, counts = self._counted()
        others = max(0, counts["leads_waiting"] - waited[status.batch]) if status.batch in waited else 0
        return status.waiting + others

    def why(self, status: BatchStatus) -> Reason | None:
        """Why a batch has not finished."""
        if status.finished:
            return None
        trouble = self._cache.get("token", SLOWLY, lambda: token_trouble(self.desk.settings, self.desk.redis))
        known = Known(
            status,
            paused=self.paused(),
            calls=self.calls(),
            workers=self.workers(),
            waits=self._waits(status.batch),
            token_trouble=trouble,
            now=self.now(),
        )
        reason = why(known)
        if reason and reason.word is Word.ITS_TURN:  # only then it matters what the others wait for, which costs most
            reason = why(Known(**{**vars(known), "ahead": self._ahead(status)}))
        return reason

    def stories(self, lead_ids: tuple[str, ...]) -> dict[str, list[Story]]:
        """What happened to each of some leads, batch by batch."""
        return self._cache.get(("stories", lead_ids), SLOWLY, lambda: self.desk.ledger.stories.of_each(lead_ids))

    def crm(self) -> str:
        """Where the organisation's people see its records; blank where nobody knows."""
        owner = self._owner()
        return crm_pages(owner.place) if owner else ""

    def zone(self) -> str:
        """The name of the organisation's time zone; blank where nobody knows."""
        owner = self._owner()
        return owner.zone if owner else ""

    def _owner(self) -> Owner | None:
        return self._cache.get("owner", COSTLY, self.desk.ledger.title.owner)

    def verdict(self) -> Verdict:
        """How the organisation stands, in a sentence."""
        going = [batch for batch in self.listed().batches if not batch.finished]
        moving = [batch for batch in going if not batch.held or (batch.canary and not batch.canary.over)]
        counts, reason = self.counts(), None
        if self.paused() or moving:
            reason = self.why((moving or going)[-1]) if going else self._paused_reason()
            if reason and reason.word in GOES_ON | {Word.NOT_ENQUEUED_WHOLE}:
                reason = None
        return verdict(reason, counts, len(going) - len(moving), self._lasts(counts["leads_waiting"]))

    def _lasts(self, leads: int) -> Lasts:
        cost, left = self.cost(leads), self.calls().credits_left
        may_use = None if left is None else max(0, left - self.desk.settings.credits_reserve)
        if may_use is None or cost.credits <= may_use:
            return Lasts(cost.seconds)
        return Lasts(cost.seconds, leads * may_use // cost.credits)

    def _paused_reason(self) -> Reason | None:
        said, _, do = pause_in_words(paused).partition("\n") if (paused := self.paused()) else ("", "", "")
        return Reason(Word.PAUSED, said, do) if said else None

    def profiles(self) -> list[ProfileStanding]:
        """The profiles of the account, with their next runs."""
        return self._cache.get("profiles", COSTLY, self._profiles)

    def _profiles(self) -> list[ProfileStanding]:
        desk = self.desk
        try:
            profiles = ConfigFile(desk.settings.config_file).config().profiles
        except SettingsError:  # `profile check` and the doctor tell of a wrong file
            return []
        ours = [(name, each) for name, each in profiles.items() if each.account in (None, desk.settings.account)]
        return [standing_of(desk, name, profile) for name, profile in ours[:SHOWN]]

    def chart(self) -> Chart:
        """What was counted in the last day."""
        return self._cache.get("chart", SLOWLY, self._chart)

    def _chart(self) -> Chart:
        now = self.now()
        return draw(self.desk.ledger.days.read(now - DAY, now + 1), now)

    def quarters(self, since: float) -> list[Quarter]:
        """What was counted since a moment (Unix seconds), as of a while ago: of many days it is much."""
        return self._cache.get(
            ("quarters", since), RARELY / 2, lambda: self.desk.ledger.days.read(since, self.now() + 1)
        )

    def seen(self) -> Seen:
        """What the fleet's metrics tell, as of some seconds ago: several may scrape them."""
        return self._cache.get("seen", COSTLY / 4, self._seen)

    def _seen(self) -> Seen:
        desk, began = self.desk, self._monotonic()
        seen = look(desk.ledger, desk.standing(), desk.clock.now(), own_profiles(desk))
        return replace(seen, took=self._monotonic() - began)

    def backlog(self) -> Backlog:
        """What waits for long, as of a while ago: to look is dear."""
        ledger = self.desk.ledger
        return self._cache.get("backlog", RARELY, lambda: ledger.backlog(now=self.now(), grace=_LATE))

    def _waits(self, batch_id: str) -> Waits | None:
        ledger = self.desk.ledger
        return self._cache.get(("waits", batch_id), SLOWLY, lambda: ledger.waits(batch_id, now=self.now(), most=_ASKED))

    def cost(self, leads: int) -> Forecast:
        """What converting this many leads will cost. An estimate."""
        return forecast(leads, self._cache.get("pace", COSTLY, self._pace))

    def _pace(self) -> Pace:
        assumed, calls = Facts.assumed(self.desk.settings).pace, self.calls()
        at_once = calls.learnt if calls.source else assumed.calls
        times = self.desk.ledger.organisation.job_lengths(now=self.now()).times
        job = times[len(times) // 2] if times else assumed.job_seconds
        return Pace(at_once, min(at_once, MAX_POSTS), assumed.jobs, job_seconds=job)

    def rate(self, status: BatchStatus) -> Rate:
        """How fast a batch goes, as those who looked at it lately have seen."""
        looks = list(self._looks.get(status.batch, ()))
        if status.state is not BatchState.RUNNING or len(looks) < 2:
            return Rate()
        (first, before), (last, ended) = looks[0], looks[-1]
        if last - first < _APART:
            return Rate()
        a_second = (ended - before) / (last - first)
        left = status.total - status.ended
        return Rate(a_second, left / a_second if a_second > 0 else None)

    def _note(self, status: BatchStatus) -> None:
        now = self._monotonic()
        with self._lock:
            if len(self._looks) > _BATCHES:
                self._looks.clear()
            looks = self._looks.setdefault(status.batch, deque(maxlen=int(_REMEMBERED)))
            if not looks or now - looks[-1][0] >= SOON:
                looks.append((now, status.ended))
            while now - looks[0][0] > _REMEMBERED:
                looks.popleft()


def _is_in(batch: BatchStatus, state: str) -> bool:
    if state == "failures":
        return batch.failed > 0
    return not state or batch.state.value == state
