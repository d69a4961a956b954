"""The simulation bites: each bug that is seeded on purpose is found within a few histories."""

from __future__ import annotations

import pytest

from tests.simulation import decision_mutants, forgetful_mutants, script_mutants, step_mutants
from tests.simulation.draw import draw
from tests.simulation.history import play
from tests.simulation.seeding import Mutant
from tests.simulation.shrink import kind_of, shrink
from tests.simulation.wire import Wire

ROOMS = (decision_mutants, step_mutants, script_mutants, forgetful_mutants)
MUTANTS = [mutant for room in ROOMS for mutant in room.MUTANTS]
#: Histories within which each is found. Any change of the product shifts the histories, and what one of a hundred shows
#: must still be found. Few are played: the first that shows it is the last.
MOST = 1000


@pytest.mark.timeout(600)  # some take hundreds of histories, and machines are busy
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_seeded_bug_is_found(mutant: Mutant, wire: Wire) -> None:
    """By what it breaks, not by an accident: the judge's words are those that fit the bug."""
    with mutant.seed():
        for seed in range(MOST):
            problems = play(mutant.shaped(draw(seed, mutant.theme)), wire).problems
            if any(mutant.says in problem for problem in problems):
                return
    pytest.fail(f"{mutant.name}: not found within {MOST} histories")


def test_a_failing_history_is_shrunk_and_fails_in_the_same_way(wire: Wire) -> None:
    """What is left has one batch of a few leads."""
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "retry before look")
    with mutant.seed():
        plans = (plan for seed in range(2, 60) if len((plan := draw(seed, mutant.theme)).orders) > 1)
        failing, first = next((plan, problems[0]) for plan in plans if (problems := play(plan, wire).problems))
        verdict = shrink(failing, lambda smaller: play(smaller, wire))
    assert kind_of(first) in {kind_of(problem) for problem in verdict.problems}
    (order,) = verdict.plan.orders
    assert len(order.leads) <= 5
