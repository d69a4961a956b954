"""A worker's own metrics, at MASSCONVERT_METRICS_PORT: what takes its time. Whatever is about leads is the ledger's."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from massconvert.settings import Settings
from massconvert.shares import Threads
from massconvert.telemetry import observed

logger = logging.getLogger("massconvert")

_PREFIX = "massconvert_worker_"
#: Seconds; a call has a deadline of 30 s, and a permit is waited for 5 s.
_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class OwnMetrics(logging.Handler):
    """Counts what a worker tells of itself; a `massconvert.telemetry.observed.Watcher`, and a handler of the log."""

    server: Any = None  # which serves them

    def __init__(self, registry: Any, threads: Threads) -> None:
        import prometheus_client as prometheus  # noqa: PLC0415 - an extra, and it takes 50 ms

        super().__init__()
        made: dict[str, Any] = {"registry": registry}
        self._call = prometheus.Histogram(
            f"{_PREFIX}call_duration_seconds", "Calls to Zoho.", ["kind"], buckets=_BUCKETS, **made
        )
        self._permit = prometheus.Histogram(
            f"{_PREFIX}permit_wait_seconds", "Waits for a permit.", ["kind"], buckets=_BUCKETS, **made
        )
        self._trips = prometheus.Counter(f"{_PREFIX}redis_round_trips", "Questions to Redis.", **made)
        self._lines = prometheus.Counter(f"{_PREFIX}log_lines", "Lines of the log.", ["level"], **made)
        for level in ("INFO", "WARNING", "ERROR", "CRITICAL"):
            self._lines.labels(level)
        in_use = prometheus.Gauge(f"{_PREFIX}threads_in_use", "Threads that have a task.", **made)
        in_use.set_function(lambda: threads.held)
        total = prometheus.Gauge(f"{_PREFIX}threads", "Threads that may have one.", **made)
        total.set_function(lambda: threads.total)

    def permit(self, kind: str, seconds: float) -> None:
        """See `massconvert.telemetry.observed.Watcher`."""
        self._permit.labels(kind).observe(seconds)

    def call(self, kind: str, seconds: float) -> None:
        """Likewise."""
        self._call.labels(kind).observe(seconds)

    def round_trip(self) -> None:
        """Likewise."""
        self._trips.inc()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line."""
        self._lines.labels(record.levelname).inc()


def serve(settings: Settings, threads: Threads) -> Callable[[], None]:
    """Serve the metrics, if they are wanted; what is returned ends that. Raises nothing: a worker works without."""
    if settings.metrics_port is None:
        return lambda: None
    try:
        from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415 - an extra
    except ImportError:
        logger.error("MASSCONVERT_METRICS_PORT is set, and the extra `metrics` is not installed: there are none.")  # noqa: TRY400 - a line, no traceback
        return lambda: None
    registry = CollectorRegistry()
    try:
        server, _ = start_http_server(settings.metrics_port, addr=settings.metrics_host, registry=registry)
    except OSError as error:
        where = f"{settings.metrics_host}:{settings.metrics_port}"
        logger.error("The metrics cannot be served at %s: %s. The worker works without them.", where, error.strerror)  # noqa: TRY400 - as above
        return lambda: None
    watch = OwnMetrics(registry, threads)
    watch.server = server
    place = _told(settings, server.server_port)
    observed.watchers.append(watch)
    logging.getLogger().addHandler(watch)

    def end() -> None:
        server.shutdown()
        _leave(watch)
        if place:
            with suppress(OSError):
                place.unlink()

    return end


def leave() -> None:
    """In a process that was forked: what its parent serves is none of its business."""
    for watch in [each for each in observed.watchers if isinstance(each, OwnMetrics)]:
        _leave(watch)


def _leave(watch: OwnMetrics) -> None:
    observed.watchers.remove(watch)
    logging.getLogger().removeHandler(watch)
    watch.server.server_close()


def _told(settings: Settings, port: int) -> Path | None:
    """Say where they are; of a port that was picked, in a file for Prometheus' file discovery."""
    logger.info("Metrics of this worker: http://%s:%d/metrics", settings.metrics_host, port)
    if settings.metrics_port:
        return None
    place = settings.state_dir / f"metrics-{os.getpid()}.json"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps([{"targets": [f"{settings.metrics_host}:{port}"]}]), encoding="utf-8")
    except OSError as error:
        logger.warning("%s cannot be written: %s", place, error.strerror)
        return None
    return place
