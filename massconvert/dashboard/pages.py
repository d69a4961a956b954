"""The pages that show something. They count nothing: what they say was counted in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from massconvert.cli.calls_view import calls_in_words, held_back
from massconvert.dashboard.chart import Chart, credits_until, sum_in_words
from massconvert.dashboard.frame import Frame
from massconvert.dashboard.lead_pages import words_in
from massconvert.dashboard.reads import Reads
from massconvert.dashboard.words import FailedSo, canary_words, deed_words, failed_so, failing_words, sentence
from massconvert.errors import InputError, StoreError
from massconvert.leads import parse_lead_id
from massconvert.ledger.days import Counted
from massconvert.metrics import CONTENT_TYPE, render
from massconvert.model import BatchState, BatchStatus
from massconvert.results import Part, part_lines
from massconvert.store import Patience, reaching
from massconvert.words.next_command import next_command

#: The states by which the list can be filtered.
STATES = {
    "": "all",
    BatchState.RUNNING.value: "running",
    BatchState.PAUSED.value: "paused",
    BatchState.FINISHED.value: "finished",
    BatchState.CANCELLED.value: "cancelled",
    "failures": "with failures",
}
#: How often a page asks whether there is something new, in seconds: while a batch goes on, and else.
OFTEN, SELDOM = 2, 15
#: The outcomes in the order in which the bar shows them.
_KINDS = ("converted", "skipped", "failed", "cancelled", "sent", "waiting")
#: How many of the latest batches are on the first page.
_LATEST = 5
#: Lines of a file that go out together.
_LINES = 500


class Pages:
    """The pages of one account."""

    def __init__(self, reads: Reads, frame: Frame, all_reads: Callable[[], Iterable[Reads]]) -> None:
        """``all_reads`` are those of each account whose metrics are served here."""
        self._reads, self._frame, self._all_reads = reads, frame, all_reads

    def front(self, request: Request) -> Response:
        """The organisation at a glance: whether it works, and if not, what keeps it."""
        reads = self._reads
        counts, listed, calls = reads.counts(), reads.listed(), reads.calls()
        reserve = reads.desk.settings.credits_reserve
        return self._frame.show(
            request,
            "front.html",
            whose=reads.whose(),
            verdict=reads.verdict(),
            paused=reads.paused(),
            counts=counts,
            calls=calls,
            calls_words=calls_in_words(calls),
            held_back=held_back(calls),
            failing=failing_words(reads.chart().hour),
            credits_until=credits_until(reads.chart(), calls.credits_left, reserve, reads.now()),
            backlog=reads.backlog(),
            chart=reads.chart(),
            sums=[(name, sum_in_words(counted)) for name, counted in _sums(reads.chart())],
            workers=reads.workers(),
            profiles=[(each, each.next_run(reads.now())) for each in reads.profiles()],
            rows=[(batch, bar(batch), sentence(batch)) for batch in listed.batches[:_LATEST]],
            deeds=[(deed.at, deed_words(deed)) for deed in reads.deeds() if not deed.batch],
            every=OFTEN if counts["leads_waiting"] or counts["jobs_running"] else SELDOM,
        )

    def batches(self, request: Request) -> Response:
        """The list of batches, newest first."""
        asked = request.query_params
        state = asked.get("state", "") if asked.get("state", "") in STATES else ""
        begins, after = asked.get("begins", "").strip()[:200], asked.get("after", "")[:200]
        listed = self._reads.listed(after, state, begins)
        kept = {name: value for name, value in (("state", state), ("begins", begins)) if value}
        following = urlencode({**kept, "after": listed.next}) if listed.next else ""
        going = any(not batch.finished for batch in listed.batches)
        return self._frame.show(
            request,
            "batches.html",
            listed=listed,
            rows=[(batch, bar(batch), sentence(batch)) for batch in listed.batches],
            states=STATES,
            state=state,
            begins=begins,
            after=after,
            first=urlencode(kept),
            following=following,
            filtered=bool(kept),
            every=OFTEN if going and not kept and not after else SELDOM,
        )

    def batch(self, request: Request) -> Response:
        """One batch: how far it is, what failed and why, what can be done."""
        reads, status = self._reads, self._reads.status(request.path_params["batch"])
        account = status.account
        again = next_command("retry", status.batch, "--options", "O.json", account=account)
        failures = [failed_so(each, again) for each in reads.failures(status.batch)] if status.failed else []
        return self._frame.show(
            request,
            "batch.html",
            status=status,
            bar=bar(status),
            sentence=sentence(status),
            canary=canary_words(status),
            reason=reads.why(status),
            rate=reads.rate(status),
            failures=failures,
            not_told=max(0, status.failed - sum(each.leads for each in failures)),
            can_retry=_can_retry_all(status, failures),
            parts_of=[part.value for part in Part],
            kinds=_KINDS,
            deeds=[(deed.at, deed_words(deed)) for deed in reads.deeds(status.batch)],
            every=SELDOM if status.finished else OFTEN,
        )

    def file(self, request: Request) -> Response:
        """One of the three result files, as it is read."""
        batch_id, named = request.path_params["batch"], request.path_params["part"]
        part = next((part for part in Part if part.value == named), None)
        if part is None:
            raise HTTPException(404)
        self._reads.status(batch_id)
        rows = self._reads.desk.ledger.batches.rows(batch_id, Patience().read)
        name = f'attachment; filename="{batch_id}-{part.value}.csv"'
        lines = _together(part_lines(batch_id, rows, part))
        return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers={"content-disposition": name})

    def search(self, request: Request) -> Response:
        """Where what was typed into the box leads."""
        given, base = request.query_params.get("q", "").strip(), request.scope.get("root_path", "")
        named = words_in(given)
        if len(named) > 1:
            return RedirectResponse(f"{base}/leads?{urlencode({'ids': given})}", 303)
        try:
            return RedirectResponse(f"{base}/leads/{parse_lead_id(''.join(named))}", 303)
        except InputError:
            return RedirectResponse(f"{base}/batches?{urlencode({'begins': given})}", 303)

    def metrics(self, request: Request) -> Response:  # noqa: ARG002 - as all pages are called
        """The fleet's metrics, for Prometheus."""
        seen, unreachable = [], []
        for reads in self._all_reads():
            try:
                seen.append(reads.seen())
            except StoreError:  # noqa: PERF203 - which is itself a number
                unreachable.append(reads.desk.settings.account)
        text = render(*seen, unreachable=unreachable)
        return Response(text, headers={"cache-control": "no-store"}, media_type=CONTENT_TYPE)

    def health(self, request: Request) -> Response:  # noqa: ARG002 - as all pages are called
        """Whether the ledger answers."""
        redis = self._reads.desk.redis
        try:
            with reaching(redis):
                redis.ping()
        except StoreError as error:
            return JSONResponse({"ledger": "down", "why": error.code}, 503)
        return JSONResponse({"ledger": "up"})


def _sums(chart: Chart) -> list[tuple[str, Counted]]:
    return [("The last hour", chart.hour), ("The last day", chart.day)]


def _can_retry_all(status: BatchStatus, failures: list[FailedSo]) -> bool:
    """Whether one button for all that failed makes sense: of several codes, none of which would fail as it is."""
    if sum(each.leads for each in failures) < status.failed:
        return True
    return len(failures) > 1 and all(each.can_retry for each in failures)


def bar(status: BatchStatus) -> list[tuple[str, float, float]]:
    """The bar of a batch: a kind, where its part begins and how wide it is, in per mille of the whole."""
    parts, place = [], 0.0
    for kind in _KINDS:
        width = 1000.0 * getattr(status, kind) / max(1, status.total)
        if width > 0:
            parts.append((kind, round(place, 1), round(width, 1)))
        place += width
    return parts


def _together(lines: Iterator[str]) -> Iterator[str]:
    """Fewer and longer texts."""
    some: list[str] = []
    for line in lines:
        some.append(line)
        if len(some) >= _LINES:
            yield "".join(some)
            some = []
    yield "".join(some)
