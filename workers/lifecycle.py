"""What happens around the tasks: checks at the start, the sweep's timer, a bounded stop."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from random import SystemRandom
from typing import Any, NoReturn

from celery import signals
from celery.exceptions import CPendingDeprecationWarning

from massconvert.contract import WORKER_SLOTS, Exit
from massconvert.doctor.redis_rules import ask_about_itself, not_well
from massconvert.errors import LedgerMismatchError, MassConvertError, SettingsError, StoreError
from massconvert.ledger.fleet import WORKER
from massconvert.nudge import Nudge, hold_connection
from massconvert.settings import Settings, load_settings
from massconvert.store import connect as connect_redis
from massconvert.telemetry.heartbeat import Heartbeat, heartbeat_path
from massconvert.wiring import tuning, workshops
from massconvert.words.next_command import next_command
from workers import log, watch
from workers.inheritance import restore_inheritance
from workers.notes import Notes
from workers.pulse import PATIENCE, Pulse, Vitals

logger = logging.getLogger("massconvert")

#: After SIGTERM a worker finishes what runs, and hands back what has not ended by then, in seconds. A call has its own
#: deadline of 30 s; what is cut off is found in the ledger and looked at by another worker.
STOP_WITHIN = 30.0


class Sweeper:
    """Calls ``sweep`` every ``interval`` seconds, give or take a quarter, in a thread of its own, until it is stopped.

    Healing depends neither on beat nor on the broker: this goes to the ledger directly.
    """

    def __init__(
        self,
        sweep: Callable[[], int],
        interval: float,
        *,
        chance: Callable[[], float] | None = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._sweep = sweep
        self._interval = interval
        self._chance = chance or SystemRandom().random
        self._stopped = threading.Event()
        self._wait = wait or self._stopped.wait
        self._thread = threading.Thread(target=self.run, name="sweep", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end; a sweep that runs is not waited for, since another worker's would do the same."""
        self._stopped.set()

    def run(self) -> None:
        """Sweep until stopped. Nothing that a sweep raises ends the thread."""
        # Jitter: workers that were started together do not come together.
        while not self._wait(self._interval * (0.75 + self._chance() / 2)):
            self._once()

    def _once(self) -> None:
        try:
            found = self._sweep()
        except MassConvertError as error:
            logger.warning("Sweep: %s Again in about %g s.", error.message, self._interval)
        except Exception:
            logger.exception("Sweep failed; again in about %g s", self._interval)
        else:
            if found:
                logger.info("Sweep: %d overdue chunks dispatched", found)


def check_redis(settings: Settings) -> None:
    """Log what speaks against this Redis. An unreachable one is named and waited for, not refused. Raises nothing."""
    client = connect_redis(settings.redis_url)
    try:
        for warning in not_well(ask_about_itself(client)):
            logger.warning("%s", warning)
    except StoreError as error:
        logger.warning("%s Waiting for it.", error.message)
    except Exception as error:  # noqa: BLE001 - the work does not hang on a check, whatever it meets
        look = next_command("doctor", account=settings.account)
        logger.warning("Redis could not be looked at: %s. To see more: %s", error, look)
    finally:
        client.close()


def connect() -> None:
    """Connect everything here to Celery's signals."""
    signals.setup_logging.connect(_set_up_log, weak=False)
    signals.celeryd_init.connect(_demand_settings, weak=False)
    signals.worker_ready.connect(_on_ready, weak=False)
    signals.worker_shutting_down.connect(_on_shutting_down, weak=False)
    signals.worker_shutdown.connect(_on_shutdown, weak=False)
    signals.worker_process_init.connect(_on_process, weak=False)
    signals.worker_process_shutdown.connect(_on_process_end, weak=False)
    signals.task_received.connect(_on_progress, weak=False)
    signals.task_postrun.connect(_on_progress, weak=False)


_sweepers: list[Sweeper] = []
_pulses: list[Pulse] = []
_stopping = threading.Event()
_ends: list[Callable[[], None]] = []  # what is ended when this process ends
_worker_ids: list[int] = []  # the worker's own process id, before its pool is made


def vitals() -> Vitals | None:
    """Those of this process' worker, once it is ready."""
    return _pulses[0].vitals if _pulses else None


def _on_progress(**_: object) -> None:
    for pulse in _pulses:
        pulse.vitals.progressed()


