"""A ledger whose slot moves to another node of a Cluster: scripts are refused as a whole, and find all or nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest
from redis.cluster import RedisCluster
from redis.crc import key_slot

from massconvert.errors import StoreError
from massconvert.ledger import Ledger
from massconvert.policy import Tuning
from massconvert.store import Keys, connect, reaching, scripts
from massconvert.store.scripts import Scripts
from tests.integration.test_primaries import primary_of
from tests.servers import Shards, await_true

pytestmark = pytest.mark.integration
OwnGroup = Callable[..., Any]
KEYS = Keys("default")


def test_a_slot_that_moved_is_followed(own_group: OwnGroup) -> None:
    group = own_group(Shards)
    client = connect(group.url)
    slot = key_slot(Keys("default").prefix.encode())
    key = f"{Keys('default').prefix}k"
    with reaching(client):
        client.set(key, "v")
    source = group.owner(slot)
    target = next(port for port in group.ports[:3] if port != source)
    group.move(slot, target)
    with pytest.raises(StoreError) as caught, reaching(client):
        client.get(key)
    assert (caught.value.code, "redis+cluster" in caught.value.hint) == ("MOVED", False)
    with reaching(client):
        assert client.get(key) == "v"
    assert primary_of(client) == target
    client.close()


class Enqueuing:
    """Threads that add leads to a batch, and one that holds and releases another, again and again until ``stop``."""

    def __init__(self, client: Any) -> None:
        self.batches = Ledger(client, "default", Tuning()).batches
        self.taken, self.refusals = list[str](), set[str]()
        self._stopping = threading.Event()
        for batch in ("b", "held"):
            self.batches.open(batch, "f" * 16, {}, leads=100_000)
        works = [partial(self._add, thread) for thread in range(4)]
        self._threads = [threading.Thread(target=self._repeat, args=(work,)) for work in (*works, self._hold)]
        for thread in self._threads:
            thread.start()

    def goes_on(self) -> None:
        """Wait until more leads have been taken."""
        so_far = len(self.taken)
        await_true(lambda: len(self.taken) > so_far + 100, 20, "leads to be taken")

    def stop(self) -> None:
        """End it."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(20)

    def _repeat(self, work: Callable[[int], None]) -> None:
        for number in count():
            if self._stopping.is_set():
                return
            try:
                work(number)
            except StoreError as error:
                self.refusals.add(error.code)
                time.sleep(0.01)

    def _add(self, thread: int, number: int) -> None:
        lead = str(3652397000000000000 + 100_000 * thread + number)
        self.batches.add("b", lead, [lead])
        self.taken.append(lead)

    def _hold(self, _number: int) -> None:
        self.batches.hold("held", "")
        self.batches.release("held")


@pytest.mark.parametrize("at_once", [False, True], ids=["in steps", "at once"])
def test_leads_that_come_while_their_slot_moves_are_all_there_and_once(own_group: OwnGroup, at_once: bool) -> None:
    """There and back. A script that ran where its keys are not would know nothing of the batch."""
    group, keys = own_group(Shards), Keys("default")
    client, slot = connect(group.url), key_slot(keys.prefix.encode())
    source = group.owner(slot)
    target = next(port for port in group.ports[:3] if port != source)
    enqueuing = Enqueuing(client)
    try:
        for to in (target, source):
            enqueuing.goes_on()
            group.move_at_once(slot, to) if at_once else group.move(slot, to, steps=10, pause=0.05)
        enqueuing.goes_on()
    finally:
        enqueuing.stop()
    inbox = client.lrange(keys.batch_inbox("b"), 0, -1)
    assert len(inbox) == len(set(inbox)) == enqueuing.batches.status("b").total
    assert set(enqueuing.taken) <= set(inbox)
    assert enqueuing.refusals <= {"TRYAGAIN", "ASK", "MOVED", "UNREACHABLE", "TIMEOUT"}
    client.close()


@pytest.mark.parametrize("beside", [True, False], ids=["with a key beside", "with one key alone"])
def test_a_client_that_follows_to_the_new_node_finds_no_empty_ledger_there(
    own_group: OwnGroup, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    """Ours follows nobody; what stands between it and the Cluster may. Without the key beside, it would run there."""
    group = own_group(Shards)
    slot = key_slot(KEYS.prefix.encode())
    target = next(port for port in group.ports[:3] if port != group.owner(slot))
    source = group.begin_to_move(slot, target)
    if not beside:
        monkeypatch.setattr(scripts, "_beside", list)
    follower: Any = RedisCluster("127.0.0.1", source, decode_responses=True)
    follower.RedisClusterRequestTTL = 2  # it would try again for a second
    follower.connection_pool = connect(group.url).connection_pool  # a refusal names the server by it
    paused = partial(Scripts(follower).run, "pause_organisation", keys=[KEYS.prefix], args=[None, "stop", "ann"])
    if beside:
        with pytest.raises(StoreError):
            paused()
    else:
        paused()
    follower.close()
    there = group.node(target).execute_command("CLUSTER", "COUNTKEYSINSLOT", slot)
    assert bool(there) != beside
