"""``massconvert pause`` and ``resume``: the whole organisation, by hand. Both are safe to repeat."""

from __future__ import annotations

import typer

from massconvert.cli.console import local_time, print_lines, say
from massconvert.cli.desk import open_desk
from massconvert.errors import BrokerError
from massconvert.nudge import Nudge

_BY_HAND = "It was paused by hand."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("pause", epilog="\b\nExample:\n  massconvert pause")(_pause)
    app.command("resume", epilog="\b\nExample:\n  massconvert resume")(_resume)


def _pause() -> None:
    """Stop all calls to Zoho until resume; enqueueing goes on."""
    desk = open_desk()
    organisation = desk.ledger.organisation
    before = organisation.paused()
    if before and not before.code:
        print_lines([f"Paused since {local_time(before.since)} already. To go on: massconvert resume\n"])
        return
    organisation.pause(now=desk.clock.now(), reason=_BY_HAND)
    if before:
        say(f"it had paused by itself since {local_time(before.since)}: {before.code}: {before.reason}")
    print_lines(["Paused: nothing more is sent; jobs that Zoho works on end there. To go on: massconvert resume\n"])


def _resume() -> None:
    """Go on after a pause, whoever paused."""
    desk = open_desk()
    organisation = desk.ledger.organisation
    before = organisation.paused()
    if not organisation.resume():
        print_lines(["It was not paused; workers go on.\n"])
        return
    if before and before.code:
        say(f"it had paused for {before.code}: {before.reason} If that is not mended, it will pause again.")
    print_lines(["Resumed: workers go on.\n"])
    try:
        Nudge(desk.settings.broker_url).chunk()
    except BrokerError as error:
        say(f"{error.message} Workers find their work by themselves once they run.")
