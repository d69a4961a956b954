"""Which ledger a command is about: that of REDIS_URL, else the one that ``convert`` keeps on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from shlex import quote

from massconvert import store
from massconvert.cli.account import command_settings
from massconvert.cli.desk import Desk, open_desk
from massconvert.cli.which_batch import remembered_at
from massconvert.embedded import Home, visit
from massconvert.embedded.home import how_to_choose
from massconvert.errors import InputError, StoreError, UnknownBatchError
from massconvert.settings import Settings

#: How long a Redis that nobody has named may take to answer, in seconds.
_QUICK = 1.0
#: What ends with the command.
_ends: ContextVar[ExitStack] = ContextVar("ends")


@contextmanager
def a_command() -> Iterator[None]:
    """A command runs; what it has started to reach a ledger ends with it."""
    with ExitStack() as ends:
        _ends.set(ends)
        yield


def find_desk(batch: str | None = None, *, last: bool = False) -> Desk:
    """A desk on the ledger that a command is about; what was started for it ends with the command.

    Where REDIS_URL is not set, ``convert`` may have left a ledger on this machine, and the Redis of the default address
    may have one. Of two that are there, the one that has ``batch`` is meant (``last``: where this command line has made
    a batch later). Raises InputError where that does not tell, UnknownBatchError, EmbeddedError, StoreError,
    SettingsError, LedgerMismatchError for a ledger of another version.
    """
    desk = _found(batch, last=last)
    with suppress(StoreError):  # the command itself tells that
        desk.ledger.title.demand_readable()
    return desk


def _found(batch: str | None, *, last: bool) -> Desk:
    settings = command_settings()
    if settings.redis_url_given:
        return open_desk(settings)
    home = Home(settings)
    folder = home.find()
    if folder is None:
        return _default_desk(settings, home)
    there = None if home.named or not _has_ledger(settings) else open_desk(settings)
    here = _visit(settings if there is None else settings.model_copy(update={"hints": ()}), folder)
    return here if there is None else _choose(there, here, batch, last=last)


def _visit(settings: Settings, folder: Path) -> Desk:
    found = _ends.get().enter_context(visit(folder, settings))
    seen = command_settings(found.environment, None)
    return open_desk(seen.model_copy(update={"hints": settings.hints}), found)


def _default_desk(settings: Settings, home: Home) -> Desk:
    """The Redis of the default address. Where that does not answer, what else there is on this machine is told."""
    desk, others = open_desk(settings), home.kept()
    if others and not _answers(settings):
        raise StoreError(
            "REDIS_URL is not set, no Redis listens at the default address, and convert has kept no ledger here for "
            "these credentials. It has for others.",
            hint=how_to_choose(others),
        )
    return desk


def _choose(there: Desk, here: Desk, batch: str | None, *, last: bool) -> Desk:
    if last:
        times = [(at, desk) for desk in (there, here) if (at := remembered_at(desk.settings))]
        if times:
            return max(times, key=lambda each: each[0])[1]
    having = [desk for desk in (there, here) if batch and _has(desk, batch)]
    if len(having) == 1:
        return having[0]
    if batch and not having:
        raise UnknownBatchError(
            f"There is no batch {batch!r}, neither in the Redis of the default address nor in the ledger of convert.",
            hint=_both(there, here),
        )
    what = f"has a batch {batch!r}" if batch else "is there"
    raise InputError(f"REDIS_URL is not set, and more than one ledger {what}.", hint=_both(there, here))


def _both(there: Desk, here: Desk) -> str:
    folder = here.visit.folder if here.visit else here.settings.state_dir
    return (
        "Name the one that is meant, before the command:\n"
        f"  the Redis of the default address: REDIS_URL={quote(there.settings.redis_url)}\n"
        f"  the ledger of convert: MASSCONVERT_STATE_DIR={quote(str(folder))}"
    )


def _has(desk: Desk, batch: str) -> bool:
    try:
        desk.ledger.batches.status(batch)
    except UnknownBatchError:
        return False
    return True


def _has_ledger(settings: Settings) -> bool:
    """Whether a Redis that nobody has named answers and has a ledger of ours: it may be there for other work."""
    keys = store.Keys(settings.account)
    return _asked(settings, lambda client: bool(client.exists(keys.title, keys.batches)))


def _answers(settings: Settings) -> bool:
    return _asked(settings, lambda client: bool(client.ping()))


def _asked(settings: Settings, ask: Callable[[store.Redis], bool]) -> bool:
    client = store.connect(settings.redis_url, socket_timeout=_QUICK)
    try:
        with store.reaching(client):
            return ask(client)
    except StoreError:
        return False
    finally:
        client.close()
