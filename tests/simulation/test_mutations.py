"""The simulation bites: each bug that is seeded on purpose is found within a few histories."""

from __future__ import annotations

import pytest

from tests.simulation.history import play
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.plan import draw
from tests.simulation.shrink import kind_of, shrink
from tests.simulation.store_port import Wire


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_seeded_bug_is_found(mutant: Mutant, wire: Wire) -> None:
    """By what it breaks, not by an accident: the judge's words are those that fit the bug."""
    with mutant.seed():
        for seed in range(mutant.within):
            problems = play(draw(seed, mutant.theme), wire).problems
            if any(mutant.says in problem for problem in problems):
                return
    pytest.fail(f"{mutant.name}: not found within {mutant.within} histories")


def test_a_failing_history_is_shrunk_and_fails_in_the_same_way(wire: Wire) -> None:
    """What is left has one batch of a few leads, where chance does not stand in the way."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "retry before look")
    with mutant.seed():
        failing = [plan for plan in (draw(seed, mutant.theme) for seed in range(60)) if play(plan, wire).problems][:4]
        firsts = [kind_of(play(plan, wire).problems[0]) for plan in failing]
        verdicts = [shrink(plan, lambda smaller: play(smaller, wire)) for plan in failing]
    for first, verdict in zip(firsts, verdicts, strict=True):
        assert first in {kind_of(problem) for problem in verdict.problems}
    smallest = min(verdicts, key=lambda verdict: sum(len(order.leads) for order in verdict.plan.orders))
    assert len(smallest.plan.orders) == 1
    assert len(smallest.plan.orders[0].leads) <= 4
