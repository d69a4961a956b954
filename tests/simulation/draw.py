"""What a seed stands for: the plan that is drawn from it.

A plan is a frozen value. It is drawn from the seed alone, a history is played from it alone, and the shrinker makes
smaller plans of it. Each seed has one *theme* in full (``THEMES[seed % len(THEMES)]``) and others besides by chance: so
every theme is met equally often however few histories run, and every pair of themes is met sooner or later.

In the same way each seed names one crash point (a port call, before or after its effect) and the visit at which whoever
comes there is killed, or stands still for longer than a lease. Chance alone would hardly ever kill a worker just after
it closed the governor's gate.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from massconvert.policy import CallRules
from tests.simulation.forgetting import FORGETS, GOES_WITH, forgetful, two_primaries
from tests.simulation.plan import GOOD_STAGES, TUNING, Faults, LeadPlan, Order, Plan
from tests.simulation.reach import CRASH_POINTS
from tests.simulation.themes import (
    ALONE,
    SELDOM,
    THEMES,
    dealt,
    flown,
    mailed,
    matched,
    named,
    with_second_chances,
)
from tests.simulation.troubles import fewest_credits, with_faults

#: Points at which any history may be hit; a WAIT has only those with a replica (see `forgetting`).
_POINTS = tuple(point for point in CRASH_POINTS if not point.endswith(" WAIT"))


#: What any history may have, and how likely.
_BY_CHANCE = {"names": (0.2, named), "preflight": (0.15, flown), "deals": (0.15, dealt), "matches": (0.15, matched)}


def draw(seed: int, theme: str = "") -> Plan:
    """The plan of ``seed``; ``theme`` asks for another theme than the seed's own."""
    random = Random(f"{seed}/plan")
    main = theme or list(THEMES)[seed % len(THEMES)]
    others = [name for name in THEMES if name not in (main, *ALONE, *_BY_CHANCE) and random.random() < 0.2]
    if main == "two primaries":  # seconds count there, and they are to be busy ones
        others = [name for name in others if name in GOES_WITH]
    themes = (main, *([] if main in ALONE else others))
    plan = _with_calls(_cast(seed, themes, random), Random(f"{seed}/calls"))
    for name in themes:
        plan = THEMES[name](plan, random) if name in THEMES else plan
    # Each with a stream of its own: any history may have it, and is the same otherwise.
    for name, (share, change) in _BY_CHANCE.items():
        stream = Random(f"{seed}/{name}")
        if stream.random() < share:
            plan = change(plan, stream)
    plan = with_second_chances(plan, Random(f"{seed}/deals again"))
    if main in ALONE:
        return plan
    # Shifted with each round: else a theme and a point were tied to each other where their numbers share a factor.
    point = _POINTS[(seed + seed // len(_POINTS)) % len(_POINTS)]
    port = point.partition(" ")[2]
    visit = random.choice([1, 1, 2, 5])
    if port in SELDOM:
        plan, visit = SELDOM[port](plan, random), 1
    plan = mailed(plan, Random(f"{seed}/mailed"))  # last, since what was added before may be more than a message says
    sleeps = main == "frozen" and Random(f"{seed}/sleeps").random() < 0.5  # at the point, instead of being killed
    asleep = plan.tuning.lease + 25.0 if sleeps else 0.0
    plan = replace(plan, mishaps=replace(plan.mishaps, target=point, target_visit=visit, target_sleeps=asleep))
    forgets = Random(f"{seed}/forgets")
    if main in FORGETS or (main in GOES_WITH and forgets.random() < 0.4):
        plan = forgetful(plan, forgets)
    planned = Random(f"{seed}/two primaries")
    if main == "two primaries" or (main in GOES_WITH and plan.store.replicas and planned.random() < 0.4):
        plan = two_primaries(plan, planned)
    return _bearable(plan)


#: The most seconds, in all, that leads that choke may keep the room of others. A history lasts some hours.
_CHOKED = 5000.0


def _bearable(plan: Plan) -> Plan:
    """Themes add up. When most calls fail, nothing gets through, and nothing is learnt from it."""
    most = int(_CHOKED * plan.tuning.max_jobs / plan.tuning.give_up)
    choke = [lead.id for lead in plan.leads if lead.kind == "chokes"][most:]
    leads = tuple(replace(lead, kind="fine") if lead.id in choke else lead for lead in plan.leads)
    plan = replace(plan, leads=leads)
    if 0 < plan.faults.credits < (needed := fewest_credits(plan)):  # another theme has brought more leads
        plan = with_faults(plan, credits=needed)
    too_much = sum(share for _, share in plan.faults.shares) / 0.5
    if too_much <= 1.0:
        return plan
    return with_faults(plan, shares=tuple((kind, share / too_much) for kind, share in plan.faults.shares))


def _cast(seed: int, themes: tuple[str, ...], random: Random) -> Plan:
    large = random.random() < 0.03
    size = 50 if large else random.choice([1, 2, 3, 4, 5, 8])
    pool = [
        LeadPlan(str(3_652_397_000_009_850_001 + 1009 * n))
        for n in range(130 if large else random.randint(1, 3 * size + 6))
    ]
    orders = []
    for number in range(random.choice([1, 1, 2, 3])):
        wanted = random.sample(pool, random.randint(1, len(pool)))
        again = (random.uniform(0.0, 60.0),) if random.random() < 0.2 else ()
        ids = tuple(lead.id for lead in wanted)
        at = random.uniform(0.0, random.choice([1.0, 10.0, 60.0]))
        orders.append(Order(f"batch-{number}", ids, random.choice(GOOD_STAGES), at, again))
    tuning = replace(TUNING, max_leads=size, window=random.choice([1, 2, 4, 8]), max_jobs=random.choice([1, 3, 20]))
    return Plan(
        seed,
        themes,
        workers=random.randint(1, 3),
        permits=random.choice([1, 2, 5, 10]),
        tuning=tuning,
        rules=CallRules(),
        slice=50 if large else random.randint(1, 6),
        leads=tuple(pool),
        orders=tuple(orders),
        faults=Faults(clock_ahead=random.uniform(-15.0, 15.0), options_first=random.random() < 0.5),
    )


def _with_calls(plan: Plan, random: Random) -> Plan:
    return replace(plan, orders=tuple(replace(order, calls=random.choice([0, 0, 1, 2])) for order in plan.orders))
