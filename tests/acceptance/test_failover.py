"""The primary goes, planned or not, under load: workers, producers and waiting commands come through by themselves.

Ledger and broker are in one, behind Sentinels. Whether the other server has all that was acknowledged is another
matter.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from massconvert.contract import QUEUE, TASK_CHUNK
from massconvert.errors import BrokerError, StoreError
from tests.acceptance.broker import only_redis
from tests.acceptance.door import Door
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.street import BACK, LOST, POST, WITHIN, Street
from tests.acceptance.truth import assert_true, outcomes_of
from tests.servers import Watched, await_true

pytestmark = [pytest.mark.acceptance, only_redis, pytest.mark.slow]

#: Milliseconds after which Sentinels act: so long that a busy machine does not set them off.
DOWN = 3000
SECRETS = ("of-the-nodes", "of-the-sentinels")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="drops packets as Linux can")


class Apart(Watched):
    """Each of them on a host of its own, which may vanish: others reach it through a door."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.doors: dict[int, Door] = {}
        super().__init__(folder, behind=self._door, **settings)

    def _door(self, port: int) -> int:
        door = Door(f"redis://127.0.0.1:{port}")
        self.doors[door.port] = door
        return door.port

    def vanish(self, *ports: int) -> None:
        """Drop from now on what is sent to these ports, without a word."""
        self.gone |= {*ports}
        for port in ports:
            self.doors[port].vanish()

    def come_back(self) -> None:
        """Have all of them answer again."""
        for port in self.gone:
            self.doors[port].come_back()
        self.gone.clear()

    def close(self) -> None:
        """End them all."""
        super().close()
        for door in self.doors.values():
            door.close()


class Watching(Street):
    """Behind Sentinels, which serve the broker as well."""

    def __init__(self, house: House, group: Watched, spare: int = 0) -> None:
        self.group = group
        house.environment["REDIS_URL"] = group.url
        super().__init__(house, spare=spare)
        self.before = group.primary()

    def goes_on(self) -> None:
        """Wait for another primary that takes writes; then work must go on, and each worker be connected."""
        after = self.group.await_other(self.before)
        await_true(lambda: self.group.node(after).set("probe", "x", px=1000), 60, "it to take writes")
        since = time.monotonic()
        self.moves_on()
        self.await_connected(WITHIN)
        assert time.monotonic() - since < WITHIN

    def ends_well(self) -> None:
        """Nobody told a secret, either."""
        super().ends_well()
        assert not any(secret in self.house.logs() for secret in SECRETS)


@pytest.fixture
def street(house: House, own_group: Callable[..., Any]) -> Watching:
    """Passwords for the nodes and for the Sentinels, each of its own."""
    group = own_group(Watched, password=SECRETS[0], sentinel_password=SECRETS[1], down_after=DOWN)
    return Watching(house, group, spare=1)


@pytest.mark.timeout(360)
def test_a_primary_that_is_killed(street: Watching) -> None:
    street.group.kill(street.before)
    street.goes_on()
    assert street.house.producer().enqueue(street.spare, options=OPTIONS, key="afterwards").accepted == 1
    street.ends_well()
    assert street.lines("one") == [LOST, BACK]


@pytest.mark.timeout(360)
def test_a_primary_that_is_killed_where_all_speak_tls(
    house: House, own_group: Callable[..., Any], tls: tuple[Path, Path]
) -> None:
    street = Watching(house, own_group(Watched, password=SECRETS[0], down_after=DOWN, tls=tls))
    street.group.kill(street.before)
    street.goes_on()
    street.ends_well()


@pytest.mark.timeout(360)
def test_a_primary_that_is_killed_while_its_replicas_lack_payloads_that_it_sent(
    house: House, own_group: Callable[..., Any]
) -> None:
    """Nobody waits for replicas here, so all that tells of the loss is that another history begins."""
    # Two calls at a time: there is work to send all the time.
    house.environment |= {"MASSCONVERT_MIN_REPLICAS": "0", "ZOHO_CONCURRENCY": "2"}
    street = Watching(house, own_group(Watched, down_after=DOWN))
    street.group.cut_off(street.before)
    sent = house.calls(POST)
    until(lambda: house.calls(POST) >= sent + 3, 30, "payloads of which the replicas do not know")
    street.group.kill(street.before)
    street.goes_on()
    street.ends_well()


@pytest.mark.timeout(360)
def test_a_primary_that_is_killed_while_its_replicas_lag_has_acknowledged_nothing_that_they_lack(
    house: House, own_group: Callable[..., Any]
) -> None:
    """All wait for replicas: an app is told, no payload goes out, and enqueuing with the same key goes on later."""
    street = Watching(house, own_group(Watched, down_after=DOWN), spare=50)
    street.group.cut_off(street.before)
    with pytest.raises(StoreError, match="too few replicas have it"):
        house.producer().enqueue(street.spare, options=OPTIONS, key="not-safe")
    until(lambda: "Too few replicas of Redis have what is written" in house.logs(), 30, "a payload that is held back")
    street.group.kill(street.before)
    street.goes_on()
    batch = house.producer().enqueue(street.spare, options=OPTIONS, key="not-safe")
    assert batch.wait(timeout=120).converted == len(street.spare)
    assert_true(house, outcomes_of(batch))
    street.ends_well()