def _set_up_log(loglevel: int | None = None, logfile: str | None = None, **_: object) -> None:
    settings = load_settings()
    ours = logging.getLevelName(settings.log_level)
    # Celery's -l defaults to WARNING and does not say whether it was given; it can make the log more talkative than
    # MASSCONVERT_LOG_LEVEL, never less.
    log.set_up(min(loglevel or ours, ours), logfile, in_json=settings.log_format == "json")


def _demand_settings(
    instance: Any = None, conf: Any = None, options: Mapping[str, Any] | None = None, **_: object
) -> None:
    """Before the worker is made: without credentials it could do nothing but hold messages."""
    options = options or {}
    _worker_ids[:] = [os.getpid()]
    if instance is not None:
        # Remote control sends on its own channel. From the pool it takes a connection without waiting, and the one that
        # there is may be held by a thread whose broker hangs: that was the end of a worker that connected again.
        instance.app.control.mailbox.producer_pool = None
    try:
        _refuse_purge(options)
        _tell_pool(sys.argv)
        settings = load_settings()
        _demand_an_account()
        connect_redis(settings.redis_url).close()
        _demand_our_ledgers()
        Nudge(settings.broker_url).close()
    except (SettingsError, StoreError) as error:
        _stop(error)
    for hint in settings.hints:
        print(hint, file=sys.stderr)
    _load_extras(settings)
    # Sending takes well under a millisecond, so one connection does for all threads. It is made when the worker is
    # ready: a server that soon allows no more has then given it.
    if conf is not None:
        conf.broker_pool_limit = 1
    # -c and --autoscale overrule celeryconfig.
    most = next(iter(options.get("autoscale") or ()), 0)
    threads = most or options.get("concurrency") or getattr(conf, "worker_concurrency", None) or WORKER_SLOTS
    workshops().threads.total = int(threads)


def _refuse_purge(options: Mapping[str, Any]) -> None:
    if options.get("purge"):
        raise SettingsError(
            "--purge would delete messages that are the only copy of their leads; the worker does not start.",
            hint="Leave it out. To call off what was not sent: "
            f"{next_command('cancel', 'BATCH', account=workshops().accounts.base.account)}",
        )


def _tell_pool(arguments: Sequence[str]) -> None:
    """Celery takes ``-P prefork`` for its own default, and runs what is configured without a word."""
    words = " ".join(arguments)
    if re.search(r"(?:^|\s)(?:-P\s?|--pool[= ])prefork(?:\s|$)", words):
        told = "-P prefork is not obeyed: Celery takes it for its default, so threads run. For processes: -P processes"
        print(f"{told} (docs/scaling.md).", file=sys.stderr)


def _demand_an_account() -> None:
    """Without the credentials of any account there is nothing to do."""
    accounts = workshops().accounts
    _demand_one(lambda name: accounts.settings(name).require_zoho())


def _demand_our_ledgers() -> None:
    """A worker of another organisation than the ledger's would convert its ids in the wrong place: it does not start.

    What cannot be told now (no Redis, no Zoho) is told before anything is sent.
    """

    def demand(name: str) -> None:
        try:
            workshops().workshop(name).owner_unknown()
        except LedgerMismatchError:
            raise
        except MassConvertError as error:
            logger.warning("%s", error.message)

    _demand_one(demand)


def _demand_one(demand: Callable[[str], None]) -> None:
    """Raise the first SettingsError of ``demand`` where every account has one; else tell each, and serve the others."""
    troubles, names = list[SettingsError](), workshops().accounts.served()
    for name in names:
        try:
            demand(name)
        except SettingsError as error:  # noqa: PERF203 - all are told
            troubles.append(error)
    if troubles and len(troubles) == len(names):
        raise troubles[0]
    for trouble in troubles:
        print(f"{trouble}\nThe other accounts are served.", file=sys.stderr)


def _stop(error: MassConvertError) -> NoReturn:
    print(error, file=sys.stderr)
    raise SystemExit(int(Exit.UNREACHABLE))


def _on_ready(sender: Any = None, **_: object) -> None:
    # Celery switches these on, and at each outage would advise what celeryconfig has decided against, with a reason.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    settings = load_settings()
    sweeper = Sweeper(lambda: workshops().sweep(), settings.sweep_interval)
    _sweepers.append(sweeper)
    sweeper.start()
    pulse = make_pulse(settings, sender)
    _pulses.append(pulse)
    pulse.start()
    threading.Thread(target=_hand_back, name="end", daemon=True).start()
    if _is_of_processes(sender):
        _tell_of_processes(settings)
    _ends.append(watch.serve(settings, workshops().threads))
    _trace(settings)
    # Last, and beside the worker's loop: a Redis that hangs would hold up the loop here.
    threading.Thread(target=_look_around, args=(settings, sender.app), name="check", daemon=True).start()


