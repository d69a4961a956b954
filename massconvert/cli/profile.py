"""``massconvert profile list|check|run|resume``: the named conversions of massconvert.toml."""

from __future__ import annotations

import math
import threading
from typing import Annotated, Any

import typer
from rich.text import Text

from massconvert.cli.account import command_settings
from massconvert.cli.commands import Group
from massconvert.cli.console import hint, local_time, out, print_json, say, tell
from massconvert.cli.desk import Desk, demand_ours, open_desk
from massconvert.cli.layout import Column, Sheet
from massconvert.cli.profile_check import ProfileCheck, check_all, check_profile
from massconvert.cli.profile_standing import ProfileStanding, standings
from massconvert.cli.waiting import WaitCommand, WaitOption, wait_for, wait_seconds
from massconvert.contract import Exit
from massconvert.errors import UnknownBatchError, WaitTimeoutError
from massconvert.model import Run, RunState
from massconvert.options import deal_templates, demand
from massconvert.producer.mass_convert import MassConvert
from massconvert.profiles import ConfigFile, Profile
from massconvert.report import utc_time
from massconvert.steps.preview import Preview, preview
from massconvert.wiring import connect_finder, open_ports
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

_HELP = "Named conversions: options, criteria, schedule and limits in massconvert.toml (docs/profiles.md)."
_RUN_EXAMPLES = """\b
Examples:
  massconvert profile run nightly --dry-run     how many leads it would find; nothing is enqueued
  massconvert profile run nightly --wait        until every lead that it finds has its outcome
\b
Exit status: as of enqueue; 1 as well when the run itself has failed."""
_COLUMNS = (
    Column("profile"),
    Column("criteria"),
    Column("schedule"),
    Column("next run"),
    Column("found", right=True),
    Column("enqueued", right=True),
    Column("what became of them"),
    Column("last run", prose=True),
)
#: Shown of a first page.
_SHOWN = 5
_LOOK = 0.2  # seconds

