"""How permits to call Zoho are shown: to people, and to scripts."""

from __future__ import annotations

from typing import Any

from massconvert.cli.console import local_time, span
from massconvert.contract import WORKER_SLOTS
from massconvert.doctor.work_checks import refused_hint
from massconvert.report import utc_time
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable
from massconvert.zoho.standing import Held, Standing


def workers_useful(calls: Standing) -> int:
    """How many workers, with as many slots as they have by default, can use every permit; another does not help.

    By the limit and not by what 429s have left of it for now: the number of workers must not follow each 429.
    """
    return max(1, -(-calls.limit // WORKER_SLOTS))


def calls_as_json(calls: Standing) -> dict[str, Any]:
    """For scripts. Times are ISO 8601 in UTC, durations seconds."""
    hold = calls.hold
    return {
        "running": calls.held,
        "posts": calls.posts,
        "limit": calls.limit,
        "limit_from": calls.source or None,
        "limit_learnt": calls.learnt,
        "gate_closed_for": round(calls.gate_for, 1),
        "gate_why": calls.gate_why or None,
        "held": {
            "kind": hold.kind.value,
            "why": hold.why,
            "since": utc_time(hold.since),
            "next_probe_in": round(hold.next_probe, 1),
        }
        if hold
        else None,
        "credits_left": calls.credits_left,
    }


def calls_in_words(calls: Standing) -> str:
    """How many calls run, of how many that may."""
    if not calls.source:
        return number_of(calls.held, "call")
    learnt = f", {calls.learnt} for now" if calls.learnt < calls.limit else ""
    return f"{calls.held} of {number_of(calls.limit, 'call')} ({calls.source}{learnt})"


def hold_in_words(hold: Held) -> str:
    """Why all calls are held, since when, and when the next one goes."""
    next_probe = f"the next call finds out in {span(hold.next_probe)}"
    return f"No calls since {local_time(hold.since)}: {readable(hold.why)}; {next_probe}"


def gate_in_words(calls: Standing) -> str:
    """For how long the gate is closed, and why."""
    return f"No calls for another {span(calls.gate_for)}: {readable(calls.gate_why)}"


def held_back(calls: Standing) -> list[str]:
    """What holds calls back, a line each; nothing where nothing does."""
    lines = []
    if calls.hold:
        lines.append(hold_in_words(calls.hold))
    if calls.gate_for:
        lines.append(gate_in_words(calls))
    if calls.none_passes:
        lines.append(refused_hint(calls).removesuffix("."))
    elif calls.learnt < calls.limit:
        lines.append(
            f"Zoho answered 429 to more than {number_of(calls.learnt, 'call')} at once, as where another client of the "
            "organisation takes a share. While calls are made, more are tried again every few seconds"
        )
    if calls.credits_left is not None:
        lines.append(
            f"{calls.credits_left:,} of the day's API credits {'is' if calls.credits_left == 1 else 'are'} left"
        )
    return lines
