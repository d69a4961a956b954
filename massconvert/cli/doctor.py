"""``massconvert doctor``: is all there that a conversion needs, does it work, and what is to be mended?"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from massconvert.cli.account import chosen_account
from massconvert.cli.console import out, print_json, say
from massconvert.contract import Exit
from massconvert.doctor import Finding, Level, examine, worst
from massconvert.readable import readable

_EXAMPLES = """\b
Examples:
  massconvert doctor
  massconvert doctor --json | jq '.findings[] | select(.level != "ok")'
  massconvert doctor --producer      on a machine that only enqueues
  massconvert doctor --account emea  another organisation of massconvert.toml
\b
It changes nothing at Zoho, and makes a dozen calls there. Exit status: 0 all is well, or there are only warnings;
3 something is wrong that stops work."""

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.WRONG: "bold red"}
_LEVEL_WIDTH, _CHECK_WIDTH = 9, 19


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=_EXAMPLES)(_doctor)


def _doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    producer: Annotated[
        bool, typer.Option("--producer", help="Leave out what only workers need: credentials and Zoho.")
    ] = False,
) -> None:
    """Check settings, Zoho, Redis, broker, workers and what waits; say what to mend."""
    # What the library would log to nobody in particular is among the findings.
    logging.getLogger("massconvert").addHandler(logging.NullHandler())
    findings = examine(account=chosen_account(), producer=producer)
    verdict = worst(findings)
    if as_json:
        print_json({"verdict": verdict.value, "findings": [asdict(f) | {"level": f.level.value} for f in findings]})
    else:
        console = out()
        for finding in findings:
            _show(console, finding)
        say(_summary(findings), _STYLES[verdict])
    raise typer.Exit(Exit.UNREACHABLE if verdict is Level.WRONG else Exit.OK)


def _show(console: Console, finding: Finding) -> None:
    line = Text(f"{finding.level.value:<{_LEVEL_WIDTH}}", _STYLES[finding.level])
    line.append(f"{finding.check:<{_CHECK_WIDTH}}{readable(finding.what)}", style="default")
    console.print(line)
    for mend in readable(finding.mend, lines=True).splitlines():
        console.print(Text(f"{'':<{_LEVEL_WIDTH + _CHECK_WIDTH}}-> {mend}"))


def _summary(findings: list[Finding]) -> str:
    count = Counter(finding.level for finding in findings)
    if not count[Level.WRONG] and not count[Level.WARNING]:
        return "all is well."
    warnings = f"{count[Level.WARNING]} warning{'' if count[Level.WARNING] == 1 else 's'}"
    if not count[Level.WRONG]:
        return f"work can go on; {warnings}."
    return f"{count[Level.WRONG]} wrong, {warnings}: mend the first that is wrong, and ask again."
