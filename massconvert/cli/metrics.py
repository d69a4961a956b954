"""``massconvert metrics``: the fleet's numbers in Prometheus' text format."""

from __future__ import annotations

import time
from dataclasses import replace

import typer

from massconvert.cli.console import print_lines
from massconvert.cli.profile_standing import own_profiles
from massconvert.cli.reach import find_desk
from massconvert.metrics import look, render

_EXAMPLES = """\b
Examples:
  massconvert metrics
  massconvert metrics > /var/lib/node_exporter/massconvert.prom.new
\b
The numbers are the ledger's, and the same wherever they are asked for. docs/monitoring.md explains each."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("metrics", epilog=_EXAMPLES)(_metrics)


def _metrics() -> None:
    """Print the fleet's metrics, in Prometheus' text format."""
    desk, began = find_desk(), time.monotonic()
    seen = look(desk.ledger, desk.standing(), desk.clock.now(), own_profiles(desk))
    print_lines(render(replace(seen, took=time.monotonic() - began)).splitlines(keepends=True))
