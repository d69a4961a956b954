"""How ``convert`` is stopped: what it says of the batches that it leaves, and signals that end it once and in order."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from massconvert.cli.batch_view import counts
from massconvert.cli.console import hint, say
from massconvert.model import BatchStatus
from massconvert.words.next_command import next_command
from massconvert.words.plurals import ended_of, number_of

#: Ctrl-C, a kill, and the end of the terminal.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
#: How many unfinished batches are named.
_NAMED = 5


class Stopped(KeyboardInterrupt):
    """A signal has come; ``number`` is its."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_status(self) -> int:
        """As a shell reports it."""
        return 128 + self.number


@dataclass
class Stopping:
    """Whether a signal has come, and what each further one does."""

    number: int = 0
    hurry: Callable[[], object] = bool

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Raise Stopped, once: what follows cleans up, and must not be interrupted."""
        if self.number:
            self.hurry()
            return
        self.number = number
        if number == getattr(signal, "SIGHUP", None):
            _forget_terminal()
        raise Stopped(number)


@contextmanager
def stoppable() -> Iterator[Stopping]:
    """While this lasts, the first signal raises Stopped where the command is, and others hurry the end.

    A signal that the parent has had ignored (``nohup``) stays so.
    """
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stopping.on_signal)
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _forget_terminal() -> None:
    """Say what is said from here on to nobody: a terminal that is gone answers each word with an error."""
    for stream in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def tell_stopped(status: BatchStatus, source: str = "") -> None:
    """Say what becomes of the leads of a batch that was stopped, and how to go on or call the rest off.

    ``source`` is said where the command itself, given again, would add leads that were not taken yet.
    """
    if status.finished:
        say(f"stopped. Batch {status.batch} is {status.state.value}: {counts(status)}.")
        hint(f"To see the outcomes: {next_command('report', status.batch, account=status.account)}")
        return
    lines = [f"stopped. Of batch {status.batch}, {ended_of(status.ended, status.total)}."]
    if status.sent:
        lines.append(
            f"{number_of(status.sent, 'lead is', 'leads are')} sent already: Zoho converts what it can of them."
        )
    lines.append(_not_sent(status))
    lines += [source] if source else []
    say("\n".join(lines))
    hint(_what_to_do(status))


def tell_verdict(status: BatchStatus) -> None:
    """Say what lets the others follow a canary that has ended, or calls them off."""
    say(f"its canary has ended; the others of batch {status.batch} stay paused.")
    hint(_what_to_do(status, let="let them follow"))


def tell_left(statuses: Iterable[BatchStatus], *, afterwards: bool = False) -> None:
    """Say which batches have not finished, and stay so until somebody says otherwise.

    ``afterwards``: another command has the ledger now.
    """
    found = list(statuses)
    for status in found[:_NAMED]:
        if afterwards and not status.waiting:
            said = f"batch {status.batch} was stopped when all its leads had been sent"
            say(f"{said}; this run reads how they end, too.")
            continue
        say(f"batch {status.batch} has not finished, and stays paused. {_not_sent(status)}", "yellow")
        hint(_what_to_do(status, " afterwards" if afterwards else ""))
    if len(found) > _NAMED:
        more = number_of(len(found) - _NAMED, "more batch has", "more batches have")
        look = next_command("status", "--all", account=found[0].account)
        say(f"{more} not finished, and {'stays' if len(found) - _NAMED == 1 else 'stay'} paused: {look}", "yellow")


def _not_sent(status: BatchStatus) -> str:
    if not status.waiting:
        return "None of its leads waits to be sent."
    leads = number_of(status.waiting, "lead is", "leads are")
    return f"{leads} not sent, and {'stays' if status.waiting == 1 else 'stay'} so until you go on."


def _what_to_do(status: BatchStatus, when: str = "", let: str = "go on") -> str:
    account = status.account
    let = let if status.waiting else "read how those end"
    lines = [f"To {let}{when}: {next_command('convert', '--resume', status.batch, account=account)}"]
    if status.waiting:
        lines.append(f"To call off what is not sent: {next_command('cancel', status.batch, account=account)}")
    return "\n".join(lines)