def _is_of_processes(consumer: Any) -> bool:
    """Whether the tasks run in processes that were forked from this one: ``-P processes``."""
    return type(getattr(consumer, "pool", None)).__module__ == "celery.concurrency.prefork"


def _tell_of_processes(settings: Settings) -> None:
    """This process runs no tasks; what is served at a port that was chosen is about itself alone."""
    workshops().threads.total = 0
    if settings.metrics_port:
        logger.warning(
            "With -P processes each process has metrics of its own, and MASSCONVERT_METRICS_PORT=%d serves those of "
            "one that makes no calls. With MASSCONVERT_METRICS_PORT=0 each picks a port and writes it to a file.",
            settings.metrics_port,
        )


def _load_extras(settings: Settings) -> None:
    """Load what each process of ``-P processes`` would load again. What is missing is told when the worker is ready."""
    with suppress(ImportError):
        if settings.metrics_port is not None:
            import_module("prometheus_client")
    with suppress(ImportError):
        if _is_to_trace(settings):
            import_module("workers.traces")


def _on_process(**_: object) -> None:
    """One of the processes of ``-P processes`` begins. It makes the calls, so it has metrics and traces of its own.

    What keeps it from that, the worker itself tells, once. The pool `solo` sends this signal from the worker's process.
    """
    if os.getpid() in _worker_ids:
        return
    _ends.clear()  # they are the worker's
    watch.leave()
    settings, threads = load_settings(), workshops().threads
    threads.total = 1
    if settings.metrics_port == 0 and "prometheus_client" in sys.modules:
        _ends.append(watch.serve(settings, threads))
    if _is_to_trace(settings) and "workers.traces" in sys.modules:
        with suppress(Exception):
            _ends.append(sys.modules["workers.traces"].begin())


def _on_process_end(**_: object) -> None:
    while _ends:
        _ends.pop()()


def _is_to_trace(settings: Settings) -> bool:
    return settings.traces and os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() != "true"


def _trace(settings: Settings) -> None:
    """Trace, where that is wanted. Raises nothing: a worker works without."""
    if not _is_to_trace(settings):
        return
    try:
        from workers import traces  # noqa: PLC0415 - an extra

        _ends.append(traces.begin())
    except ImportError:
        logger.error("MASSCONVERT_TRACES is set, and the extra `otel` is not installed: there are no traces.")  # noqa: TRY400 - a line, no traceback
    except Exception as error:  # noqa: BLE001 - exporters are others' code, and read variables of their own
        logger.error("There are no traces, since they cannot be sent: %s", error)  # noqa: TRY400 - as above


def _look_around(settings: Settings, app: Any) -> None:
    with suppress(MassConvertError):
        workshops().lines.nudge.hold()
    with suppress(*app.connection_for_write().connection_errors):
        hold_connection(app)
    check_redis(settings)
    restore_inheritance(app, _stopping.wait)


def make_pulse(settings: Settings, consumer: Any) -> Pulse:
    """The pulse of the worker whose consumer this is."""
    lines = workshops().lines

    def waiting() -> int:
        return sum(lines.nudge.waiting(list(consumer.app.amqp.queues.consume_from)).values())

    return Pulse(
        # A task takes no longer than a claim's lease.
        Vitals(waiting, patience=max(PATIENCE, tuning(settings).lease + 15.0)),
        Heartbeat(heartbeat_path(WORKER, settings.state_dir, settings.heartbeat_file)),
        Notes(workshops().accounts, lines.clients),
        consumer.hostname,
    )


def _on_shutting_down(**_: object) -> None:
    _stopping.set()
    for sweeper in _sweepers:
        sweeper.stop()
    for pulse in _pulses:
        pulse.stop()


def _hand_back() -> None:
    """End the process some time after the signal to stop, whatever still runs.

    The thread waits from the start: with gevent, a signal is handled where no thread can be started.
    """
    _stopping.wait()
    threading.Event().wait(STOP_WITHIN)
    logger.warning("Tasks still run %g s after the signal; they are left to another worker.", STOP_WITHIN)
    logging.shutdown()
    os._exit(1)  # threads cannot be ended otherwise


def _on_shutdown(**_: object) -> None:
    _on_process_end()
    while _sweepers:
        _sweepers.pop().stop()
    while _pulses:
        _pulses.pop().stop()
