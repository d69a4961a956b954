"""How a batch is shown: to people, and to scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from massconvert.cli.console import local_time, span
from massconvert.ledger.callbacks import FailedCall
from massconvert.model import HELD_FOR_CANARY, BatchState, BatchStatus, Pause, Waits
from massconvert.readable import readable
from massconvert.report import status_record, utc_time

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
    status: BatchStatus, paused: Pause | None, waits: str = "", calls: Sequence[FailedCall] = ()
) -> RenderableType:
    """A batch for people; ``paused`` is shown while it matters, what payloads wait for, in words, and failed calls."""
    grid = Table.grid(padding=(0, 2))
    grid.add_row("batch", Text(readable(status.batch), "bold"))
    grid.add_row("state", state_view(status))
    grid.add_row("leads", f"{status.total:,}" if status.sealed else f"{status.total:,} so far")
    for name in _COUNTS:
        grid.add_row(f"  {name}", f"{getattr(status, name):,}")
    if status.deals_not_updated:
        grid.add_row("deals not updated", Text(f"{status.deals_not_updated:,} (of those converted)", "bold red"))
    if status.held and not status.finished:
        grid.add_row("paused", Text(held_in_words(status), "bold red"))
    if waits:
        grid.add_row("to be tried again", Text(waits, "yellow"))
    grid.add_row("begun", local_time(status.created_at))
    grid.add_row("finished", local_time(status.finished_at))
    for call in calls:
        then = "it is tried again" if call.again else "it is not tried again"
        grid.add_row("not told", Text(readable(f"{call.place}: {call.why} ({then})"), "yellow"))
    return Group(pause_view(paused), grid) if paused and not status.finished else grid


def state_view(status: BatchStatus) -> Text:
    """A batch's state in its colour."""
    return Text(status.state.value, _STYLES.get(status.state, "yellow"))


def pause_view(paused: Pause) -> Text:
    """Why the organisation is paused, since when, and what to do: prominently."""
    return Text(f"PAUSED since {local_time(paused.since)}. {pause_in_words(paused)}\n", "bold red")


def pause_in_words(paused: Pause) -> str:
    """Why the organisation is paused and what to do, in one or two lines."""
    code = f"{paused.code}: " if paused.code else ""
    said = readable(f"{code}{paused.reason}")
    return f"The organisation is paused: nothing is sent. {said}\n{readable(paused.hint, lines=True)}".rstrip()


def held_in_words(status: BatchStatus) -> str:
    """Why this batch alone waits, and what to do, in one or two lines; blank when it does not."""
    if not status.held:
        return ""
    go_on = f"To go on: massconvert resume {status.batch}"
    canary = status.canary
    if status.held != HELD_FOR_CANARY or canary is None:
        return f"Batch {status.batch} is paused: {readable(status.held)}. Nothing more of it is sent.\n{go_on}"
    if not canary.over:
        return f"The canary goes first: {canary.ended:,} of its {canary.leads:,} leads have ended. The others wait."
    look = f"To see what became of them: massconvert report {status.batch}"
    return (
        f"The canary has ended: {canary.failed:,} of {canary.leads:,} leads failed. The others wait.\n{look}\n{go_on}"
    )


def waits_in_words(waits: Waits | None, now: float) -> str:
    """What payloads wait for, and for how long; blank where Zoho said nothing about any. ``now``: Unix seconds."""
    if waits is None:
        return ""
    payloads = f"{waits.payloads:,} payload{'' if waits.payloads == 1 else 's'}"
    return f"{payloads}, in {span(waits.until - now)}; Zoho said: {readable(f'{waits.code}: {waits.message}')}"


def counts(status: BatchStatus) -> str:
    """The counts that are not nought, in words."""
    parts = [f"{getattr(status, name):,} {name}" for name in _COUNTS if getattr(status, name)]
    parts += [f"{status.deals_not_updated:,} deals not updated"] if status.deals_not_updated else []
    return ", ".join(parts) or "nothing yet"


def so_far(status: BatchStatus) -> str:
    """How far a batch is that has not finished: for beside its report."""
    done = f"{status.ended:,} of {status.total:,} leads have ended so far"
    return f"batch {status.batch} is {status.state.value}: {done}."


def left_out_of(duplicates: int, invalid: int) -> list[str]:
    """What of the ids that were given does not count, in words."""
    found = [f"{duplicates:,} duplicates dropped"] if duplicates else []
    return found + ([f"{invalid:,} invalid left out"] if invalid else [])
