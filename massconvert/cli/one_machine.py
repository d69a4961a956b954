"""What ``convert`` and ``demo`` share: a stack of child processes, a batch in it, watched to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace

from massconvert.cli.account import command_settings
from massconvert.cli.console import say, span, told_by_us
from massconvert.cli.desk import Desk, demand_ours, open_desk
from massconvert.cli.live_options import CHECK_CREDENTIALS
from massconvert.cli.stopping import Stopping, tell_left, tell_stopped
from massconvert.cli.watching import Watch, make_display
from massconvert.cli.why import Reason, Word
from massconvert.embedded import Home, Stack
from massconvert.embedded.home import ledgers_in
from massconvert.embedded.unfinished import STOPPED, Alone, alone_with
from massconvert.errors import InputError, StoreError, UnknownBatchError, ZohoError
from massconvert.model import BatchStatus, NotSent, PerhapsAccepted, Unsent
from massconvert.policy import HoldKind
from massconvert.producer.batch import Batch
from massconvert.producer.intake import this_person
from massconvert.producer.mass_convert import MassConvert
from massconvert.settings import Settings
from massconvert.wiring import connect_finder, connect_ledger
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.zoho.identity import ask_org
from massconvert.zoho.standing import token_trouble

#: What `Reach` tells once, when there is no use in waiting any more; and what is told with the place of the logs.
_REACH_TELLS = (Word.OUTAGE, Word.NO_TOKEN)
_OURS = (*_REACH_TELLS, Word.NO_WORKER, Word.NOTHING_TAKEN, Word.ZOHO_AT_WORK)


@dataclass(frozen=True)
class Machine:
    """A running stack, and what a command needs to talk to it.

    ``alone``: what was unfinished in the ledger, where it is this machine's own; ``None`` where others work on it, too.
    """

    stack: Stack
    desk: Desk
    producer: MassConvert
    alone: Alone | None = None

    def existing(self, batch_id: str) -> BatchStatus | None:
        """The counts of a batch that an earlier run has left."""
        try:
            return self.desk.ledger.batches.status(batch_id)
        except UnknownBatchError:
            return None

    def end_refusal(self) -> None:
        """End a pause that Zoho's refusal made in an earlier run: a person who runs the command again has fixed it."""
        paused = self.desk.ledger.organisation.paused()
        if paused and paused.code:
            self.desk.ledger.organisation.resume()

    def unfinished(self) -> list[str]:
        """The batches of this account that had not finished. Raises InputError where others may be at work on them."""
        if self.alone is None:
            raise InputError(
                "--resume-all is for the ledger that convert keeps, and REDIS_URL names another.",
                hint="Name the batches: --resume BATCH.",
            )
        return [status.batch for status in self.alone.found if status.account == self.desk.settings.account]

    def tell_others(self, ours: Collection[str]) -> None:
        """Say which batches other than ``ours`` have not finished; nothing of them is sent."""
        if self.alone:
            tell_left([status for status in self.alone.found if status.batch not in ours], afterwards=True)

    def stop(self, batch_id: str, leads: int | None = None) -> bool:
        """Let nothing more of a batch be sent, and say what becomes of its leads; whether it has begun.

        ``leads`` is how many it was to have, where the command has them all.
        """
        # With a connection of its own: a signal may have come in the middle of an answer to the other one.
        ledger = connect_ledger(self.desk.settings)
        try:
            ledger.batches.hold(batch_id, STOPPED, by=this_person())
            status = ledger.stopped(batch_id)
        except UnknownBatchError:
            return False
        except StoreError as error:
            say(f"stopped, but batch {batch_id} could not be paused: {error.message} The next command here does that.")
            return True
        if self.alone:
            self.alone.told.add(batch_id)
        more = 0 if leads is None or status.sealed else leads - status.total
        untaken = number_of(more, "lead was", "leads were")
        tell_stopped(status, f"{untaken} not taken yet; the same command adds the rest." if more > 0 else "")
        return True

    def finish(self, batch: Batch, told: str = "") -> BatchStatus:
        """Watch a batch until it has finished, or its canary has and the others wait.

        ``told`` is trouble that the command has told already. Raises ZohoError when Zoho refuses what only a person can
        fix, or gives no usable answer for as long as the settings bear; EmbeddedError when a child process keeps dying,
        and whatever else ends the watch.
        """
        logs = self.stack.state_dir / "logs"
        reach = Reach(self.desk, told, probe=lambda: ask_zoho(self.desk.settings))

        def look() -> BatchStatus:
            self.stack.check()
            status = batch.progress()
            reach.demand(status)
            return status

        def why(status: BatchStatus) -> Reason | None:
            """Its own workers run while the stack does, and their logs are at hand; what `reach` tells, it tells."""
            reason = self.desk.why(status)
            if reason is None or reason.word not in _OURS:
                return reason
            said = "Zoho gives no usable answer." if reason.word in _REACH_TELLS else reason.said
            word = Word.ZOHO_AT_WORK if reason.word is Word.ZOHO_AT_WORK else Word.NOTHING_TAKEN
            return Reason(word, said, f"The workers' logs: {logs}")

        with make_display() as display:
            watch = Watch(
                look,
                why=why,
                display=display,
                to_verdict=True,
            )
            status = watch.until_finished(None)
        assert status is not None  # noqa: S101 - only a timeout ends a watch without one
        return status


