"""The page of days: how many leads ended, and how, on each day of the organisation's own time zone; also as a file."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request
from starlette.responses import Response

from massconvert.cli.stats import By, Span, day_of, together
from massconvert.dashboard.chart import KINDS
from massconvert.dashboard.frame import Frame
from massconvert.dashboard.reads import Reads
from massconvert.ledger.days import DAY, DAYS_KEPT, Counted

#: How far back the page may look, in days, and how that is called.
SINCE = {7: "a week", 30: "30 days", 90: "90 days", DAYS_KEPT: "all"}
_SHOWN = 30
#: How often the page asks for what is new, in seconds: a day is long.
_EVERY = 60
#: How many of the codes that failed are named.
_CODES = 5
_COLUMNS = ("day", "enqueued", *KINDS, "calls")


@dataclass(frozen=True)
class DayRow:
    """A day: its date in words, its leads by outcome, its calls, and its bar in per mille of the most."""

    day: str
    date: str
    ended: int
    numbers: tuple[tuple[str, int], ...]
    calls: int
    bar: tuple[tuple[str, float, float], ...]


class DayPages:
    """The days of one account."""

    def __init__(self, reads: Reads, frame: Frame) -> None:
        self._reads, self._frame = reads, frame

    def days(self, request: Request) -> Response:
        """A row a day, the latest first."""
        back, (zone, named) = _back(request), self._zone()
        spans = self._spans(back, zone)
        most = max((span.ended for span in spans), default=0)
        return self._frame.show(
            request,
            "days.html",
            rows=[_row(span, most) for span in reversed(spans)],
            kinds=KINDS,
            failed=_failed(spans),
            since=SINCE,
            back=back,
            zone=named,
            every=_EVERY,
        )

    def file(self, request: Request) -> Response:
        """The same as CSV, the earliest first."""
        text = io.StringIO()
        lines = csv.writer(text)
        lines.writerow(_COLUMNS)
        for span in self._spans(_back(request), self._zone()[0]):
            counted = span.counted
            ends = [counted.outcomes.get(kind, 0) for kind in KINDS]
            lines.writerow([f"{span.began:%Y-%m-%d}", counted.enqueued, *ends, sum(counted.calls.values())])
        headers = {"content-disposition": 'attachment; filename="days.csv"'}
        return Response(text.getvalue(), 200, headers, "text/csv; charset=utf-8")

    def _zone(self) -> tuple[tzinfo | None, str]:
        """The organisation's time zone and its name; of this machine, and blank, where Zoho has not told it."""
        name = self._reads.zone()
        try:
            return ZoneInfo(name), name
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return None, ""

    def _spans(self, back: int, zone: tzinfo | None) -> list[Span]:
        first = day_of(self._reads.now() - (back - 1) * DAY, zone).timestamp()
        return [span for span in together(self._reads.quarters(first), By.DAY, zone) if span.counted.numbers]


def _back(request: Request) -> int:
    given = request.query_params.get("since", "")
    return next((days for days in SINCE if str(days) == given), _SHOWN)


def _row(span: Span, most: int) -> DayRow:
    outcomes, parts, place = span.counted.outcomes, [], 0.0
    for kind in KINDS:
        if width := 1000.0 * outcomes.get(kind, 0) / max(1, most):
            parts.append((kind, round(place, 1), round(width, 1)))
            place += width
    numbers = tuple((kind, outcomes.get(kind, 0)) for kind in KINDS)
    calls = sum(span.counted.calls.values())
    return DayRow(f"{span.began:%a %Y-%m-%d}", f"{span.began:%Y-%m-%d}", span.ended, numbers, calls, tuple(parts))


def _failed(spans: list[Span]) -> list[tuple[str, int]]:
    """The codes that failed most, and how many leads with each."""
    ended = Counted.together(span.counted for span in spans).ended
    codes = [(code, number) for (outcome, code), number in ended.items() if outcome == "failed" and code]
    return sorted(codes, key=lambda each: -each[1])[:_CODES]
