"""What goes wrong in a history: with Zoho, the machines, the messages, Redis, and with some leads."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from massconvert.policy import CallRules, Holding
from tests.simulation.plan import (
    CALLS,
    MessageFaults,
    Neighbour,
    Plan,
    StoreFaults,
    Window,
)

#: Kinds of leads that make calls, jobs or reads fail.
COMPANY = ("chokes", "spoils", "odd", "vanishes", "blank")


def with_faults(plan: Plan, **changes: object) -> Plan:
    return replace(plan, faults=replace(plan.faults, **changes))  # type: ignore[arg-type]  # each caller names fields


def with_window(plan: Plan, window: Window) -> Plan:
    return with_faults(plan, windows=(*plan.faults.windows, window))


def with_share(plan: Plan, *shares: tuple[str, float]) -> Plan:
    return with_faults(plan, shares=(*plan.faults.shares, *shares))


def calm(plan: Plan, _random: Random) -> Plan:
    return plan


def crashes(plan: Plan, random: Random) -> Plan:
    return replace(plan, mishaps=replace(plan.mishaps, crash=random.choice([0.005, 0.02])))


def frozen(plan: Plan, random: Random) -> Plan:
    """Machines that stand still, and whatever lies between a write-ahead and its record takes as long as it may."""
    slow = {name: random.choice([0.0, 0.0, 0.3]) for name in ("slow_tokens", "slow_sends", "slow_answers")}
    return with_faults(replace(plan, mishaps=replace(plan.mishaps, freeze=random.choice([0.01, 0.05]))), **slow)


def late_sends(plan: Plan, random: Random) -> Plan:
    """Payloads leave at the last moment, jobs take as long as they may, and workers die before they know."""
    tuning = replace(plan.tuning, job_wait=plan.tuning.lease + 25.0, max_leads=1, window=8, max_jobs=20)
    plan = replace(plan, tuning=tuning, mishaps=replace(plan.mishaps, crash=0.02))
    return with_faults(plan, slow_sends=random.choice([0.5, 1.0]), jobs=(85.0, 90.0))


def messages(plan: Plan, random: Random) -> Plan:
    pick = random.choice
    lost, doubled, delayed = pick([0.0, 0.1, 0.5]), pick([0.1, 0.5, 1.0]), pick([0.0, 0.1, 0.4])
    wiped = tuple(random.uniform(0.0, 30.0) for _ in range(pick([0, 0, 1, 3])))
    return replace(plan, messages=MessageFaults(lost, doubled, delayed, broker=pick([0.0, 0.05]), wiped=wiped))


def store(plan: Plan, random: Random) -> Plan:
    share = random.choice([0.005, 0.02])
    away = (random.uniform(0.0, 10.0), random.uniform(5.0, 60.0)) if random.random() < 0.3 else None
    refused = Random(f"{plan.seed}/refusals").choice([0.0, 0.02, 0.1])  # a stream of its own
    return replace(plan, store=StoreFaults(before=share, after=share, away=away, refused=refused))


def answers(plan: Plan, random: Random) -> Plan:
    share = random.choice([0.05, 0.2])
    return with_share(plan, ("before", share), ("after", share), ("late", share / 2), ("not sent", share / 2))


def jobs(plan: Plan, random: Random) -> Plan:
    if plan.round % 4 == 1:  # Zoho knows none of its jobs, and some leads are converted by none
        leads = tuple(replace(lead, kind="stubborn") if n % 2 else lead for n, lead in enumerate(plan.leads, 1))
        return with_faults(replace(plan, leads=leads), bad_job=1.0, denied=True)
    return with_faults(plan, bad_job=random.choice([0.3, 0.7]), read_lag=random.choice([0.0, 0.5, 0.9]))


def bad_leads(plan: Plan, random: Random) -> Plan:
    kinds = (
        "missing",
        "stubborn",
        "locked",
        "refused",
        "odd",
        "converted",
        "by hand",
        "by hand",
        "deleted",
    )
    share, first = random.choice([0.1, 0.4]), plan.orders[0].at
    leads = tuple(
        replace(lead, kind=random.choice(kinds), at=first + random.uniform(0.0, 6.0))
        if random.random() < share
        else lead
        for lead in plan.leads
    )
    names = random.choice(["all", "all", "first", "none"])
    if Random(f"{plan.seed}/counted").random() < 0.3:
        names = "counted"
    read_lag = max(plan.faults.read_lag, random.choice([0.0, 0.5]))
    return with_faults(replace(plan, leads=leads), names=names, read_lag=read_lag)


def company(plan: Plan, random: Random) -> Plan:
    """Leads that make calls, jobs and reads fail, among others that do not."""
    share, turn = random.choice([0.1, 0.3]), plan.round  # each kind in its turn
    leads = tuple(
        replace(lead, kind=COMPANY[(n + turn) % len(COMPANY)], at=random.choice([0.0, random.uniform(5.0, 100.0)]))
        if random.random() < share
        else lead
        for n, lead in enumerate(plan.leads)
    )
    plan = with_faults(replace(plan, leads=leads), bad_job=random.choice([0.0, 0.0, 0.4]))
    return with_share(plan, ("after", 0.1)) if random.random() < 0.5 else plan


def outage(plan: Plan, random: Random) -> Plan:
    calls = random.choice([CALLS, CALLS, ("mass_convert",), ("coql", "search")])
    length = random.choice([60.0, 300.0, 1.6 * plan.tuning.give_up])
    kind = random.choice(["before", "not sent", "mixed"])
    return with_window(plan, Window(random.choice([0.0, random.uniform(1.0, 15.0)]), length, calls, kind))


def access(plan: Plan, random: Random) -> Plan:
    some = [("mass_convert",), ("job_status",), ("read_leads",), ("job_status", "read_leads"), ("coql", "search")]
    calls = random.choice([CALLS, *some])
    kind = random.choice(["no permission", "credentials"])
    plan = with_window(plan, Window(random.uniform(0.0, 8.0), random.uniform(10.0, 300.0), calls, kind))
    if random.random() < 0.3:
        plan = pause(plan, random)
    return with_share(plan, ("token", 0.05), ("no token", 0.05))


def limits(plan: Plan, random: Random) -> Plan:
    plan = replace(plan, permits=1, tuning=replace(plan.tuning, window=8, max_jobs=20))
    plan = with_share(plan, ("throttled", random.choice([0.05, 0.2])), ("asked", random.choice([0.0, 0.02])))
    return with_faults(plan, lower_limit=max(1, plan.tuning.max_leads // 2) if random.random() < 0.5 else 0)


def neighbour(plan: Plan, random: Random) -> Plan:
    """Work enough for all permits, and others who take most of them."""
    plan = replace(
        plan, permits=random.choice([3, 5, 10]), tuning=replace(plan.tuning, window=20, max_jobs=20, max_leads=1)
    )
    first = plan.orders[0].at + plan.tuning.linger
    taken = tuple(
        Neighbour(first + random.uniform(0.0, 20.0), random.choice([5.0, 60.0]), random.randint(1, plan.permits))
        for _ in range(random.choice([1, 2]))
    )
    return with_faults(plan, neighbours=taken)


def few_credits(plan: Plan, random: Random) -> Plan:
    rules, left = CallRules(holding=Holding(reserve=80)), 200 if len(plan.leads) <= 50 else 600
    if random.random() < 0.5:
        rules, left = CallRules(holding=Holding(reserve=0)), fewest_credits(plan)
    return with_faults(replace(plan, rules=rules, tuning=replace(plan.tuning, max_leads=1)), credits=left)


def fewest_credits(plan: Plan) -> int:
    """About half of what the leads cost: a few days of credits, within the time of a history."""
    return 20 + 3 * len({lead for order in plan.orders for lead in order.leads})


def pause(plan: Plan, random: Random) -> Plan:
    return replace(plan, pauses=((random.uniform(0.0, 5.0), random.uniform(1.0, 100.0)),))
