"""Make a failing history smaller while it goes on failing in the same way, until a person can read it.

A history of three workers, forty leads and five kinds of trouble proves that something is wrong; it does not show what.
The shrinker takes parts of the plan away, one at a time, largest first, plays the rest, and keeps what still fails. The
streams of chance are apart (`World.chance`), so most of what is not concerned stays as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from tests.simulation.history import Verdict
from tests.simulation.plan import CallFaults, Faults, MessageFaults, Order, Plan, StoreFaults
from tests.simulation.world import Mishaps

Play = Callable[[Plan], Verdict]


def shrink(plan: Plan, play: Play, most: int = 300) -> Verdict:
    """The verdict of the smallest plan found within ``most`` plays that fails as ``plan`` does."""
    best = play(plan)
    if not best.problems:
        return best
    wanted, plays, smaller = kind_of(best.problems[0]), 0, True
    while smaller and plays < most:
        smaller = False
        for candidate in _simpler(best.plan):
            plays += 1
            verdict = play(candidate)
            if any(kind_of(problem) == wanted for problem in verdict.problems):
                best, smaller = verdict, True
                break
            if plays >= most:
                break
    return best


def kind_of(problem: str) -> str:
    """A problem without its numbers: two histories with the same kind of problem fail in the same way."""
    return re.sub(r"\d+", "#", problem)[:90]


def _simpler(plan: Plan) -> Iterator[Plan]:
    """Plans with one thing less."""
    for number in range(len(plan.orders)):
        if len(plan.orders) > 1:
            yield replace(plan, orders=plan.orders[:number] + plan.orders[number + 1 :])
    yield from _less_trouble(plan)
    if plan.workers > 1:
        yield replace(plan, workers=1)
    for number, order in enumerate(plan.orders):
        for smaller in _smaller_orders(order):
            yield replace(plan, orders=(*plan.orders[:number], smaller, *plan.orders[number + 1 :]))
    for number, lead in enumerate(plan.leads):
        if lead.kind != "fine":
            yield replace(plan, leads=(*plan.leads[:number], replace(lead, kind="fine"), *plan.leads[number + 1 :]))


def _less_trouble(plan: Plan) -> Iterator[Plan]:
    """Plans with one kind of trouble less."""
    for part, none in (
        ("mishaps", Mishaps()),
        ("messages", MessageFaults()),
        ("store", StoreFaults()),
        ("faults", Faults()),
        ("calls", CallFaults()),
    ):
        given = getattr(plan, part)
        if given == none:
            continue
        yield replace(plan, **{part: none})  # type: ignore[arg-type]  # the part is replaced by one of its own type
        for field in fields(none):
            if getattr(given, field.name) != getattr(none, field.name):
                yield replace(plan, **{part: replace(given, **{field.name: getattr(none, field.name)})})
    for name in ("shares", "windows", "neighbours"):
        entries = getattr(plan.faults, name)
        if len(entries) > 1:
            for number in range(len(entries)):
                yield replace(plan, faults=replace(plan.faults, **{name: entries[:number] + entries[number + 1 :]}))
    if plan.pauses:
        yield replace(plan, pauses=())
    if plan.stage_removed_at >= 0.0:
        yield replace(plan, stage_removed_at=-1.0)


def _smaller_orders(order: Order) -> Iterator[Order]:
    half = len(order.leads) // 2
    if half:
        yield replace(order, leads=order.leads[:half])
        yield replace(order, leads=order.leads[half:])
    if 1 < len(order.leads) <= 16:
        for number in range(len(order.leads)):
            yield replace(order, leads=order.leads[:number] + order.leads[number + 1 :])
    nothing: dict[str, Any] = {"again": (), "cancel_at": (), "holds": (), "canary": 0, "invalid": (), "calls": 0}
    nothing |= {"deals_again": (), "amounts": False, "links": ()}
    for field, none in {**nothing, "slow": 0.0, "abandoned": 0}.items():
        if getattr(order, field) != none:
            yield replace(order, **{field: none})
