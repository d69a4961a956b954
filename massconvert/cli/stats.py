"""``massconvert stats``: how many leads ended, and how, on each day; from the quarters of an hour in the ledger."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import Enum
from typing import Annotated, Any

import typer

from massconvert.cli.console import out, print_json, tell
from massconvert.cli.desk import Desk
from massconvert.cli.layout import Column, Sheet
from massconvert.cli.reach import find_desk
from massconvert.errors import InputError
from massconvert.ledger import Counted, Quarter
from massconvert.ledger.days import DAY, DAYS_KEPT
from massconvert.report import utc_time
from massconvert.words.plurals import number_of

_EXAMPLES = """\b
Examples:
  massconvert stats                          the last 30 days, a line a day
  massconvert stats --since 24h --by hour
  massconvert stats --since 2w --by quarter --json
\b
Days and hours are those of this machine's time zone (TZ=Asia/Kolkata massconvert stats: of another).
The numbers are kept for 400 days, in quarters of an hour."""

_SINCE = re.compile(r"(\d{1,5})([hdw])")
_SECONDS = {"h": 3600, "d": DAY, "w": 7 * DAY}
#: A bar's characters: as many as are left beside the numbers.
_LEAST, _MOST, _NUMBERS = 4, 24, 76
_COLUMNS = (
    Column("from"),
    Column("ended"),
    Column("converted", right=True),
    Column("failed", right=True),
    Column("skipped", right=True),
    Column("cancelled", right=True),
    Column("calls", right=True),
)
_KINDS = ("converted", "failed", "skipped", "cancelled")


class By(str, Enum):
    """How long each line's time is."""

    DAY = "day"
    HOUR = "hour"
    QUARTER = "quarter"


@dataclass(frozen=True)
class Span:
    """What came in a day, an hour or a quarter of an hour that began then, in local time."""

    began: datetime
    counted: Counted
    credits_left: int | None

    @property
    def ended(self) -> int:
        """Leads that had their outcome in it."""
        return sum(self.counted.outcomes.values())

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        counted = self.counted
        outcomes = {kind: counted.outcomes.get(kind, 0) for kind in _KINDS}
        codes: dict[str, dict[str, int]] = {}
        for (outcome, code), number in sorted(counted.ended.items()):
            if code:
                codes.setdefault(outcome, {})[code] = number
        calls: dict[str, dict[str, int]] = {}
        for (kind, answer), number in sorted(counted.calls.items()):
            calls.setdefault(kind, {})[answer] = number
        return {
            "from": utc_time(self.began.timestamp()),
            "local": self.began.isoformat(timespec="minutes"),
            "enqueued": counted.enqueued,
            **outcomes,
            "codes": codes,
            "calls": calls,
            "call_seconds": {kind: took.seconds for kind, took in sorted(counted.call_times.items())},
            "payloads": counted.payloads.number,
            "payload_seconds": counted.payloads.seconds,
            "jobs": counted.jobs.number,
            "job_seconds": counted.jobs.seconds,
            "credits_left": self.credits_left,
        }


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stats", epilog=_EXAMPLES)(_stats)


def _stats(
    since: Annotated[
        str, typer.Option("--since", metavar="30d", help="How far back: hours (24h), days (30d) or weeks (4w).")
    ] = "30d",
    by: Annotated[By, typer.Option("--by", help="How long each line's time is.")] = By.DAY,
    in_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Show how many leads ended, and how, on each of the last days."""
    seconds = _back(since)
    desk = find_desk()
    spans = together(_quarters(desk, seconds, by), by)
    if in_json:
        print_json({"account": desk.settings.account, "by": by.value, "spans": [span.as_json() for span in spans]})
    elif not any(span.ended or span.counted.calls for span in spans):
        tell(f"Nothing was counted in the last {_in_words(seconds)}.")
    else:
        console = out()
        console.print(_sheet(spans, max(_LEAST, min(_MOST, console.width - _NUMBERS))))
        console.print(_codes(spans))


def together(quarters: Iterable[Quarter], by: By, zone: tzinfo | None = None) -> list[Span]:
    """The quarters of each local day or hour as one; the days on which a clock is changed are as long as they are.

    Days are those of ``zone``, or of this machine; hours are this machine's.
    """
    found: dict[datetime, list[Quarter]] = {}
    for quarter in quarters:
        local = datetime.fromtimestamp(quarter.began).astimezone()
        if by is By.DAY:
            local = day_of(quarter.began, zone)
        elif by is By.HOUR:
            local = local - timedelta(minutes=local.minute)
        found.setdefault(local, []).append(quarter)
    return [
        Span(began, Counted.together(each.counted for each in many), many[-1].credits_left)
        for began, many in sorted(found.items())
    ]


def day_of(moment: float, zone: tzinfo | None = None) -> datetime:
    """When the day of that moment (Unix seconds) began, in ``zone`` or where this machine is."""
    local = datetime.fromtimestamp(moment, zone)
    return datetime(local.year, local.month, local.day, tzinfo=zone).astimezone(zone)


def _quarters(desk: Desk, seconds: int, by: By) -> list[Quarter]:
    now = desk.clock.now()
    first = now - seconds
    if by is By.DAY:  # a first day that is whole
        first = day_of(first).timestamp()
    return desk.ledger.days.read(first, now + DAY)


def _back(since: str) -> int:
    found = _SINCE.fullmatch(since.strip().lower())
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= DAYS_KEPT * DAY:
        raise InputError(f"--since {since} is no time: write it like 24h, 30d or 4w, at most {DAYS_KEPT}d.")
    return seconds


def _in_words(seconds: int) -> str:
    return number_of(seconds // DAY, "day") if seconds % DAY == 0 else number_of(seconds // 3600, "hour")


def _sheet(spans: Sequence[Span], room: int) -> Sheet:
    most = max(span.ended for span in spans)
    whole_days = all(not (span.began.hour or span.began.minute) for span in spans)
    rows = [
        (
            span.began.strftime("%a %Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M"),
            bar(span.ended, most, room),
            *(f"{span.counted.outcomes[kind]:,}" if kind in span.counted.outcomes else "" for kind in _KINDS),
            f"{sum(span.counted.calls.values()):,}",
        )
        for span in spans
    ]
    return Sheet(_COLUMNS, rows)


def bar(number: int, most: int, room: int) -> str:
    """A bar as long as a number, with its length scaled to the largest, and the number; nothing for 0."""
    eighths = round(8 * room * number / most) if most else 0
    partial = "▏▎▍▌▋▊▉"[eighths % 8 - 1] if eighths % 8 else ""
    return f"{'█' * (eighths // 8)}{partial or ('' if eighths or not number else '▏')} {number:,}" if number else ""


def _codes(spans: Sequence[Span]) -> str:
    failed = {
        code: number
        for (outcome, code), number in Counted.together(s.counted for s in spans).ended.items()
        if outcome == "failed"
    }
    if not failed:
        return ""
    first = sorted(failed.items(), key=lambda each: -each[1])[:5]
    more = f", {len(failed) - len(first)} more codes" if len(failed) > len(first) else ""
    return f"failed: {', '.join(f'{number:,} {code}' for code, number in first)}{more}"
