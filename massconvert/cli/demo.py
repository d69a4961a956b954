"""``massconvert demo``: the main job from end to end on this machine, against a simulated Zoho; no account needed."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Annotated, Any

import typer

from massconvert.cli.console import hint, say, tell
from massconvert.cli.one_machine import running
from massconvert.cli.output_file import check_output, write_output
from massconvert.cli.summary import print_summary
from massconvert.contract import MAX_LEADS_A_CALL, Exit
from massconvert.embedded import Stack
from massconvert.model import Code, Kind, LeadRow, Outcome
from massconvert.options import Options
from massconvert.report import csv_lines, summarise
from massconvert.settings import variables
from massconvert.simulator import Rules, Simulator
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

DEFAULT_LEADS = 1000
REPORT = Path("massconvert-demo-report.csv")
OPTIONS = {
    "Deals": {"Deal_Name": "Renewal", "Stage": "Needs Analysis", "Closing_Date": "+30d"},
    "assign_to": {"id": "3652397000000281001"},
}
_EXAMPLES = """\b
Examples:
  massconvert demo
  massconvert demo --leads 5000 --output demo.csv
\b
Exit status: 0 if every outcome is what the simulated Zoho says of the lead, else 1."""

# One lead in UNKNOWN does not exist, and one in CONVERTED was converted before.
_ONE_ODD_IN = 200
_CALL_SECONDS, _JOB_SECONDS = 0.1, 1.0
_GRACE = 3.0  # seconds


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=_EXAMPLES)(_demo)


def _demo(
    leads: Annotated[
        int, typer.Option(min=1, max=1_000_000, metavar="N", help="How many leads to convert.")
    ] = DEFAULT_LEADS,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"Where the report goes, a line a lead (default: {REPORT}).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
) -> None:
    """Show it all with a simulated Zoho and real workers."""
    report, replace = (output, force) if output else (REPORT, True)
    check_output(report, force=replace)
    try:
        wrong = _run(leads, report, replace=replace)
    except KeyboardInterrupt:
        say("stopped; nothing is left running.")
        raise typer.Exit(130) from None
    raise typer.Exit(Exit.SOME_FAILED if wrong else Exit.OK)


def _run(leads: int, report: Path, *, replace: bool) -> int:
    """The demo; returns how many outcomes are not the truth."""
    began = time.monotonic()
    odd = ceil(leads / _ONE_ODD_IN) if leads > 2 else 0
    rules = Rules(job_seconds=_JOB_SECONDS, job_jitter=_JOB_SECONDS)
    with Simulator(leads, unknown=odd, converted=odd, latency=_CALL_SECONDS, rules=rules) as zoho:
        say(
            f"a simulated Zoho has {number_of(leads, 'lead')}; {number_of(odd, 'id is', 'ids are')} unknown to it, "
            f"{number_of(odd, 'lead is', 'leads are')} converted already."
        )
        say("starting Redis, a worker and beat.")
        before = zoho.truth()
        with running(Stack(environ=environment(zoho), keep_data=False, stop_grace=_GRACE)) as machine:
            enqueued = time.monotonic()
            batch = machine.producer.enqueue(zoho.lead_ids(), Options.parse(OPTIONS), key="demo")
            machine.finish(batch)
            took = time.monotonic() - enqueued
            calls, after = zoho.calls(), zoho.truth()
            print_summary(summarise(batch.outcomes()))
            write_output(report, csv_lines(batch.outcomes()), force=replace)
            verdict = judge(batch.outcomes(), zoho.lead_ids(), before, after)
            say("ending all processes.")
    say(f"the report, a line a lead: {report}")
    verdict.tell()
    wall = time.monotonic() - began
    good = sum(not lead["converted"] for lead in before.values())
    tell(closing_line(leads, good, took, wall, calls))
    return len(verdict.wrong)


def environment(zoho: Simulator) -> dict[str, str]:
    """The stack's environment: nothing of this machine's own settings, so that a demo touches no real account."""
    blank = dict.fromkeys(variables(), "")
    no_profiles = {"MASSCONVERT_CONFIG": os.devnull}
    return {**blank, **zoho.environment(), **no_profiles, "MASSCONVERT_ACCOUNT": "demo", "NO_PROXY": "127.0.0.1"}


def closing_line(leads: int, good: int, took: float, wall: float, calls: Counter[str]) -> str:
    """What it took, in one line. ``good`` leads could be converted; times are in seconds."""
    fewest = ceil(good / MAX_LEADS_A_CALL)
    posts, polls, reads = calls["POST mass_convert"], calls["GET mass_convert"], calls["GET Leads"]
    return (
        f"{number_of(leads, 'lead')} in {took:.1f} s ({leads / took:,.0f} a second; {wall:.1f} s with starting and "
        f"ending): {number_of(posts, 'payload')}, {number_of(polls, 'status call')}, {number_of(reads, 'read')}; the "
        f"fewest possible would be {number_of(fewest, 'payload')} and {number_of(fewest, 'status call')}."
    )


@dataclass(frozen=True)
class DemoVerdict:
    """How the outcomes compare with what the simulated Zoho knows; ``wrong`` are sentences, one a lead."""

    leads: int
    wrong: tuple[str, ...]

    def tell(self) -> None:
        """Say it on stderr."""
        outcomes = number_of(self.leads, "outcome is", "outcomes are")
        if not self.wrong:
            say(f"all {outcomes} what Zoho says of the leads; none was converted twice.", "green")
            return
        say(f"{len(self.wrong):,} of {outcomes} not what Zoho says of the leads:", "red")
        hint("\n".join(self.wrong[:20]))


def judge(
    rows: Iterable[LeadRow], ids: Iterable[str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> DemoVerdict:
    """Compare every outcome with the truth ``before`` and ``after``; each of ``ids`` must have just one."""
    outcomes: dict[str, Outcome | None] = {}
    wrong: list[str] = []
    for row in rows:
        if row.lead_id in outcomes:
            wrong.append(f"{row.lead_id} is reported twice")
        outcomes[row.lead_id] = row.outcome
    for lead_id in ids:
        should = _truth(before.get(lead_id), after.get(lead_id))
        outcome = outcomes.pop(lead_id, None)
        told = (outcome.kind, outcome.code) if outcome else None
        if told != should:
            wrong.append(readable(f"{lead_id} is reported as {_words(told)}, and is {_words(should)}"))
        elif lead_id in after and after[lead_id]["conversions"] > 1:
            wrong.append(f"{lead_id} was converted {after[lead_id]['conversions']} times")
    wrong += [readable(f"{lead_id} is reported, and was not enqueued") for lead_id in outcomes]
    return DemoVerdict(len(before.keys() | after.keys() | set(ids)), tuple(wrong))


def _truth(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[Kind, str] | None:
    if before is None or after is None:
        return Kind.FAILED, Code.NOT_FOUND
    if before["converted"]:
        return Kind.SKIPPED, Code.ALREADY_CONVERTED
    return (Kind.CONVERTED, "") if after["converted"] else None


def _words(told: tuple[Kind, str] | None) -> str:
    return f"{told[0].value} {told[1]}".strip() if told else "not ended"
