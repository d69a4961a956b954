"""Enqueue lead ids from any Python app, and watch the batch that this makes.

A producer talks to Redis (the ledger) and sends one hint to the broker; it needs no Zoho credentials.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from itertools import islice
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from massconvert.batch import Batch
from massconvert.deal_values import demand_deal, misfits, parse_deal_values
from massconvert.errors import BrokerError, InputError
from massconvert.leads import check_batch_key, demand_valid, valid_ids
from massconvert.ledger import Ledger
from massconvert.model import Canary, Listing, Priority, Why
from massconvert.nudge import Nudge
from massconvert.on_complete import Given, Target, demand_permitted, parse_targets
from massconvert.options import (
    Options,
    begins_with,
    demand,
    examine,
    fingerprint,
    listings_for,
    parse_canary,
    parse_priority,
    resolve_names,
)
from massconvert.permitted import ANY_OF_AN_APP, Permitted
from massconvert.policy import Tuning, priority_of
from massconvert.profiles import Accounts, Profile
from massconvert.retries import deals_to_retry, leads_to_retry, looked_at_first, retry_key
from massconvert.settings import Settings
from massconvert.store import Clock, RedisClock, connect

#: Leads a script call: large enough that the round trip does not matter, small enough that Redis stays answerable.
SLICE = 2000
#: Above so many leads an enqueue is a bulk: its tail does not wait for company.
BULK = 50
#: For so many seconds a listing of the organisation is believed when it speaks against options.
TRUSTED = 900.0
#: For so many seconds a process need not look again at what is kept for options that it has enqueued with.
REMEMBERED, MOST_REMEMBERED = 30.0, 64
#: Why a batch is held that a person paused and gave no other reason.
PAUSED_BY_HAND = "paused by hand"

Progress = Callable[[int], object]


class Intake:
    """Takes leads into the ledger and tells the workers: what producers and the enqueue task share.

    ``credentials`` is their digest where there are some: leads of another organisation are not taken.
    """

    def __init__(self, ledger: Ledger, clock: Clock, nudge: Nudge, credentials: str = "") -> None:
        self._credentials = credentials
        self._ledger = ledger
        self._clock = clock
        self._nudge = nudge
        self._ready: dict[str, tuple[float, Mapping[str, Any]]] = {}

    def batch(self, batch_id: str) -> Batch:
        """The batch of that id (or key). Raises UnknownBatchError."""
        self._ledger.batches.status(batch_id)
        return Batch(self._ledger, batch_id)

    def cancel(self, batch_id: str) -> tuple[int, int]:
        """Cancel what of a batch has not been sent; how many leads that ends, how many are followed."""
        answer = self._ledger.batches.cancel(batch_id)
        self._tell(0.0)
        return answer

    def pause(self, batch_id: str, reason: str) -> bool:
        """Let nothing more of a batch be sent; return whether there was anything to hold."""
        return self._ledger.batches.hold(batch_id, reason)

    def resume(self, batch_id: str) -> bool:
        """Let a batch go on that was paused, or waits after its canary; return whether it was held.

        A broker that cannot be told is no trouble: the workers' sweep finds what is due.
        """
        released = self._ledger.batches.release(batch_id)
        if self._tell(0.0) is None:
            with suppress(BrokerError):
                for chunk_id in released.chunk_ids:
                    self._nudge.convert(chunk_id)
        return released.was_held

    def retry(
        self,
        batch_id: str,
        options: Options | Mapping[str, Any] | None = None,
        *,
        codes: Collection[str] = (),
        lead_ids: Collection[str] = (),
        deals: bool = False,
    ) -> Batch:
        """Take leads of a batch in again, as a batch of their own; see `MassConvert.retry`."""
        batch = self.batch(batch_id)
        leads = leads_to_retry(batch_id, batch.outcomes(), codes, lead_ids, deals=deals)
        own, values = batch.options(), self._ledger.batches.deal_values(batch_id, leads)
        # The options of a batch that was itself about deals alone are none that anybody may give.
        body = own if deals and options is None else Options.parse(own if options is None else options).body()
        if deals:
            body = deals_to_retry(batch_id, body, bare=len(leads) - len(values))
        else:
            body = looked_at_first(body, batch.outcomes(), leads)
        return self.take(leads, body, key=retry_key(batch_id, body, leads), deal_values=values)

    def look_up(self, given: Mapping[str, Any], *, refuse: bool) -> Mapping[str, Any]:
        """``given`` with ids for the names that are in what workers or commands have read of the organisation.

        Names that are not travel with the leads, and a worker looks them up before it sends anything. With ``refuse``,
        raises OptionsError for what a listing of the last `TRUSTED` seconds says against the options.
        """
        if begins_with(given) is Why.IDS:  # no payload is made with them
            return given
        name = fingerprint(given)
        known = self._ready.get(name)
        if known and self._clock.now() < known[0]:
            return known[1]
        kept = self._ledger.shelf.look(listings_for(given))
        if not kept:
            return given
        now = self._clock.now()
        if refuse:
            trusted = {listing: each.rows for listing, each in kept.items() if each.age(now) <= TRUSTED}
            demand(examine(given, trusted).problems)
        found = resolve_names(given, {listing: each.rows for listing, each in kept.items()})
        if not (found.problems or found.left):
            if len(self._ready) == MOST_REMEMBERED:
                self._ready.clear()
            self._ready[name] = (now + REMEMBERED, found.body)
        return found.body

    def take(
        self,
        lead_ids: Collection[Any],
        given: Mapping[str, Any],
        *,
        key: str | None = None,
        priority: Priority | None = None,
        canary: Canary | None = None,
        on_complete: Sequence[Target] = (),
        record_invalid: bool = False,
        on_progress: Progress | None = None,
        deal_values: Mapping[str, str] = MappingProxyType({}),
    ) -> Batch:
        """Open the batch (or go on with it), add its leads slice by slice, seal it.

        ``given`` are the options, names and all. What is not an id is counted, and with ``record_invalid`` ends as
        ``failed: INVALID_ID`` in the batch. Where that is not set, raises OptionsError as `look_up` does.
        ``deal_values`` are those that `parse_deal_values` makes. Raises InputError where the options make no deal.
        """
        demand_deal(given, deal_values)
        body = self.look_up(given, refuse=not record_invalid)
        batch_id = new_batch_id() if key is None else check_batch_key(key)
        self._ledger.title.demand_known(self._credentials)
        batches = self._ledger.batches
        batches.open(
            batch_id,
            fingerprint(body),
            body,
            leads=len(lead_ids),
            priority=priority_of(priority, len(lead_ids)),
            canary=canary,
            given=fingerprint(given),
            on_complete=on_complete,
        )
        batch, taken = Batch(self._ledger, batch_id), 0
        wrong: dict[str, str] = {}
        ids, run = valid_ids(lead_ids, wrong), uuid4().hex[:12]
        untold: BrokerError | None = None
        for number, part in enumerate(iter(lambda: list(islice(ids, SLICE)), [])):
            added = batches.add(batch_id, f"{run}:{number}", part, deal_values=deal_values)
            batch.accepted += added.accepted + added.skipped
            batch.duplicates += added.duplicates
            untold = self._tell(added.nudge_in) or untold
            taken += len(part)
            if on_progress:
                on_progress(taken)
        batch.invalid = len(wrong)
        if record_invalid:
            batches.refuse_ids(batch_id, wrong)
        sealed = batches.seal(batch_id, flush=taken > BULK)
        untold = self._tell(sealed.nudge_in) or untold
        if untold:
            raise BrokerError(
                f"The leads are accepted as batch {batch_id}, but no worker could be told: {untold.message}",
                hint="Workers find the batch by themselves once they run; enqueueing again with the same key is safe.",
            )
        return batch

    def demand_fit(self, deal_values: Mapping[str, str]) -> None:
        """Raise InputError for what a listing of the last `TRUSTED` seconds says against values of single deals."""
        if not deal_values:
            return
        kept = self._ledger.shelf.look([Listing.FIELDS]).get(Listing.FIELDS)
        if kept and kept.age(self._clock.now()) <= TRUSTED:
            misfits(deal_values, kept.rows).demand_none()

    def _tell(self, nudge_in: float | None) -> BrokerError | None:
        if nudge_in is None:
            return None
        try:
            self._nudge.chunk(countdown=nudge_in)
        except BrokerError as error:
            return error
        return None


class MassConvert:
    """The producer's side. ``settings`` default to the environment (and a ``.env`` file).

    ``account`` names one of massconvert.toml's accounts. Raises InputError for one that is not there, SettingsError.
    """

    def __init__(self, settings: Settings | None = None, *, account: str | None = None) -> None:
        self._accounts = Accounts(base=settings)
        settings = self._accounts.settings(account)
        redis = connect(settings.redis_url)
        tuning = Tuning(linger=settings.linger, retention=settings.retention_days * 86_400.0)
        self._ledger, self._clock = Ledger(redis, settings.account, tuning), RedisClock(redis)
        self._nudge = Nudge(settings.broker_url, account=settings.account)
        self._account, self._permitted, ours = settings.account, settings.permitted, settings.credentials_digest
        self._credentials, self._intake = ours, Intake(self._ledger, self._clock, self._nudge, ours)

    def batch(self, batch_id: str) -> Batch:
        """The batch of that id (or key). Raises UnknownBatchError."""
        return self._intake.batch(batch_id)

    @staticmethod
    def new_key() -> str:
        """A key that no other batch has: the id of a batch before it is made, to be kept beside what it is about."""
        return new_batch_id()

    @staticmethod
    def check(
        lead_ids: Iterable[str | int],
        options: Options | Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        deal_values: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Raise what `enqueue` would say of these; asks nobody. Raises InputError, OptionsError."""
        body, lead_ids = Options.parse(options).body(), list(lead_ids)
        demand_valid(lead_ids)
        demand_deal(body, parse_deal_values(deal_values, lead_ids))
        if key is not None:
            check_batch_key(key)

    def cancel(self, batch_id: str) -> tuple[int, int]:
        """Cancel what of a batch has not been sent; what is under way is followed. Safe to repeat.

        What turns out to be unconverted of it ends as cancelled too, and is not sent again.
        Returns how many leads that ends and how many are followed. Raises UnknownBatchError, StoreError.
        """
        return self._intake.cancel(batch_id)

    def pause(self, batch_id: str, *, reason: str = PAUSED_BY_HAND) -> bool:
        """Send nothing more of this batch until `resume`; others go on. What has been sent is followed.

        A payload that was formed before and carries leads of other batches too still goes, with all its leads. Returns
        whether there was anything to hold: a batch that has finished or was cancelled has nothing. Safe to repeat.
        Raises UnknownBatchError, StoreError.
        """
        return self._intake.pause(batch_id, reason)

    def resume(self, batch_id: str) -> bool:
        """Let a batch go on that was paused or waits after its canary; return whether it was. Safe to repeat.

        Raises UnknownBatchError, StoreError.
        """
        return self._intake.resume(batch_id)

    def retry(
        self,
        batch_id: str,
        *,
        options: Options | Mapping[str, Any] | None = None,
        codes: Collection[str] = (),
        lead_ids: Collection[str] = (),
        deals: bool = False,
    ) -> Batch:
        """Enqueue the failed leads of a batch again, as a batch of its own: all, or those with ``codes``, ``lead_ids``.

        With ``deals``: the converted leads whose deals could not be updated (``DEAL_NOT_UPDATED``); their deals are
        updated once more (docs/deals.md). ``options`` are mended options; by default those of the batch. The new batch
        is named after the old one and what is retried: the same call twice is the same batch. Raises InputError when
        nothing has failed so, or not one of ``lead_ids``; with ``deals``, also when no option names fields of the lead.
        """
        return self._intake.retry(batch_id, options, codes=codes, lead_ids=lead_ids, deals=deals)

    def enqueue(
        self,
        lead_ids: Iterable[str | int],
        options: Options | Mapping[str, Any] | None = None,
        *,
        profile: str | None = None,
        key: str | None = None,
        priority: Priority | str | None = None,
        canary: int | None = None,
        canary_max_failed: float | None = None,
        on_complete: Given = None,
        skip_invalid: bool = False,
        on_progress: Progress | None = None,
        deal_values: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Batch:
        """Accept lead ids for conversion with these options, or those of a ``profile``; return their batch at once.

        ``key`` names the batch: the same key with the same options is the same batch, and adds what is missing, so an
        interrupted call may simply be made again. ``priority`` is ``"interactive"`` (goes with the next payload) or
        ``"bulk"`` (waits its turn); by default batches of at most 10 leads are interactive. ``canary=50`` converts 50
        leads and then pauses the batch until `resume`; with ``canary_max_failed`` it goes on by itself when at most so
        many per cent of them failed. ``on_complete`` (by default the profile's) is called when the batch has finished,
        with its counts, at least once: a Celery task by name (``"shop.converted@shop"``, a signature), a web hook's
        https address, or several. ``on_progress`` is told how many ids were taken.
        ``deal_values={lead_id: {"Amount": 1000}}`` are values of single leads' deals, written after their conversion
        (docs/deals.md). Raises InputError when an id is not one (nothing is enqueued; ``skip_invalid`` drops those),
        or the priority or canary; LedgerMismatchError, OptionsError, KeyConflictError, StoreError; BrokerError when the
        leads are safe but no worker could be told.
        """
        named = self._profile(profile) if profile else None
        body = body_of(options, named)
        urgent, ahead = start_of(priority, canary, canary_max_failed, named)
        if isinstance(lead_ids, str | bytes):
            raise InputError("enqueue takes a list of lead ids, not one string.", hint="Write enqueue([lead_id]).")
        known = lead_ids if isinstance(lead_ids, Collection) else list(lead_ids)
        if not skip_invalid and not getattr(known, "checked", False):
            demand_valid(known)
        targets = calls_of(on_complete, named, self._permitted)
        # A file that has been read brings its own.
        values = getattr(known, "deal_values", None) or parse_deal_values(deal_values, known)
        self._intake.demand_fit(values)
        return self._intake.take(
            known,
            body,
            key=key,
            priority=urgent,
            canary=ahead,
            on_complete=targets,
            on_progress=on_progress,
            deal_values=values,
        )

    def run_profile(self, name: str) -> str:
        """Begin a run of a profile by hand: workers find its leads and enqueue them. Return the id of the run.

        That is also the id of its batch, which is there once a lead has been found. Raises InputError, SettingsError,
        StoreError; and BrokerError when the run is safe in the ledger but no worker could be told: they find it.
        """
        self._ledger.title.demand_known(self._credentials)
        self._profile(name)
        profile = self._accounts.config.to_find_with(name)
        run_id = f"{name}@{new_batch_id()}"
        self._ledger.runs.begin(run_id, name, profile)
        self._nudge.run_profile(name, run_id)
        return run_id

    def _profile(self, name: str) -> Profile:
        profile = self._accounts.config.profile(name)
        self._accounts.of_profile(self._account, name)
        return profile


def body_of(options: Any, profile: Profile | None) -> Mapping[str, Any]:
    """Zoho's body of what was given: options, or a profile's."""
    if profile is None:
        return Options.parse(options).body()
    if options is not None:
        raise InputError("Both options and a profile are given.", hint="Give one: the profile has options of its own.")
    return profile.options


def calls_of(on_complete: Any, profile: Profile | None, permitted: Permitted = ANY_OF_AN_APP) -> tuple[Target, ...]:
    """Whom the batch calls: those that the caller names, else its profile's. Raises InputError."""
    targets = profile.targets if on_complete is None and profile else parse_targets(on_complete)
    demand_permitted(targets, permitted)
    return targets


def start_of(
    priority: Any, canary: Any, canary_max_failed: Any, profile: Profile | None
) -> tuple[Priority | None, Canary | None]:
    """How the batch starts: as the caller says, else with its profile's priority."""
    urgent = parse_priority(priority) or (profile.priority if profile else None)
    return urgent, parse_canary(canary, canary_max_failed)


def new_batch_id() -> str:
    """A name for a batch that nobody has named: when it was made (UTC), and chance."""
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{uuid4().hex[:8]}"
