"""Watching a batch until it has finished: a bar on a terminal, a plain line now and then elsewhere; all on stderr."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import typer
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from massconvert.cli.batch_view import counts
from massconvert.cli.console import err, say, span
from massconvert.cli.layout import Prose
from massconvert.cli.why import GOES_ON, TOLD_AT_ONCE, Reason, Word
from massconvert.contract import Exit
from massconvert.errors import StoreError
from massconvert.model import HELD_FOR_CANARY, BatchState, BatchStatus
from massconvert.store import PATIENCE
from massconvert.words.next_command import next_command
from massconvert.words.plurals import ended_of
from massconvert.words.readable import readable

if TYPE_CHECKING:
    from typing_extensions import Self

#: Seconds in which nothing moved until something is said about it.
STALLED = 15.0
#: Seconds over which the rate is measured: jobs end in bursts, and may take a minute or more.
SPEED_OVER = 300.0
#: Seconds between two plain lines.
LINE_EVERY = 5.0

#: Seconds between two questions why it has not finished.
WHY_EVERY = 3.0


class Display(Protocol):
    """Where a watch shows what it sees."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, status: BatchStatus) -> None:
        """The counts now."""
        ...

    def note(self, text: str) -> None:
        """Something that people should know."""
        ...


class Bar:
    """A progress bar with the rate and the time left, and below it the counts by outcome. It begins with them."""

    def __init__(self, console: Console) -> None:
        self._progress = _Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=bar_width(console)),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=SPEED_OVER,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._progress.stop()

    def show(self, status: BatchStatus) -> None:
        """Move the bar."""
        if self._task is None:
            self._task = self._progress.add_task("leads", total=None)
        self._progress.counts = counts(status)
        self._progress.update(
            self._task, description=_stage(status), total=status.total or None, completed=status.ended
        )
        self._progress.start()

    def note(self, text: str) -> None:
        """Print above the bar."""
        self._progress.console.print(Prose(f"massconvert: {readable(text, lines=True)}", "yellow"))


class _Progress(Progress):
    """A bar, and a line of counts below it that is wrapped and not cut."""

    counts = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        """Both."""
        yield self.make_tasks_table(self.tasks)
        yield Prose(self.counts)


def bar_width(console: Console) -> int:
    """How wide a bar may be, with its name, numbers and times beside it."""
    return max(5, min(40, console.width - 46))


def _stage(status: BatchStatus) -> str:
    if status.held == HELD_FOR_CANARY and status.canary is not None and not status.canary.over:
        return "canary"
    return "paused" if status.state is BatchState.PAUSED else "leads"


