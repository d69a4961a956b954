"""How a batch is shown: to people, and to scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from massconvert.cli.console import local_time, span
from massconvert.cli.layout import Pairs, Prose
from massconvert.embedded.unfinished import is_ours
from massconvert.ledger.callbacks import FailedCall
from massconvert.model import HELD_FOR_CANARY, PAUSED_BY_HAND, BatchState, BatchStatus, Pause, Waits
from massconvert.report import status_record, utc_time
from massconvert.words.next_command import next_command
from massconvert.words.plurals import ended_of, number_of
from massconvert.words.readable import readable

if TYPE_CHECKING:
    from massconvert.cli.why import Reason

_STYLES = {BatchState.RUNNING: "cyan", BatchState.PAUSED: "bold red", BatchState.FINISHED: "green"}
_COUNTS = ("converted", "failed", "skipped", "cancelled", "sent", "waiting")


def as_json(status: BatchStatus) -> dict[str, Any]:
    """A batch for scripts. Times are ISO 8601 in UTC."""
    return status_record(status)


def pause_as_json(paused: Pause | None) -> dict[str, Any] | None:
    """Why the organisation is paused, for scripts; ``None`` when it is not."""
    return asdict(paused) | {"since": utc_time(paused.since)} if paused else None


def waits_as_json(waits: Waits | None) -> dict[str, Any] | None:
    """What payloads of a batch wait for, for scripts; ``None`` where Zoho said nothing about any."""
    if waits is None:
        return None
    found = asdict(waits)
    return found | {"until": utc_time(waits.until)}


def batch_view(
    status: BatchStatus,
    paused: Pause | None,
    reason: Reason | None = None,
    waits: str = "",
    whose: str = "",
    calls: Sequence[FailedCall] = (),
    *,
    unattended: bool = False,
) -> RenderableType:
    """A batch for people: why it has not finished, what payloads wait for and whose it is, in words; and failed calls.

    ``paused`` is shown while it matters; ``unattended`` is as for `go_on_with`.
    """
    rows: list[tuple[str, str | Text]] = [
        ("batch", Text(readable(status.batch), "bold")),
        *([("organisation", whose)] if whose else []),
        ("state", state_view(status)),
        ("leads", f"{status.total:,}" if status.sealed else f"{status.total:,} so far"),
    ]
    rows += [(f"  {name}", f"{getattr(status, name):,}") for name in _COUNTS if getattr(status, name)]
    if status.deals_not_updated:
        rows.append(("deals not updated", Text(f"{status.deals_not_updated:,} (of those converted)", "bold red")))
    if paused and status.held and not status.finished:
        rows.append(("paused, too", Text(held_in_words(status, unattended=unattended), "bold red")))
    if reason and not paused:
        rows.append(("why", Text(reason.text, "bold red" if status.held else "yellow")))
    if waits:
        rows.append(("to be tried again", Text(waits, "yellow")))
    rows.append(("begun", local_time(status.created_at)))
    if status.finished_at is not None:
        rows.append(("finished", local_time(status.finished_at)))
    for call in calls:
        then = "it is tried again" if call.again else "it is not tried again"
        rows.append(("not told", Text(readable(f"{call.place}: {call.why} ({then})"), "yellow")))
    facts = Pairs(rows)
    return Group(pause_view(paused), facts) if paused and not status.finished else facts


def state_view(status: BatchStatus) -> Text:
    """A batch's state in its colour."""
    return Text(status.state.value, _STYLES.get(status.state, "yellow"))


def pause_view(paused: Pause) -> Prose:
    """Why the organisation is paused, since when, and what to do: prominently."""
    return Prose(f"PAUSED. {pause_in_words(paused)}\n", "bold red")


def pause_in_words(paused: Pause) -> str:
    """Why the organisation is paused and what to do, in one or two lines."""
    code = f"{paused.code}: " if paused.code else ""
    said = readable(f"{code}{paused.reason}")
    by = "" if paused.code else _by(paused.by)
    told = f"The organisation is paused since {local_time(paused.since)}{by}: nothing is sent. {said}"
    return f"{told.rstrip()}\n{readable(paused.hint, lines=True)}".rstrip()


def go_on_with(status: BatchStatus, *, unattended: bool) -> str:
    """The command that lets a paused batch go on; ``unattended``: where nobody works until ``convert`` does."""
    if unattended:
        return next_command("convert", "--resume", status.batch, account=status.account)
    return next_command("resume", status.batch, account=status.account)


def held_in_words(status: BatchStatus, *, unattended: bool = False) -> str:
    """Why this batch alone waits, and what to do, in one or two lines; blank when it does not.

    ``unattended`` is as for `go_on_with`.
    """
    if not status.held:
        return ""
    go_on = f"To go on: {go_on_with(status, unattended=unattended)}"
    canary = status.canary
    if status.held != HELD_FOR_CANARY or canary is None:
        since = "" if status.held_since is None else f" since {local_time(status.held_since)}"
        because = "" if status.held == PAUSED_BY_HAND else f": {readable(status.held)}"
        by = "" if is_ours(status) and not status.held_by else _by(status.held_by)
        return f"Batch {status.batch} is paused{since}{by}{because}. Nothing more of it is sent.\n{go_on}"
    if not canary.over:
        leads = number_of(canary.leads, "lead has", "leads have")
        return f"The canary goes first: {canary.ended:,} of its {leads} ended. The others wait."
    look = f"To see what became of them: {next_command('report', status.batch, account=status.account)}"
    failed = f"{canary.failed:,} of {number_of(canary.leads, 'lead')} failed"
    return f"The canary has ended: {failed}. The others wait.\n{look}\n{go_on}"


def _by(person: str) -> str:
    return f" by {readable(person) or 'hand'}"


def waits_in_words(waits: Waits | None, now: float) -> str:
    """What payloads wait for, and for how long; blank where Zoho said nothing about any. ``now``: Unix seconds."""
    if waits is None:
        return ""
    payloads = number_of(waits.payloads, "payload")
    return f"{payloads}, in {span(waits.until - now)}; Zoho said: {readable(f'{waits.code}: {waits.message}')}"


def counts(status: BatchStatus) -> str:
    """The counts that are not nought, in words."""
    parts = [f"{getattr(status, name):,} {name}" for name in _COUNTS if getattr(status, name)]
    deals = status.deals_not_updated
    parts += [number_of(deals, "deal not updated", "deals not updated")] if deals else []
    return ", ".join(parts) or "nothing yet"


def progress(status: BatchStatus) -> str:
    """How far a batch is, in short: ``399 ok, 1 failed of 400``; the rest has no outcome yet."""
    names = (("converted", "ok"), ("failed", "failed"), ("skipped", "skipped"), ("cancelled", "cancelled"))
    parts = [f"{getattr(status, name):,} {word}" for name, word in names if getattr(status, name)]
    done = ", ".join(parts) or "0"
    return f"{done} of {status.total:,}{'' if status.sealed else ' so far'}"


def so_far(status: BatchStatus) -> str:
    """The progress line beside the report of an unfinished batch."""
    return f"batch {status.batch} is {status.state.value}: {ended_of(status.ended, status.total)} so far."


def left_out_of(duplicates: int, invalid: int) -> list[str]:
    """What of the ids that were given does not count, in words."""
    found = [number_of(duplicates, "duplicate dropped", "duplicates dropped")] if duplicates else []
    return found + ([f"{invalid:,} invalid left out"] if invalid else [])