@contextmanager
def at_home(settings: Settings, stopping: Stopping) -> Iterator[Machine]:
    """A stack on the ledger of this organisation: its own embedded one, unless REDIS_URL names a Redis.

    Its workers start when ``stack.go`` is called. Until then, and again at the end, all batches of an embedded ledger
    are paused. Without beat: the schedules of massconvert.toml are for workers that run all day. Further signals that
    ``stopping`` sees hurry its end. Raises LedgerMismatchError where it is another organisation's, and what `running`
    raises.
    """
    home = None if settings.redis_url_given else Home(settings)
    if home:
        home.take_over()
    while True:
        stack = Stack(home.folder if home else None, beat=False, wait_for_go=True)
        stopping.hurry = stack.hurry
        with running(stack) as machine:
            demand_ours(machine.desk.settings)
            if home is None:
                yield machine
                return
            if not home.moved(machine.desk.ledger):
                with alone_with(ledgers_in(home.folder, machine.desk.settings), tell_left) as alone:
                    yield replace(machine, alone=alone)
                return


class Reach:
    """Whether Zoho can be reached at all: one machine with one command does not wait for ever.

    The ledger shows what workers meet while they try. Where nothing moves and nobody tries (a payload that failed often
    waits for minutes), ``probe`` finds out: it says what is wrong, or nothing, and raises ZohoError for what only a
    person can fix. ``told`` is trouble that is not repeated. ``monotonic`` is its time, in seconds.
    """

    #: Seconds without progress until Zoho is asked, and between two such calls.
    EVERY = 15.0

    def __init__(
        self,
        desk: Desk,
        told: str = "",
        *,
        probe: Callable[[], str] = str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._told = told
        self._probe = probe
        self._monotonic = monotonic
        self._seen: tuple[int, ...] = ()
        self._moved_at = self._asked_at = monotonic()
        self._asked: Future[str] | None = None

    def demand(self, status: BatchStatus) -> None:
        """Raise ZohoError when there is no use in waiting; ``status`` is the batch that is waited for."""
        paused = self._desk.ledger.organisation.paused()
        if paused and paused.code:
            resume = next_command("resume", account=status.account)
            fix = paused.hint.replace(f"then: {resume}", "then give the same command again")
            raise ZohoError(f"{paused.reason}.", hint=f"{fix}\n{_KEPT}", code=paused.code)
        now, seen = self._monotonic(), (status.total, status.sent, status.ended)
        if seen != self._seen or paused or status.held:
            self._seen, self._moved_at, self._asked = seen, now, None
            return
        trouble = self._ledgers() or self._answered(now)
        patience = self._desk.settings.unreachable_after
        if trouble and now - self._moved_at >= patience:
            why = "" if trouble in self._told else f": {trouble}"
            raise ZohoError(f"Zoho has given no usable answer for {span(patience)}{why}.", hint=_KEPT)

    def _ledgers(self) -> str:
        hold = self._desk.standing().hold
        outage = hold.why if hold and hold.kind is HoldKind.OUTAGE else ""
        return outage or token_trouble(self._desk.settings, self._desk.redis)

    def _answered(self, now: float) -> str:
        """What the last probe said; the next one is made in a thread, since a call may hang."""
        found = self._asked.result() if self._asked and self._asked.done() else ""
        if now - self._asked_at >= min(self.EVERY, self._desk.settings.unreachable_after / 2):
            self._asked_at, self._asked = now, in_background(self._probe)
        return found


def in_background(ask: Callable[[], str]) -> Future[str]:
    """What ``ask`` returns or raises, later; its thread does not keep the process alive."""
    asked: Future[str] = Future()

    def run() -> None:
        try:
            asked.set_result(ask())
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is looked at
            asked.set_exception(error)

    threading.Thread(target=run, name="probe", daemon=True).start()
    return asked


def ask_zoho(settings: Settings) -> str:
    """Make one cheap call; what is wrong where it has no usable answer, else nothing.

    Raises ZohoError when Zoho refuses the credentials, StoreError.
    """
    zoho, governor = connect_finder(settings)
    with told_by_us():
        answer = ask_org(zoho, governor)  # where it is busy, the ledger says why
    if isinstance(answer, NotSent) and answer.why is Unsent.CREDENTIALS:
        raise ZohoError(f"{answer.detail}.", hint=f"{CHECK_CREDENTIALS}\n{_KEPT}", code=answer.code)
    return answer.detail if isinstance(answer, NotSent | PerhapsAccepted) else ""


_KEPT = "Nothing is lost: the same command goes on where this one stopped."


@contextmanager
def running(stack: Stack) -> Iterator[Machine]:
    """Start a stack and wait until it works; end it afterwards, whatever happens."""
    with stack:
        stack.wait_ready()
        settings = command_settings(stack.environment, None)
        yield Machine(stack, open_desk(settings), MassConvert(settings))
