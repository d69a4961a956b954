"""Which batch a command is about: the one it names, or with ``--last`` the one that was enqueued last from here."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from massconvert import store
from massconvert.addresses import place_of
from massconvert.cli.account import command_settings
from massconvert.cli.console import local_time, say
from massconvert.cli.desk import Desk
from massconvert.errors import InputError, MassConvertError
from massconvert.ledger import Ledger
from massconvert.policy import Tuning
from massconvert.settings import Settings
from massconvert.words.next_command import Name, next_command

_QUICK = 1.0  # seconds that a shell's Tab may take in Redis


def _known(incomplete: str) -> list[str]:
    """The latest batches whose names begin so, for a shell's completion: quick, and silent when it fails."""
    try:
        settings = command_settings()
        redis = store.connect(settings.redis_url, account=settings.account, socket_timeout=_QUICK)
        ledger = Ledger(redis, settings.account, Tuning())
        return [status.batch for status in ledger.batches.recent() if status.batch.startswith(incomplete)]
    except MassConvertError:
        return []


BatchArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="BATCH", help="The batch (or key) that enqueue named.", show_default=False, autocompletion=_known
    ),
]
LastOption = Annotated[
    bool, typer.Option("--last", help="The batch that this command line made last, instead of a name.")
]


def remember(settings: Settings, batch_id: str) -> None:
    """Note that this user has made a batch, for ``--last``. What cannot be noted is not worth an error."""
    path = _place(settings)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_text(batch_id, encoding="utf-8")
        part.replace(path)


def which(desk: Desk, batch: str | None, last: bool, command: Name, *, changes: bool = False) -> str:
    """The batch that is meant. ``changes`` says that the command changes it.

    ``--last`` never means a batch that somebody else has made where that would be changed: a web shop makes one a
    second. A command that only looks takes the account's newest, and says so. Raises InputError.
    """
    if batch and last:
        raise InputError(f"Both {batch} and --last are given.", hint="Give one of them.")
    if batch:
        return batch
    if not last:
        raise InputError(
            "No BATCH is named.",
            hint=f"Name it as enqueue printed it, or give --last. {_choose(desk, command)}",
        )
    mine = _remembered(desk.settings)
    if mine:
        say(f"the last batch is {mine}.")
        return mine
    newest = None if changes else next(iter(desk.ledger.batches.recent(1)), None)
    if newest is None:
        raise InputError(
            "No batch has been made from this command line yet, so there is no last one.",
            hint=_choose(desk, command),
        )
    say(f"none was made from this command line; the newest is {newest.batch}, of {local_time(newest.created_at)}.")
    return newest.batch


def _choose(desk: Desk, command: Name) -> str:
    account = desk.settings.account
    look, then = next_command("status", account=account), next_command(command, "BATCH", account=account)
    return f"To see the batches: {look}, then: {then}"


def remembered_at(settings: Settings) -> float:
    """When this user's command line last made a batch in that ledger (Unix seconds); 0 where it has made none."""
    with suppress(OSError):
        return _place(settings).stat().st_mtime
    return 0.0


def _remembered(settings: Settings) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return _place(settings).read_text(encoding="utf-8").strip()
    return ""


def _place(settings: Settings) -> Path:
    """A file for each ledger, named after where it is; without its user and password."""
    ledger = f"{place_of(settings.redis_url)} {settings.account}"
    return settings.state_dir / "last" / sha256(ledger.encode()).hexdigest()[:16]
