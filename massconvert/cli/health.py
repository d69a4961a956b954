"""``massconvert health``: does the worker or beat on this machine work? For an image's or a supervisor's check."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from massconvert.cli.console import print_lines, say
from massconvert.settings import load_settings
from massconvert.telemetry.heartbeat import MAX_AGE, ROLES, complaint, heartbeat_path

#: As Docker and Kubernetes understand it.
_UNHEALTHY = 1

_EXAMPLES = """\b
Examples:
  massconvert health worker
  massconvert health beat --max-age 120
\b
It reads one file, and needs neither broker nor Redis; docs/health.md. Exit status: 0 it works, 1 it does not."""

Role = Enum("Role", {role: role for role in ROLES}, type=str)  # type: ignore[misc]  # made from the one list


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("health", epilog=_EXAMPLES)(_health)


def _health(
    role: Annotated[Role, typer.Argument(metavar="worker|beat", help="Which of them.")],
    max_age: Annotated[
        float, typer.Option("--max-age", min=1, metavar="S", help="How many seconds ago it must have shown it last.")
    ] = MAX_AGE,
) -> None:
    """Say whether the worker (or beat) of this machine works."""
    settings = load_settings()
    path = heartbeat_path(role.value, settings.state_dir, settings.heartbeat_file)
    if trouble := complaint(path, max_age=max_age):
        say(f"this {role.value} does not work: {trouble}.", "red")
        raise typer.Exit(_UNHEALTHY)
    print_lines([f"This {role.value} works.\n"])
