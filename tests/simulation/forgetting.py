"""A Redis that forgets: what it acknowledged last is gone, as after a failover to a replica that lagged.

Every command that changed the ledger is kept. To forget, the ledger is emptied and all but the last of them are done
again; what a WAIT has made sure of is never among those that are lost. Redis then writes another history, as a real one
does (``master_replid``), and so the scripts are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from tests.simulation.plan import Order, Plan

#: Themes in whose histories Redis may forget, too.
GOES_WITH = frozenset({"crashes", "answers", "jobs", "bad leads", "messages", "frozen", "producers", "forgets"})


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

    def forget(self, chance: Random) -> int:
        """Lose some of what nobody has made sure of; return how many commands that are."""
        before = len(self._done)
        del self._done[chance.randint(self._sure, before) :]
        self._wire.forget(f"{self._prefix}*")
        if self._done:
            self._wire.calls(*self._done)
        self._sure = len(self._done)  # whoever is promoted next has at least this
        return before - len(self._done)


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
        preflight=False,
        mailed=order.mailed and replicas > 0,
        canary=0,
        calls=0,
        assignee="",
    )
