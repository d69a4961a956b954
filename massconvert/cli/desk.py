"""What the commands share: the settings, the ledger, the clock, and what is known of the calls to Zoho."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from massconvert import store, wiring
from massconvert.cli.account import command_settings
from massconvert.cli.console import say, told_by_us
from massconvert.cli.why import GOES_ON, Known, Reason, why
from massconvert.contract import DEFAULT_ACCOUNT, Exit
from massconvert.embedded import Visit
from massconvert.errors import StoreError, WaitTimeoutError
from massconvert.ledger import Ledger, Workers
from massconvert.model import BatchStatus, Waits
from massconvert.nudge import Nudge
from massconvert.settings import Settings
from massconvert.words.plurals import ended_of
from massconvert.words.readable import readable
from massconvert.zoho.standing import Standing, read_standing, token_trouble

#: What is said of work that another terminal's ``convert`` carries out beside its own.
WHILE_CONVERT_RUNS = "What is left when the convert that runs now has ended is paused again."


@dataclass(frozen=True)
class Desk:
    """The parts of one account that a command looks at; they connect at their first use.

    ``visit``: the embedded ledger, where it is that.
    """

    settings: Settings
    ledger: Ledger
    clock: store.RedisClock
    redis: store.Redis
    visit: Visit | None = None

    @property
    def unattended(self) -> bool:
        """Whether this is an embedded ledger on which nobody works now."""
        return self.visit is not None and not self.visit.at_work

    def demand_somebody(self, status: BatchStatus) -> BatchStatus:
        """That status; raises WaitTimeoutError where it would stay so for ever, since nobody works on the ledger."""
        if not status.finished and self.unattended:
            reason = self.why(status)
            raise WaitTimeoutError(
                f"Batch {status.batch} has not finished: {ended_of(status.ended, status.total)}.",
                hint=reason.text if reason else "",
            )
        return status

    def whose(self) -> str:
        """Which organisation it is, for people, and its account where that is a named one. Raises StoreError."""
        owner, account = self.ledger.title.owner(), self.settings.account
        named = "" if account == DEFAULT_ACCOUNT else f"account {account}"
        return ", ".join(filter(None, (readable(str(owner)) if owner else "", named)))

    def standing(self) -> Standing:
        """How permits to call Zoho stand. Raises StoreError."""
        return read_standing(self.redis, store.Keys(self.settings.account), self.clock, self.settings.zoho_concurrency)

    def waits(self, batch_id: str) -> Waits | None:
        """What payloads of a batch wait for, where Zoho has said something about them. Raises StoreError."""
        return self.ledger.waits(batch_id, now=self.clock.now())

    def why(self, status: BatchStatus) -> Reason | None:
        """Why a batch has not finished; ``None`` for one that has. Raises StoreError."""
        if status.finished:
            return None
        organisation, now = self.ledger.organisation, self.clock.now()
        return why(
            Known(
                status,
                paused=organisation.paused(),
                calls=self.standing(),
                workers=Workers.among(self.ledger.fleet.members(now=now), now),
                waits=self.waits(status.batch),
                token_trouble=token_trouble(self.settings, self.redis),
                ahead=organisation.counts()["leads_waiting"],
                now=now,
                unattended=self.unattended,
            )
        )

    def tell_standstill(self, batch_id: str) -> None:
        """Say at once why a batch that was just enqueued will not go on by itself, if so."""
        with suppress(StoreError):
            reason = self.why(self.ledger.batches.status(batch_id))
            if reason is not None and reason.word not in GOES_ON:
                say(reason.text, "yellow")


def open_desk(settings: Settings | None = None, visit: Visit | None = None) -> Desk:
    """A desk for the account of the command; probable slips in the settings are told on stderr.

    Raises InputError for an account that is not there, SettingsError.
    """
    settings = settings or command_settings()
    for slip in settings.hints:
        say(slip, "yellow")
    redis = store.connect(settings.redis_url, account=settings.account)
    return Desk(settings, wiring.connect_ledger(settings), store.RedisClock(redis), redis, visit)


def demand_ours(settings: Settings) -> None:
    """Raise LedgerMismatchError before leads go into another organisation's ledger; StoreError, SettingsError.

    Where there are credentials, and the ledger has not seen them yet, Zoho is asked whose they are.
    """
    Nudge(settings.broker_url).close()  # a broker that cannot be made is told first, too
    if settings.credentials_digest:
        with told_by_us():
            wiring.connect_ownership(settings).demand_known()
    else:
        wiring.connect_ledger(settings).title.demand_format()


def exit_of(status: BatchStatus) -> Exit:
    """The exit status for a batch that has finished.

    A deal that has not the values of its own is no failed conversion, but somebody must look at it; and nobody can tell
    here how a lead ends that another batch has.
    """
    look = status.failed or status.cancelled or status.deals_not_updated or status.already_queued
    return Exit.SOME_FAILED if look else Exit.OK
