"""A Redis that forgets: what it acknowledged last is gone, as after a failover to a replica that lagged.

Every command that changed the ledger is kept. To forget, the ledger is emptied and all but the last of them are done
again; what a WAIT has made sure of is never among those that are lost. Redis then writes another history, as a real one
does (``master_replid``), and so the scripts are told.

After a planned failover the old primary goes on for seconds, and so do those who are connected to it: it has the whole
ledger, in another database of the server. What they write there vanishes when it is demoted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tests.simulation.plan import Order, Plan
from tests.simulation.troubles import with_faults
from tests.simulation.world import Process, World

#: Themes in whose histories Redis may forget, too.
GOES_WITH = frozenset({"crashes", "answers", "jobs", "bad leads", "messages", "frozen", "producers"})
#: Themes in which it does in each history, and the one of them in which the old primary goes on.
FORGETS = ("forgets", "two primaries")
#: Seconds for which an old primary goes on in a planned failover, and for which another replica stays with it.
GOES_ON, STAYS = 11.0, 1.0


class Memory:
    """The commands that made a ledger what it is, in their order. ``on`` says whether any will be forgotten."""

    def __init__(self, wire: Any, prefix: str, *, on: bool) -> None:
        self._wire, self._prefix, self._on = wire, prefix, on
        self._done: list[Sequence[Any]] = []
        self._sure = 0

    def note(self, words: Sequence[Any]) -> None:
        """A command has been carried out."""
        if self._on:
            self._done.append(words)

    def is_sure(self) -> None:
        """Enough replicas have all that has been written so far."""
        self._sure = len(self._done)

    def forget(self, chance: Random, *, goes_on: bool) -> int:
        """Lose some of what nobody has made sure of; return how many commands that are.

        Where the old primary ``goes_on``, it keeps all of it.
        """
        before = len(self._done)
        del self._done[chance.randint(self._sure, before) :]
        (self._wire.move_beside if goes_on else self._wire.forget)(f"{self._prefix}*")
        if self._done:
            self._wire.calls(*self._done)
        self._sure = len(self._done)  # whoever is promoted next has at least this
        return before - len(self._done)


class OldPrimary:
    """A primary that was replaced, and does not know it; who was connected to it stays there for a while."""

    def __init__(self, world: World, replicas: int) -> None:
        self._world, self._of_two = world, replicas > 1
        self._chance = world.chance("two primaries")
        self._asked: dict[Process, int] = {}  # the history that each process was told of last
        self._leaves: dict[Process, float] = {}
        self._history, self._since = 0, 0.0

    def begins(self) -> None:
        """A replica is promoted now."""
        self._history, self._since = self._world.redis_history, self._world.time
        self._leaves.clear()

    def ends(self) -> None:
        """It is demoted, and all of it is gone."""
        self._history = 0

    def serves(self, history: int) -> bool:
        """Whether it is this one's, and goes on."""
        return 0 < self._history == history < self._world.redis_history

    @property
    def replicas(self) -> int:
        """How many replicas are with it still: of two, one has not heard of the new primary for a moment."""
        return int(self._of_two and self._world.time < self._since + STAYS)

    def asked_by(self, process: Process) -> int:
        """The history of the Redis that a process is connected to."""
        now = self._world.redis_history
        asked = self._asked.get(process, now)
        if not (self.serves(asked) and self._world.time < self._leaves_at(process)):
            asked = now
        self._asked[process] = asked
        return asked

    def _leaves_at(self, process: Process) -> float:
        """When it finds the new primary: at once, with the Sentinels' news, or when the old one is demoted."""
        if process not in self._leaves:
            most = self._chance.choice([0.0, 2.0, GOES_ON, GOES_ON])
            self._leaves[process] = self._since + self._chance.uniform(0.5, 1.0) * most
        return self._leaves[process]


def two_primaries(plan: Plan, random: Random) -> Plan:
    """The failovers of a forgetful history are planned ones: the old primary goes on.

    With two replicas of which one is waited for, what is acknowledged may be lost; nothing is sent twice all the same.
    """
    if not plan.store.forgets:
        return plan
    one_of_two = random.random() < 0.5
    begun = random.choice([order.at for order in plan.orders])  # work is under way a moment later
    first = begun + random.choice([random.uniform(0.0, 0.5), random.uniform(0.0, 4.0), plan.tuning.linger])
    times = (first, first + random.uniform(30.0, 90.0))[: random.choice([1, 1, 2])]
    store = replace(plan.store, forgets=times, replicas=2 if one_of_two else random.choice([1, 2]), goes_on=True)
    most = min(plan.tuning.max_leads, random.choice([1, 2, 50]))
    tuning = replace(plan.tuning, min_replicas=1 if one_of_two else None, max_leads=most, window=8, max_jobs=20)
    orders = tuple(replace(order, mailed=order.mailed and not one_of_two) for order in plan.orders)
    if random.random() < 0.5:  # between the mark and the payload lies as much as may
        plan = with_faults(
            replace(plan, mishaps=replace(plan.mishaps, freeze=0.02)), slow_sends=random.choice([0.3, 1.0])
        )
    return replace(plan, store=store, tuning=tuning, orders=orders)


def forgetful(plan: Plan, random: Random) -> Plan:
    """Redis forgets once or a few times, with a replica or without one; some batches are cancelled about then."""
    if any(order.find for order in plan.orders):  # what was found is found again, and is not to be counted
        return plan
    replicas = random.choice([0, 1, 1])
    about = random.choice([order.at for order in plan.orders])
    times = tuple(
        about + random.uniform(0.0, random.choice([2.0, 10.0, 60.0])) for _ in range(random.choice([1, 1, 2, 4]))
    )
    orders = tuple(_among(order, times[0], random, replicas=replicas) for order in plan.orders)
    rare = random.choice([0.0, 0.0, 0.3])
    store = replace(plan.store, forgets=times, replicas=replicas, too_few=rare if replicas else 0.0, full=None)
    piecemeal = random.random() < 0.3
    mishaps = plan.mishaps
    if replicas and random.random() < 0.4:
        mishaps = replace(
            mishaps, target=random.choice(["before WAIT", "after WAIT"]), target_visit=random.choice([1, 2])
        )
    return replace(
        plan,
        orders=orders,
        mishaps=mishaps,
        store=store,
        pauses=(),
        stop_at=("", 0),
        permits=10,
        slice=1 if piecemeal else plan.slice,
    )


def _among(order: Order, at: float, random: Random, *, replicas: int) -> Order:
    """An order in a history in which Redis forgets first at a time."""
    return replace(
        order,
        cancel_at=(at + random.uniform(0.0, 5.0),) if random.random() < 0.25 else order.cancel_at,
        slow=random.choice([order.slow, 0.5, 2.0]),
        holds=(),
        deals_again=(),
        named=False,
        amounts=False,
        links=(),
        preflight=False,
        mailed=order.mailed and replicas > 0,
        canary=0,
        calls=0,
        assignee="",
    )
