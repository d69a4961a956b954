"""Reports: what became of each lead, as CSV, JSON lines or a summary. Rows in, lines out; nothing is printed here.

Everything but `summarise` streams: a million rows take no more memory than one.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeAlias

from massconvert.leads.spreadsheets import guarded
from massconvert.model import BatchStatus, Kind, LeadRow
from massconvert.model.story import Story
from massconvert.policy.sentences import PROOFS, SENTENCES

#: The names of a report's columns, in their order; scripts rely on them.
COLUMNS = (
    "lead_id",
    "outcome",
    "code",
    "message",
    "job_id",
    "attempts",
    "contact_id",
    "account_id",
    "deal_id",
)

#: A line of a report: a value for each of `COLUMNS`, ``None`` where it is not known.
Record: TypeAlias = dict[str, str | int | None]

#: How many ways to fail a summary tells apart, and how many leads it names of each.
FAILURES_TOLD, LEADS_NAMED = 20, 3


def record(row: LeadRow) -> Record:
    """A row as a record; all but the lead id are ``None`` while the lead has no outcome."""
    outcome = row.outcome
    if outcome is None:
        return {name: row.lead_id if name == "lead_id" else None for name in COLUMNS}
    return {
        "lead_id": row.lead_id,
        "outcome": outcome.kind.value,
        "code": outcome.code or None,
        "message": outcome.message or None,
        "job_id": outcome.job_id or None,
        "attempts": outcome.attempts,
        "contact_id": outcome.contact_id or None,
        "account_id": outcome.account_id or None,
        "deal_id": outcome.deal_id or None,
    }


def status_record(status: BatchStatus) -> dict[str, Any]:
    """A batch for scripts, and for those who are called when it has finished. Times are ISO 8601 in UTC."""
    return asdict(status) | {
        "state": status.state.value,
        "held_since": utc_time(status.held_since),
        "created_at": utc_time(status.created_at),
        "finished_at": utc_time(status.finished_at),
    }


def story_record(story: Story) -> dict[str, Any]:
    """A lead's story in one batch, for scripts. Times are ISO 8601 in UTC; what is not known is ``None``."""
    parents = {payload.id: payload.parent for payload in story.payloads}
    return {
        "batch": story.batch,
        "account": story.account,
        "priority": story.priority.value,
        "profile": story.profile or None,
        "enqueued_at": utc_time(story.enqueued_at),
        "place": story.place.value,
        "payload_state": story.state or None,
        "next_step_at": utc_time(story.due_at),
        "whole": story.whole,
        **{name: value for name, value in record(LeadRow(story.lead_id, story.outcome)).items() if name != "lead_id"},
        "known_by": story.proof.value if story.proof else None,
        "known_by_in_words": PROOFS[story.proof] if story.proof else None,
        "entries": [
            {
                "event": entry.event,
                "said": SENTENCES.get(entry.event),
                "at": utc_time(entry.at),
                "times": entry.times,
                "last_at": utc_time(entry.last_at),
                "payload": entry.payload or None,
                "parent": parents.get(entry.payload) or None,
                "leads": entry.leads or None,
                "job_id": entry.told.job_id or None,
                "status": entry.told.status or None,
                "code": entry.told.code or None,
                "message": entry.told.message or None,
            }
            for entry in story.entries
        ],
    }


def utc_time(seconds: float | None) -> str | None:
    """A moment (Unix seconds) for scripts: ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def only(rows: Iterable[LeadRow], kind: Kind | None, codes: Collection[str] = ()) -> Iterator[LeadRow]:
    """The rows that ended as ``kind`` (``None``: in whatever way), and with one of ``codes`` (none given: any)."""
    for row in rows:
        outcome = row.outcome
        if kind is not None and (outcome is None or outcome.kind is not kind):
            continue
        if codes and (outcome is None or outcome.code not in codes):
            continue
        yield row


def json_lines(rows: Iterable[LeadRow]) -> Iterator[str]:
    """A line of JSON for each row, with its line end; not known is null."""
    for row in rows:
        yield json.dumps(record(row), ensure_ascii=False) + "\n"


def json_array(rows: Iterable[LeadRow]) -> Iterator[str]:
    """One JSON array, a line for each row; not known is null."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(record(row), ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def csv_lines(rows: Iterable[LeadRow]) -> Iterator[str]:
    """A heading and a line of CSV for each row, with their line ends; not known is empty.

    Safe to open in a spreadsheet: a text that would be a formula there begins with ``'``.
    """
    cell = io.StringIO()
    writer = csv.writer(cell, lineterminator="\n")
    writer.writerow(COLUMNS)
    yield _taken(cell)
    for row in rows:
        writer.writerow([_harmless(value) for value in record(row).values()])
        yield _taken(cell)


@dataclass(frozen=True)
class SummaryLine:
    """How many leads ended in the same way, and one of them. ``outcome`` is empty for those that have none yet."""

    outcome: str
    code: str
    count: int
    lead_id: str
    message: str


@dataclass(frozen=True)
class Failure:
    """How many leads failed with the same code and the same message, and the first of them."""

    code: str
    message: str
    count: int
    lead_ids: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """A report in short: a line for each outcome and code, and the ways to fail, the most frequent first.

    ``other_failures`` are leads that failed in ways beyond those that are told.
    """

    lines: tuple[SummaryLine, ...]
    failures: tuple[Failure, ...]
    other_failures: int = 0

    @property
    def total(self) -> int:
        """All leads."""
        return sum(line.count for line in self.lines)


@dataclass
class _Tally:
    example: LeadRow
    count: int = field(default=0)


def summarise(rows: Iterable[LeadRow], *, told: int = FAILURES_TOLD) -> Summary:
    """Count ``rows`` by outcome and code, with the first lead of each; those that failed by message, too.

    The first ``told`` messages are told apart, however many there are.
    """
    tallies: dict[tuple[str, str], _Tally] = {}
    failures: dict[tuple[str, str], list[str]] = {}
    failed: Counter[tuple[str, str]] = Counter()
    others = 0
    for row in rows:
        outcome = row.outcome
        ended_as = (outcome.kind.value, outcome.code) if outcome else ("", "")
        tally = tallies.get(ended_as)
        if tally is None:
            tally = tallies[ended_as] = _Tally(row)
        tally.count += 1
        if outcome is None or outcome.kind is not Kind.FAILED:
            continue
        how = (outcome.code, outcome.message)
        if how not in failed and len(failed) >= told:
            others += 1
            continue
        failed[how] += 1
        named = failures.setdefault(how, [])
        if len(named) < LEADS_NAMED:
            named.append(row.lead_id)
    order = [kind.value for kind in Kind] + [""]
    ranked = sorted(tallies.items(), key=lambda item: (order.index(item[0][0]), -item[1].count, item[0][1]))
    lines = (
        SummaryLine(outcome, code, tally.count, tally.example.lead_id, _message(tally.example))
        for (outcome, code), tally in ranked
    )
    ways = (Failure(*how, count, tuple(failures[how])) for how, count in failed.most_common())
    return Summary(tuple(lines), tuple(ways), others)


def _message(row: LeadRow) -> str:
    return row.outcome.message if row.outcome else ""


def _harmless(value: str | int | None) -> str | int:
    if value is None:
        return ""
    return guarded(value) if isinstance(value, str) else value


def _taken(cell: io.StringIO) -> str:
    line = cell.getvalue()
    cell.seek(0)
    cell.truncate()
    return line
