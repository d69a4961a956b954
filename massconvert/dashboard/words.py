"""How the pages say things: what a code means and what to do, times, spans, links, and the filters of the templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

from markupsafe import Markup, escape

from massconvert.cli.console import span
from massconvert.cli.why import Reason, Word
from massconvert.ledger import Deed, FailedWith
from massconvert.ledger.days import Counted
from massconvert.model import HELD_FOR_CANARY, BatchStatus, Kind
from massconvert.policy.codes import Retry, retry_of, words_of
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

#: The longest message of somebody else that is shown.
_LONGEST = 500
#: A moment as `console.local_time` writes it.
_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b")

_DO = {
    Retry.WHEN_FIXED: "Fix these leads in Zoho, then try them again.",
    Retry.LATER: "Nothing needs to be fixed. Try them again, perhaps later.",
    Retry.FIXED_OPTIONS: "The options of the batch are wrong for these leads. Fix the options, then: ",
    Retry.NO_USE: "Zoho does not have them, or does not show them to this user: a retry would fail once more.",
    Retry.NEW_INPUT: "Fix the ids where they come from, and enqueue them again.",
    Retry.NO_NEED: "",
}
#: What the page says when something was done, by the word in its address.
DONE = {
    "pause": "The batch is paused: nothing more of it is sent. What was sent is followed to its end.",
    "resume": "The batch goes on.",
    "cancel": "The batch is cancelled. What was under way is followed to its end.",
    "retry": "These leads are tried again, as a batch of their own: this one.",
    "nothing": "There was nothing to do: the batch had changed meanwhile.",
    "stop": "The organisation is paused: Zoho is not called.",
    "go": "The organisation goes on.",
}
#: What keeps the work: us, our limit, or Zoho.
_BY_WHAT = {
    Word.PAUSED: "It is paused",
    Word.NO_WORKER: "It stands still, and it is us",
    Word.WORKERS_TROUBLED: "It stands still, and it is us",
    Word.NOTHING_TAKEN: "It stands still, and it is us",
    Word.NO_TOKEN: "It stands still, and it is our access to Zoho",
    Word.OUTAGE: "It stands still, and it is Zoho",
    Word.ASKED: "It waits, since Zoho has asked for it",
    Word.CREDITS: "It waits, and it is the day's API credits",
}
#: Failures are worth a word above this share of more than this number of leads, as in monitoring/alerts.yml.
FAILURES_SHARE, FAILURES_OF = 0.1, 50
_DEEDS = {
    "pause": "paused it",
    "resume": "let it go on",
    "cancel": "cancelled it",
    "retry": "tried failed leads again",
    "stop": "paused the organisation",
    "go": "let the organisation go on",
}


@dataclass(frozen=True)
class FailedSo:
    """A way in which leads of a batch failed, for people. ``can_retry``: whether the page can try them again."""

    code: str
    leads: int
    means: str
    said: str
    lead_id: str
    do: str
    can_retry: bool


def failed_so(failed: FailedWith, batch_command: str) -> FailedSo:
    """In words; ``batch_command`` is what tries it again with fixed options."""
    retry = retry_of(failed.code)
    do = f"{_DO[retry]}{batch_command}" if retry is Retry.FIXED_OPTIONS else _DO[retry]
    means = words_of(failed.code)
    return FailedSo(
        readable(failed.code, longest=100) or "without a code",
        failed.leads,
        f"{means[:1].upper()}{means[1:]}" if means else "",
        readable(failed.message, longest=_LONGEST),
        readable(failed.lead_id, longest=40),
        do,
        retry in (Retry.WHEN_FIXED, Retry.LATER) and failed.code != "other",
    )


def sentence(status: BatchStatus) -> str:
    """A batch in one sentence."""
    parts = [f"{status.converted:,} of {number_of(status.total, 'lead')} converted"]
    parts += [
        f"{getattr(status, kind):,} {kind}" for kind in ("failed", "skipped", "cancelled") if getattr(status, kind)
    ]
    if status.total > status.ended:
        parts.append(f"{status.total - status.ended:,} to go")
    return f"{', '.join(parts)}.{'' if status.sealed else ' More are being added.'}"


@dataclass(frozen=True)
class Verdict:
    """Whether the work goes on, and if not, what keeps it: a word for the colour, a sentence, and what to do."""

    mood: str
    said: str
    more: str = ""
    do: str = ""


@dataclass(frozen=True)
class Lasts:
    """How long the work will go on, in seconds, and for how many leads the day's credits are enough; ``None``: for all.

    An estimate.
    """

    seconds: float = 0.0
    enough_for: int | None = None


def verdict(reason: Reason | None, counts: Mapping[str, int], held: int, lasts: Lasts) -> Verdict:
    """How the organisation stands: ``reason`` is why the batch that is furthest from waiting waits.

    ``held`` batches are paused, or wait behind a canary.
    """
    leads, jobs = counts["leads_waiting"], counts["jobs_running"]
    more = f"{number_of(held, 'batch is', 'batches are')} paused." if held else ""
    if reason is None:
        if not leads and not jobs:
            return Verdict("calm", "Nothing is to be done: no lead waits.", more)
        done = f", done in about {left(lasts.seconds)}" if lasts.seconds else ""
        if lasts.enough_for is not None:
            done, enough = "", f"{lasts.enough_for // 100 * 100:,}"
            more = f"The day's credits are enough for about {enough} of them; the others wait for new ones. {more}"
        waits = number_of(leads, "lead waits", "leads wait")
        return Verdict(
            "good", f"It is running: {waits}, {number_of(jobs, 'job runs', 'jobs run')} at Zoho{done}.", more.strip()
        )
    begin = _BY_WHAT.get(reason.word, "It stands still")
    waits = number_of(leads, "lead waits", "leads wait")
    return Verdict("bad", f"{begin}: {waits}.", f"{reason.said} {more}".strip(), reason.do)


def failing_words(hour: Counted) -> str:
    """That many of the leads that ended in an hour failed, where the alert MassConvertFailuresHigh would say so."""
    failed, total = hour.outcomes.get(Kind.FAILED.value, 0), sum(hour.outcomes.values())
    if total <= FAILURES_OF or failed <= FAILURES_SHARE * total:
        return ""
    return f"{failed:,} of the {number_of(total, 'lead')} that ended in the last hour failed. Their batches say why."


def canary_words(status: BatchStatus) -> str:
    """How far a canary is that holds its batch; blank without one."""
    canary = status.canary
    if status.held != HELD_FOR_CANARY or canary is None:
        return ""
    if not canary.over:
        return f"The canary goes first: {canary.ended:,} of its {number_of(canary.leads, 'lead')} have ended."
    return f"The canary has ended: {canary.failed:,} of {number_of(canary.leads, 'lead')} failed. The others wait."


def deed_words(deed: Deed) -> str:
    """What somebody did."""
    more = f": {readable(deed.more, longest=_LONGEST)}" if deed.more else ""
    return f"{readable(deed.who, longest=100)} {_DEEDS.get(deed.what, readable(deed.what, longest=40))}{more}"


def moment(seconds: float | None) -> Markup:
    """A moment as an element that the page's script shows in the reader's time zone; UTC without it."""
    if seconds is None:
        return Markup("–")  # noqa: RUF001 - a dash for none
    at = datetime.fromtimestamp(seconds, timezone.utc)
    iso, shown = f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, f"{at:%Y-%m-%d %H:%M:%S} UTC", shown)


def timed(text: str) -> Markup:
    """A text of ours in which moments stand in this machine's time zone: each becomes an element as of `moment`."""
    shown, place = Markup(), 0
    for found in _MOMENT.finditer(text):
        at = datetime.strptime(found[0], "%Y-%m-%d %H:%M:%S").astimezone()
        shown += escape(text[place : found.start()]) + moment(at.timestamp())
        place = found.end()
    return shown + escape(text[place:])


def left(seconds: float | None) -> str:
    """A span until something is over, in two units at most, so that it does not flicker."""
    if seconds is None:
        return ""
    step = 1 if seconds < 20 else 10 if seconds < 600 else 60
    return span(max(step, round(seconds / step) * step))
