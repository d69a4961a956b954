"""Those who want to know that a batch has finished: they may be away, and may hear a call without saying so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from massconvert.on_complete.targets import Target, TaskTarget
from tests.simulation.plan import CallFaults
from tests.simulation.world import World

#: ``tell(batch, number of the target, summary)``: a call has been heard.
Tell = Callable[[str, int, Mapping[str, Any]], None]


class Receivers:
    """What the product takes for its `Caller`. The number of a batch's target is the argument of its task."""

    def __init__(self, world: World, faults: CallFaults, tell: Tell) -> None:
        self._world = world
        self._faults = faults
        self._tell = tell
        self._chance = world.chance("receivers")
        self.failed_at: dict[tuple[str, int], float] = {}  # the last call that did not come through

    def call(self, target: Target, summary: Mapping[str, Any]) -> str:
        """Hear a call, or not; say so, or not."""
        assert isinstance(target, TaskTarget)
        batch, number = str(summary["batch"]), int(target.args[0])
        self._world.stop("before call_target")
        faults = self._faults if self._world.troubled else CallFaults()
        if self._chance.random() < faults.slow:
            self._world.sleep(self._chance.uniform(0.0, 150.0))
        fate = self._chance.random()
        heard = fate >= faults.deaf
        if heard:
            self._world.note(f"   {batch}: target {number} is told")
            self._tell(batch, number, summary)
        self._world.stop("after call_target")
        if not heard or self._chance.random() < faults.silent:
            self._world.note(f"   {batch}: target {number} {'heard' if heard else 'did not hear'}, and the call failed")
            self.failed_at[batch, number] = self._world.time
            return "no answer"
        return ""
