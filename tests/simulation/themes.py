"""The themes of histories: what people ask for in each, or what goes wrong (`troubles`), as a change of a fair plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from massconvert.model import Link
from tests.simulation import finding, troubles
from tests.simulation.customers import RecordPlan
from tests.simulation.plan import (
    GOOD_STAGES,
    NOBODY,
    ROUND,
    TUNING,
    USERS,
    WRONG_STAGE,
    CallFaults,
    LeadPlan,
    Order,
    Plan,
    Window,
)


def _options(plan: Plan, random: Random) -> Plan:
    stages = [*GOOD_STAGES[:1], WRONG_STAGE]
    orders = tuple(order if order.find else replace(order, stage=random.choice(stages)) for order in plan.orders)
    if random.random() < 0.6:  # some chunks are accepted, and others wait for the one permit when the stage goes
        orders = (replace(orders[0], stage=GOOD_STAGES[0], leads=tuple(lead.id for lead in plan.leads)), *orders[1:])
        tuning = replace(plan.tuning, window=8, max_jobs=20, max_leads=min(2, plan.tuning.max_leads))
        removed = orders[0].at + tuning.linger + random.uniform(0.1, 1.5)
        plan = replace(plan, stage_removed_at=removed, permits=1, tuning=tuning)
        if random.random() < 0.5:  # people fix it, and enqueue with it again
            restored = removed + random.uniform(5.0, 60.0)
            later = Order("batch-later", orders[0].leads, GOOD_STAGES[0], restored + random.uniform(1.0, 30.0))
            plan, orders = replace(plan, stage_restored_at=restored), (*orders, later)
    return replace(plan, orders=orders)


def _producers(plan: Plan, random: Random) -> Plan:
    return replace(plan, orders=tuple(_troubled(order, random) for order in plan.orders))


def _troubled(order: Order, random: Random) -> Order:
    if order.find:
        return order
    changes: dict[str, Any] = {}
    fate = random.random()
    if fate < 0.2:
        changes |= {"abandoned": random.randint(1, 3), "again": ()}
    elif fate < 0.5:
        changes["again"] = tuple(order.at + random.uniform(0.0, 20.0) for _ in range(2))
    if random.random() < 0.3:
        changes["slow"] = random.choice([10.0, 400.0])
    if random.random() < 0.3:
        changes["invalid"] = ("abc", "3.65E+18")
    if random.random() < 0.4:
        changes["cancel_at"] = (order.at + random.uniform(0.0, 8.0), order.at + random.uniform(0.0, 60.0))
    return replace(order, **changes)


def _names(plan: Plan, random: Random) -> Plan:
    plan = named(plan, random)
    kinds = ["before", "not sent", "no permission", "credentials", "throttled", "mixed", ""]
    kind = kinds[(plan.seed + plan.round) % len(kinds)]  # each in its turn, however few histories run
    long = 1.6 * plan.tuning.give_up
    length = random.choice([30.0, 300.0, long, long] if kind not in ("before", "not sent") else [long])
    if kind:
        plan = troubles.with_window(plan, Window(0.0, length, ("read_page",), kind))
    return troubles.with_share(plan, ("token", 0.05), ("throttled", 0.05))


def named(plan: Plan, random: Random) -> Plan:
    known = [name for page in USERS for name in page]
    choices = [*known, *known, NOBODY, ""]
    orders = tuple(o if o.find else replace(o, assignee=random.choice(choices)) for o in plan.orders)
    return replace(plan, orders=orders)


def _first_named(plan: Plan, random: Random) -> Plan:
    plan = named(plan, random)
    return replace(plan, orders=(replace(plan.orders[0], assignee="bob@example.com"), *plan.orders[1:]))


def _preflight(plan: Plan, random: Random) -> Plan:
    plan = troubles.bad_leads(flown(plan, random), random)
    kinds = ["before", "", "throttled", "not sent", "", "mixed", ""]
    kind = kinds[plan.round % len(kinds)]  # each in its turn, however few histories run
    if kind:
        length = random.choice([30.0, 1.6 * plan.tuning.give_up, 1.6 * plan.tuning.give_up])
        plan = troubles.with_window(plan, Window(0.0, length, ("read_leads",), kind))
    elif random.random() < 0.5:
        plan = _cancel(plan, random)
    return plan


def flown(plan: Plan, random: Random) -> Plan:
    return replace(plan, orders=tuple(replace(o, preflight=not o.find and random.random() < 0.8) for o in plan.orders))


def _deals(plan: Plan, random: Random) -> Plan:
    plan = _updating(plan, random)
    if plan.round % 4 == 0:  # for longer than anybody waits, the leads cannot be read after their conversion
        return troubles.with_window(plan, Window(0.0, 4 * plan.tuning.give_up, ("read_leads",), "before"))
    kinds = ["before", "mixed", "no permission", "no permission", "credentials", "credentials", ""]
    kind = kinds[plan.round % len(kinds)]  # each in its turn, however few histories run
    if kind:  # an outage for longer than anybody waits, or something that a person fixes
        length = {"credentials": 900.0}.get(kind, 4 * plan.tuning.give_up)
        plan = troubles.with_window(plan, Window(0.0, length, ("update_deals",), kind))
    plan = troubles.with_faults(plan, bad_job=random.choice([0.0, 0.5]), read_lag=random.choice([0.0, 0.9]))
    return troubles.with_share(plan, ("after", 0.05), ("before", 0.05), ("token", 0.03), ("throttled", 0.03))


def dealt(plan: Plan, random: Random) -> Plan:
    """Deals named after their leads; some leads have no name to give, and some deals cannot be updated."""
    orders = tuple(replace(o, named=not o.find and random.random() < 0.8) for o in plan.orders)
    kinds = ("fine", "fine", "fine", "fussy", "nameless")
    leads = tuple(replace(lead, kind=random.choice(kinds)) if lead.kind == "fine" else lead for lead in plan.leads)
    return replace(plan, orders=orders, leads=leads)


def with_second_chances(plan: Plan, random: Random) -> Plan:
    """People try deals again, and some of those that could not be updated can be by then. Some deals have amounts."""

    def tried(order: Order) -> Order:
        order = replace(order, amounts=not order.find and random.random() < (0.5 if order.named else 0.1))
        spans = ((5.0, 60.0), (100.0, 400.0), (1300.0, 2500.0), (4900.0, 5300.0))
        times = tuple(order.at + random.uniform(*span) for span in spans if random.random() < 0.4)
        return replace(order, deals_again=times) if (order.named or order.amounts) and random.random() < 0.6 else order

    def fixed(lead: LeadPlan) -> LeadPlan:
        at_all = lead.kind == "fussy" and random.random() < 0.6
        return replace(lead, at=random.uniform(10.0, 2000.0)) if at_all else lead

    return replace(plan, orders=tuple(map(tried, plan.orders)), leads=tuple(map(fixed, plan.leads)))


def _dealt_again(plan: Plan, random: Random) -> Plan:
    """A batch whose deals cannot be updated, and that a person has tried again."""
    plan = _updating(plan, random)
    kinds = ("fine", "nameless", "fussy", *troubles.COMPANY)
    leads = tuple(replace(lead, kind="fussy", at=4000.0) if lead.kind in kinds else lead for lead in plan.leads)
    first, *others = plan.orders
    if first.find:  # a run may have no batch yet, when the person comes
        first = replace(first, find=None, batch="batch-0", leads=tuple(lead.id for lead in leads))
    spans = ((30.0, 60.0), (300.0, 600.0), (1500.0, 2000.0), (3000.0, 3500.0))
    times = tuple(first.at + random.uniform(*span) for span in spans)
    first = replace(first, deals_again=times, abandoned=0, cancel_at=())
    first = replace(first, amounts=not first.find)
    return replace(plan, leads=leads, orders=(first, *others))


def _updating(plan: Plan, random: Random) -> Plan:
    plan = dealt(plan, random)
    return replace(plan, orders=tuple(replace(o, named=not o.find) for o in plan.orders))


def _holds(plan: Plan, random: Random) -> Plan:
    return replace(plan, orders=tuple(_held(order, random) for order in plan.orders))


def _held(order: Order, random: Random) -> Order:
    changes: dict[str, Any] = {}
    if random.random() < 0.7:
        # Some come just when the first chunks are on their way from a claim to the POST.
        places = [random.uniform(0.0, 8.0), TUNING.linger + random.uniform(0.0, 0.2)]
        starts = [order.at + place for place in random.choice([places[:1], places[1:], places])]
        changes["holds"] = tuple((at, random.choice([0.5, 10.0, 200.0])) for at in starts)
    if random.random() < 0.6 and not order.find:  # a run of a profile has no canary
        changes["canary"] = random.randint(1, 6)
        changes["canary_max_failed"] = random.choice([None, 0.0, 20.0, 100.0])
    if random.random() < 0.2:
        changes["cancel_at"] = (order.at + random.uniform(0.0, 20.0),)
    return replace(order, **changes)


def _stops(plan: Plan, random: Random) -> Plan:
    """People stop everything, or a batch, while payloads are on their way and some answers are lost."""
    first = plan.orders[0]
    moments = [
        first.at + TUNING.linger + random.uniform(0.0, 0.3),
        random.uniform(0.0, 20.0),
        random.uniform(0.0, 200.0),
    ]
    at = random.choice(moments)
    if random.random() < 0.5:
        point = random.choice(["after claim_chunk", "after take_permit", "before begin_send", "after begin_send"])
        plan = replace(plan, stop_at=(point, random.randint(1, 4)), stop_batch=random.random() < 0.4)
    elif random.random() < 0.7:
        plan = replace(plan, pauses=((at, random.choice([5.0, 100.0, 400.0])),))
    if random.random() < 0.5:  # what was under way is told that it may not
        start = random.choice([0.0, max(0.0, at - 1.0)])
        plan = troubles.with_window(
            plan, Window(start, random.choice([30.0, 100.0]), ("mass_convert",), "no permission")
        )
    orders = (
        replace(o, cancel_at=(o.at + random.choice(moments),)) if random.random() < 0.5 else o for o in plan.orders
    )
    plan = replace(plan, orders=tuple(_held(o, random) if random.random() < 0.4 else o for o in orders))
    share = random.choice([0.0, 0.2])
    return troubles.with_share(plan, ("before", share), ("after", share), ("not sent", share / 2))


def _full(plan: Plan, random: Random) -> Plan:
    """Redis is full for a while, and people stop what they can."""
    plan = _stops(plan, random)
    return replace(plan, store=replace(plan.store, full=(random.uniform(0.0, 15.0), random.choice([5.0, 60.0]))))


def _hold(plan: Plan, random: Random) -> Plan:
    first, *others = plan.orders
    hold = (first.at + random.uniform(0.5, 5.0), random.uniform(1.0, 20.0))
    return replace(plan, orders=(replace(first, holds=(hold,), abandoned=0), *others))


def _receivers(plan: Plan, random: Random) -> Plan:
    """And batches that are opened again after they have finished."""
    orders = tuple(order if order.find else _wanted(order, random) for order in plan.orders)
    deaf, silent, slow = random.choice([0.2, 0.6]), random.choice([0.0, 0.3]), random.choice([0.0, 0.5])
    return replace(plan, orders=orders, calls=CallFaults(deaf, silent, slow))


def _wanted(order: Order, random: Random) -> Order:
    again = () if order.abandoned else (*order.again, order.at + random.uniform(5.0, 300.0))
    return replace(order, calls=random.randint(1, 2), again=again, slow=random.choice([order.slow, 310.0, 400.0]))


def _called(plan: Plan, _random: Random) -> Plan:
    first, *others = plan.orders
    return replace(plan, orders=(replace(first, calls=1, abandoned=0), *others))


def _cancel(plan: Plan, random: Random) -> Plan:
    first, *others = plan.orders
    at = first.at + random.uniform(0.0, 5.0)
    return replace(plan, orders=(replace(first, cancel_at=(at, at + 10.0), abandoned=0), *others))


def _invalid(plan: Plan, _random: Random) -> Plan:
    first, *others = plan.orders
    return replace(plan, orders=(replace(first, invalid=("abc",), abandoned=0), *others))


def mailed(plan: Plan, random: Random) -> Plan:
    """Some orders come as messages of apps that have only Celery, and only what such a message can say."""
    return replace(plan, orders=tuple(replace(o, mailed=_can_be(o) and random.random() < 0.5) for o in plan.orders))


def _can_be(order: Order) -> bool:
    return not (order.find or order.abandoned or order.slow or order.calls or order.assignee or order.preflight)


def _matches(plan: Plan, random: Random) -> Plan:
    """Leads that match contacts and accounts, and each other; and looks for them that fail."""
    plan = matched(plan, random)
    turn = plan.round
    kinds = ["", "before", "", "no permission", "credentials", "throttled", ""]
    if kind := kinds[turn % len(kinds)]:  # each in its turn, however few histories run
        long = 1.6 * plan.tuning.give_up
        length = {"before": long, "no permission": 200.0}.get(kind, random.choice([30.0, 300.0]))
        plan = troubles.with_window(plan, Window(0.0, length, ("records",), kind))
    plan = troubles.with_faults(plan, later=random.choice([0.0, 0.5]), read_lag=random.choice([0.0, 0.5]))
    if turn % 3 == 1:
        plan = troubles.with_faults(plan, lower_limit=max(1, plan.tuning.max_leads // 2))
    share = random.choice([0.0, 0.1])
    return troubles.with_share(plan, ("before", share), ("after", share), ("late", share / 2), ("token", 0.03))


def _matching(plan: Plan, random: Random) -> Plan:
    plan = matched(plan, random)
    first, *others = plan.orders
    if first.find:
        first = replace(first, find=None, batch="batch-0", leads=tuple(lead.id for lead in plan.leads))
    return replace(plan, orders=(replace(first, on_match="link", abandoned=0), *others))


def matched(plan: Plan, random: Random) -> Plan:
    """Customers of whom contacts and accounts are there, or come meanwhile, or are made by the leads themselves."""
    leads, records = [], []
    for n, of in enumerate(plan.leads):
        kind = random.choice(
            ("new", "new", "twin", "twin", "colleague", "known", "known", "account", "two", "other", "soon")
        )
        who = random.randrange(2) if kind in ("twin", "colleague") else n
        person, firm = f"{kind}{who}", f"{'twin' if kind == 'colleague' else kind}{who} & Sons"
        if kind == "colleague":
            person = f"{kind}{n}"
        spelt = random.choice((str, str, str.upper))
        unlinkable = random.random() < 0.1 and of.kind == "fine"
        company = f"O'Brien {firm}" if random.random() < 0.1 else spelt(firm)
        email, fate = spelt(f"{person}@example.com"), "unlinkable" if unlinkable else of.kind
        lead = replace(of, kind=fate, email=email, name=person, company=company)
        leads.append(lead)
        records += _records_of(kind, n, lead, random)
    modes = ("link", "link", "link", "hold", "create")
    orders = tuple(replace(o, on_match="create" if o.find else random.choice(modes)) for o in plan.orders)
    plan = replace(plan, leads=tuple(leads), records=tuple(records), orders=orders)
    return _crowded(_given(plan, Random(f"{plan.seed}/links")), Random(f"{plan.seed}/crowd"))


def _given(plan: Plan, random: Random) -> Plan:
    """In some orders, leads that say what they are linked to: mostly what is theirs."""
    number = {lead.id: n for n, lead in enumerate(plan.leads)}
    there = {record.id for record in plan.records if not record.at}

    def link_to(lead_id: str) -> Link | None:
        contact, account = (str(6_000_000 + 10 * number[lead_id] + place) for place in (random.choice([1, 1, 2]), 0))
        link = random.choice([Link(contact, account), Link(contact), Link("", account), Link("", account)])
        known = {link.contact_id, link.account_id} - {""} <= there
        return link if known else Link("9") if random.random() < 0.05 else None

    def given(order: Order) -> Order:
        if order.find or random.random() < 0.6:
            return order
        some = [lead for lead in order.leads if lead in number and random.random() < 0.6]
        return replace(order, links=tuple((lead, link) for lead in some if (link := link_to(lead))))

    return replace(plan, orders=tuple(map(given, plan.orders)))


def _crowded(plan: Plan, random: Random) -> Plan:
    """Sometimes one address that many contacts have, older ones than all others: they fill pages of a query."""
    if random.random() < 0.7:
        return plan
    one = random.choice(plan.leads)
    ids = range(5_000_000, 5_000_000 + random.choice([4, 40, 150]))
    crowd = (RecordPlan(str(n), one.name, one.email.lower(), module="Contacts") for n in ids)
    return replace(plan, records=(*plan.records, *crowd))


def _records_of(kind: str, n: int, lead: LeadPlan, random: Random) -> list[RecordPlan]:
    at = random.uniform(0.0, 30.0) if kind == "soon" else 0.0
    account = RecordPlan(str(6_000_000 + 10 * n), lead.company.lower(), at=at)
    contact = RecordPlan(str(6_000_001 + 10 * n), lead.name, lead.email.lower(), account.id, at, "Contacts")
    if kind in ("known", "soon"):
        return [account, contact]
    if kind == "account":
        return [account]
    if kind == "two":
        return [account, contact, replace(contact, id=str(6_000_002 + 10 * n))]
    if kind == "other":
        return [replace(account, name=f"another {n}"), contact]
    return []


#: Ports that few histories come to, and what brings one there.
SELDOM: dict[str, Callable[[Plan, Random], Plan]] = {
    **dict.fromkeys(("pause_organisation", "resume_organisation"), troubles.pause),
    **dict.fromkeys(("cancel_batch", "drain_inbox", "HGETALL", "EXISTS"), _cancel),
    **dict.fromkeys(("hold_batch", "release_batch"), _hold),
    "refuse_ids": _invalid,
    "SET": _first_named,
    "read_page": _first_named,
    "update_deals": _updating,
    **dict.fromkeys(("claim_identities", "records", "convert"), _matching),
    **dict.fromkeys(("HGET", "HMGET", "SMEMBERS"), _dealt_again),
    **dict.fromkeys(("begin_run", "claim_run", "coql", "nudge run"), finding.profiles),
    "move_run": finding.bounded,
    "search": finding.searching,
    "LRANGE": finding.searching,
    **dict.fromkeys(("take_callback", "end_callback", "call_target", "nudge call_back"), _called),
}

#: Every theme: what it makes of a plan.
THEMES: dict[str, Callable[[Plan, Random], Plan]] = {
    "calm": troubles.calm,
    "crashes": troubles.crashes,
    "answers": troubles.answers,
    "jobs": troubles.jobs,
    "bad leads": troubles.bad_leads,
    "company": troubles.company,
    "messages": troubles.messages,
    "outage": troubles.outage,
    "access": troubles.access,
    "options": _options,
    "limits": troubles.limits,
    "neighbour": troubles.neighbour,
    "credits": troubles.few_credits,
    "store": troubles.store,
    "frozen": troubles.frozen,
    "late sends": troubles.late_sends,
    "producers": _producers,
    "names": _names,
    "profiles": finding.profiles,
    "holds": _holds,
    "stops": _stops,
    "full": _full,
    "receivers": _receivers,
    "preflight": _preflight,
    "deals": _deals,
    "matches": _matches,
    "recovery": troubles.outage,
}
#: Themes of histories with no other trouble: no others, and no crash.
ALONE = ("calm", "recovery")

assert len(THEMES) == ROUND, "plan.ROUND is how many themes there are"
