"""The threads pool wakes the worker's loop."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from workers.pool import WakingThreads


class FakeLoop:
    """Remembers who wants to read what."""

    def __init__(self) -> None:
        self.readers: dict[int, Any] = {}

    def add_reader(self, fd: int, callback: Any) -> None:
        """As Celery's loop does."""
        self.readers[fd] = callback

    def woken(self, seconds: float) -> bool:
        """Whether a reader has something to read within that time."""
        return bool(select.select(list(self.readers), [], [], seconds)[0])

    def turn(self) -> None:
        """Call who can read."""
        for fd in select.select(list(self.readers), [], [], 0)[0]:
            self.readers[fd]()


@pytest.fixture
def pool() -> Iterator[WakingThreads]:
    """A pool of two threads."""
    made = WakingThreads(limit=2)
    made.start()
    yield made
    made.stop()


def test_the_end_of_a_task_wakes_the_loop_and_its_start_does_not(pool: WakingThreads) -> None:
    """Else acknowledgements, and the next messages, would wait for a timer."""
    loop, gate = FakeLoop(), threading.Event()
    pool.register_with_event_loop(loop)
    result = pool.on_apply(gate.wait, (), {}, accept_callback=lambda *_: None, callback=lambda *_: None)
    assert not loop.woken(0)
    gate.set()
    result.wait(10)
    assert loop.woken(10)
    loop.turn()
    assert not loop.woken(0)


def test_a_task_that_fails_wakes_the_loop_too(pool: WakingThreads) -> None:
    """Its thread is as free."""
    loop = FakeLoop()
    pool.register_with_event_loop(loop)
    pool.on_apply(lambda: 1 / 0, (), {}, accept_callback=lambda *_: None).wait(10)
    assert loop.woken(10)


def test_more_ends_than_the_pipe_holds_block_nobody(pool: WakingThreads) -> None:
    """The loop may be busy for long."""
    for _ in range(70_000):
        pool._wake(None)


def test_a_pool_grows_and_shrinks_as_autoscale_and_remote_control_ask(pool: WakingThreads) -> None:
    """Celery's own has no such methods: `--autoscale=10,2` ended the worker under load."""
    together = threading.Barrier(5)
    waiting = [pool.on_apply(together.wait, (20,)) for _ in range(4)]  # two run, two wait for a thread
    pool.grow(2)
    together.wait(20)
    for task in waiting:
        task.wait(20)
    assert pool.num_processes == 4
    pool.shrink(1)
    assert pool.num_processes == 3
    pool.shrink(10)
    assert pool.num_processes == 1


def test_a_pool_of_none_has_one_thread() -> None:
    """`--autoscale=10` begins with none."""
    made = WakingThreads(0)
    made.start()
    assert made.num_processes == 1
    made.stop()


def test_a_task_that_is_to_be_ended_goes_on_and_that_is_told_once(
    pool: WakingThreads, caplog: pytest.LogCaptureFixture
) -> None:
    """On SIGQUIT Celery ends what runs in one way, and what waits for a thread in another."""
    go_on = threading.Event()
    task = pool.on_apply(go_on.wait, (20,))
    pool.terminate_job(1, 15)
    task.terminate(15)
    go_on.set()
    task.wait(20)
    assert len(caplog.records) == 1
