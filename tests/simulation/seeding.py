"""How a plausible bug is seeded: if the simulation does not find these, its green means nothing.

Each is a mistake that somebody could make in good faith, and most of them pass every test in which nothing breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from massconvert.model import Chunk, Next, State
from massconvert.steps import advance
from massconvert.steps.ports import Ports
from massconvert.store import scripts
from tests.simulation.plan import Plan
from tests.simulation.troubles import with_faults
from tests.simulation.world import Mishaps

Seeded = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Mutant:
    """A bug, how it is seeded, the theme that provokes it, and what the judge says.

    ``shaped`` changes the plans of the theme for a bug that too few of them provoke.
    """

    name: str
    seed: Seeded
    theme: str
    says: str
    shaped: Callable[[Plan], Plan] = lambda plan: plan


def in_lua(script: str, old: str, new: str) -> Seeded:
    """A bug in a script: ``old`` stands in it once, and becomes ``new``."""

    @contextmanager
    def seeded() -> Iterator[None]:
        original = scripts.source
        assert original(script).count(old) == 1, f"{script}.lua has changed: fix this mutant"

        def source(name: str) -> str:
            return original(name).replace(old, new) if name == script else original(name)

        with patch.object(scripts, "source", source):
            yield

    return seeded


def both(first: Seeded, second: Seeded) -> Seeded:
    """A bug that takes two: each place alone would make up for the other."""

    @contextmanager
    def seeded() -> Iterator[None]:
        with first(), second():
            yield

    return seeded


def in_python(where: Any, name: str, new: Any) -> Seeded:
    """A bug in a function: ``where.name`` becomes ``new``."""
    return lambda: patch.object(where, name, new)


def in_step(state: State, step: Callable[[Ports, Chunk], Next]) -> Seeded:
    """A bug in the step that a state asks for."""
    return lambda: patch.dict(advance._STEPS, {state: step})


def converted_just_before(plan: Plan) -> Plan:
    """People convert some of the leads before their payload reaches Zoho, which takes it and counts them as failed."""
    first = plan.orders[0].at
    leads = tuple(replace(lead, kind="by hand", at=first) if n % 2 else lead for n, lead in enumerate(plan.leads))
    return with_faults(replace(plan, leads=leads), names="counted")


def converted_just_before_it_was_lost(plan: Plan, seconds: float = 20.0) -> Plan:
    """Likewise, this many seconds before, and the answers to many payloads are lost, with and without the worker."""
    shaped = with_faults(converted_just_before(plan), shares=(("after", 0.3),))
    orders = tuple(replace(order, at=order.at + seconds) for order in plan.orders)
    return replace(shaped, orders=orders, mishaps=Mishaps(crash=0.01))


def asleep_before_the_payload(plan: Plan) -> Plan:
    """A worker's machine stands still for longer than its lease when it has written ahead that it sends."""
    mishaps = replace(plan.mishaps, target="after begin_send", target_visit=1, target_sleeps=plan.tuning.lease + 25.0)
    return replace(plan, mishaps=mishaps)
