"""Enqueue lead ids from any Python app, and watch the batch that this makes.

A producer talks to Redis (the ledger) and sends one hint to the broker; it needs no Zoho credentials.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from massconvert.errors import InputError
from massconvert.leads import check_batch_key, demand_valid, parse_lead_id
from massconvert.ledger import Ledger
from massconvert.model import Priority
from massconvert.model.story import Story
from massconvert.nudge import Nudge
from massconvert.on_complete.targets import Given
from massconvert.options import Options
from massconvert.policy import Tuning
from massconvert.producer.batch import Batch
from massconvert.producer.deal_values import bring, demand_taken, parse_deal_values, parse_links
from massconvert.producer.intake import Intake, Progress, body_of, calls_of, new_batch_id, start_of
from massconvert.profiles import Accounts, Profile
from massconvert.settings import Settings
from massconvert.store import RedisClock, connect


class MassConvert:
    """The producer's side. ``settings`` default to the environment (and a ``.env`` file).

    ``account`` names one of massconvert.toml's accounts. Raises InputError for one that is not there, SettingsError.
    """

    def __init__(self, settings: Settings | None = None, *, account: str | None = None) -> None:
        self._accounts = Accounts(base=settings)
        settings = self._accounts.settings(account)
        redis = connect(settings.redis_url, account=settings.account)
        tuning = Tuning(linger=settings.linger, at_once=settings.at_once, retention=settings.retention_days * 86_400)
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
        links: Mapping[str, Mapping[str, str | int]] | None = None,
    ) -> None:
        """Raise what `enqueue` would say of these; asks nobody. Raises InputError, OptionsError."""
        body, lead_ids = Options.parse(options).body(), list(lead_ids)
        demand_valid(lead_ids)
        demand_taken(body, bring(parse_deal_values(deal_values, lead_ids), parse_links(links, lead_ids)))
        if key is not None:
            check_batch_key(key)

    def cancel(self, batch_id: str) -> tuple[int, int]:
        """Cancel what of a batch has not been sent; what is under way is followed. Safe to repeat.

        What turns out to be unconverted of it ends as cancelled too, and is not sent again.
        Returns how many leads that ends and how many are followed. Raises UnknownBatchError, StoreError.
        """
        return self._intake.cancel(batch_id)

    def lead(self, lead_id: str | int) -> list[Story]:
        """The story of a lead in each batch that is kept, the oldest first; empty where none has it.

        A story has the payloads that the lead was in, each with what Zoho answered, the outcome, and how that is known
        (docs/stories.md). Raises InputError for a wrong lead id, StoreError, LedgerError.
        """
        return self._ledger.stories.of(parse_lead_id(lead_id))

    def pause(self, batch_id: str, *, reason: str = "", by: str = "") -> bool:
        """Send nothing more of this batch until `resume`; others go on. What has been sent is followed.

        A payload that was formed before and carries leads of other batches too still goes, with all its leads. Returns
        whether there was anything to hold: a batch that has finished or was cancelled has nothing. ``reason`` (at most
        500 characters) and ``by`` (who paused, at most 100; by default this process' user and host) are shown to
        people; the first ones stand until `resume`. Safe to repeat. Raises InputError, UnknownBatchError, StoreError.
        """
        return self._intake.pause(batch_id, reason=reason, by=by)

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
        links: Mapping[str, Mapping[str, str | int]] | None = None,
    ) -> Batch:
        """Enqueue the failed leads of a batch again, as a batch of its own: all, or those with ``codes``, ``lead_ids``.

        With ``deals``: the converted leads whose deals could not be updated (``DEAL_NOT_UPDATED``); their deals are
        updated once more (docs/deals.md). ``options`` are fixed options; by default those of the batch. ``links`` say
        what leads are linked to, as for `enqueue`; those that were held (``MATCH_FOUND``) are tried, too. Empty links
        forget what was said before. The new batch is named after the old one and what is retried: the same call twice
        is the same batch. Raises InputError when nothing has failed so, or not one of ``lead_ids``; with ``deals``,
        also when no option names fields of the lead.
        """
        brought = getattr(lead_ids, "deal_values", None)  # a file that has been read brings its own, as for `enqueue`
        among, lead_ids = (None, lead_ids) if brought is None else (frozenset(lead_ids), ())
        return self._intake.retry(
            batch_id,
            options,
            codes=codes,
            lead_ids=lead_ids,
            deals=deals,
            brought=bring({}, parse_links(links, links or ())) if brought is None else brought,
            among=among,
            unlinked=links is not None and not links,
        )

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
        links: Mapping[str, Mapping[str, str | int]] | None = None,
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
        (docs/deals.md). ``links={lead_id: {"contact_id": "…", "account_id": "…"}}`` says which contact and account
        single leads are linked to, whatever the options say of matches (docs/duplicates.md).
        Raises InputError when an id is not one (nothing is enqueued; ``skip_invalid`` drops those),
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
        values = getattr(known, "deal_values", None) or bring(
            parse_deal_values(deal_values, known), parse_links(links, known)
        )
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
