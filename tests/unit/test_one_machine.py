"""``convert`` on one machine does not wait for ever where Zoho refuses it, or cannot be reached."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from massconvert.cli.one_machine import Reach, in_background
from massconvert.errors import ZohoError
from massconvert.model import BatchState, BatchStatus, Pause
from massconvert.policy import HoldKind
from massconvert.settings import Settings
from massconvert.zoho.standing import Held

OUTAGE = "Zoho gives no usable answer: HTTP 502"


class World:
    """What the ledger shows, and the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pause: Pause | None = None
        self.hold: Held | None = None
        self.token_trouble: str | None = None
        self.asked = 0
        self.says: str | Exception = ""
        self.desk: Any = SimpleNamespace(
            settings=Settings(unreachable_after=60),
            ledger=SimpleNamespace(organisation=SimpleNamespace(paused=lambda: self.pause)),
            standing=lambda: SimpleNamespace(hold=self.hold),
            redis=SimpleNamespace(get=lambda _key: self.token_trouble, pttl=lambda _key: 5000),
        )

    def probe(self) -> str:
        """Ask Zoho."""
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says

    def reach(self, told: str = "") -> Reach:
        """Watch from now on."""
        return Reach(self.desk, told, probe=self.probe, monotonic=lambda: self.now)


def status(sent: int = 0, converted: int = 0, held: str = "") -> BatchStatus:
    """A batch of a hundred leads."""
    return BatchStatus(
        batch="b", state=BatchState.RUNNING, total=100, waiting=100 - sent - converted, sent=sent, converted=converted,
        failed=0, skipped=0, cancelled=0, sealed=True, created_at=0.0, finished_at=None, held=held,
        account="default",
    )  # fmt: skip


def pass_time(world: World, reach: Reach, seconds: float, seen: BatchStatus) -> None:
    """Look once a second."""
    for _ in range(int(seconds)):
        world.now += 1
        reach.demand(seen)


@pytest.fixture
def world() -> World:
    return World()


def test_a_refusal_that_only_a_person_can_fix_ends_it_at_once(world: World) -> None:
    world.pause = Pause("Zoho answered invalid_code", "invalid_code", "Check A, then: massconvert resume", 0.0)
    with pytest.raises(ZohoError, match="invalid_code") as told:
        world.reach().demand(status())
    assert told.value.hint.startswith("Check A, then give the same command again")
    assert "Nothing is lost" in told.value.hint


def test_a_pause_by_a_person_is_waited_for(world: World) -> None:
    world.pause = Pause("it was paused by hand", "", "", 0.0)
    pass_time(world, world.reach(), 600, status())


def test_an_outage_ends_it_when_the_patience_is_over(world: World) -> None:
    world.hold = Held(HoldKind.OUTAGE, OUTAGE, 0.0, 1.0)
    reach = world.reach()
    pass_time(world, reach, 59, status())
    with pytest.raises(ZohoError, match=r"no usable answer for 1 min 00 s: .*HTTP 502"):
        pass_time(world, reach, 3, status())


def test_what_was_told_before_is_not_told_again(world: World) -> None:
    world.hold = Held(HoldKind.OUTAGE, OUTAGE, 0.0, 1.0)
    with pytest.raises(ZohoError) as told:
        pass_time(world, world.reach(f"not checked: {OUTAGE}"), 90, status())
    assert told.value.message == "Zoho has given no usable answer for 1 min 00 s."


def test_no_access_token_is_an_outage_too(world: World) -> None:
    world.token_trouble = json.dumps({"why": "no token", "code": "", "detail": "accounts.zoho.eu gave no answer"})
    with pytest.raises(ZohoError, match=r"accounts\.zoho\.eu gave no answer"):
        pass_time(world, world.reach(), 90, status())


def test_progress_starts_the_patience_anew(world: World) -> None:
    world.hold = Held(HoldKind.OUTAGE, OUTAGE, 0.0, 1.0)
    reach = world.reach()
    for converted in range(0, 100, 10):
        pass_time(world, reach, 50, status(converted=converted))


def test_credits_that_are_used_up_are_waited_for(world: World) -> None:
    world.hold = Held(HoldKind.CREDITS, "100 credits are left", 0.0, 1.0)
    pass_time(world, world.reach(), 600, status())


def test_where_nobody_tries_zoho_is_asked_now_and_then(world: World) -> None:
    world.says = "connection refused"
    with pytest.raises(ZohoError, match="connection refused"):
        pass_time(world, world.reach(), 90, status())
    assert 2 <= world.asked <= 5


def test_jobs_that_take_long_are_waited_for_while_zoho_answers(world: World) -> None:
    pass_time(world, world.reach(), 600, status(sent=100))
    assert world.asked <= 41


def test_what_the_probe_is_refused_ends_it(world: World) -> None:
    world.says = ZohoError("invalid_client")
    with pytest.raises(ZohoError, match="invalid_client"):
        pass_time(world, world.reach(), 45, status())


def test_a_canary_that_waits_for_somebody_is_no_outage(world: World) -> None:
    world.says = "connection refused"
    pass_time(world, world.reach(), 600, status(held="canary"))


def test_what_is_asked_in_the_background_comes_later() -> None:
    assert in_background(lambda: "refused").result(10) == "refused"
