"""Never over the limit, and close to it: forty threads and a real Redis. By the governor's public face only."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from massconvert.errors import StoreError
from massconvert.model import Busy, Call, Refused
from massconvert.policy import Permit
from massconvert.store import Keys, connect
from massconvert.zoho.answers import Body
from massconvert.zoho.edition import MAX_POSTS
from massconvert.zoho.governor import Governor
from massconvert.zoho.standing import Standing, read_standing
from tests.servers import RedisServer
from tests.stand_ins import Clock

pytestmark = pytest.mark.integration

THREADS = 40
LEASE = 75.0
CALL = 0.01  # seconds of a call: long enough for one too many to be seen


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(redis_url: str, account: str, clock: Clock) -> Callable[..., Governor]:
    """A governor of the account, as each worker process has one: ``make(limit=5, wait=0.0)``."""

    def made(*, limit: int, wait: float = 0.0) -> Governor:
        return Governor(
            connect(redis_url),
            Keys(account),
            clock,
            limit=limit,
            ask_org=lambda: Body({}),
            wait=wait,
            lease=LEASE,
        )

    return made


@pytest.fixture
def standing(redis_url: str, account: str, clock: Clock) -> Callable[[], Standing]:
    """How the account's permits stand."""
    return lambda: read_standing(connect(redis_url), Keys(account), clock, None)


