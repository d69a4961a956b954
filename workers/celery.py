"""The Celery app and its one Task base class: `massconvert worker`, and in a checkout `celery -A workers worker`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from celery import Celery
from celery import Task as CeleryTask
from celery.events import EventDispatcher
from celery.exceptions import Reject

from massconvert.contract import Exit
from massconvert.errors import BrokerError, InputError, MassConvertError, SettingsError, StoreError
from massconvert.nudge import Nudge
from massconvert.settings import load_settings
from workers import lifecycle, log, only_copies
from workers.pulse import turning
from workers.quiet import BROKER_LINES, holding
from workers.redis_reading import ReadingAtOnce
from workers.sentinels import ask_in_one_order

logger = logging.getLogger("massconvert")

#: When Redis is unreachable, a task looks again after this many seconds. (So does the sweep.)
STORE_AWAY_COUNTDOWN = 5.0


class Task(CeleryTask):  # type: ignore[misc]  # Celery ships no types
    """What all tasks share: the log's context, and what becomes of an error that the library raised on purpose."""

    #: The ledger counts attempts; a task comes back for as long as its step says so.
    max_retries = None
    #: Whether its message is the only copy of what it is about (tasks/declare.py).
    only_copy = False
    #: Whether its message begins something of which the ledger knows nothing yet (likewise).
    begins = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the body. Redis away: come back. Any other expected error: one line in the log, and the message is done.

        The ledger has what such a message was about; a bug is left to Celery, which logs it, and the sweep brings its
        chunk back. One that is an only copy, or begins something, is seen to in `workers.only_copies`.
        """
        with log.about(args, kwargs):
            if self.only_copy:
                return only_copies.take(self, args, kwargs, lambda: self._run(args, kwargs))
            try:
                return self._run(args, kwargs)
            except StoreError as error:
                logger.warning("%s: %s Again in %g s.", self.name, error.message, STORE_AWAY_COUNTDOWN)
                raise self.retry(countdown=STORE_AWAY_COUNTDOWN) from None
            except BrokerError as error:
                logger.warning("%s: %s The sweep will send what was not sent.", self.name, error.message)
            except Exception as error:
                if self.begins and not kwargs.get("run"):
                    only_copies.come_back(self, error)
                if not isinstance(error, MassConvertError):
                    raise
                logger.error("%s: %s", self.name, error)  # noqa: TRY400 - expected: a line, no traceback
        return None

    def _run(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the body. Raises InputError where a stranger's message has not the arguments that this task takes."""
        try:
            self.__header__(*args, **kwargs)  # Celery's own, with which it checks what is sent from here
        except TypeError as error:
            raise InputError(f"The message has other arguments than the task ({error}).") from None
        return self.run(*args, **kwargs)

    def retry(self, *args: Any, **kwargs: Any) -> BaseException:
        """Send this message again; where the broker takes none, hand the received one back instead of dropping it.

        Celery would drop it; that of ``enqueue`` may be all that there is of its leads. Handed back, it is delivered
        again at once: not before a pause.
        """
        try:
            return cast("BaseException", super().retry(*args, **kwargs))
        except Reject as unsent:
            only_copies.pause()
            raise Reject(unsent.reason, requeue=True) from None


class Dispatcher(EventDispatcher):  # type: ignore[misc]  # as above
    """Sends what monitors are told (a heartbeat every 2 s); tries once more and not for ever.

    It sends in the worker's loop. Celery has it wait there for a broker that is gone: the loop would not find out that
    its own connection is lost, nor obey a signal.
    """

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """As Celery's; what could not be sent is sent after the next connection."""
        return super().send(*args, retry_policy={"max_retries": 1, "interval_start": 0}, **kwargs)


def _make_app() -> Celery:
    try:
        import celeryconfig  # noqa: PLC0415 - it reads the settings, which may be wrong

        settings = load_settings()
        Nudge(settings.broker_url).close()  # beat would end in a traceback
    except SettingsError as error:
        print(error, file=sys.stderr)
        raise SystemExit(int(Exit.UNREACHABLE)) from None
    ask_in_one_order(settings.broker_url, settings.connect_timeout)
    made = Celery("massconvert", task_cls=Task)
    made.config_from_object(celeryconfig)
    made.events.dispatcher_cls = Dispatcher
    made.steps["consumer"].update({turning(lifecycle.vitals), ReadingAtOnce, holding(BROKER_LINES)})
    return made


app = _make_app()
lifecycle.connect()
