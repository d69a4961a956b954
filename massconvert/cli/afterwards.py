"""What a command says when a batch has ended: a line for each code, and what fits it."""

from __future__ import annotations

from collections.abc import Iterable

from massconvert.cli.console import hint, say
from massconvert.model import BatchStatus, Code
from massconvert.policy.codes import Retry, retry_of
from massconvert.report import Summary, SummaryLine
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable

#: The longest example of a message: each code takes one line.
_LONGEST = 300
_DO = {
    Retry.WHEN_FIXED: "Fix {them} in Zoho, then: ",
    Retry.LATER: "Nothing needs to be fixed; to try {them} again, perhaps later: ",
    Retry.FIXED_OPTIONS: "Fix the options, then: ",
    Retry.NO_USE: "Zoho does not have {them}, or does not show {them} to this user: a retry would fail once more.",
    Retry.NEW_INPUT: "Fix the ids where they come from, and enqueue {them} again.",
}
_RETRIED = (Retry.LATER, Retry.WHEN_FIXED, Retry.FIXED_OPTIONS)


def tell_codes(summary: Summary) -> None:
    """Say on stderr how many leads ended with which code, and of each the first message."""
    for line in summary.lines:
        if line.outcome in ("failed", "skipped", "cancelled") and line.code:
            said = readable(line.message, longest=_LONGEST)
            leads = number_of(line.count, f"lead {line.outcome}", f"leads {line.outcome}")
            hint(
                f"  {leads}: {readable(line.code)}{f': {said}' if said else ''} (for example {readable(line.lead_id)})"
            )


def tell_elsewhere(status: BatchStatus) -> None:
    """Say on stderr that leads of a batch are in another one, if so: nobody can tell here how they end."""
    if status.already_queued:
        leads = number_of(status.already_queued, "lead is", "leads are")
        them = "it" if status.already_queued == 1 else "them"
        told = (
            f"{leads} in another batch already ({Code.ALREADY_QUEUED}); batch {status.batch} does not convert {them}."
        )
        say(f"{told} The report of the other batch says how that ends.", "yellow")


def tell_retries(batch_id: str, account: str, lines: Iterable[SummaryLine]) -> None:
    """Say on stderr what can be done about the leads that failed, by what `massconvert retry` does with each code."""
    failed = [line for line in lines if line.outcome == "failed"]
    for what in (*_RETRIED, Retry.NO_USE, Retry.NEW_INPUT):
        codes = [line.code for line in failed if retry_of(line.code) is what]
        if not codes:
            continue
        one = sum(line.count for line in failed if line.code in codes) == 1
        do = _DO[what].format(them="it" if one else "them")
        named = "" if len(codes) == len(failed) else f"{', '.join(codes)}: "
        if what in _RETRIED:
            only = [] if len(codes) == len(failed) else [word for code in codes for word in ("--code", code)]
            fixed = ["--options", "O.json"] if what is Retry.FIXED_OPTIONS else []
            do += next_command("retry", batch_id, *only, *fixed, account=account)
        hint(readable(f"{named}{do}"))
