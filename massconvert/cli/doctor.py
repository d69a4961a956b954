"""``massconvert doctor``: is all there that a conversion needs, does it work, and what is to be fixed?"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from massconvert.cli.account import chosen_account
from massconvert.cli.console import out, print_json, say
from massconvert.cli.layout import wrapped
from massconvert.cli.live import some_redis
from massconvert.contract import Exit
from massconvert.doctor import Finding, Level, examine, worst
from massconvert.doctor.finding import folded
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

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
#: Words go beside a finding's name where there is so much room, else below it, so far to the right.
_BESIDE, _BELOW = 40, 4


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=_EXAMPLES)(_doctor)


def _doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    producer: Annotated[
        bool, typer.Option("--producer", help="Leave out what only workers need: credentials and Zoho.")
    ] = False,
) -> None:
    """Check settings, Zoho, Redis, broker, workers and what waits; say what to fix."""
    # What the library would log to nobody in particular is among the findings.
    logging.getLogger("massconvert").addHandler(logging.NullHandler())
    findings = examine(account=chosen_account(), producer=producer, lend=some_redis)
    verdict = worst(findings)
    if as_json:
        print_json({"verdict": verdict.value, "findings": [_for_json(finding) for finding in findings]})
    else:
        console = out()
        told = folded(findings)
        for finding in told:
            _show(console, finding)
        say(_summary(told), _STYLES[verdict])
    raise typer.Exit(Exit.UNREACHABLE if verdict is Level.WRONG else Exit.OK)


def _for_json(finding: Finding) -> dict[str, str]:
    """A finding for a script. Scripts know its fix as ``mend``."""
    return {"check": finding.check, "level": finding.level.value, "what": finding.what, "mend": finding.fix}


def _show(console: Console, finding: Finding) -> None:
    """A finding, beside its level and its name; below them where a terminal is narrow."""
    level, check, what = finding.level.value, finding.check, readable(finding.what)
    left = _LEVEL_WIDTH + _CHECK_WIDTH
    fixes = [f"-> {fix}" for fix in readable(finding.fix, lines=True).splitlines()]
    said = [what]
    if console.is_terminal:
        left = left if console.width - left >= _BESIDE else _BELOW
        said = wrapped(what, console.width - left)
        fixes = [line for fix in fixes for line in wrapped(fix, console.width - left, hanging=3)]
    beside = said.pop(0) if left > _BELOW else ""
    line = Text(f"{level:<{_LEVEL_WIDTH}}", _STYLES[finding.level])
    line.append(f"{check:<{_CHECK_WIDTH}}{beside}" if beside else check, style="default")
    console.print(line)
    for text in (*said, *fixes):
        console.print(Text(f"{'':<{left}}{text}"))


def _summary(findings: list[Finding]) -> str:
    count = Counter(finding.level for finding in findings)
    if not count[Level.WRONG] and not count[Level.WARNING]:
        return "all is well."
    warnings = number_of(count[Level.WARNING], "warning")
    if not count[Level.WRONG]:
        return f"work can go on; {warnings}."
    return f"{count[Level.WRONG]} wrong, {warnings}: fix the first that is wrong, and ask again."
