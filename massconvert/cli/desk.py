"""What the commands share: the settings, the ledger, the clock, and what is known of the calls to Zoho."""

from __future__ import annotations

from dataclasses import dataclass

from massconvert import store, wiring
from massconvert.cli.console import say
from massconvert.contract import Exit
from massconvert.ledger import Ledger
from massconvert.model import BatchStatus, NotSent, Unsent
from massconvert.settings import Settings, load_settings
from massconvert.zoho import Governor


@dataclass(frozen=True)
class Desk:
    """The parts of one account that a command looks at; they connect at their first use."""

    settings: Settings
    ledger: Ledger
    clock: store.RedisClock
    governor: Governor


def open_desk(settings: Settings | None = None) -> Desk:
    """A desk for the environment's settings; probable slips in them are told on stderr. Raises SettingsError."""
    settings = settings or load_settings()
    for slip in settings.hints:
        say(slip, "yellow")
    redis = store.connect(settings.redis_url)
    clock = store.RedisClock(redis)
    governor = Governor(
        redis, store.Keys(settings.account), clock, limit=settings.zoho_concurrency, ask_org=_nobody_asks
    )
    return Desk(settings, wiring.connect_ledger(settings), clock, governor)


def exit_of(status: BatchStatus) -> Exit:
    """The exit status for a batch that has finished."""
    return Exit.SOME_FAILED if status.failed or status.cancelled else Exit.OK


def _nobody_asks() -> NotSent:
    # The governor is only looked at here: a command that shows a status makes no call and needs no credentials.
    return NotSent(Unsent.NO_TOKEN, "the command line makes no calls")
