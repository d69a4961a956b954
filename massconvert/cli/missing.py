"""``massconvert missing``: after an older copy of Redis was restored, which batches does the ledger not know?"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from massconvert.cli.console import hint, local_time, out, print_json, say, tell
from massconvert.cli.desk import Desk
from massconvert.cli.inputs import STDIN
from massconvert.cli.layout import Column, Sheet
from massconvert.cli.output_file import about_file
from massconvert.cli.reach import find_desk
from massconvert.contract import Exit
from massconvert.errors import InputError
from massconvert.leads import check_batch_key
from massconvert.report import utc_time
from massconvert.words.mentions import Mention, mentions
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of

_EXAMPLES = """\b
Examples:
  massconvert missing worker.log app.log
  massconvert missing worker.log --keys keys.txt   also keys that a producer knows, one a line
  docker compose logs worker | massconvert missing -
  massconvert missing worker.log --json | jq -r '.missing[].batch'
\b
Logs of workers and of apps, at level INFO, in any format: they name each batch as it is accepted, and again as
its payloads are made. Of batches that only --keys names nobody knows whether they have expired.
Nothing is changed.
\b
Exit status: 0 the ledger has all of them; 1 batches are missing, or some of their leads are."""

_COLUMNS = (
    Column("batch"),
    Column("enqueued"),
    Column("leads", right=True),
    Column("in the ledger", right=True),
)
_DAY = 86_400.0
#: The batch of a profile's run: of a slot, or by hand.
_RUN = re.compile("(.+)@(?:[0-9]{8}T[0-9]{6}Z|[0-9a-f-]{8,36})")


@dataclass
class _Named:
    """What logs and keys say of a batch: when, how many ``leads`` it was given, how many each of its payloads has."""

    batch: str
    first: float | None = None
    last: float | None = None
    leads: int = 0
    payloads: dict[tuple[str, float | None], int] = field(default_factory=dict)

    def add(self, mention: Mention) -> None:
        if mention.payload:  # numbers of payloads begin again in a restored copy
            self.payloads[mention.payload, mention.at] = mention.leads
        else:
            self.leads = max(self.leads, mention.leads)
        if mention.at is not None:
            self.first = min(self.first or mention.at, mention.at)
            self.last = max(self.last or mention.at, mention.at)

    @property
    def in_words(self) -> str:
        """How many leads it has: all, or as many as were seen in payloads; blank where nobody says."""
        if self.leads:
            return f"{self.leads:,}"
        seen = sum(self.payloads.values())
        return f"{seen:,} or more" if seen else ""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("missing", epilog=_EXAMPLES)(_missing)


def _missing(
    logs: Annotated[
        list[str] | None, typer.Argument(metavar="LOG…", help="Logs of workers and apps; - for stdin.")
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option("--keys", metavar="FILE", help="Keys and batch ids that producers know, one a line. Repeatable."),
    ] = None,
    in_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Name the batches that logs and producers know and the ledger does not: after an older copy was restored."""
    if not (logs or keys):
        raise InputError(
            "Who knows the batches? No log is given, and no --keys.",
            hint="Name logs of workers or apps, or a file of keys, one a line.",
        )
    desk = find_desk()
    named = _named(logs or [], keys or [], desk.settings.account)
    totals = dict(zip(named, desk.ledger.batches.totals(list(named)), strict=True))
    kept_since = desk.clock.now() - desk.settings.retention_days * _DAY
    found = [(each, totals[each.batch]) for each in named.values() if _lacks(each, totals[each.batch])]
    # A batch is kept for so long after it has finished, and so after a line that names it.
    expired = [each for each, total in found if total is None and each.last is not None and each.last < kept_since]
    lacking = [(each, total or 0) for each, total in found if each not in expired]
    lacking.sort(key=lambda pair: (pair[0].first or 0.0, pair[0].batch))
    if in_json:
        rows = [_as_json(each, total, desk.settings.account) for each, total in lacking]
        print_json({"named": len(named), "missing": rows, "expired": [each.batch for each in expired]})
    else:
        _show(desk, len(named), lacking, len(expired))
    raise typer.Exit(Exit.SOME_FAILED if lacking else Exit.OK)


