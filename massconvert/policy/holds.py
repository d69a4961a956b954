"""When everybody stops calling but for one probe at a time: Zoho is down, credits are used up, Zoho asks for time.

All are one mechanism with two paces. A hold begins for all workers at once; at its time one call goes through, whose
answer ends the hold, or begins the next wait. Chunks that want to call meanwhile are told when to come back: nothing is
sent, so no attempt is counted.

*An outage* is several answers in a row, across the organisation, that say nothing: 5xx, hung, dropped or refused
connections. The wait between its probes doubles up to 20 s. A probe may hang for a call's whole deadline (30 s), and
after it the next must come within a minute of Zoho's recovery: so the cap is not the minute itself.

*Credits* are used when Zoho's header shows less than the reserve and the dearest call together. They come back little
by little (the 24 hours roll), so a probe every few minutes finds out, and each time some calls go through.

*Time* is what a 429 asks for whose Retry-After is longer than a gate is ever closed for. It may be a day, and wrong, or
over early (somebody has bought more, or stopped what used it up): so a probe every few minutes finds out.
"""

from __future__ import annotations

from dataclasses import dataclass

from massconvert.policy.permits import Hold, HoldKind

#: What the dearest call costs. Zoho documents 5 credits for converting a lead, and nothing for a mass convert call.
DEAREST_CALL = 5


@dataclass(frozen=True)
class Holding:
    """The numbers; times in seconds."""

    unusable_in_a_row: int = 5  # answers, before an outage is taken for one
    probe_base: float = 2.0
    probe_cap: float = 20.0
    cheap_first: float = 4.0  # seconds for which status calls and reads go first as the probe, while jobs are open
    credits_probe: float = 300.0
    asked_probe: float = 300.0
    reserve: int = 500  # credits that are left for the company's other integrations


def outage_hold(detail: str, tries: int, chance: float, numbers: Holding) -> Hold:
    """The hold after ``tries`` failed probes; ``detail`` is what the last call met."""
    wait = min(numbers.probe_cap, numbers.probe_base * 2.0 ** min(tries, 30))
    return Hold(HoldKind.OUTAGE, f"Zoho gives no usable answer: {detail}", wait * (0.75 + 0.25 * chance), tries)


def credits_hold(left: int | None, tries: int, chance: float, numbers: Holding) -> Hold:
    """The hold while ``left`` credits are left (``None``: Zoho does not say)."""
    have = "Zoho's API credits are used up" if left is None else f"{left} of the day's API credits are left"
    kept = f", of which {numbers.reserve} are kept for other integrations" if left and numbers.reserve else ""
    wait = numbers.credits_probe * (0.9 + 0.1 * chance)
    return Hold(HoldKind.CREDITS, f"{have}{kept}; they come back within 24 hours", wait, tries)


def asked_hold(seconds: float, code: str, tries: int, chance: float, numbers: Holding) -> Hold:
    """The hold after a 429 that asked for ``seconds``."""
    wait = min(seconds, numbers.asked_probe) * (0.9 + 0.1 * chance)
    return Hold(HoldKind.ASKED, f"Zoho answered 429 {code} and asked to wait for {_span(seconds)}", wait, tries)


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.3g} h" if seconds >= 3600 else f"{seconds / 60:.3g} min"


def credits_are_used(left: int | None, numbers: Holding) -> bool:
    """Whether the next call might go into the reserve."""
    return left is not None and left < numbers.reserve + DEAREST_CALL
