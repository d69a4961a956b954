"""``massconvert webhook test``: a signed sample to a receiver, and what it answers."""

from __future__ import annotations

import time
from typing import Annotated, Any
from uuid import uuid4

import typer

from massconvert.caller import Caller
from massconvert.cli.account import command_settings
from massconvert.cli.commands import Group
from massconvert.cli.console import print_json, say, tell
from massconvert.contract import Exit
from massconvert.errors import InputError, SettingsError
from massconvert.model import BatchState, BatchStatus
from massconvert.nudge import Nudge
from massconvert.on_complete.targets import HookTarget, parse_targets
from massconvert.report import status_record

_EXAMPLES = """\b
Example:
  massconvert webhook test https://shop.example.com/converted
\b
It is sent from here, once, as workers send it: with MASSCONVERT_WEBHOOK_SECRET, and only where
MASSCONVERT_WEBHOOK_ALLOW lets
it. The body has "test": true. Exit status: 0 the receiver answered 2xx, 1 anything else, 2 no web hook, 3 settings."""


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = Group(name="webhook", help="Try the receiver of a web hook.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("test", epilog=_EXAMPLES)(_test)
    app.add_typer(group)


def _test(
    url: Annotated[str, typer.Argument(metavar="URL", help="The receiver's address.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Send a signed sample to a receiver, and say what came back."""
    settings = command_settings()
    (target,) = parse_targets([url])
    if not isinstance(target, HookTarget):
        raise InputError("This is no web hook.", hint="Give an address, like https://shop.example.com/converted.")
    if not settings.webhook_secret.get_secret_value():
        raise SettingsError(
            "MASSCONVERT_WEBHOOK_SECRET is not set, so nothing can be signed.",
            hint="Make one with: openssl rand -hex 32. The workers and the receiver need the same.",
        )
    caller = Caller(Nudge(settings.broker_url), settings.webhook_secret, settings.permitted)
    why = caller.call(target, _sample(settings.account))
    if as_json:
        print_json({"to": target.place, "ok": not why, "why": str(why) or None})
    elif why:
        say(f"{target.place} has not taken the sample: {why}.", "red")
    else:
        tell(f"{target.place} has taken the sample: it answered 2xx.")
    raise typer.Exit(Exit.SOME_FAILED if why else Exit.OK)


def _sample(account: str) -> dict[str, Any]:
    now = time.time()
    status = BatchStatus(
        account=account,
        batch="sample",
        state=BatchState.FINISHED,
        total=3,
        waiting=0,
        sent=0,
        converted=2,
        failed=1,
        skipped=0,
        cancelled=0,
        sealed=True,
        created_at=now - 60,
        finished_at=now,
    )
    return {**status_record(status), "delivery": uuid4().hex[:24], "test": True}
