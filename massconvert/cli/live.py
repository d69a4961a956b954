"""The live organisation for a command: over the Redis that REDIS_URL names, else over one of the command's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from massconvert import store, wiring
from massconvert.cli.account import command_settings
from massconvert.cli.console import say
from massconvert.embedded import Stack
from massconvert.settings import Settings
from massconvert.steps.ports import Ports
from massconvert.zoho.kept_token import kept_token


@contextmanager
def live_organisation(settings: Settings | None = None) -> Iterator[Ports]:
    """What looks the organisation up; without ``settings`` those of the command, whose slips are told.

    Raises SettingsError, EmbeddedError, StoreError.
    """
    given = settings or command_settings()
    given.require_zoho()
    for slip in () if settings else given.hints:
        say(slip, "yellow")
    with some_redis(given) as here:
        yield wiring.open_ports(here)


@contextmanager
def some_redis(given: Settings) -> Iterator[Settings]:
    """These settings, with a Redis that is there. Raises EmbeddedError, StoreError."""
    if given.redis_url_given:
        yield given
        return
    with Stack(workers=0, beat=False, keep_data=False) as stack:
        stack.wait_ready()
        here = given.model_copy(update={"redis_url": stack.redis_url})
        with closing(store.connect(here.redis_url, account=here.account)) as redis, kept_token(here, redis):
            yield here
