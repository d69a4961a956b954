"""What one answer changes for all who call: the gate, the learnt limit, the hold.

The script that gives the permit back writes it (store/lua/return_permit.lua), if what it was decided upon still stands.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from massconvert.model import FromZoho, NotSent, PerhapsAccepted, Refused, Unsent
from massconvert.policy.codes import Meaning, meaning
from massconvert.policy.congestion import Congestion, gate_seconds, lowered, raised
from massconvert.policy.holds import Holding, asked_hold, credits_are_used, credits_hold, outage_hold
from massconvert.policy.permits import Hold, HoldKind, Learnt, Permit

#: What a call ended in; ``None`` where no call was made after all.
CallAnswer: TypeAlias = FromZoho | NotSent | None


class Heard(str, Enum):
    """What an answer says of Zoho, whatever it says of the leads."""

    USABLE = "usable"  # Zoho answers
    THROTTLED = "throttled"  # it answers, and too many calls were made
    UNUSABLE = "unusable"  # it does not answer, or nothing that can be believed
    NOTHING = ""  # nobody asked: no call was made, or there was no access token for it


@dataclass(frozen=True)
class CallRules:
    """The numbers of the governor. ``calls_a_minute`` and ``poll_share`` are held by the script that gives permits."""

    congestion: Congestion = field(default_factory=Congestion)
    holding: Holding = field(default_factory=Holding)
    calls_a_minute: int | None = None
    poll_share: float = 0.5  # of the calls at once, for status calls and reads while a POST waits for a permit


@dataclass(frozen=True)
class Gate:
    """Let nobody call for ``seconds``."""

    seconds: float
    why: str


@dataclass(frozen=True)
class Report:
    """What an answer changes. ``learnt`` holds only if nothing else was learnt since the permit was taken.

    ``hold`` begins, or goes on, at once for credits; for an outage, if the permit was its probe, or if it is the last
    of many unusable answers in a row.
    """

    heard: Heard
    gate: Gate | None = None
    learnt: Learnt | None = None
    hold: Hold | None = None
    credits_left: int | None = None


#: What a call may have ended in, as it is counted. ``unknown``: its worker died, or was late with the answer.
ANSWERS = ("ok", "refused", "throttled", "broken", "not_sent", "none", "unknown")


def answer_of(answer: CallAnswer) -> str:
    """What a call is counted as: ``broken`` has no usable answer, ``none`` was not made."""
    if answer is None:
        return "none"
    if isinstance(answer, NotSent):
        return "not_sent"
    says = heard(answer)
    if says in (Heard.THROTTLED, Heard.UNUSABLE):
        return "throttled" if says is Heard.THROTTLED else "broken"
    return "refused" if isinstance(answer, Refused) else "ok"


def heard(answer: CallAnswer) -> Heard:
    """What an answer says of Zoho."""
    if isinstance(answer, NotSent):
        return Heard.UNUSABLE if answer.why in (Unsent.CONNECT, Unsent.EXPIRED) else Heard.NOTHING
    if isinstance(answer, PerhapsAccepted):
        return Heard.UNUSABLE
    if isinstance(answer, Refused):
        return _REFUSED.get(meaning(answer), Heard.USABLE)
    return Heard.NOTHING if answer is None else Heard.USABLE


_REFUSED = {Meaning.THROTTLED: Heard.THROTTLED, Meaning.UNCLEAR: Heard.UNUSABLE}


def after_call(permit: Permit, answer: CallAnswer, *, now: float, chance: float, rules: CallRules) -> Report:
    """Decide what ``answer`` to the call of ``permit`` changes; ``chance`` is uniform in [0, 1)."""
    says = heard(answer)
    left = answer.credits_left if isinstance(answer, FromZoho) else None
    hold = _hold(permit, answer, says, chance, rules)
    learnt = permit.learnt
    if isinstance(answer, Refused) and says is Heard.THROTTLED:
        if hold and hold.kind is HoldKind.ASKED:  # that is about more than how many calls run at once
            return Report(says, None, None, hold, left)
        gate = _gate(answer, learnt.row if learnt else 0, chance, rules.congestion)
        lower = lowered(learnt, now) if learnt and not hold else None
        return Report(says, gate, lower, hold, left)
    more = raised(permit, learnt, now, rules.congestion) if learnt and says is Heard.USABLE else None
    return Report(says, None, more, hold, left)


def _gate(answer: Refused, row: int, chance: float, numbers: Congestion) -> Gate:
    wait = gate_seconds(row, chance, numbers) if answer.retry_after is None else answer.retry_after
    return Gate(min(wait, numbers.gate_cap), f"Zoho answered 429 {answer.code}")


def _hold(permit: Permit, answer: CallAnswer, says: Heard, chance: float, rules: CallRules) -> Hold | None:
    numbers = rules.holding
    left = answer.credits_left if isinstance(answer, FromZoho) else None
    probing = permit.hold
    tries = probing.tries + 1 if probing else 0
    if credits_are_used(left, numbers):
        return credits_hold(left, tries, chance, numbers)
    if probing and probing.kind is HoldKind.CREDITS and says in (Heard.THROTTLED, Heard.UNUSABLE):
        return credits_hold(left, tries, chance, numbers)
    if isinstance(answer, Refused) and says is Heard.THROTTLED:
        asked = answer.retry_after or 0.0
        return asked_hold(asked, answer.code, tries, chance, numbers) if asked > rules.congestion.gate_cap else None
    if says is Heard.UNUSABLE:
        return outage_hold(_detail(answer), tries, chance, numbers)
    return None


def _detail(answer: CallAnswer) -> str:
    if isinstance(answer, Refused):
        return f"HTTP {answer.status} {answer.code}"
    return answer.detail if isinstance(answer, PerhapsAccepted | NotSent) else ""
