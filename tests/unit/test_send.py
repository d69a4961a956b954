"""A worker that froze on its way to the POST does not make it."""

from __future__ import annotations

from typing import Any

from massconvert.model import Again, Call, Done, Priority, State
from massconvert.options import Options
from massconvert.policy import Row, Tuning
from massconvert.steps.send import LATE
from tests.unit.simulated_crm import ANN
from tests.unit.test_resolve import Pipeline


def freezing(line: Pipeline, seconds: float) -> None:
    """The worker freezes within its write-ahead, after it has looked at the clock."""
    begin_send = line.ledger.chunks.begin_send

    def late(chunk: Any) -> Any:
        written = begin_send(chunk)
        line.crm.clock.now += seconds
        return written

    line.ledger.chunks.begin_send = late  # type: ignore[method-assign,assignment]  # for this test


def test_a_worker_that_froze_in_its_write_ahead_sends_nothing_and_the_leads_are_looked_at() -> None:
    """Its lease may have lapsed: somebody else may have taken it for lost, and have looked."""
    line = Pipeline()
    line.enqueue({"assign_to": ANN})
    chunk = line.form()
    freezing(line, Tuning().lease * LATE + 1)
    assert isinstance(line.step(chunk), Done)
    assert line.posts() == 0
    assert line.permits.held == 0
    assert line.redis.hget(f"mc:{{default}}:chunk:{chunk}", "state") == State.SENDING.value
    line.crm.clock.now += Tuning().lease
    line.step(chunk)
    assert line.rows == [Row.SENDER_LOST]


def test_a_slow_write_ahead_is_no_freeze() -> None:
    line = Pipeline()
    line.enqueue({"assign_to": ANN})
    chunk = line.form()
    freezing(line, Tuning().lease * LATE - 1)
    assert not isinstance(line.step(chunk), Again)
    assert line.rows == [Row.ACCEPTED]


def test_a_payload_with_interactive_leads_asks_to_call_before_others() -> None:
    for priority, call in ((Priority.INTERACTIVE, Call.EXPRESS), (Priority.BULK, Call.POST)):
        line = Pipeline()
        line.intake.take(line.crm.ids[:2], Options.parse({}).body(), priority=priority)
        line.step(line.form())
        assert line.permits.given == [call]
