"""Several histories at once in one process: while one waits for Redis others go on, and their commands travel together.

A history makes some thousand round trips, and what a round trip costs is mostly two processes that wake each other. So
each history has a greenlet and a *seat*, which it takes for its wire. A seat keeps what its history wants to know, and
lets the next one go on; when all of them wait, one round trip serves them all. Each has an account of its own in Redis,
so none sees what another one does, and a seed's history is the same as if it were played alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]  # it ships no types

from massconvert.producer import intake
from tests.simulation.history import History, Verdict, virtual_waits
from tests.simulation.plan import Plan
from tests.simulation.wire import Command, Wire

#: Histories at once.
WIDTH = 16


class Seat(Wire):
    """What a history takes for its wire, while it is played with others."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._hub = getcurrent()
        self.asked: Sequence[Command] = ()
        self._asker: Any = None
        self._slice = 0

    def begin(self, plan: Plan) -> Verdict | None:
        """Play a history until it asks for something; its verdict, when it has come to its end."""
        self._slice, self._asker = plan.slice, greenlet(lambda: History(plan, self).play())
        return self.go_on()

    def go_on(self, *answers: Any) -> Verdict | None:
        """Hand over the answers to what it asked, and let it go on."""
        intake.SLICE = self._slice  # see `history.small_slices`
        return self._asker.switch(*answers)  # type: ignore[no-any-return]  # `play` returns a verdict, `exchange` None

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Have the commands travel with those of others."""
        self.asked, self._asker = commands, getcurrent()
        return self._hub.switch(None)  # type: ignore[no-any-return]  # what `go_on` is given

    def script(self, text: str) -> str:
        """Scripts are the same for all."""
        return self._wire.script(text)

    def close(self) -> None:
        """The connection is that of all."""


def play_together(plans: Iterable[Plan], wire: Wire) -> Iterator[Verdict]:
    """Play the histories of these plans; yields the verdicts as they come."""
    waiting, slices = iter(plans), intake.SLICE
    free, busy = [Seat(wire) for _ in range(WIDTH)], list[Seat]()
    try:
        with virtual_waits():
            while True:
                while free and (plan := next(waiting, None)):
                    seat = free.pop()
                    busy.append(seat)
                    seat.begin(plan)  # which asks for something
                if not busy:
                    return
                answers = iter(wire.exchange([command for seat in busy for command in seat.asked]))
                for seat in busy.copy():
                    if verdict := seat.go_on([next(answers) for _ in seat.asked]):
                        busy.remove(seat)
                        free.append(seat)
                        yield verdict
    finally:
        intake.SLICE = slices
