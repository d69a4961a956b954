"""Messages of ``massconvert.enqueue``: each is the only copy of its leads until its batch is in the ledger.

`massconvert.policy.messages` says what becomes of one that was not taken; here Celery is told so. Nothing in here ends
a message because it fails itself: where the ledger cannot keep it for a person, the broker gets it back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import SystemRandom
from typing import Any

from celery import signals
from celery.exceptions import Ignore, Reject, Retry, WorkerShutdown, WorkerTerminate

from massconvert.errors import LedgerMismatchError, MassConvertError, NotConfiguredError, SettingsError, StoreError
from massconvert.ledger import Letters, Message
from massconvert.ledger.letters import Kind
from massconvert.policy import messages
from massconvert.policy.messages import Fate, after_failure, in_words
from massconvert.store import Keys, Scripts
from massconvert.wiring import workshops
from massconvert.words.next_command import next_command

logger = logging.getLogger("massconvert")

#: How long a thread keeps a message that can be neither taken nor sent again, in seconds, before it hands it back: the
#: broker delivers it again at once.
PAUSE = 5.0
#: What Celery itself raises through a task.
CELERYS = (Ignore, Reject, Retry, WorkerShutdown, WorkerTerminate)
#: What a Redis says, or does not, that takes no notes either: not to wait for it twice.
_AWAY = ("UNREACHABLE", "TIMEOUT")
#: What a person fixes meanwhile.
_FIXED = (SettingsError, NotConfiguredError)
_ENDED = "its worker ended before it was done"

_stopping = threading.Event()


def pause() -> None:
    """Wait before a message is handed back; a worker that is told to end does not wait."""
    _stopping.wait(PAUSE)


def take(task: Any, args: Sequence[Any], kwargs: Mapping[str, Any], body: Callable[[], Any]) -> Any:
    """Run ``body``, the whole of what there is to do about the message of ``task``, and see to it when it fails.

    Returns what it returned, or nothing when the message has ended otherwise. Raises what tells Celery that it comes
    back.
    """
    received = _Received(task.request, args, kwargs)
    try:
        if received.delivered_again() >= messages.DELIVERIES and received.keep("stuck", _ENDED, messages.DELIVERIES):
            logger.error("%s: %s. %s", task.name, received.name(_ENDED), received.see())
            return None
        answer = body()
    except CELERYS:
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit too: a library may raise it, and mean its own process
        return _failed(task, received, error)
    received.taken()
    return answer


def come_back(task: Any, error: Exception) -> None:
    """Send a message again that was to begin something, and met wrong settings or a bug; not for ever.

    Raises what tells Celery so. A slot of a profile that comes back too late begins nothing.
    """
    expected = isinstance(error, (MassConvertError, *CELERYS))
    if expected and (not isinstance(error, _FIXED) or isinstance(error, LedgerMismatchError)):
        return
    tries = int(task.request.retries)
    verdict = after_failure(error, tries, chance=SystemRandom().random())
    if verdict.fate is not Fate.BACK:
        return
    again = f"Again in {verdict.pause:.0f} s."
    logger.warning("%s: %s %s", task.name, in_words(error), again, exc_info=_bug(error) if tries == 0 else None)
    raise task.retry(countdown=verdict.pause) from None


def _failed(task: Any, received: _Received, error: BaseException) -> None:
    tries = int(received.request.retries)
    verdict = after_failure(error, tries, chance=SystemRandom().random())
    why = in_words(error)
    if verdict.fate is Fate.TAKEN:
        logger.warning("%s: %s The sweep will send what was not sent.", task.name, why)
        received.taken()
        return
    if verdict.fate is Fate.REFUSED and received.keep("refused", why, tries):
        logger.error("%s: %s %s", task.name, received.name(str(error)), received.see())
        return
    if verdict.fate is Fate.ASIDE and received.keep("stuck", why, tries):
        told = f"{received.name(why)} It is set aside. {received.see()}"
        logger.error("%s: %s", task.name, told, exc_info=_bug(error))
        return
    if not (isinstance(error, StoreError) and error.code in _AWAY):
        received.note(why)
    again = f"Again in {verdict.pause:.0f} s."
    logger.warning("%s: %s %s", task.name, received.name(why), again, exc_info=_bug(error) if tries == 0 else None)
    raise task.retry(countdown=verdict.pause) from None


class _Received:
    """A message as it was received, and what the ledger knows of it."""

    def __init__(self, request: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.request = request
        self._message = Message(str(request.id), args, kwargs)
        self._noted = bool(request.retries)

    def name(self, why: str) -> str:
        """What is said of it in the log."""
        return f"the message {self._message.id} was not taken: {why}"

    def delivered_again(self) -> int:
        """How many times in a row it was neither taken nor sent again; none at its first delivery."""
        if not (self.request.delivery_info or {}).get("redelivered"):
            return 0
        self._noted = True
        return self.note(_ENDED)

    def note(self, why: str) -> int:
        """Note that it is not taken; how many times that was noted. None where the ledger takes no notes."""
        with suppress(Exception):
            return self._letters().note(self._message.id, why)
        return 0

    def keep(self, kind: Kind, why: str, tries: int) -> bool:
        """Keep it for a person; whether that was done."""
        try:
            kept = self._letters().keep(self._message, kind, why, tries + 1)
        except Exception as error:  # noqa: BLE001 - whatever it is, the broker still has the message
            logger.warning("The message %s cannot be kept in the ledger: %s", self._message.id, in_words(error))
            return False
        if not kept:
            logger.error("The message %s cannot be kept: there is no room. %s", self._message.id, self.see())
        return kept

    def taken(self) -> None:
        """Forget the notes of it, where there are any."""
        if self._noted:
            with suppress(Exception):
                self._letters().taken(self._message.id)

    def see(self) -> str:
        """How a person sees it."""
        return f"To see it: {next_command('letters', account=self._account())}"

    def _letters(self) -> Letters:
        account = self._account()
        redis = workshops().lines.clients.of(account)
        return Letters(redis, Keys(account), Scripts(redis))

    def _account(self) -> str:
        """The account that it names, or the first that is served.

        Neither credentials nor a right massconvert.toml are needed: they may be why it is not taken.
        """
        accounts, named = workshops().accounts, self._message.kwargs.get("account")
        name = accounts.base.account
        with suppress(MassConvertError):
            name = accounts.served()[0]
            name = accounts.settings(named).account if isinstance(named, str) else name
        return name


def _bug(error: BaseException) -> BaseException | None:
    """The error where it is a bug, so that its traceback is logged."""
    return None if isinstance(error, MassConvertError) else error


def _stop(**_: object) -> None:
    _stopping.set()


signals.worker_shutting_down.connect(_stop, weak=False)
