"""Watching a batch: when it ends, what is said meanwhile. Its time is the test's."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import typer
from rich.console import Console

from massconvert.cli.console import local_time
from massconvert.cli.watching import LINE_EVERY, STALLED, Bar, Lines, Watch, watch_to_the_end
from massconvert.cli.why import Known, Reason, why
from massconvert.contract import Exit
from massconvert.errors import StoreError
from massconvert.ledger import Member, Workers
from massconvert.model import HELD_FOR_CANARY, BatchState, BatchStatus, CanaryCounts, Pause
from massconvert.store import PATIENCE
from massconvert.zoho.standing import Standing
from tests.unit.waiting_time import Time

RUNNING = BatchStatus("k", BatchState.RUNNING, 10, 10, 0, 0, 0, 0, 0, sealed=True, created_at=0.0, account="default")
ENDED = replace(RUNNING, state=BatchState.FINISHED, waiting=0, converted=10, finished_at=9.0)
PAUSED = replace(RUNNING, state=BatchState.PAUSED)
AWAY = StoreError("Redis at host:1 cannot be reached.")


class Notes:
    """A display that notes what it is given."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.shown: list[BatchStatus] = []

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, status: BatchStatus) -> None:
        self.shown.append(status)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def time() -> Time:
    return Time()


AT_WORK = Workers((Member("worker", "a", 100.0),), 1.0, 1.0, 1.0)
NOBODY = Workers((), 400.0, None, 0.0)


def watch(
    time: Time, look: Callable[[], BatchStatus], pause: Pause | None = None, workers: Workers = AT_WORK
) -> tuple[Watch, Notes]:
    notes = Notes()

    def reason(status: BatchStatus) -> Reason | None:
        return why(Known(status, pause, Standing(10, "", 10, 0, 0, 0.0, ""), workers))

    return Watch(look, why=reason, display=notes, monotonic=time, pause=time.wait), notes


def playing(time: Time, *acts: tuple[float, BatchStatus | Exception]) -> Callable[[], BatchStatus]:
    """Looks that see each act for so many seconds, the last for ever."""

    def look() -> BatchStatus:
        left = time.now - 100.0
        for seconds, seen in acts:
            if left < seconds or (seconds, seen) == acts[-1]:
                if isinstance(seen, Exception):
                    raise seen
                return seen
            left -= seconds
        raise AssertionError

    return look


def test_it_ends_when_the_batch_has(time: Time) -> None:
    seen, notes = watch(time, playing(time, (3.0, RUNNING), (0.0, ENDED)))
    assert seen.until_finished(None) == ENDED
    assert notes.shown[-1] == ENDED
    assert notes.notes == []
    assert 3.0 <= time.now - 100.0 < 4.1


def test_it_gives_up_when_its_time_is_over_and_not_later(time: Time) -> None:
    seen, _ = watch(time, lambda: RUNNING)
    assert seen.until_finished(7.5) is None
    assert time.now == pytest.approx(107.5)


def test_with_no_time_it_looks_once(time: Time) -> None:
    assert watch(time, lambda: ENDED)[0].until_finished(0) == ENDED
    assert watch(time, lambda: RUNNING)[0].until_finished(0) is None


def test_that_no_worker_runs_is_told_at_once_and_once_with_the_command_that_starts_one(time: Time) -> None:
    """It took 15 s, and was an "if"."""
    seen, notes = watch(time, lambda: RUNNING, workers=NOBODY)
    seen.until_finished(0)
    said = "No worker runs (the last was seen 6 min 40 s ago).\nTo start one: massconvert worker"
    assert notes.notes == [said]
    seen.until_finished(60)
    assert notes.notes == [said]


def test_when_nothing_moves_it_says_what_the_batch_waits_for_once(time: Time) -> None:
    seen, notes = watch(time, lambda: RUNNING)
    seen.until_finished(STALLED - 1)
    assert notes.notes == []
    seen.until_finished(60)
    (told,) = notes.notes
    assert "10 leads wait for a turn" in told
    assert "celery" not in told


def test_leads_that_zoho_works_on_are_no_missing_worker(time: Time) -> None:
    at_zoho = replace(RUNNING, waiting=0, sent=10)
    seen, notes = watch(time, lambda: at_zoho)
    seen.until_finished(60)
    assert "Zoho is at work on 10 leads" in notes.notes[0]


def test_it_says_so_again_when_it_moved_in_between(time: Time) -> None:
    moved = replace(RUNNING, waiting=5, converted=5)
    seen, notes = watch(time, playing(time, (20.0, RUNNING), (20.0, moved), (0.0, ENDED)))
    seen.until_finished(None)
    assert len(notes.notes) == 2


def test_a_pause_is_told_with_why_and_what_to_do_and_not_as_a_stall(time: Time) -> None:
    pause = Pause("permission denied", "NO_PERMISSION", "Ask for it.", 0.0)
    seen, notes = watch(time, lambda: PAUSED, pause)
    seen.until_finished(60)
    since = f"The organisation is paused since {local_time(0.0)}: nothing is sent."
    assert notes.notes == [f"{since} NO_PERMISSION: permission denied\nAsk for it."]


def test_a_batch_that_is_paused_alone_is_told_once_with_the_command_that_lets_it_go_on(time: Time) -> None:
    looking, notes = watch(time, playing(time, (60, replace(PAUSED, held="paused by hand")), (9, ENDED)))
    assert looking.until_finished(None) == ENDED
    (told,) = notes.notes
    assert "Batch k is paused by hand. " in told
    assert "massconvert resume k" in told