@pytest.mark.timeout(360)
def test_a_primary_that_is_frozen_leaves_no_worker_deaf(street: Watching) -> None:
    """Its connections stay open: only who asks for an answer in time finds out. It wakes up, and nobody minds."""
    street.group.signal(street.before, signal.SIGSTOP)
    street.goes_on()
    street.group.signal(street.before, signal.SIGCONT)
    street.ends_well()


@pytest.mark.timeout(360)
@on_linux
def test_a_host_that_vanishes_with_a_sentinel_and_comes_back(house: House, own_group: Callable[..., Any]) -> None:
    """A cut cable: nothing is refused, nothing is acknowledged. An app that lives on finds the other primary, too.

    As it comes back, the old primary gets what kernels had sent to it again and again, and acts upon it.
    """
    group = own_group(Apart, password=SECRETS[0], sentinel_password=SECRETS[1], down_after=DOWN)
    street, app = Watching(house, group, spare=2), house.producer()
    app.enqueue(street.spare[:1], options=OPTIONS, key="before")
    group.vanish(street.before, group.sentinels[0])

    def takes() -> bool:
        try:
            app.enqueue(street.spare[1:], options=OPTIONS, key="afterwards")
        except (BrokerError, StoreError):
            return False
        return True

    street.goes_on()
    await_true(takes, WITHIN, "the app to be served")
    group.come_back()
    street.ends_well()
    for key in ("before", "afterwards"):
        assert app.batch(key).wait(timeout=60).converted == 1


@pytest.mark.timeout(360)
def test_a_failover_that_was_planned(house: House, own_group: Callable[..., Any]) -> None:
    """Replicas are demanded, so that the old primary takes nothing that would then be lost."""
    street = Watching(house, own_group(Watched, data="--min-replicas-to-write 2", down_after=DOWN))
    street.group.ask(street.group.sentinels[0]).execute_command("SENTINEL FAILOVER", Watched.service)
    street.goes_on()
    street.ends_well()


@pytest.mark.timeout(360)
def test_a_failover_that_was_planned_while_two_primaries_take_writes(street: Watching) -> None:
    """Without `min-replicas-to-write` the old one goes on for ten seconds, and all that it takes is thrown away."""
    street.group.ask(street.group.sentinels[0]).execute_command("SENTINEL FAILOVER", Watched.service)
    street.goes_on()
    street.ends_well()


@pytest.mark.timeout(360)
def test_a_primary_that_is_demoted_by_hand_beside_its_sentinels(street: Watching) -> None:
    """They go on to name it, and nobody else takes writes, until somebody promotes it again."""
    demoted = street.group.node(street.before)
    demoted.replicaof("127.0.0.1", str(street.group.nodes[1]))
    time.sleep(6)  # so long it is seen to be wrong by whoever did it; the Sentinels need half a minute
    demoted.replicaof("NO", "ONE")
    await_true(lambda: demoted.set("probe", "x", px=1000), 10, "it to take writes")
    since = time.monotonic()
    street.moves_on()
    street.await_connected(WITHIN)
    assert time.monotonic() - since < WITHIN
    street.ends_well()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["frozen", pytest.param("vanished", marks=on_linux)])
def test_an_idle_worker_hears_again_after_its_primary_froze_or_vanished(
    house: House, own_group: Callable[..., Any], how: str
) -> None:
    """Nothing but an overdue answer tells it."""
    group = own_group(Watched if how == "frozen" else Apart)
    house.environment |= {"REDIS_URL": group.url, "MASSCONVERT_SWEEP_INTERVAL": "600", "MASSCONVERT_LOG_LEVEL": "DEBUG"}
    house.simulator("--leads", "1")
    house.worker()
    before = group.primary()
    if how == "frozen":
        group.signal(before, signal.SIGSTOP)
    else:
        group.vanish(before)
    after = group.await_other(before)
    since = time.monotonic()
    house.begin_reading()
    with Celery(broker=f"redis://127.0.0.1:{after}/0", set_as_current=False) as app:
        app.send_task(TASK_CHUNK, queue=QUEUE, ignore_result=True)
    until(lambda: group.node(after).llen(QUEUE) == 0 and TASK_CHUNK in house.log(), WITHIN, "the message to be taken")
    assert time.monotonic() - since < WITHIN
    if how == "frozen":
        group.signal(before, signal.SIGCONT)
