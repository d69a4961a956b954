"""In which order a worker takes from its queues."""

from __future__ import annotations

from kombu.utils.scheduling import cycle_by_name

import celeryconfig
from massconvert.contract import QUEUE, QUEUE_CONVERT, QUEUE_STATUS
from workers.order import PostsFirst


def order_after(*taken: str, queues: set[str] | None = None) -> list[str]:
    """The order in which queues are asked after messages came from ``taken``."""
    cycle = PostsFirst()
    cycle.update(queues or {QUEUE, QUEUE_CONVERT, QUEUE_STATUS})
    for queue in taken:
        assert cycle.rotate(queue) == queue
    return list(cycle.consume(9))


def test_payloads_come_before_looks_at_jobs_whatever_was_taken_last() -> None:
    """Else all threads may wait to look at jobs, while payloads wait for a thread."""
    for taken in ((), (QUEUE_CONVERT,), (QUEUE_STATUS,), (QUEUE,), (QUEUE, QUEUE_CONVERT), (QUEUE_CONVERT, QUEUE)):
        order = order_after(*taken)
        assert order.index(QUEUE_CONVERT) < order.index(QUEUE_STATUS)


def test_what_comes_in_takes_turns_with_both() -> None:
    """Neither a flood of enqueue messages nor a long batch keeps the other from a thread."""
    assert order_after(QUEUE_CONVERT)[0] == order_after(QUEUE_STATUS)[0] == QUEUE
    assert order_after(QUEUE)[-1] == QUEUE


def test_a_worker_may_take_from_other_queues_besides_or_from_one_alone() -> None:
    """As -Q says."""
    assert order_after("shop", queues={QUEUE_STATUS, "shop"}) == [QUEUE_STATUS, "shop"]
    assert order_after(QUEUE_STATUS, queues={QUEUE_STATUS}) == [QUEUE_STATUS]


def test_kombu_finds_it_by_the_name_in_celeryconfig() -> None:
    """It would take an unknown name for a reason to fail at each connection."""
    assert cycle_by_name(celeryconfig.broker_transport_options["queue_order_strategy"]) is PostsFirst
