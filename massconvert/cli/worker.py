"""``massconvert worker`` and ``massconvert beat``: Celery's own commands, on our app, from any working directory."""

from __future__ import annotations

import os
from importlib import import_module

import typer

from massconvert.celery import celery_command
from massconvert.cli.account import account_chosen
from massconvert.cli.commands import PassedOn
from massconvert.errors import InputError

_WORKER = """\b
Examples:
  massconvert worker                                20 threads, all queues
  massconvert worker -c 40 -n second@%h             more threads, and a name of its own
  massconvert worker -Q massconvert.convert         one queue; the others need a worker, too
\b
SIGTERM ends it within 30 s: it finishes what runs, and gives back the rest. Exit status: 0 after SIGTERM, 3 if the
settings are wrong. docs/scaling.md says what each option does here; docs/deploying.md has units for systemd and
manifests for Kubernetes."""
_BEAT = """\b
Examples:
  massconvert beat
  massconvert beat -s /var/lib/massconvert/schedule   where it keeps what it has sent
\b
Conversions do not depend on it, only schedules do. Exit status: 0 after SIGTERM, 3 if the settings are wrong."""


class CelerysOwn(PassedOn):
    """A command whose options are those of the Celery command of its name."""

    def theirs(self, width: int) -> str:
        """Celery's options, in Celery's words."""
        import click  # noqa: PLC0415 - as the next line

        # It takes a while to load, and is for help alone.
        theirs = getattr(import_module(f"celery.bin.{self.name}"), str(self.name))
        page = click.HelpFormatter(width=width)
        theirs.format_options(click.Context(theirs, info_name=self.name), page)
        return page.getvalue()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, command, epilog in (("worker", _worker, _WORKER), ("beat", _beat, _BEAT)):
        app.command(name, cls=CelerysOwn, epilog=epilog, options_metavar="[OPTIONS OF CELERY]")(command)


def _worker(ctx: typer.Context) -> None:
    """Run a worker: `celery worker` with all its options, on this app."""
    _become("worker", ctx.args)


def _beat(ctx: typer.Context) -> None:
    """Run beat, which sends what profiles have on their schedules: `celery beat` with all its options."""
    _become("beat", ctx.args)


def _become(name: str, arguments: list[str]) -> None:
    """Replace this process by Celery's, so that signals, exit status and process id are Celery's."""
    if account_chosen():
        raise InputError(
            f"`{name}` takes no --account: it serves every account of massconvert.toml.",
            hint="Leave it out. MASSCONVERT_CONFIG names another massconvert.toml.",
        )
    command = celery_command(name, *arguments)
    os.execv(command[0], command)  # noqa: S606 - this Python and our own file; what the user typed are its arguments
