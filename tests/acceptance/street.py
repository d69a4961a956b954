"""A house whose ledger goes from one server to another: two workers under load, and a command that watches."""

from __future__ import annotations

import sys
from contextlib import suppress

from massconvert import Batch
from massconvert.errors import StoreError
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, outcomes_of

POST = "POST mass_convert"
#: Seconds after there is a primary that takes writes in which all must go on.
WITHIN = 15.0
LOST, BACK = "Connection to broker lost", "The broker is back"


class Street:
    """``leads`` that are under way, in a house whose environment leads to a group of servers; ``spare`` are not.

    A payload of which nothing is known any more is tried again, or looked at, after 16 s and 2 s.
    """

    def __init__(self, house: House, leads: int = 600, spare: int = 0) -> None:
        self.house = house
        house.environment |= {"MASSCONVERT_CALL_DEADLINE": "3", "MASSCONVERT_PERMIT_WAIT": "0"}
        house.environment |= {"MASSCONVERT_JOB_WAIT": "2", "MASSCONVERT_SWEEP_INTERVAL": "2"}
        house.simulator("--leads", str(leads + spare), "--job-seconds", "0.5", "--latency", "1")
        self.workers = {name: house.worker(name) for name in ("one", "two")}
        given = house.leads()
        self.leads, self.spare = given[:leads], given[leads:]
        self.batch: Batch = house.producer().enqueue(self.leads, options=OPTIONS)
        command = (sys.executable, "-m", "massconvert", "status", self.batch.id, "--watch")
        self.watching = house.run(*command, name="watching")
        until(lambda: house.log("watching"), 40, "the watching command")  # a first look that fails is told at once
        until(lambda: house.calls(POST) > 1, 30, "the load")

    def moves_on(self, within: float = WITHIN) -> None:
        """Wait until work goes on.

        Payloads are sent, or leads end. What a worker held as it lost the old primary waits for its lease to end, and
        what was sent before is looked at later.
        """
        seen = self.moved()
        until(lambda: self.moved() > seen, within, "work to go on")

    def moved(self) -> int:
        """How many payloads were sent, and how many leads have ended, as the ledger has it while it has a primary."""
        with suppress(StoreError):
            return self.house.calls(POST) + self.batch.progress().ended
        return 0

    def await_connected(self, seconds: float) -> None:
        """Wait until no worker is without its broker."""
        until(lambda: all(self.lines(name)[-1:] != [LOST] for name in self.workers), seconds, "both to be connected")

    def lines(self, name: str) -> list[str]:
        """What a worker's log says about the broker, in order."""
        words = (LOST, BACK)
        return [word for line in self.house.log(name).splitlines() for word in words if word in line]

    def ends_well(self) -> None:
        """All leads have one true outcome; nobody died, and nobody was long-winded."""
        self.batch.wait(timeout=240)
        rows = outcomes_of(self.batch)
        assert set(rows) == set(self.leads)
        assert all(row["outcome"] == "converted" for row in rows.values())
        assert_true(self.house, rows)
        until(lambda: self.watching.poll() is not None, 20, "the watching command to end")
        assert self.watching.returncode == 0, self.house.log("watching")
        self.await_connected(60)  # an old primary that woke up ends the connections that it still had
        assert "Traceback" not in self.house.logs()
        for name, process in self.workers.items():
            assert process.poll() is None, self.house.log(name)
            assert self.lines(name) == [LOST, BACK] * (len(self.lines(name)) // 2), self.house.log(name)
