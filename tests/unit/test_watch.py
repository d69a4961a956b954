"""A worker's own metrics: off by default, a port that is taken is one line, and what takes time is counted."""

from __future__ import annotations

import json
import logging
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest

from massconvert.model import Accepted, Busy, Call
from massconvert.policy import Permit
from massconvert.settings import load_settings
from massconvert.shares import Threads
from massconvert.steps.ask import ask
from massconvert.telemetry import observed
from workers import lifecycle, watch


def settings(folder: Path, port: int | None) -> Any:
    given = {"MASSCONVERT_STATE_DIR": str(folder)} | ({} if port is None else {"MASSCONVERT_METRICS_PORT": str(port)})
    return load_settings(given, dotenv=None)


def scrape(folder: Path) -> str:
    (file,) = folder.glob("metrics-*.json")
    ((target,),) = (entry["targets"] for entry in json.loads(file.read_text(encoding="utf-8")))
    with urlopen(f"http://{target}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_off_by_default_nothing_watches(tmp_path: Path) -> None:
    end = watch.serve(settings(tmp_path, None), Threads(4))
    assert observed.watchers == []
    end()


def test_what_takes_time_is_counted_at_a_port_that_is_picked_and_told(tmp_path: Path) -> None:
    threads = Threads(20)
    threads.held = 3
    end = watch.serve(settings(tmp_path, 0), threads)
    try:
        times = iter((0.0, 0.2, 1.5, 1.6, 1.7))
        permits: Any = iter((Permit("p", Call.POST), Busy(1.0, "all run")))
        governor = SimpleNamespace(acquire=lambda _: next(permits), release=lambda *_: None)
        ports: Any = SimpleNamespace(steady=lambda: next(times), governor=governor)
        ask(ports, Call.POST, lambda: Accepted("7"))
        ask(ports, Call.STATUS, lambda: None)
        logging.getLogger("massconvert").warning("a line")
        found = scrape(tmp_path)
    finally:
        end()
    assert 'massconvert_worker_call_duration_seconds_sum{kind="post"} 1.3' in found
    assert 'massconvert_worker_call_duration_seconds_count{kind="status"}' not in found
    assert 'massconvert_worker_permit_wait_seconds_bucket{kind="post",le="0.25"} 1.0' in found
    assert 'massconvert_worker_permit_wait_seconds_count{kind="status"} 1.0' in found
    assert "massconvert_worker_threads_in_use 3.0" in found
    assert "massconvert_worker_threads 20.0" in found
    assert 'massconvert_worker_log_lines_total{level="WARNING"} 1.0' in found
    assert observed.watchers == []
    assert list(tmp_path.glob("metrics-*")) == []


def test_a_port_that_is_taken_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        watch.serve(settings(tmp_path, port), Threads(1))()
    (line,) = [record.getMessage() for record in caplog.records]
    assert (
        line
        == f"The metrics cannot be served at 127.0.0.1:{port}: Address already in use. The worker works without them."
    )
    assert observed.watchers == []


def test_a_forked_process_leaves_what_its_parent_serves(tmp_path: Path) -> None:
    """It would count where nobody reads, and hold the parent's port."""
    watch.serve(settings(tmp_path, 0), Threads(1))
    (served,) = observed.watchers
    assert isinstance(served, watch.OwnMetrics)
    served.server.shutdown()  # its thread is not in a forked process
    watch.leave()
    assert observed.watchers == []
    assert served not in logging.getLogger().handlers
    assert served.server.socket.fileno() == -1


def test_with_processes_a_port_that_was_chosen_is_told_to_be_the_wrong_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fleet = SimpleNamespace(threads=Threads(20))
    monkeypatch.setattr(lifecycle, "workshops", lambda: fleet)
    for port, lines in ((0, 0), (9540, 1)):
        lifecycle._tell_of_processes(settings(tmp_path, port))
        assert len(caplog.records) == lines
    assert "With MASSCONVERT_METRICS_PORT=0 each picks a port" in caplog.text
    assert fleet.threads.total == 0


def test_a_pool_in_the_worker_s_own_process_has_what_the_worker_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's solo pool says that a process began, too."""
    ends = [lambda: None]
    monkeypatch.setattr(lifecycle, "_ends", ends)
    monkeypatch.setattr(lifecycle, "_worker_ids", [os.getpid()])
    lifecycle._on_process()
    assert len(ends) == 1
