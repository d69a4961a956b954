"""The log of workers as JSON, the one line of a payload's end, and what is not said again and again."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from massconvert.model import Chunk, Done, Kind, Outcome, State
from massconvert.policy import Decision, Row
from massconvert.steps.tell import tell_decision
from workers import log
from workers.quiet import MOST_REPEATS, REMIND_EVERY, Repeats

ROOT = Path(__file__).parents[2]
logger = logging.getLogger("massconvert")


class Kept(logging.Handler):
    """Keeps what it is given as JSON."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(log.OneObject())
        self.found: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(json.loads(self.format(record)))


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler, level = Kept(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def decision(row: Row = Row.SETTLED) -> Decision:
    chunk = Chunk(
        "7",
        "f",
        State.DONE,
        ("1", "2", "3"),
        attempts=2,
        polls=3,
        job_id="3652397000009990001",
        created_at=100.0,
        sent_at=102.5,
        claimed_at=110.0,
    )
    failed = Outcome(Kind.FAILED, "NOT_FOUND")
    return Decision(row, chunk, Done(), outcomes={"1": failed}, rest=Outcome(Kind.CONVERTED))


def test_a_decision_is_an_event_of_the_rows_name_with_its_facts(kept: Kept) -> None:
    with log.about(["7"], {"account": "emea"}):
        tell_decision(decision(), "emea")
    first, last = kept.found
    assert (first["event"], first["account"], first["chunk"]) == ("settled", "emea", "7")
    assert (first["from"], first["to"], first["leads"], first["attempt"]) == ("settling", "done", 3, 2)
    assert first["job"] == "3652397000009990001"
    assert first["msg"] == "chunk 7: read: every lead has ended -> done, 3 leads"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["ts"])
    assert (last["event"], last["converted"], last["failed"], last["leads"]) == ("payload_ended", 2, 1, 3)
    assert (last["seconds"], last["waited"], last["polls"]) == (10.0, 2.5, 3)
    assert last["msg"].startswith("payload 7 ended: 1 failed, 2 converted; 10.0 s, of them 2.5 s before")


def test_a_bug_has_its_traceback_in_one_object_and_an_outage_has_none(kept: Kept) -> None:
    for error in (ValueError("a bug"), ConnectionError("refused")):
        try:
            raise error
        except (ValueError, ConnectionError):  # noqa: PERF203 - two errors
            logger.exception("It failed")
    bug, outage = kept.found
    assert "a bug" in bug["traceback"]
    assert bug["msg"] == "It failed"
    assert "traceback" not in outage
    assert outage["msg"].startswith("It failed (")
    assert "event" not in bug


def test_a_line_of_several_stays_one_object(kept: Kept) -> None:
    logger.warning("one\ntwo \x1b[2J %s", '"three"')
    (found,) = kept.found
    assert found["msg"].startswith("one two")
    assert "\x1b" not in found["msg"]


def test_the_same_warning_is_said_three_times_a_minute_and_then_counted() -> None:
    now = [0.0]
    repeats = Repeats(lambda: now[0])

    def said(level: int, words: str, *args: object) -> tuple[bool, int]:
        record = logging.LogRecord("massconvert", level, "", 0, words, args, None)
        return repeats.filter(record), getattr(record, "repeated", 0)

    assert [said(logging.WARNING, "gone for %d s", number)[0] for number in range(10)] == [True] * 3 + [False] * 7
    assert said(logging.INFO, "gone for 1 s") == (True, 0)
    assert all(said(logging.WARNING, "chunk:%d cannot be read", number) == (True, 0) for number in range(10)), "each"
    now[0] = REMIND_EVERY
    assert said(logging.WARNING, "gone for 0.5 s") == (True, 10 - MOST_REPEATS)


def test_no_number_of_kinds_of_warnings_fills_the_memory() -> None:
    repeats = Repeats(lambda: 0.0)
    for number in range(5000):
        word = "".join(chr(97 + int(digit)) for digit in str(number))
        repeats.filter(logging.LogRecord("x", logging.WARNING, "", 0, word, (), None))
    assert len(repeats._seen) <= 1000
    assert sys.getsizeof(repeats._seen) < 100_000


def test_the_page_names_every_event_that_is_no_row() -> None:
    source = (ROOT / "massconvert" / "steps" / "tell.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    events = set(re.findall(r'_about\(\s*"(\w+)"', source))
    assert {"payload_ended", "paused"} <= events
    assert [event for event in events if f"`{event}`" not in page] == []
