"""Histories in which profiles find their leads by themselves: slots, criteria, bounds."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from massconvert.profiles import slot_name
from tests.simulation import troubles
from tests.simulation.plan import (
    GOOD_STAGES,
    Find,
    Order,
    Plan,
    Window,
)
from tests.simulation.world import EPOCH


def profiles(plan: Plan, random: Random) -> Plan:
    """One profile or two, each with a slot or two, each slot asked for by one beat or more."""
    if any(order.find for order in plan.orders):
        return plan
    ids, orders = tuple(lead.id for lead in plan.leads), list(plan.orders[: random.randint(0, len(plan.orders))])
    for number in range(random.choice([1, 1, 2])):
        find = Find(
            f"profile-{number}",
            slot="",
            search=random.random() < 0.3,
            max_leads=random.choice([None, None, 1, 2, len(ids)]),
            wrong=random.random() < 0.1,
        )
        at, stage = random.uniform(0.0, 20.0), random.choice(GOOD_STAGES)
        for _ in range(random.choice([1, 2, 2])):
            slot, beats = slot_name(EPOCH + at), tuple(at + random.uniform(0.0, 3.0) for _ in range(2))
            made = replace(find, slot=slot)
            orders.append(Order(f"{find.profile}@{slot}", ids, stage, at, beats[: random.randint(0, 2)], find=made))
            at += random.choice([1.0, 30.0, 200.0])
    plan = replace(plan, orders=tuple(orders))
    if random.random() < 0.25:  # they may convert leads, but not look for them
        may_not = Window(random.uniform(0.0, 15.0), random.uniform(30.0, 200.0), ("coql", "search"), "no permission")
        plan = troubles.with_window(plan, may_not)
    return plan


def bounded(plan: Plan, _random: Random) -> Plan:
    """Two slots of one profile that takes one lead a run: the second goes on where the first stopped."""
    ids = tuple(lead.id for lead in plan.leads)
    orders = [
        Order(f"profile-0@{slot}", ids, GOOD_STAGES[0], at, find=Find("profile-0", slot, max_leads=1))
        for slot, at in ((slot_name(EPOCH + at), at) for at in (1.0, 400.0))
    ]
    return replace(plan, orders=(*(order for order in plan.orders if not order.find), *orders))


def searching(plan: Plan, random: Random) -> Plan:
    plan = profiles(plan, random)
    searches = (replace(o, find=replace(o.find, search=True, wrong=False)) if o.find else o for o in plan.orders)
    return replace(plan, orders=tuple(searches))