def test_of_a_canary_its_beginning_and_its_end_are_told_and_not_each_lead_of_it(time: Time) -> None:
    def canary(ended: int, failed: int) -> BatchStatus:
        return replace(PAUSED, held=HELD_FOR_CANARY, canary=CanaryCounts(50, ended, failed))

    acts = ((5, canary(0, 0)), (10, canary(20, 1)), (30, canary(50, 3)), (9, ENDED))
    looking, notes = watch(time, playing(time, *acts))
    assert looking.until_finished(None) == ENDED
    first, over = notes.notes
    assert "0 of its 50 leads have ended" in first
    assert "3 of 50 leads failed" in over
    assert "massconvert report k" in over
    assert "massconvert resume k" in over


def test_a_redis_that_restarts_is_waited_for(time: Time) -> None:
    seen, notes = watch(time, playing(time, (2.0, RUNNING), (20.0, AWAY), (0.0, ENDED)))
    assert seen.until_finished(None) == ENDED
    assert notes.notes == ["Redis at host:1 cannot be reached. Waiting for it to come back."]


def test_a_redis_that_stays_away_ends_it(time: Time) -> None:
    seen, _ = watch(time, playing(time, (2.0, RUNNING), (0.0, AWAY)))
    with pytest.raises(StoreError):
        seen.until_finished(None)
    assert PATIENCE <= time.now - 102.0 < PATIENCE + 3


def test_a_redis_that_is_away_from_the_beginning_is_told_at_once(time: Time) -> None:
    with pytest.raises(StoreError):
        watch(time, playing(time, (0.0, AWAY)))[0].until_finished(None)
    assert time.now == 100.0


def test_a_wait_that_ran_out_is_status_4_with_the_command_to_go_on(
    time: Time, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as end:
        watch_to_the_end(watch(time, lambda: RUNNING)[0], "k", 2.0, account="default")
    assert end.value.exit_code == Exit.STILL_RUNNING
    assert "massconvert status k --watch" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["timeout", "Ctrl-C"])
def test_the_display_has_ended_before_anything_else_is_said(
    time: Time, capsys: pytest.CaptureFixture[str], end: str
) -> None:
    """Messages were glued to the bar, and the bar came again below them."""
    told: list[str] = []

    class Display(Notes):
        def __exit__(self, *_: object) -> None:
            told.append(capsys.readouterr().err)

    def look() -> BatchStatus:
        if end == "Ctrl-C":
            raise KeyboardInterrupt
        return RUNNING

    watching = Watch(look, why=lambda _: None, display=Display(), monotonic=time, pause=time.wait)
    with pytest.raises(typer.Exit):
        watch_to_the_end(watching, "k", 2.0, account="default")
    assert told == [""]
    assert "massconvert: stopped watching" in capsys.readouterr().err


def test_of_a_paused_batch_it_is_not_said_that_it_goes_on(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    watching = watch(time, lambda: PAUSED, Pause("paused by hand", "", "massconvert resume", 0.0))[0]
    with pytest.raises(typer.Exit):
        watch_to_the_end(watching, "k", 2.0, account="default")
    said = capsys.readouterr().err
    assert "batch k has not finished: 0 of 10 leads have ended" in said
    assert "The organisation is paused" in said
    assert "goes on" not in said


@pytest.mark.parametrize("kept", ["no worker", "Redis away"])
def test_of_a_batch_that_nobody_works_on_it_is_not_said_that_it_goes_on(
    time: Time, capsys: pytest.CaptureFixture[str], kept: str
) -> None:
    look = playing(time, (1.0, RUNNING), (0.0, AWAY)) if kept == "Redis away" else lambda: RUNNING
    watching = watch(time, look, workers=NOBODY if kept == "no worker" else AT_WORK)[0]
    with pytest.raises(typer.Exit):
        watch_to_the_end(watching, "k", 5.0, account="default")
    said = capsys.readouterr().err
    assert "goes on" not in said
    assert ("No worker runs" if kept == "no worker" else "Redis at host:1 cannot be reached") in said


def test_of_a_batch_that_nothing_keeps_it_is_said(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        watch_to_the_end(watch(time, lambda: RUNNING)[0], "k", 2.0, account="default")
    assert "stopped watching after 2 s; batch k goes on: 0 of 10 leads have ended." in capsys.readouterr().err


@pytest.fixture
def paper() -> Iterator[io.StringIO]:
    with io.StringIO() as text:
        yield text


def test_plain_lines_come_now_and_then_and_at_the_end(time: Time, paper: io.StringIO) -> None:
    with Lines(Console(file=paper, width=200), monotonic=time) as lines:
        for number in range(10):
            lines.show(replace(RUNNING, waiting=10 - number, converted=number))
            time.wait(1.0)
        lines.show(ENDED)
        lines.show(ENDED)
    shown = paper.getvalue().splitlines()
    assert len(shown) == 2 + 9 // int(LINE_EVERY)
    assert shown[0] == "0 of 10 leads have ended (10 waiting)"
    assert shown[-1] == "10 of 10 leads have ended (10 converted)"


def test_a_bar_shows_the_counts_by_outcome(paper: io.StringIO) -> None:
    with Bar(Console(file=paper, width=160, force_terminal=True)) as bar:
        bar.show(replace(RUNNING, waiting=3, sent=2, converted=4, failed=1))
        bar.note("something \x1b to [red] know")
    assert "4 converted, 1 failed, 2 sent, 3 waiting" in paper.getvalue()
    assert "5/10" in paper.getvalue()
    assert r"something \x1b to [red] know" in paper.getvalue()
