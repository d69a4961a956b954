"""The command line: one file a command group, which parses, calls and prints. It decides nothing about leads."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``massconvert``; return its exit status. ``arguments`` default to the process' own."""
    try:
        # Here, and not above, so that a Ctrl-C while the rooms are loaded is no traceback either.
        from massconvert.cli.app import run  # noqa: PLC0415 - see above

        return run(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("massconvert: interrupted.\n")
        return 130
