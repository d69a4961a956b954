"""What is given becomes a batch: leads go into the ledger, workers are told, batches are stopped and tried again.

What producers and the enqueue task share.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from itertools import islice
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from massconvert.errors import BrokerError, InputError
from massconvert.leads import check_batch_key, valid_ids
from massconvert.ledger import Ledger
from massconvert.model import Canary, Listing, Priority, Why, load_brought
from massconvert.nudge import Nudge
from massconvert.on_complete.permitted import ANY_OF_AN_APP, Permitted
from massconvert.on_complete.targets import Target, demand_permitted, parse_targets
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
from massconvert.policy import priority_of
from massconvert.producer.batch import Batch
from massconvert.producer.deal_values import demand_taken, misfits
from massconvert.producer.retry import (
    ToRetry,
    brought_again,
    deals_to_retry,
    leads_to_retry,
    looked_at_first,
    retry_key,
)
from massconvert.profiles import Profile
from massconvert.store import Clock
from massconvert.telemetry.traces import sends

#: Leads a script call: large enough that the round trip does not matter, small enough that Redis stays answerable.
SLICE = 2000
#: An enqueue of more leads is a bulk: its tail does not wait for company.
BULK = 50
#: Seconds for which a listing of the organisation is believed when it speaks against options.
TRUSTED = 900.0
#: Seconds for which a process need not look again at what is kept for options that it has enqueued with.
REMEMBERED, MOST_REMEMBERED = 30.0, 64
#: The longest reason for a pause, and the longest name of who paused: in characters.
LONGEST_REASON, LONGEST_NAME = 500, 100

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
        return Batch(self._ledger, batch_id, self)

    def cancel(self, batch_id: str) -> tuple[int, int]:
        """Cancel what of a batch has not been sent; how many leads that ends, how many are followed."""
        answer = self._ledger.batches.cancel(batch_id)
        self._tell(0.0)
        return answer

    def pause(self, batch_id: str, *, reason: str = "", by: str = "") -> bool:
        """Let nothing more of a batch be sent; return whether there was anything to hold. Raises InputError."""
        return self._ledger.batches.hold(batch_id, check_reason(reason), by=check_name(by) or this_person())

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
        brought: Mapping[str, str] = MappingProxyType({}),
        among: Collection[str] | None = None,
        unlinked: bool = False,
    ) -> Batch:
        """Take leads of a batch in again, as a batch of their own; see `MassConvert.retry`.

        ``brought`` is what leads bring now, in the place of what they brought before; ``among``: of these leads alone,
        as far as there is anything to retry of them. ``unlinked``: what they were to be linked to is forgotten.
        """
        batch = self.batch(batch_id)
        decided = frozenset(lead for lead, text in brought.items() if load_brought(text)[1])
        wanted = ToRetry(frozenset(codes), lead_ids, among, decided, deals=deals)
        leads = leads_to_retry(batch_id, batch.outcomes(), wanted, account=self._ledger.account)
        own = batch.options()
        values, changed = brought_again(
            self._ledger.batches.deal_values(batch_id, leads), brought, leads, unlinked=unlinked
        )
        # The options of a batch that was itself about deals alone are none that anybody may give.
        body = own if deals and options is None else Options.parse(own if options is None else options).body()
        if deals:
            body = deals_to_retry(batch_id, body, bare=sum(not load_brought(values.get(lead))[0] for lead in leads))
        else:
            body = looked_at_first(body, batch.outcomes(), leads)
        return self.take(leads, body, key=retry_key(batch_id, body, leads, changed), deal_values=values)

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

    @sends
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
        ``deal_values`` is what single leads bring, as `bring` makes it. Raises InputError where it does not go with the
        options.
        """
        demand_taken(given, deal_values)
        body = self.look_up(given, refuse=not record_invalid)
        batch_id = new_batch_id() if key is None else check_batch_key(key)
        self._ledger.title.demand_known(self._credentials)
        batches = self._ledger.batches
        opened = batches.open(
            batch_id,
            fingerprint(body),
            body,
            leads=len(lead_ids),
            priority=priority_of(priority, len(lead_ids)),
            canary=canary,
            given=fingerprint(given),
            on_complete=on_complete,
        )
        batch, taken = Batch(self._ledger, batch_id, self), 0
        wrong: dict[str, str] = {}
        ids, run = valid_ids(lead_ids, wrong), uuid4().hex[:12]
        untold: BrokerError | None = None
        for number, part in enumerate(iter(lambda: list(islice(ids, SLICE)), [])):
            added = batches.add(batch_id, f"{run}:{number}", part, deal_values=deal_values)
            batch.accepted += added.accepted
            batch.already_queued += added.skipped
            batch.duplicates += added.duplicates
            untold = self._tell(added.nudge_in) or untold
            taken += len(part)
            if on_progress:
                on_progress(taken)
        batch.invalid = len(wrong)
        if record_invalid:
            batches.refuse_ids(batch_id, wrong)
        sealed = batches.seal(batch_id, flush=taken > BULK, history=opened.history)
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


def check_reason(reason: str) -> str:
    """Why somebody pauses. Raises InputError for one that is too long to be shown."""
    reason = reason.strip()
    if len(reason) > LONGEST_REASON:
        raise InputError(
            f"The reason has {len(reason):,} characters; at most {LONGEST_REASON} can be shown.", hint="Shorten it."
        )
    return reason


def check_name(name: str) -> str:
    """Who pauses. Raises InputError for a name that is too long to be shown."""
    name = name.strip()
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"The name of who pauses has {len(name):,} characters; at most {LONGEST_NAME} can be shown.",
            hint="Shorten it.",
        )
    return name


def this_person() -> str:
    """Who runs this process, and where: ``ann@laptop``."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return f"{user}@{socket.gethostname()}"[:LONGEST_NAME]


def new_batch_id() -> str:
    """A name for a batch that nobody has named: when it was made (UTC), and chance."""
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{uuid4().hex[:8]}"