class Lines:
    """A plain line when the counts have changed, at most every few seconds: for logs."""

    def __init__(self, console: Console, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._monotonic = monotonic
        self._shown: tuple[float, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, status: BatchStatus) -> None:
        """Print the counts, if there is something new to tell."""
        line = f"{ended_of(status.ended, status.total)} ({counts(status)})"
        now = self._monotonic()
        if self._shown and (self._shown[1] == line or (now - self._shown[0] < LINE_EVERY and not status.finished)):
            return
        self._shown = (now, line)
        self._console.print(line)

    def note(self, text: str) -> None:
        """Print a message of its own."""
        self._console.print(f"massconvert: {readable(text, lines=True)}")


class RateColumn(ProgressColumn):
    """Leads a second, lately."""

    def render(self, task: Task) -> Text:
        """The rate, or nothing while none is known."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


def make_display() -> Display:
    """The display for this stderr."""
    console = err()
    return Bar(console) if console.is_terminal else Lines(console)


class Watch:
    """Looks at a batch again and again.

    ``look`` reads its counts, ``why`` says why it has not finished: at once where that will not end by itself, else
    when nothing has moved for a while. With ``to_verdict`` the watch ends, too, when a canary has ended and the others
    wait for somebody. ``monotonic`` and ``pause`` are the watch's time, in seconds.
    """

    def __init__(
        self,
        look: Callable[[], BatchStatus],
        *,
        why: Callable[[BatchStatus], Reason | None],
        display: Display,
        to_verdict: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._look = look
        self._why = why
        self.display = display
        self._to_verdict = to_verdict
        self._monotonic = monotonic
        self._pause = pause or threading.Event().wait
        self._last: BatchStatus | None = None
        self._reason: Reason | None = None
        self._moved_at = self._seen_at = monotonic()
        self._asked_at: float | None = None
        self._away = ""
        self._told_stall = False
        self._told: object = None

    def until_finished(self, timeout: float | None) -> BatchStatus | None:
        """The final counts; ``None`` when ``timeout`` seconds (``None``: for ever) are over before.

        Raises StoreError when Redis is unreachable at the first look, or stays so.
        """
        end = None if timeout is None else self._monotonic() + timeout
        interval = 0.1
        while True:
            status = self._see()
            if status is not None and (status.finished or (self._to_verdict and status.awaits_verdict)):
                return status
            left = None if end is None else end - self._monotonic()
            if left is not None and left <= 0:
                return None
            self._pause(interval if left is None else min(interval, left))
            interval = min(1.0, interval * 1.3)

    def how_far(self, batch_id: str) -> str:
        """What is known of the batch, in words. That it goes on is said only where nothing is known to keep it."""
        status, reason = self._last, self._reason
        if status is None:
            return f"batch {batch_id} has not been seen."
        ended = f"{ended_of(status.ended, status.total)}."
        if self._away:
            return f"batch {batch_id} was {status.state.value} when it was last seen: {ended} {self._away}"
        if reason is not None and reason.word not in GOES_ON:
            return f"batch {batch_id} has not finished: {ended}\n{reason.text}"
        return f"batch {batch_id} goes on: {ended}"

    def _see(self) -> BatchStatus | None:
        try:
            status = self._look()
            asked = self._ask(status)
        except StoreError as error:
            if self._last is None or self._monotonic() - self._seen_at > PATIENCE:
                raise
            if not self._away:
                self.display.note(f"{error.message} Waiting for it to come back.")
            self._away = error.message
            return None
        now = self._seen_at = self._monotonic()
        if self._away or self._last is None or _numbers(status) != _numbers(self._last):
            self._moved_at, self._told_stall = now, False
        self._away, self._last = "", status
        self.display.show(status)
        if asked:
            self._tell(now)
        return status

    def _ask(self, status: BatchStatus) -> bool:
        """Find out why it has not finished, now and then, and at once when its state has changed."""
        now = self._monotonic()
        changed = self._last is None or status.state is not self._last.state or status.held != self._last.held
        over = status.awaits_verdict and not (self._last and self._last.awaits_verdict)
        if not (changed or over) and self._asked_at is not None and now - self._asked_at < WHY_EVERY:
            return False
        self._asked_at, self._reason = now, self._why(status)
        return True

    def _tell(self, now: float) -> None:
        reason = self._reason
        if reason is not None and reason.word in TOLD_AT_ONCE:
            # Not each count of a canary, nor each second of an outage.
            about = (reason.word, reason.said if reason.word in (Word.PAUSED, Word.HELD) else "")
            if self._told != about:
                self.display.note(reason.text)
                self._told = about
            return
        self._told = None
        if reason is not None and now - self._moved_at >= STALLED and not self._told_stall:
            self._told_stall = True
            self.display.note(f"Nothing has moved for {span(now - self._moved_at)}. {reason.text}")


def watch_to_the_end(watch: Watch, batch_id: str, timeout: float | None, *, account: str) -> BatchStatus:
    """Watch until the batch has finished. The display has ended when anything else is said.

    When the time is over, or at Ctrl-C, says how to go on watching and ends the command.
    """
    go_on = f"To go on watching: {next_command('status', batch_id, '--watch', account=account)}"
    try:
        with watch.display:
            status = watch.until_finished(timeout)
    except KeyboardInterrupt:
        say(f"stopped watching; {watch.how_far(batch_id)}\n{go_on}")
        raise typer.Exit(130) from None
    if status is None:
        say(f"stopped watching after {timeout:g} s; {watch.how_far(batch_id)}\n{go_on}")
        raise typer.Exit(Exit.STILL_RUNNING)
    return status


def _numbers(status: BatchStatus) -> tuple[int, ...]:
    return (status.total, status.waiting, status.sent, status.ended)
