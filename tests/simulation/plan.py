"""What a seed stands for: who takes part in a history, what goes wrong, how often, and when.

A plan is a frozen value. It is drawn from the seed alone, a history is played from it alone, and the shrinker makes
smaller plans of it. Each seed has one *theme* in full (``THEMES[seed % len(THEMES)]``) and others besides by chance: so
every theme is met equally often however few histories run, and every pair of themes is met sooner or later.

In the same way each seed names one crash point (a port call, before or after its effect) and the visit at which whoever
comes there is killed. Chance alone would hardly ever kill a worker just after it closed the governor's gate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from massconvert.policy import CallRules, Holding, Tuning
from massconvert.profiles import slot_name
from tests.simulation.reach import CRASH_POINTS
from tests.simulation.store_port import StoreFaults
from tests.simulation.world import EPOCH, Mishaps

#: The product's numbers, some of them shorter, so that a day of trouble is twenty minutes.
TUNING = Tuning(
    job_deadline=300.0, overdue_pace=200.0, give_up=1200.0, pause_probe=60.0, enqueue_idle=300.0, clock_skew=30.0
)
GOOD_STAGES = ("Qualification", "Needs Analysis")
WRONG_STAGE = "Gone"
CALLS = ("mass_convert", "job_status", "read_leads", "update_deals", "read_page", "coql", "search")
#: Users by their e-mail address, on two pages, and one that there is not.
USERS = ({"ann@example.com": "501"}, {"bob@example.com": "502"})
NOBODY = "nobody@example.com"


@dataclass(frozen=True)
class Window:
    """A time in which the named calls all answer in one way."""

    start: float
    length: float
    calls: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Neighbour:
    """Another client of the organisation, which makes so many calls at once for a time."""

    start: float
    length: float
    calls: int


@dataclass(frozen=True)
class Faults:
    """What goes wrong at Zoho: ``shares`` are probabilities at each call, by kind (see `Crm`)."""

    shares: tuple[tuple[str, float], ...] = ()
    windows: tuple[Window, ...] = ()
    bad_job: float = 0.0
    read_lag: float = 0.0
    lower_limit: int = 0
    names: str = "all"  # which bad ids a refusal names: all, first, none
    options_first: bool = False  # whether Zoho looks at the options before it looks at the ids
    clock_ahead: float = 0.0  # Zoho's clock against ours
    neighbours: tuple[Neighbour, ...] = ()
    credits: int = 0  # of a rolling day (`crm.DAY`); 0: without end


@dataclass(frozen=True)
class MessageFaults:
    """What happens to messages, each a probability; ``broker`` is how often sending one fails, before or after it left.

    ``wiped`` are times at which all messages that the broker holds are deleted.
    """

    lost: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    broker: float = 0.0
    wiped: tuple[float, ...] = ()


@dataclass(frozen=True)
class CallFaults:
    """How calls about finished batches fail, each a probability: nobody hears one, or who heard it does not say so.

    ``slow`` ones take up to minutes, longer than the caller's lease.
    """

    deaf: float = 0.0
    silent: float = 0.0
    slow: float = 0.0


@dataclass(frozen=True)
class LeadPlan:
    """A lead, and what it is: fine, missing, stubborn, locked, refused, converted, or converted by hand (at a time).

    Or it is *fussy*: its deal cannot be updated (until a time, where it has one); *nameless*: the field that would name
    its deal is empty.
    """

    id: str
    kind: str = "fine"
    at: float = 0.0


@dataclass(frozen=True)
class Find:
    """A run of a profile instead of a producer: its leads are found. ``wrong``: Zoho refuses its criteria."""

    profile: str
    slot: str
    search: bool = False
    max_leads: int | None = None
    wrong: bool = False


@dataclass(frozen=True)
class Order:
    """What one producer enqueues, or what a run finds: then each of its times is a beat's message.

    ``again``: calls more with the same key; ``abandoned``: dies and never comes back.
    """

    batch: str
    leads: tuple[str, ...]
    stage: str
    at: float
    again: tuple[float, ...] = ()
    abandoned: int = 0  # after so many slices
    invalid: tuple[str, ...] = ()
    slow: float = 0.0  # seconds between two slices: its ids come from somewhere slow
    cancel_at: tuple[float, ...] = ()
    assignee: str = ""  # to whom the leads go, by name
    find: Find | None = None
    holds: tuple[tuple[float, float], ...] = ()  # a person pauses this batch and, so many seconds later, resumes it
    preflight: bool = False
    named: bool = False  # its deals are named after the leads
    amounts: bool = False  # some of its leads bring an amount for their deals
    deals_again: tuple[float, ...] = ()  # a person has the deals that were not updated tried again
    canary: int = 0
    canary_max_failed: float | None = None
    calls: int = 0  # how many want to know when it has finished

    def amount_of(self, lead_id: str) -> int | None:
        """What a lead of it brings for its deal."""
        return int(lead_id[-4:]) if self.amounts and lead_id in self.leads and int(lead_id) % 3 else None


@dataclass(frozen=True)
class Plan:
    """A history before it is played."""

    seed: int
    themes: tuple[str, ...]
    workers: int
    permits: int
    tuning: Tuning
    rules: CallRules
    slice: int  # leads a slice of an enqueue
    leads: tuple[LeadPlan, ...]
    orders: tuple[Order, ...]
    mishaps: Mishaps = field(default_factory=Mishaps)
    messages: MessageFaults = field(default_factory=MessageFaults)
    store: StoreFaults = field(default_factory=StoreFaults)
    faults: Faults = field(default_factory=Faults)
    calls: CallFaults = field(default_factory=CallFaults)
    stage_removed_at: float = -1.0  # from then on Zoho knows the first good stage no more
    pauses: tuple[tuple[float, float], ...] = ()  # a person pauses and, so many seconds later, resumes


def draw(seed: int, theme: str = "") -> Plan:
    """The plan of ``seed``; ``theme`` asks for another theme than the seed's own."""
    random = Random(f"{seed}/plan")
    main = theme or list(THEMES)[seed % len(THEMES)]
    others = [
        name for name in THEMES if name not in (main, *ALONE, "names", "preflight", "deals") and random.random() < 0.2
    ]
    themes = (main, *([] if main in ALONE else others))
    plan = _with_calls(_cast(seed, themes, random), Random(f"{seed}/calls"))
    for name in themes:
        plan = THEMES[name](plan, random)
    names = Random(f"{seed}/names")  # a stream of its own: any history may have names, and is the same otherwise
    if names.random() < 0.2:
        plan = _named(plan, names)
    flights = Random(f"{seed}/preflight")  # likewise
    if flights.random() < 0.15:
        plan = _flown(plan, flights)
    deals = Random(f"{seed}/deals")
    if deals.random() < 0.15:
        plan = _dealt(plan, deals)
    plan = _with_second_chances(plan, Random(f"{seed}/deals again"))
    if main in ALONE:
        return plan
    # Shifted with each round: else a theme and a point were tied to each other where their numbers share a factor.
    point = CRASH_POINTS[(seed + seed // len(CRASH_POINTS)) % len(CRASH_POINTS)]
    port = point.partition(" ")[2]
    visit = random.choice([1, 1, 2, 5])
    if port in _SELDOM:
        plan, visit = _SELDOM[port](plan, random), 1
    return _bearable(replace(plan, mishaps=replace(plan.mishaps, target=point, target_visit=visit)))


def _bearable(plan: Plan) -> Plan:
    """Themes add up. When most calls fail, nothing gets through, and nothing is learnt from it."""
    too_much = sum(share for _, share in plan.faults.shares) / 0.5
    if too_much <= 1.0:
        return plan
    return _faults(plan, shares=tuple((kind, share / too_much) for kind, share in plan.faults.shares))


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


# --- the themes -------------------------------------------------------------------------------------------------------


def _faults(plan: Plan, **changes: object) -> Plan:
    return replace(plan, faults=replace(plan.faults, **changes))  # type: ignore[arg-type]  # each caller names fields


def _window(plan: Plan, window: Window) -> Plan:
    return _faults(plan, windows=(*plan.faults.windows, window))


def _share(plan: Plan, *shares: tuple[str, float]) -> Plan:
    return _faults(plan, shares=(*plan.faults.shares, *shares))


def _calm(plan: Plan, _random: Random) -> Plan:
    return plan


def _crashes(plan: Plan, random: Random) -> Plan:
    return replace(plan, mishaps=replace(plan.mishaps, crash=random.choice([0.005, 0.02])))


def _frozen(plan: Plan, random: Random) -> Plan:
    return replace(plan, mishaps=replace(plan.mishaps, freeze=random.choice([0.01, 0.05])))


def _messages(plan: Plan, random: Random) -> Plan:
    pick = random.choice
    lost, doubled, delayed = pick([0.0, 0.1, 0.5]), pick([0.1, 0.5, 1.0]), pick([0.0, 0.1, 0.4])
    wiped = tuple(random.uniform(0.0, 30.0) for _ in range(pick([0, 0, 1, 3])))
    return replace(plan, messages=MessageFaults(lost, doubled, delayed, broker=pick([0.0, 0.05]), wiped=wiped))


def _store(plan: Plan, random: Random) -> Plan:
    share = random.choice([0.005, 0.02])
    away = (random.uniform(0.0, 10.0), random.uniform(5.0, 60.0)) if random.random() < 0.3 else None
    return replace(plan, store=StoreFaults(before=share, after=share, away=away))


def _answers(plan: Plan, random: Random) -> Plan:
    share = random.choice([0.05, 0.2])
    return _share(plan, ("before", share), ("after", share), ("late", share / 2), ("not sent", share / 2))


def _jobs(plan: Plan, random: Random) -> Plan:
    return _faults(plan, bad_job=random.choice([0.3, 0.7]), read_lag=random.choice([0.0, 0.5, 0.9]))


def _bad_leads(plan: Plan, random: Random) -> Plan:
    kinds = ("missing", "stubborn", "locked", "refused", "converted", "by hand", "by hand", "deleted")
    share, first = random.choice([0.1, 0.4]), plan.orders[0].at
    leads = tuple(
        replace(lead, kind=random.choice(kinds), at=first + random.uniform(0.0, 6.0))
        if random.random() < share
        else lead
        for lead in plan.leads
    )
    names = random.choice(["all", "all", "first", "none"])
    read_lag = max(plan.faults.read_lag, random.choice([0.0, 0.5]))
    return _faults(replace(plan, leads=leads), names=names, read_lag=read_lag)


def _outage(plan: Plan, random: Random) -> Plan:
    calls = random.choice([CALLS, CALLS, ("mass_convert",), ("coql", "search")])
    length = random.choice([60.0, 300.0, 1.6 * plan.tuning.give_up])
    kind = random.choice(["before", "not sent", "mixed"])
    return _window(plan, Window(random.choice([0.0, random.uniform(1.0, 15.0)]), length, calls, kind))


def _access(plan: Plan, random: Random) -> Plan:
    some = [("mass_convert",), ("job_status",), ("read_leads",), ("job_status", "read_leads"), ("coql", "search")]
    calls = random.choice([CALLS, *some])
    kind = random.choice(["no permission", "credentials"])
    plan = _window(plan, Window(random.uniform(0.0, 8.0), random.uniform(10.0, 300.0), calls, kind))
    if random.random() < 0.3:
        plan = _pause(plan, random)
    return _share(plan, ("token", 0.05), ("no token", 0.05))


def _options(plan: Plan, random: Random) -> Plan:
    stages = [*GOOD_STAGES[:1], WRONG_STAGE]
    orders = tuple(order if order.find else replace(order, stage=random.choice(stages)) for order in plan.orders)
    if random.random() < 0.6:  # some chunks are accepted, and others wait for the one permit when the stage goes
        orders = (replace(orders[0], stage=GOOD_STAGES[0], leads=tuple(lead.id for lead in plan.leads)), *orders[1:])
        tuning = replace(plan.tuning, window=8, max_jobs=20, max_leads=min(2, plan.tuning.max_leads))
        removed = orders[0].at + tuning.linger + random.uniform(0.1, 1.5)
        plan = replace(plan, stage_removed_at=removed, permits=1, tuning=tuning)
    return replace(plan, orders=orders)


def _limits(plan: Plan, random: Random) -> Plan:
    plan = replace(plan, permits=1, tuning=replace(plan.tuning, window=8, max_jobs=20))
    plan = _share(plan, ("throttled", random.choice([0.05, 0.2])))
    return _faults(plan, lower_limit=max(1, plan.tuning.max_leads // 2) if random.random() < 0.5 else 0)


def _neighbour(plan: Plan, random: Random) -> Plan:
    """Work enough for all permits, and others who take most of them."""
    plan = replace(
        plan, permits=random.choice([3, 5, 10]), tuning=replace(plan.tuning, window=20, max_jobs=20, max_leads=1)
    )
    first = plan.orders[0].at + plan.tuning.linger
    taken = tuple(
        Neighbour(first + random.uniform(0.0, 20.0), random.choice([5.0, 60.0]), random.randint(1, plan.permits))
        for _ in range(random.choice([1, 2]))
    )
    return _faults(plan, neighbours=taken)


def _credits(plan: Plan, random: Random) -> Plan:
    rules = CallRules(holding=Holding(reserve=random.choice([0, 80])))
    left = 200 if len(plan.leads) <= 50 else 600  # enough for the leads within the time of a history
    return _faults(replace(plan, rules=rules, tuning=replace(plan.tuning, max_leads=1)), credits=left)


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
    plan = _named(plan, random)
    kind = random.choice(["before", "not sent", "no permission", "credentials", "throttled", "mixed", ""])
    length = random.choice([30.0, 300.0, 1.6 * plan.tuning.give_up, 1.6 * plan.tuning.give_up])
    if kind:
        plan = _window(plan, Window(0.0, length, ("read_page",), kind))
    return _share(plan, ("token", 0.05), ("throttled", 0.05))


def _named(plan: Plan, random: Random) -> Plan:
    known = [name for page in USERS for name in page]
    choices = [*known, *known, NOBODY, ""]
    orders = tuple(o if o.find else replace(o, assignee=random.choice(choices)) for o in plan.orders)
    return replace(plan, orders=orders)


def _first_named(plan: Plan, random: Random) -> Plan:
    plan = _named(plan, random)
    return replace(plan, orders=(replace(plan.orders[0], assignee="bob@example.com"), *plan.orders[1:]))


def _preflight(plan: Plan, random: Random) -> Plan:
    plan = _bad_leads(_flown(plan, random), random)
    kind = random.choice(["before", "not sent", "mixed", "throttled", ""])
    if kind and random.random() < 0.4:
        length = random.choice([30.0, 1.6 * plan.tuning.give_up])
        plan = _window(plan, Window(0.0, length, ("read_leads",), kind))
    if random.random() < 0.3:
        plan = _cancel(plan, random)
    return plan


def _flown(plan: Plan, random: Random) -> Plan:
    return replace(plan, orders=tuple(replace(o, preflight=not o.find and random.random() < 0.8) for o in plan.orders))


def _deals(plan: Plan, random: Random) -> Plan:
    plan = _updating(plan, random)
    if random.random() < 0.2:  # for longer than anybody waits, the leads cannot be read after their conversion
        return _window(plan, Window(0.0, 4 * plan.tuning.give_up, ("read_leads",), "before"))
    kind = random.choice(["before", "mixed", "no permission", "no permission", "credentials", "credentials", ""])
    if kind:  # an outage for longer than anybody waits, or something that a person mends
        length = 4 * plan.tuning.give_up if kind in ("before", "mixed") else 200.0
        plan = _window(plan, Window(0.0, length, ("update_deals",), kind))
    plan = _faults(plan, bad_job=random.choice([0.0, 0.5]), read_lag=random.choice([0.0, 0.9]))
    return _share(plan, ("after", 0.05), ("before", 0.05), ("token", 0.03), ("throttled", 0.03))


def _dealt(plan: Plan, random: Random) -> Plan:
    """Deals named after their leads; some leads have no name to give, and some deals cannot be updated."""
    orders = tuple(replace(o, named=not o.find and random.random() < 0.8) for o in plan.orders)
    kinds = ("fine", "fine", "fine", "fussy", "nameless")
    leads = tuple(replace(lead, kind=random.choice(kinds)) if lead.kind == "fine" else lead for lead in plan.leads)
    return replace(plan, orders=orders, leads=leads)


def _with_second_chances(plan: Plan, random: Random) -> Plan:
    """People try deals again, and some of those that could not be updated can be by then. Some deals have amounts."""

    def tried(order: Order) -> Order:
        order = replace(order, amounts=not order.find and random.random() < (0.5 if order.named else 0.1))
        spans = ((5.0, 60.0), (100.0, 400.0), (1300.0, 2500.0), (4900.0, 5300.0))
        times = tuple(order.at + random.uniform(*span) for span in spans if random.random() < 0.4)
        return replace(order, deals_again=times) if (order.named or order.amounts) and random.random() < 0.6 else order

    def mended(lead: LeadPlan) -> LeadPlan:
        at_all = lead.kind == "fussy" and random.random() < 0.6
        return replace(lead, at=random.uniform(10.0, 2000.0)) if at_all else lead

    return replace(plan, orders=tuple(map(tried, plan.orders)), leads=tuple(map(mended, plan.leads)))


def _dealt_again(plan: Plan, random: Random) -> Plan:
    """A batch whose deals cannot be updated, and that a person has tried again."""
    plan = _updating(plan, random)
    leads = tuple(replace(lead, kind="fussy", at=200.0) if lead.kind == "fine" else lead for lead in plan.leads)
    first, *others = plan.orders
    first = replace(first, deals_again=(first.at + random.uniform(30.0, 60.0),), abandoned=0, cancel_at=())
    first = replace(first, amounts=not first.find)
    return replace(plan, leads=leads, orders=(first, *others))


def _updating(plan: Plan, random: Random) -> Plan:
    plan = _dealt(plan, random)
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


def _pause(plan: Plan, random: Random) -> Plan:
    return replace(plan, pauses=((random.uniform(0.0, 5.0), random.uniform(1.0, 100.0)),))


def _profiles(plan: Plan, random: Random) -> Plan:
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
        plan = _window(plan, may_not)
    return plan


def _bounded(plan: Plan, _random: Random) -> Plan:
    """Two slots of one profile that takes one lead a run: the second goes on where the first stopped."""
    ids = tuple(lead.id for lead in plan.leads)
    orders = [
        Order(f"profile-0@{slot}", ids, GOOD_STAGES[0], at, find=Find("profile-0", slot, max_leads=1))
        for slot, at in ((slot_name(EPOCH + at), at) for at in (1.0, 400.0))
    ]
    return replace(plan, orders=(*(order for order in plan.orders if not order.find), *orders))


def _cancel(plan: Plan, random: Random) -> Plan:
    first, *others = plan.orders
    at = first.at + random.uniform(0.0, 5.0)
    return replace(plan, orders=(replace(first, cancel_at=(at, at + 10.0), abandoned=0), *others))


def _invalid(plan: Plan, _random: Random) -> Plan:
    first, *others = plan.orders
    return replace(plan, orders=(replace(first, invalid=("abc",), abandoned=0), *others))


def _searching(plan: Plan, random: Random) -> Plan:
    plan = _profiles(plan, random)
    searches = (replace(o, find=replace(o.find, search=True, wrong=False)) if o.find else o for o in plan.orders)
    return replace(plan, orders=tuple(searches))


#: Ports that few histories come to, and what brings one there.
_SELDOM: dict[str, Callable[[Plan, Random], Plan]] = {
    **dict.fromkeys(("HSET", "HDEL", "DEL"), _pause),
    **dict.fromkeys(("cancel_batch", "drain_inbox", "HGETALL", "EXISTS"), _cancel),
    **dict.fromkeys(("hold_batch", "release_batch"), _hold),
    "refuse_ids": _invalid,
    "SET": _first_named,
    "read_page": _first_named,
    "update_deals": _updating,
    **dict.fromkeys(("HGET", "HMGET", "SMEMBERS"), _dealt_again),
    **dict.fromkeys(("begin_run", "claim_run", "coql", "nudge run"), _profiles),
    "move_run": _bounded,
    "search": _searching,
    "LRANGE": _searching,
    **dict.fromkeys(("take_callback", "end_callback", "call_target", "nudge call_back"), _called),
}

#: Every theme: what it makes of a plan.
THEMES: dict[str, Callable[[Plan, Random], Plan]] = {
    "calm": _calm,
    "crashes": _crashes,
    "answers": _answers,
    "jobs": _jobs,
    "bad leads": _bad_leads,
    "messages": _messages,
    "outage": _outage,
    "access": _access,
    "options": _options,
    "limits": _limits,
    "neighbour": _neighbour,
    "credits": _credits,
    "store": _store,
    "frozen": _frozen,
    "producers": _producers,
    "names": _names,
    "profiles": _profiles,
    "holds": _holds,
    "receivers": _receivers,
    "preflight": _preflight,
    "deals": _deals,
    "recovery": _outage,
}
#: Themes of histories with no other trouble: no others, and no crash.
ALONE = ("calm", "recovery")