def _lacks(named: _Named, total: int | None) -> bool:
    return total is None or total < named.leads


def _named(logs: Sequence[str], keys: Sequence[str], account: str) -> dict[str, _Named]:
    """What the files name of this account, by batch."""
    named: dict[str, _Named] = {}
    for name in keys:
        for key in _keys_in(name):
            named.setdefault(key, _Named(key))
    silent = []
    for name in logs:
        count = 0
        with _lines_of(name) as lines:
            for mention in mentions(lines):
                count += 1
                if mention.account == account:
                    named.setdefault(mention.batch, _Named(mention.batch)).add(mention)
        if not count:
            silent.append("stdin" if name == STDIN else name)
    if silent:
        told, fix = f"No line of {', '.join(silent)} names a batch.", "Give logs at level INFO that are not compressed."
        if not keys and len(silent) == len(logs):
            raise InputError(told, hint=fix)
        say(f"{told} {fix}", "yellow")
    return named


def _keys_in(name: str) -> Iterator[str]:
    with about_file(name), _lines_of(name) as lines:
        for number, line in enumerate(lines, 1):
            if key := line.strip():
                try:
                    yield check_batch_key(key)
                except InputError as error:
                    raise InputError(f"{name}, line {number}: {error.message}", hint=error.hint) from None


@contextmanager
def _lines_of(name: str) -> Iterator[TextIO]:
    with ExitStack() as ends:
        if name == STDIN:
            yield sys.stdin
            return
        try:
            file = ends.enter_context(Path(name).open(encoding="utf-8-sig", errors="replace"))
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror or error}.") from error
        yield file


def _next(batch: str, account: str) -> str:
    """What puts it into the ledger again: a run of a profile finds its leads by itself."""
    if run := _RUN.fullmatch(batch):
        return next_command("profile run", run[1], account=account)
    return next_command("enqueue", "LEADS.csv", "--options", "O.json", "--key", batch, account=account)


def _as_json(named: _Named, total: int, account: str) -> dict[str, Any]:
    return {
        "batch": named.batch,
        "enqueued": utc_time(named.first),
        "leads": named.leads or None,
        "leads_in_payloads": sum(named.payloads.values()),
        "leads_in_ledger": total,
        "next": _next(named.batch, account),
    }


def _show(desk: Desk, named: int, lacking: list[tuple[_Named, int]], expired: int) -> None:
    if expired:
        are = number_of(expired, "batch was", "batches were")
        say(f"{are} named more than {desk.settings.retention_days:g} days ago: expired, and left out.")
    of_all = number_of(named, "batch", "batches")
    if not lacking:
        tell(f"The ledger has all that is named: {of_all}.")
        return
    rows = [
        [each.batch, local_time(each.first), each.in_words, f"{total:,}" if total else "none"]
        for each, total in lacking
    ]
    out().print(Sheet(_COLUMNS, rows))
    ways = {each.batch: _next(each.batch, desk.settings.account) for each, _ in lacking}
    enqueued = [way for batch, way in ways.items() if not _RUN.fullmatch(batch)]
    runs = dict.fromkeys(way for batch, way in ways.items() if _RUN.fullmatch(batch))
    say(f"{len(lacking):,} of {of_all} that are named are missing, or some of their leads are.", "yellow")
    if enqueued:
        hint("Enqueue each again with the same leads, options and key, which is safe:")
        hint(f"  {enqueued[0]}")
    if runs:
        hint("A profile finds its leads again, with its next run or now:")
        hint("\n".join(f"  {way}" for way in runs))
    hint("Leads that were converted meanwhile end as skipped, ALREADY_CONVERTED.")
