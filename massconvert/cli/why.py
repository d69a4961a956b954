"""Why a batch waits: the one place that says it, for ``status``, ``--watch``, ``--wait`` and ``enqueue``.

`why` decides from what the ledger knows, and asks nobody. Of several causes it names the one that must end first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from massconvert.cli.batch_view import go_on_with, held_in_words, pause_in_words, waits_in_words
from massconvert.cli.calls_view import gate_in_words, hold_in_words
from massconvert.cli.console import span
from massconvert.doctor.work_checks import held_hint, refused_hint
from massconvert.ledger import Workers
from massconvert.model import HELD_FOR_CANARY, BatchStatus, Pause, Waits
from massconvert.policy.codes import CODES, Meaning
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.words.readable import readable
from massconvert.zoho.standing import Standing

START_A_WORKER = "massconvert worker"
#: With work that waits, workers that have taken nothing for so long are stuck: in seconds.
TAKES_NOTHING_AFTER = 60.0


class Word(str, Enum):
    """Why a batch waits, for scripts."""

    PAUSED = "paused"
    HELD = "held"
    CANARY_ENDED = "canary_ended"
    NO_WORKER = "no_worker"
    OUTAGE = "outage"
    CREDITS = "credits"
    ASKED = "asked"
    NO_TOKEN = "no_token"  # noqa: S105 - a word, not a secret
    WORKERS_TROUBLED = "workers_troubled"
    NOTHING_TAKEN = "nothing_taken"
    LIMIT = "limit"
    CANARY = "canary"
    TRIED_AGAIN = "tried_again"
    NOT_ENQUEUED_WHOLE = "not_enqueued_whole"
    ZOHO_AT_WORK = "zoho_at_work"
    ITS_TURN = "its_turn"


#: The batch goes on by itself, now or within a minute or so: nobody need do anything.
GOES_ON = frozenset({Word.LIMIT, Word.CANARY, Word.TRIED_AGAIN, Word.ZOHO_AT_WORK, Word.ITS_TURN})
#: What is worth a word at once; the others only when nothing has moved for a while.
TOLD_AT_ONCE = frozenset(Word) - GOES_ON - {Word.NOT_ENQUEUED_WHOLE, Word.NOTHING_TAKEN} | {Word.CANARY}


@dataclass(frozen=True)
class Reason:
    """A word for scripts, a sentence or two for people, and what they can do; blank where there is nothing to do."""

    word: Word
    said: str
    do: str = ""

    @property
    def text(self) -> str:
        """Both, over one line or several."""
        return f"{self.said}\n{self.do}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self) | {"word": self.word.value}


@dataclass(frozen=True)
class Known:
    """What the ledger knows that may keep a batch waiting. ``now``: Unix seconds.

    ``token_trouble``: why no access token is to be had, blank where none has said so. ``ahead``: the leads of the
    whole organisation that wait. ``unattended``: nobody works on this ledger until ``convert`` does.
    """

    status: BatchStatus
    paused: Pause | None
    calls: Standing
    workers: Workers
    waits: Waits | None = None
    token_trouble: str = ""
    ahead: int = 0
    now: float = 0.0
    unattended: bool = False


def why(known: Known) -> Reason | None:
    """Why a batch has not finished; ``None`` for one that has."""
    status = known.status
    if status.finished:
        return None
    return _stopped(known) or _trouble(known) or _on_its_way(known)


def no_worker(workers: Workers) -> Reason | None:
    """That no worker runs, where none does."""
    if workers.alive:
        return None
    seen = "" if workers.seen_ago is None else f" (the last was seen {span(workers.seen_ago)} ago)"
    return Reason(Word.NO_WORKER, f"No worker runs{seen}.", f"To start one: {START_A_WORKER}")


def _stopped(known: Known) -> Reason | None:
    """What lasts until a person ends it."""
    status = known.status
    if known.paused:
        said, _, do = pause_in_words(known.paused).partition("\n")
        return Reason(Word.PAUSED, said, do)
    if status.held and (status.awaits_verdict or status.held != HELD_FOR_CANARY):
        said, _, do = held_in_words(status, unattended=known.unattended).partition("\n")
        return Reason(Word.CANARY_ENDED if status.awaits_verdict else Word.HELD, said, do)
    if known.unattended:
        go_on = go_on_with(status, unattended=True)
        return Reason(Word.NO_WORKER, "No convert runs, so nothing works on it.", f"To go on: {go_on}")
    return no_worker(known.workers)


def _trouble(known: Known) -> Reason | None:
    """What keeps calls back, or workers from their work."""
    calls, workers, status = known.calls, known.workers, known.status
    if calls.hold:
        do = held_hint(calls.hold.kind, status.account)
        return Reason(Word(calls.hold.kind.value), f"{hold_in_words(calls.hold)}.", do)
    if known.token_trouble:
        said = f"There is no access token for Zoho: {readable(known.token_trouble)}."
        return Reason(Word.NO_TOKEN, said, f"To see what is wrong: {_doctor(status)}")
    if workers.alive and all(worker.trouble for worker in workers.alive):
        worker = workers.alive[0]
        said = readable(
            f"{number_of(len(workers.alive), 'worker')} alive, none works: {worker.name}: {worker.trouble}."
        )
        return Reason(Word.WORKERS_TROUBLED, said, "Restart them; docs/health.md.")
    if calls.gate_for:
        return Reason(Word.LIMIT, f"{gate_in_words(calls)}.", refused_hint(calls))
    return None


def _on_its_way(known: Known) -> Reason:
    """What a batch waits for that nothing keeps back."""
    status = known.status
    if status.held:
        return Reason(Word.CANARY, held_in_words(status))
    if known.waits:
        said = f"To be tried again: {waits_in_words(known.waits, known.now)}"
        row = CODES.get(known.waits.code)
        fix = row is not None and row.meaning is Meaning.NOT_ALLOWED
        return Reason(Word.TRIED_AGAIN, said, f"To see what is missing: {_doctor(status)}" if fix else "")
    if status.sent:
        leads = number_of(status.sent, "lead")
        return Reason(Word.ZOHO_AT_WORK, f"Zoho is at work on {leads}; a job may take minutes.")
    if not status.waiting and not status.sealed:
        said = "The enqueue call has not ended yet, or was interrupted."
        return Reason(Word.NOT_ENQUEUED_WHOLE, said, "If it was interrupted, make it again with its key.")
    if known.workers.idle_for > TAKES_NOTHING_AFTER:
        alive = number_of(len(known.workers.alive), "worker is alive", "workers are alive")
        said = f"{alive}, but none has taken anything for {span(known.workers.idle_for)}."
        return Reason(Word.NOTHING_TAKEN, said, f"To see what is wrong: {_doctor(status)}")
    others = max(0, known.ahead - status.waiting)
    said = f"{number_of(status.waiting, 'lead waits', 'leads wait')} for a turn"
    more = f"; {number_of(others, 'lead')} of other batches {'waits' if others == 1 else 'wait'}, too" if others else ""
    return Reason(Word.ITS_TURN, f"{said}{more}.")


def _doctor(status: BatchStatus) -> str:
    return next_command("doctor", account=status.account)
