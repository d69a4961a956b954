"""``massconvert simulator``: a Zoho CRM on this machine, for trying things out and for tests."""

from __future__ import annotations

import typer

from massconvert import simulator
from massconvert.cli.commands import PassedOn
from massconvert.cli.console import say
from massconvert.errors import InputError
from massconvert.simulator.command import parser

_EXAMPLES = """\b
Examples:
  massconvert simulator --leads 1000 --port 8099 --write-leads leads.csv
  massconvert simulator --faults faults.json --log
\b
It prints the environment that points workers at it (into .env, or after export). At Ctrl-C it says which faults struck.
It accepts any credentials and listens on this machine alone unless --host says otherwise. docs/simulator.md has fault
scripts to copy."""

_RUNS = "the simulated Zoho CRM runs until Ctrl-C; what points workers at it:"


class SimulatorsOwn(PassedOn):
    """The simulator knows its options itself, since it imports nothing else of massconvert."""

    def theirs(self, width: int) -> str:
        """Its options."""
        return f"\n{parser(width).format_help()}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulator", cls=SimulatorsOwn, epilog=_EXAMPLES)(_simulator)


def _simulator(ctx: typer.Context) -> None:
    """Run a simulated Zoho CRM until Ctrl-C."""
    try:
        simulator.run(ctx.args, started=lambda: say(_RUNS))
    except simulator.SimulatorError as error:
        raise InputError(f"{str(error).removesuffix('.')}.") from error