class Zoho:
    """Counts the calls that run at once. The first ones last until as many run as ever may."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._full = threading.Event()
        self._lock = threading.Lock()
        self._running: Counter[Call] = Counter()
        self.most = self.most_posts = self.calls = 0

    def call(self, kind: Call) -> None:
        with self._lock:
            self._running[kind] += 1
            self.calls += 1
            self.most = max(self.most, sum(self._running.values()))
            self.most_posts = max(self.most_posts, self._running[Call.POST])
            if self.most == self._most:
                self._full.set()
        self._full.wait(10)
        threading.Event().wait(CALL)
        with self._lock:
            self._running[kind] -= 1


def hammer(make: Callable[..., Governor], limit: int, kinds: list[Call], rounds: int = 5) -> Zoho:
    """Forty threads over four governors, each making calls as fast as it gets permits."""
    zoho, governors = Zoho(limit), [make(limit=limit, wait=20.0) for _ in range(4)]
    start = threading.Barrier(THREADS)
    refused: list[Busy] = []

    def work(number: int) -> None:
        governor, kind = governors[number % 4], kinds[number % len(kinds)]
        start.wait(20)
        for _ in range(rounds):
            permit = governor.acquire(kind)
            if isinstance(permit, Busy):
                refused.append(permit)
                return
            zoho.call(kind)
            governor.release(permit)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert refused == []
    assert zoho.calls == THREADS * rounds
    return zoho


def test_forty_threads_never_hold_more_than_the_limit_and_reach_it(
    make: Callable[..., Governor], standing: Callable[[], Standing]
) -> None:
    assert hammer(make, 5, [Call.POST, Call.STATUS, Call.READ]).most == 5
    assert standing().held == 0


def test_posts_never_exceed_their_own_limit_and_leave_room_for_other_calls(
    make: Callable[..., Governor], standing: Callable[[], Standing]
) -> None:
    """Thirty threads post, ten ask: of twenty permits, ten are for posts."""
    limit = MAX_POSTS + THREADS // 4
    zoho = hammer(make, limit, [Call.POST, Call.POST, Call.POST, Call.STATUS])
    assert (zoho.most_posts, zoho.most) == (MAX_POSTS, limit)
    assert (standing().held, standing().posts) == (0, 0)


def test_a_permit_that_is_given_back_wakes_one_who_waits(make: Callable[..., Governor]) -> None:
    first, second = make(limit=1), make(limit=1, wait=20.0)
    held = first.acquire(Call.READ)
    assert isinstance(held, Permit)
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(second.acquire(Call.READ)))
    waiting.start()
    first.release(held)
    waiting.join(20)
    assert isinstance(got[0], Permit)


def test_the_permit_of_a_dead_holder_returns_when_its_lease_ends(
    make: Callable[..., Governor], clock: Clock, standing: Callable[[], Standing]
) -> None:
    governor = make(limit=5)
    held = [governor.acquire(Call.POST) for _ in range(5)]
    assert all(isinstance(permit, Permit) for permit in held)
    assert isinstance(governor.acquire(Call.READ), Busy)
    clock.time += LEASE - 0.1
    assert isinstance(governor.acquire(Call.READ), Busy)
    clock.time += 0.2
    assert isinstance(governor.acquire(Call.READ), Permit)
    assert (standing().held, standing().posts) == (1, 0)


def test_a_holder_that_comes_back_after_its_lease_takes_no_permit_from_others(
    make: Callable[..., Governor], clock: Clock
) -> None:
    governor = make(limit=1)
    late = governor.acquire(Call.POST)
    assert isinstance(late, Permit)
    clock.time += LEASE + 1
    assert isinstance(governor.acquire(Call.POST), Permit)
    governor.release(late)
    assert isinstance(governor.acquire(Call.POST), Busy)


def test_a_closed_gate_lets_nobody_through_and_opens_by_itself(make: Callable[..., Governor], clock: Clock) -> None:
    governor, other = make(limit=5), make(limit=5)
    permits = [governor.acquire(Call.READ), governor.acquire(Call.READ)]
    for permit, wait in zip(permits, (30.0, 5.0), strict=True):  # the shorter one does not open it sooner
        assert isinstance(permit, Permit)
        governor.release(permit, Refused(429, "TOO_MANY_REQUESTS", "slow down", retry_after=wait))
    busy = other.acquire(Call.READ)
    assert isinstance(busy, Busy)
    assert 29.0 < busy.in_seconds <= 30.0
    assert "Zoho answered 429" in busy.why
    clock.time += 29.9
    assert isinstance(governor.acquire(Call.READ), Busy)
    clock.time += 0.2
    assert isinstance(governor.acquire(Call.READ), Permit)


def test_what_could_not_be_given_back_is_so_when_redis_is_there_again(
    own_redis: Callable[..., RedisServer], account: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """A failover found ten calls under way: no other was made before their leases had ended, a minute later."""
    server = own_redis("--appendonly", "yes", "--appendfsync", "always")
    client = connect(server.tcp_url)
    governor = Governor(client, Keys(account), clock, limit=2, ask_org=lambda: Body({}), wait=0.0, lease=LEASE)
    held = [governor.acquire(Call.READ), governor.acquire(Call.POST)]
    server.kill()
    for permit in held:
        assert isinstance(permit, Permit)
        assert governor.release(permit, Refused(429, "TOO_MANY_REQUESTS", "")) is None
    with pytest.raises(StoreError):
        governor.acquire(Call.READ)
    server.start()
    assert isinstance(governor.acquire(Call.READ), Permit)
    assert isinstance(governor.acquire(Call.POST), Permit)
    assert isinstance(governor.acquire(Call.READ), Busy)
    assert len([record for record in caplog.records if "given back later" in record.message]) == 2
    client.close()


def test_what_a_replaced_primary_took_back_does_not_stand_until_its_lease_ends(
    make: Callable[..., Governor], account: str, redis_url: str
) -> None:
    """It acknowledged that the calls had ended, and the one that is now has not heard of it."""
    redis, keys, governor = connect(redis_url), Keys(account), make(limit=2)
    redis.hset(keys.history, "id", "a" * 40)
    held = [governor.acquire(Call.POST), governor.acquire(Call.READ)]
    stand = {name: redis.zrange(getattr(keys, name), 0, -1, withscores=True) for name in ("permits", "permits_post")}
    for permit in held:
        assert isinstance(permit, Permit)
        governor.release(permit)
    for name, permits in stand.items():
        redis.zadd(getattr(keys, name), dict(permits))
    assert isinstance(governor.acquire(Call.READ), Busy)  # these calls may run: nobody has said that the history broke
    redis.hset(keys.history, "id", "b" * 40)
    assert isinstance(governor.acquire(Call.READ), Busy)
    assert isinstance(governor.acquire(Call.READ), Permit)
    assert redis.zcard(keys.permits) == 1


def test_a_permit_of_which_nobody_heard_is_given_back(redis_url: str, account: str, clock: Clock) -> None:
    """Redis gave it, and the answer was lost."""
    client = connect(redis_url)
    governor = Governor(client, Keys(account), clock, limit=1, ask_org=lambda: Body({}), wait=0.0, lease=LEASE)
    take = governor._scripts.run

    def lose(name: str, **rest: Any) -> Any:
        take(name, **rest)
        raise StoreError("lost")

    governor._scripts.run = lose  # type: ignore[method-assign]  # the answer is lost on the way
    with pytest.raises(StoreError):
        governor.acquire(Call.READ)
    governor._scripts.run = take  # type: ignore[method-assign]  # as above
    assert isinstance(governor.acquire(Call.READ), Permit)
    client.close()
