"""A worker that is late on its way to the POST does not make it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from massconvert.model import Again, Call, Done, NotSent, Priority, State, Unsent
from massconvert.options import Options
from massconvert.policy import Row, Tuning
from tests.unit.simulated_crm import ANN
from tests.unit.test_resolve import Pipeline

WITHIN = Tuning().send_within


class Late:
    """A Zoho port that does something before a payload leaves, and looks at the test's clock as the transport does."""

    def __init__(self, line: Pipeline, *, at_token: float = 0.0, at_post: float = 0.0, token: Any = None) -> None:
        self._line, self._zoho = line, line.ports.zoho
        self._at_token, self._at_post, self._token = at_token, at_post, token
        self.told = list[str]()
        self.clocks = list[float | None]()

    def clock(self) -> float | None:
        return self.clocks.pop(0) if self.clocks else None

    def ready(self) -> Any:
        self.told.append("token")
        self._line.crm.clock.now += self._at_token
        return self._token or self._zoho.ready()

    def mass_convert(self, leads: Any, options: Any, *, token: Any, send_by: float) -> Any:
        self._line.crm.clock.now += self._at_post
        if self._line.now() > send_by:
            return NotSent(Unsent.LATE, "too late")
        return self._zoho.mass_convert(leads, options, token=token, send_by=self._line.ports.steady() + 60.0)


@pytest.fixture
def line() -> Pipeline:
    made = Pipeline()
    made.enqueue({"assign_to": ANN})
    return made


def through(line: Pipeline, zoho: Late) -> None:
    line.ports = replace(line.ports, zoho=cast("Any", zoho), steady=line.now)


def in_write_ahead(line: Pipeline, seconds: float, told: Callable[[], object] = lambda: None) -> None:
    """The write-ahead takes so long."""
    begin_send = line.ledger.chunks.begin_send

    def slow(chunk: Any) -> Any:
        told()
        written = begin_send(chunk)
        line.crm.clock.now += seconds
        return written

    line.ledger.chunks.begin_send = slow  # type: ignore[method-assign,assignment]  # for this test


def test_the_token_is_had_before_the_write_ahead(line: Pipeline) -> None:
    """It may take as long as a call: between the two it would use up the lease of the payload."""
    zoho = Late(line, at_token=29.0)
    through(line, zoho)
    in_write_ahead(line, 0.0, lambda: zoho.told.append("write-ahead"))
    line.step(line.form())
    assert zoho.told == ["token", "write-ahead"]
    assert line.rows == [Row.ACCEPTED]


@pytest.mark.parametrize("place", ["write-ahead", "post"])
def test_a_worker_that_froze_sends_nothing_and_the_payload_goes_again(line: Pipeline, place: str) -> None:
    """It surely was not sent: there is nothing to look at."""
    chunk = line.form()
    through(line, Late(line, at_post=WITHIN + 0.1 if place == "post" else 0.0))
    if place == "write-ahead":
        in_write_ahead(line, WITHIN + 0.1)
    assert isinstance(line.step(chunk), Again)
    assert line.posts() == 0
    assert line.permits.held == 0
    assert line.rows == [Row.NOT_SENT]


def test_who_froze_for_longer_than_its_lease_changes_nothing(line: Pipeline) -> None:
    """Somebody else has taken it for lost meanwhile, and will look."""
    chunk, zoho = line.form(), Late(line)
    through(line, zoho)
    ports = line.ports

    def meanwhile() -> None:
        line.ports = replace(ports, zoho=cast("Any", Late(line)))
        line.crm.clock.now += Tuning().lease + 1.0
        line.step(chunk)

    mass_convert = zoho.mass_convert

    def late(*args: Any, **kwargs: Any) -> Any:
        meanwhile()
        return mass_convert(*args, **kwargs)

    zoho.mass_convert = late  # type: ignore[method-assign]  # for this test
    assert isinstance(line.step(chunk), Done)
    assert line.posts() == 0
    assert line.rows == [Row.SENDER_LOST]
    assert line.redis.hget(f"mc:{{default}}:chunk:{chunk}", "state") == State.SETTLING.value


def reached(line: Pipeline, chunk: str) -> float:
    return float(line.redis.hget(f"mc:{{default}}:chunk:{chunk}", "reached") or 0.0)


def test_a_payload_is_written_ahead_with_the_time_at_which_it_leaves_by_zohos_clock(line: Pipeline) -> None:
    """So it is known of a payload whose sender dies, too."""
    chunk, zoho, written = line.form(), Late(line, at_post=2.0), list[float]()
    zoho.clocks = [line.now() + 40.0]
    through(line, zoho)
    mass_convert = zoho.mass_convert

    def post(*args: Any, **kwargs: Any) -> Any:
        written.append(reached(line, chunk))
        return mass_convert(*args, **kwargs)

    zoho.mass_convert = post  # type: ignore[method-assign]  # for this test
    leaves = line.now() + 40.0
    line.step(chunk)
    assert written == [leaves]
    assert reached(line, chunk) == leaves


def test_the_first_answer_of_a_process_says_when_its_payload_left(line: Pipeline) -> None:
    chunk, zoho = line.form(), Late(line, at_post=2.0)
    zoho.clocks = [None, line.now() + 42.0]
    leaves = line.now() + 40.0
    through(line, zoho)
    line.step(chunk)
    assert reached(line, chunk) == pytest.approx(leaves, abs=0.1)


def test_who_is_slow_within_the_time_sends(line: Pipeline) -> None:
    through(line, Late(line, at_post=WITHIN / 2 - 0.1))
    in_write_ahead(line, WITHIN / 2 - 0.1)
    line.step(line.form())
    assert line.rows == [Row.ACCEPTED]


def test_without_a_token_nothing_is_sent_and_it_is_recorded(line: Pipeline) -> None:
    through(line, Late(line, token=NotSent(Unsent.NO_TOKEN, "too many refreshes", retry_after=5.0)))
    answer = line.step(line.form())
    assert isinstance(answer, Again)
    assert answer.in_seconds >= 5.0
    assert (line.posts(), line.rows) == (0, [Row.NOT_SENT])


def test_a_payload_with_interactive_leads_asks_to_call_before_others() -> None:
    for priority, call in ((Priority.INTERACTIVE, Call.EXPRESS), (Priority.BULK, Call.POST)):
        line = Pipeline()
        line.intake.take(line.crm.ids[:2], Options.parse({}).body(), priority=priority)
        line.step(line.form())
        assert line.permits.given == [call]
