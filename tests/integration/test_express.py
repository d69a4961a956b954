"""A payload with interactive leads is the next that may call, three times in four."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

import massconvert.zoho.governor as governor_module
from massconvert.model import Busy, Call
from massconvert.policy import Permit
from massconvert.store import Keys, connect
from massconvert.zoho.answers import Body
from massconvert.zoho.edition import MAX_POSTS
from massconvert.zoho.governor import Governor

pytestmark = pytest.mark.integration


class Still:
    """A clock that stands still, so that nobody's mark ends while this machine is busy with others."""

    def now(self) -> float:
        return 1_800_000_000.0


class Line:
    """Those who wait for a permit, each in a thread, and the order in which they got it."""

    def __init__(self, redis_url: str) -> None:
        self.redis: Any = connect(redis_url)
        self.keys = Keys(f"test-{uuid4().hex[:8]}")
        self.served: list[str] = []
        self.permits: list[Permit] = []
        self._got = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []
        self._url = redis_url

    def governor(self, limit: int, wait: float = 30.0) -> Governor:
        """As a worker process has one."""
        redis = connect(self._url, socket_timeout=60.0)  # whoever waits may have to wait for this machine, too
        return Governor(redis, self.keys, Still(), limit=limit, ask_org=lambda: Body({}), wait=wait)

    def waits(self, name: str, call: Call, limit: int, on: str) -> None:
        """Have one more wait for a permit, and return when Redis holds it on the list ``on``."""

        def wait() -> None:
            permit = self.governor(limit).acquire(call)
            assert isinstance(permit, Permit)
            self.served.append(name)
            self.permits.append(permit)
            self._got.release()

        before = self._blocked()
        self._threads.append(threading.Thread(target=wait, daemon=True))
        self._threads[-1].start()
        for _ in range(5000):
            if self._blocked() > before and self.redis.exists(self.keys.permits_express) >= (on == "express"):
                return
            threading.Event().wait(0.002)
        raise AssertionError(f"{name} does not wait")

    def next_one(self) -> str:
        """The name of the next who is served."""
        assert self._got.acquire(timeout=10), "nobody was served"
        return self.served[-1]

    def close(self) -> None:
        """Let all end."""
        for thread in self._threads:
            thread.join(20)

    def _blocked(self) -> int:
        return int(self.redis.info("clients")["blocked_clients"])


@pytest.fixture
def line(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """Nobody asks again by himself within the test: who goes on was woken."""
    monkeypatch.setattr(governor_module, "_SLICE", 30.0)
    made = Line(redis_url)
    yield made
    made.close()


def taken(governor: Governor, call: Call) -> Permit:
    """A permit that is there."""
    permit = governor.acquire(call)
    assert isinstance(permit, Permit), permit
    return permit


def test_it_overtakes_who_has_waited_longer(line: Line) -> None:
    """Else it would go after the whole window, and after every look at a job that waits."""
    governor = line.governor(1)
    held = taken(governor, Call.POST)
    line.waits("post", Call.POST, 1, "post")
    line.waits("look", Call.STATUS, 1, "any")
    line.waits("interactive", Call.EXPRESS, 1, "express")
    governor.release(held)
    assert line.next_one() == "interactive"
    for _ in range(2):
        governor.release(line.permits[-1])
        line.next_one()
    assert set(line.served) == {"interactive", "post", "look"}


def test_a_stream_of_them_leaves_turns_to_others(line: Line) -> None:
    """An app that enqueues lead by lead makes nothing but these. Every fourth time others are woken first."""
    governor = line.governor(1)
    held = taken(governor, Call.STATUS)
    line.waits("look", Call.STATUS, 1, "any")
    while "look" not in line.served:
        line.waits(f"interactive {len(line.served)}", Call.EXPRESS, 1, "express")
        governor.release(held)
        line.next_one()
        held = line.permits[-1]
        assert len(line.served) < 40, "nobody else has had a turn"
    assert len(line.served) >= 4
    governor.release(held)
    line.next_one()  # the one who was overtaken


def test_alone_each_is_woken_at_once(line: Line) -> None:
    """The turns of others are not waited for where there are none."""
    governor = line.governor(1)
    held = taken(governor, Call.STATUS)
    for number in range(8):
        line.waits(f"{number}", Call.EXPRESS, 1, "express")
        governor.release(held)
        assert line.next_one() == f"{number}"
        held = line.permits[-1]


def test_where_as_many_posts_run_as_may_it_keeps_no_other_from_calling(line: Line) -> None:
    """It is woken by a look that has ended, cannot go, and says so to one who can."""
    limit = MAX_POSTS + 1
    governor = line.governor(limit)
    posts = [taken(governor, Call.POST) for _ in range(MAX_POSTS)]
    look = taken(governor, Call.STATUS)
    line.waits("interactive", Call.EXPRESS, limit, "express")
    line.waits("look", Call.STATUS, limit, "any")
    governor.release(look)
    assert line.next_one() == "look"
    governor.release(posts[0])
    assert line.next_one() == "interactive"


def test_one_that_waits_no_more_holds_up_nobody(line: Line) -> None:
    """Its worker may have died: its mark outlasts it by little, and then others are woken again."""
    governor = line.governor(1)
    held = taken(governor, Call.POST)
    assert isinstance(line.governor(1, wait=0.0).acquire(Call.EXPRESS), Busy)
    line.redis.zadd(line.keys.permits_express, {"dead": 1.0})  # its time is over
    line.waits("look", Call.STATUS, 1, "any")
    for name in line.redis.zrange(line.keys.permits_express, 0, -1):
        line.redis.zadd(line.keys.permits_express, {name: 1.0})
    assert isinstance(line.governor(1, wait=0.0).acquire(Call.POST), Busy)  # whoever asks sees that
    governor.release(held)
    assert line.next_one() == "look"


def test_looks_that_stood_back_for_the_last_payload_go_on_when_it_has_gone(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody woke them but looks that ended: the last ones of a batch went one by one, or waited for 2.5 s."""
    governor = line.governor(4)
    taken(governor, Call.STATUS)
    post = taken(governor, Call.POST)
    line.redis.zadd(line.keys.permits_wanted, {"post:last": Still().now() + 60.0})
    for name in ("look", "another"):  # a call is free, and for the payload
        line.waits(name, Call.STATUS, 4, "poll")
    monkeypatch.setattr(governor_module, "_name", lambda _call: "post:last")
    taken(governor, Call.POST)
    line.next_one()
    governor.release(post)
    line.next_one()
    assert set(line.served) == {"look", "another"}
