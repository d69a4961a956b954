"""``massconvert match``: which leads would be linked, held and created, before anything is enqueued."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from massconvert.cli.account import command_settings
from massconvert.cli.batch_view import left_out_of
from massconvert.cli.console import out, print_json, say, span, told_by_us
from massconvert.cli.desk import open_desk
from massconvert.cli.dry_run import Facts, calls_in_words, estimate
from massconvert.cli.enqueue import named_profile, taking
from massconvert.cli.inputs import (
    FileOption,
    IdColumnOption,
    LeadsArgument,
    OnMatchOption,
    OptionsOption,
    ProfileOption,
    SkipInvalidOption,
    read_leads,
    read_options,
    with_ours,
)
from massconvert.cli.layout import Pairs
from massconvert.cli.live import live_organisation
from massconvert.cli.live_options import rules_of
from massconvert.cli.matches import Tally, foresee_all
from massconvert.cli.output_file import check_output, write_output
from massconvert.errors import InputError
from massconvert.leads import Leads
from massconvert.leads.spreadsheets import ROW, guarded_row, row_name
from massconvert.model import OnMatch
from massconvert.options import Options
from massconvert.policy.cost import Forecast
from massconvert.policy.foresight import Foreseen, Would
from massconvert.words.next_command import next_command

#: The columns of the file; scripts rely on them.
COLUMNS = ("lead_id", "would", "contact_id", "contact_name", "account_id", "account_name", "why", ROW)
#: Of more leads than this a bar shows how far it is: some seconds of calls.
_WORTH_A_BAR = 200
_EXAMPLES = """\b
Examples:
  massconvert match leads.csv
  massconvert match leads.csv --options options.json --output matches.csv
  massconvert match leads.csv --on-match hold --match email --match phone --json
\b
Nothing is enqueued. It reads the leads and looks for contacts and accounts as workers do: about 3 credits for 50 leads.
\b
Exit status: 0, whatever would become of them; 2 wrong input; 3 settings, Redis or Zoho."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("match", epilog=_EXAMPLES)(_match)


def _match(
    leads: LeadsArgument = None,
    file: FileOption = None,
    options: OptionsOption = None,
    profile: ProfileOption = None,
    on_match: OnMatchOption = None,
    match: Annotated[
        list[str] | None,
        typer.Option(
            "--match",
            metavar="FIELD",
            help="What decides: email, company, website, phone, or a field of leads that fills a unique one. "
            "Repeatable.",
        ),
    ] = None,
    id_column: IdColumnOption = None,
    skip_invalid: SkipInvalidOption = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.csv", help="Write a row a lead into this file, to look through."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Tell which leads would be linked to what is there, held, and created."""
    settings = command_settings(profile=profile)
    settings.require_zoho()
    if output is not None:
        _check_output(output, force=force)
    named = named_profile(settings, profile, options)
    body = _matched(Options.parse(named.options) if named else None, options, on_match, match or ())
    if body.on_match == OnMatch.CREATE:
        raise InputError("--on-match create looks for nothing.", hint="Give link or hold, or leave it out.")
    tally = Tally()
    with (
        read_leads(leads or (), file, skip_invalid=skip_invalid, id_column=id_column) as checked,
        live_organisation(settings) as ports,
    ):
        facts = Facts.known(open_desk(settings), body) if settings.redis_url_given else Facts.assumed(settings)
        rules = rules_of(ports, body)
        with (
            told_by_us(),
            taking(len(checked), "looking for matches", _WORTH_A_BAR) as on_progress,
            closing(
                foresee_all(ports, checked, rules, tally, brought=checked.deal_values, on_progress=on_progress)
            ) as found,
        ):
            if output is None:
                for _ in found:
                    pass
            else:
                write_output(output, _lines(found), force=force)
        cost = estimate(tally.leads, checked, body, facts, tally.to_convert())
        if as_json:
            print_json(_as_json(checked, tally, cost, output))
        else:
            _show(checked, tally, cost)
    _tell_next(settings.account, body, match or (), tally, options, profile, output, _named(leads or [], file))


def _check_output(output: Path, *, force: bool) -> None:
    if output.suffix.lower() != ".csv":
        raise InputError(f"{output}: the file is CSV, and its name does not say so.", hint="Name it like matches.csv.")
    check_output(output, force=force)


def _matched(given: Options | None, path: str | None, on_match: OnMatch | None, keys: Iterable[str]) -> Options:
    """The options with what is to be looked at: as the command says, else they, else with links."""
    if given is None:
        given = read_options(path, on_match=on_match or OnMatch.LINK) if path else Options()
    wanted = on_match or OnMatch(given.on_match)
    usual = OnMatch.LINK if wanted is OnMatch.CREATE and on_match is None else wanted
    return with_ours(given, on_match=usual, match=tuple(keys))


def _lines(found: Iterable[Foreseen]) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    yield text.getvalue()
    for each in found:
        text.seek(0)
        text.truncate()
        cells = [str(getattr(each, name)) for name in COLUMNS[2:-1]]
        writer.writerow(guarded_row([each.lead_id, each.would.value, *cells, row_name("match", each.lead_id)]))
        yield text.getvalue()


def _as_json(leads: Leads, tally: Tally, cost: Forecast, output: Path | None) -> dict[str, Any]:
    return {
        "leads": tally.leads,
        "duplicates": len(leads) - tally.leads,
        "invalid": leads.invalid,
        **tally.as_json(),
        "looked": {"read": tally.reads, "query": tally.queries, "credits": tally.reads + tally.queries},
        "to_convert": {
            "calls": cost.by_kind,
            "credits": cost.credits,
            "seconds": round(cost.seconds, 1),
        },
        "output": str(output) if output else None,
    }


def _show(leads: Leads, tally: Tally, cost: Forecast) -> None:
    left_out = ", ".join(left_out_of(len(leads) - tally.leads, leads.invalid))
    looked = tally.reads + tally.queries
    rows = [
        ("leads", f"{tally.leads:,}{f' ({left_out})' if left_out else ''}"),
        *((f"  {name}", said) for name, said in tally.rows()),
        ("this look", f"{looked:,} calls, as many credits"),
        ("to convert", f"{calls_in_words(cost)}"),
        ("  credits", f"about {cost.credits:,}"),
        ("  time", f"about {span(cost.seconds)}"),
    ]
    out().print(Pairs(rows))
    tally.show_examples()


def _named(leads: list[str], file: str | None) -> str:
    """What the leads come from, for another command."""
    return file or (leads[0] if len(leads) == 1 else "leads.csv")


def _tell_next(
    account: str,
    body: Options,
    match: Sequence[str],
    tally: Tally,
    options: str | None,
    profile: str | None,
    output: Path | None,
    source: str,
) -> None:
    if output is not None:
        say(f"a row a lead: {output}")
    say("nothing was enqueued. This is how it is now; workers look again before they send.")
    if not tally.counts[Would.LINK] + tally.counts[Would.HOLD]:
        return
    given = ("--profile", profile) if profile else ("--options", options or "O.json")
    wanted = ("--on-match", "hold") if body.on_match == OnMatch.HOLD else ("--on-match", "link")
    again = next_command("enqueue", source, *given, *wanted, account=account)
    keys = f', with "match": {list(match)} in the options'.replace("'", '"') if match else ""
    say(f"To convert them so: {again}{keys}")
