"""``massconvert simulator``: a Zoho CRM on this machine, for trying things out and for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from massconvert import simulator
from massconvert.cli.console import say
from massconvert.errors import InputError

_EXAMPLES = """\b
Examples:
  massconvert simulator --leads 1000 --port 8099
  massconvert simulator --faults faults.json
\b
It prints the environment that points workers at it (into .env, or after export), and lists its leads
at GET /crm/v8/Leads. It accepts any credentials and listens on this machine alone unless --host says otherwise."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulator", epilog=_EXAMPLES)(_simulator)


def _simulator(
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="P", help="0 takes a free one.")] = 0,
    leads: Annotated[int, typer.Option(min=0, metavar="N", help="How many lead ids there are.")] = 100,
    unknown: Annotated[int, typer.Option(min=0, metavar="N", help="So many of them do not exist.")] = 0,
    converted: Annotated[int, typer.Option(min=0, metavar="N", help="So many are converted already.")] = 0,
    job_seconds: Annotated[float, typer.Option(min=0, metavar="S", help="How long a job takes.")] = 1.0,
    latency: Annotated[float, typer.Option(min=0, metavar="S", help="How long a call takes.")] = 0.0,
    pipelines: Annotated[bool, typer.Option("--pipelines", help="Deals have pipelines, and must name theirs.")] = False,
    production: Annotated[
        bool, typer.Option("--production", help="It says that it is no sandbox, so that commands ask first.")
    ] = False,
    special: Annotated[
        list[str] | None, typer.Option(metavar="KIND[=N]", help="The first leads are of special kinds, like locked=3.")
    ] = None,
    faults: Annotated[Path | None, typer.Option(metavar="F.json", help="What shall go wrong, and when.")] = None,
    host: Annotated[str, typer.Option(metavar="H", help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Run a simulated Zoho CRM until Ctrl-C."""
    say("the simulated Zoho CRM runs until Ctrl-C; what points workers at it:")
    try:
        simulator.run(
            host=host,
            port=port,
            leads=leads,
            unknown=unknown,
            converted=converted,
            job_seconds=job_seconds,
            latency=latency,
            pipelines=pipelines,
            production=production,
            special=special or (),
            faults=faults,
        )
    except simulator.SimulatorError as error:
        raise InputError(str(error)) from error
