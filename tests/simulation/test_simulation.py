"""Five hundred histories hold, and together they visit every row of the decision table and every crash point."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.__main__ import tell
from tests.simulation.crew import play_seeds
from tests.simulation.draw import draw
from tests.simulation.history import play
from tests.simulation.reach import Reach
from tests.simulation.shrink import shrink
from tests.simulation.wire import Wire

HISTORIES = 500
BLOCKS = 10


@pytest.fixture
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes of one pytest run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "simulation-reach"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("block", range(BLOCKS))
def test_every_lead_ends_in_one_true_outcome_whatever_breaks(block: int, wire: Wire, together: Path) -> None:
    """The blocks share out the work; whichever comes last looks at what all of them have visited."""
    size = HISTORIES // BLOCKS
    tally = play_seeds(wire, range(block * size, (block + 1) * size))
    for seed in tally.failures:
        smaller = shrink(draw(seed), lambda plan: play(plan, wire), most=40)  # `make simulate SEED=…` has more time
        pytest.fail(tell(smaller, "", whole=False), pytrace=False)
    part = together / f"{block}.part"
    part.write_text(json.dumps(tally.reach.dump()))
    part.rename(part.with_suffix(".json"))
    parts = list(together.glob("*.json"))
    if len(parts) == BLOCKS:
        reach = Reach()
        for path in parts:
            reach.add(Reach.load(json.loads(path.read_text())))
        assert reach.histories == HISTORIES
        assert reach.missing() == []


def test_a_seed_is_a_history_and_can_be_played_again(wire: Wire) -> None:
    """The same seed, the same trace: otherwise a failure could not be looked into."""
    for seed in range(0, 60, 4):
        assert play(draw(seed), wire).trace == play(draw(seed), wire).trace


def test_an_old_primary_has_visitors(wire: Wire) -> None:
    """Some go on with it, and what they want it to keep is refused; otherwise the theme shows nothing."""
    traces = ["\n".join(play(draw(seed, "two primaries"), wire).trace) for seed in range(40)]
    assert sum("move_chunk on the old primary" in trace for trace in traces) >= 5
    assert sum("seal_batch on the old primary" in trace for trace in traces) >= 1
    assert sum("begin_send on the old primary" in trace for trace in traces) >= 1


def test_histories_without_trouble_make_the_fewest_calls(wire: Wire) -> None:
    """One POST for a full payload, and no read. The first job of all finds out how long jobs take: a few looks."""
    plan = draw(0, "calm")
    leads = tuple(lead.id for lead in draw(1, "calm").leads)[:50]
    one = replace(plan.orders[0], leads=leads, stage="Qualification", again=(), at=0.0, assignee="")
    plan = replace(
        plan, orders=(one,), leads=draw(1, "calm").leads, tuning=replace(plan.tuning, max_leads=50), slice=50
    )
    verdict = play(plan, wire)
    assert verdict.problems == []
    assert verdict.reach.calls["mass_convert"] == 1
    assert verdict.reach.calls["job_status"] <= 5
    assert verdict.reach.calls["read_leads"] == 0


def test_an_interrupted_run_says_how_far_it_came() -> None:
    """Ctrl-C goes to all processes of a terminal; one line tells what was played, and no traceback is seen."""
    command = [sys.executable, "-m", "tests.simulation", "--n", "5000", "--jobs", "1", "--theme", "calm"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True) as run:
        assert run.stderr
        said = b""
        while b" histories, " not in said:
            said += os.read(run.stderr.fileno(), 4096) or pytest.fail(said.decode())
        os.killpg(run.pid, signal.SIGINT)
        said += run.stderr.read()
        assert run.wait() == 130
    assert b" of 5,000 histories played of the seeds 0 to " in said
    assert b"Traceback" not in said
