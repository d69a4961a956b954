"""The fleet's metrics in Prometheus' text format: what was counted in the ledger, and how it stands now.

Every number is the ledger's, so every process that serves them says the same, and nobody adds them up.
docs/monitoring.md has the names; they follow Prometheus' practices: seconds, ``_total`` on counters only, points in
time and no ages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from massconvert.ledger import Backlog, Ledger, Since, Took, Workers
from massconvert.ledger.fleet import BEAT
from massconvert.model import Call, Code, Kind, Pause
from massconvert.policy import ANSWERS, CODES, HoldKind, Row
from massconvert.zoho.standing import Standing

#: A payload is late when its next step is overdue for so long, in seconds.
LATE_AFTER = 120.0
#: The media type of what `render` makes.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_PREFIX = "massconvert_"
_OUR_CODES = frozenset(value for name, value in vars(Code).items() if not name.startswith("_"))
_SKIPPED = (Code.ALREADY_CONVERTED, Code.ALREADY_QUEUED)
#: Ends that are there as 0 from the beginning, so that the first of them is seen as an increase.
_KNOWN_ENDS = (
    (Kind.CONVERTED.value, ""),
    (Kind.CONVERTED.value, Code.DEAL_NOT_UPDATED),
    (Kind.CANCELLED.value, ""),
    *((Kind.SKIPPED.value, code) for code in _SKIPPED),
    *((Kind.FAILED.value, code) for code in sorted(_OUR_CODES - {*_SKIPPED, Code.DEAL_NOT_UPDATED})),
    (Kind.FAILED.value, "INVALID_DATA"),
    (Kind.FAILED.value, "other"),
)
#: After these a step is tried again, since it had no usable answer.
_RETRIES = frozenset(
    row for row in Row if row.name.endswith(("_RETRY", "THROTTLED")) or row in (Row.TOKEN, Row.NOT_SENT)
) | {Row.PERHAPS_ACCEPTED, Row.SENDER_LOST, Row.TOO_FEW_REPLICAS, Row.UNCONVERTED_AGAIN}

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Seen:
    """The ledger of one account at one moment. Times are Unix seconds."""

    account: str
    now: float
    since: Since
    counts: Mapping[str, int]
    backlog: Backlog
    paused: Pause | None
    calls: Standing
    workers: Workers
    beats: int = 0
    callbacks_due: int = 0
    callbacks_failing: int = 0
    letters: Mapping[str, int] = field(default_factory=dict)
    profiles: Mapping[str, int] = field(default_factory=dict)  # runs in a row that failed
    took: float = 0.0  # seconds


def look(ledger: Ledger, standing: Standing, now: float, profiles: Iterable[str] = ()) -> Seen:
    """See how the ledger stands; ``profiles`` are the names of those that it may have runs of. Raises StoreError."""
    members = ledger.fleet.members(now=now)
    backlog = ledger.backlog(now=now, grace=LATE_AFTER)
    return Seen(
        account=ledger.account,
        now=now,
        since=ledger.days.totals(),
        counts=ledger.organisation.counts(),
        backlog=backlog,
        paused=ledger.organisation.paused(),
        calls=standing,
        workers=Workers.among(members, now),
        beats=sum(member.role == BEAT and member.alive(now) for member in members),
        callbacks_due=ledger.callbacks.due(),
        callbacks_failing=len(ledger.callbacks.failing()),
        letters=ledger.letters.counts(),
        profiles={name: ledger.runs.failures(name) for name in profiles},
    )


def render(*seen: Seen, unreachable: Iterable[str] = ()) -> str:
    """The metrics of these accounts; of those in ``unreachable`` only that their ledger cannot be reached."""
    written = _Text()
    for account in unreachable:
        written.add("ledger_up", "gauge", "Whether the ledger answers.", 0, {"account": account})
    for each in seen:
        for name, kind, words, value, labels in (*_counters(each), *_gauges(each), *_calls_now(each.calls)):
            written.add(name, kind, words, value, {"account": each.account, **labels})
    written.add("build_info", "gauge", "The version that serves these metrics.", 1, {"version": our_version()})
    return str(written)


_Metric = tuple[str, str, str, float, Labels]


def _counters(seen: Seen) -> Iterator[_Metric]:
    counted = seen.since.counted
    yield "leads_enqueued_total", "counter", "Leads that batches took.", counted.enqueued, {}
    for (outcome, code), number in _by_known_code(counted.ended).items():
        labels = {"outcome": outcome, "code": code}
        yield "leads_ended_total", "counter", "Leads that have their outcome, each once.", number, labels
    calls = {(call.value, answer): 0 for call in Call for answer in ANSWERS} | counted.calls
    for (kind, answer), number in calls.items():
        labels = {"kind": kind, "answer": answer}
        yield "calls_total", "counter", "Calls to Zoho by their answer, each once.", number, labels
    for kind in sorted({call.value for call in Call} | counted.call_times.keys()):
        took = counted.call_times.get(kind, Took(0, 0.0))
        yield from _took("call_duration_seconds", "Calls to Zoho, from the permit to the answer.", took, {"kind": kind})
    yield from _took(
        "payload_duration_seconds", "Payloads, from their making to their last lead's end.", counted.payloads
    )
    yield from _took("job_duration_seconds", "Zoho's jobs whose end was seen in time.", counted.jobs)
    for row in Row:
        number = counted.rows.get(row.name.lower(), 0)
        labels = {"row": row.name.lower()}
        yield "transitions_total", "counter", "Decisions about payloads, by the decision table's row.", number, labels
    for step, number in _retries(counted.rows).items():
        yield "retries_total", "counter", "Steps that must be tried again.", number, {"step": step}
    yield "permits_full_total", "counter", "Requests for a permit while all were taken.", counted.full, {}
    for how in ("done", "failed", "given_up"):
        words = "Calls about finished batches."
        yield "callbacks_total", "counter", words, counted.told.get(how, 0), {"result": how}


def _gauges(seen: Seen) -> Iterator[_Metric]:
    counts = seen.counts
    yield "ledger_up", "gauge", "Whether the ledger answers.", 1, {}
    yield "leads_waiting", "gauge", "Leads that wait to be sent.", counts["leads_waiting"], {}
    yield "leads_at_zoho", "gauge", "Leads whose job runs or is looked into.", counts["leads_at_zoho"], {}
    states = {"waiting": counts["chunks_waiting"], "at_zoho": counts["jobs_running"] - seen.backlog.overdue}
    for state, number in {**states, "overdue": seen.backlog.overdue}.items():
        yield "payloads", "gauge", "Payloads; overdue: their job has no end by its deadline.", number, {"state": state}
    yield "payloads_late", "gauge", "Payloads whose next step is overdue by 2 minutes.", len(seen.backlog.late), {}
    words = "When the oldest batch or payload with leads that wait was made; 0: none waits."
    yield "oldest_waiting_timestamp_seconds", "gauge", words, seen.backlog.oldest_waiting, {}
    words = "When a lead had its outcome last; 0: never."
    yield "last_outcome_timestamp_seconds", "gauge", words, seen.since.ended_at, {}
    paused = {"person": bool(seen.paused and not seen.paused.code), "zoho": bool(seen.paused and seen.paused.code)}
    for by, yes in paused.items():
        yield "paused", "gauge", "Whether the organisation is paused, and by whom.", int(yes), {"by": by}
    yield "workers", "gauge", "Workers that live.", len(seen.workers.alive), {}
    yield "beats", "gauge", "Beats that live.", seen.beats, {}
    took_at = max((worker.took_at for worker in seen.workers.alive), default=0.0)
    yield "worker_last_take_timestamp_seconds", "gauge", "When a worker that lives last took a message.", took_at, {}
    yield "callbacks_due", "gauge", "Calls about finished batches that are due.", seen.callbacks_due, {}
    yield "callbacks_failing", "gauge", "Those of them that have failed before.", seen.callbacks_failing, {}
    for kind, number in seen.letters.items():
        yield "messages_set_aside", "gauge", "Messages that were set aside.", number, {"kind": kind}
    for name, number in seen.profiles.items():
        words = "Runs of a profile in a row that failed wholly."
        yield "profile_failed_runs", "gauge", words, number, {"profile": name}
    yield "look_duration_seconds", "gauge", "How long it took to read all this.", seen.took, {}


def _calls_now(calls: Standing) -> Iterator[_Metric]:
    yield "calls_running", "gauge", "Calls that run now.", calls.held, {}
    yield "calls_limit", "gauge", "Calls that may run at once.", calls.limit, {}
    yield "calls_limit_learnt", "gauge", "What Zoho's 429s have left of that for now.", calls.learnt, {}
    held = {kind.value: bool(calls.hold and calls.hold.kind is kind) for kind in HoldKind}
    for why, yes in {**held, "gate": calls.gate_for > 0}.items():
        yield "calls_held", "gauge", "Whether calls are held back, and why.", int(yes), {"why": why}
    if calls.credits_left is not None:
        words = "API credits that are left of the day, as Zoho said last."
        yield "credits_left", "gauge", words, calls.credits_left, {}


def _by_known_code(ended: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """The codes that are documented; all others are ``other``."""
    found = dict.fromkeys(_KNOWN_ENDS, 0)
    for (outcome, code), number in ended.items():
        known = not code or code in _OUR_CODES or code.upper() in CODES
        key = outcome, code if known else "other"
        found[key] = found.get(key, 0) + number
    return found


def _retries(rows: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in sorted(_RETRIES, key=list(Row).index):
        step = row.value.partition(":")[0]
        found[step] = found.get(step, 0) + rows.get(row.name.lower(), 0)
    return found


def _took(name: str, words: str, took: Took, labels: Labels | None = None) -> Iterator[_Metric]:
    yield f"{name}_sum", "summary", words, took.seconds, labels or {}
    yield f"{name}_count", "summary", words, took.number, labels or {}


class _Text:
    """Prometheus' text format; the lines of a metric stand together, for all accounts."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(self, name: str, kind: str, words: str, value: float, labels: Labels) -> None:
        family = _PREFIX + (name.removesuffix("_sum").removesuffix("_count") if kind == "summary" else name)
        lines = self._lines.setdefault(family, [f"# HELP {family} {words}", f"# TYPE {family} {kind}"])
        told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
        number = str(int(value)) if float(value).is_integer() else repr(round(float(value), 3))
        lines.append(f"{_PREFIX}{name}{{{told}}} {number}")

    def __str__(self) -> str:
        return "".join(f"{line}\n" for lines in self._lines.values() for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def our_version() -> str:
    """The version of this package; empty in a checkout that was not installed."""
    try:
        return version("zoho-mass-convert")
    except PackageNotFoundError:  # run from a checkout that was not installed
        return ""