JsonOption = Annotated[bool, typer.Option("--json", help="As JSON.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The profile, as massconvert.toml names it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = Group(help=_HELP, no_args_is_help=True)
    group.command("list", epilog="\b\nExample:\n  massconvert profile list --json | jq '.profiles[].name'")(_list)
    group.command("check", epilog="\b\nExample:\n  massconvert profile check")(_check)
    group.command("run", cls=WaitCommand, epilog=_RUN_EXAMPLES)(_run)
    group.command("resume", epilog="\b\nExample:\n  massconvert profile resume nightly")(_resume)
    app.add_typer(group, name="profile")


def _list(as_json: JsonOption = False) -> None:
    """Show the profiles, when each runs next, and what became of its last run's leads."""
    desk = open_desk()
    config, now = ConfigFile(desk.settings.config_file), desk.clock.now()
    rows = list(standings(desk))
    if as_json:
        print_json({"file": str(config.path), "profiles": [_as_json(row, now) for row in rows]})
        return
    if not rows:
        say(f"{config.path} has no profiles." if config.path.exists() else f"there is no file {config.path}.")
        return
    out().print(Sheet(_COLUMNS, [_row(row, now) for row in rows]))
    for row in rows:
        if row.stopped:
            say(row.stop_in_words, "red")


def _row(row: ProfileStanding, now: float) -> tuple[str | Text, ...]:
    profile, run = row.profile, row.run
    form = profile.criteria.form.value if profile.criteria else "-"
    last = (f"{run.found:,}", f"{run.taken:,}", row.in_words, _run_view(run)) if run else ("", "", "", "-")
    next_run = "stopped" if row.stopped else local_time(row.next_run(now))
    return (readable(row.name), form, _schedule(profile), next_run, *last)


def _check(as_json: JsonOption = False) -> None:
    """Check the file, and hold each profile against its organisation where credentials are there; every wrong place is
    named. Nothing is enqueued.
    """
    config = ConfigFile(command_settings().config_file)
    found = check_all(config.config().profiles.items())
    good = not any(each.problems for each in found.values())
    if as_json:
        rows = [
            {
                "name": name,
                "warnings": list(each.warnings),
                "problems": [problem._asdict() for problem in each.problems],
                "not_checked": [{"what": what, "why": why} for what, why in each.not_checked.items()],
            }
            for name, each in found.items()
        ]
        print_json({"file": str(config.path), "ok": good, "profiles": rows})
        raise typer.Exit(Exit.OK if good else Exit.USAGE)
    if not config.path.exists():
        say(f"there is no file {config.path}; MASSCONVERT_CONFIG names another.", "yellow")
    for name, each in found.items():
        _tell_check(name, each)
    raise typer.Exit(Exit.OK if good else Exit.USAGE)


def _tell_check(name: str, found: ProfileCheck) -> None:
    for path, reason in found.problems:
        tell(f"{name}: problem: {path} {reason}")
    if not found.problems:
        tell(f"{name}: ok")
    for warning in found.warnings:
        say(f"{name}: {warning}", "yellow")
    for what, why in found.not_checked.items():
        say(f"{name}: not checked: {what}: {why}", "yellow")


def _resume(name: NameArgument, as_json: JsonOption = False) -> None:
    """Let the schedule of a profile go on that stopped after failed runs."""
    desk = open_desk(command_settings(profile=name))
    ConfigFile(desk.settings.config_file).profile(name)
    was, failures = bool(desk.ledger.runs.stopped(name)), desk.ledger.runs.resume(name)
    if as_json:
        print_json({"profile": name, "was_stopped": was, "failed_runs": failures})
    elif was:
        tell(f"The schedule of {name} goes on with its next slot; {number_of(failures, 'run')} in a row had failed.")
    else:
        tell(f"The schedule of {name} was not stopped.")


def _run(
    name: NameArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would find.")] = False,
    wait: WaitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a profile now: workers find its leads and enqueue them."""
    timeout = wait_seconds(wait)
    desk = open_desk(command_settings(profile=name))
    profile = ConfigFile(desk.settings.config_file).to_find_with(name)
    if dry_run:
        _show_preview(desk, name, profile, as_json=as_json)
        return
    demand_ours(desk.settings)
    run_id = MassConvert(desk.settings).run_profile(name)
    if wait is None:
        _print_run(run_id, None, as_json=as_json)
        if not as_json:
            say(f"workers find its leads. To see how far: {_how_far(desk, run_id)}")
        return
    run = _await_found(desk, run_id, timeout)
    if not as_json:
        _print_run(run_id, run, as_json=False)
    if run.state is RunState.FAILED and run.said:
        say(readable(f"the run has failed: {run.said.code}: {run.said.message} {run.said.path}".rstrip()), "red")
    raise typer.Exit(_wait_for_batch(desk, run, timeout, as_json=as_json))


def _await_found(desk: Desk, run_id: str, timeout: float | None) -> Run:
    """Wait until all of a run's leads have been found. Raises WaitTimeoutError."""
    end = math.inf if timeout is None else desk.clock.now() + timeout
    told = False
    while True:
        run = desk.ledger.runs.get(run_id)
        if run is None:
            raise UnknownBatchError(f"The run {run_id} has expired.")
        if run.state is not RunState.FINDING:
            return run
        if run.said and not told:
            told = True
            said = readable(f"{run.said.code}: {run.said.message}")
            say(f"Zoho gives no usable answer; workers ask again: {said}", "yellow")
        if desk.clock.now() > end:
            raise WaitTimeoutError(
                f"The run {run_id} has not ended after {timeout:g} s: {number_of(run.found, 'lead')} found so far.",
                hint=f"To see how far it is: {_how_far(desk, run_id)}",
            )
        threading.Event().wait(_LOOK)


def _how_far(desk: Desk, run_id: str) -> str:
    account = desk.settings.account
    return f"{next_command('profile list', account=account)}, {next_command('status', run_id, account=account)}"


def _wait_for_batch(desk: Desk, run: Run, timeout: float | None, *, as_json: bool) -> int:
    """Watch the run's batch to its end, if a lead was found; the exit status. JSON has the batch as ``ended``."""
    code = int(Exit.OK)
    found = {"run": run.id, "batch": run.id, **_run_as_json(run)}
    try:
        batch = MassConvert(desk.settings).batch(run.id)
        in_json = (lambda ended: print_json(found | {"ended": ended})) if as_json else None
        wait_for(desk, batch, timeout, in_json=in_json)
    except UnknownBatchError:
        if as_json:
            print_json(found | {"ended": None})
    except typer.Exit as ended:
        code = ended.exit_code
    return int(Exit.SOME_FAILED) if run.state is RunState.FAILED else code


def _print_run(run_id: str, run: Run | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"run": run_id, "batch": run_id, **(_run_as_json(run) if run else {"state": "finding"})})
    elif run is None:
        tell(f"Run {run_id} has begun; its leads become the batch of that name.")
    else:
        tell(f"Run {run_id}: {number_of(run.found, 'lead')} found, {run.taken:,} enqueued.")


def _show_preview(desk: Desk, name: str, profile: Profile, *, as_json: bool) -> None:
    assert profile.criteria is not None  # noqa: S101 - to_find_with has said so
    zoho, governor = connect_finder(desk.settings)
    found = check_profile(open_ports(desk.settings), profile)
    seen = preview(zoho, governor, profile.criteria, profile.limits.max_leads)
    updates = seen.payloads if deal_templates(profile.options) else 0
    if as_json:
        problems = {"problems": [problem._asdict() for problem in found.problems]}
        print_json(_preview_as_json(name, seen, updates) | problems)
        raise typer.Exit(Exit.USAGE if found.problems else Exit.OK)
    named = f", {updates:,} to read leads and {updates:,} to update deals" if updates else ""
    follow = f"{seen.payloads:,} or more to follow{named}"
    least = "" if seen.exact else "at least "
    bound = f", {seen.enqueued:,} a run" if seen.enqueued < seen.leads else ""
    leads = number_of(seen.leads, "lead that is", "leads that are")
    tell(f"Profile {name} would find {least}{leads} not converted{bound}.")
    tell(f"Payloads: {seen.payloads:,} of up to 50 leads.")
    tell(f"Calls: {seen.queries:,} to find, {seen.payloads:,} to convert, {follow}.")
    if seen.first:
        tell(f"First: {', '.join(seen.first[:_SHOWN])}{', …' if seen.leads > _SHOWN else ''}")
    hint("Nothing was enqueued. Leads that are in flight already would be skipped.")
    for what, why in found.not_checked.items():
        say(f"not checked: {what}: {why}", "yellow")
    demand(found.problems, "Each run would fail. Fix them in massconvert.toml.")


def _preview_as_json(name: str, seen: Preview, updates: int) -> dict[str, Any]:
    calls = {"find": seen.queries, "convert": seen.payloads, "status": seen.payloads}
    return {
        "profile": name,
        "dry_run": True,
        "leads": seen.leads,
        "exact": seen.exact,
        "would_enqueue": seen.enqueued,
        "payloads": seen.payloads,
        "calls": calls | {"read": updates, "update": updates},
        "first": list(seen.first[:_SHOWN]),
    }


def _schedule(profile: Profile) -> str:
    schedule = profile.schedule
    if schedule is None:
        return "-"
    words = f"{schedule.crontab} {schedule.time_zone}" if schedule.crontab else f"every {schedule.every:g} s"
    return words if profile.enabled else f"{words} (disabled)"


def _run_view(run: Run) -> Text:
    style = {RunState.FAILED: "red", RunState.FINDING: "yellow"}.get(run.state, "")
    said = f": {run.said.code} {run.said.message}" if run.said else ""
    return Text(readable(f"{local_time(run.began_at)} {run.state.value}{said}"), style)


def _run_as_json(run: Run) -> dict[str, Any]:
    return {
        "state": run.state.value,
        "found": run.found,
        "enqueued": run.taken,
        "more": run.more,
        "began": utc_time(run.began_at),
        "ended": utc_time(run.ended_at or None),
        "code": run.said.code if run.said else None,
        "message": run.said.message if run.said else None,
    }


def _as_json(row: ProfileStanding, now: float) -> dict[str, Any]:
    profile, run = row.profile, row.run
    return {
        "name": row.name,
        "description": profile.description,
        "account": profile.account,
        "enabled": profile.enabled,
        "criteria": profile.criteria.model_dump(exclude_none=True) if profile.criteria else None,
        "schedule": profile.schedule.model_dump(exclude_none=True) if profile.schedule else None,
        "limits": profile.limits.model_dump(),
        "next_run": utc_time(row.next_run(now)),
        "failed_runs": row.failures,
        "stopped": row.stopped,
        "last_run": {"run": run.id, **_run_as_json(run), **row.outcomes} if run else None,
    }
