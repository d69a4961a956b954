"""A look into an embedded ledger for one command: through the Redis of a ``convert`` that runs, else one of its own."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from massconvert.embedded.home import ledgers_in
from massconvert.embedded.plan import LOCK, READERS, Doing, Holder
from massconvert.embedded.stack import BusyError, Stack, socket_url
from massconvert.embedded.unfinished import alone_with
from massconvert.errors import EmbeddedError, StoreError
from massconvert.settings import Settings, read_dotenv
from massconvert.store import connect, reaching

if os.name == "posix":
    import fcntl

log = logging.getLogger("massconvert")

#: How long a command waits for another one that begins, ends, or only looks as well, in seconds.
_PATIENCE = 60.0
#: Seconds after which it shares the Redis of one that only looks, and after which it says that it waits.
_SHARES_AFTER, _TELLS_AFTER = 5.0, 2.0
_PAUSE = 0.05


@dataclass(frozen=True)
class Visit:
    """An embedded ledger that answers: the environment that leads to it, and the directory in which it is."""

    environment: Mapping[str, str]
    folder: Path

    @property
    def at_work(self) -> bool:
        """Whether the workers of a ``convert`` are at work on it now."""
        holder = _holder(self.folder)
        return holder is not None and holder.doing is Doing.WORKING


@contextmanager
def visit(folder: Path, settings: Settings) -> Iterator[Visit]:
    """Have the ledger in ``folder`` answer; nothing is left running.

    No worker is started, and what has not finished is paused. Where a ``convert`` runs on it, its Redis is used, and
    stays until this ends, or ten seconds longer than that ``convert``. Raises EmbeddedError, StoreError.
    """
    began, told = time.monotonic(), False
    with ExitStack() as ends:
        while (found := _try(folder, settings, ends, time.monotonic() - began)) is None:
            waited = time.monotonic() - began
            if waited > _PATIENCE:
                raise EmbeddedError(
                    f"The ledger in {folder} does not answer: another massconvert has it and neither begins nor ends.",
                    hint=f"Its logs: {folder / 'logs'}",
                )
            if waited > _TELLS_AFTER and not told:
                told = True
                log.warning("waiting for another massconvert that has the ledger in %s.", folder)
            threading.Event().wait(_PAUSE)
        yield found


def _try(folder: Path, settings: Settings, ends: ExitStack, waited: float) -> Visit | None:
    holder = _holder(folder)
    if holder is None:
        stack = Stack(folder, environ={"REDIS_URL": ""}, workers=0, beat=False)
        try:
            ends.enter_context(stack)
        except BusyError:  # somebody was faster
            return None
        stack.wait_ready()
        ends.enter_context(alone_with(ledgers_in(folder, settings.model_copy(update={"redis_url": stack.redis_url}))))
        return Visit(stack.environment, folder)
    if holder.doing is Doing.WORKING or (holder.doing is Doing.READING and waited > _SHARES_AFTER):
        return _share(holder, folder, settings, ends)
    return None


def _share(holder: Holder, folder: Path, settings: Settings, ends: ExitStack) -> Visit | None:
    """Use somebody else's Redis, if it answers; it does not end meanwhile."""
    readers = (folder / READERS).open("a")
    if not _shared(readers):  # it is ending
        readers.close()
        return None
    url = socket_url(holder.socket)
    try:
        client = connect(url)
        with reaching(client):
            client.ping()
        client.close()
    except StoreError:  # it begins, or its end was not noted
        readers.close()
        return None
    ends.callback(readers.close)
    own = {"REDIS_URL": url, "MASSCONVERT_STATE_DIR": str(folder), "MASSCONVERT_CONFIG": str(settings.config_file)}
    return Visit({**read_dotenv(Path(".env")), **os.environ, **own}, folder)


def _holder(folder: Path) -> Holder | None:
    """Who has the directory; ``None`` where nobody does, whatever a process that was killed has left there."""
    try:
        with (folder / LOCK).open() as lock:
            if _shared(lock):
                return None
            # Between a lock and what is written into it, it only begins.
            return Holder.load(lock.read()) or Holder(0, Doing.WINDING_UP, "")
    except FileNotFoundError:
        return None


def _shared(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
