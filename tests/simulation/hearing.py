"""What is told of the leads: to those who want to know that a batch has finished, and on the stream of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from massconvert.ledger import Ledger
from massconvert.model import Kind, Outcome
from tests.simulation.plan import Plan
from tests.simulation.wire import Wire
from tests.simulation.world import World


class Hearing:
    """Holds what is told to what was seen: ``outcomes`` are those that the judge has seen written."""

    def __init__(
        self, plan: Plan, world: World, wire: Wire, prefix: str, outcomes: Mapping[tuple[str, str], Outcome]
    ) -> None:
        self._plan = plan
        self._world = world
        self._wire = wire
        self._prefix = prefix
        self._outcomes = outcomes
        self._told: dict[tuple[str, int], list[dict[str, int]]] = {}  # what each target has heard, in any order

    def told(self, batch: str, number: int, summary: Mapping[str, Any]) -> None:
        """Somebody is told of a batch: it has finished, and what is said of it is what we have seen."""
        counts = {kind.value: int(summary[kind.value]) for kind in Kind}
        seen = Counter(outcome.kind.value for (of, _), outcome in self._outcomes.items() if of == batch)
        if summary["state"] not in ("finished", "cancelled") or sum(counts.values()) != summary["total"]:
            self._world.wrong(f"target {number} is told of {batch}, which has not finished: {dict(summary)}")
        if any(counts[kind] > seen[kind] for kind in counts):
            self._world.wrong(f"target {number} is told that {batch} has {counts}, and it has {dict(seen)}")
        self._told.setdefault((batch, number), []).append(counts)

    def events_are_outcomes(self) -> None:
        """At the end: the stream has told of each outcome, once, and of nothing else."""
        told: Counter[tuple[str, str, str, str]] = Counter()
        for _, flat in self._wire.call("XRANGE", f"{self._prefix}events", "-", "+"):
            event = dict(zip(flat[::2], flat[1::2], strict=True))
            told[event["batch"], event["lead"], event["outcome"], event["code"]] += 1
        have = {(batch, lead, o.kind.value, o.code) for (batch, lead), o in self._outcomes.items()}
        for what in sorted(have ^ told.keys()):
            self._world.wrong(f"the events {'tell' if what in told else 'do not tell'} of {what}")
        for what, times in told.items():
            if times > 1:
                self._world.wrong(f"the events tell {times} times of {what}")

    def everybody_told(self, ledger: Ledger, failed_at: Mapping[tuple[str, int], float]) -> None:
        """At the end: everybody has heard of the last counts, but for those who did not answer for all our patience."""
        for order in self._plan.orders:
            # A profile's run has nobody to call.
            if order.find or not order.calls or not self._wire.call("EXISTS", f"{self._prefix}batch:{order.batch}"):
                continue
            status = ledger.batches.status(order.batch)
            counts = {kind.value: getattr(status, kind.value) for kind in Kind}
            for number in range(1, order.calls + 1):
                patience = (status.finished_at or 0.0) + self._plan.tuning.give_up - 1.0
                given_up = failed_at.get((order.batch, number), 0.0) >= patience
                if counts not in self._told.get((order.batch, number), []) and not given_up:
                    self._world.wrong(f"target {number} of {order.batch} was never told that it has {counts}")
